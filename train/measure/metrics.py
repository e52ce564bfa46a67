"""Figures of a model from its answers: accuracy, rejection, calibration, with intervals."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.photos.folders import NO_LANDMARK, STRANGER

Floats = NDArray[np.float64]
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
# In a real library few photos show a known landmark: one in so many.
ONE_IN = (20, 100)


@dataclass(frozen=True)
class Answers:
    """What a model said of N photos: ``probabilities`` [N, C], ``labels`` int [N] with NO_LANDMARK
    for photos that show none, ``kinds`` [N] text (``landmark``, ``near``, ``far``, ``stranger``),
    ``beside`` bool [C, C] whether a photo of one landmark may be named for another, which stands
    there too.
    """

    probabilities: Floats
    labels: NDArray[np.int64]
    kinds: NDArray[np.str_]
    beside: NDArray[np.bool_] | None = None

    @cached_property
    def confidence(self) -> Floats:
        """The best class's probability, [N]."""
        best: Floats = self.probabilities.max(1)
        return best

    @cached_property
    def best(self) -> NDArray[np.int64]:
        """The best class, [N]."""
        best: NDArray[np.int64] = self.probabilities.argmax(1)
        return best

    @cached_property
    def rank(self) -> NDArray[np.int64]:
        """How many classes stand before the one shown, [N]; all of them for NO_LANDMARK."""
        own = self.probabilities[np.arange(len(self.labels)), self.labels][:, None]
        earlier = np.arange(self.probabilities.shape[1]) < self.labels[:, None]
        before = (self.probabilities > own) | ((self.probabilities == own) & earlier)
        rank: NDArray[np.int64]
        rank = np.where(self.labels == NO_LANDMARK, before.shape[1], before.sum(1))
        return rank

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the best class is the one shown, [N]; never so for NO_LANDMARK."""
        right: NDArray[np.bool_] = self.best == self.labels
        return right

    @cached_property
    def placed(self) -> NDArray[np.bool_]:
        """Whether the best class's place is right, [N]: its own, or that of one ``beside``."""
        if self.beside is None:
            return self.right
        there = self.beside[self.labels, self.best] & (self.labels != NO_LANDMARK)
        placed: NDArray[np.bool_] = self.right | there
        return placed

    @property
    def others(self) -> list[str]:
        """Kinds that the mix's other half is of; landmarks that nobody taught are told apart."""
        kinds = [str(kind) for kind in np.unique(self.kinds) if kind != "landmark"]
        return [kind for kind in kinds if kind != STRANGER] or kinds

    @property
    def weights(self) -> Floats:
        """Weights [N] of a mix that is half landmarks, half others, near and far alike."""
        result = np.zeros(len(self.labels))
        kinds = self.others
        result[self.kinds == "landmark"] = 0.5 / max(1, (self.kinds == "landmark").sum())
        for kind in kinds:
            result[self.kinds == kind] = 0.5 / len(kinds) / (self.kinds == kind).sum()
        return result

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Answers":
        """The answers for some photos; reuses what was computed already."""
        taken = replace(
            self,
            probabilities=self.probabilities[rows],
            labels=self.labels[rows],
            kinds=self.kinds[rows],
        )
        for name in ("confidence", "best", "rank", "right", "placed"):
            if name in self.__dict__:
                taken.__dict__[name] = self.__dict__[name][rows]
        return taken


Figure = Callable[[Answers], float]


def top(k: int) -> Figure:
    """Share of landmark photos whose class is among the best ``k``."""

    def figure(answers: Answers) -> float:
        return float((answers.rank[answers.labels != NO_LANDMARK] < k).mean())

    return figure


def tagged_right(threshold: float) -> Figure:
    """Share of landmark photos that are accepted and right: recall."""

    def figure(answers: Answers) -> float:
        accepted = (answers.confidence >= threshold) & answers.placed
        return float(accepted[answers.kinds == "landmark"].mean())

    return figure


def tagged_wrong(threshold: float) -> Figure:
    """Share of landmark photos that are accepted and get a wrong place."""

    def figure(answers: Answers) -> float:
        accepted = (answers.confidence >= threshold) & ~answers.placed
        return float(accepted[answers.kinds == "landmark"].mean())

    return figure


def tagged(kind: str, threshold: float) -> Figure:
    """Share of photos of one kind that are accepted."""

    def figure(answers: Answers) -> float:
        return mean((answers.confidence >= threshold)[answers.kinds == kind])

    return figure


def precision(threshold: float, share: float = 0.5, others: Sequence[str] = ()) -> Figure:
    """Share of accepted tags that are right, where ``share`` of the photos show a landmark.

    The others are of those kinds in equal parts; of all but strangers where none is given.
    """

    def figure(answers: Answers) -> float:
        accepted = answers.confidence >= threshold
        kinds = others or answers.others
        right = share * tagged_right(threshold)(answers)
        wrong = share * tagged_wrong(threshold)(answers)
        for kind in kinds:
            wrong += (1 - share) / len(kinds) * mean(accepted[answers.kinds == kind])
        return float(right / (right + wrong)) if right + wrong else 1.0

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
    return mean(lower) / 2 / len(below) if len(below) else math.nan


def mean(values: NDArray[Any]) -> float:
    """Their mean; not a number where there are none, such as photos of a kind."""
    return float(np.mean(values)) if len(values) else math.nan


def calibration_error(answers: Answers, bins: int = 15) -> float:
    """Expected calibration error (arXiv:1706.04599) on the half-and-half mix, equal-width bins."""
    edges = np.minimum((answers.confidence * bins).astype(int), bins - 1)
    weights, error = answers.weights, 0.0
    for edge in np.unique(edges):
        rows = edges == edge
        share = weights[rows].sum()
        if share:
            gap = (answers.placed[rows] - answers.confidence[rows]) * weights[rows]
            error += abs(gap.sum())
    return float(error / weights.sum())


def interval(
    figure: Figure, answers: Answers, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval over photos, each kind drawn anew on its own."""
    return intervals({"": figure}, answers, draws, seed)[""]


def intervals(
    wanted: Mapping[str, Figure], answers: Answers, draws: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The intervals of several figures, from the same draws."""
    chance = np.random.default_rng(seed)
    kinds = [np.flatnonzero(answers.kinds == kind) for kind in np.unique(answers.kinds)]
    _ = answers.confidence, answers.rank, answers.placed  # once, not for each draw
    values = []
    for _ in range(draws):
        drawn = answers.take(np.concatenate([chance.choice(rows, len(rows)) for rows in kinds]))
        values.append([figure(drawn) for figure in wanted.values()])
    low, high = np.percentile(values, [2.5, 97.5], axis=0)
    return {name: (float(low[n]), float(high[n])) for n, name in enumerate(wanted)}


def figures(kinds: Sequence[str]) -> dict[str, Figure]:
    """All figures of a report by name; ``kinds`` are those of the negatives, if any."""
    result: dict[str, Figure] = {"top1": top(1), "top5": top(5)}
    for threshold in THRESHOLDS:
        result[f"recall@{threshold}"] = tagged_right(threshold)
        result[f"wrong@{threshold}"] = tagged_wrong(threshold)
    for kind in kinds:
        for threshold in THRESHOLDS:
            result[f"{kind} tagged@{threshold}"] = tagged(kind, threshold)
        result[f"auroc {kind}"] = auroc(kind)
    if kinds:
        for threshold in THRESHOLDS:
            result[f"precision@{threshold}"] = precision(threshold)
            for count in ONE_IN:
                result[f"1 in {count}@{threshold}"] = precision(threshold, 1 / count)
                if "far" in kinds:
                    only = precision(threshold, 1 / count, ["far"])
                    result[f"1 in {count}, others far@{threshold}"] = only
        result["ece"] = calibration_error
    return result
