"""One point of a track, and what goes wrong when tracks are read."""

from datetime import UTC, datetime
from typing import NamedTuple


class Point(NamedTuple):
    """Seconds since 1970 UTC, degrees WGS-84, and the error in metres (68 %) if stated."""

    utc: float
    latitude: float
    longitude: float
    error_m: float | None = None


class TrackError(Exception):
    """A track file cannot be used; says why and what to do."""


def moment(text: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 time; UTC where it names no zone.

    >>> moment("2017-04-17T12:19:12.000Z")
    1492431552.0
    """
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
