"""Is one photo a copy of another, or of the same view: what of it is found again, and where."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagger.model.local_features.matching import Bytes, Features, matches, moved, spots
from tagger.model.local_features.sift import Floats

Doubles = NDArray[np.float64]
SMALL = 32  # pixels to an edge of the small picture that a copy is told by
GRID = 4  # cells to an edge: how far over the photo what is found again spreads
RIM = 0.125  # share of an edge: what lies further in may be a thing that travels
LEAST = 6  # spots from which a map between two photos is worth fitting
EXACT, PIXELS = 0.0065, 1.5  # how far off a place of a copy may be: share of an edge, or pixels
MARGIN = 1  # pixels of the small picture at the edge of the overlap that are not compared


@dataclass(frozen=True, slots=True)
class PhotoView:
    """A photo as it is kept for comparison.

    Attributes:
        features: its points, in pixels of a picture of ``width`` x ``height``.
        small: uint8 [SMALL, SMALL], the whole photo, grey.
    """

    features: Features
    width: int
    height: int
    small: Bytes

    def share(self, points: NDArray[np.int64]) -> Floats:
        """Where some of the points are, float32 [K, 2], as shares of width and height."""
        edges = np.array((self.width, self.height), np.float32)
        return self.features.places[points, :2] / edges


@dataclass(frozen=True, slots=True)
class Described:
    """A photo as the library source compares it.

    Attributes:
        embedding: float32 [E], of length 1.
        view: its points and its small picture.
    """

    embedding: Floats
    view: PhotoView


@dataclass(frozen=True, slots=True)
class InCommon:
    """What two photos have in common: what of one is found in the other.

    Attributes:
        spots: places that one affine map takes to those of the other.
        cells: of GRID x GRID cells, how many have such a place, in the photo that has fewer.
        sides: of the four rims of the picture, how many have one, in the photo that has fewer.
        share: of the photo's area, how much the other shows if it is a copy; 0..1.
        alike: correlation of the grey values there, -1..1.
        off: how far places lie from where a copy would have them, median; 1 is as far as those of
            a copy may, as places are kept in units of two pixels.
    """

    spots: int = 0
    cells: int = 0
    sides: int = 0
    share: float = 0.0
    alike: float = 0.0
    off: float = 9.0


def small(grey: Bytes) -> Bytes:
    """The whole of a grey picture [H, W], SMALL pixels to an edge."""
    rows, columns = (np.arange(SMALL) * edge // SMALL for edge in grey.shape)
    sums = np.add.reduceat(np.add.reduceat(grey.astype(np.int64), rows, 0), columns, 1)
    counts = [
        np.maximum(1, np.diff(starts, append=edge))
        for starts, edge in zip((rows, columns), grey.shape, strict=True)
    ]
    return np.asarray(sums / np.outer(*counts), np.uint8)


def compare(photo: PhotoView, other: PhotoView) -> InCommon:
    """How much of ``photo`` is found again in ``other``."""
    starts = np.array([0, len(other.features.places)], np.int32)
    pairs = next(iter(matches(other.features, starts, photo.features)), np.zeros((0, 2), np.int64))
    pairs = moved(other.features, photo.features, pairs, more_than=LEAST - 1)
    if len(pairs) < LEAST:
        return InCommon()
    there = other.share(pairs[:, 0])
    here = photo.share(pairs[:, 1])
    count = spots(photo.features.places[pairs[:, 1]])
    cells = min(_cells(here), _cells(there))
    sides = min(_sides(here), _sides(there))
    scale, shift, off = upright(here, there)
    off /= max(EXACT, PIXELS / min(photo.width, photo.height, other.width, other.height))
    share, alike = overlap(photo.small, other.small, scale, shift)
    return InCommon(count, cells, sides, share, alike, off)


def upright(before: Floats, after: Floats) -> tuple[Doubles, Doubles, float]:
    """What takes ``before`` [K, 2] nearest to ``after`` without a turn: scale [2] and shift [2].

    A copy is cut and resized, along and across; it is neither turned nor seen from elsewhere. The
    third value is how far off the places are by that, their median.
    """
    one, other = before.astype(np.float64), after.astype(np.float64)
    near = np.ones(len(one), bool)
    for _ in range(3):
        middle, goal = one[near].mean(0), other[near].mean(0)
        spread = np.square(one[near] - middle).sum(0)
        scale = ((one[near] - middle) * (other[near] - goal)).sum(0) / np.maximum(spread, 1e-9)
        shift = goal - scale * middle
        off = np.hypot(*(one * scale + shift - other).T)
        near = off <= 2 * np.median(off) + 1e-9
    return scale, shift, float(np.median(off))


def overlap(one: Bytes, other: Bytes, scale: Doubles, shift: Doubles) -> tuple[float, float]:
    """What share of ``one`` is taken into ``other``, and how alike both are there."""
    middles = (np.arange(SMALL) + 0.5) / SMALL
    points = np.stack([*np.meshgrid(middles, middles)], -1).reshape(-1, 2)
    there = (points * scale + shift) * SMALL - 0.5
    inside = ((there >= MARGIN) & (there <= SMALL - 1 - MARGIN)).all(1)
    if inside.sum() < 2 * SMALL:
        return 0.0, 0.0
    left = np.floor(there[inside]).astype(int)
    right, down = (there[inside] - left).T
    x, y = left.T
    values, own = smoothed(other), smoothed(one)
    seen = (
        values[y, x] * (1 - right) * (1 - down)
        + values[y, x + 1] * right * (1 - down)
        + values[y + 1, x] * (1 - right) * down
        + values[y + 1, x + 1] * right * down
    )
    mine = own.reshape(-1)[inside]
    a, b = mine - mine.mean(), seen - seen.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(inside.mean()), float(a @ b) / size if size else 0.0


def smoothed(picture: Bytes) -> Doubles:
    """Means of 3 x 3 pixels: half a pixel off is no difference."""
    wide = np.pad(picture.astype(np.float64), 1, "edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9)


def _cells(places: Floats) -> int:
    """How many cells of the picture have one of the places [K, 2], 0..1."""
    return len(np.unique(np.clip(places * GRID, 0, GRID - 1).astype(int), axis=0))


def _sides(places: Floats) -> int:
    """How many of the picture's four rims have one of the places [K, 2], 0..1."""
    return int((places < RIM).any(0).sum() + (places > 1 - RIM).any(0).sum())
