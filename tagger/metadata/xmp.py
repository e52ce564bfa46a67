"""Merges a tag into an XMP packet by inserting text: every byte that was there stays."""

import re
from dataclasses import replace
from xml.sax.saxutils import escape, quoteattr

from tagger import __version__
from tagger.blob import Edit, edited
from tagger.metadata import gps, prefixes
from tagger.metadata.own_tag import Record, from_fields
from tagger.metadata.prefixes import Prefixes
from tagger.metadata.xmp_packet import (
    DC,
    EXIF,
    IPTC_EXT,
    OURS,
    RDF,
    Node,
    UnreadableError,
    fields,
    items,
    parse,
    raw_prefix,
)
from tagger.records import Landmark, Position, Tag

WIKIDATA = "http://www.wikidata.org/entity/"
COORDINATE = re.compile("(?<!exposure)(lat|long?t?)itude$|wgs84_pos#(lat|long)$", re.I)
SUBJECT, LOCATION = DC + "subject", IPTC_EXT + "LocationShown"
CREATED = IPTC_EXT + "LocationCreated"  # where the camera was
PADDING = (b" " * 99 + b"\n") * 20  # 2 KB for editing in place, XMP part 1 section 7.3.2
NEW_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="landmark-tag {__version__}">'
    f'<rdf:RDF xmlns:rdf="{RDF}"></rdf:RDF></x:xmpmeta>\n'
).encode()
PACKET_END = b'<?xpacket end="w"?>'


def new_packet() -> bytes:
    """An empty packet to merge into."""
    return NEW_PACKET + PADDING + PACKET_END


def merged(
    packet: bytes, tag: Tag, record: Record, extra: dict[str, str], keywords: bool = False
) -> bytes:
    """The packet with the tag: an rdf:Description of ours, and items in lists that were there.

    Args:
        packet: the whole XMP packet, UTF-8.
        tag: what to write.
        record: what is written elsewhere; what is added here is noted in it.
        extra: further simple properties of XMP's exif namespace by name (``GPSLatitude``).
        keywords: there are keywords elsewhere, which a first one here would hide.

    Raises:
        UnreadableError: it does not parse, or holds a property in a form we cannot add to.
    """
    root = parse(packet)
    if not packet[root.close : root.end]:
        raise UnreadableError("its XMP is empty")
    names = names_for_tag(root)
    edits, inside, wrote = list[Edit](), list[str](), list(record.wrote)
    place = tag.landmark
    keyword = None if place is None else _keyword(packet, root, place.name, names, keywords)
    shown = None if place is None else _shown(packet, root, place, tag.subject_point, names)
    for added in (keyword, shown):
        if isinstance(added, Edit):
            edits.append(added)
        elif added is not None:
            inside.append(added)
    wrote += [] if keyword is None else ["Subject"]
    noted = replace(record, wrote=tuple(wrote))
    attributes = {f"{names.ours}:{name}": text for name, text in noted.fields().items()}
    attributes |= {f"{names.exif}:{name}": text for name, text in extra.items()}
    about = _about(root)
    text = (
        f"<{names.rdf}:Description {names.rdf}:about={quoteattr(about)}{names.declared()}"
        + "".join(f"\n {name}={quoteattr(text)}" for name, text in attributes.items())
        + ">\n"
        + "\n".join(inside)
        + f"</{names.rdf}:Description>"
    )
    edits.append(Edit(root.close, root.close, text.encode()))
    return edited(packet, edits)


def names_for_tag(root: Node) -> Prefixes:
    """The packet's names of the namespaces that a tag is written in, where one can be added.

    Raises:
        UnreadableError: it has several names for one, or the remains of a damaged tag of ours,
            which would mix with the new one's properties.
    """
    remains = any(name.startswith(OURS) for node in root.children for name in fields(node))
    if remains and record(root) is None:
        raise UnreadableError(
            f"its XMP has the remains of a damaged tag of ours ({OURS})", "remove them first"
        )
    return prefixes.of(root)


def _keyword(
    packet: bytes, root: Node, name: str, names: Prefixes, elsewhere: bool
) -> Edit | str | None:
    """A new property with the keyword, or one more item of that which is there; None: no need."""
    known = _find(root, SUBJECT)
    if known is None:
        item = f"<{names.rdf}:li>{escape(name)}</{names.rdf}:li>"
        return None if elsewhere else _bag(f"{names.dc}:subject", item, names)
    if name in [item.text.strip() for item in _array(known)[1]]:
        return None
    return _append(packet, known, escape(name).encode(), "")


def _shown(
    packet: bytes, root: Node, place: Landmark, position: Position | None, names: Prefixes
) -> Edit | str:
    """A new LocationShown, or one more item of that which is there."""
    known, text = _find(root, LOCATION), _location(place, position, names)
    if known is None:
        li = f"{names.rdf}:li"
        item = f'<{li} {names.rdf}:parseType="Resource">{text}</{li}>'
        return _bag(f"{names.iptc}:LocationShown", f"\n{item}\n", names)
    how = f'{names.declared()} {names.rdf}:parseType="Resource"'
    return _append(packet, known, text.encode(), how)


def _bag(name: str, inside: str, names: Prefixes) -> str:
    """A property that is an unordered list."""
    return f"<{name}><{names.rdf}:Bag>{inside}</{names.rdf}:Bag></{name}>"


def _location(place: Landmark, position: Position | None, names: Prefixes) -> str:
    """LocationShown's fields (IPTC Photo Metadata 2021.1, Location structure)."""
    rdf = names.rdf
    name = f'<{rdf}:li xml:lang="x-default">{escape(place.name)}</{rdf}:li>'
    fields = {f"{names.iptc}:LocationName": f"<{rdf}:Alt>{name}</{rdf}:Alt>"}
    for field, text in (
        ("City", place.city),
        ("ProvinceState", place.region),
        ("CountryName", place.country),
        ("CountryCode", place.country_code),
    ):
        if text:
            fields[f"{names.iptc}:{field}"] = escape(text)
    if place.wikidata:
        uri = escape(WIKIDATA + place.wikidata)
        item = f"<{rdf}:li>{uri}</{rdf}:li>"
        fields[f"{names.iptc}:LocationId"] = f"<{rdf}:Bag>{item}</{rdf}:Bag>"
    if position is not None:
        fields[f"{names.exif}:GPSLatitude"] = gps.to_xmp(position.latitude, "NS")
        fields[f"{names.exif}:GPSLongitude"] = gps.to_xmp(position.longitude, "EW")
    return "\n".join(f"<{name}>{text}</{name}>" for name, text in fields.items())


def _append(packet: bytes, prop: Node, body: bytes, attributes: str) -> Edit:
    """One more rdf:li at the end of an array, in the namespace prefix that the array uses."""
    array, _ = _array(prop)
    if not packet[array.close : array.end]:
        raise UnreadableError("its XMP has an empty list where the tag belongs")
    prefix = raw_prefix(packet, array)
    name = prefix.decode() + "li"
    start = f"<{name}{attributes}>".encode()
    return Edit(array.close, array.close, start + body + f"</{name}>".encode())


def _array(prop: Node) -> tuple[Node, list[Node]]:
    listed = items(prop)
    if listed is None:
        raise UnreadableError("its XMP holds a list as something else")
    return listed


def _find(root: Node, name: str) -> Node | None:
    """The one property element of that name.

    Raises:
        UnreadableError: it is an attribute, or there is more than one.
    """
    nodes = [prop for description in root.children for prop in description.named(name)]
    if len(nodes) > 1 or any(name in node.attributes for node in root.children):
        raise UnreadableError("its XMP holds a property twice or in a wrong form")
    return nodes[0] if nodes else None


def _about(root: Node) -> str:
    """rdf:about of the packet's descriptions: XMP wants the same in all of them."""
    for node in root.children:
        for name in (RDF + "about", "about"):
            if name in node.attributes:
                return node.attributes[name]
    return ""


def record(root: Node) -> Record | None:
    """Our record, or None."""
    texts: dict[str, str] = {}
    for node in root.children:
        texts |= {name: text for name, text in fields(node).items() if name.startswith(OURS)}
    return from_fields({name.removeprefix(OURS): text for name, text in texts.items()})


def has_other_position(root: Node) -> bool:
    """Whether a coordinate other than 0 stands in any other property, of whichever namespace.

    Such as drone-dji:GpsLatitude, dwc:decimalLatitude, a structure of unknown purpose, or one
    coordinate alone.
    """
    has_one, todo = False, list(root.children)
    while todo and not has_one:
        node = todo.pop()
        todo += node.children
        named = [*node.attributes.items(), (node.name, "" if node.children else node.text)]
        has_one = any(COORDINATE.search(name) and re.search("[1-9]", text) for name, text in named)
    return has_one


def positions(root: Node, subject: bool = True) -> list[tuple[float, float]]:
    """Camera, subject, then created and shown positions in degrees; zeroed ones are left out.

    Without ``subject`` those that tell where the camera was.

    Raises:
        ValueError: a coordinate that is none.
    """
    pairs = []
    simple: dict[str, str] = {}
    for node in root.children:
        simple |= {name: text for name, text in fields(node).items() if name.startswith(EXIF)}
    shown = [
        fields(item)
        for node in root.children
        for prop in (*node.named(CREATED), *(node.named(LOCATION) if subject else ()))
        for item in (items(prop) or (prop, [prop]))[1]
    ]
    for source, kind in (
        (simple, "GPS"),
        *([(simple, "GPSDest")] if subject else []),
        *((place, "GPS") for place in shown),
    ):
        latitude, longitude = (source.get(f"{EXIF}{kind}{a}") for a in ("Latitude", "Longitude"))
        if latitude and longitude:
            pairs.append((gps.from_xmp(latitude), gps.from_xmp(longitude)))
    return [pair for pair in pairs if pair != (0, 0)]
