"""Clocks: how far a camera's clock is ahead of UTC, from its own photos, and how sure that is."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from tagger.metadata.capture import Capture

DAY, HOUR = 86_400.0, 3600.0
# A satellite's time stamp is that of the last fix, which may be old; and clocks drift.
AGREE = 180.0  # seconds
# A clock that was measured this long before or after still goes as it went then.
REMEMBERED = 7 * DAY
# A clock that began anew may be set only after the journey.
BEGUN = 31 * DAY
# Zones on land reach from UTC-12 to UTC+14; a clock may also be an hour or two off.
LEAST, MOST = -14 * HOUR, 15 * HOUR
# What a clock is off by if it was not set: daylight saving time not heeded, either way.
DAYLIGHT = (0.0, HOUR, -HOUR)


@dataclass(frozen=True, slots=True)
class Clock:
    """How many seconds a camera's clock was ahead of UTC when a photo was taken.

    ``stated`` is False where only the places of the camera's photos show it.
    """

    ahead: float
    stated: bool = True


def stated(photo: Capture) -> float | None:
    """Seconds ahead of UTC by the photo's own EXIF: its receiver's time, else OffsetTimeOriginal.

    The receiver's date may be a day off (Nikon Coolpix P6000); only its time of day is believed.

    >>> stated(Capture("a.jpg", local=1000 * 86400.0 + 7200, gps_time=1001 * 86400.0))
    7200.0
    """
    if photo.local is None:
        return None
    if photo.gps_time is not None:
        ahead = photo.local - photo.gps_time
        if not LEAST <= ahead <= MOST:
            ahead = (ahead + DAY / 2) % DAY - DAY / 2
        if photo.offset is not None:  # which hour is meant, where both are there
            ahead += round((photo.offset - ahead) / DAY) * DAY
        # Where it is minutes old, the position is, too: both were true at that moment.
        return ahead
    return photo.offset


def unset(photo: Capture) -> bool:
    """Whether a clock that nobody set, or a date typed by hand, may show such a time.

    With an empty battery cameras begin anew at 1 January of the year they were made in, each time.

    >>> unset(Capture("a.jpg", local=1104537900.0)), unset(Capture("a.jpg", local=1104624300.0))
    (True, False)
    """
    since = since_new_year(photo)
    return since is not None and (since < DAY or since % DAY == 0)


def since_new_year(photo: Capture) -> float | None:
    """Seconds since 1 January by a clock of which the photo says nothing; None if it does."""
    if photo.local is None or photo.offset is not None or photo.gps_time is not None:
        return None
    year = datetime.fromtimestamp(photo.local, UTC).year
    return photo.local - datetime(year, 1, 1, tzinfo=UTC).timestamp()


def measured(local: float, others: Sequence[tuple[float, float]]) -> float | None:
    """How far a clock was ahead of UTC at ``local``, by other photos of its camera.

    Args:
        others: (local, ahead) of these, nearest in time first.

    Returns:
        None where nothing tells, or where the clock was set in between.
    """
    near = [(other, ahead) for other, ahead in others if abs(other - local) <= REMEMBERED]
    sides = [
        [ahead for other, ahead in near if (other > local) is later][:3] for later in (False, True)
    ]
    middles = [statistics.median_low(side) for side in sides if side]
    if len(middles) == 1 and any(
        abs(ahead - middles[0]) > AGREE for side in sides for ahead in side
    ):
        return None
    # It was set in between, or travelled to another zone: nothing tells when.
    if not middles or max(middles) - min(middles) > AGREE:
        return None
    return statistics.mean(middles)


# Two people who photograph the same do so within a minute or two. So many of a camera's photos,
# taken at different times, must show the same clock, before the photo in question and after it (or
# so shortly on one side only), and twice as many as show any other clock meanwhile.
VIEWS_AGREE, VIEWS, VIEWS_APART, VIEWS_NEAR, AGAINST = 120.0, 3, 600.0, 3600.0, 2


def ahead_by_views(local: float, pairs: Iterable[tuple[float, float]]) -> float | None:
    """How far a camera's clock was ahead of UTC, by views that other cameras photographed too.

    Args:
        local: when, by the camera's own clock.
        pairs: when another photo of the camera was taken, and how far that is ahead of the UTC of
            the other camera's photo.

    >>> ahead_by_views(5000.0, [(0.0, 3600.0), (3600.0, 3640.0), (9000.0, 3620.0), (9000.0, 99.0)])
    3620.0
    """
    likely = sorted((ahead, other) for other, ahead in pairs if LEAST <= ahead <= MOST)
    best, most = None, VIEWS - 1
    for number, (ahead, _) in enumerate(likely):
        some = [pair for pair in likely[number:] if pair[0] - ahead <= VIEWS_AGREE]
        since, until = min(time for _, time in some), max(time for _, time in some)
        count = _moments(time for _, time in some)
        if count > most and since - VIEWS_NEAR <= local <= until + VIEWS_NEAR:
            others = [
                pair
                for pair in likely
                if since <= pair[1] <= until and not -1 <= pair[0] - ahead <= VIEWS_AGREE + 1
            ]
            if count >= AGAINST * _most_moments(others):
                best, most = statistics.median(pair[0] for pair in some), count
    return best


def _most_moments(likely: Sequence[tuple[float, float]]) -> int:
    """Of (ahead, local) in order, how many moments the best clock among them has."""
    return max(
        (
            _moments(time for other, time in likely[number:] if other - ahead <= VIEWS_AGREE)
            for number, (ahead, _) in enumerate(likely)
        ),
        default=0,
    )


def _moments(times: Iterable[float]) -> int:
    """How many times are VIEWS_APART from each other."""
    count, last = 0, -math.inf
    for time in sorted(times):
        if time - last >= VIEWS_APART:
            count, last = count + 1, time
    return count


class ClockSpan(NamedTuple):
    """Consecutive photos with the same clock offset: first and last UTC, and seconds ahead."""

    start: float
    end: float
    ahead: float


# Time zones differ by multiples of this; any other difference in a single photo comes from an
# outdated position.
QUARTER, OFF_QUARTER = 900.0, 60.0


def runs_of(rows: Iterable[tuple[float, float]]) -> list[ClockSpan]:
    """Group a camera's photos, as (utc, ahead) in order of UTC, by clock offset."""
    runs: list[ClockSpan] = []
    odd: ClockSpan | None = None
    for utc, ahead in rows:
        if runs and abs(ahead - runs[-1].ahead) <= AGREE:
            runs[-1], odd = runs[-1]._replace(end=max(utc, runs[-1].end)), None
            continue
        quarters = (ahead - runs[-1].ahead + QUARTER / 2) % QUARTER - QUARTER / 2 if runs else 0.0
        if abs(quarters) <= OFF_QUARTER:
            runs.append(ClockSpan(utc, utc, ahead))
            odd = None
        elif odd and abs(ahead - odd.ahead) <= AGREE:
            runs.append(odd._replace(end=utc))
            odd = None
        else:
            odd = ClockSpan(utc, utc, ahead)
    return runs


def readings(runs: Sequence[ClockSpan], local: float) -> list[float]:
    """Possible offsets from UTC of a clock that showed ``local``.

    The clock changed somewhere between one span and the next, so near a change a local time may
    stand for two moments, or for none.
    """
    offsets: list[float] = []
    for number, run in enumerate(runs):
        utc = local - run.ahead
        since = runs[number - 1].end if number else run.start - REMEMBERED
        until = runs[number + 1].start if number + 1 < len(runs) else run.end + REMEMBERED
        near = max(since, run.start - REMEMBERED) <= utc <= min(until, run.end + REMEMBERED)
        if near and all(abs(run.ahead - other) > AGREE for other in offsets):
            offsets.append(run.ahead)
    return offsets
