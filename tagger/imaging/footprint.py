"""Estimates the memory that decoding a photo takes, before it is decoded; pictures in bands."""

from collections.abc import Callable, Iterator

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from tagger.errors import UnsupportedError
from tagger.imaging.room import MOST
from tagger.metadata.formats import jpeg

# Bytes a pixel, copies included, measured with pillow 13.0 and pillow-heif 1.8 at 24 megapixels.
PIXEL = {"WEBP": 16.3, "AVIF": 12, "HEIF": 8}
BAND = 2_000_000  # pixels that are converted at a time
STRIPS = 8_000_000  # pixels from which an uncompressed TIFF is decoded band by band
# Modes that Pillow holds in less than 4 bytes a pixel.
NARROW = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
# From the first row to the one before the last.
Rows = Callable[[int, int], Image.Image]


def check(size: tuple[int, int], kind: str, taken: int, file: int) -> None:
    """Check that a photo fits into the memory for all photos.

    Raises:
        UnsupportedError: it does not.
    """
    if taken + file > MOST:
        raise UnsupportedError(
            f"{size[0]} x {size[1]} pixels of {kind} take {(taken + file) / 1e6:,.0f} MB of memory "
            f"to decode, the limit is {MOST / 1e6:.0f} MB; scale it down first, or export a JPEG"
        )


def decoded(picture: Image.Image, frame: jpeg.Frame | None) -> int:
    """Bytes that a picture takes that is opened but not loaded; ``frame`` is a JPEG's."""
    kind, pixels = picture.format or "", picture.width * picture.height
    if kind in PIXEL:
        return round(pixels * PIXEL[kind])
    taken = pixels * NARROW.get(picture.mode, 4)
    if kind == "JPEG":
        return taken + (_coefficients(frame, "progressive" in picture.info) if frame else 0)
    if isinstance(picture, TiffImageFile):
        turned = picture.getexif().get(0x0112, 1) != 1  # Pillow rotates a copy
        return taken * (2 if turned else 1) + _strip(picture)
    return 2 * taken if kind == "GIF" else taken


def _coefficients(frame: jpeg.Frame, progressive: bool) -> int:
    """What libjpeg keeps of a JPEG in several scans, whatever the scale: 2 bytes for each value."""
    if frame.one_scan and not progressive:
        return 0
    across, down = max(h for h, _ in frame.sampling), max(v for _, v in frame.sampling)
    if not across or not down:
        return 0  # no decoder accepts it either
    values = sum(h * v / (across * down) for h, v in frame.sampling)
    return round(2 * frame.width * frame.height * values)


def _strip(picture: TiffImageFile) -> int:
    """The largest strip or tile of a compressed TIFF, which libtiff holds in addition."""
    tags = picture.tag_v2
    if all(tile[0] == "raw" for tile in picture.tile):
        return 0
    width = int(tags.get(322) or picture.width)
    rows = int(tags.get(323) or min(int(tags.get(278) or picture.height), picture.height))
    return width * rows * max(4, row_bits(picture) // 8)


def row_bits(picture: TiffImageFile) -> int:
    """Bits of one pixel in the file."""
    bits, count = picture.tag_v2.get(258, (1,)), picture.tag_v2.get(277, 1)
    return sum(bits) if len(bits) > 1 else bits[0] * count


def of_loaded(picture: Image.Image) -> Rows:
    """Bands of a picture that is in memory as a whole."""
    return lambda top, end: picture.crop((0, top, picture.width, end))


def of_tiff(picture: Image.Image, data: bytes) -> Rows | None:
    """Bands of a large uncompressed TIFF, decoded one by one; None if it must be decoded whole.

    TIFF photos of 45 megapixels and more are usually of this kind, with 16 bits.
    """
    if not isinstance(picture, TiffImageFile) or picture.width * picture.height < STRIPS:
        return None
    mode, tiles = picture.mode, picture.tile
    row = (picture.width * row_bits(picture) + 7) // 8
    at = start = tiles[0][2] if tiles else 0
    top = 0
    for codec, box, offset, args in tiles:
        if box is None:
            return None
        plain = codec == "raw" and isinstance(args, tuple) and args[1:] == (0, 1)
        across = (box[0], box[1], box[2]) == (0, top, picture.width)
        if not (plain and across and offset == at and args == tiles[0][3]):
            return None
        at, top = at + row * (box[3] - top), box[3]
    if mode not in ("L", "RGB", "RGBA", "CMYK", "I;16", "I;16B") or top != picture.height:
        return None
    arguments = tiles[0][3]
    rawmode = arguments[0] if isinstance(arguments, tuple) else ""

    def band(top: int, end: int) -> Image.Image:
        part = data[start + top * row : start + end * row]
        return Image.frombytes(mode, (picture.width, end - top), part, "raw", rawmode, 0, 1)

    return band


def bands(rows: Rows, size: tuple[int, int], multiple: int) -> Iterator[tuple[int, Image.Image]]:
    """The whole picture from the top, BAND pixels at a time, and the first row of each band."""
    each = max(multiple, BAND // size[0] // multiple * multiple)
    for top in range(0, size[1], each):
        yield top, rows(top, min(size[1], top + each))
