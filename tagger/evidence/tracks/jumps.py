"""Stretches of a track that nobody can have travelled: there the receiver was wrong."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from tagger.evidence.tracks.point import Point
from tagger.places.distance import distance_m

LONGEST_GAP = 1800.0  # between two points of a track; a pause longer than that is another track
OUTSIDE = (
    120.0  # seconds before a track's start or after its end that its first or last point serves
)
FASTEST = 340.0  # metres a second: an airliner with a strong tail wind
HARDEST = 3.0  # metres a second squared: a car that starts, an airliner that takes off
NOISE = 200.0  # metres that two points may be off by among houses
STATED = 1.6  # times the error (68 %) that a track states: nearly all errors
SHORT = 600.0  # seconds for which a receiver is wrong
# Ways that are compared at once, and pieces that are judged at once: a track of two phones jumps
# all the time.
WAYS, PIECES = 8, 1000


@dataclass(slots=True)
class _Piece:
    """Points between two jumps: the first two and the last two."""

    first: Point
    second: Point | None
    last_but_one: Point | None
    last: Point


@dataclass(slots=True, eq=False)
class _Way:
    """Pieces, each of which can be reached from the one before: numbers, the last, and seconds."""

    begin: int
    end: int
    last: _Piece
    seconds: float = 0.0

    def beside(self, other: "_Way") -> bool:
        """Whether it goes on after a piece of the other one."""
        return self is not other and self.begin < other.end and other.begin < self.end


def doubtful(points: Iterable[Point]) -> Iterator[tuple[float, float]]:
    """Spans of time, without their ends, in which a track is not believed; both ends rise.

    Args:
        points: in order of time.
    """
    pieces = list[_Piece]()
    before: Point | None = None
    a: Point | None = None
    b: Point | None = None
    left: Point | None = None  # where the last jump began
    for after in chain(points, (None,)):
        if b is not None:
            if a is None or b.utc - a.utc > LONGEST_GAP or len(pieces) == PIECES:
                yield from _judged(pieces)
                pieces, left = [_Piece(b, None, None, b)], None
            elif _jumps(before, a, b, after) or (left and _returns(left, a, b)):
                pieces.append(_Piece(b, None, None, b))
                left = None if left and _returns(left, a, b) else a
            else:
                here = pieces[-1]
                here.second, here.last_but_one, here.last = here.second or b, a, b
        before, a, b = a, b, after
    yield from _judged(pieces)


def _jumps(before: Point | None, a: Point, b: Point, after: Point | None) -> bool:
    """Whether nobody gets from ``a`` to ``b`` in time, from the point before to the one after."""
    way = distance_m(a[1:3], b[1:3]) - NOISE
    if way <= 0:
        return False
    way -= STATED * ((a.error_m or 0) + (b.error_m or 0))
    return way > _farthest(_pace(before, a), _pace(b, after), b.utc - a.utc)


def _returns(left: Point, a: Point, b: Point) -> bool:
    """Whether a step that is possible, being slow, leads back to where a jump began."""
    way = distance_m(a[1:3], b[1:3])
    return way > NOISE and 2 * distance_m(left[1:3], b[1:3]) < way


def _pace(a: Point | None, b: Point | None) -> float:
    """Metres a second that a step between two points can begin or end with; FASTEST if unknown."""
    if a is None or b is None or b.utc - a.utc > LONGEST_GAP:
        return FASTEST
    gap, way = b.utc - a.utc, distance_m(a[1:3], b[1:3])
    if way >= HARDEST * gap * gap / 2:
        return way / gap + HARDEST * gap / 2
    return math.sqrt(2 * HARDEST * way)  # at rest, then off


def _farthest(first: float, last: float, gap: float) -> float:
    """Metres that a ride takes one at most that begins and ends with such paces.

    >>> round(_farthest(0, 0, 60)), round(_farthest(30, 30, 10)), round(_farthest(500, 500, 10))
    (2700, 375, 3400)
    """
    gain = HARDEST * gap
    first, last = min(first, last + gain, FASTEST), min(last, first + gain, FASTEST)
    peak = min((first + last + gain) / 2, FASTEST)
    speeding = (2 * peak - first - last) / HARDEST
    return (2 * peak**2 - first**2 - last**2) / (2 * HARDEST) + (gap - speeding) * peak


def _judged(pieces: Sequence[_Piece]) -> Iterator[tuple[float, float]]:
    """The doubtful spans of one track.

    A way that is left and comes back is right, and wrong is what was between, unless that took half
    as long. Of two ways that follow each other a short one is wrong. If none is, nothing tells
    which one is wrong, and for how long.
    """
    if len(pieces) < 2:
        return
    of = _ways(pieces)
    ways = set(of)
    right = {
        way for way in ways if all(way.seconds > 2 * one.seconds for one in ways if one.beside(way))
    }
    if len(right) > 1:
        right = {way for way in right if way.seconds >= SHORT}
    begin, end = pieces[0].first.utc - OUTSIDE, pieces[-1].last.utc + OUTSIDE
    spans, last = list[tuple[float, float]](), -1  # the piece before that is right
    for number, way in enumerate(of):
        if way not in right:
            continue
        if last < 0 and number:
            spans.append((begin, pieces[number].first.utc))
        elif last >= 0 and (last < number - 1 or way is not of[last]):
            around = 0.0 if way is of[last] else SHORT
            spans.append((pieces[last].last.utc - around, pieces[number].first.utc + around))
        last = number
    if last < len(pieces) - 1:
        spans.append((pieces[last].last.utc if last >= 0 else begin, end))
    until = begin
    for since, later in spans:
        if later > until:
            yield max(since, until), min(later, end)
            until = later


def _ways(pieces: Sequence[_Piece]) -> list[_Way]:
    """The way that each piece is part of; of several the longest."""
    ways, of = list[_Way](), list[_Way]()
    for number, piece in enumerate(pieces):
        way = next((way for way in ways[:WAYS] if _leads(way.last, piece)), None)
        if way is None:
            ways.append(way := _Way(number, number, piece))
        way.end, way.last = number, piece
        way.seconds += piece.last.utc - piece.first.utc
        ways.sort(key=lambda way: -way.seconds)
        of.append(way)
    return of


def _leads(here: _Piece, there: _Piece) -> bool:
    """Whether one may have gone on from one piece to another."""
    return there.first.utc - here.last.utc <= LONGEST_GAP and not _jumps(
        here.last_but_one, here.last, there.first, there.second
    )
