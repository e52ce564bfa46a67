"""The source ``library``: copies of a photo that carries GPS, and photos of the same view."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tagger.errors import RunError
from tagger.evidence.estimate import Estimate, Neighbour
from tagger.evidence.kept_view import KeptView, kept_view
from tagger.evidence.views import LibraryIndex
from tagger.imaging.decode import Resize, Views
from tagger.model.local_features.quantisation import Codebook
from tagger.model.local_features.same_view import Described, InCommon, compare
from tagger.places.distance import distance_m
from tagger.records import Guess, Source

LIKEST, LEAST_ALIKE = 24, 0.4  # photos of the library that one is compared with, by embedding
# 1. A copy (resized, cropped, saved again): most of it is found again, all over the picture, just
#    where it was, and its grey values are the same.
#    Copies that were made smaller lie within 0.75 and are alike to 0.999; those that are alike to
#    less than 0.96 were cut and are found again in 11 cells and more; two photos of one front,
#    0.955 alike, are in 7.
COPY_SPOTS, COPY_SHARE = 12, 0.5
# Correlation, the cells that go with it, and how far off places are at most.
COPY_ALIKE_IN = ((0.995, 5, 0.8), (0.96, 5, 0.65), (0.93, 10, 0.65))
COPY_M = 15.0  # a phone's receiver
# 2. Evidence against: whatever is seen in photos of places far apart (a logo, a toy, a horizon)
#    tells no place. Fewer spots are enough for that than for a view.
SEEN_SPOTS = 7
# 3. The same view: found again all over the picture, to two of its edges at least, for what fills
#    the middle may be a thing that travels: a toy, a painting, a screen, a face.
VIEW_SPOTS, VIEW_CELLS, VIEW_SIDES, VIEW_SHARE = 16, 8, 2, 0.5
# Several photos have to show it that were taken at different times: seconds.
SEVERAL, ANOTHER_TIME = 2, 600.0
VIEW_M = 150.0  # the camera may have stood so far from where the other one stood


@dataclass(frozen=True, slots=True)
class Match:
    """A photo of the library, and what it has in common with the one that is looked at."""

    kept: KeptView
    common: InCommon

    @property
    def at(self) -> tuple[float, float]:
        assert self.kept.position  # the index compares with no others
        return self.kept.position

    @property
    def copy(self) -> bool:
        """Whether one is a copy of the other."""
        return (
            self.common.spots >= COPY_SPOTS
            and self.common.share >= COPY_SHARE
            and any(
                self.common.alike >= alike and self.common.cells >= cells and self.common.off <= off
                for alike, cells, off in COPY_ALIKE_IN
            )
        )

    @property
    def same_view(self) -> bool:
        """Whether both show the same, to the edges."""
        return (
            self.common.spots >= VIEW_SPOTS
            and self.common.cells >= VIEW_CELLS
            and self.common.sides >= VIEW_SIDES
            and self.common.share >= VIEW_SHARE
        )


class Describer(Protocol):
    """What the source needs of a classifier."""

    @property
    def encoder(self) -> str: ...

    @property
    def image_size(self) -> int: ...

    @property
    def resize(self) -> Resize: ...

    @property
    def codebook(self) -> Codebook | None: ...

    def describe(self, photos: Sequence[Views]) -> list[Described]: ...

    def classify_and_describe(
        self, photos: Sequence[Views]
    ) -> tuple[list[Guess], list[Described]]: ...


def comparable(model: Describer) -> Codebook:
    """What a model keeps points by.

    Raises:
        RunError: it cannot compare photos.
    """
    if model.codebook is None:
        raise RunError(
            "--from library: the model file has no reference photos, which photos are compared "
            "with the help of; put them in (python -m train references MODEL), or leave "
            "library out of --from"
        )
    return model.codebook


class LibrarySource:
    """Positions of photos of the same library that show the same.

    Args:
        model: looks at the photos.
        index: holds what they look like.
        max_radius_m: photos further apart than this that show the same are no evidence.

    Raises:
        RunError: the model cannot compare photos.
    """

    source, least_alike = Source.LIBRARY, LEAST_ALIKE

    def __init__(self, model: Describer, index: LibraryIndex, max_radius_m: float) -> None:
        self._codebook = comparable(model)
        self._model, self.index, self.max_radius_m = model, index, max_radius_m
        self.saw: Callable[[str, Sequence[str]], None] = lambda key, others: None

    @property
    def sizes(self) -> tuple[int, Resize]:
        """How photos are decoded for the model: the edge in pixels, and how they become square."""
        return self._model.image_size, self._model.resize

    def describe(self, photos: Sequence[Views]) -> list[Described]:
        """What decoded photos look like."""
        return self._model.describe(photos)

    def classify(self, photos: Sequence[Views]) -> tuple[list[Guess], list[Described]]:
        """A guess for each decoded photo, and what it looks like."""
        return self._model.classify_and_describe(photos)

    def kept(self, key: str, stamp: str, described: Described) -> KeptView:
        """A photo as the index keeps it, without a position."""
        return kept_view(key, stamp, described, self._codebook)

    def compared(
        self, photo: KeptView, described: Described | None = None
    ) -> tuple[Estimate | None, bool]:
        """Where a photo was taken, by what it looks like, and whether any other is alike at all.

        Args:
            photo: as it is kept.
            described: the same photo in full, if it was just decoded.
        """
        likest = self.index.likest(photo.numbers(), LIKEST, LEAST_ALIKE, photo.key)
        view = described.view if described else photo.view(self._codebook)
        matches = [Match(kept, compare(view, kept.view(self._codebook))) for kept in likest]
        alike = [match for match in matches if match.common.spots]
        views = [match.kept.key for match in alike if match.same_view and not match.copy]
        if views:
            self.saw(photo.key, views)
        return judged(alike, self.max_radius_m), bool(alike)


def judged(matches: Sequence[Match], max_radius_m: float) -> Estimate | None:
    """The estimate by what was found in the library, by the rules 1 to 3 above."""
    matches = sorted(matches, key=lambda match: -match.common.spots)
    copies = [match for match in matches if match.copy]
    if copies:
        apart = spread(copies)
        words = f"copy of {_names(copies[:1])}"
        if apart <= max(COPY_M, 0.1 * max_radius_m):
            return _estimate(copies, 0.5 * COPY_M, COPY_M + apart, 0.999, words)
        return _estimate(
            copies, apart, 2 * apart, 0.5, words, f"its copies were taken {apart:,.0f} m apart"
        )
    if spread([match for match in matches if match.common.spots >= SEEN_SPOTS]) > max_radius_m:
        return None
    views = _of_different_times([match for match in matches if match.same_view])
    if len(views) < SEVERAL:
        return None
    radius = max(VIEW_M, 2 * spread(views))
    refused = "" if radius <= max_radius_m else f"may be {radius:,.0f} m off; see --max-radius"
    words = f"same view as {_names(views[:SEVERAL])}"
    return _estimate(views, radius / 1.6, radius, 0.95, words, refused)


def spread(matches: Sequence[Match]) -> float:
    """Metres between the two photos that are furthest apart."""
    return max((distance_m(a.at, b.at) for a in matches for b in matches), default=0.0)


def _of_different_times(matches: Sequence[Match]) -> list[Match]:
    """Of photos taken within ANOTHER_TIME (a burst) one; those of unknown time count as one."""
    kept: list[Match] = []
    for match in matches:
        times = [other.kept.taken for other in kept]
        now = match.kept.taken
        if now is None:
            if None not in times:
                kept.append(match)
        elif all(time is None or abs(time - now) > ANOTHER_TIME for time in times):
            kept.append(match)
    return kept


def _names(matches: Sequence[Match]) -> str:
    return " and ".join(os.path.basename(match.kept.key) for match in matches)


def _estimate(
    matches: Sequence[Match],
    radius_68_m: float,
    radius_95_m: float,
    probability: float,
    words: str,
    refused: str = "",
) -> Estimate:
    neighbours = tuple(Neighbour(match.kept.key, 0.0, *match.at) for match in matches[:8])
    return Estimate(
        Source.LIBRARY, *matches[0].at, radius_68_m, radius_95_m, probability, words, refused,
        neighbours,
    )  # fmt: skip
