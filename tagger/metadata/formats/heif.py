"""HEIC and AVIF: finds EXIF and XMP in items and boxes (ISO/IEC 14496-12, 23008-12)."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from tagger.metadata.formats.container import Blocks

AVIF_BRANDS = frozenset((b"avif", b"avis"))
BRANDS = (
    frozenset(
        (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"mif2", b"msf1", b"miaf")
    )
    | AVIF_BRANDS
)
MAX_ITEMS = 4096
MAX_METADATA, MAX_PACKET = 1 << 26, 1 << 23  # bytes of all items together, and of one unpacked item
EXIF, XMP = b"Exif", b"application/rdf+xml"
PACKED = b"compressed XMP"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # XMP part 3 section 1.1.6
# C2PA specification 2.1, appendix A: the manifest store
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
TIFF_HEADS, EXIF_HEAD = (b"II*\0", b"MM\0*"), b"Exif\0\0"


class Box(NamedTuple):
    """One box: its header from ``start``, its content from ``at`` to ``end``."""

    kind: bytes
    at: int
    end: int
    start: int


class Thumbnail(NamedTuple):
    """The item that is a photo's thumbnail.

    Attributes:
        item: its number.
        end: how many bytes of the file hold it and all that describes it.
        primary_at, primary_width: where the number of the photo's own item stands.
        reference_at: where the type of the reference stands that makes the item a thumbnail.
    """

    item: int
    end: int
    primary_at: int
    primary_width: int
    reference_at: int


class Cut(Exception):
    """The bytes end before what is being searched for."""


def blocks(data: bytes, whole: bool) -> Blocks:
    """EXIF and XMP of a HEIC or AVIF file: items, and XMP in a uuid box of the file."""
    inside = _in_items(data, whole)
    uuids = [box for box in boxes(data, 0, len(data)) if box.kind == b"uuid"]
    packets = [
        data[box.at + len(XMP_UUID) : box.end]
        for box in uuids
        if data.startswith(XMP_UUID, box.at) and (whole or box.end <= len(data))
    ]
    signed = any(data.startswith(C2PA_UUID, box.at) for box in uuids)
    # Not settled before the end: such a box may come after the picture.
    return replace(inside, xmp=(*inside.xmp, *packets), settled=whole, signed=signed)


def _in_items(data: bytes, whole: bool) -> Blocks:
    exif, xmp = list[bytes](), list[bytes]()
    lost = Blocks(settled=whole, odd=(data,) if whole else ())
    try:
        meta = next((box for box in boxes(data, 0, len(data)) if box.kind == b"meta"), None)
        if meta is None:
            return Blocks(settled=whole)
        inside = {box.kind: box for box in boxes(data, meta.at + 4, meta.end)}
        if meta.end > len(data) or b"iinf" not in inside or b"iloc" not in inside:
            return lost
        wanted = dict(_items(data, inside[b"iinf"]))
        idat = inside.get(b"idat")
        left = MAX_METADATA
        for number, extents in _locations(data, inside[b"iloc"], idat.at if idat else 0):
            kind = wanted.pop(number, None)
            left -= sum(length for _, length in extents) if kind else 0
            if left < 0:
                raise Cut
            if kind:
                body = b"".join(_extent(data, *extent) for extent in extents)
                if kind == PACKED:
                    body = _unpacked(body)
                    left -= len(body)
                (exif if kind == EXIF else xmp).append(body)
    except (Cut, struct.error, IndexError):
        return lost
    parts = tuple(map(_exif, exif)), tuple(xmp)
    return Blocks(*parts, odd=(data,) if wanted else ())


def brands(data: bytes) -> frozenset[bytes]:
    """The brands of an ISO base media file (ISO/IEC 14496-12 section 4.3)."""
    size = min(int.from_bytes(data[:4], "big"), 512)
    return frozenset(data[at : at + 4] for at in range(8, size, 4) if at != 12)


def thumbnail(data: bytes) -> Thumbnail | None:
    """The place of the thumbnail according to a file's first bytes (23008-12 6.4.4).

    Raises:
        Cut, struct.error, IndexError: they end before they say it, or are damaged.
    """
    meta = next((box for box in boxes(data, 0, len(data)) if box.kind == b"meta"), None)
    if meta is None or meta.end > len(data):
        return None
    inside = {box.kind: box for box in boxes(data, meta.at + 4, meta.end)}
    if not {b"pitm", b"iref", b"iloc"} <= inside.keys():
        return None
    at, width = inside[b"pitm"].at + 4, 4 if data[inside[b"pitm"].at] else 2
    primary = int.from_bytes(data[at : at + width], "big")
    references = inside[b"iref"]
    code = ">IHI" if data[references.at] else ">HHH"
    idat = inside.get(b"idat")
    places = dict(_locations(data, inside[b"iloc"], idat.at if idat else 0))
    for box in boxes(data, references.at + 4, references.end):
        if box.kind == b"thmb":
            item, count, of = struct.unpack_from(code, data, box.at)
            ends = [start + length for start, length in places.get(item, ())]
            if count == 1 and of == primary and ends:
                return Thumbnail(item, max(meta.end, *ends), at, width, box.at - 4)
    return None


def boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets (14496-12 section 4.2); the last may reach beyond the data."""
    while at + 8 <= min(end, len(data)):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 > len(data):
            return
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        stop = end if size == 0 else at + size
        if size and size < head:
            return
        yield Box(kind, at + head, stop, at)
        at = stop


def _items(data: bytes, iinf: Box) -> Iterator[tuple[int, bytes]]:
    """Number and kind of the EXIF and XMP items (section 8.11.6)."""
    wide = data[iinf.at] > 0
    for box in boxes(data, iinf.at + (8 if wide else 6), iinf.end):
        version = data[box.at] if box.at < len(data) else 0
        if box.kind != b"infe" or version < 2:
            continue
        code = ">I2x4s" if version == 3 else ">H2x4s"
        number, kind = struct.unpack_from(code, data, box.at + 4)
        rest = data[box.at + 4 + struct.calcsize(code) : box.end].split(b"\0", 3)
        if kind == EXIF:
            yield number, EXIF
        elif kind == b"mime" and len(rest) > 1 and rest[1] == XMP:
            yield number, PACKED if any(rest[2:3]) else XMP


def _locations(data: bytes, iloc: Box, idat: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Number and extents (offset, length) of each item (section 8.11.3)."""
    version, sizes = data[iloc.at], struct.unpack_from(">H", data, iloc.at + 4)[0]
    widths = [sizes >> shift & 15 for shift in (12, 8, 4, 0)]
    at = iloc.at + 6

    def take(width: int) -> int:
        nonlocal at
        if at + width > min(iloc.end, len(data)):
            raise Cut
        at += width
        return int.from_bytes(data[at - width : at], "big")

    for _ in range(min(take(4 if version == 2 else 2), MAX_ITEMS)):
        number = take(4 if version == 2 else 2)
        method = take(2) & 15 if version else 0
        take(2)
        start = take(widths[2]) + (idat if method == 1 else 0)
        extents, count = [], take(2)
        if count > 1 and widths[0] + widths[1] == 0:
            raise Cut  # empty extents: any number of them would fit here
        for _ in range(count):
            if version:
                take(widths[3])
            extents.append((start + take(widths[0]), take(widths[1])))
        if method < 2:
            yield number, extents


def _extent(data: bytes, start: int, length: int) -> bytes:
    if start + length > len(data):
        raise Cut
    return data[start : start + length]


def _unpacked(body: bytes) -> bytes:
    """A packet whose item names a content encoding: gzip, zlib or deflate."""
    for bits in (47, -15):
        with suppress(zlib.error):
            return zlib.decompressobj(bits).decompress(body, MAX_PACKET)
    raise Cut


def _exif(body: bytes) -> bytes:
    """The TIFF header stands as many bytes behind the first four as these say (23008-12 A.2.1)."""
    if body.startswith((*TIFF_HEADS, EXIF_HEAD)):  # some writers omit these bytes
        return body.removeprefix(EXIF_HEAD)
    skip = int.from_bytes(body[:4], "big")
    return body[4 + skip :] if skip < len(body) else b""
