"""The resolution that a photo states outside EXIF, for a first EXIF block to state as well."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from tagger.errors import RefusedError
from tagger.metadata import xmp_packet

INCH, CENTIMETRE = 2, 3  # EXIF's ResolutionUnit
PHOTOSHOP = b"Photoshop 3.0\0"
RESOURCE, RESOLUTION_INFO = b"8BIM", 0x03ED  # Adobe Photoshop File Formats, Image Resource IDs
TIFF_NAMES = tuple(
    "http://ns.adobe.com/tiff/1.0/" + name for name in ("XResolution", "YResolution")
)
TIFF_UNIT = "http://ns.adobe.com/tiff/1.0/ResolutionUnit"
LARGEST = (1 << 32) - 1  # of a rational's two numbers


class Density(NamedTuple):
    """Pixels per unit, across and down, and EXIF's number of the unit."""

    x: Fraction
    y: Fraction
    unit: int


def made(x: Fraction, y: Fraction, unit: int) -> Density | None:
    """A density, or None where EXIF could not state it."""
    numbers = (x.numerator, x.denominator, y.numerator, y.denominator)
    fits = all(0 < number <= LARGEST for number in numbers)
    return Density(x, y, unit) if fits and unit in (INCH, CENTIMETRE) else None


def of_jfif(payload: bytes) -> Density | None:
    """What a JFIF segment states; None where it has only a ratio (JFIF 1.02, page 5)."""
    if not payload.startswith(b"JFIF\0") or len(payload) < 12:
        return None
    unit, x, y = struct.unpack_from(">BHH", payload, 7)
    return made(Fraction(x), Fraction(y), unit + 1)


def of_photoshop(payload: bytes) -> Density | None:
    """What Photoshop's image resources state: always per inch, whatever unit is displayed."""
    if not payload.startswith(PHOTOSHOP):
        return None
    for number, body in _resources(payload[len(PHOTOSHOP) :]):
        if number == RESOLUTION_INFO and len(body) >= 12:
            x, y = struct.unpack_from(">I4xI", body)  # 16 bits, and 16 behind the point
            return made(Fraction(x, 1 << 16), Fraction(y, 1 << 16), INCH)
    return None


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and body of each resource, up to the first that does not parse."""
    at = 0
    while at + 12 <= len(data) and data.startswith(RESOURCE, at):
        (number,) = struct.unpack_from(">H", data, at + 4)
        name = 1 + data[at + 6]
        at += 6 + name + name % 2
        if at + 4 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, at)
        at += 4
        yield number, data[at : at + length]
        at += length + length % 2


def of_xmp(text: bytes | None) -> Density | None:
    """What a packet states in XMP's tiff namespace (XMP part 2 section 3.2)."""
    if text is None or b"XResolution" not in text:
        return None
    try:
        root = xmp_packet.parse(text)
    except RefusedError:
        return None
    stated: dict[str, str] = {}
    for node in root.children:
        stated |= xmp_packet.fields(node)
    try:
        x, y = (Fraction(stated[name].strip()[:32]) for name in TIFF_NAMES)
        return made(x, y, int(stated.get(TIFF_UNIT, INCH)))
    except (KeyError, ValueError, ZeroDivisionError):
        return None
