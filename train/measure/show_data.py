"""Pictures of the training data: photos per class, examples, and the effect of augmentation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt

from tagger.imaging.decode import Resize, to_pixels
from train.measure.plots import BLUE, GREY, save, sheet
from train.photos.augment import augment, resized
from train.photos.folders import NO_LANDMARK, Sample, count_by_label
from train.recipe import Recipe


def class_counts(samples: Sequence[Sample], names: Sequence[str], out: Path) -> None:
    """A bar for each class, most photos first; photos without a landmark apart, in grey."""
    counts = count_by_label(samples)
    order = sorted(counts, key=lambda label: (label == NO_LANDMARK, -counts[label]))
    called = ["no landmark" if label == NO_LANDMARK else names[label] for label in order]
    values = [counts[label] for label in order]
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.2 * len(order)), layout="constrained")
    colours = [GREY if label == NO_LANDMARK else BLUE for label in order]
    bars = axis.barh(range(len(order)), values, color=colours)
    axis.bar_label(bars, fontsize=8, padding=2)
    axis.set_yticks(range(len(order)), called, fontsize=8)
    axis.set_ylim(len(order) - 0.4, -0.6)
    axis.set(xlabel="photos", title=f"{len(samples)} photos, {len(order)} classes")
    axis.spines[["top", "right"]].set_visible(False)
    save(figure, out)


def contact_sheet(
    samples: Sequence[Sample], names: Sequence[str], out: Path, seed: int = 0
) -> None:
    """One photo of each class, drawn at random; a few where there is no landmark."""
    chance = np.random.default_rng(seed)
    chosen: list[Sample] = []
    for label in sorted(count_by_label(samples), key=lambda label: (label == NO_LANDMARK, label)):
        of_class = [sample for sample in samples if sample.label == label]
        wanted = min(len(of_class), 6 if label == NO_LANDMARK else 1)
        chosen += [of_class[i] for i in chance.choice(len(of_class), wanted, replace=False)]
    captions = [
        "no landmark" if sample.label == NO_LANDMARK else names[sample.label] for sample in chosen
    ]
    sheet(chosen, captions, out, columns=8)


def augmented(samples: Sequence[Sample], recipe: Recipe, out: Path, views: int = 7) -> None:
    """Each photo whole at the left, then random views of it as in training."""
    size = recipe.sizes[-1][1]
    source = max(224, size)
    stored = [to_pixels(sample.path.read_bytes(), source, Resize.SQUASH) for sample in samples]
    pixels = torch.from_numpy(np.stack(stored))
    chance = torch.Generator().manual_seed(recipe.seed)
    columns = [resized(pixels, size)]
    columns += [augment(pixels, size, recipe, chance) for _ in range(views)]
    figure, axes = plt.subplots(
        len(samples),
        views + 1,
        figsize=(1.7 * (views + 1), 1.75 * len(samples)),
        squeeze=False,
        layout="constrained",
    )
    for place, column in enumerate(columns):
        for axis, view in zip(axes[:, place], column, strict=True):
            axis.imshow(view.permute(1, 2, 0).numpy())
            axis.axis("off")
        axes[0, place].set_title(f"view {place}" if place else "photo", fontsize=9)
    save(figure, out)
