"""When, where and by which camera a photo was taken, as the EXIF in its first bytes says."""

import calendar
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tagger.errors import RefusedError
from tagger.metadata import gps, ifd, own_tag
from tagger.metadata.formats.detect import Head
from tagger.records import GpsState

# EXIF 2.32 sections 4.6.4 and 4.6.5
MAKE, MODEL, EXIF_IFD = 0x010F, 0x0110, ifd.EXIF_IFD
TAKEN_AT, DIGITISED_AT = 0x9003, 0x9004
OFFSET, OFFSET_TAKEN = 0x9010, 0x9011
SUBSEC_TAKEN, OWNER, SERIAL, FILE_SOURCE = 0x9291, 0xA430, 0xA431, 0xA300
DNG_SERIAL = 0xC62F  # CameraSerialNumber, DNG 1.6
GPS_TIME, GPS_DATE = 7, 29
_TEXTS = frozenset(
    (
        MAKE,
        MODEL,
        TAKEN_AT,
        DIGITISED_AT,
        OFFSET,
        OFFSET_TAKEN,
        SUBSEC_TAKEN,
        OWNER,
        SERIAL,
        DNG_SERIAL,
    )
)
_DATE = re.compile(rb"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(rb"([+-])(\d\d):?(\d\d)")
_SCANNER = re.compile(r"scan|perfection|\bmfp\b", re.I)
# Cameras never set have stood at such dates since they were built.
FIRST_YEAR, LAST_YEAR = 1990, 2100


class Beside(NamedTuple):
    """What a file beside the photo states: its name, a position in degrees, seconds UTC."""

    name: str
    position: tuple[float, float] | None = None
    taken: float | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """The facts of one photo that time, tracks and clocks go by.

    Attributes:
        key: the photo.
        local: DateTimeOriginal with SubSec as seconds since 1970 of the camera's own clock, as if
            it were UTC; None where the photo does not say.
        offset: seconds that the clock is ahead of UTC, as OffsetTimeOriginal states it.
        gps_time: GPSDateStamp and GPSTimeStamp as seconds since 1970, UTC.
        camera: make, model, and serial number or owner's name; empty if unknown.
        position: latitude, longitude in degrees; None where the photo has none.
        error_m: GPSHPositioningError in metres.
        taken: whether a camera took it: False for screenshots, scans, downloads and pictures that
            messengers stripped.
        ours: whether the position was written by this tool, and so is evidence of nothing.
        beside: the photo's Takeout file.
    """

    key: str
    local: float | None = None
    offset: float | None = None
    gps_time: float | None = None
    camera: str = ""
    position: tuple[float, float] | None = None
    error_m: float | None = None
    taken: bool = True
    ours: bool = False
    beside: Beside | None = None


def capture(key: str, head: bytes, whole: bool = False) -> Capture:
    """As :func:`capture_of`, of bytes: the first ``HEAD_BYTES``, or the ``whole`` file."""
    return capture_of(key, Head(head, whole))


def capture_of(key: str, head: Head) -> Capture:
    """The facts in the first bytes of photo ``key``; what is damaged or missing is left out."""
    for block in _exif_of(head):
        try:
            order, first = ifd.header(block)
            values, pointer = _texts(block, order, first)
            if pointer:
                values |= _texts(block, order, pointer)[0]
        except (RefusedError, struct.error):
            continue
        return _of(key, block, order, values)
    return Capture(key, taken=False)


def _exif_of(head: Head) -> Iterator[bytes]:
    """The EXIF blocks; of most photos the first is enough, and the other segments are not read."""
    first = head.first_exif
    if first:
        yield first
    others = head.blocks.exif
    yield from others[1:] if first else others
    # Of a TIFF, what is read for its position has none to read.
    if not others and head.directories:
        yield head.directories


def _of(key: str, block: bytes, order: str, values: dict[int, bytes]) -> Capture:
    make, model = _text(values.get(MAKE)), _text(values.get(MODEL))
    # Which one of its model it is. A lens's serial number tells less: lenses are changed.
    ids = (_text(values.get(tag)) for tag in (SERIAL, DNG_SERIAL, OWNER))
    which = next((text for text in ids if text.strip("0 ")), "")
    # "Canon", "Canon EOS R5" is one name, not two.
    name = model if make and model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    scanned = values.get(FILE_SOURCE, b"\3")[:1] in (b"\1", b"\2") or bool(_SCANNER.search(name))
    position = error = gps_time = None
    ours = False
    try:
        fields = gps.read(block) or {}
        gps_time = _gps_time(fields, order)
        if gps.judge(fields, order).state is GpsState.VALID:
            position = _camera(fields, order)
            error = _rational(fields.get(gps.POSITIONING_ERROR), order)
            method = fields.get(gps.PROCESSING_METHOD, gps.EMPTY_FIELD).raw
            ours = own_tag.TOOL.encode() in method
    except (RefusedError, ValueError, struct.error):
        pass
    return Capture(
        key,
        seconds_of(values.get(TAKEN_AT) or values.get(DIGITISED_AT), values.get(SUBSEC_TAKEN)),
        _ahead(values.get(OFFSET_TAKEN) or values.get(OFFSET)),
        gps_time,
        f"{name} {which}".strip(),
        position,
        error,
        bool(name) and not scanned,
        ours,
    )


def _texts(block: bytes, order: str, offset: int) -> tuple[dict[int, bytes], int]:
    """The raw values asked for here of the directory at ``offset``, and where the Exif IFD is."""
    texts, pointer = {}, 0
    for entry in ifd.read_ifd(block, order, offset).entries:
        if entry.tag in _TEXTS and entry.size <= 200:
            texts[entry.tag] = block[entry.start : entry.start + entry.size]
        elif entry.tag == EXIF_IFD:
            pointer = entry.offset
        elif entry.tag == FILE_SOURCE:
            texts[entry.tag] = block[entry.start : entry.start + 1]
    return texts, pointer


def _text(raw: bytes | None) -> str:
    text = (raw or b"").split(b"\0")[0].decode("utf-8", "replace")
    return " ".join("".join(c for c in text if c.isprintable()).split())


def seconds_of(raw: bytes | None, subsec: bytes | None = None) -> float | None:
    """Seconds since 1970 of a date as EXIF writes it; None where it is none."""
    match = _DATE.match(raw or b"")
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    if not (FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    digits = re.match(rb"\s*(\d{1,9})", subsec or b"")
    # Some phones write microseconds as six digits with zeros before: 000678 is no 0.000678 s.
    fraction = float(b"0." + digits[1]) if digits else 0.0
    return calendar.timegm((year, month, day, hour, minute, second)) + fraction


def _ahead(raw: bytes | None) -> float | None:
    match = _OFFSET.match(raw or b"")
    if match is None:
        return None
    seconds = int(match[2]) * 3600 + int(match[3]) * 60
    return float(-seconds if match[1] == b"-" else seconds) if seconds <= 15 * 3600 else None


def _gps_time(fields: "dict[int, gps.Field]", order: str) -> float | None:
    date, clock = fields.get(GPS_DATE), fields.get(GPS_TIME)
    if date is None or clock is None or clock.kind != 5 or len(clock.raw) != 24:
        return None
    match = re.match(rb"(\d{4})[:-](\d\d)[:-](\d\d)", date.raw)
    numbers = struct.unpack(order + "6I", clock.raw)
    if match is None or 0 in numbers[1::2]:
        return None
    year, month, day = map(int, match.groups())
    hour, minute, second = (numbers[i] / numbers[i + 1] for i in (0, 2, 4))
    if not (FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    if hour >= 24 or minute >= 60 or second >= 61:
        return None
    midnight = calendar.timegm((year, month, day, 0, 0, 0))
    return float(midnight + hour * 3600 + minute * 60 + second)


def _camera(fields: "dict[int, gps.Field]", order: str) -> tuple[float, float] | None:
    """The camera's position alone; that of the subject says less of where the photo was taken."""
    if gps.LATITUDE not in fields:
        return None
    return next(gps.positions(fields, order), None)


def _rational(field: "gps.Field | None", order: str) -> float | None:
    if field is None or field.kind != 5 or len(field.raw) != 8:
        return None
    above, below = struct.unpack(order + "2I", field.raw)
    number = float(above) / float(below) if below else 0.0
    return number if 0 < number < 1e7 else None
