"""Filters and sorts the rows of a report: columns in, row numbers out."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tagger.review.decision import REVIEWABLE, Verdict
from tagger.review.session import Review
from tagger.review.sheet import number
from tagger.review.trusted_root import Root, inside, relative


class Order(StrEnum):
    """Most doubtful first, surest first, or as the run listed them."""

    DOUBT = "Most doubtful first"
    CONFIDENCE = "Surest first"
    LISTED = "As listed"


class Progress(StrEnum):
    """What has become of a row in this review."""

    ALL = "All"
    OPEN = "To review"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    CORRECTED = "Corrected"


@dataclass(frozen=True, slots=True)
class Filter:
    """What to show; empty tuples and an empty folder mean all."""

    statuses: tuple[str, ...] = ()
    landmarks: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    folder: str = ""
    progress: Progress = Progress.ALL
    order: Order = Order.DOUBT
    sources: tuple[str, ...] = ()

    def words(self) -> str:
        """The filter in words."""
        parts: list[str] = [self.progress] if self.progress is not Progress.ALL else []
        parts += [name.replace("_", " ") for name in self.statuses]
        parts += self.landmarks
        parts += [f"position by {name}" for name in self.sources]
        if (self.low, self.high) != (0.0, 1.0):
            parts.append(f"confidence {100 * self.low:.0f} to {100 * self.high:.0f} %")
        return ", ".join(filter(None, (*parts, self.folder)))


class _Column:
    """A column with many equal texts, as indexes into a sorted list."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.names = sorted(set(texts))
        numbers = {name: number for number, name in enumerate(self.names)}
        self._codes = np.array([numbers[text] for text in texts], dtype=np.int64)

    def among(self, names: Sequence[str]) -> NDArray[np.bool_]:
        return np.isin(self._codes, [n for n, name in enumerate(self.names) if name in set(names)])

    def frequent(self, rows: NDArray[np.bool_]) -> list[str]:
        counts = Counter(self._codes[rows].tolist())
        return [self.names[code] for code, _ in counts.most_common() if self.names[code]]


class View:
    """The columns of a report that filters and orders need, read once.

    ``refused`` counts rows that name something outside the root; they are never shown. ``total``
    counts those that a decision can be made on.
    """

    def __init__(self, review: Review, root: Root) -> None:
        sheet = review.sheet
        paths = [sheet.photo(row) for row in range(len(sheet.rows))]
        self.allowed = np.array([inside(path, root) for path in paths], dtype=bool)
        self.refused = int((~self.allowed).sum())
        self._review = review
        self._confidence = np.array([number(text) for text in sheet.column("confidence")], float)
        self._columns = {
            "status": _Column(sheet.column("status")),
            "landmark": _Column([review.original(n, "landmark") for n in range(len(paths))]),
            "source": _Column([review.original(n, "source") for n in range(len(paths))]),
            "folder": _Column(
                [
                    os.path.dirname(relative(path, root)) or "." if ok else ""
                    for path, ok in zip(paths, self.allowed, strict=True)
                ]
            ),
        }

        self.total = int((self.allowed & self._columns["status"].among(sorted(REVIEWABLE))).sum())

    def choices(self, column: str) -> list[str]:
        """The values of a column among rows that may be shown, most frequent first.

        Landmarks that only a decision names come last.
        """
        values = self._columns[column].frequent(self.allowed)
        named = set(self._named().values()) if column == "landmark" else set()
        return values + sorted(named.difference(values, {""}))

    def _named(self) -> dict[int, str]:
        """The landmark that each row has by a decision."""
        return {row: self._review.sheet.cell(row, "landmark") for row in self._review.decisions}

    def rows(self, wanted: Filter) -> NDArray[np.int64]:
        """Row numbers that pass the filter, in its order."""
        keep = self.allowed.copy()
        if wanted.statuses:
            keep &= self._columns["status"].among(wanted.statuses)
        if wanted.landmarks:
            named = self._columns["landmark"].among(wanted.landmarks)
            for row, name in self._named().items():
                named[row] |= name in wanted.landmarks
            keep &= named
        if wanted.sources:
            keep &= self._columns["source"].among(wanted.sources)
        if wanted.folder:
            folders = self._columns["folder"]
            below = [name for name in folders.names if (name + os.sep).startswith(
                wanted.folder + os.sep)]  # fmt: skip
            keep &= folders.among(below)
        confidence = self._confidence
        if (wanted.low, wanted.high) != (0.0, 1.0):
            keep &= (confidence >= wanted.low) & (confidence <= wanted.high)
        keep &= self._progress(wanted.progress)
        return np.flatnonzero(keep)[self._order(confidence[keep], wanted.order)]

    def _progress(self, wanted: Progress) -> NDArray[np.bool_]:
        if wanted is Progress.ALL:
            return np.ones(len(self.allowed), dtype=bool)
        kinds = {
            Progress.OPEN: set(Verdict),
            Progress.ACCEPTED: {Verdict.ACCEPT},
            Progress.REJECTED: {Verdict.REJECT},
            Progress.CORRECTED: {Verdict.LANDMARK, Verdict.PLACE},
        }[wanted]
        rows = [
            row for row, decision in self._review.decisions.items() if decision.verdict in kinds
        ]
        chosen = np.zeros(len(self.allowed), dtype=bool)
        chosen[np.array(rows, dtype=np.int64)] = True
        return ~chosen if wanted is Progress.OPEN else chosen

    @staticmethod
    def _order(confidence: NDArray[np.float64], order: Order) -> NDArray[np.int64]:
        if order is Order.LISTED:
            return np.arange(len(confidence))
        # As likely right as wrong is the greatest doubt; rows without a guess come last.
        key = -confidence if order is Order.CONFIDENCE else np.abs(confidence - 0.5)
        return np.argsort(np.where(np.isnan(key), np.inf, key), kind="stable").astype(np.int64)
