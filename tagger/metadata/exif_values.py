"""What a tag says, as EXIF values: the one place that decides which tags are written."""

import functools
import struct

import piexif

from tagger.errors import RefusedError
from tagger.metadata import gps, ifd
from tagger.records import CameraPosition, Coords, Landmark, Position, Source, Tag

IMAGE_DESCRIPTION = 0x010E
CAMERA_GPS = frozenset(
    (
        *range(gps.VERSION, gps.LONGITUDE + 1),
        gps.MAP_DATUM,
        gps.PROCESSING_METHOD,
        gps.POSITIONING_ERROR,
    )
)
SUBJECT_GPS = frozenset(
    (*range(gps.DEST_LATITUDE_REF, gps.DEST_LONGITUDE + 1), gps.AREA_INFORMATION)
)
LARGEST_RADIUS_M = 20_037_508  # half way around the Earth


def check(tag: Tag) -> None:
    """Refuse what cannot be written as it is.

    Raises:
        RefusedError: coordinates or radius out of range, a name with stray white space, or no
            position that may be written.
    """
    if tag.landmark is not None:
        _check_landmark(tag.landmark)
    if tag.camera is not None:
        _check_camera(tag.camera)
    if tag.landmark is None and tag.coords is Coords.SUBJECT:
        raise RefusedError(
            "only the camera's position is known, which --coords subject leaves out; use "
            "--coords both"
        )


def _check_landmark(place: Landmark) -> None:
    if not _possible(place.latitude, place.longitude) or place.radius_m < 0:
        raise RefusedError(f"landmark {place.slug} has impossible coordinates; correct its row")
    if not place.name or place.name != " ".join(place.name.split()):
        raise RefusedError(f"landmark {place.slug} has no proper name; correct its row")
    if not all(text.isprintable() for text in (place.name, place.city, place.region)):
        raise RefusedError(f"landmark {place.slug} has control characters; correct its row")


def _check_camera(place: CameraPosition) -> None:
    if place.source is Source.LANDMARK:
        raise RefusedError("a landmark does not give a camera position; please report this")
    if not _possible(place.latitude, place.longitude):
        raise RefusedError(f"{place.source} gives an impossible position; correct its files")
    # Everybody, we too, reads 0, 0 as a position that is missing; sources that lack one say it.
    if gps.is_zero(place.latitude) and gps.is_zero(place.longitude):
        raise RefusedError(f"{place.source} gives 0, 0, which is no position; correct its files")
    if not 0 < place.radius_m <= LARGEST_RADIUS_M:
        raise RefusedError(f"{place.source} gives no radius for its position; please report this")


def _possible(latitude: float, longitude: float) -> bool:
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


def own_gps(named: bool) -> frozenset[int]:
    """The GPS tags of a tag: the camera's, and the subject's too where it names a landmark."""
    return CAMERA_GPS | SUBJECT_GPS if named else CAMERA_GPS


def gps_values(tag: Tag, order: str, method: str) -> tuple[ifd.Value, ...]:
    """The GPS directory of ``tag`` in byte order ``order``, with ``method`` as its record."""
    raw = _charset(method, order)
    processing = ifd.Value(gps.PROCESSING_METHOD, 7, len(raw), raw)
    name = tag.landmark.name if tag.landmark else ""
    return (*_of_place(tag.camera_point, tag.subject_point, tag.radius_m, name, order), processing)


@functools.lru_cache(maxsize=128)
def _of_place(
    camera: Position | None, subject: Position | None, radius_m: int, name: str, order: str
) -> tuple[ifd.Value, ...]:
    """What all photos of a place have alike, built by piexif.

    GPSLatitude is the camera, GPSDestLatitude the subject (MWG guidelines 2.0 section 5.6).
    """
    values: dict[int, object] = {
        gps.VERSION: (2, 3, 0, 0),
        gps.MAP_DATUM: b"WGS-84",
        gps.POSITIONING_ERROR: (radius_m, 1),
    }
    if name:
        values[gps.AREA_INFORMATION] = _charset(name, order)
    for first, place in ((gps.LATITUDE_REF, camera), (gps.DEST_LATITUDE_REF, subject)):
        if place is not None:
            values |= {
                first: "NS"[place.latitude < 0].encode(),
                first + 1: gps.to_rationals(place.latitude),
                first + 2: "EW"[place.longitude < 0].encode(),
                first + 3: gps.to_rationals(place.longitude),
            }
    return tuple(_from_piexif(piexif.dump({"GPS": values})[6:], order))


def description(name: str) -> ifd.Value:
    """ImageDescription: the landmark's name, UTF-8 where it is not ASCII (MWG section 3.1)."""
    raw = name.encode() + b"\0"
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
