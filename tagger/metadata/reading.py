"""The GPS question, asked of a photo's first bytes: which state is its position in?"""

import re
from collections.abc import Iterator

from tagger.errors import RefusedError
from tagger.metadata import gps, ifd, inside, own_tag, xmp, xmp_packet
from tagger.metadata.formats import detect
from tagger.metadata.formats.container import Blocks
from tagger.metadata.formats.detect import Head
from tagger.metadata.gps import GpsReading
from tagger.metadata.own_tag import Record
from tagger.records import GpsState, Provenance

HEAD_BYTES = 131_072  # one full EXIF segment and one full XMP segment of 64 KB each
POSITION_WORD = b"Latitude"
WIDE_WORDS = tuple("Latitude".encode(code) for code in ("utf-16-le", "utf-32-le"))  # or big-endian
GPS_POINTERS = {  # by byte order, an entry that points to a GPS directory, whatever its type
    "<": re.compile(rb"\x25\x88[\x01-\x0d]\0", re.S),
    ">": re.compile(rb"\x88\x25\0[\x01-\x0d]", re.S),
}
SURE_POINTERS = (b"\x25\x88\4\0\1\0\0\0", b"\x88\x25\0\4\0\0\0\1")  # one LONG, as it should be
UNCLEAR = GpsReading(
    GpsState.MALFORMED, "names a position in metadata that cannot be read; repair its metadata"
)


def gps_state(head: bytes, whole: bool = False) -> GpsReading | None:
    """As :func:`state_of`, of bytes: the first ``HEAD_BYTES``, or the ``whole`` file."""
    return state_of(Head(head, whole))


def state_of(head: Head) -> GpsReading | None:
    """The state of a photo's GPS position (JPEG, PNG, WebP, TIFF, HEIC, AVIF).

    Args:
        head: the first ``HEAD_BYTES`` of the file, or all of it.

    Returns:
        The reading, or None where these bytes do not settle it (never where they are all). Bytes
        that are no photo, or a photo too damaged to hold EXIF, have no position: `empty`, so that
        the decoder, which knows better what is wrong, gets to say so.
    """
    if head.format is detect.Format.BIG_TIFF:
        return GpsReading(GpsState.MALFORMED, "GPS in BigTIFF cannot be read; save it as TIFF")
    first = head.first_exif
    reading = usual = _exif_state(first)
    if reading.state is not GpsState.EMPTY:
        return reading  # of most photos that have a position, their other segments are not read
    blocks = head.blocks
    for block in blocks.exif:
        reading = usual if block == first else _exif_state(block)
        if reading.state is GpsState.EMPTY:
            reading = _unusual_state(block, reading)
        if reading.state is not GpsState.EMPTY:
            return reading
    for part in blocks.xmp:
        in_xmp = xmp_state(part)
        if in_xmp.state is not GpsState.EMPTY:
            return in_xmp
    if any(map(_names_position, blocks.odd)):
        return UNCLEAR
    return reading if blocks.settled or head.whole else None


def _exif_state(block: bytes) -> GpsReading:
    """What the GPS directory says that IFD0 points to, where the standard wants it."""
    order = _order(block)
    if (b"\x25\x88" if order == "<" else b"\x88\x25") not in block:
        return gps.EMPTY
    if not block.startswith((b"II*\0", b"MM\0*")):
        return gps.EMPTY
    try:
        fields = gps.read(block)
    except RefusedError as error:
        return GpsReading(GpsState.MALFORMED, str(error))
    return gps.EMPTY if fields is None else gps.judge(fields, order)


def _unusual_state(block: bytes, usual: GpsReading) -> GpsReading:
    """Positions elsewhere in an EXIF block: other directories, XMP inside it."""
    if not block.startswith((b"II*\0", b"MM\0*")):
        return UNCLEAR if _names_position(block) else usual
    if GPS_POINTERS[_order(block)].search(block):
        reading = _directories_state(block)
        if reading.state is not GpsState.EMPTY:
            return reading
    if POSITION_WORD not in block and b"8BIM" not in block and WIDE_WORDS[0] not in block:
        return usual
    states = [xmp_state(packet) for packet in inside.packets(block)]
    states += [_exif_state(copy) for copy in inside.copies(block)]
    return next((state for state in states if state.state is not GpsState.EMPTY), usual)


def _directories_state(block: bytes) -> GpsReading:
    """What all GPS directories say that any directory of an EXIF block points to."""
    order, pointers = _order(block), list[ifd.IfdEntry]()
    try:
        pointers += gps.pointers(block)
    except RefusedError as error:
        if sum(map(block.count, SURE_POINTERS)) > len(pointers):  # one is out of reach
            return GpsReading(GpsState.MALFORMED, str(error))
    for entry in pointers:
        try:
            reading = gps.judge(gps.fields_at(block, order, entry), order)
        except RefusedError as error:
            return GpsReading(GpsState.MALFORMED, str(error))
        if reading.state is not GpsState.EMPTY:
            return reading
    return gps.EMPTY


def _order(block: bytes) -> str:
    return "<" if block[:2] == b"II" else ">"


def _has_word(data: bytes) -> bool:
    """Whether they name a latitude, or a namespace (wgs84_pos) that is all about one."""
    if POSITION_WORD in data or b"wgs84_pos#" in data:
        return True
    return WIDE_WORDS[0] in data or WIDE_WORDS[1] in data


def _names_position(data: bytes) -> bool:
    """Whether bytes that are not understood point to GPS tags, or name a latitude."""
    return _has_word(data) or any(sign in data for sign in SURE_POINTERS)


def xmp_state(data: bytes) -> GpsReading:
    """The position in an XMP packet, in whichever property and however deep."""
    if not _has_word(data):
        return gps.EMPTY
    try:
        root = xmp_packet.parse(data)
        if xmp.positions(root) or xmp.has_other_position(root):
            return GpsReading(GpsState.VALID, "carries a GPS position in XMP")
    except RefusedError as error:
        return GpsReading(GpsState.MALFORMED, f"names a position in XMP, but {error}")
    except ValueError as error:
        return GpsReading(
            GpsState.MALFORMED, f"its XMP has a wrong position ({error}); correct or remove it"
        )
    return gps.EMPTY


def position(data: bytes) -> tuple[float, float] | None:
    """The camera's position, or else the subject's, in degrees (latitude, longitude).

    Read from a photo, EXIF before XMP, or from a sidecar; None where there is none.
    """
    return next(_positions(detect.blocks(data, True)), None)


def camera_position(data: bytes) -> tuple[float, float] | None:
    """As :func:`position`, of the camera alone."""
    return next(_positions(detect.blocks(data, True), subject=False), None)


def _positions(blocks: Blocks, subject: bool = True) -> Iterator[tuple[float, float]]:
    packets = list(blocks.xmp)
    for block in blocks.exif:
        order = _order(block)
        try:
            for fields in gps.everywhere(block):
                if gps.judge(fields, order).state in (GpsState.VALID, GpsState.VOID):
                    yield from gps.positions(fields, order, subject)
        except (RefusedError, ValueError):
            continue
        finally:
            packets += inside.packets(block) if _has_word(block) else []
    for part in packets:
        try:
            yield from xmp.positions(xmp_packet.parse(part), subject)
        except (RefusedError, ValueError):
            continue


def provenance(data: bytes) -> Provenance | None:
    """Who tagged this photo or sidecar, if it was us."""
    known = next(records(data), None)
    return known.provenance if known else None


def records(data: bytes) -> Iterator[Record]:
    """Our records in a photo or sidecar: XMP's, which is the fuller, before EXIF's."""
    blocks = detect.blocks(data, True)
    for stated in [*map(in_xmp, blocks.xmp), *map(in_exif, blocks.exif)]:
        if stated is not None:
            yield stated


def in_xmp(data: bytes | None) -> Record | None:
    """Our record in an XMP packet, or None."""
    if data is None or xmp_packet.OURS.encode() not in data:
        return None
    try:
        return xmp.record(xmp_packet.parse(data))
    except RefusedError:
        return None


def in_exif(block: bytes | None) -> Record | None:
    """Our record in GPSProcessingMethod, or None."""
    if block is None or own_tag.TOOL.encode() not in block:
        return None
    try:
        fields = gps.read(block) or {}
    except RefusedError:
        return None
    return own_tag.from_method(fields.get(gps.PROCESSING_METHOD, gps.EMPTY_FIELD).raw)
