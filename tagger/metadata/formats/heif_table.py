"""The item table of a HEIC or AVIF file: its items, where they lie and what they describe."""

from dataclasses import dataclass
from typing import NamedTuple

from tagger.errors import RefusedError
from tagger.metadata.formats.heif import Box
from tagger.metadata.formats.heif_moov import Chunk

MARK = b"landmark-tag\0"  # the first bytes of the mdat box that holds what we write


class Widths(NamedTuple):
    """How many bytes each number of ``iloc`` takes; ``part`` is for an extent's index."""

    offset: int
    length: int
    base: int
    part: int


class Extent(NamedTuple):
    """Part of an item: its offset stands at ``at`` in the file, ``start`` and ``end`` follow from
    it; they count from the file's start, ``idat``'s or an item's, as the item's method says."""

    at: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """Where an item lies (14496-12 section 8.11.3); its entry takes ``start`` to ``end``."""

    start: int
    end: int
    method: int
    outside: int  # data reference index: 0 is this file
    base_at: int
    extents: tuple[Extent, ...]


class Item(NamedTuple):
    """An entry of ``iinf`` (section 8.11.6) from ``start`` to ``end``; ``kind`` as heif.py says."""

    kind: bytes
    plain: bool  # neither protected nor compressed
    start: int
    end: int


class Reference(NamedTuple):
    """An entry of ``iref`` (section 8.11.12) from ``start`` to ``end``."""

    kind: bytes
    source: int
    targets: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ItemTable:
    """The boxes of a file and its items.

    ``parts`` are the boxes of ``meta``; ``trailer`` is where Samsung's begins, or the file's end.
    ``chunks`` are the offsets of an image sequence.
    """

    boxes: tuple[Box, ...]
    trailer: int
    meta: Box
    parts: dict[bytes, Box]
    primary: int
    items: dict[int, Item]
    widths: Widths
    locations: dict[int, ItemPlace]
    references: tuple[Reference, ...]
    chunks: tuple[Chunk, ...]
    own: Box | None  # the mdat box that we wrote

    def describing(self, kind: bytes) -> list[int]:
        """The items of a kind that describe the main picture, or, if none does, no picture."""
        numbers = [number for number, item in self.items.items() if item.kind == kind]
        seen = dict[int, set[int]]()
        for reference in self.references:
            if reference.kind == b"cdsc":
                seen.setdefault(reference.source, set()).update(reference.targets)
        own = [number for number in numbers if self.primary in seen.get(number, ())]
        return own or [number for number in numbers if number not in seen]

    def spans(self, number: int) -> list[tuple[int, int]]:
        """The spans of the file that hold an item's bytes."""
        place = self.locations.get(number)
        if place is None:
            return []
        if place.method > 1:
            raise RefusedError("keeps metadata inside another item; re-save a copy")
        base = self.parts[b"idat"].at if place.method else 0
        return [(base + extent.start, base + extent.end) for extent in place.extents]
