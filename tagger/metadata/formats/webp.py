"""WebP: EXIF and XMP chunks of the extended RIFF layout (RFC 9649 section 2.7)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tagger.blob import Spliced
from tagger.errors import RefusedError
from tagger.metadata.formats.container import Blocks, Change, Parts

HEAD_TELLS_ALL = True
EXIF_FLAG, XMP_FLAG, ALPHA_FLAG = 0x08, 0x04, 0x10
PREFIX = b"Exif\0\0"  # some writers put JPEG's prefix before the TIFF header
MAX_CHUNKS = 200_000  # an animation has one per frame
PICTURE = (b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L", b"VP8X")


class RiffChunk(NamedTuple):
    """One chunk: its data from ``at`` to ``end``, padding not counted."""

    kind: bytes
    at: int
    end: int


def chunks(data: bytes) -> Iterator[RiffChunk]:
    """The chunks that lie wholly in the data."""
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            return
        yield RiffChunk(kind, at + 8, at + 8 + length)
        at += 8 + length + length % 2


def blocks(data: bytes, whole: bool) -> Blocks:
    """EXIF and XMP in the first bytes of a WebP; they come after the picture."""
    parts = list(chunks(data))
    exif = tuple(
        [data[c.at : c.end].removeprefix(PREFIX) for c in parts if c.kind == b"EXIF"],
    )
    xmp = tuple([data[c.at : c.end] for c in parts if c.kind == b"XMP "])
    if len(data) < 20:
        return Blocks(settled=whole)
    (length,) = struct.unpack_from("<I", data, 4)
    last = parts[-1].end if parts else 12
    odd = (data[last:],) if whole else ()  # a truncated chunk, or trailing data
    simple = data[12:16] in (b"VP8 ", b"VP8L")
    if simple and length <= 13 + struct.unpack_from("<I", data, 16)[0]:
        return Blocks()  # one chunk that fills the file: the picture
    signed = any(chunk.kind == b"C2PA" for chunk in parts)
    return Blocks(exif, xmp, whole or 8 + length <= len(data), odd, signed)


def read(data: bytes) -> Parts:
    """The EXIF block and XMP packet of a WebP that may be written.

    Raises:
        RefusedError: it cannot be written without risk.
    """
    parts = list(chunks(data))
    (length,) = struct.unpack_from("<I", data, 4)
    last = parts[-1].end + (parts[-1].end - parts[-1].at) % 2 if parts else 0
    if not parts or 8 + length != len(data) or last != len(data):
        raise RefusedError("its WebP chunks do not fill the file; re-save a copy")
    kinds = [chunk.kind for chunk in parts]
    if kinds[0] != b"VP8X" and (len(parts) > 1 or kinds[0] not in (b"VP8 ", b"VP8L")):
        raise RefusedError("its WebP layout is not one the standard knows; re-save a copy")
    if kinds[0] == b"VP8X" and parts[0].end - parts[0].at != 10:
        raise RefusedError("its WebP header has a wrong size; re-save a copy")
    if kinds.count(b"EXIF") > 1:
        raise RefusedError("has more than one EXIF block; merge them with a metadata editor first")
    if kinds[0] != b"VP8X":
        _size(data, parts[0])
    exif = [data[c.at : c.end] for c in parts if c.kind == b"EXIF"]
    xmp = [data[c.at : c.end] for c in parts if c.kind == b"XMP "]
    return Parts(
        exif[0].removeprefix(PREFIX) if exif else None,
        xmp[0] if xmp else None,
        "it has two XMP packets" if len(xmp) > 1 else "",
    )


def write(data: bytes, change: Change) -> Spliced:
    """The WebP with new EXIF and XMP, in the extended layout, after the picture."""
    parts = list(chunks(data))
    prefix = b""
    exif, xmp = list[bytes](), list[bytes]()
    picture, others = list[tuple[bytes, bytes]](), list[tuple[bytes, bytes]]()
    for chunk in parts:
        body = data[chunk.at : chunk.end]
        if chunk.kind == b"EXIF":
            prefix = PREFIX if body.startswith(PREFIX) else b""
        elif chunk.kind == b"XMP ":
            xmp.append(body)
        else:
            (picture if chunk.kind in PICTURE else others).append((chunk.kind, body))
    if change.exif is not None:
        exif = [prefix + change.exif]
    if not change.leave_xmp:
        xmp = [change.xmp] if change.xmp is not None else []
    if picture[0][0] != b"VP8X":
        width, height, alpha = _size(data, parts[0])
        sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        picture.insert(0, (b"VP8X", bytes([ALPHA_FLAG if alpha else 0, 0, 0, 0]) + sizes))
    head = picture[0][1]
    flags = head[0] & ~(EXIF_FLAG | XMP_FLAG)
    flags |= (EXIF_FLAG if exif else 0) | (XMP_FLAG if xmp else 0)
    picture[0] = (b"VP8X", bytes([flags]) + head[1:])
    if not flags & ~ALPHA_FLAG and len(picture) == 2 and not others:
        del picture[0]  # what the simple layout states as well
    metadata = [(b"EXIF", body) for body in exif] + [(b"XMP ", body) for body in xmp]
    body = b"".join(_chunk(*item) for item in [*picture, *metadata, *others])
    return Spliced(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2)


def _size(data: bytes, chunk: RiffChunk) -> tuple[int, int, bool]:
    """Width, height and use of alpha of a simple WebP (RFC 6386 section 9.1, RFC 9649 3.4)."""
    if chunk.kind == b"VP8 " and data[chunk.at + 3 : chunk.at + 6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, chunk.at + 6)
        return width & 0x3FFF, height & 0x3FFF, False
    if chunk.kind == b"VP8L" and chunk.end - chunk.at > 5 and data[chunk.at] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, chunk.at + 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    raise RefusedError("its picture does not parse; re-save a copy")


def check_rest(old: bytes, new: Spliced) -> None:
    """Check that all chunks but EXIF, XMP and their two flags are the same.

    Raises:
        RefusedError: they are not.
    """
    before, after = _rest(old), _rest(new.head)
    if before[0][0] != after[0][0]:  # only one of them has the extended layout
        before, after = (rest[rest[0][0] == b"VP8X" :] for rest in (before, after))
    if before != after:
        raise RefusedError("writing would change another part of the file; please report this")


def _rest(data: bytes) -> list[tuple[bytes, bytes]]:
    kept = []
    for kind, at, end in chunks(data):
        body = data[at:end]
        if kind == b"VP8X":
            body = bytes([body[0] & ~(EXIF_FLAG | XMP_FLAG)]) + body[1:]
        if kind not in (b"EXIF", b"XMP "):
            kept.append((kind, body))
    return sorted(kept, key=lambda item: item[0] not in PICTURE)
