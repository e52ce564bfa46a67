"""Pictures of a training run and of a model's answers, as PNG files."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display on a server

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredText

from tagger.errors import RunError
from tagger.imaging.decode import Resize, to_square
from train.measure.metrics import Answers
from train.photos.folders import NO_LANDMARK, Sample

BLUE, ORANGE, GREY = "#2266aa", "#dd7711", "#888888"


def curves(metrics: Path, out: Path) -> None:
    """Loss and accuracy by epoch, from a run's metrics.csv; steps in size are marked.

    Raises:
        RunError: the file is missing or holds no epoch.
    """
    try:
        with metrics.open(encoding="utf-8", newline="") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    except OSError as error:
        raise RunError(f"{metrics}: cannot be read; give the folder of a training run") from error
    if not rows:
        raise RunError(f"{metrics}: no epoch in it yet; wait for the first to end")
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        for part, colour in (("train", GREY), ("validation", BLUE)):
            points = [(row["epoch"] + 1, row[f"{part}_{name}"]) for row in rows]
            points = [point for point in points if not math.isnan(point[1])]
            axis.plot(*zip(*points, strict=True), color=colour, label=part, marker=".", ms=3)
        axis.set(xlabel="epoch", ylabel=name + (" (nats)" if name == "loss" else ""))
        _mark_sizes(axis, rows)
        axis.grid(alpha=0.3)
        axis.legend(title="train: mixed and augmented", title_fontsize=8, fontsize=9)
    save(figure, out)


def confusion(answers: Answers, names: Sequence[str], out: Path) -> None:
    """Counts of class shown against class named, landmark photos only; mistakes stand out."""
    shown = answers.labels != NO_LANDMARK
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (answers.labels[shown], answers.probabilities[shown].argmax(1)), 1)
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    edge = 3 + 0.21 * len(names)
    figure, axis = plt.subplots(figsize=(edge, edge), layout="constrained")
    wrong = share * (1 - np.eye(len(names)))
    axis.imshow(np.where(np.eye(len(names)), np.nan, wrong), cmap="Oranges", vmin=0, vmax=0.4)
    axis.imshow(np.where(np.eye(len(names)), share, np.nan), cmap="Blues", vmin=0, vmax=1.6)
    for row, column in np.argwhere(counts):
        axis.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7)
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    right = counts.trace()
    axis.set(xlabel="named", ylabel="shown")
    axis.set_title(f"{right} of {counts.sum()} photos right (top-1 {right / counts.sum():.1%})")
    save(figure, out)


def reliability(answers: Answers, out: Path, bins: int = 10) -> None:
    """Confidence against accuracy on the half-and-half mix, and the number of photos."""
    edges = np.minimum((answers.confidence * bins).astype(int), bins - 1)
    total = np.bincount(edges, answers.weights, bins)
    right = np.bincount(edges, answers.weights * answers.placed, bins)
    confidence = np.bincount(edges, answers.weights * answers.confidence, bins)
    filled = total > 0
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(5, 6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    upper.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", label="honest")
    upper.plot(confidence[filled] / total[filled], right[filled] / total[filled], "o-", color=BLUE)
    upper.set(ylabel="share right", xlim=(0, 1), ylim=(0, 1.02))
    upper.legend(loc="upper left")
    upper.grid(alpha=0.3)
    mix = "half landmarks, half others" if (answers.labels == NO_LANDMARK).any() else "landmarks"
    upper.set_title(f"{(answers.weights > 0).sum()} photos, weighted to {mix}", fontsize=10)
    middles = (np.arange(bins) + 0.5) / bins
    lower.bar(middles, total / total.sum(), 0.9 / bins, color=BLUE)
    lower.set(xlabel="confidence", ylabel="share of mix")
    save(figure, out)


def risk_coverage(answers: Answers, out: Path) -> None:
    """Wrong share among what is tagged against the share of landmark photos tagged right."""
    figure, axis = plt.subplots(figsize=(6, 4.2), layout="constrained")
    order = np.argsort(-answers.confidence, kind="stable")
    weight, right = answers.weights[order], answers.placed[order]
    landmark = answers.kinds[order] == "landmark"
    recall = np.cumsum(weight * right) / max(weight[landmark].sum(), 1e-12)
    risk = 1 - np.cumsum(weight * right) / np.cumsum(weight)
    axis.plot(recall, risk, color=BLUE)
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.9):
        last = int((answers.confidence >= threshold).sum()) - 1
        if last >= 0:
            axis.plot(recall[last], risk[last], "o", color=ORANGE, ms=4)
            axis.annotate(f" {threshold}", (recall[last], risk[last]), fontsize=8, rotation=60)
    axis.set(xlabel="landmark photos tagged and right", ylabel="wrong among the tagged")
    axis.set(xlim=(0, 1.02), ylim=(0, min(0.15, max(0.05, float(risk.max()) * 1.05))))
    axis.set_title("each dot: one --min-conf", fontsize=10)
    axis.grid(alpha=0.3)
    save(figure, out)


def worst(
    answers: Answers, samples: Sequence[Sample], names: Sequence[str], out: Path, count: int = 24
) -> None:
    """The photos that the model is most confidently wrong about, with its answers.

    Args:
        samples: the photos of ``answers``, in the same order.
        names: of the classes, in the order of the columns.
    """
    mistakes = np.flatnonzero(~answers.placed)
    chosen = mistakes[np.argsort(-answers.confidence[mistakes])][:count]
    captions = []
    for index in chosen:
        label = int(answers.labels[index])
        shown = str(answers.kinds[index]) if label == NO_LANDMARK else names[label]
        named = names[int(answers.probabilities[index].argmax())]
        captions.append(f"{answers.confidence[index]:.2f} {_cut(named)}\nis: {_cut(shown)}")
    sheet([samples[index] for index in chosen], captions, out)


def sheet(samples: Sequence[Sample], captions: Sequence[str], out: Path, columns: int = 6) -> None:
    """Photos in a grid, squeezed to squares as for the model, each with a caption."""
    rows = max(1, math.ceil(len(samples) / columns))
    figure, axes = plt.subplots(
        rows, columns, figsize=(2 * columns, 2.45 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, sample, caption in zip(axes.flat, samples, captions, strict=False):
        axis.imshow(to_square(sample.path.read_bytes(), 200, Resize.SQUASH))
        axis.set_title(caption, fontsize=8)
    if not samples:
        axes[0, 0].add_artist(AnchoredText("none", loc="center"))
    save(figure, out)


def _mark_sizes(axis: Axes, rows: Sequence[dict[str, float]]) -> None:
    """A line with the new edge in pixels wherever training photos change size."""
    for before, row in zip([{"size": -1.0}, *rows], rows, strict=False):
        if before["size"] != row["size"]:
            axis.axvline(row["epoch"] + 0.5, color=ORANGE, lw=0.8, ls=":")
            where = (row["epoch"] + 0.7, 0.01)
            label = f"{row['size']:.0f} px"
            axis.text(*where, label, transform=axis.get_xaxis_transform(), fontsize=8)


def _cut(name: str, length: int = 26) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def save(figure: Figure, out: Path) -> None:
    """Write a figure as PNG and close it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)
