"""Upright SIFT (Lowe 2004): the points of a grey picture, and what it is like around each."""

import numpy as np
from numpy.typing import NDArray

from tagger.model.local_features import _sift

Floats = NDArray[np.float32]

# Counted up when points are described in another way: those of older model files do not match then.
VERSION = 4
POINTS = 600  # of a picture, those with most contrast
CONTRAST = 0.02  # that a point has at least; half the usual, for photos of little contrast
# Section 6: the window around a point has CELLS cells to an edge, each so many sigmas wide, and
# SAMPLES samples; a cell has a histogram of DIRECTIONS; no part of a descriptor is above CLIPPED.
WIDE, CLIPPED = 3.0, 0.2
CELLS, SAMPLES, LENGTH = _sift.CELLS, _sift.SAMPLES, _sift.LENGTH
APART = WIDE * CELLS / SAMPLES  # the samples, in sigmas


def counts() -> Floats:
    """What a sample counts for a cell, the less, the farther: [CELLS, SAMPLES], across or down."""
    places = (np.arange(SAMPLES) + 0.5) * CELLS / SAMPLES - 0.5  # in cells
    near = np.maximum(0, 1 - np.abs(places - np.arange(CELLS)[:, None]))
    near *= np.exp(-2 * np.square((places - places.mean()) / CELLS))
    return np.asarray(near, np.float32)


COUNTS = counts()


def sift(grey: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """The points of a picture [H, W], POINTS at most, those with most contrast first.

    ``_sift.c`` does all of it in half of the time that OpenCV takes, which turns each point to a
    direction of its own, and builds all blurred pictures a second time to describe it without.

    Returns:
        places: float32 [N, 3], x, y and diameter (twice sigma) in pixels.
        descriptors: float32 [N, 128], square roots of histograms that sum to 1 (RootSIFT,
            Arandjelovic and Zisserman 2012).
    """
    places = np.empty((POINTS, 3), np.float32)
    descriptors = np.empty((POINTS, LENGTH), np.float32)
    height, width = grey.shape
    told = CONTRAST * 255 / _sift.LAYERS, COUNTS, APART, CLIPPED
    held = _sift.sift(np.ascontiguousarray(grey), height, width, *told, places, descriptors)
    return places[:held], descriptors[:held]
