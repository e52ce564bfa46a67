"""PNG: EXIF in an eXIf chunk and XMP in an iTXt chunk (PNG third edition, section 11.3)."""

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from tagger.blob import Edit, Spliced, edited
from tagger.errors import RefusedError
from tagger.metadata import inside, resolution
from tagger.metadata.formats import raw_profile
from tagger.metadata.formats.container import Blocks, Change, Parts
from tagger.metadata.resolution import Density

HEAD_TELLS_ALL = True
START = 8  # the signature
XMP_KEYWORD = b"XML:com.adobe.xmp\0"
XMP_HEAD = XMP_KEYWORD + b"\0\0\0\0"  # not compressed, no language, no translated keyword
RAW_PROFILE = b"Raw profile type "  # how ImageMagick stored EXIF and XMP before eXIf existed
MAX_INFLATED = 8_000_000
MAX_INFLATING = 16  # chunks to inflate in one file; one or two hold metadata
MAX_CHUNKS = 200_000  # of 8 KB as libpng writes them, 1.6 GB


class PngChunk(NamedTuple):
    """One chunk: ``start`` is its length field, ``at`` its data, ``end`` what follows its CRC."""

    kind: bytes
    start: int
    at: int
    end: int


def chunks(data: bytes) -> Iterator[PngChunk]:
    """The chunks that lie wholly in the data, up to and including IEND."""
    at = START
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            return
        yield PngChunk(kind, at, at + 8, at + 12 + length)
        if kind == b"IEND":
            return
        at += 12 + length


def blocks(data: bytes, whole: bool) -> Blocks:
    """EXIF and XMP in the first bytes of a PNG; they may also come after the picture."""
    exif, xmp, odd = list[bytes](), list[bytes](), list[bytes]()
    ended, inflating, last, signed = False, 0, START, False
    for chunk in chunks(data):
        signed = signed or chunk.kind == b"caBX"
        body = data[chunk.at : chunk.end - 4] if chunk.kind in METADATA else b""
        if chunk.kind.lower() in EXIF_KINDS and inflating < MAX_INFLATING:
            inflating += chunk.kind != b"eXIf"
            exif.append(_exif(data[chunk.at : chunk.end - 4]))
        elif body.startswith((XMP_KEYWORD, RAW_PROFILE)) and inflating < MAX_INFLATING:
            inflating += 1
            if body.startswith(XMP_KEYWORD):
                xmp.append(_text(body, chunk.kind))
            else:
                profile = raw_profile.blocks(_text(body, chunk.kind))
                exif += profile.exif
                xmp += profile.xmp
                odd += profile.odd
        ended, last = chunk.kind == b"IEND", chunk.end
    if whole and not ended:
        odd.append(data[last:])  # a truncated chunk
    return Blocks(tuple(exif), tuple(xmp), whole or ended, tuple(odd), signed)


METADATA = (b"iTXt", b"zTXt", b"tEXt")
EXIF_KINDS = (b"exif", b"zxif")  # zxIf: once proposed for compressed EXIF


def _exif(body: bytes) -> bytes:
    """An EXIF block; some writers put JPEG's header before it, or compress it."""
    body = body.removeprefix(inside.EXIF_HEAD)
    return (
        _inflate(body[5:]) if body.startswith(b"\0") else body
    )  # after a zero byte and its length


def _text(body: bytes, kind: bytes) -> bytes:
    """The text of a tEXt, zTXt or iTXt chunk."""
    text = body.partition(b"\0")[2]
    if kind == b"zTXt":
        return _inflate(text[1:])
    if kind == b"tEXt":
        return text
    flags, text = text[:2], text[2:].split(b"\0", 2)[-1]
    return _inflate(text) if flags[:1] == b"\x01" else text


def _inflate(data: bytes) -> bytes:
    """At most 8 MB of what the data inflates to."""
    try:
        return zlib.decompressobj().decompress(data, MAX_INFLATED)
    except zlib.error:
        return b""


def read(data: bytes) -> Parts:
    """The EXIF block and XMP packet of a PNG that may be written.

    Raises:
        RefusedError: it cannot be written without risk.
    """
    parts = list(chunks(data))
    if len(parts) < 3 or parts[0].kind != b"IHDR" or parts[-1].kind != b"IEND":
        raise RefusedError("its PNG chunks do not parse; re-save a copy")
    iptc = _check_profiles(data, parts)
    exif = [chunk for chunk in parts if chunk.kind == b"eXIf"]
    xmp = [chunk for chunk in parts if _is_xmp(data, chunk)]
    if len(exif) > 1:
        raise RefusedError("has more than one EXIF block; merge them with a metadata editor first")
    if exif and not data.startswith((b"II*\0", b"MM\0*"), exif[0].at):
        raise RefusedError("has an EXIF block with a wrong header; repair the EXIF first")
    texts = [chunk for chunk in parts if _is_text_xmp(data, chunk)]
    trouble = ""
    if texts:
        trouble = "it has XMP in a chunk of plain text" if not xmp else "it has two XMP packets"
    elif len(xmp) > 1:
        trouble = "it has two XMP packets"
    elif xmp and not data.startswith(XMP_HEAD, xmp[0].at):
        trouble = "its XMP is compressed"
    return Parts(
        data[exif[0].at : exif[0].end - 4] if exif else None,
        data[xmp[0].at + len(XMP_HEAD) : xmp[0].end - 4] if xmp and not trouble else None,
        trouble,
        density=_density(data, parts),
        caption=iptc,
        keywords=iptc,
    )


def _check_profiles(data: bytes, parts: list[PngChunk]) -> bool:
    """Whether there may be IPTC in a raw profile.

    Raises:
        RefusedError: there is EXIF or XMP in one, or EXIF in an odd chunk.
    """
    named = [chunk for chunk in parts if chunk.kind in METADATA]
    profiles = [
        data[chunk.at : chunk.end - 4] for chunk in named if data.startswith(RAW_PROFILE, chunk.at)
    ]
    names = {body[len(RAW_PROFILE) :].partition(b"\0")[0].lower() for body in profiles}
    if names & {b"exif", b"app1", b"xmp"}:
        raise RefusedError("keeps EXIF in the old way of ImageMagick; re-save a copy")
    if any(chunk.kind.lower() in EXIF_KINDS and chunk.kind != b"eXIf" for chunk in parts):
        raise RefusedError("keeps EXIF in a non-standard chunk; re-save a copy")
    return bool(names & {b"iptc", b"8bim"})


def _is_text_xmp(data: bytes, chunk: PngChunk) -> bool:
    return chunk.kind in (b"tEXt", b"zTXt") and data.startswith(XMP_KEYWORD, chunk.at)


def _is_xmp(data: bytes, chunk: PngChunk) -> bool:
    return chunk.kind == b"iTXt" and data.startswith(XMP_KEYWORD, chunk.at)


def _density(data: bytes, parts: list[PngChunk]) -> Density | None:
    """Resolution per inch from pHYs, if that is absolute."""
    for chunk in parts:
        if chunk.kind == b"pHYs" and chunk.end - chunk.at == 13:
            x, y, unit = struct.unpack_from(">IIB", data, chunk.at)
            if unit == 1:
                across, down = (Fraction(round(number * 0.0254)) for number in (x, y))
                return resolution.made(across, down, resolution.INCH)
    return None


def write(data: bytes, change: Change) -> Spliced:
    """The PNG with new EXIF and XMP; new EXIF goes after IHDR, new XMP after EXIF."""
    parts = list(chunks(data))
    exif = [chunk for chunk in parts if chunk.kind == b"eXIf"]
    edits = [_edit(parts, exif, b"eXIf", change.exif)]
    if not change.leave_xmp:
        xmp = [chunk for chunk in parts if _is_xmp(data, chunk)]
        body = None if change.xmp is None else XMP_HEAD + change.xmp
        edits.append(_edit(exif or parts, xmp, b"iTXt", body))
    return Spliced(edited(data, edits))


def _edit(before: list[PngChunk], old: list[PngChunk], kind: bytes, body: bytes | None) -> Edit:
    place = (old[0].start, old[0].end) if old else (before[0].end, before[0].end)
    if body is None:
        return Edit(*place, b"")
    length, crc = len(body), zlib.crc32(kind + body)
    return Edit(*place, struct.pack(">I4s", length, kind) + body + struct.pack(">I", crc))


def check_rest(old: bytes, new: Spliced) -> None:
    """Check that all chunks but eXIf and XMP, their order, and what follows IEND are the same.

    Raises:
        RefusedError: they are not.
    """
    if _rest(old) != _rest(new.head):
        raise RefusedError("writing would change another part of the file; please report this")


def _rest(data: bytes) -> list[bytes]:
    parts = list(chunks(data))
    kept = [chunk for chunk in parts if chunk.kind != b"eXIf" and not _is_xmp(data, chunk)]
    return [data[chunk.start : chunk.end] for chunk in kept] + [data[parts[-1].end :]]
