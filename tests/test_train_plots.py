"""Plots of a run and of the data: written, of a sensible size, even for odd answers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagger.errors import RunError
from train.measure import plots, show_data
from train.measure.metrics import Answers
from train.photos.folders import NO_LANDMARK, Sample
from train.recipe import Recipe

NAMES = ("Alpha Tower", "Beta Bridge", "Gamma Gate, a name too long to be written in full")
METRICS = """epoch,size,lr,train_loss,train_accuracy,validation_loss,validation_accuracy,seconds
0,64,0.001,3.2,0.2,nan,nan,1.0
1,64,0.002,2.5,0.4,2.1,0.5,1.0
2,96,0.001,2.0,0.6,1.4,0.7,1.0
"""


def answers(count: int = 60, negatives: int = 20) -> Answers:
    chance = np.random.default_rng(0)
    labels = np.concatenate([chance.integers(0, 3, count), np.full(negatives, NO_LANDMARK)])
    logits = 2.0 * np.eye(3)[labels] + chance.normal(size=(len(labels), 3))
    probabilities = np.exp(logits) / (1 + np.exp(logits).sum(1, keepdims=True))
    kinds = np.array(["landmark"] * count + ["near", "far"] * (negatives // 2))
    return Answers(probabilities, labels, kinds)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    chance = np.random.default_rng(0)
    photos = []
    for index, label in enumerate(answers().labels):
        path = tmp_path / "photos" / f"{index}.jpg"
        path.parent.mkdir(exist_ok=True)
        pixels = chance.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((80, 60)).save(path)
        photos.append(Sample(path, int(label), "somewhere"))
    return photos


def drawn(path: Path) -> bool:
    """Whether a picture is there, of readable size, and not of one colour."""
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"))
        return min(picture.size) > 200 and int(grey.max()) - int(grey.min()) > 100


def test_curves(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(METRICS, encoding="utf-8")
    plots.curves(tmp_path / "metrics.csv", tmp_path / "new" / "curves.png")
    assert drawn(tmp_path / "new" / "curves.png")


def test_curves_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="give the folder of a training run"):
        plots.curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    (tmp_path / "metrics.csv").write_text(METRICS.splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="no epoch in it yet"):
        plots.curves(tmp_path / "metrics.csv", tmp_path / "curves.png")


@pytest.mark.parametrize("negatives", [20, 0])
def test_pictures_of_answers(tmp_path: Path, samples: list[Sample], negatives: int) -> None:
    all_answers = answers(negatives=negatives)
    plots.confusion(all_answers, NAMES, tmp_path / "confusion.png")
    plots.reliability(all_answers, tmp_path / "reliability.png")
    plots.risk_coverage(all_answers, tmp_path / "risk_coverage.png")
    plots.worst(all_answers, samples, NAMES, tmp_path / "worst.png", count=7)
    names = ("confusion", "reliability", "risk_coverage", "worst")
    assert all(drawn(tmp_path / f"{name}.png") for name in names)


def test_a_model_without_mistakes_has_no_worst(tmp_path: Path, samples: list[Sample]) -> None:
    perfect = Answers(np.eye(3), np.arange(3), np.array(["landmark"] * 3))
    plots.worst(perfect, samples[:3], NAMES, tmp_path / "worst.png")
    assert (tmp_path / "worst.png").stat().st_size > 0


def test_pictures_of_data(tmp_path: Path, samples: list[Sample]) -> None:
    recipe = Recipe(epochs=1, lr=0.1, sizes=((1.0, 48),), eval_size=48, erase=0.5)
    show_data.class_counts(samples, NAMES, tmp_path / "counts.png")
    show_data.contact_sheet(samples, NAMES, tmp_path / "sheet.png")
    show_data.augmented(samples[:2], recipe, tmp_path / "augmented.png", views=3)
    assert all(drawn(tmp_path / f"{name}.png") for name in ("counts", "sheet", "augmented"))
