"""Camera raw, only read: EXIF and XMP as one small block, and where the previews are."""

import struct
from collections.abc import Iterator, Sequence

from tagger.blob import Block
from tagger.errors import RefusedError
from tagger.metadata import gps, ifd, inside
from tagger.metadata.formats import cr3, jpeg
from tagger.metadata.formats.raw_block import (
    MAX_PACKET,
    MAX_VALUE,
    Preview,
    Raw,
    block_of,
    kept,
    packet,
)
from tagger.metadata.formats.tiff import NEW_SUBFILE_TYPE, PHOTOMETRIC, SENSOR

# The first bytes of TIFF, Olympus and Panasonic: a TIFF structure follows all of them.
TIFF_HEADS = (b"II*\0", b"MM\0*", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
FUJI, CANON = b"FUJIFILMCCD-RAW ", b"ftypcrx "
WIDTH, HEIGHT, BITS, COMPRESSION = 256, 257, 258, 259
STARTS, SAMPLES, SIZES, PLANAR = 273, 277, 279, 284
ORIENTATION, PANASONIC_JPEG = 0x0112, 0x002E
HEAD = 131_072  # of a JPEG inside: one full EXIF segment and one full XMP segment


def read(file: Block) -> Raw:
    """The metadata of a raw file, and where its previews are; reads few of its bytes.

    Raises:
        RefusedError: it is of a kind that is not read here, or damaged.
    """
    head = file[:16]
    try:
        if head.startswith(TIFF_HEADS):
            return _tiff(_AsTiff(file))
        if head == FUJI:
            return _fuji(file)
        if head[4:12] == CANON:
            return cr3.read(file)
    except struct.error as error:
        raise RefusedError("the raw file is cut short; restore it from a backup") from error
    except ifd.BeyondError as error:
        what = f"the raw file is damaged or cut short ({error.what})"
        raise RefusedError(f"{what}; restore it from a backup") from error
    raise RefusedError("camera raw of a kind that is not read here; tag its JPEG, or export one")


class _AsTiff:
    """A raw file with the first bytes of a TIFF."""

    def __init__(self, file: Block) -> None:
        self._file = file
        self._head = b"II*\0" if file[:2] == b"II" else b"MM\0*"

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, part: slice, /) -> bytes:
        data = self._file[part]
        return data if part.start else self._head[: len(data)] + data[4:]


def _tiff(file: Block, xmp: Sequence[bytes] = ()) -> Raw:
    """The directories of a TIFF without the picture (TIFF 6, TIFF/EP, DNG 1.7)."""
    order, _ = ifd.header(file)
    first, exif = list[ifd.Value](), list[ifd.Value]()
    places, packets, previews = list[list[ifd.Value]](), list(map(packet, xmp)), list[Preview]()
    for name, directory in ifd.directories(file):
        for entry in directory.entries:
            if entry.tag == ifd.GPS_IFD:
                if len(places) == gps.MAX_POINTERS:
                    raise RefusedError("its EXIF points to GPS tags in many ways; repair the EXIF")
                fields = gps.fields_at(file, order, entry)
                places.append([_value(tag, *field) for tag, field in fields.items()])
            elif entry.tag in inside.TAGS:
                packets.append(kept(file, entry, MAX_PACKET))
            elif entry.tag in ifd.POINTERS or entry.size > MAX_VALUE:
                continue
            elif name == "IFD0" and entry.tag != STARTS:
                first.append(kept(file, entry, MAX_VALUE))
            elif name == f"IFD0/{ifd.EXIF_IFD:04x}":
                exif.append(kept(file, entry, MAX_VALUE))
        if "/8825" not in name:
            previews += _previews(file, order, directory)
    return Raw(block_of(order, first, exif, places, packets), tuple(dict.fromkeys(previews)))


def _value(tag: int, kind: int, raw: bytes) -> ifd.Value:
    size = ifd.SIZES.get(kind, 0)
    return ifd.Value(tag, kind, len(raw) // size if size else 0, raw)


def _previews(file: Block, order: str, directory: ifd.Ifd) -> Iterator[Preview]:
    """The JPEGs, and the plain RGB picture, that a directory points to."""

    def number(tag: int) -> int:
        entry = directory.find(tag)
        return ifd.number(file, order, entry) if entry else 0

    if number(ifd.THUMBNAIL_START):
        yield Preview(number(ifd.THUMBNAIL_START), number(ifd.THUMBNAIL_SIZE))
    whole = directory.find(PANASONIC_JPEG)
    if whole and whole.kind == 7:
        yield Preview(whole.start, whole.size)
    starts, sizes = directory.find(STARTS), directory.find(SIZES)
    if not starts or not sizes or number(PHOTOMETRIC) in SENSOR:
        return
    if number(COMPRESSION) in (6, 7) and starts.items == 1:
        yield Preview(number(STARTS), number(SIZES))
    shape = number(WIDTH), number(HEIGHT)
    plain = number(COMPRESSION) == 1 and number(PHOTOMETRIC) == 2 and number(PLANAR) < 2
    size = 3 * shape[0] * shape[1]
    small = number(BITS) == 8 and number(SAMPLES) == 3 and number(NEW_SUBFILE_TYPE) & 1
    if plain and small and starts.items == 1 and number(SIZES) >= size:
        yield Preview(number(STARTS), size, shape)


def _fuji(file: Block) -> Raw:
    """Fujifilm's RAF: its header points to a whole JPEG, which holds all metadata."""
    start, size = struct.unpack(">2I", file[84:92])
    head = file[start : start + min(HEAD, size)]
    inner = jpeg.Jpeg(head).blocks(len(head) == size)
    if len(inner.exif) != 1:
        raise RefusedError("its JPEG has no EXIF that can be read; tag its JPEG, or export one")
    return Raw(_tiff(inner.exif[0], inner.xmp).block, (Preview(start, size),))
