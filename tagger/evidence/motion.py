"""How far a person gets in a while: a position between known ones, with radii that are honest."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tagger.evidence.estimate import between
from tagger.places.distance import distance_m

# A walker with stops gets s(t) = speed * t ** SPREAD metres from where he was, and the distance is
# Rayleigh distributed with that scale. ``speed`` is measured on the library's own photos around, on
# top of a prior that counts as PRIOR_PAIRS pairs. Between two known positions, the scale is that of
# a bridge: it vanishes at both ends. Journeys (flights, trains) are what a walker's speed cannot
# explain; one that began somewhere between two photos may have begun just before this one.
#
# The constants were chosen on the libraries of scripts/measure_sources.py.
SPREAD = 0.8  # between 0.5 (no direction at all) and 1 (straight on)
PRIOR_SPEED = 1.7  # metres a second ** SPREAD: a brisk walk; slower where the library shows it
PRIOR_PAIRS = 3.0
GPS_ERROR_M = 20.0  # the scale of a phone's error where it states none
HOURS_OF_PAIRS = 3.0  # pairs of photos further apart in time say nothing of how one walks
SHORTEST_PAIR = 20.0  # seconds; below, receivers' errors are measured, not speeds
FASTEST_WALK = 2.5  # metres a second; what is faster over a pair is a journey
JOURNEYS_AN_HOUR = 0.1  # without a later position that says otherwise
UNSURE = 0.05  # a journey as likely as this cannot be left out of a radius of 95 %
APART_M = 300.0  # from so far on, cameras were not at the same place
AWAY_M = 2000.0
# Two cameras were together if photos so close in time show it, taken so shortly before or after.
SHOWN_S, SHOWN_NEAR_S = 900.0, 3600.0
RIDE_PAIR = 900.0  # seconds between two photos that show at what pace one rode
RAYLEIGH_68, RAYLEIGH_95 = 1.51, 2.45  # quantiles, in units of the scale


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


def speed_of(fixes: Sequence[Fix]) -> float:
    """Metres a second ** SPREAD that the camera moves at, from positions in order of time."""
    squares, count = PRIOR_PAIRS * PRIOR_SPEED**2, PRIOR_PAIRS
    for a, b in pairwise(fixes):
        gap = b.seconds - a.seconds
        if not SHORTEST_PAIR <= gap <= HOURS_OF_PAIRS * 3600:
            continue
        way = distance_m(a.position, b.position)
        if way > FASTEST_WALK * gap + 100:
            continue
        # A Rayleigh scale is estimated by half the mean square.
        squares += (way / gap**SPREAD) ** 2 / 2
        count += 1
    return math.sqrt(squares / count)


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
    before: Fix | None, after: Fix | None, speed: float, pace: float = 0.0
) -> Located | None:
    """Where the camera was, from the last known position before and the first after, if any."""
    if before is None and after is None:
        return None
    if before is None or after is None:
        return _beside(before or after, math.inf, speed, pace)  # type: ignore[arg-type]
    gap = after.seconds - before.seconds
    way = distance_m(before.position, after.position)
    if way > max(FASTEST_WALK * gap, 200) + 100:
        nearest = min(before, after, key=lambda fix: abs(fix.seconds))
        return _beside(nearest, gap, speed, pace)
    share = -before.seconds / gap if gap > 0 else 0.5
    away = gap * share * (1 - share)
    # One may go far and be back; in a day, not in an hour's walk.
    journey = JOURNEYS_AN_HOUR / 3600 * away if gap > HOURS_OF_PAIRS * 3600 else 0.0
    scale = math.hypot(speed * away**SPREAD, pace * away)
    # A receiver errs alike from minute to minute: two errors do not make up for each other.
    error = (1 - share) * _error(before) + share * _error(after)
    return _located(between(before.position, after.position, share), [scale, error], journey)


def _beside(fix: Fix, gap: float, speed: float, pace: float) -> Located:
    """By one position alone; ``gap`` are the seconds in which a journey took place, if one did."""
    away = abs(fix.seconds)
    # It took part of that time: it began in the rest.
    rate = 2 / gap if math.isfinite(gap) else JOURNEYS_AN_HOUR / 3600
    return _located(
        fix.position, [speed * away**SPREAD, pace * away, _error(fix)], min(1.0, away * rate)
    )


def _located(position: tuple[float, float], scales: Iterable[float], journey: float) -> Located:
    scale = math.hypot(*scales)
    left = max(1e-9, (0.05 - journey) / (1 - journey)) if journey < UNSURE else 0.0
    far = scale * math.sqrt(-2 * math.log(left)) if left else math.inf
    return Located(position, RAYLEIGH_68 * scale, far, journey)


def _error(fix: Fix) -> float:
    """The scale of a receiver's error; phones state a radius of 68 %."""
    return max(8.0, min(fix.error_m / RAYLEIGH_68, 500.0)) if fix.error_m else GPS_ERROR_M
