"""HEIC and AVIF: new EXIF and XMP go after the item table; sizes and offsets are corrected."""

import zlib
from collections.abc import Iterator
from contextlib import suppress

from tagger.blob import Edit, Spliced, edited, growth
from tagger.errors import RefusedError
from tagger.metadata import makernote
from tagger.metadata.exif import new_block
from tagger.metadata.formats import heif, heif_edits, heif_parse
from tagger.metadata.formats.container import ONLY_SIDECAR, SIDECAR, Change, Parts
from tagger.metadata.formats.heif import EXIF, EXIF_HEAD, TIFF_HEADS, XMP, Box
from tagger.metadata.formats.heif_proof import check_rest
from tagger.metadata.formats.heif_table import MARK, ItemTable
from tagger.metadata.xmp import new_packet

__all__ = ["HEAD_TELLS_ALL", "check_rest", "read", "write"]

HEAD_TELLS_ALL = False
SEQUENCES = frozenset((b"avis", b"hevc", b"hevx", b"hevm", b"hevs", b"msf1"))  # major brands
NEW_PREFIX = b"\0\0\0\6" + EXIF_HEAD  # distance to the TIFF header (23008-12 A.2.1)
MAX_OLD = 1 << 20  # a longer item table is not kept: after removing a tag, the file stays longer


def read(data: bytes) -> Parts:
    """The EXIF block and XMP packet that describe the main picture, if they may be written.

    Raises:
        RefusedError: no HEIC or AVIF, or it cannot be written without risk.
    """
    _check_kind(data)
    table = heif_parse.parse(data)
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
        raise RefusedError("has protected EXIF; export a copy without the protection")
    block = _split(_body(data, table, exif[0]))[1] if exif else b""
    packet = _body(data, table, xmp[0]) if xmp and not trouble else b""
    return Parts(block or None, packet or None, trouble)


def _check_kind(data: bytes) -> None:
    brands = heif.brands(data)
    if b"crx " in brands:
        raise RefusedError(f"camera raw {SIDECAR}")
    if not brands & heif.BRANDS:
        raise RefusedError(f"a file that is neither HEIC nor AVIF by its brands {SIDECAR}")
    if data[8:12] in SEQUENCES:
        raise RefusedError(f"an image sequence, whose metadata is read from its tracks, {SIDECAR}")


def _body(data: bytes, table: ItemTable, number: int) -> bytes:
    return b"".join(data[start:end] for start, end in table.spans(number))


def _split(body: bytes) -> tuple[bytes, bytes]:
    """The bytes before the TIFF header of an EXIF item, and the block from there on."""
    for head in (b"", EXIF_HEAD):  # some writers omit the four bytes with the distance
        if body.startswith(head) and body[len(head) :].startswith(TIFF_HEADS):
            return head, body[len(head) :]
    at = 4 + int.from_bytes(body[:4], "big")
    if len(body) <= 4 + len(EXIF_HEAD) and not body.endswith(TIFF_HEADS):
        return NEW_PREFIX, b""
    if not body.startswith(TIFF_HEADS, at):
        raise RefusedError("its EXIF stands behind a wrong header; repair the EXIF first")
    return body[:at], body[at:]


def write(data: bytes, change: Change) -> Spliced:
    """The photo with new EXIF and XMP; every picture is that of the older file.

    Both go into an mdat box of ours right behind the item table, where readers of a file's first
    bytes find them; so distances from the end of the file stay, which motion photos count by.
    What lay there moves on, and every offset of the item table and of image sequences with it.
    The old item table is kept in that box: removing a tag brings back the very bytes of before.

    Raises:
        RefusedError: an offset has no room for what it has to be.
    """
    table = heif_parse.parse(data)
    restored = _restored(data, table, change)
    if restored is not None:
        return restored
    meta = data[table.meta.start : table.meta.end]
    record = zlib.compress(meta) if len(meta) <= MAX_OLD else b""
    return _written(data, table, change, record)


def _restored(data: bytes, table: ItemTable, change: Change) -> Spliced | None:
    """The file before our tag, if nothing changed since: checked by tagging it again."""
    own = table.own
    if own is None:
        return None
    with suppress(RefusedError, zlib.error):
        record = _record(data, own)
        meta = zlib.decompressobj().decompress(record, MAX_OLD)
        shift = len(meta) - (own.end - table.meta.start)
        behind = [chunk for chunk in table.chunks if chunk.place >= own.end]
        edits = [heif_edits.put(chunk.at, chunk.width, chunk.place + shift) for chunk in behind]
        older = _spliced(data, [*edits, Edit(table.meta.start, own.end, meta)])
        whole = bytes(older)
        before, now = read(whole), read(data)
        same = before.xmp == now.xmp
        if change.exif == before.exif and (same if change.leave_xmp else change.xmp == before.xmp):
            tag = Change(now.exif, now.xmp, same)
            if bytes(_written(whole, heif_parse.parse(whole), tag, record)) == data:
                return older
    return None


def _record(data: bytes, own: Box) -> bytes:
    """The older item table, compressed, as stored in our box."""
    at = own.at + len(MARK) + 4
    return data[at : min(own.end, at + int.from_bytes(data[at - 4 : at], "big"))]


def _written(data: bytes, table: ItemTable, change: Change, record: bytes) -> Spliced:
    """The file with the items of a change in a box of ours, which begins with ``record``."""
    fresh = heif_edits.fresh(data, table)
    wanted = dict[int, tuple[bytes, bytes]]()  # by item: its kind, and its bytes
    for kind, payload in _payloads(data, table, change):
        wanted[_item(table, kind) or next(fresh)] = kind, payload
    grown = growth(heif_edits.in_meta(data, table, {n: (k, 0, 0) for n, (k, _) in wanted.items()}))
    body = MARK + len(record).to_bytes(4, "big") + record
    at, places = table.meta.end + grown + 8, dict[int, tuple[bytes, int, int]]()
    for number, (kind, payload) in wanted.items():
        places[number] = kind, at + len(body), len(payload)
        body += payload
    box = heif_edits.put(0, 4, len(body) + 8).new + b"mdat" + body if wanted else b""
    old_end = table.own.end if table.own else table.meta.end
    edits = [*heif_edits.in_meta(data, table, places), Edit(table.meta.end, old_end, box)]
    return _spliced(data, [*edits, *heif_edits.moved(data, table, edits, places)])


def _payloads(data: bytes, table: ItemTable, change: Change) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each item that is to be in our box.

    What is to go where it cannot be restored is left empty, for other boxes may name the item.
    """
    old = {kind: _old(data, table, kind) for kind in (EXIF, XMP)}
    prefix, block = _split(old[EXIF] or b"")
    length = len(change.exif or b"")
    if block and length > len(block) and makernote.reaches(block, length, range(0)):
        raise RefusedError(f"its maker note points beyond its EXIF block; {ONLY_SIDECAR}")
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


def _item(table: ItemTable, kind: bytes) -> int:
    """The one item of a kind that describes the main picture; 0 if there is none.

    Several packets of XMP are left alone, so that none of them is it.
    """
    numbers = table.describing(kind)
    return numbers[0] if len(numbers) == 1 else 0


def _old(data: bytes, table: ItemTable, kind: bytes) -> bytes | None:
    number = _item(table, kind)
    if not number:
        return None
    if any(number in reference.targets for reference in table.references):
        raise RefusedError(f"has metadata that other items refer to; {ONLY_SIDECAR}")
    return _body(data, table, number)


def _is_in(box: Box | None, table: ItemTable, number: int) -> bool:
    spans = table.spans(number)
    return box is not None and any(box.at <= start < box.end for start, _ in spans)


def _spliced(data: bytes, edits: list[Edit]) -> Spliced:
    """The edited file; everything after the last edit comes from the older one."""
    at = max((edit.end for edit in edits), default=0)
    return Spliced(edited(data[:at], edits), data, at)
