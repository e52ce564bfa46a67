"""Bytes to pixels: scaled decoding, orientation and resizing, the only preprocessing."""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from tagger.errors import UnsupportedError
from tagger.imaging import decoders, fast_jpeg, footprint, undecoded
from tagger.imaging.room import ROOM
from tagger.metadata.formats.detect import Head

Picture = Image.Image
# These limit time; footprint.py limits memory. A 300-megapixel panorama decodes scaled as JPEG.
MAX_PIXELS = {"JPEG": 1_000_000_000}
MAX_PIXELS_UNSCALED = 178_000_000  # from 178,956,971 pixels Pillow's TIFF decoder refuses
# libjpeg keeps a whole progressive JPEG in memory, scaled or not, at 3 to 6 bytes a pixel.
MAX_PIXELS_PROGRESSIVE = 100_000_000
# What makes a picture upright by its orientation (EXIF 2.32 section 4.6.4).
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
# How much larger than the classifier's input a JPEG is decoded, at least. At edge 256, of 54 photos
# of real cameras 52 keep the best guess of decoding in full, as with 2, and no confidence moves by
# more than 0.010 (1.1: 50, 0.036); of 240 validation photos enlarged to 12 megapixels 238, with 2
# all, and none of the 294 is tagged otherwise. With 2, 12 megapixels take 2.2 times as long.
SPARE = 1.4
# Short side and longest long side, in pixels, of the picture that local features are computed in.
DETAIL, LONGEST = 240, 510


class Resize(StrEnum):
    """How a photo of any shape becomes a square: cut to the centre, squeezed, or padded."""

    CROP = "crop"
    SQUASH = "squash"
    PAD = "pad"


@dataclass(frozen=True, slots=True)
class Views:
    """A photo as the classifier takes it.

    Attributes:
        square: uint8 [3, S, S], RGB, for the network; see :func:`to_pixels`.
        grey: uint8 [H, W], DETAIL pixels or less at its short side, for local features.
    """

    square: NDArray[np.uint8]
    grey: NDArray[np.uint8]


def to_views(data: bytes, size: int, resize: Resize = Resize.CROP) -> Views:
    """Decode a photo, upright, to everything that the classifier takes; see :func:`to_pixels`."""
    photo = Head(data, whole=True)
    return views_of_upright(upright_of(photo, edge_of_views(size)), size, resize)


def edge_of_views(size: int) -> int:
    """How large a photo has to be decoded for :func:`views_of_upright`."""
    return max(size, math.ceil(DETAIL / SPARE))


def views_of(picture: Picture, size: int, resize: Resize = Resize.CROP) -> Views:
    """Like :func:`to_views`, for a picture that Pillow has opened; its EXIF orients it."""
    return views_of_upright(_rgb(ImageOps.exif_transpose(picture)), size, resize)


def views_of_upright(picture: Picture, size: int, resize: Resize = Resize.CROP) -> Views:
    """Everything that the classifier takes, of an RGB picture that stands upright."""
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
        uint8 array [3, S, S], RGB; channels last in memory, which networks process fastest.

    Raises:
        UnsupportedError: the format is not one this installation reads, or the photo is too big.
        PhotoError: the bytes are damaged.
    """
    return _channels_first(to_square(data, size, resize))


def _channels_first(picture: Image.Image) -> NDArray[np.uint8]:
    return np.array(picture).transpose(2, 0, 1)


def to_square(data: bytes, size: int, resize: Resize = Resize.CROP) -> Image.Image:
    """Like :func:`to_pixels`, but returns an RGB picture of ``size`` x ``size``."""
    return fit(open_upright(data, size), size, resize)


def open_upright(data: bytes, size: int) -> Image.Image:
    """Decode to an upright RGB picture whose short side is at least ``size``, if it was before.

    Orientation is EXIF tag 0x0112 (EXIF 2.32 section 4.6.4); a JPEG is decoded scaled, in the DCT
    domain, to the smallest of 1/1, 1/2, 1/4, 1/8 that keeps the short side at SPARE x ``size`` or
    more: 6 times faster at 12 megapixels, and the final resize still averages. Whatever is larger
    is reduced, to no less than twice ``size``.

    Raises:
        UnsupportedError: the format is not one this installation reads, or the photo is too big.
        DamagedError: the bytes are damaged.
    """
    return upright_of(Head(data, whole=True), size)


def upright_of(photo: Head, size: int) -> Image.Image:
    """Like :func:`open_upright`, of a photo that was parsed already, all of it."""
    failed: Exception | None = None
    openers = decoders.openers(photo)
    for coded in _ways(photo) if openers else ():
        for opener in openers:
            try:
                return _upright(photo, opener, coded, size)
            except UnsupportedError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a decoder raises becomes the photo's reason
                failed = failed or error
    if failed is None:
        raise undecoded.unknown(photo.data)
    raise undecoded.explained(photo.data, failed) from failed


def see_decoder(photo: Head) -> None:
    """See that there is a decoder for a photo of which so far only the first bytes may be read.

    Raises:
        PhotoError: there is none, so that the rest need not be read.
    """
    if not decoders.openers(photo) and (photo.whole or photo.data.strip(b"\0")):
        raise undecoded.unknown(photo.data)


def _ways(photo: Head) -> Iterator[bytes]:
    """The bytes to decode; where that fails, those without what the picture does not need."""
    yield photo.data
    if bare := decoders.bare(photo):
        yield bare


def _upright(photo: Head, opener: decoders.Opener, coded: bytes, size: int) -> Image.Image:
    data = photo.data
    if data[8:12] == b"WEBP":  # its decoder allocates the memory on opening
        canvas = decoders.size_of_webp(data[:30])
        footprint.check(canvas, "WebP", round(math.prod(canvas) * footprint.PIXEL["WEBP"]), 0)
    picture = opener(io.BytesIO(coded))
    kind, limit = picture.format or "", MAX_PIXELS.get(picture.format or "", MAX_PIXELS_UNSCALED)
    if picture.info.get("progressive"):
        kind, limit = "a progressive JPEG", MAX_PIXELS_PROGRESSIVE
    if picture.width * picture.height > limit:
        raise UnsupportedError(
            f"{picture.width} x {picture.height} pixels is beyond the limit of "
            f"{limit // 1_000_000} megapixels for {kind}; scale it down first"
        )
    stated_size = picture.size
    if picture.format == "JPEG":
        # draft() keeps both sides at or above what is asked for, so ask in proportion.
        scale = SPARE * size / min(picture.size)
        picture.draft("RGB", (round(picture.width * scale), round(picture.height * scale)))
    tiff = isinstance(picture, TiffImageFile)
    rows = footprint.of_tiff(picture, data) if tiff else None
    frame = photo.frame if picture.format == "JPEG" else None
    taken = 0 if rows else footprint.decoded(picture, frame)
    footprint.check(stated_size, f"{picture.format} ({picture.mode})", taken, len(data))
    with ROOM.hold(taken):
        small = None if rows else _at_an_eighth(data, picture)
        try:
            if not rows:
                (small or picture).load()
                rows = footprint.of_loaded(small or picture)
                stated_size = (small or picture).size
            return _turned(_reduced(rows, stated_size, size), picture)
        finally:  # free its memory before others are let in
            picture.close()
            del picture, small, rows


def _turned(picture: Image.Image, photo: Image.Image) -> Image.Image:
    """The picture turned upright by the photo's EXIF, or unchanged if EXIF cannot be read."""
    try:
        how = TURNS.get(photo.getexif().get(0x0112, 1))
    except Exception:  # noqa: BLE001 - the picture is intact, whatever is wrong with its EXIF
        how = None
    return picture if how is None else picture.transpose(how)


def _reduced(rows: footprint.Rows, shape: tuple[int, int], size: int) -> Image.Image:
    """To RGB and to no less than twice ``size``, band by band: never a second copy in full."""
    factor = max(1, min(shape) // (2 * size))
    first = rows(0, 1)
    top = 0.0
    if first.mode in ("I", "F"):
        values = (np.asarray(band, np.float32) for _, band in footprint.bands(rows, shape, factor))
        top = max(float(np.nan_to_num(part).max()) for part in values)
    small = Image.new("RGB", (-(-shape[0] // factor), -(-shape[1] // factor)))
    for start, band in footprint.bands(rows, shape, factor):
        part = _rgb(band, top)
        small.paste(part.reduce(factor) if factor > 1 else part, (0, start // factor))
    return small


def _at_an_eighth(data: bytes, picture: Image.Image) -> Image.Image | None:
    """The pixels that Pillow would give, if it decoded a plain JPEG at an eighth of its size."""
    if getattr(picture, "decoderconfig", ())[:1] != (8,):
        return None
    decoded = fast_jpeg.decode(data)
    if decoded is None:
        return None
    values, width, height, count = decoded
    return Image.frombytes("RGB" if count == 3 else "L", (width, height), values)


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


def _rgb(picture: Image.Image, top: float = 0) -> Image.Image:
    """Any mode to RGB: transparency over white, 16-bit scaled down, CMYK and grey converted.

    ``top`` is the largest value in the whole picture, if values are not bytes.
    """
    # Pillow clips values above 255 when it converts, so scale from the actual range.
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
        values *= 255 / max(top, 1.0)
        picture = Image.fromarray(values.clip(0, 255, out=values).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")
