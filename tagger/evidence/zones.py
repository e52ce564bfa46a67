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
    return next(iter(aheads_at(position, local)), None)


def aheads_at(position: tuple[float, float], local: float) -> tuple[float, ...]:
    """As :func:`ahead_at`, every reading: two in the hour that comes twice in autumn.

    >>> aheads_at((48.85826, 2.2945), 1_729_996_200.0)
    (7200.0, 3600.0)
    """
    zone = _zone(round(position[0] * CELL), round(position[1] * CELL))
    return () if zone is None else _aheads(zone, local)


def ahead_in(zone: str, local: float) -> float:
    """As :func:`ahead_at`, in a zone by name such as Europe/Berlin."""
    return aheads_in(zone, local)[0]


def aheads_in(zone: str, local: float) -> tuple[float, ...]:
    """As :func:`aheads_at`, in a zone by name."""
    return _aheads(ZoneInfo(zone), local)


def _aheads(zone: ZoneInfo, local: float) -> tuple[float, ...]:
    wall = datetime.fromtimestamp(local, UTC).replace(tzinfo=zone)
    offsets = (wall.utcoffset(), wall.replace(fold=1).utcoffset())
    first, second = ((offset or timedelta()).total_seconds() for offset in offsets)
    # In the hour that spring skips, the second is the larger one (PEP 495).
    return (first, second) if second < first else (first,)


@lru_cache(maxsize=4096)
def _zone(latitude: int, longitude: int) -> ZoneInfo | None:
    import tzfpy

    name = tzfpy.get_tz(longitude / CELL, latitude / CELL)
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None
