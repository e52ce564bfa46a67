"""Upright SIFT (Lowe 2004): the points of a grey picture, and what it is like around each."""

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Counted up when points are described in another way: those of older model files do not match then.
VERSION = 4
POINTS = 600  # of a picture, those with most contrast
CONTRAST = 0.02  # that a point has at least; half the usual, for photos of little contrast
# Section 3: layers to an octave, the sigma of the first, and of the doubled picture as it is.
LAYERS, SIGMA, GIVEN = 3, 1.6, 1.0
# Section 6: the window around a point has CELLS cells to an edge, each so many sigmas wide, and
# SAMPLES samples; a cell has a histogram of DIRECTIONS; no part of a descriptor is above CLIPPED.
WIDE, CLIPPED = 3.0, 0.2
CELLS, SAMPLES, DIRECTIONS = 4, 16, 8
LENGTH = CELLS**2 * DIRECTIONS
APART = WIDE * CELLS / SAMPLES  # the samples, in sigmas
EDGE = SAMPLES + 2  # of a window: one more each way, for the differences


def counts() -> Floats:
    """What a sample counts for a cell, the less, the farther: [CELLS, SAMPLES], across or down."""
    places = (np.arange(SAMPLES) + 0.5) * CELLS / SAMPLES - 0.5  # in cells
    near = np.maximum(0, 1 - np.abs(places - np.arange(CELLS)[:, None]))
    near *= np.exp(-2 * np.square((places - places.mean()) / CELLS))
    return np.asarray(near, np.float32)


COUNTS = counts()


def sift(grey: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """The points of a picture [H, W], POINTS at most, those with most contrast first.

    OpenCV finds the points; it would describe each turned to a direction of its own. Photos are
    upright, so here all are described as they stand, which tells more.

    Returns:
        places: float32 [N, 3], x, y and diameter (twice sigma) in pixels.
        descriptors: float32 [N, 128], square roots of histograms that sum to 1 (RootSIFT,
            Arandjelovic and Zisserman 2012).
    """
    places, layers = detected(grey)
    if not len(places):
        return places, np.zeros((0, LENGTH), np.float32)
    return places, described(windows(grey, places, layers))


def detected(grey: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.int8]]:
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
    samples = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(samples, np.float32).reshape(shape)


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
    scaled: Floats = cells.transpose(0, 1).reshape(count, -1).numpy()
    scaled = scaled / (np.linalg.norm(scaled, axis=1, keepdims=True) + 1e-7)
    scaled = np.minimum(scaled, CLIPPED)
    roots: Floats = np.sqrt(scaled / (scaled.sum(1, keepdims=True) + 1e-7))
    return roots
