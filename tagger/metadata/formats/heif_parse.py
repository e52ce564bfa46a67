"""Reads the item table of a HEIC or AVIF file strictly: each box and extent must fit."""

import struct
from collections.abc import Iterator

from tagger.errors import RefusedError
from tagger.metadata import ifd
from tagger.metadata.formats import heif_moov
from tagger.metadata.formats.heif import XMP, XMP_UUID, Box, boxes
from tagger.metadata.formats.heif_moov import STILL
from tagger.metadata.formats.heif_table import (
    MARK,
    Extent,
    Item,
    ItemPlace,
    ItemTable,
    Reference,
    Widths,
)

# Boxes of the file that hold no offset into it (meta, moov and our own are looked into). mpvd is
# the video of a motion photo, sefd Samsung's trailer: readers count both from the end of the file.
KNOWN = frozenset(b"ftyp meta mdat free skip wide moov mpvd sefd".split())
SAMSUNG_END = b"SEFT"
MAX_BOXES = 200  # of the file itself; a phone's photo has 3 to 6


def parse(data: bytes) -> ItemTable:
    """All of the above.

    Raises:
        RefusedError: something is not where it should be, or of a kind that is not known.
    """
    try:
        return _parse(data)
    except (struct.error, IndexError, KeyError) as error:
        raise RefusedError("its item table does not parse; re-save a copy") from error


def _parse(data: bytes) -> ItemTable:
    top, trailer = _top(data)
    metas = [box for box in top if box.kind == b"meta"]
    if len(metas) != 1:
        raise RefusedError(TWO if metas else f"is an image sequence without a still; {STILL}")
    meta = metas[0]
    inside = _filled(data, meta.at + 4, meta.end)
    parts = {box.kind: box for box in inside}
    if not parts.keys() >= {b"pitm", b"iinf", b"iloc"}:
        raise RefusedError("its item table lacks a part; re-save a copy")
    if any(sum(box.kind == kind for box in inside) > 1 for kind in ONCE):
        raise RefusedError(TWO)
    wide = data[parts[b"pitm"].at] > 0
    (primary,) = struct.unpack_from(">I" if wide else ">H", data, parts[b"pitm"].at + 4)
    items = dict(_items(data, parts[b"iinf"]))
    widths, locations = _locations(data, parts[b"iloc"])
    if primary not in items:
        raise RefusedError("its main picture is not among its items; re-save a copy")
    moov = [box for box in top if box.kind == b"moov"]
    chunks = tuple(chunk for box in moov for chunk in heif_moov.chunks(data, box))
    references = tuple(_references(data, parts[b"iref"])) if b"iref" in parts else ()
    behind = next((box for box in top if box.start == meta.end), None)
    ours = behind and behind.kind == b"mdat" and data.startswith(MARK, behind.at)
    own = behind if ours else None
    table = ItemTable(
        top, trailer, meta, parts, primary, items, widths, locations, references, chunks, own
    )
    _check_places(data, table)
    return table


TWO = "has a box twice that should be there once; re-save a copy"
ONCE = (b"pitm", b"iinf", b"iloc", b"iref", b"idat")


def _top(data: bytes) -> tuple[tuple[Box, ...], int]:
    """The top-level boxes of the file, and where they end."""
    top = list[Box]()
    for box in boxes(data, 0, len(data)):
        packet = box.kind == b"uuid" and data.startswith(XMP_UUID, box.at)
        if box.kind not in KNOWN and not packet:
            if data.endswith(SAMSUNG_END):
                return tuple(top), box.start
            name = ascii(box.kind.decode("latin-1"))
            raise RefusedError(f"holds a box {name} of an unknown kind; re-save a copy")
        if box.end > len(data):
            raise RefusedError("is cut short; restore it from a backup")
        top.append(box)
        if len(top) > MAX_BOXES:
            raise RefusedError(f"has more than {MAX_BOXES} boxes; re-save a copy")
    end = top[-1].end if top else 0
    if end != len(data):
        raise RefusedError("has unknown bytes behind its last box; re-save a copy")
    return tuple(top), end


def _filled(data: bytes, at: int, end: int) -> list[Box]:
    """The boxes that fill a place."""
    inside = list(boxes(data, at, end))
    if (inside[-1].end if inside else at) != end or any(box.end > end for box in inside):
        raise RefusedError("its boxes do not fill each other; re-save a copy")
    return inside


def _items(data: bytes, iinf: Box) -> Iterator[tuple[int, Item]]:
    wide = data[iinf.at] > 0
    (count,) = struct.unpack_from(">I" if wide else ">H", data, iinf.at + 4)
    entries = _filled(data, iinf.at + (8 if wide else 6), iinf.end)
    numbers = set[int]()
    for box in entries:
        version = data[box.at]
        if box.kind != b"infe" or version not in (2, 3):
            raise RefusedError("has items in a form before HEIF; re-save a copy")
        code = ">IH4s" if version == 3 else ">HH4s"
        number, protection, kind = struct.unpack_from(code, data, box.at + 4)
        texts = data[box.at + 4 + struct.calcsize(code) : box.end].split(b"\0", 3)
        compressed = kind == b"mime" and len(texts) > 2 and texts[2] != b""
        if kind == b"mime":
            kind = XMP if len(texts) > 1 and texts[1] == XMP else b"mime"
        numbers.add(number)
        yield number, Item(kind, not protection and not compressed, box.start, box.end)
    if len(numbers) != len(entries) or count != len(entries):
        raise RefusedError("has a wrong number of items; re-save a copy")


def _locations(data: bytes, iloc: Box) -> tuple[Widths, dict[int, ItemPlace]]:
    version, sizes = data[iloc.at], struct.unpack_from(">H", data, iloc.at + 4)[0]
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    widths = Widths(offset, length, base, index if version else 0)
    if version > 2 or any(width not in (0, 4, 8) for width in widths):
        raise RefusedError("has an item table of an unknown version; re-save a copy")
    at = iloc.at + 6

    def take(width: int) -> int:
        nonlocal at
        if at + width > iloc.end:
            raise RefusedError("its item table is cut short; re-save a copy")
        at += width
        return int.from_bytes(data[at - width : at], "big")

    places = dict[int, ItemPlace]()
    count = take(4 if version == 2 else 2)
    for _ in range(count):
        start = at
        number = take(4 if version == 2 else 2)
        method = take(2) & 15 if version else 0
        outside, base_at, origin, extents = take(2), at, take(base), list[Extent]()
        several = take(2)
        if several > 1 and not length:
            raise RefusedError("has items without lengths; re-save a copy")
        for _ in range(several):
            take(widths.part)
            place = origin + take(offset)
            extents.append(Extent(at - offset, place, place + take(length)))
        places[number] = ItemPlace(start, at, method, outside, base_at, tuple(extents))
    if at != iloc.end or len(places) != count:
        raise RefusedError("its item table does not add up; re-save a copy")
    return widths, places


def _references(data: bytes, iref: Box) -> Iterator[Reference]:
    code = "I" if data[iref.at] else "H"
    for box in _filled(data, iref.at + 4, iref.end):
        source, count = struct.unpack_from(f">{code}H", data, box.at)
        targets = struct.unpack_from(f">{count}{code}", data, box.at + struct.calcsize(f">{code}H"))
        yield Reference(box.kind, source, targets, box.start, box.end)


def _check_places(data: bytes, table: ItemTable) -> None:
    """Check that each item lies inside the file, and each chunk of a sequence in its media data."""
    idat, left = table.parts.get(b"idat"), ifd.MAX_OVERLAP * len(data)
    limits = len(data), idat.end - idat.at if idat else 0
    for place in table.locations.values():
        if place.outside:
            raise RefusedError("keeps pictures in another file; re-save a copy")
        for extent in place.extents if place.method < 2 else ():
            left -= extent.end - extent.start
            if extent.start == extent.end and not table.widths.length:
                raise RefusedError("has items without lengths; re-save a copy")
            if extent.end > limits[place.method]:
                raise RefusedError("is cut short; restore it from a backup")
    if left < 0:
        raise RefusedError("its items overlap; re-save a copy")
    for chunk in table.chunks:
        if not any(box.kind == b"mdat" and box.at <= chunk.place < box.end for box in table.boxes):
            raise RefusedError(f"has pictures of a sequence outside its media data; {STILL}")
