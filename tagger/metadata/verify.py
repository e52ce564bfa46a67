"""Proof, before anything is written, that a tagged photo is the old one plus our tag."""

import io
import math
import struct
import xml.etree.ElementTree as ET
from collections import Counter, deque
from typing import Any

import defusedxml.ElementTree
import piexif
from defusedxml import DefusedXmlException

from tagger.errors import RefusedError
from tagger.metadata import exif_values, gps, ifd, xmp_packet
from tagger.records import Tag

TOLERANCE = 1e-6  # degrees
GPS_DIRECTORY = f"IFD0/{ifd.GPS_IFD:04x}"
OWN_POINTERS = {ifd.GPS_IFD, exif_values.IMAGE_DESCRIPTION}
GROWING = {xmp_packet.DC + "subject", xmp_packet.IPTC_EXT + "LocationShown"}
Property = tuple[str, Any]


def same_exif(old: bytes, new: bytes, appended: bool, xmp_tag: int = 0) -> None:
    """Every value of every directory of ``old`` is in ``new``, save GPS and our description.

    Args:
        old: the EXIF block before (or without) the tag.
        new: the block with it.
        appended: ``new`` was made by appending to ``old``; then its bytes must stand unmoved.
        xmp_tag: a tag that holds XMP, which is compared by itself.

    Raises:
        RefusedError: they differ.
    """
    if appended and (new[8 : len(old)] != old[8:] or new[:4] != old[:4]):
        raise RefusedError("the new EXIF block would not contain the old one; please report this")
    before, after = values(old, xmp_tag), values(new, xmp_tag)
    lost = {key for key, raw in before.items() if after.get(key) != raw}
    if lost or any(tag not in OWN_POINTERS for _, tag, _ in after.keys() - before.keys()):
        raise RefusedError("writing would change other EXIF tags; please report this")


def values(block: bytes, xmp_tag: int = 0) -> dict[tuple[str, int, int], bytes]:
    """Every value but GPS's by directory, tag and its number among equal tags."""
    _, first = ifd.header(block)
    by_tag: dict[tuple[str, int, int], bytes] = {}
    if not first:
        return by_tag
    for name, directory in ifd.walk(block):
        numbers = Counter[int]()
        for entry in directory.entries:
            number = numbers[entry.tag]
            numbers[entry.tag] += 1
            if name != GPS_DIRECTORY and entry.tag not in (ifd.GPS_IFD, xmp_tag or ifd.GPS_IFD):
                kind = block[entry.at + 2 : entry.at + 8]
                by_tag[name, entry.tag, number] = kind + ifd.value(block, entry)
    return by_tag


def same_xmp(old: bytes | None, new: bytes, ours: frozenset[str]) -> None:
    """Every property of ``old`` is in ``new``, in order; lists only grew; the rest is ours.

    Args:
        old: the packet before (or without) the tag; None where there was none.
        new: the packet with it.
        ours: further properties (namespace + local name) that may be new.

    Raises:
        RefusedError: they differ, or a packet does not parse.
    """
    before = deque(properties(old) if old else [])
    for name, value in properties(new):
        if before and name == before[0][0] and (value == before[0][1] or _grown(before[0], value)):
            before.popleft()
        elif name not in GROWING | ours and not name.startswith(xmp_packet.OURS):
            raise RefusedError(f"writing would change the XMP property {name}; please report this")
    if before:
        raise RefusedError(f"writing would lose the XMP property {before[0][0]}; please report it")


def same_prefixes(old: bytes | None, new: bytes) -> None:
    """No namespace has several prefixes in ``new`` that had one, or none, in ``old``.

    Raises:
        RefusedError: one has; exiv2 would read nothing of the packet.
    """
    before = prefixes(old) if old else {}
    for uri, names in prefixes(new).items():
        if len(names) > max(1, len(before.get(uri, ()))):
            raise RefusedError(f"writing would give {uri} another XMP prefix; please report this")


def prefixes(data: bytes) -> dict[str, set[str]]:
    """The prefixes that a packet declares for each namespace, read by defusedxml."""
    by_namespace: dict[str, set[str]] = {}
    file = io.BytesIO(data.rstrip(b"\0 \r\n\t"))
    for _, (prefix, uri) in defusedxml.ElementTree.iterparse(file, ["start-ns"], forbid_dtd=True):
        by_namespace.setdefault(uri, set()).add(prefix)
    return by_namespace


def properties(data: bytes) -> list[Property]:
    """All properties of a packet in order, read by defusedxml, entities and DTD forbidden."""
    try:
        top = defusedxml.ElementTree.fromstring(data.rstrip(b"\0 \r\n\t"), forbid_dtd=True)
    except (ET.ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise RefusedError(f"its XMP does not parse ({error}); repair the XMP first") from error
    listed: list[Property] = []
    for description in [child for rdf in top.iter(f"{{{xmp_packet.RDF}}}RDF") for child in rdf]:
        for name, text in description.attrib.items():
            if name not in ("about", f"{{{xmp_packet.RDF}}}about"):
                listed.append((_plain(name), text))
        listed += [(_plain(child.tag), _tree(child)) for child in description]
    return listed


def _plain(name: str) -> str:
    return name.removeprefix("{").replace("}", "", 1)


def _tree(node: ET.Element) -> tuple[Any, ...]:
    children = tuple(_tree(child) for child in node)
    return node.tag, sorted(node.attrib.items()), None if children else node.text, children


def _grown(old: Property, new: Any) -> bool:
    """Whether ``new`` is the list ``old`` with further items."""
    name, value = old
    if name not in GROWING or len(value) != 4 or value[:2] != new[:2]:
        return False
    if len(value[3]) != 1 or len(new[3]) != 1 or value[3][0][:2] != new[3][0][:2]:
        return False
    remaining = iter(new[3][0][3])
    return all(any(item == other for other in remaining) for item in value[3][0][3])


def reads_back(block: bytes, tag: Tag) -> None:
    """piexif, which did not lay the block out, reads the position that was meant.

    Raises:
        RefusedError: it does not.
    """
    order, _ = ifd.header(block)
    places = {gps.LATITUDE_REF: tag.camera_point, gps.DEST_LATITUDE_REF: tag.subject_point}
    meant = {start: place for start, place in places.items() if place is not None}
    tags = {start + step for start in meant for step in range(4)}
    fields = {number: field for number, field in (gps.read(block) or {}).items() if number in tags}
    values = [
        ifd.Value(number, kind, len(raw) // ifd.SIZES.get(kind, 1), raw)
        for number, (kind, raw) in fields.items()
    ]
    pointer = ifd.Value(ifd.GPS_IFD, 4, 1, struct.pack(order + "I", 26))
    small = block[:4] + struct.pack(order + "I", 8)
    small += ifd.merged(b"", order, None, [pointer], 8, 0)
    small += ifd.merged(b"", order, None, values, 26, 0)
    try:
        read = piexif.load(b"Exif\0\0" + small)["GPS"]
        pairs = [[_degrees(read[s + step], read[s + 1 + step]) for step in (0, 2)] for s in meant]
    except (KeyError, ValueError, TypeError, ArithmeticError, struct.error) as error:
        raise RefusedError("the position does not read back; please report this") from error
    for (latitude, longitude), place in zip(pairs, meant.values(), strict=True):
        if max(abs(latitude - place.latitude), abs(longitude - place.longitude)) > TOLERANCE:
            raise RefusedError("the position does not read back as written; please report this")


def _degrees(ref: bytes, parts: tuple[tuple[int, int], ...]) -> float:
    angle = math.fsum(top / bottom / 60**power for power, (top, bottom) in enumerate(parts))
    return -angle if ref in (b"S", b"W") else angle
