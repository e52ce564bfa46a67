"""What stands inside an EXIF block or Photoshop's image resources: XMP, IPTC, and EXIF again."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from tagger.errors import RefusedError
from tagger.metadata import ifd
from tagger.metadata.formats.container import Blocks, Parts, in_iptc

XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG = 700, 33723, 34377  # TIFF's tags; readers heed them in any EXIF
TAGS = (XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG)
PHOTOSHOP_HEAD = b"Photoshop 3.0\0"  # before the resources in a JPEG's APP13
EXIF_HEAD = b"Exif\0\0"
IPTC_RESOURCE, EXIF_RESOURCE, XMP_RESOURCE = 0x0404, 0x0422, 0x0424
MAX_RESOURCES = 2000  # a file of Photoshop has some dozens
INSIDE_EXIF = "its XMP is inside its EXIF"


def of_exif(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and bytes of XMP, IPTC and Photoshop data in any directory that can be reached."""
    left = ifd.MAX_OVERLAP * len(block)
    with suppress(RefusedError):
        for _, directory in ifd.directories(block):
            for entry in directory.entries:
                if entry.tag not in TAGS:
                    continue
                left -= entry.size
                if left < 0:
                    return
                with suppress(ifd.BeyondError):
                    yield entry.tag, ifd.value(block, entry)


def resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of Photoshop's image resources (Adobe Photoshop file formats, section 2)."""
    at = len(PHOTOSHOP_HEAD) if data.startswith(PHOTOSHOP_HEAD) else 0
    for _ in range(MAX_RESOURCES):
        if at + 12 > len(data):
            return
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        name = data[at + 6]
        at += 7 + name + (name + 1) % 2  # the name and its length take an even number of bytes
        size = int.from_bytes(data[at : at + 4], "big")
        yield number, data[at + 4 : at + 4 + size]
        at += 4 + size + size % 2


def of_photoshop(data: bytes) -> Blocks:
    """EXIF and XMP among image resources, where Photoshop and its like keep a copy of both."""
    if not any(number.to_bytes(2, "big") in data for number in (EXIF_RESOURCE, XMP_RESOURCE)):
        return Blocks()
    entries = list(resources(data))
    return Blocks(
        tuple([raw.removeprefix(EXIF_HEAD) for kind, raw in entries if kind == EXIF_RESOURCE]),
        tuple([raw for kind, raw in entries if kind == XMP_RESOURCE]),
    )


def packets(block: bytes) -> list[bytes]:
    """The XMP packets inside an EXIF block."""
    packed = list[bytes]()
    for tag, raw in of_exif(block):
        if tag == XMP_TAG:
            packed.append(raw)
        elif tag == PHOTOSHOP_TAG:
            packed += of_photoshop(raw).xmp
    return packed


def copies(block: bytes) -> list[bytes]:
    """The EXIF blocks that Photoshop's image resources inside an EXIF block hold."""
    return [
        copy
        for tag, raw in of_exif(block)
        if tag == PHOTOSHOP_TAG
        for copy in of_photoshop(raw).exif
    ]


def completed(parts: Parts) -> Parts:
    """The parts of a photo with caption, keywords and XMP from its EXIF block.

    XMP that is inside EXIF and nowhere else is left alone: a packet in its usual place would hide
    it from readers who look there first.
    """
    if parts.exif is None or not _may_hold(parts.exif):
        return parts
    entries = list(of_exif(parts.exif))
    caption, keywords = in_iptc(b"".join(raw for tag, raw in entries if tag != XMP_TAG))
    xmp = [] if parts.xmp_tag else packets(parts.exif)
    alone = bool(xmp) and parts.xmp is None and not parts.xmp_trouble
    return replace(
        parts,
        xmp_trouble=INSIDE_EXIF if alone else parts.xmp_trouble,
        caption=parts.caption or caption or any(b"description" in packet for packet in xmp),
        keywords=parts.keywords or keywords or any(b"subject" in packet for packet in xmp),
    )


def _may_hold(block: bytes) -> bool:
    """Whether any of the tags may be among the entries; spares most blocks the walk."""
    code = "<H" if block[:2] == b"II" else ">H"
    return any(struct.pack(code, tag) in block for tag in TAGS)
