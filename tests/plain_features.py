"""The points, descriptors and matches by OpenCV and NumPy, to compare the compiled ones with."""

import math
from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tagger.model.local_features._sift import DIRECTIONS, GIVEN, LAYERS, SIGMA
from tagger.model.local_features.matching import (
    CLOSE,
    CORNER,
    FEWEST,
    FIRM,
    LOOSE,
    RATIO,
    SCALES,
    TRIED,
    Features,
    products,
)  # fmt: skip
from tagger.model.local_features.sift import (
    APART,
    CELLS,
    CLIPPED,
    CONTRAST,
    COUNTS,
    LENGTH,
    POINTS,
    SAMPLES,
    Floats,
)  # fmt: skip

EDGE = SAMPLES + 2  # of a window: one more each way, for the differences
CORNERS = CORNER * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32)


def sift(grey: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """As :func:`tagger.model.local_features.sift.sift`."""
    places, layers = found(grey)
    if not len(places):
        return places, np.zeros((0, LENGTH), np.float32)
    return places, described(windows(grey, places, layers))


def found(grey: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.int8]]:
    """The points by OpenCV: places [N, 3], and [N, 2] of each the octave and the layer in it."""
    # A place with several directions is found several times.
    known = {
        (*point.pt, point.size, point.octave): point.response
        for point in cv2.SIFT.create(0, contrastThreshold=CONTRAST).detect(grey, None)
    }
    strongest = sorted(known, key=lambda point: -known[point])[:POINTS]
    places = np.array([point[:3] for point in strongest], np.float32).reshape(-1, 3)
    # Two bytes of that number: the octave, -1 for the doubled picture, and the layer in it.
    packed = np.array([point[3] for point in strongest], "<i4").view("i1").reshape(-1, 4)
    return places, packed[:, :2]


def windows(grey: NDArray[np.uint8], places: Floats, layers: NDArray[np.int8]) -> Floats:
    """Samples around N places, float32 [N, EDGE, EDGE], of the pictures that they were found in."""
    taken = np.zeros((len(places), EDGE, EDGE), np.float32)
    doubled = cv2.resize(grey.astype(np.float32), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    picture = blurred(np.asarray(doubled, np.float32), math.sqrt(SIGMA**2 - GIVEN**2))
    ratio = 2 ** (1 / LAYERS)
    for octave in range(-1, int(layers[:, 0].max()) + 1):
        for layer in range(1, LAYERS + 1):
            picture = blurred(picture, SIGMA * ratio ** (layer - 1) * math.sqrt(ratio**2 - 1))
            here = (layers == (octave, layer)).all(1)
            if here.any():
                taken[here] = window(picture, places[here] / np.float32(2.0**octave))
        picture = np.ascontiguousarray(picture[::2, ::2])
    return taken


def blurred(picture: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def window(picture: Floats, places: Floats) -> Floats:
    """Samples of a picture around K places [K, 3], in its pixels: [K, EDGE, EDGE]."""
    steps = (np.arange(EDGE) - (EDGE - 1) / 2) * APART
    apart = places[:, 2:] / 2 * steps.astype(np.float32)
    shape = len(places), EDGE, EDGE
    columns, rows = (
        np.broadcast_to(along, shape).reshape(len(places), -1)
        for along in ((places[:, :1] + apart)[:, None], (places[:, 1:2] + apart)[:, :, None])
    )
    found = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(found, np.float32).reshape(shape)


def described(taken: Floats) -> Floats:
    """Of N windows the histograms of the directions in which they grow brighter, [N, 128]."""
    count, samples = len(taken), SAMPLES**2
    across = taken[:, 1:-1, 2:] - taken[:, 1:-1, :-2]
    down = taken[:, 2:, 1:-1] - taken[:, :-2, 1:-1]
    # Samples first, so that all cells are one product of matrices.
    x, y = (np.ascontiguousarray(part.reshape(count, samples).T) for part in (across, down))
    strength, angle = (np.asarray(part, np.float32) for part in cv2.cartToPolar(x, y))
    turned = angle * np.float32(DIRECTIONS / (2 * math.pi))
    first = turned.astype(np.int32)
    second = (turned - first) * strength  # what the next direction gets of it
    histograms = np.zeros((samples, count * DIRECTIONS), np.float32)
    start = np.arange(0, histograms.size, DIRECTIONS, dtype=np.int32).reshape(samples, count)
    histograms.ravel()[start + first % DIRECTIONS] = strength - second
    histograms.ravel()[start + (first + 1) % DIRECTIONS] = second
    weights = torch.from_numpy(np.kron(COUNTS, COUNTS))  # [CELLS ** 2, SAMPLES ** 2]
    cells = (weights @ torch.from_numpy(histograms)).view(CELLS**2, count, DIRECTIONS)
    found: Floats = cells.transpose(0, 1).reshape(count, -1).numpy()
    found = found / (np.linalg.norm(found, axis=1, keepdims=True) + 1e-7)
    found = np.minimum(found, CLIPPED)
    roots: Floats = np.sqrt(found / (found.sum(1, keepdims=True) + 1e-7))
    return roots


def matches(
    known: Features, starts: NDArray[np.int32], photo: Features
) -> Iterator[NDArray[np.int64]]:
    """As :func:`tagger.model.local_features.matching.matches`."""
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


def moved_alike(before: Floats, after: Floats) -> NDArray[np.bool_]:
    """As :func:`tagger.model.local_features.matching.moved_alike`."""
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
