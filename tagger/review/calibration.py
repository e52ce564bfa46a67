"""What a review teaches: how often the tool was right at each confidence, and where to accept."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

EDGES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
_Z = 1.959964  # 95 %


@dataclass(frozen=True, slots=True)
class Judged:
    """One reviewed row: the confidence the tool had in its best guess, and whether it was right."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class Band:
    """Reviewed rows with a confidence in low <= c < high (<= 1 in the last band).

    ``least`` and ``most`` enclose the true accuracy with 95 % probability (Wilson).
    """

    low: float
    high: float
    count: int
    right: int
    mean_confidence: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The lowest threshold that reached the precision asked for on the reviewed rows.

    ``proven`` says that even the lower end of the interval reaches it.
    """

    threshold: float
    count: int
    precision: float
    least: float
    most: float
    proven: bool


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927); honest for few rows, unlike +-2 sigma."""
    if not count:
        return 0.0, 1.0
    share = right / count
    middle = share + _Z**2 / (2 * count)
    spread = _Z * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def bands(judged: Sequence[Judged], edges: Sequence[float] = EDGES) -> list[Band]:
    """Accuracy by confidence; bands without a reviewed row are left out."""
    table = []
    for low, high in pairwise(edges):
        rows = [
            row
            for row in judged
            if low <= row.confidence < high or (high == 1.0 and row.confidence == 1.0)
        ]
        if rows:
            right = sum(row.right for row in rows)
            mean = sum(row.confidence for row in rows) / len(rows)
            table.append(Band(low, high, len(rows), right, mean, *wilson(right, len(rows))))
    return table


def suggest(judged: Sequence[Judged], precision: float) -> Suggestion | None:
    """The lowest --min-conf at which ``precision`` of the reviewed rows above it were right."""
    rows = sorted(judged, key=lambda row: -row.confidence)
    best: Suggestion | None = None
    right = 0
    for count, row in enumerate(rows, 1):
        right += row.right
        tied = count < len(rows) and rows[count].confidence == row.confidence
        if not tied and right / count >= precision:
            least, most = wilson(right, count)
            best = Suggestion(row.confidence, count, right / count, least, most, least >= precision)
    return best
