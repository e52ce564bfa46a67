"""The source ``track``: where a GPS track was at the moment the photo was taken."""

import math
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tagger.evidence.camera_clocks import CameraClocks
from tagger.evidence.captures import Captures
from tagger.evidence.clocks import HOUR
from tagger.evidence.estimate import Estimate, between
from tagger.evidence.in_words import far, lasting
from tagger.evidence.limits import Limits
from tagger.evidence.motion import FASTEST_WALK, RAYLEIGH_68, RAYLEIGH_95, WAY_ON_FOOT, WAY_SHARE
from tagger.evidence.tracks.jumps import LONGEST_GAP, OUTSIDE, doubtful
from tagger.evidence.tracks.point import Point
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m
from tagger.records import Source

RECEIVER_M = (
    12.0  # the scale of a receiver's error where the track does not state one: 30 m of 95 %
)
JUMP = "the track jumps there, faster than anything travels"
WANDER = 0.5  # metres a second ** 0.8 to either side of the straight line between two points
# Metres a second squared: how a ride departs from an even speed. A walk does as neighbours in time
# show it, but for less than EVEN seconds: of a walk in Jette of which only every 300th to 1,200th
# second is kept, 96.6 to 98.4 % of points lie within the radius (67 to 79 % without this).
ACCELERATION, EVEN = 1.0, 300.0


class Tracks:
    """The points of all tracks in order of time, on disk, so that memory stays flat.

    Args:
        points: in any order; a later point of the same moment replaces an earlier one.
    """

    def __init__(self, points: Iterable[Point]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="landmark-tag-tracks-")
        path = Path(self._folder.name) / "points.db"
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._fill(points)
        except BaseException:  # a track that cannot be read
            self.close()
            raise

    def _fill(self, points: Iterable[Point]) -> None:
        for statement in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -8000"):
            self._db.execute(f"PRAGMA {statement}")
        self._db.execute(
            "CREATE TABLE points (utc REAL PRIMARY KEY, latitude REAL NOT NULL,"
            " longitude REAL NOT NULL, error_m REAL) WITHOUT ROWID"
        )
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)", points)
        self._db.execute("CREATE TABLE doubtful (since REAL PRIMARY KEY, until REAL NOT NULL)")
        rows = self._db.execute("SELECT * FROM points ORDER BY utc")
        self._db.executemany(
            "INSERT OR REPLACE INTO doubtful VALUES (?, ?)", doubtful(Point(*row) for row in rows)
        )
        self._db.execute("COMMIT")

    def __len__(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM points").fetchone()
        return int(count)

    def around(self, utc: float) -> tuple[Point | None, Point | None]:
        """The last point at or before the moment, and the first after it."""
        before = self._db.execute(
            "SELECT * FROM points WHERE utc <= ? ORDER BY utc DESC LIMIT 1", (utc,)
        ).fetchone()
        after = self._db.execute(
            "SELECT * FROM points WHERE utc > ? ORDER BY utc LIMIT 1", (utc,)
        ).fetchone()
        return (Point(*before) if before else None), (Point(*after) if after else None)

    def believed(self, utc: float) -> bool:
        """Whether the receiver was not wrong at the moment, as jumps before and after show."""
        row = self._db.execute(
            "SELECT until FROM doubtful WHERE since < ? ORDER BY since DESC LIMIT 1", (utc,)
        ).fetchone()
        return row is None or row[0] <= utc

    def close(self) -> None:
        """Remove the file."""
        self._db.close()
        self._folder.cleanup()


class TrackSource:
    """Positions by interpolation in GPS tracks."""

    source = Source.TRACK

    def __init__(self, tracks: Tracks, captures: Captures, limits: Limits) -> None:
        self._tracks, self._limits = tracks, limits
        self._clocks = CameraClocks(captures, limits)

    def estimate(self, photo: Capture) -> Estimate | None:
        """See :class:`tagger.evidence.estimate.PositionSource`."""
        if photo.local is None or not photo.taken:
            return None
        clocks = self._clocks.of(photo)
        answers = [self.at(photo.local - clock.ahead) for clock in clocks]
        only = answers[0] if len(answers) == 1 else None
        if only and (other := self._clocks.by_place(photo, clocks[0], only)):
            answers.append(self.at(photo.local - other.ahead))
        if answers and (first := answers[0]) and (apart := _apart(answers)) is not None:
            radius = first.radius_95_m + apart
            if len(answers) == 1 or radius <= self._limits.max_radius_m:
                return replace(first, radius_95_m=radius)
        return self._by_readings(photo, photo.local)

    def _by_readings(self, photo: Capture, local: float) -> Estimate | None:
        """No clock is known: every hour that the clock may be ahead of UTC is tried."""
        hours = [HOUR * n for n in range(-12, 15)]
        answers = [answer for ahead in hours if (answer := self.at(local - ahead)) is not None]
        if not answers:
            return None
        first = answers[0]
        apart = max(
            distance_m((first.latitude, first.longitude), (other.latitude, other.longitude))
            for other in answers
        )
        name = photo.camera or "this camera"
        # A single reading on the track may still be the wrong one: the right one may lie off it.
        return Estimate(
            Source.TRACK, first.latitude, first.longitude, math.inf, math.inf, 0.5, first.words,
            f"the clock of {name} is not known, and the track fits {len(answers)} time zones "
            f"({far(apart)} apart); set --utc-offset or --clock-offset",
        )  # fmt: skip

    def at(self, utc: float) -> Estimate | None:
        """The track's position at a moment (seconds since 1970, UTC); None where it has none."""
        before, after = self._tracks.around(utc)
        if (beside := before or after) and not self._tracks.believed(utc):
            return Estimate(
                Source.TRACK, *beside[1:3], math.inf, math.inf, 0.5, "on the track", JUMP
            )  # fmt: skip
        if before and after and after.utc - before.utc <= LONGEST_GAP:
            gap = after.utc - before.utc
            share = (utc - before.utc) / gap if gap else 0.0
            position = between(before[1:3], after[1:3], share)
            wander = WANDER * (gap * share * (1 - share)) ** 0.8
            way = distance_m(before[1:3], after[1:3])
            along = _along(way, gap, share) / RAYLEIGH_95
            scales = [wander, _error(before, after), way / max(gap, 1.0), along]
            return self._estimate(position, scales, "on the track")
        near = [point for point in (before, after) if point and abs(point.utc - utc) <= OUTSIDE]
        if not near:
            return None
        nearest = min(near, key=lambda point: abs(point.utc - utc))
        away = abs(nearest.utc - utc)
        ride = away * self._ride_at(nearest, nearest is after) / RAYLEIGH_95
        words = f"{lasting(away)} {'after' if nearest.utc < utc else 'before'} a point of the track"
        scales = [away, _error(nearest), ride]
        return self._estimate((nearest.latitude, nearest.longitude), scales, words)

    def _ride_at(self, end: Point, first: bool) -> float:
        """Metres a second at the start or the end of a track; 0 on foot, or where none shows it."""
        earlier, later = self._tracks.around(end.utc if first else math.nextafter(end.utc, 0.0))
        inner = later if first else earlier
        if inner is None or abs(inner.utc - end.utc) > LONGEST_GAP:
            return 0.0
        pace = distance_m(inner[1:3], end[1:3]) / max(abs(inner.utc - end.utc), 1.0)
        return pace if pace > FASTEST_WALK else 0.0

    def _estimate(self, position: tuple[float, float], scales: list[float], words: str) -> Estimate:
        scale = math.hypot(*scales)
        radius = RAYLEIGH_95 * scale
        refused = ""
        if radius > self._limits.max_radius_m:
            refused = f"known to {far(radius)} only"
        return Estimate(Source.TRACK, *position, RAYLEIGH_68 * scale, radius, 0.98, words, refused)


def _along(way: float, gap: float, share: float) -> float:
    """Metres that an even speed between two points may be wrong by: who rides stops, and speeds.

    >>> round(_along(45_000, 1800, 0.5)), round(_along(750, 30, 0.5)), round(_along(40, 30, 0.5))
    (45000, 112, 2)
    """
    if way > FASTEST_WALK * gap:
        return min(way, ACCELERATION * gap * share * gap * (1 - share) / 2)
    return WAY_ON_FOOT * way * min(1.0, WAY_SHARE * min(share, 1 - share), gap / EVEN)


def _apart(answers: Sequence[Estimate | None]) -> float | None:
    """How far other clock readings lead from the first; None if one has no position."""
    places = [(one.latitude, one.longitude) for one in answers if one]
    if len(places) < len(answers):
        return None
    return max(distance_m(places[0], place) for place in places)


def _error(*points: Point) -> float:
    """The scale of the receiver's error; stated accuracies are radii of 68 %."""
    stated_m = [point.error_m / RAYLEIGH_68 for point in points if point.error_m]
    return max([RECEIVER_M, *stated_m])
