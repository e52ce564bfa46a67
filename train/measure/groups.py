"""Figures by group: by number of reference photos, by collection, by country; and worst pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.measure.metrics import Answers
from train.photos.folders import NO_LANDMARK

BINS = ((1, 3), (4, 7), (8, 19), (20, 10**9))  # reference photos of a landmark, from and to
SURE = 0.6  # the confidence that tags


@dataclass(frozen=True, slots=True)
class Group:
    """How the landmark photos of one group fared: shares of ``photos``."""

    name: str
    photos: int
    top1: float
    tagged_right: float
    tagged_wrong: float


@dataclass(frozen=True, slots=True)
class Pair:
    """So many photos of ``shown`` are taken for ``named``, ``tagged`` of them surely."""

    shown: str
    named: str
    photos: int
    tagged: int


def by_group(answers: Answers, names: Sequence[str]) -> list[Group]:
    """A row a group, in order of its name; ``names`` [N] tell each photo's, "" for none."""
    of = np.array(names)
    shown = answers.labels != NO_LANDMARK
    sure = answers.confidence >= SURE
    rows = []
    for name in sorted(set(of[shown].tolist()) - {""}):
        own = shown & (of == name)
        right, tagged = answers.right[own], sure[own]
        shares = (float(part.mean()) for part in (right, right & tagged, ~right & tagged))
        rows.append(Group(name, int(own.sum()), *shares))
    return rows


def by_references(labels: NDArray[np.int64], counts: NDArray[np.int64]) -> list[str]:
    """The bin of each photo's landmark, [N], by its reference photos ``counts`` [C]."""

    def called(label: int) -> str:
        if label == NO_LANDMARK:
            return ""
        low, high = next(edges for edges in BINS if counts[label] <= edges[1])
        return f"{low:2} and more" if high == BINS[-1][1] else f"{low:2} to {high}"

    return [called(label) for label in labels.tolist()]


def worst_pairs(answers: Answers, labels: Sequence[str], most: int = 40) -> list[Pair]:
    """The pairs of landmarks that are confused most, surely tagged ones first."""
    best, sure = answers.probabilities.argmax(1), answers.confidence >= SURE
    counts: dict[tuple[int, int], list[int]] = {}
    for label, named, tagged in zip(answers.labels, best, sure, strict=True):
        if NO_LANDMARK != label != named:
            pair = counts.setdefault((int(label), int(named)), [0, 0])
            pair[0] += 1
            pair[1] += bool(tagged)
    order = sorted(counts, key=lambda pair: (-counts[pair][1], -counts[pair][0], pair))
    return [Pair(labels[a], labels[b], *counts[a, b]) for a, b in order[:most]]


def as_text(rows: Sequence[Group]) -> str:
    """Rows as a table, a line each."""
    lines = [f"{'group':<60}{'photos':>7}{'top-1':>8}{'right':>8}{'wrong':>8}"]
    for row in rows:
        shares = "".join(f"{v:>8.1%}" for v in (row.top1, row.tagged_right, row.tagged_wrong))
        lines.append(f"{row.name[:59]:<60}{row.photos:>7}{shares}")
    return "\n".join(lines)
