"""Takes our tag out again: what the record says we wrote, and nothing else."""

import re
import struct
import zlib
from collections.abc import Mapping

from tagger.blob import Edit, edited
from tagger.errors import RefusedError
from tagger.metadata import (
    exif,
    exif_values,
    gps,
    ifd,
    reading,
    signed,
    verify,
    xmp,
    xmp_packet,
)
from tagger.metadata.formats.container import Change
from tagger.metadata.formats.detect import Head
from tagger.metadata.own_tag import Record, near
from tagger.metadata.xmp_packet import Node

NOT_OURS = "carries no tag of ours; nothing to remove"
EDITED = "its position was edited since it was tagged; remove it with a metadata editor"
ATTRIBUTE = re.compile(rb"(?<!\s)\s++([\w.-]+):([\w.-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")


def stripped(data: bytes) -> bytes:
    """The photo without our tag: EXIF GPS, our description and our XMP properties.

    Where no other program has rewritten the EXIF and XMP since, the bytes of before come back.

    Raises:
        RefusedError: it carries no tag of ours, the tag was edited since, or it cannot be removed
            without risk.
    """
    try:
        photo = Head(data, whole=True)
        signed.check(photo.blocks)
        parts = photo.parts
        in_exif, in_xmp = reading.in_exif(parts.exif), reading.in_xmp(parts.xmp)
        if in_exif is None and in_xmp is None:
            raise RefusedError(NOT_OURS)
        block, text = parts.exif, parts.xmp
        if block is not None and in_exif is not None:
            block = block_without_tag(block, in_exif, parts.xmp_tag)
        if text is not None and in_xmp is not None:
            text = packet_without_tag(text)
        new = photo.changed(Change(block, text, in_xmp is None))
        after = photo.reread(new).parts
        if after.exif is not None and parts.exif is not None:
            verify.same_exif(after.exif, parts.exif, False, parts.xmp_tag)
        if reading.in_exif(after.exif) or reading.in_xmp(after.xmp):
            raise RefusedError("our tag would not be gone; please report this")
        return bytes(new)
    except (struct.error, RecursionError, OverflowError, MemoryError) as error:
        raise RefusedError(f"its metadata does not parse ({error}); repair it first") from error


def packet_without_tag(data: bytes) -> bytes | None:
    """An XMP packet without our properties and list items; None where nothing else is left.

    Raises:
        RefusedError: it carries no tag of ours, or the tag was edited since.
    """
    root = xmp_packet.parse(data)
    known = xmp.record(root)
    if known is None:
        raise RefusedError(NOT_OURS)
    gone = {
        xmp_packet.EXIF + name.removeprefix("exif:") for name in known.wrote if name[:5] == "exif:"
    }
    try:
        where = xmp.positions(root)
    except ValueError as error:
        raise RefusedError(EDITED) from error
    if gone and not known.stands_in(where):
        raise RefusedError(EDITED)
    prefixes = {
        uri: set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(uri.encode()), data))
        for uri in (xmp_packet.OURS, xmp_packet.EXIF)
    }
    edits = [
        edit for node in root.children for edit in _removals(data, node, known, gone, prefixes)
    ]
    new = edited(data, edits)
    verify.same_xmp(new, data, frozenset(gone))
    rest = xmp_packet.parse(new)
    if xmp.record(rest) is not None:
        raise RefusedError("our tag would not be gone; please report this")
    made = {xmp_packet.SIDECAR_FOR, *ABOUT}  # what a sidecar of ours says beside the tag
    bare = all(xmp_packet.fields(node).keys() <= made for node in rest.children)
    return None if "Packet" in known.wrote and bare else new


def _removals(
    data: bytes,
    description: Node,
    known: Record,
    gone: set[str],
    prefixes: Mapping[str, set[bytes]],
) -> list[Edit]:
    """What to cut from one rdf:Description: all of it where nothing else is left.

    ``prefixes`` are those that the packet declares for each namespace of ours.
    """

    def ours(name: str) -> bool:
        return name.startswith(xmp_packet.OURS) or name in gone

    edits = []
    left = [n for n in description.attributes if not ours(n) and n not in ABOUT]
    for number, prop in enumerate(description.children):
        cut = [prop] if ours(prop.name) else _items_to_cut(prop, known)
        edits += [Edit(node.start, node.end, b"") for node in cut]
        left += [] if prop in cut else [str(number)]
    names = {name for name in description.attributes if ours(name)}
    if not left and (edits or names):
        return [Edit(description.start, description.end, b"")]
    for match in ATTRIBUTE.finditer(data, description.start, description.inner):
        prefix, local = match.groups()
        if any(
            prefix in known and uri + local.decode() in names for uri, known in prefixes.items()
        ):
            edits.append(Edit(*match.span(), b""))
    return edits


ABOUT = (xmp_packet.RDF + "about", "about")


def _items_to_cut(prop: Node, known: Record) -> list[Node]:
    """Our items of a list, or the whole property where it has no others."""
    array = xmp_packet.items(prop)
    if array is None or not known.name:
        return []
    if prop.name == xmp.SUBJECT and "Subject" in known.wrote:
        cut = [item for item in array[1] if item.text.strip() == known.name][-1:]
    elif prop.name == xmp.LOCATION:
        cut = [item for item in array[1] if _is_ours(item, known)][-1:]
    else:
        return []
    return [prop] if cut and len(cut) == len(array[0].children) else cut


def _is_ours(item: Node, known: Record) -> bool:
    texts = xmp_packet.fields(item)
    latitude, longitude = (texts.get(f"{xmp_packet.EXIF}GPS{a}") for a in ("Latitude", "Longitude"))
    if texts.get(xmp_packet.IPTC_EXT + "LocationName") != known.name:
        return False
    try:
        here = gps.from_xmp(latitude or ""), gps.from_xmp(longitude or "")
        return near(here, known.position)
    except ValueError:
        return not latitude and not longitude


def block_without_tag(block: bytes, known: Record, xmp_tag: int = 0) -> bytes | None:
    """An EXIF block without the GPS fields and the description that we wrote; None if all ours.

    Raises:
        RefusedError: the position was edited since.
    """
    order, first = ifd.header(block)
    own = exif_values.own_gps(bool(known.landmark))
    fields = {tag: field for tag, field in (gps.read(block) or {}).items() if tag in own}
    try:
        where = list(gps.positions(fields, order))
    except ValueError as error:
        raise RefusedError(EDITED) from error
    if not known.stands_in(where):
        raise RefusedError(EDITED)
    ifd0 = ifd.read_ifd(block, order, first)
    described = "ImageDescription" in known.wrote and _text(block, ifd0) == known.name
    if known.exif is not None:
        length, old_first, crc = known.exif
        if length == 0 and _only_ours(ifd0, described):
            return None
        old = block[:4] + struct.pack(order + "I", old_first) + block[8:length]
        if (
            0 < length < len(block)
            and zlib.crc32(old[8:]) == crc
            and _untouched(old, block, described, own, xmp_tag)
        ):
            return old
    return exif.cut(block, described, own)


def _text(block: bytes, ifd0: ifd.Ifd) -> str:
    entry = ifd0.find(exif_values.IMAGE_DESCRIPTION)
    return ifd.value(block, entry).rstrip(b"\0").decode("utf-8", "replace") if entry else ""


def _only_ours(ifd0: ifd.Ifd, described: bool) -> bool:
    """Whether an IFD0 holds no more than what comes with a first EXIF block of ours."""
    expected = {exif.YCBCR_POSITIONING, ifd.GPS_IFD}
    expected |= {exif_values.IMAGE_DESCRIPTION} if described else set()
    stated = {exif.X_RESOLUTION, exif.Y_RESOLUTION, exif.RESOLUTION_UNIT}
    tags = {entry.tag for entry in ifd0.entries}
    return not ifd0.next and tags in (expected, expected | stated)


def _untouched(old: bytes, new: bytes, described: bool, own: frozenset[int], xmp_tag: int) -> bool:
    """Whether, beside our tags, the appended directories say what the old ones do."""
    before, after = verify.values(old, xmp_tag), verify.values(new, xmp_tag)
    added = {tag for _, tag, _ in after.keys() - before.keys()}
    same = all(after.get(key) == raw for key, raw in before.items())
    extra = {t for t in gps.read(new) or {} if t not in own} - set(gps.read(old) or {})
    return same and not extra and added <= ({exif_values.IMAGE_DESCRIPTION} if described else set())
