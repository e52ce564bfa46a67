"""When and where a movie was taken, as QuickTime and MP4 say: the moving half of a Live Photo."""

import re
import struct

from tagger.blob import Block
from tagger.errors import RefusedError
from tagger.metadata.capture import Capture, seconds_of
from tagger.metadata.formats import cr3

MOST_MOOV = 1_000_000  # bytes of the box that describes a movie; of 3 seconds some 50,000
SINCE_1904 = 2_082_844_800  # seconds from there to 1970 (ISO/IEC 14496-12 section 8.2.2)
# In udta, and in Apple's keys (QuickTime file format, "Metadata"): ISO 6709, annex H.
_PLACES = (b"\xa9xyz", b"com.apple.quicktime.location.ISO6709")
_POINT = re.compile(rb"([+-]\d\d(?:\.\d{1,9})?)([+-]\d{3}(?:\.\d{1,9})?)[+-/]")
_TAKEN = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)([+-])(\d\d):?(\d\d)")


def movie(key: str, file: Block) -> Capture:
    """The facts of a movie; what is damaged or missing is left out."""
    try:
        box = next((b for b in cr3.boxes(file, 0, len(file)) if b[0] == b"moov"), None)
        if box is None or box[2] - box[1] > MOST_MOOV:
            return Capture(key, taken=False)
        moov = file[box[1] : box[2]]
        local, offset = _time(moov)
    except (RefusedError, struct.error):
        return Capture(key, taken=False)
    return Capture(key, local, offset, position=_position(moov), taken=False)


def _position(moov: bytes) -> tuple[float, float] | None:
    """The position; none where several differ."""
    if not any(sign in moov for sign in _PLACES):
        return None
    points = {(float(a), float(b)) for a, b in _POINT.findall(moov)} - {(0.0, 0.0)}
    if not points or any(abs(a) > 90 or abs(b) > 180 for a, b in points):
        return None
    latitudes, longitudes = zip(*points, strict=True)
    same = max(map(_spread, (latitudes, longitudes))) < 1e-3
    return min(points) if same else None


def _spread(numbers: tuple[float, ...]) -> float:
    return max(numbers) - min(numbers)


def _time(moov: bytes) -> tuple[float | None, float | None]:
    """Seconds since 1970 of the clock, and how far that is ahead of UTC."""
    if b"com.apple.quicktime.creationdate" in moov and (match := _TAKEN.search(moov)):
        ahead = int(match[3]) * 3600.0 + int(match[4]) * 60
        return seconds_of(match[1]), -ahead if match[2] == b"-" else ahead
    for kind, at, _ in cr3.boxes(moov, 0, len(moov)):
        if kind == b"mvhd":
            layout = ">Q" if moov[at] else ">I"
            (created,) = struct.unpack_from(layout, moov, at + 4)
            return (float(created - SINCE_1904), 0.0) if created > SINCE_1904 else (None, None)
    return None, None
