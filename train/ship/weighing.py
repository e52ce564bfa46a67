"""Fits, on validation photos, the rule that weighs network, similar photos and spots."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from tagger.imaging.decode import Resize, to_views
from tagger.model.local_features.references import RULE
from tagger.model.local_features.sift import Floats
from tagger.model.local_features.weigh import Findings, Weigher
from train.measure.metrics import Answers
from train.photos.folders import STRANGER, Sample

PULL = 0.3  # of the weights towards 0: scikit-learn's C
# A choice, not a fit: logits taken off, and taken off besides where a landmark has fewer than 8
# photos. Validation photos come from where the photos to learn from do; a wrong place is worse
# than none. With 0.5 for few instead of 0.2, 4 points fewer of their photos are tagged, and one
# of 534 other ones.
STRICT, STRICT_OF_FEW = 0.1, 0.2
# Of the half of the mix that shows no landmark, landmarks that nobody taught are half.
SHARE = {STRANGER: 2.0}
# Of a fit on photos of other collections, likewise: what a landmark of few photos is given, and
# what is asked more of an area. Of unseen photos, 3 more of the former are tagged right, as many
# wrong; of the latter 3 fewer right, and 3 instead of 5 wrong.
GIVEN_TO_FEW, STRICT_OF_AREA = 0.3, 0.15
FEW, AREA = 11, 13  # which numbers of the evidence
CORES = os.cpu_count() or 1


def fitted(
    weigher: Weigher,
    answers: Answers,
    embeddings: Floats,
    samples: Sequence[Sample],
    size: int,
    strict: bool = True,
) -> Floats:
    """The rule [2, RULE] of N photos that the references do not hold.

    Where they are from other collections than the references are, it needs not be ``strict``.
    """

    def both(row: Floats, embedding: Floats, sample: Sample) -> tuple[Findings, Findings]:
        grey = to_views(sample.path.read_bytes(), size, Resize.SQUASH).grey
        findings, cosines = weigher.first_findings(row.astype(np.float32), embedding)
        return findings, weigher.compared(findings, cosines, grey)

    with ThreadPoolExecutor(CORES, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        jobs = pool.map(both, answers.probabilities, embeddings, samples)
        pairs = list(tqdm(jobs, "weighing", len(samples), unit="photo"))
    weights = mix(answers.kinds)
    rule = []
    for step in range(2):
        right = np.array([pair[step].best for pair in pairs]) == answers.labels
        evidence = np.stack([pair[step].evidence() for pair in pairs])
        rule.append(regression(evidence, right, weights))
    result = np.stack(rule)
    if strict:
        result[:, 0] -= STRICT
        result[:, FEW] -= STRICT_OF_FEW  # that number is 1 where a landmark has few
    else:
        result[:, FEW] += GIVEN_TO_FEW
        result[:, AREA] -= STRICT_OF_AREA
    return result


def mix(kinds: NDArray[np.str_]) -> NDArray[np.float64]:
    """Weights [N] of a mix that is half landmarks; of the rest, kinds count as SHARE says."""
    others = {str(kind): SHARE.get(str(kind), 1.0) for kind in np.unique(kinds)}
    others.pop("landmark", None)
    weights = np.zeros(len(kinds))
    for kind, share in {**others, "landmark": sum(others.values()) or 1.0}.items():
        own = kinds == kind
        weights[own] = share / max(1, own.sum())
    scaled: NDArray[np.float64] = weights * len(kinds) / weights.sum()
    return scaled


def regression(evidence: Floats, right: NDArray[np.bool_], weights: NDArray[np.float64]) -> Floats:
    """Weighted logistic regression on [N, RULE] numbers, the first of which is 1."""
    values = evidence[:, 1:].astype(np.float64)
    mean, spread = values.mean(0), values.std(0) + 1e-6
    if right.all() or not right.any():  # too few photos to tell: the share that was right
        share = (right.sum() + 1) / (len(right) + 2)
        return np.array([np.log(share / (1 - share)), *[0.0] * (RULE - 1)], np.float32)
    model = LogisticRegression(C=PULL, max_iter=1000)
    model.fit((values - mean) / spread, right, sample_weight=weights)
    slopes = model.coef_[0] / spread
    return np.array([model.intercept_[0] - slopes @ mean, *slopes], np.float32)
