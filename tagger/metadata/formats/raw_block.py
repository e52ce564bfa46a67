"""The parts of a camera raw file that are read: a small EXIF block, and its previews."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from tagger.blob import Block
from tagger.errors import RefusedError
from tagger.metadata import ifd, inside

MAX_VALUE = 4096  # longest EXIF value to keep: no maker notes, no tone curves
MAX_PACKET = 8_000_000  # bytes of XMP, IPTC or Photoshop data


class Preview(NamedTuple):
    """A picture inside: a JPEG, or plain RGB if ``shape`` (width, height) is given."""

    start: int
    size: int
    shape: tuple[int, int] | None = None


class Raw(NamedTuple):
    """A small EXIF block of a raw file (empty if it has none), and its previews."""

    block: bytes
    previews: tuple[Preview, ...]


def packet(xmp: bytes) -> ifd.Value:
    return ifd.Value(inside.XMP_TAG, 1, len(xmp), xmp)


def kept(file: Block, entry: ifd.IfdEntry, most: int) -> ifd.Value:
    """A value with its bytes.

    Raises:
        RefusedError: it lies outside the file, or is far too large.
    """
    if entry.size > most:
        size = f"its EXIF tag 0x{entry.tag:04x} has {entry.size:,} bytes, too many"
        raise RefusedError(f"{size}; tag its JPEG, or export one")
    return ifd.Value(entry.tag, entry.kind, entry.items, ifd.value(file, entry))


def block_of(
    order: str,
    first: Sequence[ifd.Value],
    exif: Sequence[ifd.Value],
    places: Sequence[Sequence[ifd.Value]],
    packets: Sequence[ifd.Value],
) -> bytes:
    """An EXIF block of IFD0, the Exif directory, GPS directories, and XMP or IPTC.

    A second GPS directory or packet, which readers also use, gets a page of its own.
    """
    out = bytearray(8)

    def put(values: Sequence[ifd.Value], following: int = 0) -> int:
        at = len(out)
        out.extend(ifd.merged(b"", order, None, values, at, following))
        return at

    def pointer(tag: int, at: int) -> ifd.Value:
        return ifd.Value(tag, 4, 1, struct.pack(order + "I", at))

    more = [*(pointer(ifd.GPS_IFD, put(fields)) for fields in places), *packets]
    taken = {value.tag: value for value in reversed(more)}
    page = 0
    for value in reversed(more):
        if taken[value.tag] is not value:
            page = put([value], page)
    if exif:
        taken[ifd.EXIF_IFD] = pointer(ifd.EXIF_IFD, put(exif))
    at = put([*first, *taken.values()], page)
    struct.pack_into(f"{order}2sHI", out, 0, b"II" if order == "<" else b"MM", 42, at)
    return bytes(out)
