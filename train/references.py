"""References of local features: of training photos, the points that others of the landmark show."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.cluster import MiniBatchKMeans
from tqdm import tqdm

from tagger.errors import PhotoError
from tagger.imaging import Resize, to_views
from tagger.model import artifact
from tagger.model.artifact import Artifact
from tagger.model.local import (
    Features,
    References,
    describe,
    log_ratios,
    matches,
    packed,
    spots,
)
from train.data import NO_LANDMARK, Sample
from train.evaluate import answer
from train.pixels import CACHE
from train.split import Material

log = logging.getLogger(__name__)

PARTS = 16  # of a descriptor: bytes it is kept in
KEPT = 180  # points of a photo
# Spots that two photos of a landmark have in common where that is no chance: among a thousand other
# photos, one has as many in common with some photo of the landmark it is taken for.
ALIKE = 6
COMMON = 3  # a point that more photos have is no better for it
# Logits taken off besides where support speaks against a guess: a choice, not a fit, of what fewer
# wrong places may cost in landmarks left alone (1 % of the validation photos, MODEL_CARD.md).
STRICT = 1.5
CENTRES = 256  # of each part of a descriptor: what a byte can name
LEARNED = 40_000  # descriptors that the codebook is learned from
CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Shared:
    """Points of one photo: of each, how many other photos of the landmark have it too."""

    features: Features
    counts: NDArray[np.int64]

    def strongest(self, count: int) -> "Shared":
        """The ``count`` points that most others have; of these that none has, the strongest."""
        best = np.argsort(-self.counts.clip(max=COMMON), kind="stable")[:count]
        kept = Features(self.features.places[best], self.features.descriptors[best])
        return Shared(kept, self.counts[best])


def described(path: Path, size: int) -> Features | None:
    """The local features of a photo; None where it cannot be read or shows next to none."""
    try:
        found = describe(to_views(path.read_bytes(), size, Resize.SQUASH).grey)
    except (PhotoError, OSError):
        return None
    return found if len(found.places) > ALIKE else None


def shared(paths: Sequence[Path], size: int) -> list[Shared]:
    """What each photo of a landmark has in common with the others, photos in order."""
    torch.set_num_threads(1)
    known = [found for path in paths if (found := described(path, size))]
    counts = [np.zeros(len(found.places), np.int64) for found in known]
    for i, one in enumerate(known[1:], 1):
        others = Features(
            np.concatenate([other.places for other in known[:i]]),
            np.concatenate([other.descriptors for other in known[:i]]),
        )
        starts = ends([len(other.places) for other in known[:i]])
        for j, pairs in enumerate(matches(others, starts, one)):
            if len(pairs) >= ALIKE and spots(one.places[pairs[:, 1]]) >= ALIKE:
                counts[j][pairs[:, 0] - starts[j]] += 1
                counts[i][pairs[:, 1]] += 1
    return [
        Shared(found, count).strongest(KEPT) for found, count in zip(known, counts, strict=True)
    ]


def quantised(
    descriptors: NDArray[np.float32], seed: int = 0
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """A codebook [PARTS, 256, 128 / PARTS] for descriptors [N, 128], and their codes [N, PARTS]."""
    some = np.random.default_rng(seed).permutation(len(descriptors))[:LEARNED]
    centres, codes = [], []
    for part in np.split(descriptors, PARTS, axis=1):
        model = MiniBatchKMeans(CENTRES, batch_size=4096, n_init=1, max_iter=30, random_state=seed)
        model.fit(part[some])
        centres.append(model.cluster_centers_)
        codes.append(model.predict(part))
    return np.stack(centres).astype(np.float16), np.stack(codes, 1).astype(np.uint8)


def gathered(landmarks: Sequence[Sequence[Shared]]) -> References:
    """The references of C landmarks, of the points of their photos; without a rule."""
    # Those first that share most: what is found early need not be looked for further.
    ordered = [sorted(photos, key=lambda one: -int(one.counts.sum())) for photos in landmarks]
    photos = [one.features for photos in ordered for one in photos]
    alike = [sum(bool(one.counts.any()) for one in photos) for photos in landmarks]
    shares = [(1 + some) / (2 + len(photos)) for some, photos in zip(alike, landmarks, strict=True)]
    codebook, codes = quantised(np.concatenate([photo.descriptors for photo in photos]))
    return References(
        codebook,
        codes,
        packed(np.concatenate([photo.places for photo in photos])),
        ends([len(photo.places) for photo in photos]),
        ends([len(photos) for photos in landmarks]),
        np.array(shares, np.float32),
        np.zeros(3, np.float32),
    )


def ends(counts: Sequence[int]) -> NDArray[np.int32]:
    return np.cumsum([0, *counts], dtype=np.int32)


def build(samples: Sequence[Sample], classes: int, size: int) -> References | None:
    """References of the photos of each landmark, None where they show next to no points.

    ``size`` is the network's, see ``to_views``.
    """
    paths = [[s.path for s in samples if s.label == label] for label in range(classes)]
    with ProcessPoolExecutor(CORES, get_context("spawn")) as pool:
        found = pool.map(partial(shared, size=size), paths)
        photos = list(tqdm(found, "references", classes, unit="landmark"))
    points = sum(len(one.counts) for landmark in photos for one in landmark)
    return gathered(photos) if points >= CENTRES else None


def fit(
    known: References, loaded: Artifact, material: Material, cache: Path = CACHE
) -> References | None:
    """The references with the rule that their support is weighed by, fitted on other photos.

    None where the network recognises no photo to fit it on. For a landmark stand the validation
    photos that it recognises; for anything else all photos of none, those that the network learned
    from too: the references did not.
    """
    others = [s for s in material.train + material.valid if s.label == NO_LANDMARK]
    shown = [s for s in material.valid if s.label != NO_LANDMARK]
    bare = replace(loaded, references=None)
    answers, samples = answer(bare, (*shown, *others), "cpu", cache)
    if not answers.right.any():
        return None
    best = answers.probabilities.argmax(1)

    def count(sample: Sample, landmark: int) -> int:
        found = described(sample.path, loaded.manifest.image_size)
        return known.support(landmark, found) if found else 0

    with ThreadPoolExecutor(CORES, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        jobs = pool.map(count, samples, best.tolist())
        counts = np.array(list(tqdm(jobs, "support", len(samples), unit="photo")))
    none_shown = answers.labels == NO_LANDMARK
    return replace(known, rule=fit_rule(counts, known.shares[best], answers.right, none_shown))


def fit_rule(
    counts: NDArray[np.int64],
    shares: NDArray[np.float32],
    right: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """The rule of :class:`References` with the least loss on a mix of half of each, float32 [3].

    Args:
        counts, shares: of N photos the support, and the share of the landmark they are taken for.
        right, wrong: which photos show that landmark, and which show none; others do not count.
    """

    def loss(rule: NDArray[np.float64]) -> float:
        ratio = log_ratios(counts, shares, *rule)
        return float(np.logaddexp(0, -ratio[right]).mean() + np.logaddexp(0, ratio[wrong]).mean())

    slope, level = minimize(loss, (2.0, 4.0), method="Nelder-Mead").x
    return np.array([slope, level, STRICT], np.float32)


def add_references(path: Path, material: Material, cache: Path = CACHE) -> int:
    """Give the model file references of the photos to learn from; its size in bytes.

    It stays as it is where the photos show too little for that, which is told in the log.
    """
    loaded = artifact.load(path)
    known = build(material.train, len(material.labels), loaded.manifest.image_size)
    fitted = fit(known, loaded, material, cache) if known else None
    if fitted:
        artifact.add_references(path, fitted)
    else:
        log.warning(
            "%s: without local features: the photos show too few, or none is recognised", path
        )
    return path.stat().st_size
