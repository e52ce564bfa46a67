"""HEIC and AVIF written in place: every layout of the standard is handled exactly, or refused."""

import io
import re
import struct
import zlib
from dataclasses import replace

import heif_photos
import pytest
from awkward_photos import EIFFEL, TAG, TAGS, exif, packet, position
from heif_photos import (
    BOTH,
    LAYOUTS,
    MAIN,
    OF_MAIN,
    OTHER,
    PICTURE,
    SKELETONS,
    Layout,
    box,
    full,
    item_xmp,
)
from over_gps import tagged_over
from PIL import Image

from tagger import metadata
from tagger.blob import Spliced
from tagger.errors import RefusedError
from tagger.ledger import undo_patch
from tagger.metadata.formats import detect, heif_edits, heif_proof
from tagger.records import GpsState

PLACE = pytest.approx((EIFFEL.latitude, EIFFEL.longitude), abs=1e-6)


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("kind", TAGS)
def test_every_layout_is_written_and_restored(name: str, kind: str) -> None:
    photo = SKELETONS[name]
    spliced = metadata.spliced(photo, TAGS[kind])
    tagged = bytes(spliced)
    before, after = heif_photos.items(photo), heif_photos.items(tagged)
    assert after[1] == PICTURE
    assert {n: body for n, body in after.items() if n in before and n not in (3, 4)} == {
        n: body for n, body in before.items() if n not in (3, 4)
    }
    reading = metadata.gps_state(tagged, whole=True)
    assert reading is not None
    assert reading.state is GpsState.VALID
    assert metadata.tagged(tagged, TAGS[kind]) == tagged
    assert metadata.stripped(tagged) == photo
    assert undo_patch.restore(tagged, undo_patch.make(photo, spliced)) == photo


@pytest.mark.parametrize("name", SKELETONS)
def test_other_metadata_is_kept(name: str) -> None:
    photo = SKELETONS[name]
    old, new = (detect.blocks(data, True) for data in (photo, metadata.tagged(photo, TAG)))
    for block in old.exif:
        assert any(block[8:] in other for other in new.exif)
    assert any(b"Eiffel Tower" in packet for packet in new.xmp)
    assert all(b"family" in packet for packet in new.xmp) or len(new.xmp) > len(old.xmp)


def test_the_position_stands_in_the_first_bytes() -> None:
    photo = replace(BOTH, items=BOTH.items | {1: (b"hvc1", PICTURE * 900)}).made()
    tagged = metadata.tagged(photo, TAG)
    assert len(tagged) > 2 * metadata.HEAD_BYTES
    assert metadata.gps_state(photo[: metadata.HEAD_BYTES]) is None
    reading = metadata.gps_state(tagged[: metadata.HEAD_BYTES])
    assert reading is not None
    assert reading.state is GpsState.VALID


@pytest.mark.parametrize("name", ["motion photo", "Samsung's boxes", "Samsung's trailer"])
def test_what_counts_from_the_end_stays_there(name: str) -> None:
    after = LAYOUTS[name].layout.after
    assert metadata.tagged(SKELETONS[name], TAG).endswith(after)


@pytest.mark.parametrize("name", ["a sequence beside it", "a sequence beside it, 64 bit"])
def test_a_sequence_finds_its_samples(name: str) -> None:
    tagged = metadata.tagged(SKELETONS[name], TAG)
    wide = b"co64" in tagged
    at = tagged.index(b"co64" if wide else b"stco") + 12
    places = struct.unpack_from(">QQ" if wide else ">II", tagged, at)
    for place, body in zip(places, (PICTURE, OTHER), strict=True):
        assert tagged.startswith(body, place)


def test_metadata_of_other_pictures_is_left_alone() -> None:
    for name in ("the thumbnail's EXIF", "XMP of the gain map"):
        photo = SKELETONS[name]
        tagged = metadata.tagged(photo, TAG)
        other = 3 if "EXIF" in name else 4
        assert heif_photos.items(tagged)[other] == heif_photos.items(photo)[other]
        assert len(heif_photos.items(tagged)) > len(heif_photos.items(photo))


def test_a_new_item_has_a_number_that_no_group_has() -> None:
    tagged = metadata.tagged(SKELETONS["tone map and group"], TAG)
    assert set(heif_photos.items(tagged)) == {1, 2, 3, 7, 9}


def test_one_that_another_program_edited_since_loses_the_tag_only() -> None:
    tagged = metadata.tagged(SKELETONS["two metadata items"], TAG)
    edited = tagged.replace(b"family", b"people")
    rest = metadata.stripped(edited)
    assert b"people" in rest
    assert b"Eiffel" not in rest
    assert metadata.position(rest) is None
    assert heif_photos.items(rest)[1] == PICTURE
    moved = tagged.replace(b"hvc1\0", b"hvc2\0")
    assert b"hvc2\0" in metadata.stripped(moved)
    assert b"Eiffel" not in metadata.stripped(moved)


def test_a_photo_of_which_only_exif_was_ours_keeps_no_trace_of_it() -> None:
    tagged = metadata.tagged(SKELETONS["neither"], TAG).replace(b"hvc1\0", b"hvc2\0")
    rest = metadata.stripped(tagged)
    assert metadata.provenance(rest) is None
    assert metadata.tagged(rest, TAG).count(b"Eiffel Tower") == tagged.count(b"Eiffel Tower")


def changed(old: bytes, new: bytes, photo: bytes = SKELETONS["two metadata items"]) -> bytes:
    assert photo.count(old) == 1
    return photo.replace(old, new)


REFUSED = {
    "two EXIF": (
        replace(
            BOTH,
            items=BOTH.items | {6: BOTH.items[3]},
            references=(
                *BOTH.references,
                (b"cdsc", 6, 1),
            ),
        ).made(),
        "more than one EXIF",
    ),
    "cut short": (SKELETONS["two metadata items"][:-5], "cut short"),
    "items out of the file": (
        changed(b"mdat", b"free", SKELETONS["two metadata items"])[:-400] + box(b"free", b""),
        "cut short|behind its last",
    ),
    "unknown box": (SKELETONS["neither"] + box(b"abcd", b""), "box 'abcd'"),
    "unknown uuid": (SKELETONS["neither"] + box(b"uuid", bytes(16)), "box 'uuid'"),
    "fragments": (SKELETONS["neither"] + box(b"moof", b""), "box 'moof'"),
    "two meta": (SKELETONS["neither"] + full(b"meta", b""), "twice"),
    "bytes behind": (SKELETONS["neither"] + b"tail", "behind its last box"),
    "no meta": (SKELETONS["neither"].replace(b"meta", b"free"), "without a still"),
    "camera raw": (changed(b"ftypheic", b"ftypcrx ").replace(b"mif1heic", b"crx isom"), "raw"),
    "video": (
        changed(b"ftypheic", b"ftypisom").replace(b"mif1heic", b"isomavc1"),
        "neither HEIC nor",
    ),
    "image sequence": (changed(b"ftypheic", b"ftypavis"), "sequence"),
    "sequence elsewhere": (heif_photos.sequence(url=b"\0\0\0\0a\0"), "another file"),
    "auxiliary data": (heif_photos.sequence(extra=full(b"saio", bytes(8))), "not written"),
    "another file": (
        re.sub(
            rb"(?s)(iloc.{8}\x00\x01\x00\x00)\x00\x00",
            lambda match: match[1] + b"\0\1",
            SKELETONS["two metadata items"],
        ),
        "another file",
    ),
    "no lengths": (replace(BOTH, layout=Layout(widths=(4, 0, 0))).made(), "without lengths"),
    "no offsets": (
        replace(BOTH, layout=Layout(widths=(0, 4, 0))).made(),
        "room for offsets|wrong header",
    ),
    "protected EXIF": (changed(b"\0\3\0\0Exif", b"\0\3\0\1Exif"), "protected"),
    "a wrong header": (changed(b"\0\0\0\6Exif\0\0II", b"\0\0\0\7Exif\0\0II"), "wrong header"),
    "an old item": (changed(b"infe\2\0\0\0\0\2", b"infe\0\0\0\0\0\2"), "before HEIF"),
    "a count": (changed(b"iinf\0\0\0\0\0\4", b"iinf\0\0\0\0\0\3"), "number of items"),
    "no main picture": (changed(b"pitm\0\0\0\0\0\1", b"pitm\0\0\0\0\0\x63"), "main picture"),
    "referred to": (
        replace(BOTH, references=(*BOTH.references, (b"base", 2, 3))).made(),
        "refer to",
    ),
    "a picture in its table": (
        changed(
            struct.pack(
                ">HHHHII", 2, 0, 0, 1, SKELETONS["two metadata items"].index(OTHER), len(OTHER)
            ),
            struct.pack(">HHHHII", 2, 0, 0, 1, 30, 300),
        ),
        "inside its item table",
    ),
    "C2PA": (
        SKELETONS["neither"]
        + box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"manifest"),
        "signed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_to_be_safe_is_refused(name: str) -> None:
    photo, why = REFUSED[name]
    with pytest.raises(RefusedError, match=why):
        metadata.tagged(photo, TAG)


PACKED = heif_photos.ZLIB, zlib.compress(item_xmp())
XMP_LEFT = {
    "two packets": replace(
        BOTH, items=BOTH.items | {6: BOTH.items[4]}, references=(*BOTH.references, (b"cdsc", 6, 1))
    ).made(),
    "a uuid box": SKELETONS["EXIF only"] + heif_photos.uuid_xmp(),
    "a uuid box and an item": SKELETONS["XMP only"] + heif_photos.uuid_xmp(),
    "compressed": replace(
        BOTH, items=BOTH.items | {4: (heif_photos.ZLIB, zlib.compress(item_xmp()))}
    ).made(),
}


@pytest.mark.parametrize("name", XMP_LEFT)
def test_xmp_that_cannot_be_written_is_left_alone(name: str) -> None:
    photo = XMP_LEFT[name]
    tagged = metadata.tagged(photo, TAG)
    assert metadata.position(tagged) == PLACE
    assert b"LocationShown" not in tagged
    assert "EXIF only" in metadata.xmp_note(tagged)
    assert metadata.stripped(tagged) == photo


def test_proof_sees_a_picture_that_is_not_the_same() -> None:
    photo = SKELETONS["grid in idat"]
    for part in (PICTURE, OTHER, b"\0\0\0\1\2\3\4\5", b"hdlr", b"dimg"):
        tagged = metadata.tagged(photo, TAG)
        at = tagged.index(part) + 6 % len(part)
        damaged = tagged[:at] + bytes([tagged[at] ^ 1]) + tagged[at + 1 :]
        with pytest.raises(RefusedError):
            heif_proof.check_rest(photo, Spliced(damaged))


def test_proof_sees_an_offset_that_is_not_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EXIF only", "a sequence beside it"):
        monkeypatch.setattr(heif_edits, "moved", lambda *_: iter(()))
        with pytest.raises(RefusedError, match=r"would change|cut short|sequence"):
            metadata.tagged(SKELETONS[name], TAG)


def test_real_photos_of_every_layout_show_the_same_picture() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    block = exif(note=b"Canon\0" * 9)
    for kind, mode in (("HEIF", "RGB"), ("HEIF", "RGBA"), ("AVIF", "RGB"), ("AVIF", "RGBA")):
        photo = heif_photos.saved(kind, mode, exif=b"Exif\0\0" + block)
        for layout in (Layout(), *(made.layout for made in LAYOUTS.values())):
            if layout.in_idat or layout.in_item or (kind == "AVIF" and layout.version == 2):
                continue
            laid = heif_photos.relaid(photo, layout)
            tagged = metadata.tagged(laid, TAG)
            with Image.open(io.BytesIO(laid)) as old, Image.open(io.BytesIO(tagged)) as new:
                assert (old.size, old.mode) == (new.size, new.mode)
                assert old.tobytes() == new.tobytes()
                ifd = new.getexif().get_ifd(0x8825)
                assert float(ifd[2][0]) == 48
                assert new.info["xmp"].count(b"Eiffel Tower") > 0
            assert metadata.stripped(tagged) == laid


def test_an_avif_that_carries_a_position_is_left_alone() -> None:
    photo = heif_photos.saved("AVIF", exif=b"Exif\0\0" + exif(gps=position()))
    with pytest.raises(RefusedError, match="carries a GPS position"):
        metadata.tagged(photo, TAG)
    assert metadata.position(tagged_over(photo, TAG)) == PLACE


def test_apples_maker_note_is_no_directory_at_any_place() -> None:
    """One number in it looks like a directory of one entry that points far beyond the block."""
    entry = struct.pack(">HHII", 1, 9, 1, 14) + struct.pack(">HHII", 3, 7, 24, 26)
    note = (
        b"Apple iOS\0\0\1MM\0\2"
        + entry
        + bytes(4)
        + struct.pack(">HHIIHH", 1, 0, 11 << 16, 558, 0, 1)
    )
    item = heif_photos.item_exif(exif(">", note=note + bytes(40)))
    photo = heif_photos.Photo(MAIN | {3: (b"Exif", item)}, OF_MAIN).made()
    assert metadata.position(metadata.tagged(photo, TAG)) == PLACE


def test_a_position_in_compressed_xmp_is_read() -> None:
    text = packet(attributes='exif:GPSLatitude="48,51.5022N" exif:GPSLongitude="2,17.66886E"')
    for packed in (
        zlib.compress(text),
        zlib.compress(text, wbits=-15),
        zlib.compress(text, wbits=31),
    ):
        photo = heif_photos.Photo(MAIN | {4: (heif_photos.ZLIB, packed)}, ((b"cdsc", 4, 1),)).made()
        assert metadata.position(photo) == PLACE
        with pytest.raises(RefusedError, match="carries a GPS position"):
            metadata.tagged(photo, TAG)


def test_xmp_names_the_place() -> None:
    tagged = metadata.tagged(SKELETONS["XMP only"], TAG)
    assert packet() not in tagged
    assert metadata.provenance(tagged) == TAG.provenance
