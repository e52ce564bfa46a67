"""One rule weighs network, most similar photos and matches; references beside a model file."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import COLOURS, save_colour_model

from tagger.errors import RunError
from tagger.model import artifact, landmark_photos, packs
from tagger.model.lazy import LazyClassifier
from tagger.model.local_features import weigh
from tagger.model.local_features.matching import Features
from tagger.model.local_features.references import (
    BEFORE,
    NEAREST,
    OF_ONE,
    RULE,
    TOGETHER,
    References,
    ends,
)
from tagger.model.local_features.weigh import LEAST, POSSIBLE, Findings, Weigher, areas, usual
from tagger.places.landmarks import load_landmarks
from tagger.places.opening import open_pack
from tagger.places.own import new_landmark
from tagger.places.pack import PackPlace
from tagger.places.pack_writing import write_pack

GREY = np.zeros((200, 300), np.uint8)


def made(counts: tuple[int, ...], width: int = 8) -> References:
    """References of landmarks with a direction each, and of one ordinary thing."""
    known = without_rule(counts, width)
    rule = known.rule.copy()
    rule[:, 1] = 1.0
    rule[1, 8] = 3.0  # of each spot above four
    return dataclasses.replace(known, rule=rule)


@functools.cache
def without_rule(counts: tuple[int, ...], width: int) -> References:
    from train.ship.references import Shared, gathered  # takes seconds: where it is needed

    chance = np.random.default_rng(0)
    owners = np.repeat(np.arange(len(counts)), counts)
    embeddings = 9 * np.eye(width)[owners] + chance.random((len(owners), width))
    points = [
        Shared(
            Features(np.full((90, 3), 5, np.float32), chance.random((90, 128)).astype(np.float32)),
            np.zeros(90, np.int64),
        )
        for _ in owners
    ]
    photos = [[points[i] for i in np.flatnonzero(owners == c)] for c in range(len(counts))]
    other = np.eye(width)[[width - 1]].astype(np.float32)
    return gathered(photos, embeddings.astype(np.float32), other, np.eye(width, dtype=np.float32))


def only(known: References, kept: np.ndarray) -> References:
    """The references of some of the photos, bool [P]."""
    counts = np.diff(known.photos)
    points = np.repeat(kept, counts)
    own = np.bincount(known.owners[kept], minlength=len(known.landmarks) - 1)
    return dataclasses.replace(
        known, codes=known.codes[points], places=known.places[points], photos=ends(counts[kept]),
        embeddings=known.embeddings[kept], landmarks=ends(own),
        learned=np.minimum(known.counts, own.astype(np.int32)),
    )  # fmt: skip


def pack_of(
    path: Path, known: References, labels: tuple[str, ...], learned: str, encoder: str = "e"
) -> Path:
    """A pack of the references' photos."""
    marks = [
        load_landmarks().get(label)
        or dataclasses.replace(new_landmark(label, 1, 2, 60), slug=label)
        for label in labels
    ]
    landmark_photos.write(path, encoder, known, landmark_photos.places(known, marks), learned)
    return path


def beside(model: Path, name: str, known: References, learned: str = "yes") -> Path:
    """A pack of the references' photos beside a model file."""
    loaded = artifact.alone(model)
    labels = loaded.manifest.labels
    return pack_of(packs.place(model, name), known, labels, learned, loaded.encoder)


def seen(spots: tuple[int, ...], network: tuple[float, ...] = (0.5, 0.3, 0.01)) -> Findings:
    counts = np.array([80, 20, 5])
    return Findings(
        np.log(np.array(network, np.float32)),
        np.array([0.6, 0.6, 0.6], np.float32),
        0.2,
        np.array(spots),
        counts,
        np.array([0.8, 0.5, 0.4], np.float32),
        areas(["area", "point", "site"]),
    )


def test_local_features_overrule_the_networks_first_guess() -> None:
    assert seen((0, 0, 0)).best == 0
    assert seen((0, 0, 4)).best == 0  # so many by chance
    assert seen((0, 0, 8)).best == 2
    assert seen((8, 0, 8)).best == 0


def test_a_landmark_without_reference_photos_is_not_named() -> None:
    one = seen((0, 0, 0))
    counts = np.array([0, 20, 5])
    assert dataclasses.replace(one, counts=counts).best == 1


def test_the_numbers_that_are_weighed() -> None:
    numbers = seen((9, 6, 0)).evidence()
    assert len(numbers) == RULE and numbers[0] == 1
    assert numbers[1] == pytest.approx(np.log(0.5))
    assert numbers[2] == pytest.approx(np.log(0.5 / 0.3))
    assert numbers[3:6].tolist() == pytest.approx([0.6, 0, 0.2])
    assert numbers[6] == pytest.approx(np.log(80))
    assert numbers[7:12].tolist() == [4, 4, 1, 6, 0]
    assert numbers[12] == pytest.approx(0.6 / 0.8)
    assert numbers[13] == 1  # an area
    few = seen((0, 0, 8)).evidence()[11:]
    assert few.tolist() == pytest.approx([1, 0.6 / 0.4, 0])


def test_a_photo_is_compared_with_the_likest_of_any_landmark() -> None:
    weigher = Weigher(made((50, 50, 2)))
    findings, cosines = weigher.first_findings(
        np.full(3, 0.1, np.float32), np.eye(8, dtype=np.float32)[1]
    )
    near = weigher.nearest(cosines)
    owners = weigher.references.owners[near]
    assert len(near) == 2 * OF_ONE + 2 <= NEAREST
    assert (owners[:OF_ONE] == 1).all() and (owners == 0).sum() == OF_ONE
    assert findings.alike.argmax() == 1 and findings.alike[1] > 0.9 > findings.others
    assert findings.counts.tolist() == [50, 50, 2]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often local features are compared; every comparison finds eight spots."""
    calls: list[int] = []
    monkeypatch.setattr(weigh, "describe", lambda _: calls.append(1))
    monkeypatch.setattr(References, "supports", lambda _, photos, __: np.full(len(photos), 8))
    return calls


def test_only_who_is_uncertain_is_looked_at(asked: list[int]) -> None:
    weigher = Weigher(made((5, 5, 5)))
    for share, looked in ((POSSIBLE * 0.9, 0), (LEAST * 0.5, 0), (0.2, 1), (0.999, 1)):
        asked.clear()
        before = np.array([share, (1 - share) / 9, 0], np.float32)
        after = weigher.weighed(before, np.eye(8, dtype=np.float32)[0], GREY)
        assert len(asked) == looked
        assert before[0] == np.float32(share)  # not changed in place
        assert (after >= 0).all() and after.sum() <= 1 + 1e-6
        assert after.argmax() == 0


def test_who_is_sure_by_the_first_step_is_not(asked: list[int]) -> None:
    known = made((5, 5, 5))
    known.rule[0, 0] = 9
    weigher = Weigher(known)
    after = weigher.weighed(np.array([0.9, 0, 0], np.float32), np.eye(8, dtype=np.float32)[0], GREY)
    assert not asked and after[0] > 0.99


def test_areas_are_weighed_and_older_rules_ask_more_of_them(asked: list[int]) -> None:
    before, look = np.array([0.5, 0.1, 0], np.float32), np.eye(8, dtype=np.float32)[0]
    known = made((5, 5, 5))
    known.rule[1, 8] = 0.5
    older = dataclasses.replace(known, rule=known.rule[:, : max(BEFORE)])
    older.check()
    known.rule[1, -1] = -2.0
    for one in (known, older):
        plain, area, same = (
            Weigher(one, areas(extents)).weighed(before, look, GREY)[0]
            for extents in (["point"] * 3, ["area", "point", "site"], ["point", "area", "site"])
        )
        assert 0 < area < plain == same


def test_a_landmark_whose_references_are_gone_is_not_tagged(asked: list[int]) -> None:
    known = made((5, 5, 5))
    weigher = Weigher(only(known, known.owners != 0))
    after = weigher.weighed(
        np.array([0.9, 0.05, 0], np.float32), np.eye(8, dtype=np.float32)[0], GREY
    )
    assert after[0] == 0


def test_references_part_and_join_again(tmp_path: Path) -> None:
    known, labels = made((7, 4, 0, 3)), ("d", "a", "c", "b")  # a pack sorts them
    some = np.random.default_rng(1).random(14) < 0.5
    halves = [
        open_pack(pack_of(tmp_path / name, only(known, kept), labels, learned))
        for name, kept, learned in (("one.places", some, "yes"), ("two.places", ~some, "no"))
    ]
    joined = landmark_photos.joined(only(known, np.zeros(14, bool)), halves, labels)
    joined.check()
    assert joined.counts.tolist() == np.bincount(known.owners[some], minlength=4).tolist()
    assert joined.landmarks.tolist() == known.landmarks.tolist() == [0, 7, 11, 11, 14]
    back = {row.tobytes(): photo for photo, row in enumerate(known.embeddings)}
    for photo, row in enumerate(joined.embeddings):
        before = back[row.tobytes()]
        assert joined.owners[photo] == known.owners[before]
        mine, there = joined.points([photo])[0], known.points([before])[0]
        np.testing.assert_array_equal(mine.descriptors, there.descriptors)
        np.testing.assert_array_equal(mine.places, there.places)
    # As many photos of a landmark in the order of the packs, and those kept without one first.
    first = landmark_photos.joined(only(known, some), halves[1:], labels)
    for array in ("embeddings", "codes", "places", "photos", "landmarks", "learned"):
        np.testing.assert_array_equal(getattr(first, array), getattr(joined, array))


def test_several_parts_join_as_one_after_the_other(tmp_path: Path) -> None:
    known, labels = made((7, 4, 0, 3)), ("a", "b", "c", "d")
    first, *parts = (only(known, np.arange(14) % 3 == number) for number in range(3))
    photos = [
        open_pack(pack_of(tmp_path / f"{number}.places", part, labels, "yes"))
        for number, part in enumerate(parts)
    ]
    at_once = landmark_photos.joined(first, photos, labels)
    in_turn = landmark_photos.joined(first, photos[:1], labels)
    in_turn = landmark_photos.joined(in_turn, photos[1:], labels)
    for field in dataclasses.fields(known):
        np.testing.assert_array_equal(getattr(at_once, field.name), getattr(in_turn, field.name))


def test_references_beside_a_model_file_count_unless_left_out(tmp_path: Path) -> None:
    from train.ship.rewriting import add_references

    model, known = save_colour_model(tmp_path / "colour.pt"), made((5, 5, 5), 3)
    castles = known.owners == 1
    add_references(model, only(known, ~castles))
    plain = artifact.load(model)
    beside(model, "castles", only(known, castles))
    (tmp_path / "another.castles.places").write_bytes(b"of another model file")
    (tmp_path / "colour.places").write_bytes(b"a pack of the user")
    whole, less = artifact.load(model), artifact.load(model, without=["castles"])
    assert plain.references and whole.references and less.references
    assert np.diff(whole.references.landmarks).tolist() == [5, 5, 5]
    assert np.diff(less.references.landmarks).tolist() == [5, 0, 5]
    assert whole.sha256 != plain.sha256 == less.sha256
    # The same, told without loading it; the ledger goes by that.
    assert LazyClassifier(model).sha256 == whole.sha256
    assert LazyClassifier(model, without=["castles"]).sha256 == plain.sha256
    assert packs.names(model) == ["castles"]


def spoil(kind: str, model: Path) -> None:
    """Put a pack beside the model file that is not one of its landmarks."""
    file, known = packs.place(model, "castles"), made((5, 5, 5), 3)
    whole = beside(model, "castles", known).read_bytes()
    encoder = artifact.alone(model).encoder
    if kind == "cut":
        file.write_bytes(whole[:-9])
    elif kind == "changed":
        file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    elif kind == "short":
        file.write_bytes(b"PK")
    elif kind == "foreign":
        pack_of(file, known, tuple(COLOURS), "yes", "another")
    elif kind == "unknown":
        pack_of(file, known, ("Taj_Mahal", "Atomium", "elsewhere"), "yes", encoder)
    elif kind == "own":  # of the same encoder, by landmark-tag learn
        pack_of(file, known, tuple(COLOURS), "", encoder)
    elif kind == "sizes":
        place = PackPlace(load_landmarks()["Taj_Mahal"], ())
        write_pack(file, encoder, [place], (64, 16), private=False, learned="yes")
    else:
        file.rename(file.with_suffix(".npz"))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("short", "castles.places: not a pack .*cut off.*copy it anew"),
        ("cut", "castles.places: not a pack .*cut off.*copy it anew"),
        ("changed", "castles.places: not a pack .*checksum.*copy it anew"),
        ("foreign", "castles.places: made by another network; delete"),
        ("sizes", "castles.places: made by another network; delete"),
        ("unknown", "castles.places: of landmarks that the model does not know; delete"),
        ("own", "castles.places: a pack of places.*rename it"),
        ("old", "castles.npz: photos as an earlier version kept them; delete"),
    ],
)
def test_references_beside_a_model_file_are_checked(tmp_path: Path, kind: str, reason: str) -> None:
    from train.ship.rewriting import add_references

    model = save_colour_model(tmp_path / "colour.pt")
    add_references(model, made((5, 5, 5), 3))
    spoil(kind, model)
    with pytest.raises(RunError, match=rf"colour\.{reason}"):
        artifact.load(model)
    assert artifact.load(model, without=["castles"]).references


def test_a_pack_beside_a_model_without_references_is_refused(tmp_path: Path) -> None:
    model = save_colour_model(tmp_path / "colour.pt")
    pack_of(packs.place(model, "more"), made((5, 5, 5), 3), tuple(COLOURS), "no")
    with pytest.raises(RunError, match=r"more\.places: made for another model file; delete"):
        artifact.load(model)


def test_photos_can_be_moved_to_a_pack_of_their_own(tmp_path: Path) -> None:
    """python -m train part, by the source that each photo's facts name."""
    from train.__main__ import main
    from train.ship.rewriting import add_references

    model, known = save_colour_model(tmp_path / "colour.pt"), made((5, 5, 5), 3)
    sources = [f"{'someone/castles' if owner == 1 else 'other'}" for owner in known.owners]
    marks = artifact.alone(model).known.values()
    add_references(model, known, landmark_photos.places(known, marks, sources=sources))
    whole = artifact.load(model).references
    words = ["part", str(model), "--source", "castles", "--name", "castles"]
    assert "5 photos now in" in CliRunner().invoke(main, words, catch_exceptions=False).output
    less, again = artifact.alone(model).references, artifact.load(model).references
    assert whole and less and again
    assert np.diff(less.landmarks).tolist() == [5, 0, 5]
    for array in dataclasses.fields(References):
        mine, there = getattr(whole, array.name), getattr(again, array.name)
        np.testing.assert_array_equal(mine, there)
    parted = open_pack(packs.place(model, "castles"))
    assert parted.photo(0) == {"source": "someone/castles"} and not parted.private
    for name, reason in (("castles", "is there already"), ("b", "no photos whose source contains")):
        with pytest.raises(RunError, match=reason):
            main([*words[:-1], name], standalone_mode=False)


def test_half_of_the_mix_are_landmarks() -> None:
    from train.ship.weighing import mix

    kinds = np.array(["landmark"] * 6 + ["near"] * 2 + ["far"] + ["stranger"] * 3)
    weights = mix(kinds)
    shares = {kind: weights[kinds == kind].sum() / weights.sum() for kind in np.unique(kinds)}
    assert shares == pytest.approx({"landmark": 0.5, "near": 0.125, "far": 0.125, "stranger": 0.25})


def test_the_rule_is_fitted_to_what_speaks_for_a_landmark() -> None:
    from train.ship.weighing import STRICT, STRICT_OF_FEW, regression

    chance = np.random.default_rng(0)
    right = np.arange(400) < 200
    evidence = chance.random((400, RULE)).astype(np.float32)
    evidence[:, 0] = 1
    evidence[:, 8] += 2 * right
    rule = regression(evidence, right, np.ones(400))
    assert ((evidence @ rule > 0) == right).mean() > 0.95
    assert abs(rule[8]) > 2 * np.abs(rule[[*range(1, 8), 9, 10, 11]]).max()
    assert STRICT > 0 and STRICT_OF_FEW > 0
    nothing = regression(evidence, np.zeros(400, bool), np.ones(400))
    assert (evidence @ nothing < -4).all()


def test_lengths_become_beginnings() -> None:
    assert ends([2, 0, 3]).tolist() == [0, 2, 2, 5] and ends([]).tolist() == [0]
    assert TOGETHER <= NEAREST and len(COLOURS) == 3


def test_what_is_usual_between_photos_of_a_landmark() -> None:
    turns = np.radians([0, 10, 20, 0, 60, 0])  # three photos of one, two of another, one of a third
    known = np.stack([np.cos(turns), np.sin(turns)], 1).astype(np.float32)
    none = np.zeros((0, 2), np.int8)
    references = References(
        np.zeros((16, 256, 8), np.float16),
        np.zeros((0, 16), np.uint8),
        np.zeros((0, 3), np.uint8),
        np.zeros(7, np.int32),
        np.eye(2, dtype=np.int8),
        none,
        np.array([0, 3, 5, 6], np.int32),
        none,
        np.zeros((2, RULE), np.float32),
    )
    wanted = [np.cos(np.radians(10)), 0.5, (np.cos(np.radians(10)) + 0.5) / 2]
    assert usual(references, known).tolist() == pytest.approx(wanted)
    learned = dataclasses.replace(
        references, learned=np.array([1, 2, 0], np.int32)
    )  # the first of each
    assert usual(learned, known).tolist() == pytest.approx([0.5, 0.5, 0.5])


def test_a_rule_of_an_older_model_file_weighs_what_it_knows() -> None:
    known = made((9, 9))
    older = dataclasses.replace(known, rule=known.rule[:, : min(BEFORE)])
    older.check()
    network, embedding = np.array([0.6, 0.1], np.float32), np.eye(8, dtype=np.float32)[0]
    new, old = (Weigher(one).weighed(network, embedding, GREY) for one in (known, older))
    assert np.array_equal(new, old)  # the last weights are 0 here
