"""One rule weighs network, most similar photos and matches; references beside a model file."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, save_colour_model

from tagger.errors import RunError
from tagger.model import artifact, packs
from tagger.model.lazy import LazyClassifier
from tagger.model.local_features import weigh
from tagger.model.local_features.matching import Features
from tagger.model.local_features.references import (
    NEAREST,
    OF_ONE,
    RULE,
    TOGETHER,
    References,
    ends,
)
from tagger.model.local_features.weigh import LEAST, POSSIBLE, Findings, Weigher, doubts

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


def seen(spots: tuple[int, ...], network: tuple[float, ...] = (0.5, 0.3, 0.01)) -> Findings:
    counts = np.array([80, 20, 5])
    return Findings(
        np.log(np.array(network, np.float32)),
        np.array([0.6, 0.6, 0.6], np.float32),
        0.2,
        np.array(spots),
        counts,
    )


def test_local_features_overrule_the_networks_first_guess() -> None:
    assert seen((0, 0, 0)).best == 0
    assert seen((0, 0, 4)).best == 0  # so many by chance
    assert seen((0, 0, 8)).best == 2
    assert seen((8, 0, 8)).best == 0


def test_a_landmark_without_reference_photos_is_not_named() -> None:
    one = seen((0, 0, 0))
    counts = np.array([0, 20, 5])
    assert Findings(one.network, one.alike, one.others, one.spots, counts).best == 1


def test_the_numbers_that_are_weighed() -> None:
    numbers = seen((9, 6, 0)).evidence()
    assert len(numbers) == RULE and numbers[0] == 1
    assert numbers[1] == pytest.approx(np.log(0.5))
    assert numbers[2] == pytest.approx(np.log(0.5 / 0.3))
    assert numbers[3:6].tolist() == pytest.approx([0.6, 0, 0.2])
    assert numbers[6] == pytest.approx(np.log(80))
    assert numbers[7:].tolist() == [4, 4, 1, 6, 0]
    assert seen((0, 0, 8)).evidence()[-1] == 1  # few photos


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


def test_more_is_asked_of_an_area(asked: list[int]) -> None:
    before, look = np.array([0.5, 0.1, 0], np.float32), np.eye(8, dtype=np.float32)[0]
    known = made((5, 5, 5))
    known.rule[1, 8] = 0.5
    plain = Weigher(known).weighed(before, look, GREY)[0]
    area = Weigher(known, doubts(["area", "point", "site"])).weighed(before, look, GREY)[0]
    assert 0 < area < plain
    same = Weigher(known, doubts(["point", "area", "site"])).weighed(before, look, GREY)[0]
    assert same == plain


def test_a_landmark_whose_references_are_gone_is_not_tagged(asked: list[int]) -> None:
    known = made((5, 5, 5))
    weigher = Weigher(known.of_photos(known.owners != 0))
    after = weigher.weighed(
        np.array([0.9, 0.05, 0], np.float32), np.eye(8, dtype=np.float32)[0], GREY
    )
    assert after[0] == 0


def test_references_part_and_join_again() -> None:
    known = made((7, 4, 0, 3))
    some = np.random.default_rng(1).random(14) < 0.5
    joined = known.of_photos(some).joined(known.of_photos(~some))
    assert joined.landmarks.tolist() == known.landmarks.tolist() == [0, 7, 11, 11, 14]
    back = {row.tobytes(): photo for photo, row in enumerate(known.embeddings)}
    for photo, row in enumerate(joined.embeddings):
        before = back[row.tobytes()]
        assert joined.owners[photo] == known.owners[before]
        mine, there = joined.points([photo])[0], known.points([before])[0]
        np.testing.assert_array_equal(mine.descriptors, there.descriptors)
    assert known.fits(joined) and not known.fits(made((7, 4)))


def test_several_parts_join_as_one_after_the_other() -> None:
    known = made((7, 4, 0, 3))
    parts = [known.of_photos(np.arange(14) % 3 == number) for number in range(3)]
    at_once, in_turn = parts[0].joined(*parts[1:]), parts[0].joined(parts[1]).joined(parts[2])
    for field in dataclasses.fields(known):
        np.testing.assert_array_equal(getattr(at_once, field.name), getattr(in_turn, field.name))


def test_references_beside_a_model_file_count_unless_left_out(tmp_path: Path) -> None:
    model, known = save_colour_model(tmp_path / "colour.pt"), made((5, 5, 5), 3)
    castles = known.owners == 1
    artifact.add_references(model, known.of_photos(~castles))
    pack = tmp_path / "colour.castles.npz"
    plain = artifact.load(model)
    pack.write_bytes(known.of_photos(castles).to_bytes())
    (tmp_path / "another.castles.npz").write_bytes(b"of another model file")
    whole, less = artifact.load(model), artifact.load(model, without=["castles"])
    assert plain.references and whole.references and less.references
    assert np.diff(whole.references.landmarks).tolist() == [5, 5, 5]
    assert np.diff(less.references.landmarks).tolist() == [5, 0, 5]
    assert whole.sha256 != plain.sha256 == less.sha256
    # The same, told without loading it; the ledger goes by that.
    assert LazyClassifier(model).sha256 == whole.sha256
    assert LazyClassifier(model, without=["castles"]).sha256 == plain.sha256
    assert packs.names(model) == ["castles"]


@pytest.mark.parametrize(("data", "reason"), [(b"PK", "damaged"), (None, "another model file")])
def test_references_beside_a_model_file_are_checked(
    tmp_path: Path, data: bytes | None, reason: str
) -> None:
    model = save_colour_model(tmp_path / "colour.pt")
    artifact.add_references(model, made((5, 5, 5), 3))
    (tmp_path / "colour.castles.npz").write_bytes(data or made((5, 5), 4).to_bytes())
    with pytest.raises(RunError, match=rf"colour.castles.npz: .*{reason}.*delete it"):
        artifact.load(model)


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
