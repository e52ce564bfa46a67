"""The pack of photos inside a model file: what is read, what is refused, and what ships."""

import dataclasses
import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import COLOURS, save_colour_model
from test_weigh import beside, made, only, pack_of

from tagger.cli.main import main
from tagger.errors import RunError
from tagger.model import DEFAULT_MODEL, artifact, packs
from tagger.model.artifact import PHOTOS, REFERENCES
from tagger.model.lazy import LazyClassifier
from tagger.model.local_features.references import References
from tagger.model.local_features.sift import VERSION
from tagger.places import arrays
from tagger.places.landmarks import load_landmarks
from tagger.places.opening import open_pack
from tagger.places.pack import FORMAT, Pack
from tagger.run.learn import confused
from train.ship import rewriting

KNOWN = made((4, 3, 2), 3)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file with photos of its landmarks."""
    path = save_colour_model(tmp_path / "colour.pt")
    rewriting.add_references(path, KNOWN)
    return path


def pack_in(model: Path) -> Pack:
    _, (pack,) = artifact.apart(model)
    return pack


def same(one: References | None, other: References | None) -> bool:
    assert one and other
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in (field.name for field in dataclasses.fields(References))
    )


def test_a_model_file_holds_a_pack(model: Path, tmp_path: Path) -> None:
    """It is one that any reader of packs opens, and a view of the bytes that were read."""
    pack = pack_in(model)
    assert [pack.landmark(n).name for n in range(3)] == sorted(
        load_landmarks()[slug].name for slug in COLOURS
    )
    assert not pack.private and pack.learned == "yes"
    assert pack.encoder == artifact.load(model).encoder
    assert not pack.codes.flags.owndata and not pack.codes.flags.writeable
    written = tmp_path / "a.places"
    arrays.write(written, {"format": FORMAT, "encoder": "e"}, {"codes": pack.codes})
    np.testing.assert_array_equal(arrays.read(written.read_bytes()).arrays["codes"], pack.codes)


def test_a_buffer_is_checked_as_a_file_is(tmp_path: Path) -> None:
    whole = pack_of(tmp_path / "a.places", KNOWN, tuple(COLOURS), "yes").read_bytes()
    some = random.Random(0)
    for _ in range(200):
        data = bytearray(whole[: some.choice((len(whole), some.randrange(len(whole))))])
        if data:
            data[some.randrange(min(len(data), 900))] ^= 1 << some.randrange(8)
        file = tmp_path / "b.places"
        file.write_bytes(data)
        answers = []
        for given in (None, bytes(data)):
            try:
                answers.append(open_pack(file, given).content)
            except RunError as error:
                answers.append(str(error))
        assert answers[0] == answers[1]


def hostile(model: Path, **changes: Any) -> bytes:
    """The model's pack with other arrays or facts, and a checksum that fits."""
    pack, file = pack_in(model), model.with_name("hostile.places")
    held: dict[str, Any] = {
        "owners": pack.owners, "embeddings": pack.embeddings, "points": pack.points,
        "codes": pack.codes, "spots": pack.spots, "bits": pack.bits, **pack._rows,
        **{f"{name}_begin": begin for name, begin in pack._begin.items()},
    }  # fmt: skip
    facts = {"format": FORMAT, "encoder": pack.encoder, "private": "no", "learned": "yes"}
    for name, change in changes.items():
        (facts if isinstance(change, str) else held)[name] = change
    arrays.write(file, facts, held)
    return file.read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"owners": np.full(9, 7, np.int32)}, "landmarks.places: not a pack .*do not fit"),
        ({"owners": np.full(9, -1, np.int32)}, "landmarks.places: not a pack .*do not fit"),
        ({"points": np.array([0, *[10**12] * 9])}, "landmarks.places: not a pack .*do not fit"),
        ({"codes": np.zeros((5, 16), np.uint8)}, "landmarks.places: not a pack .*do not fit"),
        ({"spots": np.zeros((1, 3), np.float32)}, "landmarks.places: not a pack .*'spots'"),
        ({"photos": np.zeros(1, np.uint8)}, "landmarks.places: not a pack .*do not fit"),
        ({"format": "landmark-tag-places/9"}, "landmarks.places: not a pack .*this version reads"),
        ({"encoder": "0" * 64}, "its pack of photos is made by another network"),
        ({"learned": ""}, "its pack of photos is a pack of places"),
        ({"bits": np.zeros((9, 16), np.uint8), "embeddings": np.zeros((9, 128), np.int8)},
         "its pack of photos is made by another network"),
    ],
)  # fmt: skip
def test_a_hostile_pack_in_a_model_file_is_refused(
    model: Path, changes: dict[str, Any], reason: str
) -> None:
    before, pack = model.read_bytes(), hostile(model, **changes)
    with pytest.raises(RunError, match=reason):
        artifact.rewrite(model, {PHOTOS: pack})
    assert model.read_bytes() == before


def test_photos_that_can_be_compared_with_nothing_are_refused(model: Path) -> None:
    pack = hostile(model)
    bare = save_colour_model(model.with_name("bare.pt"))
    with pytest.raises(RunError, match="its pack of photos is comparable with nothing"):
        artifact.rewrite(bare, {PHOTOS: pack})


def test_a_pack_of_other_landmarks_in_a_model_file_is_refused(model: Path) -> None:
    file = model.with_name("b.places")
    pack_of(file, KNOWN, ("Taj_Mahal", "Atomium", "x"), "yes", artifact.load(model).encoder)
    with pytest.raises(RunError, match="is of landmarks that the model does not know"):
        artifact.rewrite(model, {PHOTOS: file.read_bytes()})


def old_kind(known: References) -> bytes:
    """An archive as it was when it held the photos, too."""
    buffer = io.BytesIO()
    held: dict[str, Any] = {
        field.name: getattr(known, field.name) for field in dataclasses.fields(References)
        if field.name != "learned"
    }  # fmt: skip
    np.savez(buffer, version=np.array(VERSION), **held)
    return buffer.getvalue()


def test_a_model_file_from_before_packs_is_read_and_becomes_one_with_a_pack(tmp_path: Path) -> None:
    old = save_colour_model(tmp_path / "old.pt")
    artifact.rewrite(old, {REFERENCES: old_kind(KNOWN)})
    loaded, inside = artifact.apart(old)
    assert not inside and same(loaded.references, KNOWN)
    new = save_colour_model(tmp_path / "new.pt")
    rewriting.add_references(new, KNOWN)
    assert artifact.load(old).encoder == artifact.load(new).encoder
    known = artifact.load(old).references
    assert known and same(known, artifact.load(new).references)
    rewriting.add_references(old, known)
    assert len(artifact.apart(old)[1]) == 1 and same(artifact.load(old).references, known)


@pytest.mark.parametrize("array", ["codes", "places", "photos", "embeddings", "landmarks"])
def test_a_damaged_one_from_before_packs_is_refused(tmp_path: Path, array: str) -> None:
    old = save_colour_model(tmp_path / "old.pt")
    wrong = dataclasses.replace(KNOWN, **{array: getattr(KNOWN, array)[:-1]})
    with pytest.raises(RunError, match=r"--model .*(not valid .*do not fit|not of its labels)"):
        artifact.rewrite(old, {REFERENCES: old_kind(wrong)})


def test_corrected_places_are_those_of_the_pack(model: Path) -> None:
    there = load_landmarks()["Taj_Mahal"]
    known = artifact.load(model).references
    rewriting.add_places(model, [dataclasses.replace(there, latitude=1.5, name="Elsewhere")])
    loaded, (pack,) = artifact.apart(model)
    number = pack.find("Taj_Mahal")
    assert number is not None and pack.landmark(number).name == "Elsewhere"
    assert loaded.known["Taj_Mahal"].latitude == pack.landmark(number).latitude == 1.5
    assert same(artifact.load(model).references, known)


def test_the_landmarks_that_ship_are_packs_of_the_landmarks_in_the_table() -> None:
    loaded, photos = artifact.apart(DEFAULT_MODEL)
    assert [pack.name for pack in photos] == ["landmarks", "default.castles", "default.more"]
    table, shipped = load_landmarks(), set[str]()
    for pack in photos:
        assert pack.encoder == loaded.encoder and not pack.private
        for place in pack.places():
            mark = place.landmark
            shipped.add(mark.slug)
            assert mark.name and mark.slug in table and place.licence
    assert shipped == set(loaded.manifest.labels)
    assert [pack.learned for pack in photos] == ["yes"] * 3
    assert [len(pack.owners) for pack in photos] == [7561, 961, 5288]
    assert packs.names(DEFAULT_MODEL) == ["castles", "more"]


def test_the_packs_that_ship_can_be_looked_at() -> None:
    castles = str(packs.place(DEFAULT_MODEL, "castles"))
    listed = CliRunner().invoke(main, ["places", "list", "--pack", castles]).output
    assert "Edinburgh Castle: 55.94861, -3.20083 within 250 m, 4 photos" in listed
    assert len(listed.splitlines()) == 207
    shown = CliRunner().invoke(main, ["places", "show", "Edinburgh Castle", "--pack", castles])
    assert "licence of the photos: CC BY-NC 3.0 (photos by Robert Rongen" in shown.output
    assert "robertrongen/topcastles-new, 200 points" in shown.output
    more = open_pack(packs.place(DEFAULT_MODEL, "more"))
    assert all("/" in name for name, _, _ in confused(more))  # named by their repository


def test_nodes_of_a_cluster_tell_the_models_packs_from_learned_places(
    model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    from tagger.run.ray_tasks import classifier_of, files_of

    beside(model, "castles", only(KNOWN, KNOWN.owners == 1))
    encoder = artifact.load(model).encoder
    own = open_pack(pack_of(tmp_path / "model.town.places", KNOWN, ("a", "b", "c"), "", encoder))
    here = LazyClassifier(model, "cpu", learned=[own])
    (tmp_path / "node").mkdir()
    there = classifier_of(files_of(here), tmp_path / "node", "cpu")
    assert there.sha256 == here.sha256 and [*there.packs] == ["castles"]
    assert [pack.name for pack in there.learned] == ["model.town"]
    assert there.load().encoder == encoder
