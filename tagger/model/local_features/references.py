"""References: photos of each landmark, as embeddings and as local features in few bytes."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from tagger.model.local_features.matching import STEPS, Bytes, Features, matches, moved, spots
from tagger.model.local_features.quantisation import Codebook
from tagger.model.local_features.sift import VERSION, Floats

# Photos that a photo is compared with, the likest of any landmark; of one landmark, and at once.
NEAREST, OF_ONE, TOGETHER = 24, 4, 8
ENOUGH = 16  # spots: more are no better evidence
DAMAGED = (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class References:
    """Photos of C landmarks, and photos of other things for comparison.

    Attributes:
        codebook: float16 [M, 256, 128 / M], centres of each part of a descriptor (product
            quantisation, Jegou et al. 2011).
        codes: uint8 [N, M], the centres that stand for each point's parts.
        places: uint8 [N, 3]: x and y in units of two pixels, size in STEPS to an octave.
        photos: int32 [P + 1], where each photo's points begin.
        components: int8 [D, E], what the network's embeddings are multiplied with, in any unit.
        embeddings: int8 [P, E], those of the photos, in these components, in any unit.
        landmarks: int32 [C + 1], where each landmark's photos begin.
        others: int8 [O, E], embeddings of photos that show none of the landmarks.
        rule: float32 [2, 12], see :mod:`tagger.model.local_features.weigh`.
        learned: int32 [C], how many of each landmark's photos the network learned; all, where it
            is None.
    """

    codebook: NDArray[np.float16]
    codes: Bytes
    places: Bytes
    photos: NDArray[np.int32]
    components: NDArray[np.int8]
    embeddings: NDArray[np.int8]
    landmarks: NDArray[np.int32]
    others: NDArray[np.int8]
    rule: Floats
    learned: NDArray[np.int32] | None = None

    @property
    def quantiser(self) -> Codebook:
        """What codes stand for."""
        return Codebook(self.codebook.astype(np.float32))

    def points(self, photos: Sequence[int]) -> tuple[Features, NDArray[np.int32]]:
        """The points of some photos, one photo after the other, and where each one's begin."""
        spans = [np.arange(*self.photos[photo : photo + 2]) for photo in photos]
        mine = np.concatenate(spans)
        descriptors = self.quantiser.descriptors(self.codes[mine])
        starts = np.cumsum([0, *map(len, spans)], dtype=np.int32)
        return Features(unpacked(self.places[mine]), descriptors), starts

    def supports(self, photos: Sequence[int], photo: Features) -> NDArray[np.int64]:
        """How many spots of ``photo`` each of these photos shows, moved alike; to ENOUGH."""
        supported = []
        for some in range(0, len(photos), TOGETHER):
            part = photos[some : some + TOGETHER]
            known, starts = self.points(part)
            counts = [0] * len(part)
            for number, pairs in enumerate(matches(known, starts, photo)):
                alike = moved(known, photo, pairs, more_than=0)
                counts[number] = min(spots(photo.places[alike[:, 1]]), ENOUGH) if len(alike) else 0
            supported += counts
            if max(counts) >= ENOUGH:
                break
        return np.array(supported + [0] * (len(photos) - len(supported)), np.int64)

    def of_photos(self, kept: NDArray[np.bool_]) -> "References":
        """The same, of some of the photos only: bool [P]."""
        counts = np.diff(self.photos)
        points = np.repeat(kept, counts)
        own = np.bincount(self.owners[kept], minlength=len(self.landmarks) - 1)
        return replace(
            self,
            codes=self.codes[points],
            places=self.places[points],
            photos=ends(counts[kept]),
            embeddings=self.embeddings[kept],
            landmarks=ends(own),
            learned=np.minimum(self.counts, own.astype(np.int32)),
        )

    def joined(self, *others: "References") -> "References":
        """The photos of all, of the same landmarks; all else as it is here."""
        parts = (self, *others)
        owners = np.concatenate([part.owners for part in parts])
        order = np.argsort(owners, kind="stable")
        counts = np.concatenate([np.diff(part.photos) for part in parts])
        points = spans(ends(counts)[:-1][order], counts[order])
        return replace(
            self,
            codes=np.concatenate([part.codes for part in parts])[points],
            places=np.concatenate([part.places for part in parts])[points],
            photos=ends(counts[order]),
            embeddings=np.concatenate([part.embeddings for part in parts])[order],
            landmarks=np.sum([part.landmarks for part in parts], 0, np.int32),
            learned=np.sum([part.counts for part in parts], 0, np.int32),
        )

    def fits(self, other: "References") -> bool:
        """Whether the other's codes and embeddings mean the same, of as many landmarks."""
        return (
            np.array_equal(self.codebook, other.codebook)
            and np.array_equal(self.components, other.components)
            and len(self.landmarks) == len(other.landmarks)
        )

    @property
    def counts(self) -> NDArray[np.int32]:
        """How many photos of each landmark the network learned, int32 [C]."""
        return np.diff(self.landmarks) if self.learned is None else self.learned

    @property
    def owners(self) -> NDArray[np.int64]:
        """The landmark of each photo, [P]."""
        return np.repeat(np.arange(len(self.landmarks) - 1), np.diff(self.landmarks))

    def to_bytes(self) -> bytes:
        """As a NumPy archive."""
        buffer = io.BytesIO()
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        known = {name: array for name, array in arrays.items() if array is not None}
        np.savez(buffer, version=np.array(VERSION), **known)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "References":
        """Read what :meth:`to_bytes` gave.

        Raises:
            ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile: it is something else;
                all of DAMAGED.
        """
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            if archive["version"] != VERSION:
                raise ValueError("their points are described in another way")
            names = [field.name for field in fields(cls) if field.name in archive]
            arrays = cls(**{name: archive[name] for name in names})
        points, parts = arrays.codes.shape
        width = arrays.components.shape[1:]
        right = (
            0 < parts <= 128
            and arrays.codebook.shape == (parts, 256, 128 // parts)
            and arrays.codes.dtype == arrays.places.dtype == np.uint8
            and arrays.places.shape == (points, 3)
            and ends_at(arrays.photos, points)
            and arrays.components.ndim == 2
            and arrays.components.dtype == arrays.embeddings.dtype == arrays.others.dtype == np.int8
            and arrays.embeddings.shape == (len(arrays.photos) - 1, *width)
            and arrays.others.shape == (len(arrays.others), *width)
            and ends_at(arrays.landmarks, len(arrays.photos) - 1)
            and arrays.counts.dtype == np.int32
            and arrays.counts.shape == (len(arrays.landmarks) - 1,)
            and arrays.rule.shape == (2, RULE)
            and bool(np.isfinite(arrays.rule).all())
        )
        if not right:
            raise ValueError("its arrays do not fit together")
        return arrays


RULE = 12  # numbers of each of the two rules


def ends(counts: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int32]:
    """Where spans of these lengths begin and end."""
    return np.cumsum([0, *counts], dtype=np.int32)


def spans(starts: NDArray[np.int32], counts: NDArray[np.int32]) -> NDArray[np.int32]:
    """The numbers of all spans, one after the other, by where each starts and how many it has."""
    before = ends(counts)
    numbers: NDArray[np.int32] = np.arange(before[-1], dtype=np.int32)
    return numbers + np.repeat(starts - before[:-1], counts)


def ends_at(starts: NDArray[np.int32], end: int) -> bool:
    """Whether they go from 0 up to ``end``."""
    whole = starts.dtype == np.int32 and starts.ndim == 1 and starts.size > 0
    return whole and bool(starts[0] == 0 and starts[-1] == end and (np.diff(starts) >= 0).all())


def packed(places: Floats) -> Bytes:
    """Places [N, 3] in a byte each; see :class:`References`."""
    size = STEPS * np.log2(np.maximum(places[:, 2:], 1))
    return np.hstack([places[:, :2] / 2, size]).round().clip(0, 255).astype(np.uint8)


def unpacked(places: Bytes) -> Floats:
    """Places [N, 3] in pixels."""
    size = np.exp2(places[:, 2:].astype(np.float32) / STEPS)
    return np.hstack([2 * places[:, :2].astype(np.float32), size])
