"""Writes a tag into an EXIF block by appending to it: no byte but one pointer changes."""

import struct

from tagger.errors import RefusedError
from tagger.metadata import exif_values, gps, ifd
from tagger.metadata.resolution import Density
from tagger.records import Tag

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, YCBCR_POSITIONING = 0x011A, 0x011B, 0x0128, 0x0213
IFD0_POINTER = 4  # where the TIFF header keeps the offset of IFD0


def with_tag(block: bytes, tag: Tag, method: str, describe: bool) -> bytes:
    """The EXIF block (from its TIFF header on) with the tag's GPS directory.

    A copy of IFD0 and the GPS directory are appended and the pointer in the header is set to the
    copy. Everything else stays at its offset, so maker notes, thumbnails and the values that IFD0
    points to are what they were. Fields of an existing GPS directory that the tag does not set
    are kept.

    Args:
        block: the block, or just an 8-byte header whose IFD0 offset is 0 for a new one.
        tag: what to write.
        method: GPSProcessingMethod.
        describe: whether ImageDescription may be added where there is none; it is the landmark's
            name.

    Raises:
        RefusedError: the block does not parse cleanly.
    """
    order, first = ifd.header(block)
    ifd0 = old = None
    if first:
        directories = ifd.walk(block)
        check_copied(directories)
        ifd0 = directories[0][1]
        old = next((directory for name, directory in directories if name == "IFD0/8825"), None)
    base = block + b"\0" * (len(block) % 2)
    values = exif_values.gps_values(tag, order, method)
    version = old.find(gps.VERSION) if old else None
    if version and block[version.start : version.start + 4] > gps.LOWEST_VERSION:
        values = tuple(value for value in values if value.tag != gps.VERSION)
    new = []
    if describe and tag.landmark is not None and not has_description(ifd0):
        new.append(exif_values.description(tag.landmark.name))
    following = ifd0.next if ifd0 else 0

    def first_ifd(gps_at: int) -> bytes:
        pointer = ifd.Value(ifd.GPS_IFD, 4, 1, struct.pack(order + "I", gps_at))
        return ifd.merged(block, order, ifd0, [*new, pointer], len(base), following)

    gps_at = len(base) + len(first_ifd(0))
    tail = first_ifd(gps_at) + ifd.merged(block, order, old, values, gps_at, 0)
    return block[:IFD0_POINTER] + struct.pack(order + "I", len(base)) + base[8:] + tail


def has_description(ifd0: ifd.Ifd | None) -> bool:
    return ifd0 is not None and ifd0.find(exif_values.IMAGE_DESCRIPTION) is not None


def check_copied(directories: list[tuple[str, ifd.Ifd]]) -> None:
    """Refuse a block whose GPS pointer is doubled, misplaced or of a wrong type.

    An entry of an unknown type (0 is blank) is refused where its directory is copied: ExifTool
    names it by its number, which changes, and where its value lies is unknown.
    """
    for name, directory in directories:
        pointers = [entry for entry in directory.entries if entry.tag == ifd.GPS_IFD]
        if pointers and name != "IFD0":
            raise RefusedError("its EXIF points to GPS tags from a wrong place; repair the EXIF")
        if len(pointers) > 1:
            raise RefusedError("its EXIF points to GPS tags in two ways; repair the EXIF first")
        if any(entry.kind not in (4, 13) or entry.items != 1 for entry in pointers):
            raise RefusedError("the pointer to its GPS tags has a wrong type; repair the EXIF")
        unknown = {entry.kind for entry in directory.entries} - ifd.SIZES.keys() - {0}
        if name in ("IFD0", "IFD0/8825") and unknown:
            raise RefusedError("its EXIF has a value of an unknown type; repair the EXIF first")
        if name == "IFD0/8825" and len({e.tag for e in directory.entries}) < len(directory.entries):
            raise RefusedError("its GPS directory holds a tag twice; repair the EXIF first")


def new_block(density: Density | None) -> bytes:
    """An EXIF block of what EXIF 2.32 section 4.6.8 makes mandatory in IFD0.

    Args:
        density: the resolution that the photo states elsewhere; where it states none, the block
            does not either, though the standard would have 72 per inch: that would be made up.
    """
    order, header = ">", b"MM\0*\0\0\0\x08"
    values = [ifd.Value(YCBCR_POSITIONING, 3, 1, struct.pack(order + "H", 1))]
    if density:
        x, y, unit = density
        values += [
            ifd.Value(X_RESOLUTION, 5, 1, struct.pack(order + "II", *x.as_integer_ratio())),
            ifd.Value(Y_RESOLUTION, 5, 1, struct.pack(order + "II", *y.as_integer_ratio())),
            ifd.Value(RESOLUTION_UNIT, 3, 1, struct.pack(order + "H", unit)),
        ]
    return header + ifd.merged(b"", order, None, values, 8, 0)


def cut(block: bytes, described: bool, own: frozenset[int]) -> bytes:
    """The block without the GPS fields ``own``, and our description if ``described``.

    For blocks that another program laid out anew since: entries are taken out of their
    directories, which get shorter in place; nothing is moved.
    """
    order, first = ifd.header(block)
    ifd0 = ifd.read_ifd(block, order, first)
    tags = {exif_values.IMAGE_DESCRIPTION} if described else set[int]()
    pointer = ifd0.find(ifd.GPS_IFD)
    if pointer:
        fields = ifd.read_ifd(block, order, pointer.offset).entries
        if all(entry.tag in own for entry in fields):
            tags.add(ifd.GPS_IFD)
        else:
            block = ifd.shortened(block, order, pointer.offset, set(own - {gps.VERSION}))
    return ifd.shortened(block, order, first, tags)
