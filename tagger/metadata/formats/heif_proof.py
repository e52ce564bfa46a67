"""Checks that writing a HEIC or AVIF changed no item but EXIF and XMP."""

from collections.abc import Hashable, Iterator

from tagger.blob import Spliced
from tagger.errors import RefusedError
from tagger.metadata.formats import heif_parse
from tagger.metadata.formats.heif import EXIF, XMP
from tagger.metadata.formats.heif_table import ItemTable

MENDED = frozenset((b"iinf", b"iloc", b"iref"))
Span = tuple[Hashable, int, int]  # its kind, and its place


def check_rest(old: bytes, new: Spliced) -> None:
    """Every item but EXIF and XMP of the main picture has the same bytes, and so have all else.

    That is: the other boxes of the file and of ``meta``, what is told of the other items, and
    each offset of an image sequence names the same sample.

    Raises:
        RefusedError: they have not.
    """
    before, after = list(_rest(old)), list(_rest(new.head))
    if [what for what, _, _ in before] != [what for what, _, _ in after]:
        raise RefusedError("writing would change another part of the file; please report this")
    view, data = memoryview(old), new.head
    for (_, start, end), (_, there, stop) in zip(before, after, strict=True):
        if end - start != stop - there or not data.startswith(view[start:end], there):
            raise RefusedError("writing would change the picture data; please report this")


def _rest(data: bytes) -> Iterator[Span]:
    table = heif_parse.parse(data)
    own = {
        n for kind in (EXIF, XMP) if len(numbers := table.describing(kind)) == 1 for n in numbers
    }
    yield from _boxes(data, table)
    for box in sorted(table.parts.values(), key=lambda box: box.start):
        if box.kind not in MENDED:
            yield ("meta", box.kind), box.start, box.end
    yield ("meta", data[table.meta.at : table.meta.at + 4]), 0, 0
    for number, item in table.items.items():
        if number not in own:
            yield ("item", number), item.start, item.end
    for reference in table.references:
        if reference.source not in own:
            yield ("reference", reference[:3]), 0, 0
    for number, place in table.locations.items():
        if number not in own:
            yield ("place", number, place.method), 0, 0
            yield from _extents(table, number)


def _boxes(data: bytes, table: ItemTable) -> Iterator[Span]:
    """The boxes of the file; those of a sequence without its offsets, which are compared apart."""
    for box in table.boxes:
        if box == table.own or box.kind == b"meta":
            continue
        at = box.start
        for chunk in table.chunks if box.kind == b"moov" else ():
            yield "moov", at, chunk.at
            yield ("chunk", _in_box(table, chunk.place)), 0, 0
            at = chunk.at + chunk.width
        yield ("box", box.kind), at, box.end
    yield "trailer", table.trailer, len(data)


def _in_box(table: ItemTable, place: int) -> tuple[int, int]:
    """Which box other than ours contains an offset, and the offset inside the box."""
    others = [box for box in table.boxes if box != table.own]
    box_at = ((n, place - b.at) for n, b in enumerate(others) if b.at <= place < b.end)
    return next(box_at, (-1, place))


def _extents(table: ItemTable, number: int) -> Iterator[Span]:
    place = table.locations[number]
    if place.method > 1:
        for extent in place.extents:
            yield ("in an item", number, extent.start, extent.end), 0, 0
        return
    for start, end in table.spans(number):
        yield ("extent", number), start, end
