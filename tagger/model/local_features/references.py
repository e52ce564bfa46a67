"""References: photos of each landmark, as embeddings and as local features in few bytes."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tagger.model.local_features.matching import STEPS, Bytes, Features, matches, moved, spots
from tagger.model.local_features.quantisation import Codebook
from tagger.model.local_features.sift import VERSION, Floats

# Photos that a photo is compared with, the likest of any landmark; of one landmark, and at once.
NEAREST, OF_ONE, TOGETHER = 24, 8, 8
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
        rule: float32 [2, RULE], see :mod:`tagger.model.local_features.weigh`.
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

    @property
    def counts(self) -> NDArray[np.int32]:
        """How many photos of each landmark the network learned, int32 [C]."""
        return np.diff(self.landmarks) if self.learned is None else self.learned

    @property
    def owners(self) -> NDArray[np.int64]:
        """The landmark of each photo, [P]."""
        return np.repeat(np.arange(len(self.landmarks) - 1), np.diff(self.landmarks))

    def to_bytes(self) -> bytes:
        """All but the photos, which packs keep, as a NumPy archive."""
        buffer = io.BytesIO()
        arrays = {name: getattr(self, name) for name in WITHOUT_PHOTOS}
        np.savez(buffer, version=np.array(VERSION), **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, classes: int) -> "References":
        """Read what :meth:`to_bytes` gave for that many landmarks.

        Before packs kept the photos, the archive did; such a one is read with them.

        Raises:
            ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile: it is something else;
                all of DAMAGED.
        """
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            if archive["version"] != VERSION:
                raise ValueError("their points are described in another way")
            held = {
                field.name: archive[field.name] for field in fields(cls) if field.name in archive
            }
        none = {
            "codes": np.zeros((0, len(held["codebook"])), np.uint8),
            "places": np.zeros((0, 3), np.uint8),
            "photos": np.zeros(1, np.int32),
            "embeddings": np.zeros((0, *held["components"].shape[1:]), np.int8),
            "landmarks": np.zeros(classes + 1, np.int32),
        }
        references = cls(**{**none, **held})
        references.check()
        return references

    def check(self) -> None:
        """See that the arrays fit together.

        Raises:
            ValueError: they do not.
        """
        points, parts = self.codes.shape
        width = self.components.shape[1:]
        right = (
            0 < parts <= 128
            and self.codebook.shape == (parts, 256, 128 // parts)
            and self.codes.dtype == self.places.dtype == np.uint8
            and self.places.shape == (points, 3)
            and ends_at(self.photos, points)
            and self.components.ndim == 2
            and self.components.dtype == self.embeddings.dtype == self.others.dtype == np.int8
            and self.embeddings.shape == (len(self.photos) - 1, *width)
            and self.others.shape == (len(self.others), *width)
            and ends_at(self.landmarks, len(self.photos) - 1)
            and self.counts.dtype == np.int32
            and self.counts.shape == (len(self.landmarks) - 1,)
            and self.rule.shape in [(2, numbers) for numbers in (RULE, *BEFORE)]
            and bool(np.isfinite(self.rule).all())
        )
        if not right:
            raise ValueError("its arrays do not fit together")


WITHOUT_PHOTOS = ("codebook", "components", "others", "rule")
RULE, BEFORE = 14, (13, 12)  # numbers of each of the two rules; of those of older model files


def ends(counts: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int32]:
    """Where spans of these lengths begin and end."""
    return np.cumsum([0, *counts], dtype=np.int32)


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
