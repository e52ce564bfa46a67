"""How far apart two positions are."""

import math

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG


def distance_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance in metres between two positions in degrees (haversine).

    >>> round(distance_m((48.85826, 2.2945), (48.8606, 2.3376)))
    3164
    """
    lat_a, lat_b = math.radians(a[0]), math.radians(b[0])
    turn = math.radians(b[1] - a[1])
    h = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin(turn / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(h)))
