"""Splits validation photos off training photos, with near-duplicates on one side."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.errors import RunError
from tagger.imaging.decode import Resize
from tagger.places.landmarks import load_landmarks
from tagger.records import Landmark
from train.photos.folders import (
    NO_LANDMARK,
    STRANGER,
    Sample,
    learned_folders,
    read_folders,
    read_negatives,
)
from train.photos.pixel_cache import CACHE, Pixels, load_pixels
from train.rejection.compare import NEIGHBOURS

VALIDATION = 0.10


@dataclass(frozen=True, slots=True)
class Split:
    """Two parts of one set of photos; near-duplicates are always in the same part."""

    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """All photos of a training run; ``labels`` are slugs, negatives have label NO_LANDMARK.

    Attributes:
        labels: the landmarks that ship, C of them.
        train, valid: photos to learn from, and others.
        beside: names of classes of few photos, learned as labels C and up, but not shipped.
        strangers: photos of other such classes; ``valid`` has them as NO_LANDMARK, of this kind.
        places: where the landmarks that ship are, by slug.
    """

    labels: tuple[str, ...]
    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]
    beside: tuple[str, ...] = ()
    strangers: tuple[Sample, ...] = ()
    places: Mapping[str, Landmark] = field(default_factory=dict)

    @property
    def extents(self) -> tuple[str, ...]:
        """Of each landmark that ships."""
        return tuple(self.places[label].extent for label in self.labels)

    @property
    def columns(self) -> int:
        """Of the head: a class each, shipped or not, and the background."""
        return len(self.labels) + len(self.beside) + 1

    def whole(self) -> "Material":
        """All photos to learn from, the validation photos too: for when nothing is left to choose.

        They stay in ``valid`` as well, whose figures then mean nothing.
        """
        own = tuple(sample for sample in self.valid if sample.kind != STRANGER)
        return replace(self, train=self.train + own + self.strangers)


def gather(
    data: Path | Sequence[Path],
    negatives: Iterable[Path],
    seed: int = 0,
    cache: Path = CACHE,
    *,
    least: int = 1,
    left_out: Collection[Path] = (),
    known: Mapping[str, Landmark] | None = None,
) -> Material:
    """Read the folders of landmarks and of negatives, and carve validation off both.

    Of each folder of negatives twice the share is held out: what the rule of rejection learns from.
    Of the classes of less than ``least`` photos half are held out whole, as landmarks that nobody
    taught.

    Args:
        data: folders that hold train/<class>/*, and perhaps few/<class>/*, one or several.
        negatives: folders of photos without landmarks.
        seed: of the split.
        cache: where decoded photos are kept.
        least: photos of a class that ships.
        left_out: photos not to take, by their resolved paths.
        known: the places that classes may be; those of landmarks.csv when left out.

    Raises:
        RunError: a class cannot be read, or there are too few photos to calibrate a model with.
    """
    parts = learned_folders([data] if isinstance(data, Path) else data)
    table = load_landmarks() if known is None else known
    folder, labels = read_folders(parts, least, left_out, table)
    landmarks = grouped_split(
        [s for s in folder.samples if s.label < len(labels)], VALIDATION, seed, cache
    )
    train, valid = landmarks.train, landmarks.valid
    strangers = tuple(s for s in folder.samples if s.label >= len(labels) and s.label % 2)
    train += tuple(s for s in folder.samples if s.label >= len(labels) and not s.label % 2)
    valid += tuple(Sample(s.path, NO_LANDMARK, f"{STRANGER}/{s.source}") for s in strangers)
    for directory in negatives:
        samples = read_negatives(directory, "train", left_out)
        others = grouped_split(samples, 2 * VALIDATION, seed, cache)
        train, valid = train + others.train, valid + others.valid
    beside = folder.labels[len(labels) :]
    places = {label: table[label] for label in labels}
    material = Material(labels, train, valid, beside, strangers, places)
    _check(material)
    return material


def _check(material: Material) -> None:
    """Refuse data with which calibrating the trained model would fail."""
    learned = {sample.label for sample in material.train}
    unread = [name for label, name in enumerate(material.labels) if label not in learned]
    if unread:
        raise RunError(f"no photo of {', '.join(unread)} can be read; copy them again")
    for name, shown in (("landmarks", True), ("no landmark", False)):
        train, valid = (
            sum((sample.label != NO_LANDMARK) == shown for sample in part)
            for part in (material.train, material.valid)
        )
        if train < NEIGHBOURS or valid < 2:  # one is left where the rule is tried on the other
            raise RunError(
                f"photos of {name}: {train} to train and {valid} to validate with are too few; "
                "give 10 or more of each class and of each folder of negatives, no look-alikes"
            )


def grouped_split(
    samples: Sequence[Sample], fraction: float, seed: int, cache: Path = CACHE
) -> Split:
    """Carve ``fraction`` of each class off as validation, near-duplicates kept together.

    Unreadable photos are left out of both parts. Every class keeps at least one group in train.
    """
    thumbnails = load_pixels(samples, 16, Resize.SQUASH, cache)
    groups = near_duplicates(thumbnails)
    members: dict[int, dict[int, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample, group in zip(thumbnails.samples, groups, strict=True):
        members[sample.label][int(group)].append(sample)
    chance = np.random.default_rng(seed)
    train: list[Sample] = []
    valid: list[Sample] = []
    for label in sorted(members):
        parts = list(members[label].values())
        wanted = fraction * sum(map(len, parts))
        taken = 0
        for place, index in enumerate(chance.permutation(len(parts))):
            part = parts[index]
            fits = taken + len(part) / 2 <= wanted and place < len(parts) - 1
            taken += len(part) if fits else 0
            (valid if fits else train).extend(part)
    return Split(tuple(train), tuple(valid))


def near_duplicates(thumbnails: Pixels, limit: float = 0.95) -> NDArray[np.int64]:
    """Number the groups of look-alikes: same class, thumbnails correlated above ``limit``.

    Thumbnails are compared in grey at 16 x 16, centred and scaled, also mirrored; groups are the
    connected parts, so a burst of frames stays whole. Returns int64 [N].
    """
    grey = thumbnails.images.mean(1, dtype=np.float32)
    flat = _unit(grey.reshape(len(grey), -1))
    mirrored = _unit(grey[:, :, ::-1].reshape(len(grey), -1))
    parent = np.arange(len(grey))
    for label in np.unique(thumbnails.labels):
        rows = np.flatnonzero(thumbnails.labels == label)
        alike = np.maximum(flat[rows] @ flat[rows].T, flat[rows] @ mirrored[rows].T) > limit
        for i, j in np.argwhere(np.triu(alike, 1)):
            parent[_root(parent, rows[i])] = _root(parent, rows[j])
    return np.array([_root(parent, i) for i in range(len(parent))], dtype=np.int64)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = rows - rows.mean(1, keepdims=True)
    unit: NDArray[np.float32] = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-6)
    return unit


def _root(parent: NDArray[np.int64], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = int(parent[index])
    return index
