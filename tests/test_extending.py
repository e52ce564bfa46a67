"""Further landmarks for a finished model: new columns of its head, all else as it was."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import SAMPLES, save_colour_model
from PIL import Image

from tagger.errors import RunError
from tagger.imaging.decode import to_views
from tagger.model import DEFAULT_MODEL, artifact, landmark_photos, packs
from tagger.model.classifier import Classifier
from train.networks.columns import LOUD, LastLayer, hidden, refitted

NEW = "victoria_memorial_london"
PLACES = f"folder,name,latitude,longitude\n{NEW},The memorial,51.50178,-0.14065\n"


def around(centre: int, count: int, seed: int) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    photos = torch.randn(count, 16, generator=chance)
    photos[:, centre] += 8
    return photos


@pytest.fixture
def head() -> LastLayer:
    """Landmarks 0 and 1; 2 and 3 do not ship; 4 is the background."""
    return LastLayer(torch.eye(16)[:, :5], torch.tensor([0.0, 0, 0, 0, 4]), 2)


def test_a_landmark_that_was_learned_as_something_else_is_found(head: LastLayer) -> None:
    assert hidden(head, {2: around(9, 5, 0), 3: around(3, 5, 1)}) == {3: 3}
    twice = hidden(head, {2: around(3, 5, 2), 3: around(3, 9, 3)})
    assert twice == {3: 3}  # a column is that of one landmark


def test_columns_of_further_photos_are_fitted_and_the_others_stay(head: LastLayer) -> None:
    # More photos of 1, which look otherwise, and two new landmarks.
    plain = {1: around(7, 6, 0), 2: around(9, 6, 1), 3: around(3, 6, 2)}
    learned = (
        torch.cat([around(0, 20, 3), around(1, 20, 4)]),
        torch.arange(2).repeat_interleave(20),
    )
    wide = refitted(head, plain, plain, learned, around(12, 30, 5))
    assert wide.classes == 4
    assert torch.equal(wide.weight[:, 0], head.weight[:, 0]) and wide.bias[0] == head.bias[0]
    assert torch.equal(wide.weight[:, 4:], head.weight[:, [2, 4]])  # what is hidden still is
    assert torch.equal(wide.bias[4:], head.bias[[2, 4]])
    for centre, column in ((0, 0), (1, 1), (7, 1), (9, 2), (3, 3)):
        assert (wide(around(centre, 50, 9)).argmax(1) == column).float().mean() > 0.95
    assert (wide(around(12, 50, 9)).argmax(1) >= 4).float().mean() > 0.9


def test_a_new_landmark_does_not_come_first_on_photos_of_anything_else(head: LastLayer) -> None:
    plain = {2: around(9, 6, 1)}
    others = torch.cat([around(12, 60, 5), around(9, 40, 6)])  # many are like the new landmark
    learned = around(0, 20, 3), torch.zeros(20, dtype=torch.int64)
    wide = refitted(head, plain, plain, learned, others)
    assert (wide(others)[:, :3].argmax(1) == 2).float().mean() <= LOUD


def test_landmarks_may_stay_the_same(head: LastLayer) -> None:
    plain = {1: around(7, 6, 0)}
    learned = around(0, 20, 3), torch.zeros(20, dtype=torch.int64)
    wide = refitted(head, plain, plain, learned, around(12, 30, 5))
    assert wide.weight.shape == head.weight.shape and wide.classes == 2
    assert (wide(around(7, 50, 9)).argmax(1) == 1).float().mean() > 0.95


def crops(sample: str, folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    with Image.open(SAMPLES / f"{sample}.jpg") as picture:
        photo = picture.convert("RGB")
    photo.thumbnail((400, 400))
    for n in range(count):
        photo.crop((8 * n, 6 * n, photo.width - 3 * n, photo.height)).save(folder / f"{n}.jpg")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The shipped model, taught another place by parts of a sample photo, and what that printed."""
    from train.__main__ import main

    folder = tmp_path_factory.mktemp("extended")
    crops(NEW, folder / "more" / "train" / NEW, 6)
    crops("louvre", folder / "more" / "train" / "a_barn", 1)  # too few: something else
    crops("india_gate_turned", folder / "more" / "train" / "India_Gate", 2)
    crops("eiffel_tower", folder / "data" / "train" / "Eiffel_Tower", 2)
    crops("cup_of_tea", folder / "no" / "far", 3)
    (folder / "more" / "places.csv").write_text(PLACES)
    command = ["extend", str(DEFAULT_MODEL), "--more", "more", "--data", "data"]
    command += [
        "--negatives",
        "no",
        "--name",
        "more",
        "--points",
        "90",
        "--looser",
        "0.1",
        "--out",
        "new.pt",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # the cache of decoded photos
        patch.setattr("train.ship.references.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
        done = CliRunner().invoke(main, command, catch_exceptions=False)
    yield folder / "new.pt", done.output


def named(classifier: Classifier, sample: str) -> tuple[str, float]:
    data = (SAMPLES / f"{sample}.jpg").read_bytes()
    view = to_views(data, classifier.image_size, classifier.resize)
    best = classifier.classify([view])[0].best
    return best.slug, best.confidence


def test_the_new_landmark_is_tagged_and_the_old_ones_still_are(
    extended: tuple[Path, str],
) -> None:
    path, output = extended
    assert "1 new landmark; 8 photos learned" in output
    classifier = Classifier(path, "cpu")
    assert classifier.landmarks[NEW].latitude == 51.50178
    slug, sure = named(classifier, NEW)
    assert slug == NEW and sure > 0.6
    for sample in ("taj_mahal", "eiffel_tower", "colosseum"):
        slug, sure = named(classifier, sample)
        assert slug.lower() == sample and sure > 0.6
    assert named(classifier, "cup_of_tea")[1] < 0.1


def test_what_was_compared_with_the_old_model_can_be_compared_with_the_new_one(
    extended: tuple[Path, str],
) -> None:
    old, new = artifact.load(DEFAULT_MODEL), artifact.load(extended[0])
    assert new.encoder == old.encoder
    assert new.manifest.labels == (*old.manifest.labels, NEW)
    assert packs.names(extended[0]) == packs.names(DEFAULT_MODEL) == ["castles", "more"]
    assert old.references and new.references
    turned = int(new.references.counts.sum() - old.references.counts.sum()) - 6
    assert new.references.counts[-1] == 6 and 0 <= turned <= 2  # those it was sure of are left out
    without = artifact.load(extended[0], ["more"]).references
    assert without is not None and without.counts[-1] == 0
    (pack,) = (one for one in artifact.apart(extended[0])[1] if "more" in one.path.name)
    assert np.diff(pack.points)[pack.owners == landmark_photos.slugs(pack).index(NEW)].max() <= 90
    assert {place.licence for place in pack.places() if place.landmark.slug == NEW} == {
        "not stated"
    }
    assert abs(len(new.references.others) - len(old.references.others)) <= 4
    looser = new.references.rule - old.references.rule
    assert looser[:, 0] == pytest.approx(0.1, abs=1e-5) and not looser[:, 1:].any()
    square = torch.randint(0, 255, (1, 3, 256, 256), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(old.module(square)[1], new.module(square)[1])


def test_an_extended_model_can_be_parted_slimmed_and_extended_again(
    extended: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.ship.extending import extended as extend
    from train.ship.parting import parted
    from train.ship.slimming import slimmed

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "train.ship.references.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1)
    )
    crops("windmills", tmp_path / "more" / "train" / "Moscow_Raceway", 4)
    crops("louvre", tmp_path / "data" / "train" / "Paris_Louvre", 1)
    crops("cup_of_tea", tmp_path / "no" / "far", 3)
    more, data, no = ([tmp_path / name] for name in ("more", "data", "no"))
    again = tmp_path / "again.pt"
    learned = extend(extended[0], more, data, no, again, least=4)
    assert learned.landmarks == ("Moscow_Raceway",) and learned.photos == learned.references == 4
    loaded = artifact.load(again)
    assert loaded.manifest.labels[-2:] == (NEW, "Moscow_Raceway")
    assert loaded.known[NEW].name == "The memorial"  # the file brings it
    assert parted(again, "Moscow_Raceway", "other")[0] == 4
    assert artifact.load(again).encoder == loaded.encoder
    before = loaded.references
    monkeypatch.setattr("train.ship.slimming.points_of", lambda photos: 40 if photos > 45 else 380)
    assert slimmed(again) > 10_000
    after = artifact.load(again).references
    assert before and after and np.array_equal(before.embeddings, after.embeddings)
    fewer = np.diff(after.photos) < np.diff(before.photos)
    many = np.diff(before.landmarks)[before.owners] > 45
    assert fewer.any() and not fewer[~many].any()
    assert slimmed(again) == 0
    with pytest.raises(RunError, match=r"neither photos of a landmark .* nor 9 of another; give"):
        crops("windmills", tmp_path / "odd" / "train" / "nowhere", 2)
        crops("windmills", tmp_path / "one" / "train" / "Paris_Louvre", 9)
        extend(again, [tmp_path / "odd"], [tmp_path / "one"], no, tmp_path / "c.pt", least=9)


def test_other_references_make_another_encoder(extended: tuple[Path, str], tmp_path: Path) -> None:
    from dataclasses import replace

    from train.ship.rewriting import add_references

    path = tmp_path / "a.pt"
    path.write_bytes(extended[0].read_bytes())
    loaded = artifact.alone(path)
    assert loaded.references
    add_references(path, replace(loaded.references, components=-loaded.references.components))
    changed = artifact.alone(path)
    assert changed.manifest.encoder == "" and changed.encoder != loaded.encoder


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    from train.ship.extending import extended as extend

    path = save_colour_model(tmp_path / "colour.pt")
    with pytest.raises(RunError, match="has no head to extend; use a file made by"):
        extend(path, [tmp_path], [tmp_path], [tmp_path], tmp_path / "out.pt")


def test_the_rule_is_fitted_on_photos_that_the_model_did_not_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.ship import extending

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "train.ship.references.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1)
    )
    for sample, landmark, count in (
        ("colosseum", "colosseum", 3),
        ("sydney_opera_house", "Sydney_Opera_House", 3),
        ("statue_of_liberty", "statue_of_liberty", 3),
        ("windmills", "Moscow_Raceway", 4),
        ("louvre", "a_barn", 3),
    ):
        crops(sample, tmp_path / "more" / "train" / landmark, count)
    crops("cup_of_tea", tmp_path / "no" / "far", 3)
    crops("eiffel_tower", tmp_path / "data" / "train" / "Eiffel_Tower", 2)
    more, data, no = ([tmp_path / name] for name in ("more", "data", "no"))
    out = tmp_path / "new.pt"
    with pytest.raises(
        RunError, match=r"--weigh: \d photos of known .* too few .* give 100 of each"
    ):
        extending.extended(DEFAULT_MODEL, more, data, no, out, weigh=True)
    assert not out.exists()
    monkeypatch.setattr(extending, "ENOUGH", 3)
    extending.extended(DEFAULT_MODEL, more, data, no, out, weigh=True, looser=0.5)
    old, new = (artifact.alone(path).references for path in (DEFAULT_MODEL, out))
    assert old and new and not np.array_equal(old.rule, new.rule)
    classifier = Classifier(out, "cpu")
    assert named(classifier, "colosseum")[1] > 0.5 > named(classifier, "cup_of_tea")[1]
