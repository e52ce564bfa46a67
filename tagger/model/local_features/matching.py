"""Local features: does some photo of the landmark show the same points, moved alike?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.model.local_features import _match
from tagger.model.local_features.sift import Floats, sift

# Lowe 2004, section 7.1, of squared distances; more matches, as their places are looked at too.
RATIO = 0.85
# Points moved alike may be so many pixels off where one point's place and size tell how, and by
# this factor of size; so many once an affine map is fitted to them.
LOOSE, SCALES, CLOSE = 6.0, 2.0, 6.0
SPOT = 4  # pixels: matches closer together count once
TRIED = 5  # of the moves, those that most matches agree on
STEPS = 8  # to an octave: how finely a point's size is kept
Bytes = NDArray[np.uint8]

# A map that points in a row would leave open is held by four corners that weigh so much.
FIRM = 0.3
CORNER = 40.0  # pixels
FEWEST = 3  # matches: fewer may be moved anyhow


@dataclass(frozen=True, slots=True)
class Features:
    """Points of a photo, the strongest first.

    Attributes:
        places: float32 [N, 3], x, y and diameter in pixels.
        descriptors: float32 [N, 128], each of length 1.
    """

    places: Floats
    descriptors: Floats


def describe(grey: Bytes) -> Features:
    """The local features of a grey picture [H, W]."""
    return Features(*sift(grey))


def matches(
    known: Features, starts: NDArray[np.int32], photo: Features
) -> Iterator[NDArray[np.int64]]:
    """Which points of several photos look like points of one: of each, pairs int64 [K, 2].

    Args:
        known: the points of P photos, one after the other.
        starts: int32 [P + 1], where each photo's begin.
        photo: the one they are compared with; of fewer than 2 points, nothing is told.
    """
    if len(photo.places) < 2:
        return
    alike = products(known.descriptors, photo.descriptors)
    pairs = np.empty((len(alike), 2), np.int64)
    counts = np.empty(len(starts) - 1, np.int32)
    _match.matches(alike, alike.shape[1], starts, RATIO, FEWEST, pairs, counts)
    yield from np.split(pairs[: counts.sum()], np.cumsum(counts)[:-1])


def moved(
    known: Features, photo: Features, pairs: NDArray[np.int64], more_than: int
) -> NDArray[np.int64]:
    """Those of the pairs that are moved alike; none where ``more_than`` so many cannot be left."""
    if len(pairs) < max(FEWEST, more_than + 1):
        return pairs[:0]
    return pairs[moved_alike(known.places[pairs[:, 0]], photo.places[pairs[:, 1]])]


def moved_alike(before: Floats, after: Floats) -> NDArray[np.bool_]:
    """Which of K matches [K, 3] one affine map explains, bool [K]; of several maps the best.

    Each match alone tells how the photo is moved and scaled, upright as it is; what most matches
    agree on is refined (fast spatial matching, Philbin et al. 2007).
    """
    kept = np.zeros(len(before), bool)
    limits = LOOSE, SCALES, CLOSE, FIRM, CORNER, TRIED, FEWEST
    _match.moved_alike(before, after, kept, *limits)
    return kept


def products(one: Floats, other: Floats) -> Floats:
    """Inner products of descriptors [R, 128] and [Q, 128]: [R, Q], on as many threads as torch."""
    found: Floats = (torch.from_numpy(one) @ torch.from_numpy(other).T).numpy()
    return found


def spots(places: Floats) -> int:
    """How many of the places [K, 3] are places of their own."""
    return len(np.unique(places[:, :2] // SPOT, axis=0))
