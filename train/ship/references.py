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

from tagger.imaging.decode import Resize, to_views
from tagger.model import artifact
from tagger.model.local_features.matching import (
    Features,
    describe,
    matches,
    moved,
    spots,
)
from tagger.model.local_features.references import References, log_ratios, packed
from tagger.model.local_features.sift import Floats
from train.measure.evaluate import answer_alone
from train.photos.folders import NO_LANDMARK, Sample
from train.photos.pixel_cache import CACHE
from train.photos.split import Material

log = logging.getLogger(__name__)

PARTS = 16  # of a descriptor: bytes it is kept in
KEPT = 180  # points of a photo
# Spots that two photos of a landmark have in common where that is no chance: among a thousand other
# photos, one has as many in common with some photo of the landmark it is taken for.
ALIKE = 6
COMMON = 3  # a point that more photos have is no better for it
# Logits taken off besides where support speaks against a guess: a choice, not a fit, of what fewer
# wrong places may cost in landmarks left alone (1 % of the validation photos, MODEL_CARD.md).
STRICT = 1.75
COMPONENTS = 128  # of the embeddings, that the likest photos are told by
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


def described(path: Path, size: int) -> Features:
    """The local features of a photo that can be read."""
    return describe(to_views(path.read_bytes(), size, Resize.SQUASH).grey)


def shared(paths: Sequence[Path], size: int) -> list[Shared]:
    """What each photo of a landmark has in common with the others, photos in order."""
    torch.set_num_threads(1)
    known = [described(path, size) for path in paths]
    counts = [np.zeros(len(found.places), np.int64) for found in known]
    for i, one in enumerate(known[1:], 1):
        others = Features(
            np.concatenate([other.places for other in known[:i]]),
            np.concatenate([other.descriptors for other in known[:i]]),
        )
        starts = ends([len(other.places) for other in known[:i]])
        for j, found in enumerate(matches(others, starts, one)):
            pairs = moved(others, one, found, more_than=ALIKE - 1)
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


def gathered(landmarks: Sequence[Sequence[Shared]], embeddings: Floats) -> References:
    """The references of C landmarks, of the points of their photos; without a rule.

    ``embeddings`` [P, D] are the network's of these photos, one landmark's after the other's.
    """
    photos = [one.features for photos in landmarks for one in photos]
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    components = np.linalg.svd(unit, full_matrices=False)[2][:COMPONENTS].T
    alike = [sum(bool(one.counts.any()) for one in photos) for photos in landmarks]
    shares = [(1 + some) / (2 + len(photos)) for some, photos in zip(alike, landmarks, strict=True)]
    codebook, codes = quantised(np.concatenate([photo.descriptors for photo in photos]))
    return References(
        codebook,
        codes,
        packed(np.concatenate([photo.places for photo in photos])),
        ends([len(photo.places) for photo in photos]),
        in_bytes(components),
        in_bytes(unit @ components),
        ends([len(photos) for photos in landmarks]),
        np.array(shares, np.float32),
        np.zeros(3, np.float32),
    )


def in_bytes(values: Floats) -> NDArray[np.int8]:
    """Whole numbers in proportion to these, up to 127."""
    whole: NDArray[np.int8] = np.round(values * (127 / np.abs(values).max())).astype(np.int8)
    return whole


def ends(counts: Sequence[int]) -> NDArray[np.int32]:
    return np.cumsum([0, *counts], dtype=np.int32)


def build(
    samples: Sequence[Sample], embeddings: Floats, classes: int, size: int
) -> References | None:
    """References of N photos of landmarks, None where they show next to no points.

    ``embeddings`` [N, D] are the network's; for ``size``, which is its, too, see ``to_views``.
    """
    labels = np.array([sample.label for sample in samples])
    own = [np.flatnonzero(labels == label) for label in range(classes)]
    paths = [[samples[photo].path for photo in photos.tolist()] for photos in own]
    with ProcessPoolExecutor(CORES, get_context("spawn")) as pool:
        found = pool.map(partial(shared, size=size), paths)
        photos = list(tqdm(found, "references", classes, unit="landmark"))
    if sum(len(one.counts) for landmark in photos for one in landmark) < CENTRES:
        return None
    return gathered(photos, embeddings[np.concatenate(own)])


def supports(
    known: References,
    samples: Sequence[Sample],
    embeddings: Floats,
    landmarks: NDArray[np.int64],
    size: int,
) -> NDArray[np.int64]:
    """The support [N] of each of N photos for the landmark [N] that it is taken for."""

    def support(sample: Sample, embedding: Floats, landmark: int) -> int:
        return known.support(known.nearest(landmark, embedding), described(sample.path, size))

    with ThreadPoolExecutor(CORES, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        jobs = pool.map(support, samples, embeddings, landmarks.tolist())
        return np.array(list(tqdm(jobs, "support", len(samples), unit="photo")))


def fit_rule(counts: NDArray[np.int64], shares: Floats, wrong: NDArray[np.bool_]) -> Floats:
    """The rule of :class:`References` with the least loss on a mix of half of each, float32 [3].

    Args:
        counts, shares: of N photos the support, and the share of the landmark they are taken for.
        wrong: which of them show no landmark; the others show that landmark.
    """

    def loss(rule: NDArray[np.float64]) -> float:
        ratio = log_ratios(counts, shares, *rule)
        return float(np.logaddexp(0, -ratio[~wrong]).mean() + np.logaddexp(0, ratio[wrong]).mean())

    slope, level = minimize(loss, (2.0, 4.0), method="Nelder-Mead").x
    return np.array([slope, level, STRICT], np.float32)


def add_references(path: Path, material: Material, cache: Path = CACHE) -> int:
    """Give the model file references of the photos to learn from; its size in bytes.

    What their support says is fitted on other photos. For a landmark stand the validation photos
    that the network recognises; for anything else all photos of none, those that the network
    learned from too: the references did not.

    The file stays as it is where the photos show next to no points, or where none is recognised,
    which is told in the log.
    """
    loaded = artifact.load(path)
    size = loaded.manifest.image_size
    answers, embeddings, samples = answer_alone(
        loaded, (*material.train, *material.valid), "cpu", cache
    )
    none_shown = answers.labels == NO_LANDMARK
    learned = np.isin([str(s.path) for s in samples], [str(s.path) for s in material.train])
    right, shown = answers.right & ~learned, np.flatnonzero(learned & ~none_shown)
    known = (
        build([samples[i] for i in shown], embeddings[shown], len(material.labels), size)
        if right.any()
        else None
    )
    if known:
        asked = np.flatnonzero(right | none_shown)
        best = answers.probabilities.argmax(1)[asked]
        counts = supports(known, [samples[i] for i in asked], embeddings[asked], best, size)
        rule = fit_rule(counts, known.shares[best], none_shown[asked])
        artifact.add_references(path, replace(known, rule=rule))
    else:
        log.warning(
            "%s: without local features: the photos show too few, or none is recognised", path
        )
    return path.stat().st_size
