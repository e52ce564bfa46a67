"""The GPS question, asked of a photo's first bytes: which state is its position in?"""

from collections.abc import Iterator

from tagger.errors import RefusedError
from tagger.metadata import gps, jpeg
from tagger.metadata.gps import GpsReading
from tagger.records import GpsState

HEAD_BYTES = 131_072  # one full EXIF segment and one full XMP segment of 64 KB each


class Blocks:
    """What a file holds of EXIF and XMP; ``settled`` is False where the head may hide more."""

    def __init__(self, exif: list[bytes], xmp: list[bytes], settled: bool) -> None:
        self.exif, self.xmp, self.settled = exif, xmp, settled


def gps_state(head: bytes, whole: bool = False) -> GpsReading | None:
    """The state of a photo's GPS position (JPEG).

    Args:
        head: the first ``HEAD_BYTES`` of the file, or all of it.
        whole: ``head`` is all of it.

    Returns:
        The reading, or None where these bytes do not settle it (never with ``whole``). Bytes that
        are no photo, or a photo too damaged to hold EXIF, have no position: `empty`, so that the
        decoder, which knows better what is wrong, gets to say so.
    """
    blocks = _jpeg(head)
    reading = gps.EMPTY
    for block in blocks.exif:
        reading = _exif_state(block)
        if reading.state is not GpsState.EMPTY:
            return reading
    return reading if blocks.settled or whole else None


def _exif_state(block: bytes) -> GpsReading:
    order = "<" if block[:2] == b"II" else ">"
    if (b"\x25\x88" if order == "<" else b"\x88\x25") not in block:
        return gps.EMPTY
    try:
        fields = gps.read(block)
    except RefusedError as error:
        return GpsReading(GpsState.MALFORMED, str(error))
    return gps.EMPTY if fields is None else gps.judge(fields, order)


def _jpeg(data: bytes) -> Blocks:
    if not data.startswith(b"\xff\xd8"):
        return Blocks([], [], True)
    try:
        found = jpeg.scan(data)
    except RefusedError:
        return Blocks([], [], True)
    settled = bool(found.sos) and all(part.end <= len(data) for part in found.exif)
    return Blocks([data[part.at + 6 : part.end] for part in found.exif], [], settled)


def position(data: bytes) -> tuple[float, float] | None:
    """The camera's position, or else the subject's, in degrees (latitude, longitude)."""
    for where in _positions(data):
        return where
    return None


def _positions(data: bytes) -> Iterator[tuple[float, float]]:
    for block in _jpeg(data).exif:
        try:
            fields = gps.read(block)
            yield from gps.positions(fields or {}, "<" if block[:2] == b"II" else ">")
        except (RefusedError, ValueError):
            continue
