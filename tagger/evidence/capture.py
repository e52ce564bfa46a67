"""When and by which camera a photo was taken, and where if it says so."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capture:
    """The facts of one photo that time, tracks and clocks go by.

    Attributes:
        key: the photo.
        local: DateTimeOriginal with SubSec as seconds since 1970 of the camera's own clock, as if
            it were UTC; None where the photo does not say.
        offset: seconds that the clock is ahead of UTC, as OffsetTimeOriginal states it.
        gps_time: GPSDateStamp and GPSTimeStamp as seconds since 1970, UTC.
        camera: make, model and serial number, what tells cameras apart; empty where unknown.
        position: latitude, longitude in degrees; None where the photo has none.
        error_m: GPSHPositioningError in metres.
        taken: whether a camera took it: False for screenshots, scans, downloads and pictures that
            messengers stripped.
    """

    key: str
    local: float | None = None
    offset: float | None = None
    gps_time: float | None = None
    camera: str = ""
    position: tuple[float, float] | None = None
    error_m: float | None = None
    taken: bool = True
