"""Byte edits: which spans of a file are replaced by what, and where each byte ends up."""

from collections.abc import Sequence
from typing import NamedTuple

Buffer = bytes | memoryview


class Edit(NamedTuple):
    """Replace bytes ``start`` to ``end`` of the old file by ``new``; empty spans insert."""

    start: int
    end: int
    new: bytes


def apply(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The edited bytes; edits must not overlap, and insertions at one place keep their order."""
    view, pieces, at = memoryview(data), list[Buffer](), 0
    for edit in sorted(edits, key=lambda edit: edit[:2]):
        if edit.start < at:
            raise ValueError(f"edits overlap at byte {edit.start}")
        pieces += [view[at : edit.start], edit.new]
        at = edit.end
    return b"".join([*pieces, view[at:]])


def growth(edits: Sequence[Edit], position: int | None = None) -> int:
    """By how much the byte at ``position`` moves (None: by how much the file grows)."""
    return sum(
        len(edit.new) - (edit.end - edit.start)
        for edit in edits
        if position is None or edit.end <= position
    )
