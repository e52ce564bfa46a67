"""XMP sidecars: the same content as an embedded tag, for photos that are not written in place."""

from dataclasses import replace
from xml.sax.saxutils import quoteattr

from tagger.errors import RefusedError
from tagger.metadata import exif_values, gps, own_tag, reading, removal, verify, xmp, xmp_packet
from tagger.records import GpsState, Source, Tag


def sidecar(existing: bytes | None, tag: Tag, extension: str = "") -> bytes:
    """An XMP sidecar with the tag, merged into an existing one without losing a byte.

    Args:
        existing: the photo's sidecar, if it has one.
        tag: the place and its provenance; degrees WGS-84, radius in metres.
        extension: the suffix, without its dot, of the photo that a new sidecar says it is for;
            empty where the sidecar's name says so.

    Raises:
        RefusedError: the existing sidecar does not parse, or carries a position already.
    """
    exif_values.check(tag)
    known = reading.in_xmp(existing)
    if existing is not None and known is not None:
        own_tag.check_same(known, tag)
        return existing
    if existing is not None and has_sidecar_gps(existing):
        raise RefusedError("its sidecar carries a GPS position; left alone")
    fields = _fields(tag)
    if existing is not None:
        root = xmp_packet.parse(existing)
        present = {name for node in root.children for name in xmp_packet.fields(node)}
        if any(xmp_packet.EXIF + name in present for name in fields if name.endswith("itude")):
            raise RefusedError("its sidecar carries part of a GPS position; repair it first")
        fields = {
            name: text for name, text in fields.items() if xmp_packet.EXIF + name not in present
        }
    wrote = (*(f"exif:{name}" for name in fields), *(() if existing is not None else ("Packet",)))
    note = replace(own_tag.of(tag, (), None), wrote=wrote)
    base = _new(extension) if existing is None else existing
    new = xmp.merged(base, tag, note, fields)
    verify.same_prefixes(existing, new)
    verify.same_xmp(base, new, frozenset(xmp_packet.EXIF + name for name in fields))
    if not note.stands_in(xmp.positions(xmp_packet.parse(new))):
        raise RefusedError("the position does not read back from the sidecar; please report this")
    return new


def _new(extension: str) -> bytes:
    """An empty sidecar for a photo of that suffix."""
    packet_of_none = xmp.NEW_PACKET + xmp.PACKET_END
    if not extension:
        return packet_of_none
    description = (
        f'<rdf:Description rdf:about="" xmlns:photoshop="{xmp_packet.PHOTOSHOP}"\n'
        f" photoshop:SidecarForExtension={quoteattr(extension)}/>"
    )
    return packet_of_none.replace(b"</rdf:RDF>", f"{description}</rdf:RDF>".encode())


def sidecar_extension(sidecar: bytes) -> str:
    """The suffix, without its dot, of the photo that a sidecar says it is for (Adobe); or none."""
    if b"SidecarForExtension" not in sidecar:
        return ""
    try:
        nodes = xmp_packet.parse(sidecar).children
    except RefusedError:
        return ""
    suffixes = (xmp_packet.fields(node).get(xmp_packet.SIDECAR_FOR, "") for node in nodes)
    return next(filter(None, map(str.strip, suffixes)), "").removeprefix(".")


def _fields(tag: Tag) -> dict[str, str]:
    """The GPS properties of XMP's exif namespace (XMP part 2 section 2.1, CIPA DC-010)."""
    fields = {"GPSVersionID": "2.3.0.0"}
    for name, place in (("GPS", tag.camera_point), ("GPSDest", tag.subject_point)):
        if place is not None:
            fields[f"{name}Latitude"] = gps.to_xmp(place.latitude, "NS")
            fields[f"{name}Longitude"] = gps.to_xmp(place.longitude, "EW")
    provenance = tag.provenance
    by = "" if provenance.source is Source.LANDMARK else f" ({provenance.source})"
    fields |= {
        "GPSMapDatum": "WGS-84",
        "GPSHPositioningError": f"{tag.radius_m}/1",
        "GPSProcessingMethod": f"{own_tag.TOOL} {provenance.version}{by}",
    }
    return fields | ({"GPSAreaInformation": tag.landmark.name} if tag.landmark else {})


def has_sidecar_gps(sidecar: bytes) -> bool:
    """Whether a sidecar carries a position; one that names a position but does not parse, too."""
    if reading.xmp_state(sidecar).state is not GpsState.EMPTY:
        return True
    return reading.in_xmp(sidecar) is not None


def stripped_sidecar(data: bytes) -> bytes | None:
    """The sidecar without our tag; None where it was ours altogether and can be deleted.

    Raises:
        RefusedError: it carries no tag of ours, or the tag was edited since.
    """
    return removal.packet_without_tag(data)
