"""The source ``pair``: the position that another photo of the same shot carries."""

import os
from collections.abc import Callable

from tagger.evidence.captures import Captures
from tagger.evidence.estimate import Estimate, Neighbour
from tagger.evidence.families import is_burst, one_shot
from tagger.evidence.in_words import far
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m
from tagger.records import Source

RADIUS_M = 50.0  # of a receiver in a phone, where the photo does not state it
APART_M = 200.0  # positions of one shot that differ by more are not both right


class PairSource:
    """Positions that photos of the same shot carry; the surest evidence there is.

    Args:
        captures: the index of all photos.

    Attributes:
        gone: whether a photo of the index is no longer there. A folder that is emptied each night
            gets other photos of the same names.
    """

    source = Source.PAIR

    def __init__(self, captures: Captures) -> None:
        self._captures = captures
        self.gone: Callable[[str], bool] = lambda key: False

    def estimate(self, photo: Capture) -> Estimate | None:
        """See :class:`tagger.evidence.estimate.PositionSource`."""
        shot = [one for one in self._captures.family(photo.key) if one_shot(photo, one)]
        placed = [(one.position, one) for one in shot if one.position and not self.gone(one.key)]
        if not placed:
            return None
        # One of a burst is nearest in time to another; of others all times are the same.
        at, best = min(placed, key=lambda pair: (_apart(photo, pair[1]), pair[1].key))
        radius = max(RADIUS_M, 2 * (best.error_m or 0.0))
        name = os.path.basename(best.key)
        words = (
            f"{name}, {'of the same burst' if is_burst(best.key) else 'taken with it'}, states it"
        )
        other = next(((to, one) for to, one in placed if distance_m(at, to) > APART_M), None)
        refused = ""
        if other:
            away = far(distance_m(at, other[0]))
            refused = (
                f"{name} and {os.path.basename(other[1].key)} of the same shot are {away} apart"
            )
        seconds = 0.0 if best.local is None or photo.local is None else best.local - photo.local
        return Estimate(
            Source.PAIR, *at, radius / 1.6, radius, 0.99, words, refused,
            (Neighbour(best.key, seconds, *at),),
        )  # fmt: skip


def _apart(photo: Capture, other: Capture) -> float:
    if photo.local is None or other.local is None:
        return 0.0
    return abs(photo.local - other.local)
