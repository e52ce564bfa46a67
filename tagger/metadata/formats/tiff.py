"""TIFF: the whole file is one EXIF block, with XMP as tag 700 of its first directory."""

import struct
from collections.abc import Iterator

from tagger.blob import Spliced
from tagger.errors import RefusedError
from tagger.metadata import exif, gps, ifd, inside
from tagger.metadata.formats.container import ONLY_SIDECAR, SIDECAR, Blocks, Change, Parts

HEAD_TELLS_ALL = True
XMP_TAG = inside.XMP_TAG
C2PA_TAG = 0xCD41  # C2PA specification 2.1, appendix A: the manifest store
NEW_SUBFILE_TYPE, PHOTOMETRIC, DNG_VERSION, MAKER_NOTE = 254, 262, 0xC612, 0x927C
SENSOR = (32803, 34892)  # a colour filter array, linear raw (DNG 1.4)
PLAIN = (0, 1, 2, 3, 5, 6, 8)  # photometric interpretations of pictures, not of sensor data
DATA = ((273, 279), (324, 325))  # offsets and sizes of strips and of tiles
MAX_BYTES = (1 << 32) - 65_536  # offsets have 32 bits


def blocks(data: bytes, whole: bool) -> Blocks:
    """EXIF and XMP in the first bytes of a TIFF, or of a raw file that is built like one."""
    try:
        positioned = signed = False
        for _, directory in ifd.directories(data):
            signed = signed or directory.find(C2PA_TAG) is not None
            positioned = positioned or directory.find(ifd.GPS_IFD) is not None
            for tag in inside.TAGS:
                entry = directory.find(tag)
                if entry and not whole:
                    ifd.value(data, entry)
        if positioned and not whole:
            list(gps.everywhere(data))
        exif = (data,) if positioned else ()
        return Blocks(exif, tuple(inside.packets(data)), signed=signed)
    except RefusedError:
        if not whole:
            return Blocks(settled=False)
        return Blocks((data,), tuple(inside.packets(data)), odd=(data,))


def read(data: bytes) -> Parts:
    """The file as an EXIF block, and its XMP packet, if it may be written.

    Raises:
        RefusedError: camera raw, or not provably safe.
    """
    order, _ = ifd.header(data)
    directories = ifd.walk(data)
    first = directories[0][1]
    _check_kind(data, order, directories)
    if len(data) > MAX_BYTES:
        raise RefusedError(f"the TIFF is at its 4 GB limit; {ONLY_SIDECAR}")
    list(_picture(data))
    xmp = first.find(XMP_TAG)
    wrong = xmp is not None and xmp.kind not in (1, 7)
    return Parts(
        data,
        ifd.value(data, xmp) if xmp and not wrong else None,
        "its XMP has a wrong type" if wrong else "",
        xmp_tag=XMP_TAG,
    )


def _check_kind(data: bytes, order: str, directories: list[tuple[str, ifd.Ifd]]) -> None:
    """Only plain pictures are written: in others, unknown tags may hold offsets.

    Raises:
        RefusedError: camera raw, or a TIFF of another kind, and which.
    """
    first = directories[0][1]
    subfile, photometric = first.find(NEW_SUBFILE_TYPE), first.find(PHOTOMETRIC)
    colours = ifd.number(data, order, photometric) if photometric else None
    noted = any(directory.find(MAKER_NOTE) for _, directory in directories)
    if data[8:10] == b"CR" or first.find(DNG_VERSION) or noted or colours in SENSOR:
        raise RefusedError(f"camera raw {SIDECAR}")
    if colours is None:
        raise RefusedError(f"a TIFF that does not say what its colours are {SIDECAR}")
    if colours not in PLAIN:
        raise RefusedError(f"a TIFF of unusual colours (photometric {colours}) {SIDECAR}")
    if first.find(ifd.SUB_IFDS) or (subfile and ifd.number(data, order, subfile) & 1):
        raise RefusedError(f"a TIFF with reduced pages (a pyramid) {SIDECAR}")


def write(data: bytes, change: Change) -> Spliced:
    """The TIFF with new EXIF and XMP; both are appended, the pictures stay where they are."""
    return Spliced(_appended(data, change))


def _appended(data: bytes, change: Change) -> bytes:
    block = data if change.exif is None else change.exif
    if change.leave_xmp:
        return block
    order, first = ifd.header(block)
    ifd0 = ifd.read_ifd(block, order, first)
    old = ifd0.find(XMP_TAG)
    if change.xmp is None:
        return ifd.shortened(block, order, first, {XMP_TAG}) if old else block
    if old and ifd.value(block, old) == change.xmp:
        return block
    packet = ifd.Value(XMP_TAG, old.kind if old else 1, len(change.xmp), change.xmp)
    base = block + b"\0" * (len(block) % 2)
    tail = ifd.merged(block, order, ifd0, [packet], len(base), ifd0.next)
    return base[: exif.IFD0_POINTER] + struct.pack(order + "I", len(base)) + base[8:] + tail


def check_rest(old: bytes, new: Spliced) -> None:
    """Check that every strip and tile of every page is the same.

    Raises:
        RefusedError: they are not.
    """
    if list(_picture(old)) != list(_picture(new.head)):
        raise RefusedError("writing would change the picture data; please report this")


def _picture(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Offset, size and bytes of every strip and tile.

    Raises:
        RefusedError: one lies outside the file, or they overlap.
    """
    (order, _), left = ifd.header(data), len(data)
    for _, directory in ifd.walk(data):
        for offsets, sizes in DATA:
            start, size = directory.find(offsets), directory.find(sizes)
            if start is None or size is None:
                continue
            places, lengths = numbers(data, order, start), numbers(data, order, size)
            if len(places) != len(lengths):
                raise RefusedError("its TIFF strips do not add up; re-save a copy")
            for at, length in zip(places, lengths, strict=True):
                left -= length
                if at + length > len(data):
                    raise RefusedError("the TIFF is cut short; restore it from a backup")
                if left < 0:
                    raise RefusedError("its TIFF strips overlap; re-save a copy")
                yield at, length, data[at : at + length]


def numbers(data: bytes, order: str, entry: ifd.IfdEntry) -> list[int]:
    """All values of a SHORT or LONG entry."""
    code = {3: "H", 4: "I"}.get(entry.kind)
    if code is None:
        raise RefusedError("the TIFF has offsets of a wrong type; re-save a copy")
    return list(struct.unpack(f"{order}{entry.items}{code}", ifd.value(data, entry)))
