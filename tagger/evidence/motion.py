"""A position between two known ones, with a radius fitted to how far people move meanwhile."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tagger.evidence.estimate import between
from tagger.places.distance import distance_m

# The radius is fitted, not derived. Positions were hidden in many ways, in the libraries of
# scripts/measure_sources.py and in five real journeys of other people. The 97 % quantile of the
# error is fitted (each gap counts once, each library equally) as the root of a sum of squares:
#
#   the receiver's error; the distance of the two neighbours (a photo is seldom further from them
#   than they are from each other); an excursion, which grows with the gap and with the pace of the
#   library at that time; and the pace of a ride just before or after.
#
# Fitted without a library and measured on it, 95 to 100 % of positions lie within the radius. The
# values for walks were then reduced as far as the walks allow.
SPREAD = 0.92  # an excursion grows with the gap to this power
EXCURSION = 0.75  # metres after one second, times the library's pace
PACE_SPREAD = 0.8  # a pace is metres / seconds ** this
MOST_PACE = 12.0  # a flight between two photos says little about a minute's walk
PRIOR_PACE, PRIOR_PAIRS = 1.7, 2  # a brisk walk, assumed where no photos show the pace
PACE_SHARE = 0.8  # of the paces at that time are slower
ALONE, ALONE_ON_FOOT = 1.8, 1.4  # factor, where no neighbour on the other side limits an excursion
WAY, WAY_ON_FOOT = 1.0, 0.45  # of the neighbours' distance: by vehicle, and where all are walks
WAY_SHARE = 25.0  # that limit is reached at a 25th of the gap
RIDE = 0.1  # of a ride's pace, for each second
LEAST_M = 45.0  # the smallest radius
WALK = 1.0  # metres a second over the whole gap: anything faster is a stop and a ride
FASTEST_WALK = 2.5  # metres a second; two photos with a faster pace show a journey
FEWEST_ON_FOOT = 4  # pairs of photos that are enough to show that all pairs are walks
GPS_ERROR_M = 20.0  # the scale of a phone's error where it states none
HOURS_OF_PAIRS = 3.0  # pairs of photos further apart in time say nothing about walking
SHORTEST_PAIR = 20.0  # seconds; shorter pairs measure the receivers' errors, not speeds
JOURNEYS_AN_HOUR = 0.1  # assumed where there is no later position
# A journey took part of the gap, and may have begun at any moment of the rest.
JOURNEY_PART = 3.0
UNSURE = 0.05  # a journey at least this likely cannot be left out of a 95 % radius
APART_M = 300.0  # cameras at least this far apart were not at the same place
AWAY_M = 2000.0
# Two cameras were together if photos this close in time show it, at most this long before or after.
SHOWN_S, SHOWN_NEAR_S = 900.0, 3600.0
RIDE_PAIR = 900.0  # seconds between two photos that can show the pace of a ride
RAYLEIGH_68, RAYLEIGH_95 = 1.51, 2.45  # quantiles of a receiver's error, in units of its scale
MIDDLE = 0.3  # 68 % lie within this part of the radius: most photos are where the next one is


@dataclass(frozen=True, slots=True)
class Fix:
    """A known position: ``seconds`` after the photo in question (before: negative), degrees."""

    seconds: float
    position: tuple[float, float]
    error_m: float | None = None
    key: str = ""
    camera: str = ""


@dataclass(frozen=True, slots=True)
class Located:
    """A position in degrees, its radii in metres, and how likely a journey makes it useless."""

    position: tuple[float, float]
    radius_68_m: float
    radius_95_m: float
    journey: float


@dataclass(frozen=True, slots=True)
class Motion:
    """How people moved at that time.

    Attributes:
        pace: metres / seconds ** PACE_SPREAD; most pairs of photos are slower.
        walks: whether there are enough pairs, and none is faster than a walk.
    """

    pace: float = PRIOR_PACE
    walks: bool = False


def motion_of(fixes: Sequence[Fix]) -> Motion:
    """How people moved, by positions in order of time."""
    paces, fastest, count = [PRIOR_PACE] * PRIOR_PAIRS, 0.0, 0
    for a, b in pairwise(fixes):
        gap = b.seconds - a.seconds
        if gap > HOURS_OF_PAIRS * 3600:
            continue
        way = distance_m(a.position, b.position)
        count += 1
        fastest = max(fastest, (way - 60.0) / max(gap, SHORTEST_PAIR))
        if gap >= SHORTEST_PAIR:
            paces.append(min(way / gap**PACE_SPREAD, MOST_PACE))
    paces.sort()
    place = PACE_SHARE * (len(paces) - 1)
    low = math.floor(place)
    high = min(low + 1, len(paces) - 1)
    pace = paces[low] + (place - low) * (paces[high] - paces[low])
    return Motion(pace, count >= FEWEST_ON_FOOT and fastest <= FASTEST_WALK)


def company(fixes: Sequence[Fix], fastest: float, within: float, camera: str = "") -> bool | None:
    """Whether cameras were together: False if any two were not, None if nothing shows it.

    Args:
        fixes: in order of time.
        fastest: metres a second that are possible between two positions that are compared.
        within: the most seconds between the two.
        camera: only pairs with this camera show that it was with another; empty for any pair.
    """
    shown = None
    for a, b in pairwise(fixes):
        gap = b.seconds - a.seconds
        if a.camera == b.camera or gap > within:
            continue
        further = distance_m(a.position, b.position) - APART_M - _error(a) - _error(b)
        if further > fastest * gap:
            return False
        if further > 0 or gap > SHOWN_S or min(abs(a.seconds), abs(b.seconds)) > SHOWN_NEAR_S:
            continue
        if not camera or camera in (a.camera, b.camera):
            shown = True
    return shown


def pace_of(fixes: Sequence[Fix]) -> float:
    """Metres a second of a ride around the photo's moment; 0 if it was a walk.

    Args:
        fixes: the last two before the photo and the first two after, in order of time.
    """
    paces = [0.0]
    for a, b in pairwise(fixes):
        gap, way = b.seconds - a.seconds, distance_m(a.position, b.position)
        if gap <= RIDE_PAIR and way > FASTEST_WALK * gap + 2 * (_error(a) + _error(b)):
            paces.append(way / max(gap, 1.0))
    return max(paces)


def leaps(fixes: Sequence[Fix], fastest: float, within: float) -> bool:
    """Whether positions under one camera's name, in order of time, cannot be of one camera."""
    for a, b in pairwise(fixes):
        gap, way = b.seconds - a.seconds, distance_m(a.position, b.position)
        if gap <= within and way > fastest * gap + APART_M + _error(a) + _error(b):
            return True
    # At a place, away, and back again.
    return any(
        c.seconds - a.seconds <= within
        and distance_m(a.position, c.position) < APART_M
        and distance_m(a.position, b.position) > AWAY_M
        for a, b, c in zip(fixes, fixes[1:], fixes[2:], strict=False)
    )


def locate(
    before: Fix | None, after: Fix | None, motion: Motion, ride: float = 0.0
) -> Located | None:
    """Where the camera was, from the last known position before and the first after, if any.

    Args:
        before, after: the nearest fix on each side.
        motion: how people moved at that time.
        ride: metres a second of a ride just before or after; 0 on foot.
    """
    if before is None or after is None:
        one = before or after
        return _beside(one, math.inf, motion, ride) if one else None
    gap = after.seconds - before.seconds
    way = distance_m(before.position, after.position)
    nearest = min(before, after, key=lambda fix: abs(fix.seconds))
    if way > max(FASTEST_WALK * gap, 200) + 100:
        return _beside(nearest, gap, motion, ride)
    share = -before.seconds / gap if gap > 0 else 0.5
    least = min(share, 1 - share)
    # A receiver's errors are alike from minute to minute: two of them do not average out.
    error = (1 - share) * _error(before) + share * _error(after)
    position = between(before.position, after.position, share)
    if way > WALK * gap:
        position, error = nearest.position, _error(nearest)
    part = min(WAY_SHARE * least, WAY_ON_FOOT if motion.walks else WAY)
    excursion = EXCURSION * motion.pace * (gap * share * (1 - share) + 1) ** SPREAD
    riding = RIDE * ride * abs(nearest.seconds)
    return _located(position, error, [part * way, excursion, riding], 0.0)


def _beside(fix: Fix, gap: float, motion: Motion, ride: float) -> Located:
    """From one position alone; if there was a journey, it took place within ``gap`` seconds."""
    away = abs(fix.seconds)
    rate = JOURNEY_PART / gap if math.isfinite(gap) else JOURNEYS_AN_HOUR / 3600
    times = ALONE_ON_FOOT if motion.walks else ALONE
    excursion = times * EXCURSION * motion.pace * (away + 1) ** SPREAD
    return _located(
        fix.position, _error(fix), [excursion, RIDE * ride * away], min(1.0, away * rate)
    )


def _located(
    position: tuple[float, float], error: float, radii: Iterable[float], journey: float
) -> Located:
    radius = max(LEAST_M, math.hypot(RAYLEIGH_95 * error, *radii))
    middle = max(RAYLEIGH_68 * error, MIDDLE * radius)
    return Located(position, middle, radius if journey < UNSURE else math.inf, journey)


def _error(fix: Fix) -> float:
    """The scale of a receiver's error; phones state the 68 % radius."""
    return max(8.0, min(fix.error_m / RAYLEIGH_68, 500.0)) if fix.error_m else GPS_ERROR_M
