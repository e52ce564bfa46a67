"""Embeds a tag in a photo and proves, before handing it over, that nothing else changed."""

import struct
import zlib
from dataclasses import replace

from tagger.blob import Content, Spliced
from tagger.errors import RefusedError
from tagger.metadata import (
    exif,
    exif_values,
    ifd,
    inside,
    own_tag,
    reading,
    resolution,
    signed,
    verify,
    xmp,
    xmp_packet,
)
from tagger.metadata.formats.container import Change, Parts
from tagger.metadata.formats.detect import Head
from tagger.records import GpsState, Tag


def tagged(data: bytes, tag: Tag) -> bytes:
    """As :func:`spliced`, in one piece."""
    return bytes(spliced(data, tag))


def spliced(photo: Head | bytes, tag: Tag) -> Content:
    """The photo with ``tag`` embedded, verified; the same bytes where it carries it already.

    Args:
        photo: the whole file (JPEG, PNG, WebP, TIFF, HEIC, AVIF), or what was parsed of it before.
        tag: the place and its provenance; degrees WGS-84, radius in metres.

    Raises:
        RefusedError: not provably safe; the message says why and what to do.
    """
    photo = Head(photo, whole=True) if isinstance(photo, bytes) else photo
    exif_values.check(tag)
    try:
        signed.check(photo.blocks)
        parts = inside.completed(photo.parts)
        known = reading.in_xmp(parts.xmp) or reading.in_exif(parts.exif)
        if known is not None:
            own_tag.check_same(known, tag)
            return photo.unchanged()
        see_empty(photo)
        new = photo.changed(_change(parts, tag))
        after = prove(photo, parts, new)
        verify.reads_back(after.exif or b"", tag)
        return new
    except (struct.error, RecursionError, OverflowError, MemoryError) as error:
        raise RefusedError(f"its metadata does not parse ({error}); repair it first") from error


def see_empty(photo: Head) -> None:
    """See that a photo has no position.

    Raises:
        RefusedError: it has one, or may have.
    """
    reading_now = reading.state_of(photo)
    if reading_now and reading_now.state is not GpsState.EMPTY:
        raise RefusedError(f"{reading_now.reason}; left alone")


def _change(parts: Parts, tag: Tag) -> Change:
    """The new EXIF block, and the new XMP packet unless XMP has to be left alone."""
    stated = parts.density or resolution.of_xmp(parts.xmp)
    old = parts.exif if parts.exif is not None else exif.new_block(stated)
    order, ifd0 = ifd.header(old)
    directory = ifd.read_ifd(old, order, ifd0)
    captioned = has_caption(parts) or exif.has_description(directory)
    describe = tag.landmark is not None and not captioned
    before = (0, 0, 0) if parts.exif is None else (len(old), ifd0, zlib.crc32(old[8:]))
    note = own_tag.of(tag, ("ImageDescription",) if describe else (), before)
    new, leave = None, bool(parts.xmp_trouble)
    if not leave:
        wrote = note.wrote if parts.xmp is not None else (*note.wrote, "Packet")
        base = xmp.new_packet() if parts.xmp is None else parts.xmp
        try:
            new = xmp.merged(base, tag, replace(note, wrote=wrote), {}, parts.keywords)
            verify.same_xmp(parts.xmp, new, frozenset())
            verify.same_prefixes(parts.xmp, new)
            leave = len(new) > parts.room
        except RefusedError:
            leave = True
    return Change(exif.with_tag(old, tag, note.method(), describe), new, leave)


def has_caption(parts: Parts) -> bool:
    """Whether XMP or IPTC may carry a caption, which a new ImageDescription would hide."""
    if parts.caption or parts.xmp_trouble:
        return True
    return parts.xmp is not None and (b"description" in parts.xmp or bool(_unreadable(parts.xmp)))


def _unreadable(text: bytes) -> str:
    """Why an XMP packet does not parse; empty where it does."""
    try:
        xmp_packet.parse(text)
    except RefusedError as error:
        return str(error)
    return ""


def _unwritable(text: bytes) -> str:
    """Why no tag can be merged into an XMP packet; empty where that does not show at once."""
    try:
        xmp.names_for_tag(xmp_packet.parse(text))
    except RefusedError as error:
        return str(error)
    return ""


def prove(photo: Head, before: Parts, new: Spliced) -> Parts:
    """``new`` is the photo plus a tag, and nothing else, as far as we can read either.

    Returns:
        the parts of ``new``.

    Raises:
        RefusedError: it is not.
    """
    after = photo.reread(new)
    if before.exif is not None:
        verify.same_exif(before.exif, after.parts.exif or b"", True, before.xmp_tag)
    read_back = reading.state_of(after)
    if read_back is None or read_back.state is not GpsState.VALID:
        raise RefusedError("the position does not read back; please report this")
    return after.parts


def xmp_note(data: bytes) -> str:
    """Why the tag of a tagged photo is in its EXIF only; empty where XMP has it, or no tag is."""
    try:
        parts = inside.completed(Head(data, whole=True).parts)
        known = reading.in_exif(parts.exif)
    except RefusedError:
        return ""
    if known is None:
        return ""
    if reading.in_xmp(parts.xmp):
        return ""
    why = parts.xmp_trouble or (_unwritable(parts.xmp) if parts.xmp is not None else "")
    why = why or "its XMP has no room for the tag, or keeps a list in a form we cannot add to"
    return f"EXIF only, XMP left alone: {why}"
