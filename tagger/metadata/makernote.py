"""Finds maker notes that reach beyond the EXIF block, where a tag would be put in their way."""

import struct
from collections.abc import Iterator

from tagger.metadata import ifd

MAKER_NOTE = 0x927C
# Where makers put their directory after a signature, and where its offsets then count from:
# Canon, Sony, Pentax and most others count from the TIFF header (EXIF 2.32 leaves it open).
STARTS = (0, 2, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26)
SELF_BASED = {b"OLYMPUS\0": 0, b"OM SYSTE": 0, b"FUJIFILM": 0, b"Nikon\0\x02": 10, b"Apple iO": 0}
# Where the directory of a maker is always: at the other places a number may look like one.
KNOWN_STARTS = {b"Apple iO": (14,)}


def reaches(block: bytes, length: int, preview: range) -> bool:
    """Whether a maker note's value lies across or behind the end of its block.

    Appended bytes would turn a value that reads as cut off into one that reads as nonsense, and
    growth would move a preview away from where the note says it is.

    Args:
        block: the EXIF block before.
        length: its length after.
        preview: offsets, from the block's start, of what follows the main picture in the file.

    Raises:
        RefusedError: the block does not parse.
    """
    order, first = ifd.header(block)
    pointer = ifd.read_ifd(block, order, first).find(ifd.EXIF_IFD)
    if pointer is None:
        return False
    note = ifd.read_ifd(block, order, pointer.offset).find(MAKER_NOTE)
    if note is None or note.items < 32:
        return False
    signature = block[note.start : note.start + 8]
    base = next(
        (note.start + at for name, at in SELF_BASED.items() if signature[: len(name)] == name), 0
    )
    return any(
        _reaches(block, order, entry, base, length, preview)
        for order, entries in _directories(block, note)
        for directory in (entries, *_inner(block, order, entries, base))
        for entry in (*directory, *_preview(directory))
    )


def _inner(
    block: bytes, order: str, entries: list[ifd.IfdEntry], base: int
) -> Iterator[list[ifd.IfdEntry]]:
    """Directories that a note points to, such as Nikon's preview and Olympus' camera settings."""
    for pointer in entries:
        if pointer.kind in (4, 13) and pointer.items == 1:
            yield _directory(block, order, base + pointer.offset, len(block))


def _preview(entries: list[ifd.IfdEntry]) -> Iterator[ifd.IfdEntry]:
    """Start and size of a thumbnail or preview as one entry, which has these bytes as value."""
    sizes = {entry.tag: entry.offset for entry in entries if entry.items == 1}
    for entry in entries:
        size = sizes.get(ifd.THUMBNAIL_SIZE, 0)
        if entry.tag == ifd.THUMBNAIL_START and entry.items == 1 and size > 4:
            yield entry._replace(kind=7, items=size, size=size)


def _reaches(
    block: bytes, order: str, entry: ifd.IfdEntry, base: int, length: int, preview: range
) -> bool:
    start = entry.at + 8 if entry.size <= 4 else base + entry.offset
    if start < length and start + entry.size > len(block):
        return True
    if entry.kind != 4 or entry.items > 64:
        return False
    raw = block[start : start + entry.size]
    numbers = struct.unpack(f"{order}{len(raw) // 4}I", raw[: len(raw) // 4 * 4])
    return any(number + base in preview for number in numbers)


def _directories(block: bytes, note: ifd.IfdEntry) -> Iterator[tuple[str, list[ifd.IfdEntry]]]:
    """What can be read as a directory at the start of the note, in either byte order."""
    end = min(note.start + note.size, len(block))
    for skip in KNOWN_STARTS.get(block[note.start : note.start + 8], STARTS):
        for order in "<>":
            entries = _directory(block, order, note.start + skip, end)
            if entries:
                yield order, entries


def _directory(block: bytes, order: str, at: int, end: int) -> list[ifd.IfdEntry]:
    """The entries of what can be read as a directory that ends before ``end``; none otherwise."""
    if at + 2 > end:
        return []
    (count,) = struct.unpack_from(order + "H", block, at)
    if not 1 <= count <= 400 or at + 2 + 12 * count > end:
        return []
    entries = list(ifd.entries(block, order, at + 2, at + 2 + 12 * count))
    plausible = all(entry.kind in ifd.SIZES and entry.items < 1 << 24 for entry in entries)
    return entries if plausible else []
