"""References: the points of training photos that other photos of the landmark share."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from tqdm import tqdm

from tagger.imaging.decode import Resize, to_views
from tagger.model import artifact, landmark_photos
from tagger.model.local_features.matching import (
    Features,
    describe,
    matches,
    moved,
    spots,
)
from tagger.model.local_features.references import RULE, References, ends, packed
from tagger.model.local_features.sift import Floats
from tagger.model.local_features.weigh import Weigher, areas
from tagger.places.embeddings import in_bytes, unit
from train.measure.evaluate import answer_alone
from train.photos.folders import NO_LANDMARK, Sample
from train.photos.pixel_cache import CACHE
from train.photos.split import Material
from train.ship import rewriting, weighing

log = logging.getLogger(__name__)

PARTS = 16  # of a descriptor: bytes it is kept in
# Points of a photo kept, by how many photos its landmark has. Of 1,100 photos of landmarks with 20
# and more, whose own reference was left out, 573 show a verified spot with these points, 584 with
# 1.2 times as many, and 520 with 380, 210 and 58 of landmarks up to 19, up to 45 and beyond.
KEPT = ((7, 300), (19, 250), (45, 200), (80, 145), (10**9, 65))
# Spots that two photos of a landmark have in common where that is no chance: among a thousand other
# photos, one has as many in common with some photo of the landmark it is taken for.
ALIKE = 6
COMMON = 3  # a point shared by more photos is not better
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
        """The ``count`` points that most other photos share, then the strongest of the rest."""
        best = np.argsort(-self.counts.clip(max=COMMON), kind="stable")[:count]
        kept = Features(self.features.places[best], self.features.descriptors[best])
        return Shared(kept, self.counts[best])


def points_of(photos: int) -> int:
    """How many points are kept of each photo of a landmark with so many.

    >>> points_of(3), points_of(500)
    (300, 65)
    """
    return next(points for most, points in KEPT if photos <= most)


def described(path: Path, size: int) -> Features:
    """The local features of a readable photo."""
    return describe(to_views(path.read_bytes(), size, Resize.SQUASH).grey)


def shared(paths: Sequence[Path], more: int, size: int) -> list[Shared]:
    """The points that each photo of a landmark shares with the others, photos in order.

    The landmark has so many ``more`` photos elsewhere: the more it has, the fewer points are kept.
    """
    torch.set_num_threads(1)
    known = [described(path, size) for path in paths]
    counts = [np.zeros(len(features.places), np.int64) for features in known]
    for i, one in enumerate(known[1:], 1):
        others = Features(
            np.concatenate([other.places for other in known[:i]]),
            np.concatenate([other.descriptors for other in known[:i]]),
        )
        starts = ends([len(other.places) for other in known[:i]])
        for j, rows in enumerate(matches(others, starts, one)):
            pairs = moved(others, one, rows, more_than=ALIKE - 1)
            if len(pairs) >= ALIKE and spots(one.places[pairs[:, 1]]) >= ALIKE:
                counts[j][pairs[:, 0] - starts[j]] += 1
                counts[i][pairs[:, 1]] += 1
    kept = points_of(len(paths) + more)
    return [
        Shared(features, count).strongest(kept)
        for features, count in zip(known, counts, strict=True)
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


def gathered(
    landmarks: Sequence[Sequence[Shared]],
    embeddings: Floats,
    others: Floats,
    components: Floats | None = None,
) -> References:
    """The references of C landmarks, of the points of their photos; without a rule.

    ``embeddings`` [P, D] are the network's of these photos, one landmark's after the other's,
    ``others`` [O, D] those of photos of none. They are compared in ``components`` [D, E], or, where
    none are given, in COMPONENTS principal ones.
    """
    photos = [one.features for photos in landmarks for one in photos]
    if components is None:
        components = np.linalg.svd(unit(embeddings), full_matrices=False)[2][:COMPONENTS].T
    whole = in_bytes(components)
    codebook, codes = quantised(np.concatenate([photo.descriptors for photo in photos]))
    return References(
        codebook,
        codes,
        packed(np.concatenate([photo.places for photo in photos])),
        ends([len(photo.places) for photo in photos]),
        whole,
        in_bytes(unit(embeddings @ whole.astype(np.float32))),
        ends([len(photos) for photos in landmarks]),
        in_bytes(unit(others @ whole.astype(np.float32))),
        np.zeros((2, RULE), np.float32),
    )


def build(
    samples: Sequence[Sample],
    embeddings: Floats,
    others: Floats,
    classes: int,
    size: int,
    components: Floats | None = None,
) -> References | None:
    """References of N photos of landmarks, None where they show next to no points.

    Args:
        samples: photos of landmarks.
        embeddings: [N, D], the network's of these.
        others: [O, D], the network's of photos that show none.
        classes: how many landmarks there are.
        size: the network's, too, see ``to_views``.
        components: see ``gathered``.
    """
    order, photos = by_landmark(samples, classes, size)
    if sum(len(one.counts) for landmark in photos for one in landmark) < CENTRES:
        return None
    return gathered(photos, embeddings[order], others, components)


def by_landmark(
    samples: Sequence[Sample], classes: int, size: int, more: Sequence[int] = ()
) -> tuple[NDArray[np.int64], list[list[Shared]]]:
    """The order of N photos by landmark, [N], and what those of each landmark share.

    ``more`` [C] says how many other photos the model has of each landmark.
    """
    labels = np.array([sample.label for sample in samples])
    own = [np.flatnonzero(labels == label) for label in range(classes)]
    paths = [[samples[photo].path for photo in photos.tolist()] for photos in own]
    with ProcessPoolExecutor(CORES, get_context("spawn")) as pool:
        built = pool.map(partial(shared, size=size), paths, more or [0] * classes)
        return np.concatenate(own), list(tqdm(built, "references", classes, unit="landmark"))


def like(
    known: References, landmarks: Sequence[Sequence[Shared]], embeddings: Floats
) -> References:
    """References of other photos, kept as ``known`` keeps its own.

    Args:
        known: a model's references.
        landmarks: the points of the photos of each of C landmarks.
        embeddings: [P, D], the network's of these photos, one landmark's after the other's.
    """
    features = [one.features for landmark in landmarks for one in landmark]
    return replace(
        known,
        codes=known.quantiser.codes(np.concatenate([one.descriptors for one in features])),
        places=packed(np.concatenate([one.places for one in features])),
        photos=ends([len(one.places) for one in features]),
        embeddings=in_bytes(unit(embeddings @ known.components.astype(np.float32))),
        landmarks=ends([len(landmark) for landmark in landmarks]),
        learned=None,
    )


def add_references(
    path: Path,
    material: Material,
    components: Floats | None = None,
    like: Path | None = None,
    cache: Path = CACHE,
) -> int:
    """Give the model file references of the photos to learn from; its size in bytes.

    What they say is weighed by a rule that is fitted on the validation photos, see
    ``train.ship.weighing``. The file stays as it is where the photos show next to no points, which
    is told in the log.

    Args:
        path: the model file.
        material: what it was trained on.
        components: float32 [D, E] that embeddings are compared in; principal ones when left out.
        like: the model file whose rule to take over, where no validation photos are left.
        cache: where decoded photos are kept.
    """
    loaded = artifact.alone(path)
    size, classes = loaded.manifest.image_size, len(material.labels)
    answers, embeddings, samples = answer_alone(
        loaded, (*material.train, *material.valid), "cpu", cache
    )
    taken = {str(sample.path) for sample in material.train}
    learned = np.array([str(sample.path) in taken for sample in samples])
    own = (answers.labels != NO_LANDMARK) & (answers.labels < classes)
    shown, others = np.flatnonzero(learned & own), np.flatnonzero(learned & ~own)
    known = build(
        [samples[i] for i in shown],
        embeddings[shown],
        embeddings[others],
        classes,
        size,
        components,
    )
    if known is None:
        log.warning("%s: without local features: the photos show too few", path)
        return path.stat().st_size
    if like:
        model = artifact.alone(like).references
        assert model
        rule = model.rule
    else:
        held = np.flatnonzero(~learned)
        extents = [place.extent for place in loaded.known.values()]
        rule = weighing.fitted(
            Weigher(known, areas(extents)),
            answers.take(held),
            embeddings[held],
            [samples[i] for i in held],
            size,
        )
    ordered = sorted((samples[i] for i in shown), key=lambda sample: sample.label)  # stable
    sources = [sample.source for sample in ordered]
    photos = landmark_photos.places(known, loaded.known.values(), sources=sources)
    rewriting.add_references(path, replace(known, rule=rule), photos)
    return path.stat().st_size
