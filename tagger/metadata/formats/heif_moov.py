"""The offsets into the file in the image sequence of a HEIC or AVIF file (14496-12)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tagger.errors import RefusedError
from tagger.metadata.formats.heif import Box, boxes

CONTAINERS = frozenset(b"trak mdia minf stbl dinf".split())
# Boxes that may hold further offsets: fragments, auxiliary data, items of a track, others.
ODD = frozenset(b"mvex saio meta uuid".split())
WIDTHS = {b"stco": 4, b"co64": 8}
SELF_CONTAINED = 1  # flag of a data reference (section 8.7.2): the media data is in this file
MAX_DEPTH, MAX_CHUNKS = 8, 10_000
STILL = "export a still picture from it"  # the remedy for every sequence that is refused


class Chunk(NamedTuple):
    """The offset of some samples of a track: ``place`` in the file, stored at ``at``."""

    at: int
    width: int
    place: int


def chunks(data: bytes, moov: Box, depth: int = 0) -> Iterator[Chunk]:
    """Every chunk of every track.

    Raises:
        RefusedError: the sequence may hold other offsets as well.
    """
    end = moov.at
    for box in boxes(data, moov.at, moov.end):
        end = box.end
        if box.kind in ODD or end > moov.end or depth > MAX_DEPTH:
            raise RefusedError(f"is an image sequence of a form that is not written; {STILL}")
        if box.kind in CONTAINERS:
            yield from chunks(data, box, depth + 1)
        elif box.kind in WIDTHS:
            yield from _table(data, box)
        elif box.kind == b"dref":
            _check_inside(data, box)
    if end != moov.end:
        raise RefusedError(f"is an image sequence whose boxes do not fill each other; {STILL}")


def _table(data: bytes, box: Box) -> Iterator[Chunk]:
    width = WIDTHS[box.kind]
    (count,) = struct.unpack_from(">I", data, box.at + 4)
    if count > MAX_CHUNKS or box.at + 8 + count * width != box.end:
        raise RefusedError(f"is an image sequence of a wrong or enormous length; {STILL}")
    for at in range(box.at + 8, box.end, width):
        yield Chunk(at, width, int.from_bytes(data[at : at + width], "big"))


def _check_inside(data: bytes, dref: Box) -> None:
    for box in boxes(data, dref.at + 8, dref.end):
        if not data[box.at + 3] & SELF_CONTAINED:
            raise RefusedError(f"is an image sequence that is kept in another file; {STILL}")
