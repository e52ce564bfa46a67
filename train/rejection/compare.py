"""Scores that could reject photos without a known landmark, compared on validation photos."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tagger.evidence.decide import MIN_CONF
from train.measure.metrics import (
    Answers,
    Floats,
    area,
    calibration_error,
    mean,
    tagged,
    tagged_right,
)
from train.photos.folders import NO_LANDMARK
from train.rejection.calibrate import EmbeddedPhotos, calibrate_rule, with_unknown
from train.rejection.scores import Evidence, Shape, Shipped, fit_shape

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FOLDS = 5
NEIGHBOURS = 5
RULES = (
    ("odds",),
    ("odds", "energy"),
    ("odds", "cosine"),
    ("odds", "energy", "cosine"),
    Evidence.NAMES,
)


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """How well one score tells landmarks from each kind of other photos.

    ``auroc`` is the chance that a landmark scores higher; ``fpr95`` the share of the others that
    pass where 95 % of the landmarks do. Probabilities also have: share of landmarks tagged right,
    shares of others tagged, at MIN_CONF, and the expected calibration error on a half-and-half mix.
    """

    score: str
    auroc_far: float
    auroc_near: float
    auroc_unknown: float
    fpr95_near: float
    fpr95_unknown: float
    recall: float = float("nan")
    far_tagged: float = float("nan")
    near_tagged: float = float("nan")
    ece: float = float("nan")


def compare(
    head: Shipped, train: EmbeddedPhotos, valid: EmbeddedPhotos, doubt: Tensor
) -> list[ScoreRow]:
    """One row a score; rules are fitted and measured on different validation photos, 5-fold.

    Args:
        head: D -> C + 1, everything else last.
        train, valid: photos that the network learned from, and others.
        doubt: float32 [C], see ``calibrate``.
    """
    shape = fit_shape(train.embeddings, train.labels, head.classes)
    with torch.no_grad():
        logits, photos = with_unknown(head(valid.embeddings), valid)
    own = valid.labels[valid.labels != NO_LANDMARK]
    struck = torch.cat([torch.full_like(valid.labels, NO_LANDMARK), own])
    rows = []
    for name, score in plain_scores(logits, photos.embeddings, struck, train, shape).items():
        rows.append(ScoreRow(name, *separation(score.double().numpy(), photos)))
    known = logits[:, :-1].softmax(1)
    with_background = logits.softmax(1)[:, :-1]
    rows.append(_measured("softmax of the landmarks", known, photos))
    rows.append(_measured("softmax with a background class", with_background, photos))
    for rule in RULES:
        probabilities = _held_out(shape, logits, photos, doubt, rule)
        rows.append(_measured(_name(rule), probabilities, photos))
    return rows


def measured(rows: list[ScoreRow], rule: tuple[str, ...]) -> dict[str, float]:
    """The figures of one rule by name, for a manifest: of validation photos held out of its fit."""
    (row,) = (row for row in rows if row.score == _name(rule))
    figures = {name: value for name, value in asdict(row).items() if name != "score"}
    return {f"validation {name}": v for name, v in figures.items() if not math.isnan(v)}


def plain_scores(
    logits: Tensor, embeddings: Tensor, struck: Tensor, train: EmbeddedPhotos, shape: Shape
) -> dict[str, Tensor]:
    """Scores [N] without any fit of their own, by name; higher means a landmark.

    ``struck`` int64 [N] is the class that a photo must not be recognised as, or NO_LANDMARK.
    """
    evidence = Evidence(shape)(logits, embeddings)
    shown = train.labels != NO_LANDMARK
    directions = F.normalize(embeddings, dim=1)
    stored = F.normalize(train.embeddings, dim=1)

    def nearest(rows: Tensor) -> Tensor:
        alike = directions @ stored[rows].T
        barred = (struck[:, None] == train.labels[rows]) & (struck[:, None] != NO_LANDMARK)
        return alike.masked_fill(barred, -1).topk(NEIGHBOURS, 1)[0][:, -1]

    scores = {"max logit": logits[:, :-1].max(1)[0]}
    scores |= {name: evidence[:, column] for column, name in enumerate(Evidence.NAMES)}
    scores["kNN (arXiv:2204.06507)"] = nearest(shown)
    scores["kNN less kNN of negatives"] = nearest(shown) - nearest(~shown)
    return scores


def separation(score: Floats, photos: EmbeddedPhotos) -> Iterator[float]:
    """The columns of :class:`Row` that need no probability, in order."""
    kinds = np.array(photos.kinds)
    landmark = score[kinds == "landmark"]
    for kind in ("far", "near", "unknown"):
        yield area(landmark, score[kinds == kind])
    least = np.quantile(landmark, 0.05)
    for kind in ("near", "unknown"):
        yield mean(score[kinds == kind] >= least)


def save(rows: Sequence["DataclassInstance"], path: Path) -> None:
    """Write rows of one kind as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(rows[0]))
        for row in rows:
            writer.writerow(f"{v:.4f}" if isinstance(v, float) else v for v in astuple(row))


def _name(rule: tuple[str, ...]) -> str:
    return "calibrated rule of " + ", ".join(rule)


def _measured(name: str, probabilities: Tensor, photos: EmbeddedPhotos) -> ScoreRow:
    # Nobody hands in a photo with its class struck out: it stays out of what is promised.
    kinds = np.array(photos.kinds)
    answers = Answers(probabilities.double().numpy(), photos.labels.numpy(), kinds)
    real = answers.take(kinds != "unknown")
    return replace(
        ScoreRow(name, *separation(answers.confidence, photos)),
        recall=tagged_right(MIN_CONF)(real),
        far_tagged=tagged("far", MIN_CONF)(real),
        near_tagged=tagged("near", MIN_CONF)(real),
        ece=calibration_error(real),
    )


def _held_out(
    shape: Shape, logits: Tensor, photos: EmbeddedPhotos, doubt: Tensor, rule: tuple[str, ...]
) -> Tensor:
    """Probabilities [N, C], each photo's by a rule fitted without it (and its struck-out twin)."""
    count = sum(kind != "unknown" for kind in photos.kinds)
    order = np.random.default_rng(0).permutation(count) % FOLDS
    shown = (photos.labels != NO_LANDMARK).numpy()[:count]
    fold = torch.from_numpy(np.concatenate([order, order[shown]]))
    result = torch.zeros(len(logits), logits.shape[1] - 1)
    for number in range(FOLDS):
        kept = fold != number
        kinds = tuple(np.array(photos.kinds)[kept.numpy()])
        part = EmbeddedPhotos(photos.embeddings[kept], photos.labels[kept], kinds)
        calibration = calibrate_rule(shape, logits[kept], part, doubt, rule)
        evidence = Evidence(shape)(logits[~kept], photos.embeddings[~kept])
        known = logits[~kept][:, :-1] / calibration.temperature
        odds = evidence @ calibration.weights + calibration.bias
        sure = torch.sigmoid(odds - doubt[known.argmax(1)])
        result[~kept] = known.softmax(1) * sure[:, None]
    return result
