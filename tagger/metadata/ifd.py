"""TIFF headers and image file directories (IFDs), read with struct and never trusted."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tagger.blob import Block
from tagger.errors import RefusedError

# EXIF 2.32 section 4.6.2: bytes of one value by type; 13 (IFD) is from TIFF technical note 1.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
EXIF_IFD, GPS_IFD, INTEROP_IFD, SUB_IFDS = 0x8769, 0x8825, 0xA005, 0x014A
POINTERS = frozenset((EXIF_IFD, GPS_IFD, INTEROP_IFD, SUB_IFDS))
THUMBNAIL_START, THUMBNAIL_SIZE = 0x0201, 0x0202
MAX_ENTRIES = 30_000  # of all directories together; a camera JPEG has some hundreds
MAX_DIRECTORIES = 64  # a camera JPEG has 5; a stack of TIFF pages is refused beyond this
MAX_OVERLAP = 4  # entries and values may take this many times the bytes there are


class BeyondError(RefusedError):
    """The bytes end before what an offset points to: a damaged file, or only its head.

    Attributes:
        what: what lies beyond them, without the remedy.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; repair the EXIF first")
        self.what = what


class IfdEntry(NamedTuple):
    """One 12-byte directory entry.

    ``at`` is its own offset in the block, ``size`` the bytes of its value (0 where the type is
    unknown) and ``start`` where that lies: in the entry if it fits 4 bytes, else where it points.
    """

    tag: int
    kind: int
    items: int
    offset: int
    at: int
    size: int
    start: int


class Value(NamedTuple):
    """A value to be written, already in the byte order of its block."""

    tag: int
    kind: int
    items: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Ifd:
    """One directory: its entries as they stand and the offset of the next one (0: none)."""

    entries: list[IfdEntry]
    next: int

    def find(self, tag: int) -> IfdEntry | None:
        return next((entry for entry in self.entries if entry.tag == tag), None)


def header(block: Block) -> tuple[str, int]:
    """Byte order as struct writes it (``<`` or ``>``) and the offset of IFD0 (TIFF 6 section 2).

    Raises:
        RefusedError: not a TIFF header, or BigTIFF.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4], "")
    if len(block) < 8 or not order:
        raise RefusedError("its EXIF block has no valid TIFF header; repair the EXIF first")
    return order, struct.unpack(order + "I", block[4:8])[0]


def read_ifd(block: Block, order: str, offset: int) -> Ifd:
    """The directory at ``offset``.

    Raises:
        BeyondError: it does not lie wholly inside the block.
    """
    if offset < 8 or offset + 2 > len(block):
        raise BeyondError(f"an EXIF directory at byte {offset} lies outside its block")
    (count,) = struct.unpack(order + "H", block[offset : offset + 2])
    end = offset + 2 + 12 * count
    if end + 4 > len(block):
        raise BeyondError(f"the EXIF directory at byte {offset} is cut short")
    (following,) = struct.unpack(order + "I", block[end : end + 4])
    return Ifd(list(entries(block, order, offset + 2, end)), following)


def entries(block: Block, order: str, at: int, end: int) -> Iterator[IfdEntry]:
    """The 12-byte entries from ``at`` to ``end``."""
    for tag, kind, items, offset in struct.iter_unpack(order + "HHII", block[at:end]):
        size = SIZES.get(kind, 0) * items
        yield IfdEntry(tag, kind, items, offset, at, size, at + 8 if size <= 4 else offset)
        at += 12


def value(block: Block, entry: IfdEntry) -> bytes:
    """The raw bytes of an entry's value.

    Raises:
        BeyondError: they do not lie wholly inside the block.
    """
    if entry.start + entry.size > len(block):
        raise BeyondError(f"the value of EXIF tag 0x{entry.tag:04x} lies outside its block")
    return block[entry.start : entry.start + entry.size]


def directories(block: Block) -> Iterator[tuple[str, Ifd]]:
    """Every directory that can be reached, IFD0 first, each with a name such as ``IFD0/8769``.

    Values are not read, except pointers to further directories.

    Raises:
        RefusedError: a directory outside the block, a loop, or too many directories or entries.
    """
    order, first = header(block)
    todo, seen, pages, count = [("IFD0", first)], set[int](), 1, 0
    while todo:
        name, offset = todo.pop(0)
        if offset in seen or len(seen) >= MAX_DIRECTORIES:
            raise RefusedError("its EXIF directories form a loop; repair the EXIF first")
        seen.add(offset)
        ifd = read_ifd(block, order, offset)
        count += len(ifd.entries)
        if count > MAX_ENTRIES:
            raise RefusedError(f"has more than {MAX_ENTRIES} EXIF entries; repair the EXIF first")
        yield name, ifd
        for entry in ifd.entries:
            if entry.tag in POINTERS and entry.kind in (4, 13):
                raw = value(block, entry)
                children = [number for (number,) in struct.iter_unpack(order + "I", raw)]
                todo += [(f"{name}/{entry.tag:04x}", child) for child in children]
        if ifd.next and "/" not in name:
            todo.append((f"IFD{pages}", ifd.next))
            pages += 1


def walk(block: bytes) -> list[tuple[str, Ifd]]:
    """All :func:`directories`, with each of their values checked.

    Raises:
        RefusedError: a directory or a value outside the block, a loop, too many directories, or
            values that overlap each other so much that reading them all takes no end of memory.
    """
    order, _ = header(block)
    taken, walked = 0, list[tuple[str, Ifd]]()
    for name, ifd in directories(block):
        walked.append((name, ifd))
        for entry in ifd.entries:
            if entry.start + entry.size > len(block):
                raise BeyondError(f"the value of EXIF tag 0x{entry.tag:04x} lies outside its block")
        taken += extent(ifd)
        if taken > MAX_OVERLAP * len(block):
            raise RefusedError("its EXIF values overlap; repair the EXIF first")
        _check_thumbnail(block, order, ifd)
    return walked


def extent(ifd: Ifd) -> int:
    """How many bytes a directory's entries and values take, each counted for itself."""
    return sum(12 + entry.size for entry in ifd.entries)


def _check_thumbnail(block: bytes, order: str, ifd: Ifd) -> None:
    start, size = ifd.find(THUMBNAIL_START), ifd.find(THUMBNAIL_SIZE)
    if start and size and number(block, order, start) + number(block, order, size) > len(block):
        raise BeyondError("its EXIF thumbnail lies outside the EXIF block")


def number(block: Block, order: str, entry: IfdEntry) -> int:
    """The first value of a SHORT or LONG entry; 0 for any other type."""
    code = {3: "H", 4: "I", 13: "I"}.get(entry.kind)
    if not code or not entry.items:
        return 0
    raw = block[entry.start : entry.start + struct.calcsize(code)]
    return int(struct.unpack(order + code, raw)[0])


def merged(
    block: bytes, order: str, old: Ifd | None, values: Iterable[Value], at: int, following: int
) -> bytes:
    """A directory to stand at offset ``at``: the old entries, replaced or joined by ``values``.

    Old entries keep their order and their 12 bytes, so that they still point where they did.
    """
    new = {value.tag: value for value in values}
    kept = [entry for entry in (old.entries if old else []) if entry.tag not in new]
    rows = [(entry.tag, block[entry.at : entry.at + 12]) for entry in kept]
    spare = at + 2 + 12 * (len(rows) + len(new)) + 4
    extra = bytearray()
    for item in sorted(new.values()):
        place = next((i for i, (tag, _) in enumerate(rows) if tag > item.tag), len(rows))
        field = item.raw.ljust(4, b"\0")
        if len(item.raw) > 4:
            field = struct.pack(order + "I", spare + len(extra))
            extra += item.raw + b"\0" * (len(item.raw) % 2)  # values start on even offsets
        row = struct.pack(order + "HHI", item.tag, item.kind, item.items) + field
        rows.insert(place, (item.tag, row))
    body = b"".join(row for _, row in rows)
    return struct.pack(order + "H", len(rows)) + body + struct.pack(order + "I", following) + extra


def shortened(block: bytes, order: str, offset: int, tags: set[int]) -> bytes:
    """The block with some entries taken out of the directory at ``offset``, nothing else moved."""
    old = read_ifd(block, order, offset)
    rows = [block[entry.at : entry.at + 12] for entry in old.entries if entry.tag not in tags]
    new = struct.pack(order + "H", len(rows)) + b"".join(rows) + struct.pack(order + "I", old.next)
    end = offset + 2 + 12 * len(old.entries) + 4
    return block[:offset] + new.ljust(end - offset, b"\0") + block[end:]
