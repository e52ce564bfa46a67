"""How far a person gets in a while: a position between known ones, with radii that are honest."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tagger.evidence.estimate import between
from tagger.places.distance import distance_m

# How far off a position may be is measured, not derived. On the libraries of
# scripts/measure_sources.py and on five real journeys of other people, positions were hidden in
# many ways. The 97 % quantile of how far off the answer was is fitted (each gap counts once, each
# library alike) as a root of squares of what may be wrong:
#
#   the receiver; the way between the two neighbours, of which nothing is known but that one was
#   seldom further away than these are apart; an excursion, that grows with the gap and with the
#   pace of this library about then; and the pace at which one rode just before or after.
#
# Fitted without a library, and measured on it, 95 to 100 % lie within. Then what applies on foot
# was narrowed as far as the walks allow.
SPREAD = 0.92  # an excursion grows by the gap to this power
EXCURSION = 0.75  # metres, times the pace that the library shows, for one second
PACE_SPREAD = 0.8  # paces are compared as metres a second ** this
MOST_PACE = 12.0  # a flight between two photos says little of a minute's walk
PRIOR_PACE, PRIOR_PAIRS = 1.7, 2  # a brisk walk, where nothing shows how one moves
PACE_SHARE = 0.8  # of the paces about then are slower
ALONE, ALONE_ON_FOOT = 1.8, 1.4  # times further, where no neighbour on the other side bounds it
WAY, WAY_ON_FOOT = 1.0, 0.45  # of the neighbours' distance: by vehicle, and where all are walks
WAY_SHARE = 25.0  # it is reached from so small a part of the gap on: a 25th
RIDE = 0.1  # of the pace of a ride, for each second
LEAST_M = 45.0
WALK = 1.0  # metres a second over the whole gap: what is faster is a stop and a ride
FASTEST_WALK = 2.5  # metres a second; what is faster over a pair is a journey
FEWEST_ON_FOOT = 4  # pairs of photos that show that all about then are walks
GPS_ERROR_M = 20.0  # the scale of a phone's error where it states none
HOURS_OF_PAIRS = 3.0  # pairs of photos further apart in time say nothing of how one walks
SHORTEST_PAIR = 20.0  # seconds; below, receivers' errors are measured, not speeds
JOURNEYS_AN_HOUR = 0.1  # without a later position that says otherwise
# A journey took part of the gap, and may have begun at any moment of the rest.
JOURNEY_PART = 3.0
UNSURE = 0.05  # a journey as likely as this cannot be left out of a radius of 95 %
APART_M = 300.0  # from so far on, cameras were not at the same place
AWAY_M = 2000.0
# Two cameras were together if photos so close in time show it, taken so shortly before or after.
SHOWN_S, SHOWN_NEAR_S = 900.0, 3600.0
RIDE_PAIR = 900.0  # seconds between two photos that show at what pace one rode
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
    """A position in degrees, its radii in metres, and how likely a journey makes it worthless."""

    position: tuple[float, float]
    radius_68_m: float
    radius_95_m: float
    journey: float


@dataclass(frozen=True, slots=True)
class Motion:
    """How one moved about then.

    Attributes:
        pace: metres a second ** PACE_SPREAD that most pairs of photos stay below.
        walks: whether enough pairs show it, and none of them is faster than a walk.
    """

    pace: float = PRIOR_PACE
    walks: bool = False


def motion_of(fixes: Sequence[Fix]) -> Motion:
    """How one moved, from positions in order of time."""
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
        fastest: metres a second that one may have gone between two positions that are compared.
        within: seconds between these at most.
        camera: only pairs that it is one of show that it was with another; empty for any.
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
    """Metres a second at which the camera rode about the photo's moment; 0 where it walked.

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
    """Whether positions of one camera's name, in order of time, cannot be of one camera."""
    for a, b in pairwise(fixes):
        gap, way = b.seconds - a.seconds, distance_m(a.position, b.position)
        if gap <= within and way > fastest * gap + APART_M + _error(a) + _error(b):
            return True
    # There, away and there again.
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
        motion: how one moved about then.
        ride: metres a second at which one rode just before or after; 0 on foot.
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
    # A receiver errs alike from minute to minute: two errors do not make up for each other.
    error = (1 - share) * _error(before) + share * _error(after)
    position = between(before.position, after.position, share)
    if way > WALK * gap:
        position, error = nearest.position, _error(nearest)
    part = min(WAY_SHARE * least, WAY_ON_FOOT if motion.walks else WAY)
    excursion = EXCURSION * motion.pace * (gap * share * (1 - share) + 1) ** SPREAD
    riding = RIDE * ride * abs(nearest.seconds)
    return _located(position, error, [part * way, excursion, riding], 0.0)


def _beside(fix: Fix, gap: float, motion: Motion, ride: float) -> Located:
    """By one position alone; ``gap`` are the seconds in which a journey took place, if one did."""
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
    """The scale of a receiver's error; phones state a radius of 68 %."""
    return max(8.0, min(fix.error_m / RAYLEIGH_68, 500.0)) if fix.error_m else GPS_ERROR_M
