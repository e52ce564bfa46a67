"""HEIC and AVIF: new EXIF and XMP go behind the item table, and what counts bytes is mended."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress

from tagger.blob import Spliced
from tagger.errors import RefusedError
from tagger.metadata import makernote
from tagger.metadata.byte_edits import Edit, apply, growth
from tagger.metadata.exif import new_block
from tagger.metadata.formats import heif, heif_table
from tagger.metadata.formats.container import Change, Parts
from tagger.metadata.formats.heif import EXIF, EXIF_HEAD, TIFF_HEADS, XMP, Box
from tagger.metadata.formats.heif_proof import check_rest
from tagger.metadata.formats.heif_table import MARK, Location, Table, Widths
from tagger.metadata.xmp import new_packet

__all__ = ["HEAD_TELLS_ALL", "check_rest", "read", "write"]

HEAD_TELLS_ALL = False
SIDECAR = "is not written in place; a sidecar is"
NEW_PREFIX = b"\0\0\0\6" + EXIF_HEAD  # how far it is to the TIFF header (23008-12 A.2.1)
LONGEST = 0xFFFF  # the highest item number that every version of every box can name
MAX_OLD = 1 << 20  # an item table that is longer is not kept: removing leaves the file longer
HIDDEN = 1  # flag of an item that is no picture
NARROW = 4  # bytes of a number that can place what we write


def read(data: bytes) -> Parts:
    """The EXIF block and XMP packet that describe the main picture, if they may be written.

    Raises:
        RefusedError: no HEIC or AVIF, or it cannot be written without risk.
    """
    _check_kind(data)
    table = heif_table.parse(data)
    exif, xmp = table.describing(EXIF), table.describing(XMP)
    if len(exif) > 1:
        raise RefusedError("has more than one EXIF block; merge them with a metadata editor first")
    beside = any(box.kind == b"uuid" for box in table.boxes)
    trouble = "it has two XMP packets" if len(xmp) > 1 or (xmp and beside) else ""
    if xmp and not trouble and not table.items[xmp[0]].plain:
        trouble = "its XMP is compressed"
    if beside and not xmp:
        trouble = "its XMP is not among its items"
    if exif and not table.items[exif[0]].plain:
        raise RefusedError("has protected EXIF, which is not written")
    block = _split(_body(data, table, exif[0]))[1] if exif else b""
    packet = _body(data, table, xmp[0]) if xmp and not trouble else b""
    return Parts(block or None, packet or None, trouble)


def _check_kind(data: bytes) -> None:
    if heif.brands(data) & {b"crx "}:
        raise RefusedError(f"camera raw {SIDECAR}")
    if not heif.brands(data) & heif.BRANDS:
        raise RefusedError(f"a video {SIDECAR}")


def _body(data: bytes, table: Table, number: int) -> bytes:
    return b"".join(data[start:end] for start, end in table.spans(number))


def _split(body: bytes) -> tuple[bytes, bytes]:
    """What stands before the TIFF header of an EXIF item, and the block from there on."""
    for head in (b"", EXIF_HEAD):  # some leave out the four bytes that say how far it is
        if body.startswith(head) and body[len(head) :].startswith(TIFF_HEADS):
            return head, body[len(head) :]
    at = 4 + int.from_bytes(body[:4], "big")
    if len(body) <= 4 + len(EXIF_HEAD) and not body.endswith(TIFF_HEADS):
        return NEW_PREFIX, b""
    if not body.startswith(TIFF_HEADS, at):
        raise RefusedError("its EXIF stands behind a wrong header; repair the EXIF first")
    return body[:at], body[at:]


def write(data: bytes, change: Change) -> Spliced:
    """The photo with other EXIF and XMP; every picture is the older file's.

    Both go into an mdat box of ours right behind the item table, where readers of a file's first
    bytes find them; so distances from the end of the file stay, which motion photos count by.
    What lay there moves on, and every offset of the item table and of image sequences with it.
    The old item table is kept in that box: removing a tag brings back the very bytes of before.

    Raises:
        RefusedError: an offset has no room for what it has to be.
    """
    table = heif_table.parse(data)
    restored = _restored(data, table, change)
    if restored is not None:
        return restored
    meta = data[table.meta.start : table.meta.end]
    record = zlib.compress(meta) if len(meta) <= MAX_OLD else b""
    return _written(data, table, change, record)


def _restored(data: bytes, table: Table, change: Change) -> Spliced | None:
    """The file before our tag, where nothing was changed since: proven by tagging it again."""
    own = table.own
    if own is None:
        return None
    with suppress(RefusedError, zlib.error):
        record = _record(data, own)
        meta = zlib.decompressobj().decompress(record, MAX_OLD)
        shift = len(meta) - (own.end - table.meta.start)
        behind = [chunk for chunk in table.chunks if chunk.place >= own.end]
        edits = [_number(chunk.at, chunk.width, chunk.place + shift) for chunk in behind]
        older = _spliced(data, [*edits, Edit(table.meta.start, own.end, meta)])
        whole = bytes(older)
        before, now = read(whole), read(data)
        same = before.xmp == now.xmp
        if change.exif == before.exif and (same if change.leave_xmp else change.xmp == before.xmp):
            tag = Change(now.exif, now.xmp, same)
            if bytes(_written(whole, heif_table.parse(whole), tag, record)) == data:
                return older
    return None


def _record(data: bytes, own: Box) -> bytes:
    """The older item table, compressed, as our box has it."""
    at = own.at + len(MARK) + 4
    return data[at : min(own.end, at + int.from_bytes(data[at - 4 : at], "big"))]


def _written(data: bytes, table: Table, change: Change, record: bytes) -> Spliced:
    """The file with the items of a change in a box of ours, which begins with ``record``."""
    fresh = _fresh(data, table)
    wanted = dict[int, tuple[bytes, bytes]]()  # by item: its kind, and its bytes
    for kind, payload in _payloads(data, table, change):
        wanted[_item(table, kind) or next(fresh)] = kind, payload
    grown = growth(_in_meta(data, table, {n: (k, 0, 0) for n, (k, _) in wanted.items()}))
    body = MARK + len(record).to_bytes(4, "big") + record
    at, places = table.meta.end + grown + 8, dict[int, tuple[bytes, int, int]]()
    for number, (kind, payload) in wanted.items():
        places[number] = kind, at + len(body), len(payload)
        body += payload
    box = _number(0, 4, len(body) + 8).new + b"mdat" + body if wanted else b""
    old_end = table.own.end if table.own else table.meta.end
    edits = [*_in_meta(data, table, places), Edit(table.meta.end, old_end, box)]
    return _spliced(data, [*edits, *_moved(data, table, edits, places)])


def _payloads(data: bytes, table: Table, change: Change) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each item that is to be in our box.

    What is to go where it cannot be restored is left empty, for other boxes may name the item.
    """
    old = {kind: _old(data, table, kind) for kind in (EXIF, XMP)}
    prefix, block = _split(old[EXIF] or b"")
    if change.exif is not None and block and len(change.exif) > len(block):
        if makernote.reaches(block, len(change.exif), range(0)):
            raise RefusedError("its maker note points beyond its EXIF block")
    new = dict[bytes, bytes | None]()
    new[EXIF] = None if change.exif is None else prefix + change.exif
    new[XMP] = old[XMP] if change.leave_xmp else change.xmp
    for kind, empty in ((EXIF, NEW_PREFIX + new_block(None)), (XMP, new_packet())):
        was, payload = old[kind], new[kind]
        if payload is None and was is None:
            continue
        if payload is None:
            payload = empty
        if payload != was or _is_in(table.own, table, _item(table, kind)):
            yield kind, payload


def _item(table: Table, kind: bytes) -> int:
    """The one item of a kind that describes the main picture; 0 where there is none.

    Several packets of XMP are left alone, so that none of them is it.
    """
    found = table.describing(kind)
    return found[0] if len(found) == 1 else 0


def _old(data: bytes, table: Table, kind: bytes) -> bytes | None:
    number = _item(table, kind)
    if not number:
        return None
    if any(number in reference.targets for reference in table.references):
        raise RefusedError("has metadata that other items refer to, which is not written")
    return _body(data, table, number)


def _is_in(box: Box | None, table: Table, number: int) -> bool:
    spans = table.spans(number)
    return box is not None and any(box.at <= start < box.end for start, _ in spans)


def _fresh(data: bytes, table: Table) -> Iterator[int]:
    """Numbers that no item has, nor a group of items, which share them (section 8.18.3)."""
    used = {*table.items, *table.locations}
    for reference in table.references:
        used |= {reference.source, *reference.targets}
    groups = table.parts.get(b"grpl")
    for box in heif.boxes(data, groups.at, groups.end) if groups else ():
        used.add(int.from_bytes(data[box.at + 4 : box.at + 8], "big"))
    for number in range(1 + max((n for n in table.items if n < LONGEST), default=0), LONGEST + 1):
        if number not in used:
            yield number
    raise RefusedError("its item table has no number for one more item")


def _in_meta(
    data: bytes, table: Table, places: Mapping[int, tuple[bytes, int, int]]
) -> list[Edit]:
    """The edits of ``meta`` that put items (kind, offset, length) where they are to be."""
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
    grown = {kind: growth(found) for kind, found in edits.items()}
    sized = [(table.parts[kind], n) for kind, n in grown.items() if n and kind in table.parts]
    sized.append((table.meta, sum(grown.values())))
    if new:
        edits[b"iinf"].append(_counted(data, iinf.at + 4, 4 if data[iinf.at] else 2, len(new)))
    return [*sum(edits.values(), []), *(_sized(data, box, by) for box, by in sized)]


def _info(number: int, kind: bytes) -> bytes:
    """An entry of ``iinf``: version 2, hidden, no name."""
    body = b"Exif\0" if kind == EXIF else b"mime\0" + XMP + b"\0"
    body = b"infe" + bytes((2, 0, 0, HIDDEN)) + number.to_bytes(2, "big") + b"\0\0" + body
    return (len(body) + 4).to_bytes(4, "big") + body


def _link(number: int, primary: int, wide: bool) -> bytes:
    """An entry of ``iref``: the item describes the main picture."""
    size = 4 if wide else 2
    body = b"cdsc" + _number(0, size, number).new + b"\0\1" + _number(0, size, primary).new
    return (len(body) + 4).to_bytes(4, "big") + body


def _entries(
    data: bytes, table: Table, iloc: Box, places: Mapping[int, tuple[bytes, int, int]]
) -> list[Edit]:
    """The entries of ``iloc`` for some items."""
    version, widths, edits = data[iloc.at], table.widths, list[Edit]()
    if max(widths.offset, widths.base) < NARROW or widths.length < NARROW:
        raise RefusedError("its item table has no room for offsets; re-save a copy")
    for number, (_, offset, length) in places.items():
        # Where there are two numbers exiv2 reads only the first.
        start, base = (0, offset) if widths.base >= NARROW else (offset, 0)
        fields = (
            (4 if version == 2 else 2, number),
            (2 if version else 0, 0),  # the method: an offset into the file
            (2, 0),
            (widths.base, base),
            (2, 1),
            (widths.index, 0),
            (widths.offset, start),
            (widths.length, length),
        )
        entry = b"".join(_number(0, width, value).new for width, value in fields)
        old = table.locations.get(number)
        edits.append(Edit(old.start, old.end, entry) if old else Edit(iloc.end, iloc.end, entry))
    new = sum(number not in table.locations for number in places)
    if new:
        edits.append(_counted(data, iloc.at + 6, 4 if version == 2 else 2, new))
    return edits


def _counted(data: bytes, at: int, width: int, more: int) -> Edit:
    return _number(at, width, int.from_bytes(data[at : at + width], "big") + more)


def _sized(data: bytes, box: Box, more: int) -> Edit:
    """The size of a box (section 4.2), where it is ``more`` than it was."""
    size = int.from_bytes(data[box.start : box.start + 4], "big")
    if size == 0:
        raise RefusedError("its item table has no end of its own; re-save a copy")
    at, width = (box.start + 8, 8) if size == 1 else (box.start, 4)
    return _counted(data, at, width, more)


def _number(at: int, width: int, value: int) -> Edit:
    """What puts a number at a place."""
    try:
        return Edit(at, at + width, value.to_bytes(width, "big"))
    except OverflowError as error:
        raise RefusedError("an offset would not fit its item table; re-save a copy") from error


def _moved(
    data: bytes, table: Table, edits: list[Edit], places: Mapping[int, object]
) -> Iterator[Edit]:
    """The offsets of all other items, and of sequences, where ``edits`` move what they name."""
    for number, item in table.locations.items():
        if number not in places and item.method == 0:
            yield from _moved_item(data, table.widths, edits, item)
    for chunk in table.chunks:
        yield _counted(data, chunk.at, chunk.width, growth(edits, chunk.place))


def _moved_item(data: bytes, widths: Widths, edits: list[Edit], item: Location) -> Iterator[Edit]:
    """The offset of the item, or, where that is 0 or they move apart, of each of its extents."""
    base, shifts = item.base_at, [growth(edits, extent.start) for extent in item.extents]
    for extent in item.extents:
        if any(edit.start < extent.end and edit.end > extent.start for edit in edits):
            raise RefusedError("has a picture inside its item table, which is not written")
    if len(set(shifts)) == 1 and (any(data[base : base + widths.base]) or not widths.offset):
        yield _counted(data, base, widths.base, shifts[0])
    elif widths.offset:
        for extent, by in zip(item.extents, shifts, strict=True):
            yield _counted(data, extent.at, widths.offset, by)
    elif shifts:
        raise RefusedError("an offset would not fit its item table; re-save a copy")


def _spliced(data: bytes, edits: list[Edit]) -> Spliced:
    """The edited file; what is behind the last edit is the older one's."""
    at = max((edit.end for edit in edits), default=0)
    return Spliced(apply(data[:at], edits), data, at)
