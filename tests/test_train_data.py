"""Folders to samples, splits and pixels: names, near-duplicates, bad photos, clear errors."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import COLOURS, photo

from tagger.errors import RunError
from tagger.imaging.decode import Resize, to_pixels
from train.__main__ import main
from train.measure import show_data
from train.measure.evaluate import evaluate
from train.photos.folders import NO_LANDMARK, Sample, read_folder, read_negatives
from train.photos.pixel_cache import load_pixels
from train.photos.split import gather, grouped_split, near_duplicates

NAMES = ("00.Haleakala_National_Park", "01.golden gate bridge", "Taj_Mahal")
SLUGS = ("Golden_Gate_Bridge", "Haleakala_National_Park", "Taj_Mahal")


def fill(folder: Path, count: int, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    for number in range(count):
        red, green, blue = chance.integers(0, 255, 3).tolist()
        (folder / f"{number}.jpg").write_bytes(photo((red, green, blue)))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        fill(tmp_path / "data" / "train" / name, 5, seed)
    return tmp_path / "data"


def test_numbered_folders_are_read_as_they_are(data: Path) -> None:
    folder = read_folder(data / "train")
    assert folder.labels == SLUGS
    assert [sample.label for sample in folder.samples] == [1] * 5 + [0] * 5 + [2] * 5


def test_the_order_of_a_model_is_kept(data: Path) -> None:
    order = ("Taj_Mahal", "Eiffel_Tower", "Golden_Gate_Bridge", "Haleakala_National_Park")
    folder = read_folder(data / "train", order)
    assert {sample.source: sample.label for sample in folder.samples}["Taj_Mahal"] == 0


def test_unknown_classes_are_named(data: Path) -> None:
    fill(data / "train" / "07.My_House", 1)
    with pytest.raises(RunError, match=r"07\.My_House: not known where that is"):
        read_folder(data / "train")


def test_empty_class(data: Path) -> None:
    (data / "train" / "Eiffel_Tower").mkdir()
    with pytest.raises(RunError, match="no photos in this class"):
        read_folder(data / "train")


def test_one_class_only(tmp_path: Path) -> None:
    fill(tmp_path / "Taj_Mahal", 2)
    with pytest.raises(RunError, match="two or more"):
        read_folder(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        read_folder(tmp_path / "none")
    with pytest.raises(RunError, match="no such folder"):
        read_negatives(tmp_path / "none")


def test_two_folders_of_one_class(data: Path) -> None:
    fill(data / "train" / "taj mahal", 1)
    with pytest.raises(RunError, match="two folders mean Taj_Mahal"):
        read_folder(data / "train")


def test_negatives_nest_and_name_their_source(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "near" / "deep", 2)
    fill(tmp_path / "train" / "far", 1)
    rows = "file,source repo\ntrain/far/0.jpg,someone/pets\n"
    (tmp_path / "manifest.csv").write_text(rows, encoding="utf-8")
    samples = read_negatives(tmp_path, "train")
    assert [sample.kind for sample in samples] == ["far", "near", "near"]
    assert samples[0].source == "far/someone/pets"
    assert {sample.label for sample in samples} == {NO_LANDMARK}


def test_no_part_of_the_negatives_stands_in_for_another(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "near", 2)
    for part in ("test", "val"):
        with pytest.raises(RunError, match=f"{part}: no such folder beside train or test"):
            read_negatives(tmp_path, part)
    assert len(read_negatives(tmp_path / "train", "test")) == 2


@pytest.mark.parametrize("kind", ["landmark", "unknown"])
def test_kinds_of_negatives_have_no_reserved_name(tmp_path: Path, kind: str) -> None:
    fill(tmp_path / "train" / kind, 2)
    with pytest.raises(RunError, match=f"called {kind}; rename the folder"):
        read_negatives(tmp_path, "train")


def test_pixels_are_decoded_once_and_bad_photos_left_out(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(data / "train" / "Eiffel_Tower", 20, 9)
    (data / "train" / "Eiffel_Tower" / "bad.jpg").write_bytes(b"\xff\xd8\xff no photo")
    samples = read_folder(data / "train").samples
    first = load_pixels(samples, 24, Resize.SQUASH, tmp_path / "cache")
    assert first.images.shape == (35, 3, 24, 24)
    assert "bad.jpg: left out" in caplog.text
    monkeypatch.setattr("train.photos.pixel_cache.to_pixels", None)
    again = load_pixels(samples, 24, Resize.SQUASH, tmp_path / "cache")
    assert (again.images == first.images).all()
    assert again.samples == first.samples


def test_two_runs_may_decode_the_same_photos_at_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, both = read_folder(data / "train").samples, threading.Barrier(2, timeout=60)

    def in_step(*photo: Any) -> Any:
        both.wait()
        return to_pixels(*photo)

    monkeypatch.setattr("train.photos.pixel_cache.to_pixels", in_step)
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(load_pixels, samples, 24, Resize.SQUASH, tmp_path / "cache")
            for _ in range(2)
        ]
    first, second = (run.result() for run in runs)
    assert (first.images == second.images).all() and first.images.any((1, 2, 3)).all()
    assert len(list((tmp_path / "cache").iterdir())) == 1  # nothing half-made is left


def test_too_many_bad_photos(data: Path, tmp_path: Path) -> None:
    for number in range(3):
        (data / "train" / "Taj_Mahal" / f"bad{number}.jpg").write_bytes(b"text")
    with pytest.raises(RunError, match="3 of 18 photos cannot be read"):
        load_pixels(read_folder(data / "train").samples, 24, Resize.CROP, tmp_path / "cache")


def test_near_duplicates_stay_together(data: Path, tmp_path: Path) -> None:
    # Noise differs by colour; the same photo saved worse correlates with itself.
    for number in range(5):
        original = data / "train" / "Taj_Mahal" / f"{number}.jpg"
        original.with_name(f"copy{number}.jpg").write_bytes(original.read_bytes())
    samples = read_folder(data / "train").samples
    split = grouped_split(samples, 0.4, 0, tmp_path / "cache")
    assert len(split.train) + len(split.valid) == len(samples)
    assert split == grouped_split(samples, 0.4, 0, tmp_path / "cache")
    valid = {sample.path.name.removeprefix("copy") for sample in split.valid if sample.label == 2}
    train = {sample.path.name.removeprefix("copy") for sample in split.train if sample.label == 2}
    assert valid and not valid & train


def test_groups_are_of_one_class(data: Path, tmp_path: Path) -> None:
    pixels = load_pixels(read_folder(data / "train").samples, 16, Resize.SQUASH, tmp_path / "c")
    groups = near_duplicates(pixels)
    for group in np.unique(groups):
        assert len(np.unique(pixels.labels[groups == group])) == 1


def test_material_holds_out_of_every_class(data: Path, tmp_path: Path) -> None:
    fill(tmp_path / "no" / "near", 10)
    material = gather(data, [tmp_path / "no"], cache=tmp_path / "cache")
    assert material.labels == SLUGS
    assert {sample.label for sample in material.train} == {NO_LANDMARK, 0, 1, 2}
    assert not set(material.train) & set(material.valid)


def test_each_folder_of_negatives_is_held_out_of(data: Path, tmp_path: Path) -> None:
    fill(tmp_path / "no" / "near", 10)
    fill(tmp_path / "more" / "monuments", 10)
    folders = [tmp_path / "no", tmp_path / "more"]
    material = gather(data, folders, cache=tmp_path / "cache")
    for part in (material.train, material.valid):
        assert {sample.kind for sample in part} == {"landmark", "near", "monuments"}


def test_photos_of_every_folder_of_negatives_are_measured_on(
    tmp_path: Path, colour_model: Path
) -> None:
    for name in COLOURS:
        fill(tmp_path / "data" / "test" / name, 2)
    folders = [fill(tmp_path / name, count) for name, count in (("no", 2), ("more", 3))]
    report = evaluate(
        colour_model, tmp_path / "data", folders, cache=tmp_path / "cache", draws=10
    ).report
    assert report.photos == {"landmark": 6, "more": 3, "no": 2}


def test_photos_of_every_folder_of_negatives_are_shown(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [fill(tmp_path / name, 2) for name in ("no", "more")]
    shown: list[Sample] = []
    monkeypatch.setattr(show_data, "class_counts", lambda samples, *_: shown.extend(samples))
    monkeypatch.setattr(show_data, "contact_sheet", lambda *_: None)
    monkeypatch.setattr(show_data, "augmented", lambda *_: None)
    options = [f"--negatives={folder}" for folder in folders]
    main(["show-data", str(data), f"--out={tmp_path}", *options], standalone_mode=False)
    assert {sample.kind for sample in shown} == {"landmark", "no", "more"}


@pytest.mark.parametrize(
    ("landmarks", "negatives", "message"),
    [
        (4, 10, "photos of landmarks: 12 to train and 0 to validate"),
        (10, 7, "photos of no landmark: 6 to train and 1 to validate"),
        (10, 2, "photos of no landmark: 2 to train and 0 to validate"),
        (10, 5, "photos of no landmark: 4 to train and 1 to validate"),
    ],
)
def test_too_few_photos_to_calibrate_with(
    tmp_path: Path, landmarks: int, negatives: int, message: str
) -> None:
    for seed, name in enumerate(NAMES):
        fill(tmp_path / "data" / "train" / name, landmarks, seed)
    fill(tmp_path / "no", negatives, 7)
    with pytest.raises(RunError, match=f"{message} with are too few; give 10 or more"):
        gather(tmp_path / "data", [tmp_path / "no"], cache=tmp_path / "cache")


def test_a_class_that_cannot_be_read_is_not_shipped(data: Path, tmp_path: Path) -> None:
    fill(data / "train" / "Atomium", 20, 8)
    (data / "train" / "Eiffel_Tower").mkdir()
    (data / "train" / "Eiffel_Tower" / "0.jpg").write_bytes(b"no photo")
    fill(tmp_path / "no", 10)
    with pytest.raises(RunError, match="no photo of Eiffel_Tower can be read; copy them again"):
        gather(data, [tmp_path / "no"], cache=tmp_path / "cache")
