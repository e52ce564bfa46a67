"""The photos that a model learned from, as local features; what they say of a guess."""

import io
import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.model.local_features.matching import (
    ENOUGH,
    NEAREST,
    STEPS,
    TOGETHER,
    Bytes,
    Features,
    describe,
    matches,
    moved,
    spots,
)
from tagger.model.local_features.sift import VERSION, Floats

MOST = 8.0  # that evidence can be, in logits: a thousand photos were looked at to fit it
# Probabilities between which local features are asked, as that takes as long as a network does.
LEAST, SURE = 0.01, 0.98


@dataclass(frozen=True, slots=True)
class References:
    """Points of photos of C landmarks, and what it says of a guess to find them again, or not.

    Attributes:
        codebook: float16 [M, 256, 128 / M], centres of each part of a descriptor (product
            quantisation, Jegou et al. 2011).
        codes: uint8 [N, M], the centres that stand for each point's parts.
        places: uint8 [N, 3]: x and y in units of two pixels, size in STEPS to an octave.
        photos: int32 [P + 1], where each photo's points begin.
        components: int8 [D, E], of the network's embeddings, in any unit.
        embeddings: int8 [P, E], those of the photos, of length 1, in these components; likewise.
        landmarks: int32 [C + 1], where each landmark's photos begin.
        shares: float32 [C], of a landmark's photos those that share points with another.
        rule: float32 [3], see :meth:`evidence`.
    """

    codebook: NDArray[np.float16]
    codes: Bytes
    places: Bytes
    photos: NDArray[np.int32]
    components: NDArray[np.int8]
    embeddings: NDArray[np.int8]
    landmarks: NDArray[np.int32]
    shares: Floats
    rule: Floats

    def nearest(self, landmark: int, embedding: Floats) -> NDArray[np.int64]:
        """The photos of the landmark that are likest to one of this embedding [D], those first.

        By cosine; NEAREST of them, or all where there are fewer.
        """
        first, last = self.landmarks[landmark : landmark + 2]
        placed = embedding @ self.components.astype(np.float32)
        alike = self.embeddings[first:last].astype(np.float32) @ placed
        best: NDArray[np.int64] = first + np.argsort(-alike, kind="stable")[:NEAREST]
        return best

    def support(self, photos: NDArray[np.int64], photo: Features) -> int:
        """The most spots of ``photo`` that some of these photos shows, moved alike.

        More than ENOUGH are not looked for.
        """
        most = 0
        for some in range(0, len(photos), TOGETHER):
            known, starts = self.points(photos[some : some + TOGETHER])
            for found in matches(known, starts, photo):
                pairs = moved(known, photo, found, more_than=most)
                if len(pairs) > most:
                    most = max(most, spots(photo.places[pairs[:, 1]]))
                if most >= ENOUGH:
                    return most
        return most

    def points(self, photos: NDArray[np.int64]) -> tuple[Features, NDArray[np.int32]]:
        """The points of some photos, one photo after the other, and where each one's begin."""
        spans = [np.arange(*self.photos[photo : photo + 2]) for photo in photos]
        mine, (parts, centres, wide) = np.concatenate(spans), self.codebook.shape
        rows = self.codes[mine] + centres * np.arange(parts)
        words = self.codebook.reshape(-1, wide).astype(np.float32)
        descriptors = words.take(rows, axis=0).reshape(-1, 128)
        starts = np.cumsum([0, *map(len, spans)], dtype=np.int32)
        return Features(unpacked(self.places[mine]), descriptors), starts

    def evidence(self, landmark: int, count: int) -> float:
        """The log of how much likelier a support of ``count`` is of a photo of the landmark.

        Of the landmark's photos the share that has points in common with another is found again,
        with a support that is ``exp(slope * (count - level))`` times likelier than by chance; the
        rest is supported by chance, as photos of anything else are. Where that speaks against the
        landmark, ``strict`` is taken off besides.
        """
        slope, level, strict = map(float, self.rule)
        share = np.array([self.shares[landmark]], np.float64)
        ratio = float(log_ratios(np.array([count]), share, slope, level)[0])
        return ratio if ratio > 0 else ratio - strict

    def weighed(
        self, probabilities: torch.Tensor, embedding: torch.Tensor, grey: Bytes
    ) -> torch.Tensor:
        """What the network says of a photo, float32 [C], and what its local features say of that.

        ``embedding`` is the network's, too, float32 [D].

        By Bayes' rule, of the best landmark; but what that loses is no other landmark's gain. A
        look takes as long as the network does: who is nearly sure goes without, and who is
        unlikely, which counts as not found.
        """
        best = int(probabilities.argmax())
        sure = float(probabilities[best])
        if not 0 < sure <= SURE:
            return probabilities
        count = 0
        if sure >= LEAST:
            count = self.support(self.nearest(best, embedding.numpy()), describe(grey))
        odds = sure / (1 - sure) * math.exp(self.evidence(best, count))
        now = odds / (1 + odds)
        if now < sure:
            return probabilities * (now / sure)
        found = probabilities * ((1 - now) / (1 - sure))
        found[best] = now
        return found

    def to_bytes(self) -> bytes:
        """As a NumPy archive."""
        buffer = io.BytesIO()
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez(buffer, version=np.array(VERSION), **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "References":
        """Read what :meth:`to_bytes` gave.

        Raises:
            ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile: it is something else.
        """
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            if archive["version"] != VERSION:
                raise ValueError("their points are described in another way")
            found = cls(**{field.name: archive[field.name] for field in fields(cls)})
        points, parts = found.codes.shape
        right = (
            0 < parts <= 128
            and found.codebook.shape == (parts, 256, 128 // parts)
            and found.codes.dtype == found.places.dtype == np.uint8
            and found.places.shape == (points, 3)
            and ends_at(found.photos, points)
            and found.components.ndim == 2
            and found.components.dtype == found.embeddings.dtype == np.int8
            and found.embeddings.shape == (len(found.photos) - 1, found.components.shape[1])
            and ends_at(found.landmarks, len(found.photos) - 1)
            and found.shares.shape == (len(found.landmarks) - 1,)
            and bool(((found.shares > 0) & (found.shares < 1)).all())
            and found.rule.shape == (3,)
            and bool(np.isfinite(found.rule).all())
        )
        if not right:
            raise ValueError("its arrays do not fit together")
        return found


def log_ratios(
    counts: NDArray[np.int64], shares: NDArray[np.floating], slope: float, level: float
) -> NDArray[np.float64]:
    """How much likelier support is of a photo of the landmark, logs [N]; see ``evidence``."""
    found = np.exp(np.minimum(slope * (counts.clip(max=ENOUGH) - level), MOST))
    ratios: NDArray[np.float64] = np.log(shares * found + 1 - shares)
    return ratios


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
