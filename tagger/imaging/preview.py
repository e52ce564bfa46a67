"""The preview that a camera put into its raw file, as a JPEG with its orientation."""

import io
import struct
from collections.abc import Iterator

from PIL import Image

from tagger.blob import Block
from tagger.errors import RefusedError, UnsupportedError
from tagger.metadata import ifd
from tagger.metadata.formats import jpeg
from tagger.metadata.formats.raw import ORIENTATION, TIFF_HEADS
from tagger.metadata.formats.raw_block import Preview, Raw

# A JPEG of this many bytes has 1 to 2 megapixels, enough for the classifier: of several previews
# the smallest of at least this size is read.
ENOUGH = 150_000
MOST = 32_000_000  # bytes of a preview
PROBED = 4096  # bytes that distinguish the sensor's data from a picture
CARVED = 8_000_000  # bytes in which a JPEG is searched for if no directory names one
LEAST = 160  # pixels of the short side
_PLAIN, _LOSSLESS = (0xC0, 0xC1, 0xC2), 0xC3  # frames of JPEG that are pictures, and the sensor's


def picture(file: Block, raw: Raw) -> bytes:
    """The preview to classify: a JPEG with its orientation in EXIF.

    Raises:
        UnsupportedError: there is none, or none that is large enough.
    """
    for preview in _ordered(raw.previews):
        if preview.shape:
            data = _from_pixels(file, preview) if min(preview.shape) >= LEAST else b""
        elif _is_sensors(file[preview.start : preview.start + min(preview.size, PROBED)]):
            continue
        else:
            data = file[preview.start : preview.start + preview.size]
        if data and _short_side(data) >= LEAST:
            return _upright(data, raw.block)
    for data in _carved(file):
        return _upright(data, raw.block)
    raise UnsupportedError(
        f"the raw file has no preview of {LEAST} pixels or more; tag its JPEG, or export one"
    )


def _ordered(previews: tuple[Preview, ...]) -> list[Preview]:
    """The JPEGs that are large enough, smallest first, then the others, largest first."""
    fit = [one for one in previews if 0 < one.size <= MOST]
    return sorted(
        fit, key=lambda one: (one.shape is not None, one.size < ENOUGH)
        + ((one.size,) if one.size >= ENOUGH else (-one.size,))
    )  # fmt: skip


def _is_sensors(head: bytes) -> bool:
    """Whether a JPEG is lossless, as sensor data is, or no JPEG at all."""
    try:
        return not head.startswith(b"\xff\xd8") or any(
            part.marker == _LOSSLESS for part in jpeg.segments(head)
        )
    except RefusedError:
        return True


def _short_side(data: bytes) -> int:
    """The pixels of the short side of a JPEG that can be decoded; else 0."""
    try:
        for part in jpeg.segments(data) if data.startswith(b"\xff\xd8") else ():
            if part.marker in _PLAIN:
                bits, height, width = struct.unpack_from(">BHH", data, part.at)
                return min(width, height) if bits == 8 else 0
    except (RefusedError, struct.error):
        pass
    return 0


def _from_pixels(file: Block, preview: Preview) -> bytes:
    """An RGB picture as a JPEG; empty if it is truncated."""
    assert preview.shape
    data, out = file[preview.start : preview.start + preview.size], io.BytesIO()
    if len(data) < preview.size:
        return b""
    Image.frombytes("RGB", preview.shape, data).save(out, "JPEG", quality=95)
    return out.getvalue()


def _carved(file: Block) -> Iterator[bytes]:
    """The largest JPEG near the start of a TIFF-like file, as in Olympus' maker notes."""
    if not file[:4].startswith(TIFF_HEADS):
        return
    data, best, at = file[:CARVED], b"", 0
    while (at := data.find(b"\xff\xd8\xff", at)) >= 0:
        carved = _jpeg_at(data, at)
        best, at = max(best, carved, key=len), at + max(3, len(carved))
    if best:
        yield best


def _jpeg_at(data: bytes, at: int) -> bytes:
    rest = data[at : at + MOST]
    if _short_side(rest) < LEAST:
        return b""
    try:
        *_, scan = jpeg.segments(rest)
    except (RefusedError, ValueError):
        return b""
    end = rest.find(b"\xff\xd9", scan.at) if scan.marker == jpeg.SOS else -1
    return rest[: end + 2] if end >= 0 else b""


def _upright(data: bytes, block: bytes) -> bytes:
    """The JPEG with the raw file's orientation, unless it has one of its own."""
    own, turned = _orientation(jpeg.Jpeg(data).first_exif()), _orientation(block)
    if own or turned < 2:
        return data
    exif = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, ORIENTATION, 3, 1, turned, 0)
    segment = jpeg.EXIF + exif
    return b"".join((data[:2], struct.pack(">HH", 0xFFE1, len(segment) + 2), segment, data[2:]))


def _orientation(block: bytes) -> int:
    """The orientation (EXIF 2.32 section 4.6.4); 0 if there is none."""
    try:
        order, first = ifd.header(block)
        entry = ifd.read_ifd(block, order, first).find(ORIENTATION)
        value = ifd.number(block, order, entry) if entry else 0
    except (RefusedError, struct.error):
        return 0
    return value if value in range(1, 9) else 0
