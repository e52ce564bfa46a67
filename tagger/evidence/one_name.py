"""Two cameras of one name: phones state no serial number, but two are at two places at once."""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from tagger.places.distance import distance_m

# A camera does not go so fast (metres a second, trains aside), nor so far and back in so short a
# time. A phone in a car may note a position that is kilometres old, but does not go back to it.
TOO_FAST, TOO_FAR_M, BACK_S = 60.0, 300.0, 3600.0
RETURNS = 2  # this often within three weeks: two cameras share the name


class Placed(NamedTuple):
    """A row of the index that has a position; degrees, metres, seconds since 1970."""

    key: bytes
    local: float | None
    utc: float | None
    camera: str
    latitude: float
    longitude: float
    error_m: float | None


def two_at_once(rows: Iterable[Placed]) -> bool:
    """Whether positions under one camera name, in order of UTC, come from two cameras."""
    return returns(rows) >= RETURNS


def returns(rows: Iterable[Placed]) -> int:
    """How often positions jumped to another place and back soon after."""
    seen: set[tuple[float, float]] = set()
    last: Placed | None = None
    leapt: Placed | None = None  # from where
    count = 0
    for row in rows:
        at = row.latitude, row.longitude
        if row.utc is None or at in seen:  # a position noted before is an old one
            continue
        seen.add(at)
        if last is not None and _leap(last, row):
            if leapt is not None and _gap(leapt, row) <= BACK_S:
                count += 2 * _apart(leapt, row) < _apart(last, row)
            leapt = last
        last = row
    return count


def _leap(a: Placed, b: Placed) -> bool:
    noise = TOO_FAR_M + (a.error_m or 0) + (b.error_m or 0)
    return _gap(a, b) <= BACK_S and _apart(a, b) > TOO_FAST * _gap(a, b) + noise


def _gap(a: Placed, b: Placed) -> float:
    assert a.utc is not None and b.utc is not None
    return b.utc - a.utc


def _apart(a: Placed, b: Placed) -> float:
    return distance_m((a.latitude, a.longitude), (b.latitude, b.longitude))


# Names that cameras give to photos: a prefix and a counter of four digits.
_COUNTED = re.compile(r"(IMG_|IMG_E|DSC_?|DSCF|DSCN|_DSC|_MG_|P\d{3}|GOPR)(\d{4})(?:\D.*)?", re.I)
# How far a counter may advance at once, and per second on a busy day (deleted photos count).
COUNTED_AT_ONCE, COUNTED_A_SECOND = 300, 0.05
WRAPS = 10_000


def counter_of(key: str) -> tuple[str, int] | None:
    """What a camera's own name for a photo begins with, and its counter.

    >>> counter_of("a/IMG_0123-edited.jpg"), counter_of("a/holiday 12.jpg")
    (('IMG_', 123), None)
    """
    match = _COUNTED.fullmatch(os.path.splitext(os.path.basename(key))[0])
    return (match[1].upper().replace("_E", "_"), int(match[2])) if match else None


def one_counter(key: str, other: str, seconds: float) -> bool | None:
    """Whether one camera may have counted both photos; None where a name has no counter.

    Args:
        seconds: how long after the photo ``key`` the other was taken; before: negative.
    """
    a, b = counter_of(key), counter_of(other)
    if a is None or b is None:
        return None
    if a[0] != b[0]:
        return False
    steps = (b[1] - a[1] + WRAPS // 2) % WRAPS - WRAPS // 2
    return abs(steps) <= COUNTED_AT_ONCE + COUNTED_A_SECOND * abs(seconds)
