"""Clocks: how far a camera's clock is ahead of UTC, from its own photos, and how sure that is."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tagger.metadata.capture import Capture

DAY, HOUR = 86_400.0, 3600.0
# A satellite's time stamp is that of the last fix, which may be old; and clocks drift.
AGREE = 180.0  # seconds
# A clock that was measured this long before or after still goes as it went then.
REMEMBERED = 7 * DAY
# Zones on land reach from UTC-12 to UTC+14; a clock may also be an hour or two off.
LEAST, MOST = -14 * HOUR, 15 * HOUR
# What a clock is off by if it was not set: daylight saving time not heeded, either way.
DAYLIGHT = (0.0, HOUR, -HOUR)


@dataclass(frozen=True, slots=True)
class Clock:
    """How many seconds a camera's clock was ahead of UTC when a photo was taken.

    ``how`` tells where that is known from, for a person.
    """

    ahead: float
    how: str


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


def clock_of(photo: Capture, known: Sequence[tuple[float, float]]) -> Clock | None:
    """The clock when ``photo`` was taken; None where nothing tells.

    Args:
        known: (local, ahead) of the camera's other photos, nearest in time first.
    """
    ahead = stated(photo)
    if ahead is not None:
        return Clock(ahead, "as its EXIF states")
    if photo.local is None:
        return None
    near = [(local, ahead) for local, ahead in known if abs(local - photo.local) <= REMEMBERED]
    sides = [
        [ahead for local, ahead in near if (local > photo.local) is later][:3]
        for later in (False, True)
    ]
    middles = [statistics.median_low(side) for side in sides if side]
    if len(middles) == 1 and any(
        abs(ahead - middles[0]) > AGREE for side in sides for ahead in side
    ):
        return None
    # It was set in between, or travelled to another zone: nothing tells when.
    if not middles or max(middles) - min(middles) > AGREE:
        return None
    middle = statistics.mean(middles)
    return Clock(middle, "as measured on this camera's photos with GPS time")
