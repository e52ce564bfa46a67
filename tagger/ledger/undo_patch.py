"""What undo needs of a change: digests of both versions, and a patch to restore the older one."""

import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

from tagger.blob import Blob, Content, Spliced, digest_of
from tagger.errors import RefusedError
from tagger.records import Version

# Deflate looks back 32 KB. A block of 8 KB with 24 KB of the newer bytes around it as dictionary
# shrinks a header that was patched, or moved by up to 8 KB, to some tens of bytes.
_BLOCK, _AROUND = 1 << 13, 1 << 13
_COMPARED = 1 << 16  # slices of this size stay in the processor's cache
_FORMAT = struct.Struct(">QQQ")  # common prefix, common suffix, older middle; then blocks, CRC-32


@dataclass(frozen=True, slots=True)
class Intent:
    """What is recorded of a change before it happens: all that undo needs.

    The digests are of :func:`tagger.blob.digest_of`, None where there is no file; ``patch`` is of
    :func:`make`.
    """

    key: str
    digest_before: bytes | None
    digest_after: bytes | None
    before: Version | None
    patch: bytes


class Intending(ABC):
    """Notes what is about to happen to a file; what it takes to undo it is worked out here."""

    @abstractmethod
    def note(self, intent: Intent) -> int:
        """Record an intent; it is durable when this returns, with the number of the change."""

    def intend(self, key: str, before: Blob | None, after: Content | None) -> Callable[[], int]:
        """Begin to note that ``key`` is about to become ``after`` (None: be removed).

        Returns:
            what to call before it happens; as :meth:`note`.
        """

        def note() -> int:
            intent = Intent(
                key,
                digest_of(before.data) if before else None,
                None if after is None else digest_of(after),
                replace(before.version, data=None) if before else None,
                make(before.data, after or b"") if before else b"",
            )
            return self.note(intent)

        return note


@dataclass(frozen=True, slots=True)
class _Frame:
    """How many bytes two versions share at the start and at the end."""

    prefix: int
    suffix: int


def make(older: bytes, newer: Content) -> bytes:
    """What :func:`restore` needs, besides ``newer``, to return ``older``."""
    rest = 0  # bytes at the end that are the same, as they are one object
    if isinstance(newer, Spliced) and newer.older is older:
        rest = len(older) - newer.at
        older, newer = older[: newer.at], newer.head
    newer = bytes(newer)
    frame = _frame(older, newer)
    middle = older[frame.prefix : len(older) - frame.suffix]
    against = newer[frame.prefix : len(newer) - frame.suffix]
    header = _FORMAT.pack(frame.prefix, frame.suffix + rest, len(middle))
    parts = [header]
    for start in range(0, len(middle), _BLOCK):
        block = middle[start : start + _BLOCK]
        if against[start : start + _BLOCK] == block:
            parts.append(b"\0\0")
            continue
        packer = zlib.compressobj(6, zlib.DEFLATED, -15, zdict=_around(against, start))
        packed = packer.compress(block) + packer.flush()
        parts.append(struct.pack(">H", len(packed)) + packed)
    parts.append(struct.pack(">I", zlib.crc32(middle, zlib.crc32(header))))
    return b"".join(parts)


def restore(newer: bytes, delta: bytes) -> bytes:
    """The older bytes.

    Raises:
        RefusedError: ``delta`` is damaged or does not belong to ``newer``.
    """
    try:
        prefix, suffix, length = _FORMAT.unpack_from(delta)
        against = newer[prefix : len(newer) - suffix]
        place, parts = _FORMAT.size, []
        for start in range(0, length, _BLOCK):
            (size,) = struct.unpack_from(">H", delta, place)
            packed = delta[place + 2 : place + 2 + size]
            place += 2 + size
            block = against[start : start + min(_BLOCK, length - start)]
            if size:
                unpacker = zlib.decompressobj(-15, zdict=_around(against, start))
                block = unpacker.decompress(packed, _BLOCK)
            parts.append(block)
        (checksum,) = struct.unpack_from(">I", delta, place)
    except (struct.error, zlib.error) as error:
        raise RefusedError(
            f"its undo record is damaged ({error}); restore it from a backup"
        ) from error
    middle = b"".join(parts)
    if len(middle) != length or zlib.crc32(middle, zlib.crc32(delta[: _FORMAT.size])) != checksum:
        raise RefusedError("its undo record does not fit; restore it from a backup")
    return b"".join((newer[:prefix], middle, newer[len(newer) - suffix :]))


def _around(against: bytes, start: int) -> bytes:
    return against[max(0, start - _AROUND) : start + _BLOCK + _AROUND]


def _frame(older: bytes, newer: bytes) -> _Frame:
    shorter = min(len(older), len(newer))
    prefix = _common(older, newer, shorter, 0, 0, 1)
    suffix = _common(older, newer, shorter - prefix, len(older), len(newer), -1)
    return _Frame(prefix, suffix)


def _common(one: bytes, other: bytes, limit: int, at: int, there: int, step: int) -> int:
    """How many bytes agree, up to ``limit``, forward from two places or backward from them."""

    view = memoryview(one)

    def same(done: int, size: int) -> bool:
        if step > 0:
            first, second = at + done, there + done
        else:
            first, second = at - done - size, there - done - size
        # startswith() is memcmp without a copy.
        return other.startswith(view[first : first + size], second)

    done, size = 0, _COMPARED
    while done < limit and size:
        size = min(size, limit - done)
        if same(done, size):
            done += size
        else:
            size //= 2  # the first difference is in this slice; look at its near half
    return done
