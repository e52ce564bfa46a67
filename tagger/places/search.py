"""The references of a pack most like a photo: all of few are compared, of many the signs."""

import numpy as np
from numpy.typing import NDArray

from tagger.errors import NotCompiledError
from tagger.places.embeddings import Floats, signs, unit
from tagger.places.pack import Pack

try:
    from tagger.places import _bits
except ImportError as error:
    raise NotCompiledError from error

EXACT = 20_000  # references up to which each one is compared in full
COMPARED = 2_000  # of more references, those whose signs differ least


class PackSearch:
    """A pack made ready to be asked; several threads may ask at once.

    Of many references, the signs of all embeddings, 32 bytes each, are compared with the photo's,
    and only those of which fewest differ are compared in full. docs/scaling.md compares that with
    usearch, hnswlib and faiss.
    """

    def __init__(self, pack: Pack, exact: int = EXACT, compared: int = COMPARED) -> None:
        self._pack, self._compared = pack, compared
        self._all = unit(pack.embeddings) if len(pack.owners) <= exact else None

    def nearest(self, place: Floats, count: int) -> tuple[NDArray[np.int64], Floats]:
        """The ``count`` references most like an embedding [E] of length 1, and their cosines."""
        if self._all is not None:
            cosines = products_with(self._all, place)
            best = _best(cosines, count)
            return best, cosines[best]
        rows = least_different(self._pack.bits, signs(place[None]), self._compared)
        # Not unit(): divided after the product, it takes half the time.
        values = self._pack.embeddings[rows].astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", values, values)) + 1e-9
        cosines = products_with(values, place) / lengths
        best = _best(cosines, count)
        return rows[best], cosines[best]


def least_different(
    bits: NDArray[np.uint8], query: NDArray[np.uint8], count: int
) -> NDArray[np.int64]:
    """Of rows of signs [R, 8 W], the ``count`` that differ least from one [1, 8 W], as they lie."""
    rows = np.empty(count, np.int32)
    held = _bits.nearest(bits, query, rows)
    return rows[:held].astype(np.int64)


def products_with(rows: Floats, place: Floats) -> Floats:
    """Of rows [R, E] with a place [E]; not by BLAS, whose threads would then wait in a loop."""
    products: Floats = np.einsum("ij,j->i", rows, place)
    return products


def _best(values: Floats, count: int) -> NDArray[np.int64]:
    """Where the highest are, these first."""
    if len(values) > count:
        some = np.argpartition(-values, count)[:count]
        return some[np.argsort(-values[some], kind="stable")]
    return np.argsort(-values, kind="stable")
