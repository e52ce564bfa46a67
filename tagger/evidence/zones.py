"""Time zones by position, offline (tzfpy): how far a clock on the wall is ahead of UTC there."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

CELL = 100  # parts of a degree: about 1 km; photos of one place ask once


def ahead_at(position: tuple[float, float], local: float) -> float | None:
    """Seconds that local time is ahead of UTC at a place, daylight saving included.

    Args:
        position: latitude, longitude in degrees.
        local: seconds since 1970 that a clock on the wall shows there, as if it were UTC.

    Returns:
        None where the zone is not known.

    >>> ahead_at((48.85826, 2.2945), 1_720_000_000.0)
    7200.0
    """
    zone = _zone(round(position[0] * CELL), round(position[1] * CELL))
    return None if zone is None else _ahead(zone, local)


def ahead_in(zone: str, local: float) -> float:
    """As :func:`ahead_at`, in a zone by name such as Europe/Berlin."""
    return _ahead(ZoneInfo(zone), local)


def _ahead(zone: ZoneInfo, local: float) -> float:
    wall = datetime.fromtimestamp(local, UTC).replace(tzinfo=zone)
    return (wall.utcoffset() or timedelta()).total_seconds()


@lru_cache(maxsize=4096)
def _zone(latitude: int, longitude: int) -> ZoneInfo | None:
    import tzfpy

    name = tzfpy.get_tz(longitude / CELL, latitude / CELL)
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None
