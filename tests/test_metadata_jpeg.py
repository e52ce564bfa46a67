"""Writing into JPEGs as awkward as real ones, and taking the tag out again."""

import io
import struct
from collections.abc import Callable
from dataclasses import replace

import piexif
import pytest
from awkward_photos import (
    EIFFEL,
    KINDS,
    TAG,
    XMP,
    app1_exif,
    app1_xmp,
    directory,
    exif,
    first_position,
    jpeg,
    mpf,
    packet,
    picture,
    position,
    segment,
)
from over_gps import tagged_over
from PIL import Image

from tagger import metadata
from tagger.blob import Spliced
from tagger.errors import RefusedError
from tagger.metadata.formats import jpeg as parser
from tagger.metadata.formats import jpeg_write
from tagger.records import Coords, GpsState, Tag

THUMBNAIL = picture((16, 12))
NOTE = b"Canon\0" + bytes(range(256)) * 3
ZEROED = position(latitude=((0, 1),) * 3, longitude=((0, 1),) * 3)
DATED = [(0, 1, 4, b"\2\2\0\0"), *ZEROED, (29, 2, 11, b"2020:01:01\0")]
JFIF_LATE = picture()[2:20]

WRITABLE = {
    "nothing but a picture": jpeg(),
    "no JFIF either": jpeg(jfif=False),
    "little-endian": jpeg(app1_exif(exif("<", thumbnail=THUMBNAIL, note=NOTE))),
    "big-endian": jpeg(app1_exif(exif(">", thumbnail=THUMBNAIL, note=NOTE))),
    "odd length": jpeg(app1_exif(exif() + b"\0")),
    "an empty GPS directory": jpeg(app1_exif(exif(gps=[]))),
    "a zeroed GPS directory": jpeg(app1_exif(exif(gps=DATED))),
    "fill bytes": jpeg(app1_exif(exif(), fill=3), app1_xmp(packet(), fill=5)),
    "XMP before EXIF": jpeg(app1_xmp(packet()), app1_exif(exif())),
    "EXIF before JFIF": jpeg(app1_exif(exif()), JFIF_LATE, jfif=False),
    "other APP1 and APP13": jpeg(
        segment(0xE1, b"FLIR\0\1\0\0data"), app1_exif(exif()), segment(0xED, b"Photoshop 3.0\0" * 9)
    ),
    "a comment": jpeg(app1_exif(exif()), segment(0xFE, b"a comment")),
    "unsorted IFD0": jpeg(
        app1_exif(
            b"II*\0\x08\0\0\0" + directory("<", 8, [(0x112, 3, 1, b"\6\0"), (0x10F, 2, 2, b"C\0")])
        )
    ),
    "a blank entry": jpeg(app1_exif(exif(ifd0=((0xC000, 0, 0, b""),)))),
    "a trailer": jpeg(app1_exif(exif()), trailer=b"SEFH" + b"motion photo" * 50 + b"SEFT"),
    "empty XMP lists": jpeg(app1_xmp(packet("<dc:creator/>"))),
    "a description": jpeg(app1_exif(exif(ifd0=((0x010E, 2, 8, b"A place\0"),)))),
}


def refused(photo: bytes, match: str) -> None:
    with pytest.raises(RefusedError, match=match):
        metadata.tagged(photo, TAG)


@pytest.mark.parametrize("name", WRITABLE)
@pytest.mark.parametrize(("_kind", "tag"), KINDS)
def test_tag_and_take_out_again(name: str, _kind: str, tag: Tag) -> None:
    photo = WRITABLE[name]
    tagged = metadata.tagged(photo, tag)
    assert metadata.tagged(tagged, tag) == tagged
    assert metadata.xmp_note(tagged) == ""
    assert metadata.position(tagged) == pytest.approx(first_position(tag), abs=1e-7)
    assert metadata.provenance(tagged) == tag.provenance
    reading = metadata.gps_state(tagged)
    assert reading is not None
    assert reading.state is GpsState.VALID
    assert tagged.count(b"Exif\0\0") == 1
    assert Image.open(io.BytesIO(tagged)).tobytes() == Image.open(io.BytesIO(photo)).tobytes()
    assert metadata.stripped(tagged) == photo


@pytest.mark.parametrize("coords", Coords)
def test_what_is_written(coords: Coords) -> None:
    fields = piexif.load(metadata.tagged(picture(), replace(TAG, coords=coords)))["GPS"]
    camera, subject = {1, 2, 3, 4}, {19, 20, 21, 22}
    expected = {0, 18, 27, 28, 31}
    expected |= camera if coords != Coords.SUBJECT else set()
    expected |= subject if coords != Coords.CAMERA else set()
    assert set(fields) == expected
    assert fields[0] == (2, 3, 0, 0)
    assert fields[18] == b"WGS-84"
    assert fields[27].startswith(b"ASCII\0\0\0MANUAL\0landmark-tag 0.1.0")
    assert fields[28] == b"ASCII\0\0\0Eiffel Tower"
    assert fields[31] == (150, 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_name_that_is_not_ascii(order: str) -> None:
    place = replace(EIFFEL, name="Übergabe & <Tor> 天壇")
    tag = replace(TAG, landmark=place)
    photo = jpeg(app1_exif(exif(order)))
    tagged = metadata.tagged(photo, tag)
    read = piexif.load(tagged)
    text = read["GPS"][28]
    assert text[:8] == b"UNICODE\0"
    assert text[8:].decode("utf-16-le" if order == "<" else "utf-16-be") == place.name
    assert read["0th"][0x010E].decode() == place.name
    assert metadata.provenance(tagged) == TAG.provenance
    assert metadata.stripped(tagged) == photo


def test_southern_and_western_hemispheres() -> None:
    place = replace(EIFFEL, latitude=-22.9519, longitude=-43.2105)
    tagged = metadata.tagged(picture(), replace(TAG, landmark=place))
    assert metadata.position(tagged) == pytest.approx((-22.9519, -43.2105), abs=1e-7)


def test_every_old_byte_of_exif_stays_where_it_was() -> None:
    block = exif(thumbnail=THUMBNAIL, note=NOTE)
    new = parser.read(metadata.tagged(jpeg(app1_exif(block)), TAG)).exif
    assert new is not None
    assert new[8 : len(block)] == block[8:]
    assert new[:4] == block[:4]


def test_other_gps_fields_are_kept() -> None:
    read = piexif.load(metadata.tagged(jpeg(app1_exif(exif(gps=DATED))), TAG))
    assert read["GPS"][29] == b"2020:01:01"
    assert read["GPS"][0] == (2, 3, 0, 0), "GPSHPositioningError came with version 2.3"


def test_a_description_is_added_only_where_there_is_no_caption_at_all() -> None:
    def described(photo: bytes) -> bytes | None:
        description: bytes | None = piexif.load(metadata.tagged(photo, TAG))["0th"].get(0x010E)
        return description

    assert described(picture()) == b"Eiffel Tower"
    assert described(WRITABLE["a description"]) == b"A place"
    caption = "<dc:description><rdf:Alt><rdf:li>Us</rdf:li></rdf:Alt></dc:description>"
    assert described(jpeg(app1_xmp(packet(caption)))) is None
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x07\x1c\x02\x78\0\2Us"
    assert described(jpeg(segment(0xED, iptc))) is None
    more = app1_xmp(packet(caption))
    assert described(jpeg(app1_xmp(packet()), more)) is None
    assert described(jpeg(app1_xmp(packet()), extended(packet(caption)))) is None
    assert described(jpeg(app1_xmp(packet(caption).decode().encode("utf-16")))) is None


def test_a_first_keyword_does_not_hide_those_of_iptc() -> None:
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0b\x1c\x02\x19\0\6family\0"
    tagged = metadata.tagged(jpeg(segment(0xED, iptc)), TAG)
    assert b"dc:subject" not in tagged
    assert b"LocationShown" in tagged
    keyword = packet("<dc:subject><rdf:Bag><rdf:li>b</rdf:li></rdf:Bag></dc:subject>")
    both = metadata.tagged(jpeg(app1_xmp(keyword), segment(0xED, iptc)), TAG)
    assert b"<rdf:li>Eiffel Tower</rdf:li></rdf:Bag></dc:subject>" in both


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("exif_first", [True, False])
@pytest.mark.parametrize("with_exif", [True, False])
def test_the_mpf_index_still_finds_its_pictures(
    order: str, exif_first: bool, with_exif: bool
) -> None:
    second = picture((8, 8))

    def build(main: int, offset: int) -> tuple[bytes, int]:
        index = mpf(order, 0, [(main, 0), (len(second), offset)])
        blocks = [app1_exif(exif())] if with_exif else []
        parts = [*blocks, index] if exif_first else [index, *blocks]
        return jpeg(*parts), jpeg(*parts).index(b"MPF\0") + 4

    main, base = build(0, 1)
    photo = build(len(main), len(main) - base)[0] + second
    tagged = metadata.tagged(photo, TAG)
    with Image.open(io.BytesIO(tagged)) as image:
        assert image.format == "MPO"
        assert getattr(image, "n_frames", 1) == 2
        image.seek(1)
        assert image.size == (8, 8)
        assert image.tobytes() == Image.open(io.BytesIO(second)).tobytes()
    size = struct.pack(order + "I", len(tagged) - len(second))
    assert tagged.count(struct.pack(order + "I", 0x30000) + size) == 1
    assert metadata.stripped(tagged) == photo


def test_empty_entries_of_the_mpf_index_stay_empty() -> None:
    entries = struct.pack("<III", 0x30000, 0, 0)
    photo = jpeg(mpf("<", 0, [(0, 0), (0, 0)]))
    tagged = metadata.tagged(photo, TAG)
    assert tagged.count(entries) == photo.count(entries) == 2
    assert metadata.stripped(tagged) == photo


GUID = b"0123456789ABCDEF0123456789ABCDEF"


def extended(body: bytes) -> bytes:
    """A segment of extended XMP."""
    lengths = struct.pack(">II", len(body), 0)
    return segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + GUID + lengths + body)


def test_extended_xmp_is_kept() -> None:
    note = f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{GUID.decode()}"'
    more = extended(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>depth map</x:xmpmeta>")
    photo = jpeg(app1_xmp(packet(attributes=note)), more)
    tagged = metadata.tagged(photo, TAG)
    assert more in tagged
    assert GUID in tagged[: tagged.index(more)]
    assert metadata.stripped(tagged) == photo


@pytest.mark.parametrize(
    "spoil",
    [
        lambda new: replace(new, older=bytes(bytearray(new.older))),
        lambda new: replace(new, at=new.at + 1),
        lambda new: replace(new, at=new.at - 1),
        lambda new: replace(new, head=new.head[:-1] + b"!"),
        lambda new: replace(new, head=new.head + new.older[new.at :], older=b"", at=0),
    ],
)
def test_a_picture_that_is_not_the_old_one_is_refused(
    spoil: Callable[[Spliced], Spliced], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = jpeg_write.write
    monkeypatch.setattr(jpeg_write, "write", lambda *words: spoil(write(*words)))
    with pytest.raises(RefusedError, match="picture data"):
        metadata.tagged(jpeg(app1_exif(exif())), TAG)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (packet()[:-80], "does not parse"),
        (packet().decode().encode("utf-16"), "does not parse"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "document type"),
        (b"", "does not parse"),
        (packet(f"<dc:title>{'x' * 64_500}</dc:title>"), "room"),
        (packet(attributes='dc:subject="one"'), "no room|form"),
    ],
)
def test_xmp_that_cannot_be_merged_is_left_alone_and_said_so(text: bytes, why: str) -> None:
    photo = jpeg(app1_exif(exif()), app1_xmp(text))
    tagged = metadata.tagged(photo, TAG)
    assert app1_xmp(text) in tagged
    assert metadata.xmp_note(tagged).startswith("EXIF only")
    assert metadata.tagged(tagged, TAG) == tagged
    assert metadata.provenance(tagged) == TAG.provenance
    assert metadata.stripped(tagged) == photo


def test_two_xmp_packets_are_left_alone() -> None:
    photo = jpeg(app1_xmp(packet()), app1_xmp(packet(about="2")))
    tagged = metadata.tagged(photo, TAG)
    assert tagged.count(XMP) == 2
    assert "two XMP packets" in metadata.xmp_note(tagged)


@pytest.mark.parametrize(
    ("photo", "why"),
    [
        (b"", "not written in place"),
        (b"text", "not written in place"),
        (picture()[:200], "ends before its picture"),
        (jpeg(app1_exif(exif()), app1_exif(exif())), "more than one EXIF"),
        (jpeg(segment(0xE1, b"EXIF\0\0" + exif())), "wrong header"),
        (jpeg(app1_exif(b"II*\0")), "TIFF header"),
        (jpeg(app1_exif(b"XX*\0\x08\0\0\0" + exif()[8:])), "TIFF header"),
        (jpeg(app1_exif(exif()[:20])), "cut short"),
        (jpeg(app1_exif(exif(ifd0=((0xC000, 99, 7, b"\1\2\3\4"),)))), "unknown type"),
        (jpeg(app1_exif(exif(gps=[(29, 99, 2, b"20\0\0")]))), "unknown type"),
        (jpeg(app1_exif(exif(thumbnail=THUMBNAIL)[:-9])), "thumbnail"),
        (jpeg(app1_exif(exif(note=NOTE)[:-9])), "outside"),
        (jpeg(app1_exif(exif().ljust(65_400, b"\0"))), "JPEG allows"),
        (jpeg(b"stray"), "stray bytes"),
        (jpeg(b"\xff\xd9"), "comes before"),
        (jpeg(b"\xff\xe1\0\0"), "impossible length"),
        (jpeg(segment(0xE0, b"II\x1a\0\0\0HEAPJPGM")), "CIFF"),
        (jpeg(segment(0xEB, b"JP\0\0\0\0\0\0\0\0\0\0jumbc2pa")), "signed"),
        (jpeg(trailer=b"AFCP data" + b"AXS!" + b"\0" * 8), "AFCP"),
    ],
)
def test_what_is_not_provably_safe_is_refused(photo: bytes, why: str) -> None:
    refused(photo, why)


def test_directories_in_a_loop_are_refused() -> None:
    block = bytearray(exif(thumbnail=THUMBNAIL))
    first = struct.unpack_from("<H", block, 8)[0]
    struct.pack_into("<I", block, 8 + 2 + 12 * first, 8)
    refused(jpeg(app1_exif(bytes(block))), "loop")


def test_pointers_to_a_preview_behind_the_picture_are_refused() -> None:
    preview = picture((8, 8))
    place = len(jpeg(app1_exif(exif(note=NOTE)))) - 20 - 4 - 6  # from the TIFF header on
    fields = [(0x88, 4, 1, struct.pack("<I", place)), (0x89, 4, 1, struct.pack("<I", 9))]
    note = directory("<", 0, fields).ljust(len(NOTE), b"\0")
    refused(jpeg(app1_exif(exif(note=note)), trailer=preview), "preview|points beyond")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("base", ["the file", "the EXIF block"])
def test_a_preview_is_pointed_at_in_any_place_and_order(order: str, base: str) -> None:
    preview = picture((8, 8))

    def photo(place: int) -> bytes:
        field = segment(0xED, b"Maker\0!" + struct.pack(order + "I", place))
        return jpeg(app1_exif(exif()), field, trailer=preview)

    plain = photo(0)
    place = len(plain) - len(preview)
    start = 0 if base == "the file" else plain.index(b"Exif\0\0") + 6
    refused(photo(place - start), "preview behind")
    for other in (place - start + 1, len(plain) + 9):  # within the preview, and beyond the file
        assert metadata.position(metadata.tagged(photo(other), TAG))


def test_a_large_number_in_a_maker_note_is_no_pointer_unless_behind_the_picture() -> None:
    def photo(number: int) -> bytes:
        note = directory("<", 0, [(0x88, 4, 1, struct.pack("<I", number))]).ljust(len(NOTE), b"\0")
        return jpeg(app1_exif(exif(note=note)), trailer=b"a trailer")

    plain = photo(0)
    start = plain.index(b"Exif\0\0") + 6
    within, behind = plain.index(b"\xff\xda") + 20, plain.index(b"a trailer")
    assert metadata.position(metadata.tagged(photo(within - start), TAG))
    refused(photo(behind - start), "points beyond")


def test_a_maker_note_that_reaches_beyond_its_block_is_refused() -> None:
    length = len(exif(note=NOTE))
    note = directory("<", 0, [(1, 4, 20, b"\0" * 80)])
    note = note[:10] + struct.pack("<I", length - 8) + note[14:]
    refused(jpeg(app1_exif(exif(note=note.ljust(len(NOTE), b"\0")))), "points beyond")


def test_gps_that_is_there_is_left_alone_unless_told() -> None:
    photo = jpeg(app1_exif(exif(gps=[*position(), (29, 2, 11, b"2020:01:01\0")])))
    refused(photo, "carries a GPS position; left alone")
    tagged = tagged_over(photo, TAG)
    assert metadata.position(tagged) == pytest.approx((EIFFEL.latitude, EIFFEL.longitude), abs=1e-7)
    assert piexif.load(tagged)["GPS"][29] == b"2020:01:01"


def test_our_tag_for_another_place_has_to_be_removed_first() -> None:
    tagged = metadata.tagged(picture(), TAG)
    other = Tag(replace(EIFFEL, slug="louvre", name="Louvre"), TAG.coords, TAG.provenance)
    with pytest.raises(RefusedError, match="already tagged by us as Eiffel Tower"):
        metadata.tagged(tagged, other)


def test_only_our_own_tags_are_removed() -> None:
    for photo in (picture(), jpeg(app1_exif(exif(gps=position()))), jpeg(app1_xmp(packet()))):
        with pytest.raises(RefusedError, match="no tag of ours"):
            metadata.stripped(photo)


def test_a_position_that_was_corrected_since_is_not_removed() -> None:
    tagged = metadata.tagged(jpeg(app1_exif(exif())), TAG)
    old, new = (struct.pack("<II", top, 1) for top in (48, 47))
    with pytest.raises(RefusedError, match="edited since"):
        metadata.stripped(tagged.replace(old, new))


def test_removal_after_another_program_laid_the_exif_out_anew() -> None:
    photo = jpeg(app1_exif(exif(gps=[(29, 2, 11, b"2020:01:01\0")])))
    tagged = metadata.tagged(photo, TAG)
    file = io.BytesIO()
    piexif.insert(piexif.dump(piexif.load(tagged)), tagged, file)
    read = piexif.load(metadata.stripped(file.getvalue()))
    assert set(read["GPS"]) <= {0, 29}
    assert 0x010E not in read["0th"]
    assert read["0th"][0x010F] == b"Canon"
