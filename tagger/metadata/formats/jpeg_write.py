"""Puts new EXIF and XMP in the place of the old ones in a JPEG, and corrects offsets."""

import struct
from collections.abc import Iterator

from tagger.blob import Edit, Spliced, edited, growth
from tagger.errors import RefusedError
from tagger.metadata import ifd, makernote
from tagger.metadata.formats.container import ONLY_SIDECAR, Change
from tagger.metadata.formats.jpeg import (
    APP1,
    EOI,
    EXIF,
    MAX_PAYLOAD,
    MPF,
    SOI,
    XMP,
    Header,
    Jpeg,
    Segment,
)

HEAD_TELLS_ALL = True
read = Jpeg.parts


def write(photo: Jpeg, change: Change) -> Spliced:
    """The JPEG with new EXIF and XMP; apart from these only the MPF index differs.

    The new head ends where the picture begins, which comes from the older file.

    A new EXIF segment goes right after SOI or JFIF's APP0 (EXIF 2.32 section 4.5.4), new XMP
    right after EXIF (XMP part 3 section 1.1.3).

    Raises:
        RefusedError: a segment would exceed 64 KB, or something in the file counts bytes in a way
            that cannot be mended.
    """
    data, header, place = photo.data, photo.writable(), photo.new_exif_place()
    edits = [_edit(header.exif, place, EXIF, change.exif)]
    if not change.leave_xmp:
        after = header.exif[0].end if header.exif else place
        edits.append(_edit(header.xmp, after, XMP, change.xmp))
    edits = [edit for edit in edits if edit.new != data[edit.start : edit.end]]
    _check_pointers(data, header, edits)
    head = edited(data[: header.picture], edits + _mpf_edits(data, header, edits))
    return Spliced(head, data, header.picture)


def _edit(old: list[Segment], place: int, magic: bytes, payload: bytes | None) -> Edit:
    new = b"" if payload is None else _app1(magic, payload)
    if not old:
        return Edit(place, place, new)
    # Fill bytes before the marker stay, unless the segment goes.
    return Edit(old[0].at - 4 if new else old[0].start, old[0].end, new)


def _app1(header: bytes, payload: bytes) -> bytes:
    """An APP1 segment.

    Raises:
        RefusedError: it would exceed 64 KB.
    """
    size = len(header) + len(payload)
    if size > MAX_PAYLOAD:
        raise RefusedError(
            f"its metadata would take {size} bytes, JPEG allows {MAX_PAYLOAD}; {ONLY_SIDECAR}"
        )
    return struct.pack(">BBH", 0xFF, APP1, size + 2) + header + payload


def _mpf_edits(data: bytes, header: Header, edits: list[Edit]) -> list[Edit]:
    """Correct the MPF index (CIPA DC-007 section 5.2.3) for what ``edits`` insert.

    Offsets count from the MPF header, so an insertion between it and an image moves that image;
    offset 0 is the first image, whose size grows.

    Raises:
        RefusedError: an index that cannot be followed.
    """
    mended = []
    for part in header.mpf:
        base = part.at + len(MPF)
        for at, order in _mpf_entries(data, part):
            size, offset = struct.unpack_from(order + "II", data, at + 4)
            if offset == 0:
                size += growth(edits) if size else 0  # an entry may be empty
            else:
                offset += growth(edits, base + offset) - growth(edits, base)
            new = struct.pack(order + "II", size, offset)
            if new != data[at + 4 : at + 12]:
                mended.append(Edit(at + 4, at + 12, new))
    return mended


def _mpf_entries(data: bytes, part: Segment) -> Iterator[tuple[int, str]]:
    """File offset and byte order of each 16-byte entry of the MPF index."""
    block = data[part.at + len(MPF) : part.end]
    order, first = ifd.header(block)
    entry = ifd.read_ifd(block, order, first).find(0xB002)
    if entry is None:
        return
    if entry.kind != 7 or entry.items % 16 or len(ifd.value(block, entry)) < 16:
        raise RefusedError("its index of further pictures (MPF) is damaged; re-save a copy")
    for at in range(0, entry.items, 16):
        yield part.at + len(MPF) + entry.start + at, order


def _check_pointers(data: bytes, header: Header, edits: list[Edit]) -> None:
    """Refuse where the header points at something behind the main picture (a maker's preview).

    Such a pointer counts from the start of the file or of the EXIF block, and would miss by the
    growth. MPF counts from its own place and is mended instead.
    """
    grown = growth(edits)
    if not grown:
        return
    bases = [part.at + len(EXIF) for part in header.exif]
    for base in bases:
        block = data[base : header.exif[0].end]
        if not ifd.header(block)[1]:
            continue
        scans = range(header.sos - base, len(data) - base)
        if makernote.reaches(block, len(block) + grown, scans):
            # Few notes hold a number that large; finding the picture's end takes 1 ms a megabyte.
            ending = data.find(bytes((0xFF, EOI)), header.sos)
            preview = scans[ending + 2 - header.sos :] if ending >= 0 else range(0)
            if makernote.reaches(block, len(block) + grown, preview):
                raise RefusedError(f"its maker note points beyond its EXIF block; {ONLY_SIDECAR}")
    for at in _pointers(data, header.sos, (0, *bases)):
        if not any(part.at <= at < part.end for part in header.mpf):
            raise RefusedError(f"its header points to a preview behind the picture; {ONLY_SIDECAR}")


def _pointers(data: bytes, sos: int, bases: tuple[int, ...]) -> list[int]:
    """Where before ``sos``, in any byte order, four bytes say how far a later JPEG is from a base.

    Checking where they point saves searching the scans for JPEGs, 1 ms for 4 MB.
    """
    import numpy as np

    count, codes, pointers = max(0, sos - 3), np.frombuffer(data, np.uint8), list[int]()
    for order in "<>":
        numbers = np.ndarray((count,), order + "u4", data, strides=(1,))
        small = np.flatnonzero(numbers < len(data))
        places = numbers[small, None] + np.array(bases)
        rows, columns = np.nonzero((places >= sos) & (places < len(data) - 2))
        to = places[rows, columns]
        marks = (codes[to] == 0xFF) & (codes[to + 1] == SOI) & (codes[to + 2] == 0xFF)
        pointers += small[rows[marks]].tolist()
    return pointers


def _others(data: bytes, header: Header) -> list[bytes]:
    """The segments other than EXIF, XMP and MPF."""
    own = {part.start for part in header.exif + header.xmp + header.mpf}
    return [data[part.start : part.end] for part in header.segments if part.start not in own]


def check_rest(photo: Jpeg, new: Spliced) -> None:
    """Check that every segment but EXIF, XMP and MPF, and all from the first scan on, is the same.

    Raises:
        RefusedError: it is not.
    """
    old, before, after = photo.data, photo.header, Jpeg(new.head).header
    if before.problem or after.problem:
        raise RefusedError(before.problem or after.problem)
    # The picture is the same object, from the same offset.
    same = new.older is old and (new.at, len(new.head)) == (before.picture, after.picture)
    if not same or old[before.sos : new.at] != new.head[after.sos :]:
        raise RefusedError("writing would change the picture data; please report this")
    if _others(old, before) != _others(new.head, after) or len(before.mpf) != len(after.mpf):
        raise RefusedError("writing would change another part of the file; please report this")
    grown = len(new.head) - new.at
    for part, other in zip(before.mpf, after.mpf, strict=True):
        moved = other.at - part.at
        for (at, order), (there, _) in zip(
            _mpf_entries(old, part), _mpf_entries(new.head, other), strict=True
        ):
            size, offset = struct.unpack_from(order + "II", old, at + 4)
            mended = struct.unpack_from(order + "II", new.head, there + 4)
            first = (size + grown if size else 0, 0)
            if mended != ((size, offset + grown - moved) if offset else first):
                raise RefusedError(
                    "its index of further pictures would be wrong; please report this"
                )
