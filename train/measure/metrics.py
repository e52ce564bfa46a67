"""Figures of a model from its answers: accuracy, rejection, calibration, with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.photos.folders import NO_LANDMARK

Floats = NDArray[np.float64]
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said of N photos: ``probabilities`` [N, C], ``labels`` int [N] with NO_LANDMARK
    for photos that show none, ``kinds`` [N] text (``landmark``, ``near``, ``far``).
    """

    probabilities: Floats
    labels: NDArray[np.int64]
    kinds: NDArray[np.str_]

    @property
    def confidence(self) -> Floats:
        """The best class's probability, [N]."""
        best: Floats = self.probabilities.max(1)
        return best

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the best class is the one shown, [N]; never so for NO_LANDMARK."""
        right: NDArray[np.bool_] = self.probabilities.argmax(1) == self.labels
        return right

    @property
    def weights(self) -> Floats:
        """Weights [N] of a mix that is half landmarks, half others, near and far alike."""
        result = np.zeros(len(self.labels))
        kinds = [kind for kind in np.unique(self.kinds) if kind != "landmark"]
        result[self.kinds == "landmark"] = 0.5 / max(1, (self.kinds == "landmark").sum())
        for kind in kinds:
            result[self.kinds == kind] = 0.5 / len(kinds) / (self.kinds == kind).sum()
        return result

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Answers":
        return Answers(self.probabilities[rows], self.labels[rows], self.kinds[rows])


Figure = Callable[[Answers], float]


def top(k: int) -> Figure:
    """Share of landmark photos whose class is among the best ``k``."""

    def figure(answers: Answers) -> float:
        shown = answers.labels != NO_LANDMARK
        best = np.argsort(-answers.probabilities[shown], 1)[:, :k]
        return float((best == answers.labels[shown][:, None]).any(1).mean())

    return figure


def tagged_right(threshold: float) -> Figure:
    """Share of landmark photos that are accepted and right: recall."""

    def figure(answers: Answers) -> float:
        accepted = (answers.confidence >= threshold) & answers.right
        return float(accepted[answers.kinds == "landmark"].mean())

    return figure


def tagged(kind: str, threshold: float) -> Figure:
    """Share of photos of one kind that are accepted."""

    def figure(answers: Answers) -> float:
        return float((answers.confidence >= threshold)[answers.kinds == kind].mean())

    return figure


def precision(threshold: float) -> Figure:
    """Share of accepted tags that are right, on the half-and-half mix."""

    def figure(answers: Answers) -> float:
        accepted = (answers.confidence >= threshold) * answers.weights
        total = accepted.sum()
        return float((accepted * answers.right).sum() / total) if total else 1.0

    return figure


def auroc(kind: str) -> Figure:
    """Chance that a landmark photo's confidence is above that of a photo of ``kind``."""

    def figure(answers: Answers) -> float:
        return area(
            answers.confidence[answers.kinds == "landmark"],
            answers.confidence[answers.kinds == kind],
        )

    return figure


def area(above: Floats, below: Floats) -> float:
    """Area under the ROC curve of two sets of scores, ties counted half."""
    order = np.sort(below)
    lower = np.searchsorted(order, above, "left") + np.searchsorted(order, above, "right")
    return float(lower.mean() / 2 / len(below))


def calibration_error(answers: Answers, bins: int = 15) -> float:
    """Expected calibration error (arXiv:1706.04599) on the half-and-half mix, equal-width bins."""
    edges = np.minimum((answers.confidence * bins).astype(int), bins - 1)
    weights, error = answers.weights, 0.0
    for edge in np.unique(edges):
        rows = edges == edge
        share = weights[rows].sum()
        if share:
            gap = (answers.right[rows] - answers.confidence[rows]) * weights[rows]
            error += abs(gap.sum())
    return float(error / weights.sum())


def interval(
    figure: Figure, answers: Answers, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval over photos, each kind drawn anew on its own."""
    chance = np.random.default_rng(seed)
    groups = [np.flatnonzero(answers.kinds == kind) for kind in np.unique(answers.kinds)]
    values = [
        figure(answers.take(np.concatenate([chance.choice(g, len(g)) for g in groups])))
        for _ in range(draws)
    ]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def figures(kinds: Sequence[str]) -> dict[str, Figure]:
    """All figures of a report by name; ``kinds`` are those of the negatives, if any."""
    result: dict[str, Figure] = {"top1": top(1), "top5": top(5)}
    for threshold in THRESHOLDS:
        result[f"recall@{threshold}"] = tagged_right(threshold)
    for kind in kinds:
        for threshold in THRESHOLDS:
            result[f"{kind} tagged@{threshold}"] = tagged(kind, threshold)
        result[f"auroc {kind}"] = auroc(kind)
    if kinds:
        for threshold in THRESHOLDS:
            result[f"precision@{threshold}"] = precision(threshold)
        result["ece"] = calibration_error
    return result
