"""Edits of the item table of HEIC and AVIF: insert EXIF and XMP, correct sizes and offsets."""

from collections.abc import Iterator, Mapping

from tagger.blob import Edit, growth
from tagger.errors import RefusedError
from tagger.metadata.formats import heif
from tagger.metadata.formats.heif import EXIF, XMP, Box
from tagger.metadata.formats.heif_table import ItemPlace, ItemTable, Widths

LONGEST = 0xFFFF  # the highest item number that every version of every box can name
HIDDEN = 1  # flag of an item that is not a picture
NARROW = 4  # bytes of a number large enough for our offsets
Places = Mapping[int, tuple[bytes, int, int]]  # of items: kind, offset and length


def fresh(data: bytes, table: ItemTable) -> Iterator[int]:
    """Numbers used by no item and no group of items, which share them (section 8.18.3)."""
    used = {*table.items, *table.locations}
    for reference in table.references:
        used |= {reference.source, *reference.targets}
    groups = table.parts.get(b"grpl")
    for box in heif.boxes(data, groups.at, groups.end) if groups else ():
        used.add(int.from_bytes(data[box.at + 4 : box.at + 8], "big"))
    for number in range(1 + max((n for n in table.items if n < LONGEST), default=0), LONGEST + 1):
        if number not in used:
            yield number
    raise RefusedError("its item table has no number for one more item; re-save a copy")


def in_meta(data: bytes, table: ItemTable, places: Places) -> list[Edit]:
    """The edits of ``meta`` that place items (kind, offset, length)."""
    edits = dict[bytes, list[Edit]]()
    iinf, iloc, iref = (table.parts.get(kind) for kind in (b"iinf", b"iloc", b"iref"))
    assert iinf is not None and iloc is not None, "the table was parsed"
    new = [number for number in places if number not in table.items]
    edits[b"iinf"] = [Edit(iinf.end, iinf.end, b"".join(_info(n, places[n][0]) for n in new))]
    edits[b"iloc"] = _entries(data, table, iloc, places)
    wide = iref is not None and data[iref.at] > 0
    links = b"".join(_link(number, table.primary, wide) for number in new)
    if iref is None and links:
        links = (12 + len(links)).to_bytes(4, "big") + b"iref\0\0\0\0" + links
    at = table.meta.end if iref is None else iref.end
    edits[b"iref"] = [Edit(at, at, links)]
    grown = {kind: growth(of_kind) for kind, of_kind in edits.items()}
    sized = [(table.parts[kind], n) for kind, n in grown.items() if n and kind in table.parts]
    sized.append((table.meta, sum(grown.values())))
    if new:
        edits[b"iinf"].append(counted(data, iinf.at + 4, 4 if data[iinf.at] else 2, len(new)))
    parts = [edit for of_kind in edits.values() for edit in of_kind]
    return [*parts, *(_sized(data, box, by) for box, by in sized)]


def _info(number: int, kind: bytes) -> bytes:
    """An entry of ``iinf``: version 2, hidden, no name."""
    body = b"Exif\0" if kind == EXIF else b"mime\0" + XMP + b"\0"
    body = b"infe" + bytes((2, 0, 0, HIDDEN)) + number.to_bytes(2, "big") + b"\0\0" + body
    return (len(body) + 4).to_bytes(4, "big") + body


def _link(number: int, primary: int, wide: bool) -> bytes:
    """An entry of ``iref``: the item describes the main picture."""
    size = 4 if wide else 2
    body = b"cdsc" + put(0, size, number).new + b"\0\1" + put(0, size, primary).new
    return (len(body) + 4).to_bytes(4, "big") + body


def _entries(data: bytes, table: ItemTable, iloc: Box, places: Places) -> list[Edit]:
    """The entries of ``iloc`` for some items."""
    version, widths, edits = data[iloc.at], table.widths, list[Edit]()
    if max(widths.offset, widths.base) < NARROW or widths.length < NARROW:
        raise RefusedError("its item table has no room for offsets; re-save a copy")
    for number, (_, offset, length) in places.items():
        # If there are two numbers exiv2 reads only the first.
        start, base = (0, offset) if widths.base >= NARROW else (offset, 0)
        fields = (
            (4 if version == 2 else 2, number),
            (2 if version else 0, 0),  # the method: an offset into the file
            (2, 0),
            (widths.base, base),
            (2, 1),
            (widths.part, 0),
            (widths.offset, start),
            (widths.length, length),
        )
        entry = b"".join(put(0, width, value).new for width, value in fields)
        old = table.locations.get(number)
        edits.append(Edit(old.start, old.end, entry) if old else Edit(iloc.end, iloc.end, entry))
    new = sum(number not in table.locations for number in places)
    if new:
        edits.append(counted(data, iloc.at + 6, 4 if version == 2 else 2, new))
    return edits


def counted(data: bytes, at: int, width: int, more: int) -> Edit:
    return put(at, width, int.from_bytes(data[at : at + width], "big") + more)


def _sized(data: bytes, box: Box, more: int) -> Edit:
    """The size field of a box (section 4.2) that grows by ``more``."""
    size = int.from_bytes(data[box.start : box.start + 4], "big")
    if size == 0:
        raise RefusedError("its item table has no end of its own; re-save a copy")
    at, width = (box.start + 8, 8) if size == 1 else (box.start, 4)
    return counted(data, at, width, more)


def put(at: int, width: int, value: int) -> Edit:
    """The edit that writes a number at an offset."""
    try:
        return Edit(at, at + width, value.to_bytes(width, "big"))
    except OverflowError as error:
        raise RefusedError("an offset would not fit its item table; re-save a copy") from error


def moved(
    data: bytes, table: ItemTable, edits: list[Edit], places: Mapping[int, object]
) -> Iterator[Edit]:
    """New offsets of all other items and of sequences, whose data ``edits`` move."""
    for number, item in table.locations.items():
        if number not in places and item.method == 0:
            yield from _moved_item(data, table.widths, edits, item)
    for chunk in table.chunks:
        yield counted(data, chunk.at, chunk.width, growth(edits, chunk.place))


def _moved_item(data: bytes, widths: Widths, edits: list[Edit], item: ItemPlace) -> Iterator[Edit]:
    """The offset of the item, or, where that is 0 or they move apart, of each of its extents."""
    base, shifts = item.base_at, [growth(edits, extent.start) for extent in item.extents]
    for extent in item.extents:
        if any(edit.start < extent.end and edit.end > extent.start for edit in edits):
            raise RefusedError("has a picture inside its item table; re-save a copy")
    if len(set(shifts)) == 1 and (any(data[base : base + widths.base]) or not widths.offset):
        yield counted(data, base, widths.base, shifts[0])
    elif widths.offset:
        for extent, by in zip(item.extents, shifts, strict=True):
            yield counted(data, extent.at, widths.offset, by)
    elif shifts:
        raise RefusedError("an offset would not fit its item table; re-save a copy")
