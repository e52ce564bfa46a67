"""Tags that say where the camera was: what they hold, what is refused, writing, removal, undo."""

import io
import math
from dataclasses import replace
from pathlib import Path

import piexif
import pytest
from awkward_photos import (
    BOTH_TAG,
    CAMERA,
    CAMERA_TAG,
    EIFFEL,
    PROVENANCE,
    TAG,
    TAGS,
    app1_exif,
    app1_xmp,
    exif,
    first_position,
    jpeg,
    packet,
    picture,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memory_storage import MemoryStorage

from tagger import metadata
from tagger.errors import RefusedError
from tagger.imaging.decode import Resize
from tagger.ledger.ledger import Ledger
from tagger.ledger.undo import undo
from tagger.metadata import gps, verify
from tagger.metadata.capture import capture
from tagger.metadata.formats import detect
from tagger.metadata.xmp_packet import OURS
from tagger.records import (
    CameraPosition,
    Coords,
    GpsState,
    Provenance,
    SidecarMode,
    SidecarName,
    Source,
    Status,
    Tag,
)
from tagger.run.inspect import check_and_decode
from tagger.writing.remove_tag import remove
from tagger.writing.write_tag import WriteOptions, write_tag

CAMERA_FIELDS = {0, 1, 2, 3, 4, 18, 27, 31}
SUBJECT_FIELDS = {19, 20, 21, 22}
PLAIN = jpeg(app1_exif(exif(note=b"Canon\0" * 20)), app1_xmp(packet()))


def at(latitude: float, longitude: float) -> Tag:
    return replace(CAMERA_TAG, camera=replace(CAMERA, latitude=latitude, longitude=longitude))


def state(data: bytes) -> GpsState:
    reading = metadata.gps_state(data, whole=True)
    assert reading is not None
    return reading.state


@pytest.mark.parametrize("coords", [Coords.BOTH, Coords.CAMERA])
def test_a_camera_position_is_all_that_is_written(coords: Coords) -> None:
    tagged = metadata.tagged(PLAIN, replace(CAMERA_TAG, coords=coords))
    read = piexif.load(tagged)
    assert set(read["GPS"]) == CAMERA_FIELDS
    assert read["GPS"][31] == (73, 1), "the 95 % radius, rounded up"
    assert read["GPS"][27].startswith(b"ASCII\0\0\0MANUAL\0landmark-tag 0.1.0")
    assert b"; TagSource=time; TagEvidence=3 min after Stra%C3%9Fe 1.jpg%3B" in read["GPS"][27]
    assert 0x010E not in read["0th"]
    (text,) = detect.blocks(tagged, True).xmp
    old, new = dict(verify.properties(packet())), dict(verify.properties(text))
    added = {name: new[name] for name in new.keys() - old.keys()}
    assert all(name.startswith(OURS) for name in added)
    assert added[f"{OURS}TagSource"] == "time"
    assert added[f"{OURS}TagEvidence"] == CAMERA.evidence


@pytest.mark.parametrize("coords", Coords)
def test_with_a_landmark_the_camera_is_where_the_other_source_says(coords: Coords) -> None:
    fields = piexif.load(metadata.tagged(PLAIN, replace(BOTH_TAG, coords=coords)))["GPS"]
    alone = piexif.load(metadata.tagged(PLAIN, replace(TAG, coords=coords)))["GPS"]
    assert set(fields) == set(alone)
    for tag in SUBJECT_FIELDS | {28}:
        assert fields.get(tag) == alone.get(tag)
    if coords is not Coords.SUBJECT:
        camera = piexif.load(metadata.tagged(PLAIN, CAMERA_TAG))["GPS"]
        assert all(fields[tag] == camera[tag] for tag in (1, 2, 3, 4, 31))


def test_without_the_camera_it_is_the_landmark_tag() -> None:
    """--coords subject leaves the camera's position out, and so its source and radius."""
    alone = replace(TAG, coords=Coords.SUBJECT)
    both = replace(BOTH_TAG, coords=Coords.SUBJECT)
    assert metadata.tagged(PLAIN, both) == metadata.tagged(PLAIN, alone)
    assert metadata.sidecar(None, both) == metadata.sidecar(None, alone)


@pytest.mark.parametrize("write", [metadata.tagged, lambda _, tag: metadata.sidecar(None, tag)])
@pytest.mark.parametrize(
    ("tag", "why"),
    [
        (replace(CAMERA_TAG, coords=Coords.SUBJECT), "use --coords both"),
        (at(90.1, 0), "time gives an impossible position"),
        (at(0, -180.1), "time gives an impossible position"),
        (at(math.nan, 1), "time gives an impossible position"),
        (at(0, 0), "time gives 0, 0, which is no position"),
        (at(1e-9, -1e-9), "time gives 0, 0, which is no position"),
        (replace(CAMERA_TAG, camera=replace(CAMERA, source=Source.LANDMARK)), "please report"),
        (replace(BOTH_TAG, camera=replace(CAMERA, radius_m=math.inf)), "gives no radius"),
        (replace(BOTH_TAG, camera=replace(CAMERA, radius_m=math.nan)), "gives no radius"),
        (replace(BOTH_TAG, camera=replace(CAMERA, radius_m=3e7)), "gives no radius"),
    ],
)
def test_what_cannot_be_meant_is_refused(write: object, tag: Tag, why: str) -> None:
    assert callable(write)
    with pytest.raises(RefusedError, match=why):
        write(PLAIN, tag)


def test_a_tag_needs_a_place() -> None:
    with pytest.raises(ValueError, match="landmark or a camera position"):
        Tag(None, Coords.BOTH, PROVENANCE)


def test_radius_and_evidence_are_made_fit_to_write() -> None:
    camera = CameraPosition(1, 2, 0.0, Source.TRACK, "a\0b\n\udcff c\u2028" + "x" * 300)
    assert camera.radius_m == 1
    assert camera.evidence.startswith("a b c x") and len(camera.evidence) == 200
    assert replace(CAMERA, radius_m=150.2).radius_m == 151
    assert replace(CAMERA, radius_m=150).radius_m == 150


PLACES = st.tuples(st.floats(-90, 90), st.floats(-180, 180)).filter(
    lambda place: not all(map(gps.is_zero, place))
)


@settings(max_examples=150, deadline=None)
@given(PLACES, st.floats(0, 2e7), st.sampled_from(list(Source)[1:]), st.text(max_size=250))
@example((90.0, 0.0), 1, Source.TIME, "the pole")
@example((-90.0, -180.0), 1, Source.TRACK, "the other")
@example((12.0, 180.0), 1, Source.TIME, "the date line")
@example((12.0, -179.999999999), 1, Source.TIME, "beside it")
@example((0.0, 6.5), 1, Source.TIME, "the equator")
@example((51.5, 0.0), 1, Source.TIME, "Greenwich")
@example((2e-8, 0.0), 1, Source.TIME, "as near to 0, 0 as a position gets")
def test_any_position_reads_back(
    place: tuple[float, float], radius: float, source: Source, evidence: str
) -> None:
    for name in (None, EIFFEL):
        tag = Tag(name, Coords.BOTH, PROVENANCE, CameraPosition(*place, radius, source, evidence))
        tagged, beside = metadata.tagged(PLAIN, tag), metadata.sidecar(packet(), tag)
        assert state(tagged) is GpsState.VALID and metadata.has_sidecar_gps(beside)
        for new in (tagged, beside):
            assert metadata.position(new) == pytest.approx(place, abs=1e-7)
            assert metadata.provenance(new) == tag.provenance
        assert metadata.stripped(tagged) == PLAIN
        assert metadata.stripped_sidecar(beside) == packet()
    # EXIF alone, without the packet, says it all too.
    alone = metadata.tagged(jpeg(app1_xmp(b"<broken")), tag)
    assert metadata.provenance(alone) == tag.provenance
    assert metadata.stripped(alone) == jpeg(app1_xmp(b"<broken"))


def test_records_of_before_are_of_landmarks() -> None:
    """A landmark's record has the same fields as before, and names no source."""
    tagged = metadata.tagged(PLAIN, TAG)
    for field in (b"TagSource", b"TagEvidence", b"TagCamera"):
        assert field not in tagged
    provenance = metadata.provenance(tagged)
    assert provenance is not None and (provenance.source, provenance.evidence) == (
        Source.LANDMARK,
        "",
    )


def test_our_own_position_is_no_evidence() -> None:
    for tag in TAGS.values():
        known = capture("a.jpg", metadata.tagged(PLAIN, tag), whole=True)
        assert known.ours and known.position is not None


@pytest.mark.parametrize("known", TAGS)
@pytest.mark.parametrize("new", TAGS)
def test_another_tag_has_to_be_removed_first(known: str, new: str) -> None:
    for tagged, again in (
        (metadata.tagged(PLAIN, TAGS[known]), metadata.tagged),
        (metadata.sidecar(None, TAGS[known]), metadata.sidecar),
    ):
        if known == new:
            assert again(tagged, TAGS[new]) == tagged
            continue
        name = "a position by time" if known == "camera" else "Eiffel Tower"
        with pytest.raises(RefusedError, match=f"already tagged by us as {name}; remove"):
            again(tagged, TAGS[new])


@pytest.mark.parametrize("tag", [CAMERA_TAG, BOTH_TAG])
def test_another_camera_position_has_to_be_removed_first(tag: Tag) -> None:
    tagged = metadata.tagged(PLAIN, tag)
    with pytest.raises(RefusedError, match="already tagged by us"):
        metadata.tagged(tagged, replace(tag, camera=replace(CAMERA, latitude=48.9)))
    said_anew = replace(CAMERA, evidence="2 min before", radius_m=90)
    assert metadata.tagged(tagged, replace(tag, camera=said_anew)) == tagged


@pytest.mark.parametrize("tag", [CAMERA_TAG, BOTH_TAG])
@pytest.mark.parametrize("first", [2, 20])
def test_a_position_that_was_corrected_since_stays(tag: Tag, first: int) -> None:
    """The camera's or the subject's: once a person corrected it, the tag is theirs."""
    tagged = metadata.tagged(PLAIN, tag)
    fields = piexif.load(tagged)
    if first not in fields["GPS"]:
        return
    fields["GPS"][first] = ((47, 1), *fields["GPS"][first][1:])
    edited = io.BytesIO()
    piexif.insert(piexif.dump(fields), tagged, edited)
    with pytest.raises(RefusedError, match="edited since"):
        metadata.stripped(edited.getvalue())
    beside = metadata.sidecar(None, tag)
    name = b'GPSLatitude="48,' if first == 2 else b'GPSDestLatitude="48,'
    assert beside.count(name) == 1
    with pytest.raises(RefusedError, match="edited since"):
        metadata.stripped_sidecar(beside.replace(name, name.replace(b"48", b"47")))


def test_what_others_said_of_the_subject_since_stays() -> None:
    tagged = metadata.tagged(PLAIN, CAMERA_TAG)
    fields = piexif.load(tagged)
    fields["GPS"] |= piexif.load(metadata.tagged(PLAIN, replace(TAG, coords=Coords.SUBJECT)))["GPS"]
    fields["GPS"][27] = piexif.load(tagged)["GPS"][27]
    edited = io.BytesIO()
    piexif.insert(piexif.dump(fields), tagged, edited)
    left = piexif.load(metadata.stripped(edited.getvalue()))["GPS"]
    assert set(left) == {0, 28} | SUBJECT_FIELDS


OPTIONS = {
    "into the photo": WriteOptions(),
    "a new sidecar": WriteOptions(SidecarMode.ALWAYS),
    "a sidecar of the stem": WriteOptions(SidecarMode.ALWAYS, SidecarName.STEM),
}


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("how", OPTIONS)
@pytest.mark.parametrize("kind", ["camera", "both"])
def test_written_seen_removed_and_undone(tmp_path: Path, kind: str, how: str, merge: bool) -> None:
    tag, photo = TAGS[kind], picture()
    before = {"a.jpg": photo} | ({"a.jpg.xmp": packet()} if merge else {})
    storage = MemoryStorage(before)

    def contents() -> dict[str, bytes]:
        return {key: storage.read(key).data for key in storage.files}

    with Ledger.open(tmp_path / "ledger.db") as ledger:
        run_id = tag.provenance.run_id
        with ledger.begin(run_id, ["/photos"], {}) as recorder:
            (entry,) = storage.list()
            write_tag(storage, recorder, entry, tag, OPTIONS[how])
            (entry,) = storage.list()
            # A run that cannot tell whether it was written tries again: it counts as written.
            written = contents()
            write_tag(storage, recorder, entry, tag, OPTIONS[how])
            assert contents() == written != before
        if "stem" in how and not merge:
            assert metadata.sidecar_extension(written["a.xmp"]) == "jpg"
        (entry,) = storage.list()
        looked = check_and_decode(storage, entry, 24, Resize.CROP, run_id="a later run")
        assert looked.outcome is not None and looked.outcome.status is Status.HAS_GPS
        (changed,) = {key for key in written if written[key] != before.get(key)}
        assert metadata.position(written[changed]) == pytest.approx(first_position(tag), abs=1e-7)

        with ledger.begin("removal", ["/photos"], {}, verb="remove") as recorder:
            assert [result.problem for result in remove(storage, recorder)] == [""]
        assert contents() == before
        for number, expected in ((0, written), (1, before)):
            run = ledger.find(("removal", run_id)[number])
            assert all(result for result in undo(lambda _key: storage, ledger, run))
            assert contents() == expected


def test_a_run_that_knows_no_landmark_has_no_model() -> None:
    provenance = Provenance("landmark-tag", "0.1.0", "", 0.97, "run-1")
    tag = Tag(None, Coords.BOTH, provenance, CAMERA)
    for new in (metadata.tagged(PLAIN, tag), metadata.sidecar(None, tag)):
        assert metadata.provenance(new) == tag.provenance
