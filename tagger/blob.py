"""A file's bytes: what is changed of them, new bytes that share the older, digests."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from blake3 import blake3

from tagger.records import Version

# What a BLAKE3 digest begins with, 33 bytes in all; one of 32 bytes is a SHA-256, as ledgers had
# before. 4 MB take 0.6 ms by BLAKE3, 2.2 by SHA-256 and 7.3 where the processor has no
# instructions for it.
BLAKE3 = b"\3"
SHA256_SIZE = 32
# A camera's header with its time and serial number, and the last of the compressed picture: two
# photos of the same size that agree in both are the same photo.
EDGE = 65_536


class Edit(NamedTuple):
    """Replace bytes ``start`` to ``end`` of the old file by ``new``; empty spans insert."""

    start: int
    end: int
    new: bytes


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The edited bytes; edits must not overlap, and insertions at one place keep their order."""
    view, parts, at = memoryview(data), list[bytes | memoryview](), 0
    for edit in sorted(edits, key=lambda edit: edit[:2]):
        if edit.start < at:
            raise ValueError(f"edits overlap at byte {edit.start}")
        parts += [view[at : edit.start], edit.new]
        at = edit.end
    return b"".join([*parts, view[at:]])


def growth(edits: Sequence[Edit], position: int | None = None) -> int:
    """By how much the byte at ``position`` moves (None: by how much the file grows)."""
    return sum(
        len(edit.new) - (edit.end - edit.start)
        for edit in edits
        if position is None or edit.end <= position
    )


@dataclass(frozen=True, slots=True, eq=False)
class Spliced:
    """``head``, then what ``older`` holds from byte ``at`` on."""

    head: bytes
    older: bytes = b""
    at: int = 0

    def __bytes__(self) -> bytes:
        return b"".join(pieces(self)) if self.older else self.head


Content = bytes | Spliced


def pieces(content: Content) -> list[bytes | memoryview]:
    """The bytes in order, nothing copied."""
    if isinstance(content, Spliced):
        return [content.head, memoryview(content.older)[content.at :]]
    return [content]


def digest_of(data: Content, like: bytes = BLAKE3) -> bytes:
    """The digest of some bytes, of the same kind as the digest ``like``."""
    hasher = hashlib.sha256() if len(like) == SHA256_SIZE else blake3()
    for piece in pieces(data):
        hasher.update(piece)
    return hasher.digest() if len(like) == SHA256_SIZE else BLAKE3 + hasher.digest()


class Blob(NamedTuple):
    """A photo's bytes and the version they are of."""

    data: bytes
    version: Version

    def fingerprint(self) -> bytes:
        """As :func:`fingerprint`."""
        return fingerprint(self.data)


class Block(Protocol):
    """Bytes, or a file that is read only where needed."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


def fingerprint(file: Block) -> bytes:
    """A photo's content in 16 bytes, by its head and tail: cheap enough for each photo, 0.2 ms."""
    return _of_edges(file[:EDGE], file[max(0, len(file) - EDGE) :])


def fingerprint_of_file(path: str) -> bytes:
    """As :func:`fingerprint`, without reading what lies between; empty where it is unreadable."""
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(EDGE)
            file.seek(max(0, os.fstat(file.fileno()).st_size - EDGE))
            return _of_edges(head, file.read(EDGE))
    except OSError:
        return b""


def _of_edges(head: bytes, tail: bytes) -> bytes:
    return hashlib.blake2b(head + tail, digest_size=16).digest()
