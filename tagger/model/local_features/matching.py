"""Local features: does some photo of the landmark show the same points, moved alike?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

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
CORNERS = 40.0 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32)  # pixels
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
        photo: the one they are compared with; with fewer than 2 points it matches nothing.
    """
    if len(photo.places) < 2:
        return
    alike = products(known.descriptors, photo.descriptors)
    where, rows = alike.argmax(1), np.arange(len(alike))
    best = alike[rows, where]
    alike[rows, where] = -1
    clear = 1 - best < RATIO * (1 - alike.max(1))
    alike[rows, where] = best
    for start, end in pairwise(starts):
        left = start + np.flatnonzero(clear[start:end])
        if len(left) >= FEWEST:
            left = left[start + alike[start:end, where[left]].argmax(0) == left]
        yield np.stack([left, where[left]], 1)


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
    scale = after[:, 2] / before[:, 2]
    octaves = np.log2(scale)
    x, y = (
        after[None, :, n]
        - after[:, None, n]
        - scale[:, None] * (before[None, :, n] - before[:, None, n])
        for n in (0, 1)
    )
    same_scale = np.abs(octaves[None] - octaves[:, None]) < math.log2(SCALES)
    slack = np.square(np.maximum(scale, 1))  # what is shown larger may be off by more
    agree = (x * x + y * y < LOOSE**2 * slack[:, None]) & same_scale
    votes = agree.sum(1)
    for one in np.argsort(-votes, kind="stable")[:TRIED]:
        if votes[one] < FEWEST:
            break
        inside = agree[one]
        plane = flat(before - before[one]).astype(np.float64)
        corners = np.float32(FIRM) * flat(CORNERS)
        targets = np.float32(FIRM) * (after[one, :2] + scale[one] * CORNERS)
        for _ in range(2):
            left = np.vstack([plane[inside], corners])
            right = np.vstack([after[inside, :2], targets])
            move = np.linalg.solve(left.T @ left, left.T @ right)  # least squares
            x, y = (plane @ move - after[:, :2]).T
            inside = (x * x + y * y < CLOSE**2 * slack[one]) & same_scale[one]
        if inside.sum() > kept.sum():
            kept = inside
        if kept.all():
            break
    return kept


def flat(places: Floats) -> Floats:
    """Places [K, 2 or 3] as x, y and 1: what an affine map [3, 2] is multiplied with."""
    return np.hstack([places[:, :2], np.ones((len(places), 1), np.float32)])


def products(one: Floats, other: Floats) -> Floats:
    """Inner products of rows [R, D] and [Q, D]: [R, Q], on as many threads as torch.

    Not by NumPy: its threads wait in a loop for more work, for milliseconds after each product, on
    processors that decode and classify other photos. That took a sixth of a run's processor time.
    """
    product: Floats = (torch.from_numpy(one) @ torch.from_numpy(other).T).numpy()
    return product


def spots(places: Floats) -> int:
    """How many of the places [K, 3] are places of their own."""
    return len(np.unique(places[:, :2] // SPOT, axis=0))
