"""Figures by group of photos and by landmark, and the pairs of confused landmarks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.evidence.decide import MIN_CONF
from tagger.records import Landmark
from train.measure.metrics import Answers, interval, tagged_right
from train.measure.where import SEVERAL, continent
from train.photos.folders import NO_LANDMARK, Sample

BINS = ((1, 7), (8, 19), (20, 10**9))  # reference photos of a landmark, from and to


@dataclass(frozen=True, slots=True)
class PhotoGroup:
    """How the landmark photos of one group fared: shares of ``photos``; a wrong place is one
    outside the radius of what is shown. ``interval`` is that of ``tagged_right``, 95 %.
    """

    name: str
    photos: int
    top1: float
    tagged_right: float
    tagged_wrong: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pair:
    """So many photos of ``shown`` are taken for ``named``, ``tagged`` of them surely, the surest
    with this confidence.
    """

    shown: str
    named: str
    photos: int
    tagged: int
    confidence: float


def by_group(answers: Answers, names: Sequence[str], draws: int = 1000) -> list[PhotoGroup]:
    """A row a group, in order of its name; ``names`` [N] tell each photo's, "" for none."""
    of = np.array(names)
    shown = answers.labels != NO_LANDMARK
    sure = answers.confidence >= MIN_CONF
    rows = []
    for name in sorted(set(of[shown].tolist()) - {""}):
        own = shown & (of == name)
        right, placed, tagged = answers.right[own], answers.placed[own], sure[own]
        rows.append(
            PhotoGroup(
                name,
                int(own.sum()),
                top1=float(right.mean()),
                tagged_right=float((placed & tagged).mean()),
                tagged_wrong=float((~placed & tagged).mean()),
                interval=interval(tagged_right(MIN_CONF), answers.take(own), draws),
            )
        )
    return rows


def groupings(
    samples: Sequence[Sample],
    labels: Sequence[str],
    folders: Sequence[Path],
    places: Mapping[str, Landmark],
    counts: NDArray[np.int64] | None = None,
) -> dict[str, list[str]]:
    """By what figures are told, and each photo's group then, "" for a photo of no landmark.

    Args:
        folders: those that hold the photos of landmarks.
        counts: reference photos of each landmark, [C].
    """
    home = [
        next((folder.name for folder in folders if folder in sample.path.parents), "")
        for sample in samples
    ]
    shown = [places[labels[sample.label]] if sample.label >= 0 else None for sample in samples]
    groups = {
        # A folder without manifest.csv is a collection of its own.
        "source": [
            folder if sample.source == sample.path.parent.name else sample.source
            for folder, sample in zip(home, samples, strict=True)
        ],
        "country": [place.country or SEVERAL if place else "" for place in shown],
        "continent": [continent(place) if place else "" for place in shown],
    }
    if counts is not None:
        bins = by_references(np.array([sample.label for sample in samples]), counts)
        groups["photos to learn from"] = _by_folder(samples, home, bins)
    return groups


def _by_folder(samples: Sequence[Sample], home: Sequence[str], bins: Sequence[str]) -> list[str]:
    """By folder and bin; photos of what an earlier folder holds, too, are for themselves."""
    first: dict[int, str] = {}
    for sample, folder in zip(samples, home, strict=True):
        first.setdefault(sample.label, folder)
    if len(set(home) - {""}) == 1:
        return list(bins)
    return [
        "" if not part
        else f"{folder}, {part}" if first[sample.label] == folder
        else f"{folder}, landmarks of {first[sample.label]}"
        for sample, folder, part in zip(samples, home, bins, strict=True)
    ]  # fmt: skip


def by_references(labels: NDArray[np.int64], counts: NDArray[np.int64]) -> list[str]:
    """The bin of each photo's landmark, [N], by its reference photos ``counts`` [C]."""

    def called(label: int) -> str:
        if label == NO_LANDMARK:
            return ""
        low, high = next(edges for edges in BINS if counts[label] <= edges[1])
        return f"{low:2} and more" if high == BINS[-1][1] else f"{low:2} to {high}"

    return [called(label) for label in labels.tolist()]


def worst_pairs(answers: Answers, labels: Sequence[str], most: int = 40) -> list[Pair]:
    """The pairs of landmarks that are confused most: tagged ones first, then surer ones."""
    confusions: dict[tuple[int, int], list[float]] = {}
    for photo in np.flatnonzero(~answers.placed & (answers.labels != NO_LANDMARK)):
        pair = (int(answers.labels[photo]), int(answers.best[photo]))
        confusions.setdefault(pair, []).append(float(answers.confidence[photo]))
    pairs = [
        Pair(labels[a], labels[b], len(sure), sum(c >= MIN_CONF for c in sure), max(sure))
        for (a, b), sure in confusions.items()
    ]
    order = sorted(pairs, key=lambda p: (-p.tagged, -p.photos, -p.confidence, p.shown, p.named))
    return order[:most]


def as_text(rows: Sequence[PhotoGroup]) -> str:
    """Rows as a table, one per line."""
    lines = [f"{'group':<60}{'photos':>7}{'top-1':>8}{'right':>8}{'wrong':>8}"]
    for row in rows:
        shares = "".join(f"{v:>8.1%}" for v in (row.top1, row.tagged_right, row.tagged_wrong))
        lines.append(f"{row.name[:59]:<60}{row.photos:>7}{shares}")
    return "\n".join(lines)
