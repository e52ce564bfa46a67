"""The picture formats that are decoded, each by a decoder named here; no other is ever run."""

import io
import re
import struct
from collections.abc import Callable

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from tagger.errors import RefusedError
from tagger.imaging import libtiff
from tagger.metadata.formats import detect, heif, jpeg

Opener = Callable[[io.BytesIO], Image.Image]
_PLAIN: dict[detect.Format, Opener] = {
    detect.Format.JPEG: JpegImagePlugin.JpegImageFile,  # of an MPO the first picture
    detect.Format.PNG: PngImagePlugin.PngImageFile,
    detect.Format.WEBP: WebPImagePlugin.WebPImageFile,
    detect.Format.TIFF: TiffImagePlugin.TiffImageFile,
    detect.Format.BIG_TIFF: TiffImagePlugin.TiffImageFile,
    detect.Format.GIF: GifImagePlugin.GifImageFile,
    detect.Format.BMP: BmpImagePlugin.BmpImageFile,
}
# Chunks of a PNG that the picture needs (PNG 1.2 section 4.1), and the one with its orientation.
_NEEDED = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf"))
_IN_ITEM = re.compile(rb"infe[\2\3].{3}(?:.{4}|.{6})(?=Exif|mime)", re.DOTALL)


def openers(photo: detect.Head) -> list[Opener]:
    """The decoders of a photo's format, to be tried in order; none if the format is unknown."""
    if photo.format in (detect.Format.TIFF, detect.Format.BIG_TIFF):
        libtiff.silence()
    if photo.format in _PLAIN:
        return [_PLAIN[photo.format]]
    avif = [AvifImagePlugin.AvifImageFile] if photo.brands & heif.AVIF_BRANDS and has_avif() else []
    opener = heif_opener() if photo.brands & heif.BRANDS else None
    return [*avif, opener] if opener else [*avif]


def size_of_webp(head: bytes) -> tuple[int, int]:
    """Width and height; its decoder allocates memory for them before it can be asked."""
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = head[26:28], head[28:30]
    return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF


def has_avif() -> bool:
    """Whether this Pillow was built with AVIF."""
    return bool(AvifImagePlugin.SUPPORTED)


def heif_opener() -> Opener | None:
    """pillow-heif's, where it is installed (extra ``heic``)."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        return None
    opener: Opener = HeifImageFile
    return opener


def bare(photo: detect.Head) -> bytes | None:
    """The photo with only what its picture needs; None if nothing can be left out.

    A picture is often intact although its text, colour profile or EXIF is damaged or too large
    for the decoder.
    """
    less = None
    match photo.format:
        case detect.Format.PNG:
            less = _bare_png(photo.data)
        case detect.Format.JPEG:
            less = _bare_jpeg(photo.data)
        case detect.Format.HEIC:
            less = without_items(photo.data)
    return None if less == photo.data else less


def without_items(data: bytes) -> bytes:
    """An AVIF or HEIC whose EXIF and XMP items are renamed to types that decoders ignore."""
    changed = bytearray(data)
    for item in _IN_ITEM.finditer(data[:65_536]):
        changed[item.end() : item.end() + 4] = b"skip"
    return bytes(changed)


def _bare_png(data: bytes) -> bytes:
    parts, at = [data[:8]], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] in _NEEDED:
            parts.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(parts)


def _bare_jpeg(data: bytes) -> bytes | None:
    """Drop application segments other than JFIF and Adobe's, which say what the colours are."""
    parts, at = [data[:2]], 2
    try:
        for part in jpeg.segments(data):
            at = part.end
            if part.marker not in (*range(0xE1, 0xEE), 0xEF, 0xFE):
                parts.append(data[part.start : part.end])
    except RefusedError:
        return None
    return b"".join((*parts, data[at:]))
