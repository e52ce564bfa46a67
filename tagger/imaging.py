"""Bytes to pixels: scaled decode, orientation and resize, the one preprocessing there is."""

import functools
import io
import math
import struct
import warnings
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tagger import eighth
from tagger.errors import DamagedError, PhotoError, UnsupportedError

# Pillow warns of broken EXIF and truncated extras; here the pixels are what counts.
warnings.filterwarnings("ignore", module=r"PIL\.")
Image.MAX_IMAGE_PIXELS = None  # our own limit below, with a message that names the remedy
# A 300-megapixel panorama decodes scaled as JPEG; other formats decode in full, 3 bytes a pixel.
MAX_PIXELS = {"JPEG": 1_000_000_000, "MPO": 1_000_000_000}
MAX_PIXELS_UNSCALED = 200_000_000
# Scaled or not, libjpeg holds a progressive JPEG whole, at 3 to 6 bytes a pixel.
MAX_PIXELS_PROGRESSIVE = 100_000_000
# How much larger than the classifier's input a JPEG is decoded, at least. At edge 256, of 54 photos
# of real cameras 52 keep the best guess of decoding in full, as with 2, and no confidence moves by
# more than 0.010 (1.1: 50, 0.036); of 240 validation photos enlarged to 12 megapixels 238, with 2
# all, and none of the 294 is tagged otherwise. With 2, 12 megapixels take 2.2 times as long.
SPARE = 1.4
# Short side, and the most of the long one, of what local features are looked for in, in pixels.
DETAIL, LONGEST = 240, 510
# How photos begin that Pillow does not read: ISO/IEC 18181-2 (codestream, container), T.832.
_NOT_DECODED = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"II\xbc\x01": "JPEG XR",
}


class Resize(StrEnum):
    """How a photo of any shape becomes a square: cut to the centre, squeezed, or padded."""

    CROP = "crop"
    SQUASH = "squash"
    PAD = "pad"


@dataclass(frozen=True, slots=True)
class Views:
    """A photo as the classifier looks at it.

    Attributes:
        square: uint8 [3, S, S], RGB, for the network; see :func:`to_pixels`.
        grey: uint8 [H, W], DETAIL pixels or less at its short side, for local features.
    """

    square: NDArray[np.uint8]
    grey: NDArray[np.uint8]


def to_views(data: bytes, size: int, resize: Resize = Resize.CROP) -> Views:
    """Decode a photo, upright, to all that the classifier takes; as :func:`to_pixels`."""
    picture = open_upright(data, max(size, math.ceil(DETAIL / SPARE)))
    scale = min(1.0, DETAIL / min(picture.size), LONGEST / max(picture.size))
    shape = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    grey = picture.convert("L").resize(shape, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return Views(_channels_first(fit(picture, size, resize)), np.array(grey))


def to_pixels(data: bytes, size: int, resize: Resize = Resize.CROP) -> NDArray[np.uint8]:
    """Decode a photo to the classifier's input, upright.

    Args:
        data: the whole file (JPEG, PNG, TIFF, WebP; HEIC and AVIF where Pillow can).
        size: edge S of the square, in pixels.
        resize: how to get from the photo's shape to a square.

    Returns:
        uint8 array [3, S, S], RGB; in memory the channels come last, as networks are fastest.

    Raises:
        UnsupportedError: the format is not one this installation reads, or the photo is too big.
        PhotoError: the bytes are damaged.
    """
    return _channels_first(to_square(data, size, resize))


def _channels_first(picture: Image.Image) -> NDArray[np.uint8]:
    return np.array(picture).transpose(2, 0, 1)


def to_square(data: bytes, size: int, resize: Resize = Resize.CROP) -> Image.Image:
    """As :func:`to_pixels`, as an RGB picture of ``size`` x ``size``."""
    return fit(open_upright(data, size), size, resize)


def open_upright(data: bytes, size: int) -> Image.Image:
    """Decode to an upright RGB picture whose short side is at least ``size`` where it was.

    Orientation is EXIF tag 0x0112 (EXIF 2.32 section 4.6.4); a JPEG is decoded scaled, in the DCT
    domain, to the smallest of 1/1, 1/2, 1/4, 1/8 that keeps the short side at SPARE x ``size`` or
    more: 6 times faster at 12 megapixels, and the final resize still averages.
    """
    try:
        picture = _identified(data)
        kind, limit = picture.format, MAX_PIXELS.get(picture.format or "", MAX_PIXELS_UNSCALED)
        if picture.info.get("progressive"):
            kind, limit = "a progressive JPEG", MAX_PIXELS_PROGRESSIVE
        if picture.width * picture.height > limit:
            raise UnsupportedError(
                f"{picture.width} x {picture.height} pixels is beyond the limit of "
                f"{limit // 1_000_000} megapixels for {kind}; scale it down first"
            )
        # draft() keeps both sides at or above what is asked, so ask in proportion.
        scale = SPARE * size / min(picture.size)
        picture.draft("RGB", (round(picture.width * scale), round(picture.height * scale)))
        picture = _at_an_eighth(data, picture) or picture
        ImageOps.exif_transpose(picture, in_place=True)  # a copy would double the memory
        return _rgb(picture, size)
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except PhotoError:
        raise
    except MemoryError as error:
        raise UnsupportedError("not enough memory to decode it; scale it down first") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        TypeError,
        KeyError,
        IndexError,
        struct.error,
        AttributeError,
        ArithmeticError,
        EOFError,
    ) as error:
        raise DamagedError(
            f"damaged, cannot be decoded ({error}); restore it from a backup"
        ) from error


def _at_an_eighth(data: bytes, picture: Image.Image) -> Image.Image | None:
    """What Pillow would decode, where it would decode a plain JPEG to an eighth of its size."""
    if getattr(picture, "decoderconfig", ())[:1] != (8,):
        return None
    found = eighth.decode(data)
    if found is None:
        return None
    values, width, height, count = found
    small = Image.frombytes("RGB" if count == 3 else "L", (width, height), values)
    small.info = picture.info  # EXIF, with the orientation in it
    return small


def fit(picture: Image.Image, size: int, resize: Resize) -> Image.Image:
    """Scale an RGB picture of any shape to ``size`` x ``size`` by the given rule (bicubic)."""
    square, bicubic = (size, size), Image.Resampling.BICUBIC
    match resize:
        case Resize.SQUASH:
            return picture.resize(square, bicubic, reducing_gap=2.0)
        case Resize.PAD:
            return ImageOps.pad(picture, square, bicubic, color=(124, 116, 104))
        case Resize.CROP:
            return ImageOps.fit(picture, square, bicubic)


def _identified(data: bytes) -> Image.Image:
    """What Pillow opens; for HEIC its reader, where it is installed, is called in at need."""
    try:
        return Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        if data[4:8] != b"ftyp" or not _enable_heif():
            raise
        return Image.open(io.BytesIO(data))


def _rgb(picture: Image.Image, size: int) -> Image.Image:
    """Any mode to RGB: transparency over white, 16-bit scaled down, CMYK and grey converted.

    A large picture with transparency is first reduced, to no less than twice ``size``.
    """
    # Pillow clips values beyond 255 when it converts; scale to the range that is there.
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
        values *= 255 / max(float(values.max()), 1.0)
        picture = Image.fromarray(values.clip(0, 255, out=values).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = picture.reduce(max(1, min(picture.size) // (2 * size)))
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _unidentified(data: bytes) -> PhotoError:
    if not data.strip(b"\0"):  # all zeros is what a crash or a broken disk leaves of a file
        what = f"holds {len(data)} bytes of zeros" if data else "is empty (0 bytes)"
        return DamagedError(f"the file {what}; restore it from a backup")
    if data[4:8] == b"ftyp":
        return UnsupportedError(
            "HEIC/AVIF cannot be decoded here; install the extra: pip install 'landmark-tag[heic]'"
        )
    for start, name in _NOT_DECODED.items():
        if data.startswith(start):
            return UnsupportedError(f"{name} is not decoded here; export it as JPEG or PNG")
    return UnsupportedError("not a photo format that can be read; check the file or exclude it")


@functools.cache
def _enable_heif() -> bool:
    """Let Pillow read HEIC where pillow-heif is installed (extra ``heic``)."""
    try:
        import pillow_heif
    except ImportError:
        return False
    register: Any = pillow_heif.register_heif_opener
    register()
    return True
