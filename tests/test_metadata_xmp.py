"""Merging into XMP without losing a byte, sidecars, and taking the tag out again."""

from dataclasses import replace

import defusedxml.ElementTree
import pytest
from awkward_photos import EIFFEL, KINDS, TAG, TAGS, app1_xmp, first_position, jpeg, packet
from hypothesis import given
from hypothesis import strategies as st

from tagger import metadata
from tagger.errors import RefusedError
from tagger.metadata import verify
from tagger.metadata import xmp_packet as parser
from tagger.metadata.formats import detect
from tagger.records import Tag

DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
FACES = (
    '<mwg-rs:Regions xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"'
    ' rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li>'
    '<rdf:Description mwg-rs:Name="Änne &amp; Bo" mwg-rs:Type="Face"/></rdf:li></rdf:Bag>'
    "</mwg-rs:RegionList></mwg-rs:Regions>"
)
HISTORY = (
    '<xmpMM:History xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"><rdf:Seq>'
    '<rdf:li rdf:parseType="Resource"/></rdf:Seq></xmpMM:History>'
)
KEYWORDS = "<dc:subject><rdf:Bag><rdf:li>b</rdf:li><rdf:li>a</rdf:li></rdf:Bag></dc:subject>"
PLACE = (
    "<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li><rdf:Description Iptc4xmpExt:City='Paris'/>"
    "</rdf:li></rdf:Bag></Iptc4xmpExt:LocationShown>"
)
CAPTION = (
    "<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>Caption</rdf:li></rdf:Alt>"
    "</dc:description>"
)
DEFAULT_NAMESPACE = (
    b"<RDF xmlns='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><Description>"
    b"<s:subject xmlns:s='http://purl.org/dc/elements/1.1/'><Bag><li>b</li></Bag></s:subject>"
    b"</Description></RDF>"
)
TWO_PREFIXES = packet(PLACE, 'xmlns:d="http://purl.org/dc/elements/1.1/" d:format="x"')
PLAIN = b"<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><r:Description/></r:RDF>"
SIDECARS = {
    "nothing in it": packet(),
    "keywords": packet(KEYWORDS),
    "faces and history": packet(FACES + HISTORY + CAPTION),
    "a place": packet(PLACE),
    "all": packet(KEYWORDS + FACES + PLACE + HISTORY),
    "our keyword already": packet(KEYWORDS.replace(">a<", ">Eiffel Tower<")),
    "another rdf:about": packet(about="uuid:1 &amp; 2"),
    "an XML declaration": b"<?xml version='1.0' encoding='UTF-8'?>\n" + PLAIN,
    "another prefix": PLAIN,
    "exiv2's prefix": packet(KEYWORDS + PLACE)
    .replace(b"Iptc4xmpExt:", b"iptcExt:")
    .replace(b":Iptc4xmpExt=", b":iptcExt="),
    "exiv2's prefix, declared only": packet().replace(b":Iptc4xmpExt=", b":iptcExt="),
    "prefixes of its own": packet(KEYWORDS + PLACE)
    .replace(b"dc:", b"DublinCore:")
    .replace(b":dc=", b":DublinCore=")
    .replace(b"rdf:", b"r:")
    .replace(b":rdf=", b":r=")
    .replace(b":exif=", b":e-1.x="),
    "our prefixes mean something else": packet(
        "<dc:x/><exif:y/>", 'landmarktag:z="" xmlns:landmarktag="urn:z/"'
    )
    .replace(b"http://purl.org/dc/elements/1.1/", b"urn:x/")
    .replace(b"http://ns.adobe.com/exif/1.0/", b"urn:y/"),
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "a NUL at the end": packet() + b"\0",
    "Windows line ends": packet(KEYWORDS).replace(b"\n", b"\r\n"),
    "GPS without a position": packet(attributes='exif:GPSMapDatum="WGS-84"'),
}


@pytest.mark.parametrize("name", SIDECARS)
@pytest.mark.parametrize(("_kind", "tag"), KINDS)
def test_merge_and_take_out_again(name: str, _kind: str, tag: Tag) -> None:
    old = SIDECARS[name]
    new = metadata.sidecar(old, tag)
    pieces = [piece for piece in old.split(b"</") if piece]
    assert all(piece in new for piece in pieces)
    assert metadata.has_sidecar_gps(new)
    assert not metadata.has_sidecar_gps(old)
    assert metadata.sidecar(new, tag) == new
    assert metadata.provenance(new) == tag.provenance
    assert metadata.position(new) == pytest.approx(first_position(tag), abs=1e-7)
    assert metadata.stripped_sidecar(new) == old
    assert all(len(names) == 1 for names in verify.prefixes(new).values())


@pytest.mark.parametrize("kind", TAGS)
@pytest.mark.parametrize("name", SIDECARS)
def test_a_photo_keeps_the_prefixes_of_its_packet(name: str, kind: str) -> None:
    photo = jpeg(app1_xmp(SIDECARS[name]))
    tagged = metadata.tagged(photo, TAGS[kind])
    assert metadata.xmp_note(tagged) == ""
    assert metadata.stripped(tagged) == photo
    (text,) = detect.blocks(tagged, True).xmp
    assert all(len(names) == 1 for names in verify.prefixes(text).values())


@pytest.mark.parametrize("old", [TWO_PREFIXES, DEFAULT_NAMESPACE])
def test_a_namespace_of_several_prefixes_is_left_alone(old: bytes) -> None:
    with pytest.raises(RefusedError, match=r"several prefixes, or none, for http://.*ExifTool"):
        metadata.sidecar(old, TAG)
    tagged = metadata.tagged(jpeg(app1_xmp(old)), TAG)
    assert detect.blocks(tagged, True).xmp == (old,)
    assert "EXIF only, XMP left alone: its XMP has several prefixes" in metadata.xmp_note(tagged)


@pytest.mark.parametrize("kept", ["TagCamera", "TagSource", "TagWrote", "TagExifBefore"])
def test_the_remains_of_a_damaged_tag_do_not_mix_with_a_new_one(kept: str) -> None:
    """A fuzzer found that a new tag took over the camera position of the old one."""
    value = "time" if kept == "TagSource" else "1 2"
    attribute = f'xmlns:landmarktag="{parser.OURS}" landmarktag:{kept}="{value}"'
    old = packet(attributes=attribute)
    with pytest.raises(RefusedError, match="remains of a damaged tag of ours"):
        metadata.sidecar(old, TAG)
    photo = jpeg(app1_xmp(old))
    tagged = metadata.tagged(photo, TAG)
    assert metadata.tagged(tagged, TAG) == tagged
    assert metadata.provenance(tagged) == TAG.provenance
    assert detect.blocks(tagged, True).xmp == (old,)
    assert "EXIF only, XMP left alone: its XMP has the remains" in metadata.xmp_note(tagged)
    assert metadata.stripped(tagged) == photo


def test_the_proof_notices_a_second_prefix() -> None:
    second = b'xmlns:d="http://purl.org/dc/elements/1.1/"'
    old = packet(KEYWORDS)
    verify.same_prefixes(old, old)
    verify.same_prefixes(TWO_PREFIXES, TWO_PREFIXES)
    for before in (old, None):
        with pytest.raises(RefusedError, match="another XMP prefix"):
            verify.same_prefixes(before, old.replace(b"xmp:Rating", second + b" xmp:Rating"))


def with_second_prefix(new: bytes) -> bytes:
    """An exiv2 packet as landmark-tag 0.1 tagged it: the tag has its own prefixes."""
    at = new.index(b"<rdf:Description", new.index(b"</rdf:Description>"))
    ours = new[at:].replace(b"iptcExt:", b"Iptc4xmpExt:").replace(b":iptcExt=", b":Iptc4xmpExt=")
    return new[:at] + ours


def test_a_tag_with_a_second_prefix_of_older_versions_comes_out() -> None:
    old = SIDECARS["exiv2's prefix, declared only"]
    new = metadata.sidecar(old, TAG)
    second = with_second_prefix(new)
    assert len(verify.prefixes(second)[IPTC[1:-1]]) == 2
    assert metadata.stripped_sidecar(second) == old


def texts(data: bytes, name: str) -> list[str | None]:
    top = defusedxml.ElementTree.fromstring(data.strip(b"\0"))
    return [item.text for prop in top.iter(name) for item in prop.iter(f"{RDF}li")]


def test_keywords_are_appended_in_order() -> None:
    new = metadata.sidecar(SIDECARS["keywords"], TAG)
    assert texts(new, f"{DC}subject") == ["b", "a", "Eiffel Tower"]


def test_a_keyword_that_was_there_is_not_ours_to_remove() -> None:
    old = SIDECARS["our keyword already"]
    new = metadata.sidecar(old, TAG)
    assert texts(new, f"{DC}subject") == ["b", "Eiffel Tower"]
    assert metadata.stripped_sidecar(new) == old


def test_the_place_is_described() -> None:
    top = defusedxml.ElementTree.fromstring(metadata.sidecar(None, TAG))
    (shown,) = top.iter(f"{IPTC}LocationShown")
    shown_values = {node.tag.rpartition("}")[2]: "".join(node.itertext()) for node in shown.iter()}
    assert shown_values["City"] == "Paris"
    assert shown_values["ProvinceState"] == "Île-de-France"
    assert shown_values["CountryName"] == "France"
    assert shown_values["CountryCode"] == "FR"
    assert shown_values["LocationName"] == "Eiffel Tower"
    assert shown_values["LocationId"] == "http://www.wikidata.org/entity/Q243"
    assert shown_values["GPSLatitude"] == "48,51.502200N"
    assert shown_values["GPSLongitude"] == "2,17.668860E"


def test_a_sidecar_of_ours_can_be_deleted() -> None:
    new = metadata.sidecar(None, TAG)
    assert metadata.stripped_sidecar(new) is None
    kept = new.replace(b"<rdf:li>Eiffel Tower</rdf:li>", b"<rdf:li>holiday</rdf:li>")
    rest = metadata.stripped_sidecar(kept)
    assert rest is not None
    assert texts(rest, f"{DC}subject") == ["holiday"]


def test_removal_after_another_program_wrote_the_sidecar_anew() -> None:
    """As ExifTool and Adobe do: one Description, attributes as elements, items reordered."""
    new = metadata.sidecar(SIDECARS["keywords"], TAG).decode()
    moved = new.replace("<rdf:li>Eiffel Tower</rdf:li>", "").replace(
        "<rdf:li>b</rdf:li>", "<rdf:li>Eiffel Tower</rdf:li><rdf:li>b</rdf:li><rdf:li>z</rdf:li>"
    )
    elements = moved.replace(
        ' landmarktag:TagRun="20260101T000000Z-1"', " exif:GPSAltitude='3/1' "
    ).replace(
        "<Iptc4xmpExt:LocationShown>",
        "<landmarktag:TagRun>20260101T000000Z-1</landmarktag:TagRun><Iptc4xmpExt:LocationShown>",
    )
    assert metadata.provenance(elements.encode()) == TAG.provenance
    rest = metadata.stripped_sidecar(elements.encode())
    assert rest is not None
    assert metadata.provenance(rest) is None
    assert metadata.position(rest) is None
    assert b"GPSAltitude='3/1'" in rest
    assert texts(rest, f"{DC}subject") == ["b", "z", "a"]


def test_a_position_that_was_corrected_since_stays() -> None:
    new = metadata.sidecar(None, TAG).replace(b'GPSLatitude="48,51', b'GPSLatitude="47,51')
    with pytest.raises(RefusedError, match="edited since"):
        metadata.stripped_sidecar(new)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "parse"),
        (b"not xml", "parse"),
        (packet()[:-150], "parse"),
        (b"<a/>", "laid out"),
        (packet().replace(b"rdf:Description", b"dc:thing"), "laid out"),
        (b'<!DOCTYPE a [<!ENTITY l "l">]><a>&l;</a>', "document type"),
        (packet().decode().encode("utf-16-le"), "parse"),
        (b"<?xml version='1.0' encoding='latin-1'?>" + PLAIN, "latin-1"),
        (packet("<a>" * 100 + "</a>" * 100), "nested"),
        (packet(attributes='dc:subject="one"'), "form"),
        (packet("<dc:subject>one</dc:subject>"), "list"),
        (packet("<dc:subject><rdf:Bag/></dc:subject>"), "empty list"),
        (packet(KEYWORDS * 2), "twice"),
        (packet(attributes='exif:GPSLatitude="1,2N" exif:GPSLongitude="2,3E"'), "carries a GPS"),
        (packet(attributes='exif:GPSLatitude="x" exif:GPSLongitude="y"'), "carries a GPS"),
        (packet(attributes='exif:GPSLongitude="2,3E"'), "part of a GPS position"),
        (packet(attributes='exif:GPSDestLatitude="x"'), "part of a GPS position"),
    ],
)
def test_a_sidecar_that_cannot_be_merged_is_left_alone(data: bytes, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        metadata.sidecar(data, TAG)


def test_a_sidecar_with_a_tag_for_another_place_is_left_alone() -> None:
    other = replace(TAG, landmark=replace(EIFFEL, slug="louvre", name="Louvre"))
    with pytest.raises(RefusedError, match="already tagged"):
        metadata.sidecar(metadata.sidecar(None, TAG), other)


def test_only_our_own_sidecars_are_stripped() -> None:
    for data in (packet(KEYWORDS), packet(PLACE)):
        with pytest.raises(RefusedError, match="no tag of ours"):
            metadata.stripped_sidecar(data)


@pytest.mark.parametrize("bomb", ["entities", "depth", "width", "attributes"])
def test_bombs_cost_nothing(bomb: str) -> None:
    data = {
        "entities": b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
        + b"]><a>&j;</a>",
        "depth": b"<a>" * 1_000_000,
        "width": b"<a>" + b"<b/>" * 1_000_000,
        "attributes": b"<a " + b" ".join(b"a%d=''" % i for i in range(50_000)) + b"/>",
    }[bomb]
    with pytest.raises(RefusedError):
        parser.parse(data)


@given(st.text(min_size=1, max_size=40), st.text(max_size=20))
def test_any_name_is_written_as_it_is_or_refused(name: str, city: str) -> None:
    tag = replace(TAG, landmark=replace(EIFFEL, name=name, city=city))
    try:
        new = metadata.sidecar(SIDECARS["keywords"], tag)
    except RefusedError:
        return  # a character that XML does not have
    assert metadata.stripped_sidecar(new) == SIDECARS["keywords"]
