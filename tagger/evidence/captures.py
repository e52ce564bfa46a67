"""The index of a library's photos by time and camera, an SQLite table: memory stays flat."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from tagger.evidence.cache_file import as_stored
from tagger.evidence.captures_file import CapturesFile
from tagger.evidence.clocks import DAY, ClockSpan, ahead_by_views, runs_of
from tagger.evidence.families import family_of
from tagger.evidence.one_name import Placed, two_at_once
from tagger.metadata.capture import Capture

_COLUMNS = "key, local, utc, camera, latitude, longitude, error_m"
MOST_OF_FAMILY = 32  # photos of one family that are asked; a burst has more


class By(Enum):
    """Which clock neighbours are looked up by."""

    CAMERA = "local"  # the photo's own camera, by its own clock
    OWN = "own"  # the photo's own camera by UTC
    STATED = "stated"  # the photo's own camera by UTC, where its photos state their clock
    UNSTATED = "unstated"  # the photo's own camera by its clock, where they do not
    WALL = "wall"  # any camera, by what clocks on the wall showed
    UTC = "utc"


BY_UTC = frozenset((By.OWN, By.STATED, By.UTC))
WEEK = 7 * DAY
BEFORE_S = 30 * DAY  # without a photo: what comes then is a beginning
# Views that tell a clock: so many seconds before and after, so many on each side.
VIEWS_SPAN, MOST_VIEWS = 2 * 86_400.0, 50
MOST_RUNS = 500  # weeks of cameras whose clocks are kept in memory


class Captures(CapturesFile):
    """The index, asked for neighbours in time, families and clocks."""

    def __init__(self, path: Path | None = None, read_only: bool = False) -> None:
        self._positioned: dict[int, int] = {}
        self._shared: dict[tuple[str, int], bool] = {}
        self._runs: dict[tuple[str, int], list[ClockSpan]] = {}
        self._begun: dict[tuple[str, float], bool] = {}
        super().__init__(path, read_only)

    def _forget(self) -> None:
        self._positioned.clear()
        self._shared.clear()
        self._runs.clear()
        self._begun.clear()

    def family(self, key: str) -> list[Capture]:
        """The other photos of a photo's family by name that carry a position of their own."""
        with self._lock:
            self.flush()
            rows = self._db.execute(
                "SELECT key, local, ahead, camera, latitude, longitude, error_m FROM captures"
                " WHERE family = ? AND stated AND key <> ? ORDER BY local LIMIT ?",
                (as_stored(family_of(key)), as_stored(key), MOST_OF_FAMILY),
            ).fetchall()
        return [
            Capture(
                name.decode("utf-8", "surrogateescape"), local, ahead, camera=camera,
                position=(latitude, longitude), error_m=error_m,
            )
            for name, local, ahead, camera, latitude, longitude, error_m in rows
        ]  # fmt: skip

    def around(
        self, by: By, moment: float, gap: float, camera: str = "", most: int = 12
    ) -> tuple[list[Placed], list[Placed]]:
        """Photos with a position before ``moment`` (nearest first), and from it on.

        Args:
            by: the clock that ``moment`` is of, and whose photos are looked at.
            moment: seconds since 1970 on that clock.
            gap: seconds to look at most, each way.
            camera: whose photos; all other cameras' with ``By.WALL`` and ``By.UTC``.
            most: how many on each side.
        """
        column = "utc" if by in BY_UTC else "local"
        where = "camera <> ?" if by in (By.WALL, By.UTC) else "camera = ?"
        if by is By.STATED:
            where += " AND ahead IS NOT NULL"
        elif by is By.UNSTATED:  # in an hour that came twice, their clock tells no moment
            where += " AND ahead IS NULL AND utc IS NOT NULL"
        kept = (
            f"SELECT {_COLUMNS} FROM captures WHERE {where} AND latitude IS NOT NULL AND {column}"
        )
        with self._lock:
            self.flush()
            before = self._db.execute(
                f"{kept} < ? AND {column} >= ? ORDER BY {column} DESC LIMIT ?",
                (camera, moment, moment - gap, most),
            ).fetchall()
            after = self._db.execute(
                f"{kept} >= ? AND {column} <= ? ORDER BY {column} LIMIT ?",
                (camera, moment, moment + gap, most),
            ).fetchall()
        return [Placed(*row) for row in before], [Placed(*row) for row in after]

    def clock(self, camera: str, local: float, most: int = 5) -> list[tuple[float, float]]:
        """What is known of a camera's clock: (local, seconds ahead of UTC), nearest first."""
        with self._lock:
            self.flush()
            rows: list[tuple[float, float]] = []
            for compare, order in (("<", "DESC"), (">=", "ASC")):
                rows += self._db.execute(
                    "SELECT local, ahead FROM captures WHERE camera = ? AND ahead IS NOT NULL AND"
                    f" local IS NOT NULL AND local {compare} ? ORDER BY local {order} LIMIT ?",
                    (camera, local, most),
                ).fetchall()
        return sorted(rows, key=lambda row: abs(row[0] - local))

    def runs(self, camera: str, local: float) -> list[ClockSpan]:
        """The clock offsets of a camera in the weeks around, from photos that state or imply them.

        If none states one, the clock is assumed to have shown local time at the photos' positions.
        """
        week = int(local // WEEK)
        if (camera, week) not in self._runs:
            if len(self._runs) >= MOST_RUNS:
                self._runs.clear()
            span = (camera, (week - 1) * WEEK, (week + 2) * WEEK)
            with self._lock:
                self.flush()
                for column in ("ahead", "latitude"):
                    rows = self._db.execute(
                        "SELECT utc, local - utc FROM captures WHERE camera = ? AND utc >= ?"
                        f" AND utc < ? AND local IS NOT NULL AND {column} IS NOT NULL ORDER BY utc",
                        span,
                    )
                    if spans := runs_of(rows):
                        break
            self._runs[camera, week] = spans
        return self._runs[camera, week]

    def ahead_by_views(self, camera: str, local: float) -> float | None:
        """How far ahead of UTC a clock was, by views that other cameras photographed too."""
        with self._lock:
            rows: list[tuple[float, float]] = []
            for compare, order in (("<", "DESC"), (">=", "ASC")):
                rows += self._db.execute(
                    f"SELECT local, ahead FROM same_views WHERE camera = ? AND local {compare} ?"
                    f" AND local >= ? AND local <= ? ORDER BY local {order} LIMIT ?",
                    (camera, local, local - VIEWS_SPAN, local + VIEWS_SPAN, MOST_VIEWS),
                ).fetchall()
        return ahead_by_views(local, rows)

    def positioned(self, moment: float) -> int:
        """How many cameras noted positions in the weeks around ``moment``, which is about UTC."""
        number = int(moment // WEEK)
        if number not in self._positioned:
            with self._lock:
                self.flush()
                (count,) = self._db.execute(
                    "SELECT count(DISTINCT camera) FROM captures WHERE latitude IS NOT NULL"
                    " AND utc >= ? AND utc < ?",
                    ((number - 1) * WEEK, (number + 2) * WEEK),
                ).fetchone()
            self._positioned[number] = count
        return self._positioned[number]

    def began_at(self, camera: str, moment: float) -> bool:
        """Whether a camera's photos begin on the day from ``moment`` on, by its own clock.

        None is from BEFORE_S before that, and none of that day says anything of its clock.
        """
        if (camera, moment) not in self._begun:
            with self._lock:
                self.flush()
                first, clocks = self._db.execute(
                    "SELECT min(local), count(ahead) FROM captures"
                    " WHERE camera = ? AND taken AND local >= ? AND local < ?",
                    (camera, moment - BEFORE_S, moment + DAY),
                ).fetchone()
            self._begun[camera, moment] = first is not None and first >= moment and not clocks
        return self._begun[camera, moment]

    def shared(self, camera: str, moment: float) -> bool:
        """Whether a name stands for two cameras in the weeks around ``moment``, which is UTC."""
        week = int(moment // WEEK)
        if (camera, week) not in self._shared:
            with self._lock:
                self.flush()
                rows = self._db.execute(
                    f"SELECT {_COLUMNS} FROM captures WHERE camera = ? AND latitude IS NOT NULL"
                    " AND utc >= ? AND utc < ? ORDER BY utc",
                    (camera, (week - 1) * WEEK, (week + 2) * WEEK),
                )
                self._shared[camera, week] = two_at_once(Placed(*row) for row in rows)
        return self._shared[camera, week]

    def zones(self) -> list[float]:
        """How far ahead of UTC clocks on the wall were, commonest first.

        Zones of less than a hundredth of the photos are left out.
        """
        with self._lock:
            self.flush()
            rows = self._db.execute(
                "SELECT round((local - utc) / 900) * 900 AS ahead, count(*) FROM captures"
                " WHERE latitude IS NOT NULL AND utc IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"
            ).fetchall()
        least = sum(count for _, count in rows) / 100
        return [ahead for ahead, count in rows if count >= least]

    def cameras(self) -> Iterator[tuple[str, int, int, int, float | None, float | None]]:
        """Each camera: its photos, those with a position, with a known clock, how far ahead."""
        with self._lock:
            self.flush()
            yield from self._db.execute(
                "SELECT camera, count(*), count(latitude), count(ahead), min(ahead), max(ahead)"
                " FROM captures WHERE taken GROUP BY camera ORDER BY count(*) DESC, camera"
            ).fetchall()
