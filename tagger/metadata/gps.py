"""The GPS directory: degrees, and which of the four states a photo's position is in."""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tagger.blob import Block
from tagger.errors import RefusedError
from tagger.metadata import ifd
from tagger.records import GpsState

# EXIF 2.32 section 4.6.6
VERSION, LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE = 0, 1, 2, 3, 4
ALTITUDE, SATELLITES, STATUS, MEASURE_MODE, DOP, MAP_DATUM = 6, 8, 9, 10, 11, 18
DEST_LATITUDE_REF, DEST_LATITUDE, DEST_LONGITUDE_REF, DEST_LONGITUDE = 19, 20, 21, 22
PROCESSING_METHOD, AREA_INFORMATION, POSITIONING_ERROR = 27, 28, 31
LOWEST_VERSION = b"\x02\x03\0\0"  # GPSHPositioningError came with it
MAX_POINTERS = 8  # to GPS directories, of which there should be one
MICRO = 60_000_000  # a degree in millionths of a minute: 1e-6 minute is 2 mm, 60.00 s cannot occur


@dataclass(frozen=True, slots=True)
class GpsReading:
    """The state of a photo's position, and in words what was found."""

    state: GpsState
    reason: str


class Field(NamedTuple):
    """One raw value of a GPS directory."""

    kind: int
    raw: bytes


EMPTY = GpsReading(GpsState.EMPTY, "no GPS position")
ZEROED = GpsReading(GpsState.EMPTY, "its GPS position is zeroed")
EMPTY_FIELD = Field(0, b"")


def to_rationals(degrees: float) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Degrees, sign dropped, as EXIF degrees, minutes and seconds; exact to 1e-8 degrees."""
    whole, rest = divmod(round(abs(degrees) * MICRO), MICRO)
    minutes, micro = divmod(rest, 1_000_000)
    return (whole, 1), (minutes, 1), (micro * 6, 100_000)


def is_zero(degrees: float) -> bool:
    """Whether the degrees are written as 0."""
    return round(abs(degrees) * MICRO) == 0


def to_xmp(degrees: float, letters: str) -> str:
    """Degrees as ``DDD,MM.mmmmmmk`` (XMP part 2, GPSCoordinate); ``letters`` is NS or EW."""
    whole, rest = divmod(round(abs(degrees) * MICRO), MICRO)
    minutes, micro = divmod(rest, 1_000_000)
    return f"{whole},{minutes}.{micro:06d}{letters[degrees < 0]}"


def from_xmp(text: str) -> float:
    """Degrees from ``DDD,MM.mmk``, ``DDD,MM,SSk`` or plain decimal degrees.

    Raises:
        ValueError: none of these, or out of range.
    """
    text = text.strip()[:64]
    letter = text[-1:].upper()
    if letter not in tuple("NSEW"):
        parts, letter = [text], "+"
    else:
        parts = text[:-1].split(",")
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"not a GPS coordinate: {text}")
    numbers = [float(part) for part in parts]
    degrees: float = numbers[0] + sum(part / 60**power for power, part in enumerate(numbers[1:], 1))
    limit = 90 if letter in "NS" else 180
    if not math.isfinite(degrees) or not -limit <= degrees <= limit or min([0, *numbers[1:]]) < 0:
        raise ValueError(f"not a GPS coordinate: {text}")
    return -degrees if letter in "SW" else degrees


def read(block: bytes) -> dict[int, Field] | None:
    """The fields of the block's GPS directory by tag, or None where it has no such directory.

    Raises:
        BeyondError: the directory or a value lies outside the block.
        RefusedError: the block is no TIFF block, or points to its GPS directory in a wrong way.
    """
    order, first = ifd.header(block)
    if first == 0:
        return None
    entry = ifd.read_ifd(block, order, first).find(ifd.GPS_IFD)
    return None if entry is None else fields_at(block, order, entry)


def pointers(block: Block) -> Iterator[ifd.IfdEntry]:
    """The entries of any directory of the block that point to a GPS directory, IFD0's first.

    The standard has the pointer in IFD0; others put it in the Exif directory, the thumbnail's
    (IFD1) or that of a further page, and readers follow it there.

    Raises:
        RefusedError: the block's directories cannot be followed to the end.
    """
    (_, first), count = ifd.header(block), 0
    for name, directory in ifd.directories(block) if first else ():
        for entry in directory.entries:
            if entry.tag == ifd.GPS_IFD and not name.endswith(f"/{ifd.GPS_IFD:04x}"):
                count += 1
                if count > MAX_POINTERS:
                    raise RefusedError("its EXIF points to GPS tags in many ways; repair the EXIF")
                yield entry


def everywhere(block: bytes) -> Iterator[dict[int, Field]]:
    """The fields of every GPS directory of the block.

    Raises:
        RefusedError: as :func:`pointers` and :func:`read`.
    """
    order, _ = ifd.header(block)
    for entry in pointers(block):
        yield fields_at(block, order, entry)


def fields_at(block: Block, order: str, pointer: ifd.IfdEntry) -> dict[int, Field]:
    """The fields of the GPS directory that an entry points to.

    Raises:
        RefusedError: as :func:`read`.
    """
    if pointer.kind not in (4, 13) or pointer.items != 1:
        raise RefusedError("the pointer to the GPS directory has a wrong type; repair the EXIF")
    directory = ifd.read_ifd(block, order, pointer.offset)
    if ifd.extent(directory) > ifd.MAX_OVERLAP * len(block):
        raise ifd.BeyondError("the values of its GPS directory overlap")
    return {entry.tag: Field(entry.kind, ifd.value(block, entry)) for entry in directory.entries}


def judge(fields: Mapping[int, Field], order: str) -> GpsReading:
    """The state of a GPS directory.

    Both coordinates exactly 0 is `empty` unless the directory shows that a receiver had a fix:
    Android redacts by zeroing values and references (0/0, reference NUL), and cameras without a
    fix leave 0/1. A single 0 is the equator or the Greenwich meridian.
    """
    try:
        camera = _pair(fields, order, LATITUDE_REF, LONGITUDE_REF)
        if camera is None or (camera == (0, 0) and not _had_fix(fields, order)):
            subject = _pair(fields, order, DEST_LATITUDE_REF, DEST_LONGITUDE_REF)
            if subject is not None and subject != (0, 0):
                return GpsReading(GpsState.VALID, "carries the position of its subject")
            return EMPTY if camera is None else ZEROED
    except ValueError as error:
        return GpsReading(GpsState.MALFORMED, f"{error}; correct or remove its GPS tags")
    if fields.get(STATUS, EMPTY_FIELD).raw[:1] == b"V":
        return GpsReading(GpsState.VOID, "its GPS position is marked void (GPSStatus V)")
    return GpsReading(GpsState.VALID, "carries a GPS position")


def positions(
    fields: Mapping[int, Field], order: str, subject: bool = True
) -> Iterator[tuple[float, float]]:
    """Camera and then ``subject`` position in degrees (latitude, longitude); zeroed ones are none.

    Raises:
        ValueError: a coordinate is malformed.
    """
    both = ((LATITUDE_REF, LONGITUDE_REF), (DEST_LATITUDE_REF, DEST_LONGITUDE_REF))
    for refs in both if subject else both[:1]:
        pair = _pair(fields, order, *refs)
        if pair is not None and (pair != (0, 0) or _had_fix(fields, order)):
            yield pair


def _pair(
    fields: Mapping[int, Field], order: str, latitude_ref: int, longitude_ref: int
) -> tuple[float, float] | None:
    latitude, longitude = fields.get(latitude_ref + 1), fields.get(longitude_ref + 1)
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        raise ValueError("has one GPS coordinate without the other")
    shown = _numerators(latitude, order), _numerators(longitude, order)
    if not any(shown):
        return 0.0, 0.0
    return (
        _angle(latitude, order, fields.get(latitude_ref, EMPTY_FIELD), b"NS", 90),
        _angle(longitude, order, fields.get(longitude_ref, EMPTY_FIELD), b"EW", 180),
    )


def _numerators(field: Field, order: str) -> bool:
    """Whether any numerator of three rationals is other than zero."""
    if field.kind not in (5, 10) or len(field.raw) != 24:
        raise ValueError("has a GPS coordinate that is not three rationals")
    return any(struct.unpack(order + "6I", field.raw)[::2])


def _angle(field: Field, order: str, ref: Field, letters: bytes, limit: int) -> float:
    layout = order + ("6i" if field.kind == 10 else "6I")
    numbers: tuple[int, ...] = struct.unpack(layout, field.raw)
    if 0 in numbers[1::2]:
        raise ValueError("has a GPS coordinate that divides by zero")
    degrees, minutes, seconds = (numbers[i] / numbers[i + 1] for i in (0, 2, 4))
    angle = degrees + minutes / 60 + seconds / 3600
    if min(degrees, minutes, seconds) < 0 or angle > limit:
        raise ValueError(f"has a GPS coordinate of {angle:.6g} degrees")
    letter = ref.raw[:1].upper()
    if not letter or letter not in letters:
        raise ValueError("has a GPS coordinate without its hemisphere")
    return -angle if letter == letters[1:] else angle


def _had_fix(fields: Mapping[int, Field], order: str) -> bool:
    """Whether a position of 0, 0 is backed by signs of a real fix, and is a number at all."""
    for ref, letters in ((LATITUDE_REF, b"NS"), (LONGITUDE_REF, b"EW")):
        letter = fields.get(ref, EMPTY_FIELD).raw[:1]
        if not letter or letter not in letters:
            return False
        if 0 in struct.unpack(order + "6I", fields[ref + 1].raw)[1::2]:
            return False
    if fields.get(STATUS, EMPTY_FIELD).raw[:1] == b"A":
        return True
    if fields.get(MEASURE_MODE, EMPTY_FIELD).raw[:1] in (b"2", b"3"):
        return True
    if fields.get(SATELLITES, EMPTY_FIELD).raw.strip(b"\0 0"):
        return True
    return any(any(fields.get(tag, EMPTY_FIELD).raw[:4]) for tag in (ALTITUDE, DOP))
