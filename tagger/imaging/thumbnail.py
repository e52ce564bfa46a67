"""The thumbnail in a photo's first bytes, if it can be trusted."""

import io
import struct
from collections.abc import Callable, Iterator

from PIL import Image, JpegImagePlugin, PngImagePlugin

from tagger.errors import RefusedError
from tagger.imaging import decoders
from tagger.imaging.decode import TURNS, Picture
from tagger.metadata import ifd
from tagger.metadata.formats import detect, heif, jpeg

# EXIF 2.32 section 4.6: the orientation, and the size that the camera gave the photo.
ORIENTATION, WIDTH, HEIGHT = 0x0112, 0xA002, 0xA003
IMAGE_WIDTH, IMAGE_HEIGHT = 0x0100, 0x0101
# Edges in pixels: a smaller picture shows too little, a larger one is no thumbnail.
SHORTEST, LONG_EDGE, LONGEST = 60, 120, 2048
MOST_BYTES = 1 << 20
FLATTEST = 2.0  # of its sides; a longer one is a panorama, whose thumbnail shows little
SAME_SHAPE = 0.03  # how far the aspect ratios of photo and thumbnail may differ: 160 x 107 is 3:2
DARK = 28  # bars are black, but for compression artefacts
BLANK = 12  # levels between the darkest and the brightest pixel of an empty picture


def thumbnail(head: bytes) -> Picture | None:
    """The photo's own thumbnail, upright, RGB, without bars; None if it has none to trust.

    If the aspect ratios of thumbnail and photo differ, or the photo's size is not the one in its
    EXIF, the photo was cropped, turned or scaled since. Damaged thumbnails are ignored.

    Args:
        head: the first bytes of the photo, see :func:`reach`.
    """
    try:
        if detect.of(head) is detect.Format.HEIC:
            return _of_heif(head)
        return _of_exif(head)
    except Exception:  # noqa: BLE001 - the photo itself is decoded instead
        return None


def reach(head: bytes) -> int:
    """How many of the photo's first bytes hold its thumbnail: the head, or more if it says so."""
    if detect.of(head) is detect.Format.HEIC:
        try:
            item = heif.thumbnail(head)
        except (heif.Cut, struct.error, IndexError):
            return len(head)
        return max(len(head), item.end) if item and item.end < MOST_BYTES else len(head)
    return len(head)


def read(head: bytes, more: Callable[[int], bytes]) -> Picture | None:
    """Like :func:`thumbnail`; ``more`` reads more first bytes if it ends beyond the head."""
    wanted = reach(head)
    return thumbnail(more(wanted) if wanted > len(head) else head)


def _of_exif(head: bytes) -> Picture | None:
    photo = _size(head)
    tiff = detect.of(head) is detect.Format.TIFF
    block = head if tiff else next(iter(detect.blocks(head, False).exif), b"")
    if photo is None or not block:
        return None
    order, first = ifd.header(block)
    ifd0 = ifd.read_ifd(block, order, first)
    if not (_as_made(block, order, ifd0, photo) and _turned_plainly(head, ifd0)):
        return None
    turn = TURNS.get(_number(block, order, ifd0, ORIENTATION))
    for coded in _embedded(block, order, ifd0, tiff):
        shown = _shown(coded, photo)
        if shown is not None:
            return shown if turn is None else shown.transpose(turn)
    return None


def _embedded(block: bytes, order: str, ifd0: ifd.Ifd, tiff: bool) -> Iterator[bytes]:
    """JPEGs in an EXIF block: that of IFD1, then those in maker notes."""
    if ifd0.next:
        try:
            ifd1 = ifd.read_ifd(block, order, ifd0.next)
        except RefusedError:
            ifd1 = ifd.Ifd([], 0)
        start = _number(block, order, ifd1, ifd.THUMBNAIL_START)
        size = _number(block, order, ifd1, ifd.THUMBNAIL_SIZE)
        if start and 0 < size < MOST_BYTES and start + size <= len(block):
            yield block[start : start + size]
    at = -1 if tiff else block.find(b"\xff\xd8\xff")
    for _ in range(4):
        if at < 0:
            return
        yield block[at:]
        at = block.find(b"\xff\xd8\xff", at + 3)


def _shown(coded: bytes, photo: tuple[int, int]) -> Picture | None:
    """The picture in a JPEG without its bars, if it has the photo's aspect ratio."""
    try:
        picture: Picture = JpegImagePlugin.JpegImageFile(io.BytesIO(coded))
        if max(picture.size) > LONGEST:
            return None
        picture.draft("RGB", (320, 320))
        small = picture.convert("RGB")
    except Exception:  # noqa: BLE001 - it is damaged, whatever the error
        return None
    return _without_bars(small, photo)


def _without_bars(small: Picture, photo: tuple[int, int]) -> Picture | None:
    """The part of the thumbnail that shows the photo; None if its shape or content does not fit."""
    wide, tall = small.size
    ratio = photo[0] / photo[1] * tall / wide  # above 1: the photo is flatter than the thumbnail
    if abs(ratio - 1) > SAME_SHAPE:
        inner = (wide, round(tall / ratio)) if ratio > 1 else (round(wide * ratio), tall)
        left, top = (wide - inner[0]) // 2, (tall - inner[1]) // 2
        edges = (
            [(0, 0, wide, top - 1), (0, tall - top + 1, wide, tall)]
            if ratio > 1
            else [(0, 0, left - 1, tall), (wide - left + 1, 0, wide, tall)]
        )
        if not all(_dark(small, box) for box in edges):
            return None
        inset = 1 if ratio > 1 else 0, 1 if ratio < 1 else 0  # rows, columns that are half bar
        box = (left + inset[1], top + inset[0], wide - left - inset[1], tall - top - inset[0])
        small = small.crop(box)
    short, long = sorted(small.size)
    if short < SHORTEST or long < LONG_EDGE or long > FLATTEST * short:
        return None
    low, high = small.convert("L").getextrema()
    assert isinstance(low, int | float) and isinstance(high, int | float)
    return small if high - low > BLANK else None


def _dark(picture: Picture, box: tuple[int, int, int, int]) -> bool:
    if box[2] <= box[0] or box[3] <= box[1]:
        return False
    _, high = picture.crop(box).convert("L").getextrema()
    assert isinstance(high, int | float)
    return high < DARK


def _as_made(block: bytes, order: str, ifd0: ifd.Ifd, photo: tuple[int, int]) -> bool:
    """Whether the photo still has the size that EXIF states, if it states one."""
    pointer = ifd0.find(ifd.EXIF_IFD)
    if pointer is None:
        return True
    exif = ifd.read_ifd(block, order, pointer.offset)
    stated = _number(block, order, exif, WIDTH), _number(block, order, exif, HEIGHT)
    return 0 in stated or stated == photo


def _turned_plainly(head: bytes, ifd0: ifd.Ifd) -> bool:
    """Whether EXIF alone turns the photo: where it does not, the decoder asks XMP.

    Of numbers of other types (EXIF 2.32 section 4.6.4: SHORT), it takes some and not others.
    """
    entry = ifd0.find(ORIENTATION)
    return entry.kind in (3, 4) if entry else b"tiff:Orientation" not in head


def _number(block: bytes, order: str, directory: ifd.Ifd, tag: int) -> int:
    entry = directory.find(tag)
    return ifd.number(block, order, entry) if entry else 0


def _size(head: bytes) -> tuple[int, int] | None:
    """Width and height of the picture as stored, if the first bytes contain them."""
    match detect.of(head):
        case detect.Format.JPEG:
            for part in jpeg.segments(head):
                if 0xC0 <= part.marker <= 0xCF and part.marker not in (0xC4, 0xC8, 0xCC):
                    tall, wide = struct.unpack_from(">HH", head, part.at + 1)
                    return (wide, tall) if wide and tall else None
        case detect.Format.WEBP:
            return decoders.size_of_webp(head[:30])
        case detect.Format.PNG:
            return PngImagePlugin.PngImageFile(io.BytesIO(head)).size
        case detect.Format.TIFF:
            order, first = ifd.header(head)
            ifd0 = ifd.read_ifd(head, order, first)
            wide, tall = (_number(head, order, ifd0, tag) for tag in (IMAGE_WIDTH, IMAGE_HEIGHT))
            return (wide, tall) if wide and tall else None
    return None


def _of_heif(head: bytes) -> Picture | None:
    """The thumbnail item, decoded from a file in which it is the primary one; upright."""
    item = heif.thumbnail(head)
    if item is None or item.end > len(head):
        return None
    changed = bytearray(decoders.without_items(head[: item.end]))
    number = item.item.to_bytes(item.primary_width, "big")
    changed[item.primary_at : item.primary_at + item.primary_width] = number
    changed[item.reference_at : item.reference_at + 4] = b"skip"
    with _opened(head) as photo, _opened(bytes(changed)) as small:
        if max(small.size) > LONGEST:
            return None
        return _without_bars(small.convert("RGB"), photo.size)


def _opened(data: bytes) -> Image.Image:
    for opener in decoders.openers(detect.Head(data)):
        return opener(io.BytesIO(decoders.without_items(data)))
    raise RefusedError("no decoder")
