"""What a tag says, as EXIF values: the one place that decides which tags are written."""

import functools
import struct

import piexif

from tagger.errors import RefusedError
from tagger.metadata import gps, ifd
from tagger.records import Coords, Landmark, Tag

IMAGE_DESCRIPTION = 0x010E
OWN_GPS = frozenset(
    (
        *range(gps.VERSION, gps.LONGITUDE + 1),
        *range(gps.MAP_DATUM, gps.DEST_LONGITUDE + 1),
        gps.PROCESSING_METHOD,
        gps.AREA_INFORMATION,
        gps.POSITIONING_ERROR,
    )
)


def check(tag: Tag) -> None:
    """Refuse what cannot be written as it is.

    Raises:
        RefusedError: coordinates or radius out of range, or a name with stray white space.
    """
    place = tag.landmark
    if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180 and place.radius_m >= 0):
        raise RefusedError(f"landmark {place.slug} has impossible coordinates; correct its row")
    if not place.name or place.name != " ".join(place.name.split()):
        raise RefusedError(f"landmark {place.slug} has no proper name; correct its row")
    if not all(text.isprintable() for text in (place.name, place.city, place.region)):
        raise RefusedError(f"landmark {place.slug} has control characters; correct its row")


def gps_values(tag: Tag, order: str, method: str) -> tuple[ifd.Value, ...]:
    """The GPS directory of ``tag`` in byte order ``order``, with ``method`` as its record."""
    raw = _charset(method, order)
    said = ifd.Value(gps.PROCESSING_METHOD, 7, len(raw), raw)
    return (*_of_place(tag.landmark, tag.coords, order), said)


@functools.lru_cache(maxsize=128)
def _of_place(place: Landmark, coords: Coords, order: str) -> tuple[ifd.Value, ...]:
    """What all photos of a landmark have alike, built by piexif.

    GPSLatitude is the camera, GPSDestLatitude the subject (MWG guidelines 2.0 section 5.6).
    """
    position = (
        "NS"[place.latitude < 0].encode(),
        gps.to_rationals(place.latitude),
        "EW"[place.longitude < 0].encode(),
        gps.to_rationals(place.longitude),
    )
    values: dict[int, object] = {
        gps.VERSION: (2, 3, 0, 0),
        gps.MAP_DATUM: b"WGS-84",
        gps.AREA_INFORMATION: _charset(place.name, order),
        gps.POSITIONING_ERROR: (place.radius_m, 1),
    }
    if coords is not Coords.SUBJECT:
        values |= zip(range(gps.LATITUDE_REF, gps.LONGITUDE + 1), position, strict=True)
    if coords is not Coords.CAMERA:
        values |= zip(range(gps.DEST_LATITUDE_REF, gps.DEST_LONGITUDE + 1), position, strict=True)
    return tuple(_from_piexif(piexif.dump({"GPS": values})[6:], order))


def description(tag: Tag) -> ifd.Value:
    """ImageDescription: the landmark's name, UTF-8 where it is not ASCII (MWG section 3.1)."""
    raw = tag.landmark.name.encode() + b"\0"
    return ifd.Value(IMAGE_DESCRIPTION, 2, len(raw), raw)


def _charset(text: str, order: str) -> bytes:
    """EXIF 2.32 section 4.6.6: 8 bytes that name the character code, then the text."""
    if text.isascii():
        return b"ASCII\0\0\0" + text.encode()
    return b"UNICODE\0" + text.encode("utf-16-le" if order == "<" else "utf-16-be")


def _from_piexif(block: bytes, order: str) -> list[ifd.Value]:
    """piexif writes big-endian; the values of its GPS directory in ``order``."""
    first = ifd.read_ifd(block, ">", ifd.header(block)[1]).entries[0]
    values = []
    for entry in ifd.read_ifd(block, ">", first.offset).entries:
        raw = ifd.value(block, entry)
        if entry.kind == 5 and order == "<":
            words = struct.unpack(f">{entry.items * 2}I", raw)
            raw = struct.pack(f"<{entry.items * 2}I", *words)
        values.append(ifd.Value(entry.tag, entry.kind, entry.items, raw))
    return values
