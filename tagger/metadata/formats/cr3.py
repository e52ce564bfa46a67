"""Canon's CR3: TIFF blocks in a box inside moov, XMP and the preview in top-level boxes."""

import struct
from collections.abc import Iterator

from tagger.blob import Block
from tagger.errors import RefusedError
from tagger.metadata import ifd
from tagger.metadata.formats.raw_block import (
    MAX_PACKET,
    MAX_VALUE,
    Preview,
    Raw,
    block_of,
    kept,
    packet,
)

# Canon's uuid boxes (github.com/lclevy/canon_cr3): metadata in moov, the preview, and Adobe's XMP.
METADATA_BOX = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
PREVIEW_BOX = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
MAX_BOXES = 256


def read(file: Block) -> Raw:
    """The metadata of a CR3, and where its preview is.

    Raises:
        RefusedError: it is damaged, or has no EXIF.
    """
    parts, packets, previews = dict[bytes, bytes](), list[ifd.Value](), list[Preview]()
    for kind, at, end in boxes(file, 0, len(file)):
        if kind == b"moov":
            for inner, start, stop in boxes(file, at, end):
                if inner == b"uuid" and file[start : start + 16] == METADATA_BOX:
                    for name, first, last in boxes(file, start + 16, stop):
                        if name in (b"CMT1", b"CMT2", b"CMT4") and last - first < MAX_PACKET:
                            parts[name] = file[first:last]
        elif kind == b"uuid" and file[at : at + 16] == XMP_BOX and end - at <= MAX_PACKET:
            packets.append(packet(file[at + 16 : end]))
        elif kind == b"uuid" and file[at : at + 16] == PREVIEW_BOX:
            # The box PRVW: 6 bytes, width, height, 2 bytes, size, and the JPEG.
            for name, first, _ in boxes(file, at + 24, end):
                if name == b"PRVW":
                    (size,) = struct.unpack(">I", file[first + 12 : first + 16])
                    previews.append(Preview(first + 16, size))
    if b"CMT1" not in parts:
        raise RefusedError("its EXIF cannot be found; tag its JPEG, or export one")
    order, _ = ifd.header(parts[b"CMT1"])
    values = {name: list(_values(block, order)) for name, block in parts.items()}
    places = [place] if (place := values.get(b"CMT4")) else []
    block = block_of(order, values[b"CMT1"], values.get(b"CMT2", []), places, packets)
    return Raw(block, tuple(previews))


def _values(block: bytes, order: str) -> Iterator[ifd.Value]:
    """The values of a TIFF block with one directory."""
    same, start = ifd.header(block)
    if same != order:
        raise RefusedError("its EXIF is in two byte orders; tag its JPEG, or export one")
    for entry in ifd.read_ifd(block, order, start).entries if start else ():
        if entry.tag not in ifd.POINTERS and entry.size <= MAX_VALUE:
            yield kept(block, entry, MAX_VALUE)


def boxes(file: Block, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box (ISO/IEC 14496-12 section 4.2)."""
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return
        head = file[at : at + 16]
        size, kind = struct.unpack(">I4s", head[:8])
        begin = at + 8
        if size == 1:
            (size,), begin = struct.unpack(">Q", head[8:16]), at + 16
        stop = at + size if size else end
        if kind in (b"mdat", b"PRVW"):
            stop = min(stop, end)  # if pictures are truncated, the metadata is still complete
        if stop < begin or stop > end:
            raise RefusedError("its boxes do not add up; restore it from a backup")
        yield kind, begin, stop
        at = stop
