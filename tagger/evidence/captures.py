"""The index of a library's photos by time and camera, an SQLite table: memory stays flat."""

import sqlite3
import threading
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from tagger.metadata.capture import Capture

TABLES = """
CREATE TABLE IF NOT EXISTS captures (
    key BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, etag TEXT NOT NULL,
    local REAL, ahead REAL, utc REAL, camera TEXT NOT NULL, latitude REAL, longitude REAL,
    error_m REAL, taken INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS captures_by_camera ON captures (camera, local)
    WHERE latitude IS NOT NULL AND local IS NOT NULL;
CREATE INDEX IF NOT EXISTS captures_by_utc ON captures (utc)
    WHERE latitude IS NOT NULL AND utc IS NOT NULL;
CREATE INDEX IF NOT EXISTS captures_by_wall ON captures (local)
    WHERE latitude IS NOT NULL AND local IS NOT NULL;
CREATE INDEX IF NOT EXISTS captures_by_clock ON captures (camera, local)
    WHERE ahead IS NOT NULL AND local IS NOT NULL;
"""
_COLUMNS = "key, local, utc, camera, latitude, longitude, error_m"
_ROWS = 1000


class Placed(NamedTuple):
    """A row of the index that has a position; degrees, metres, seconds since 1970."""

    key: bytes
    local: float | None
    utc: float | None
    camera: str
    latitude: float
    longitude: float
    error_m: float | None


class By(Enum):
    """Which clock neighbours are looked up by."""

    CAMERA = "local"  # the photo's own camera, by its own clock
    WALL = "wall"  # any camera, by what clocks on the wall showed
    UTC = "utc"


class Captures:
    """The table of one run.

    Args:
        db: an open database; the ledger's, or one of its own.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._lock = threading.RLock()
        self._waiting: list[tuple[object, ...]] = []
        with self._lock:
            for statement in TABLES.split(";"):
                if statement.strip():
                    db.execute(statement)

    def add(
        self, photo: Capture, version: tuple[int, int, str], ahead: float | None, utc: float | None
    ) -> None:
        """Note a photo; ``ahead`` is how far its clock is ahead of UTC, in seconds, where known."""
        latitude, longitude = photo.position or (None, None)
        row = (
            photo.key.encode("utf-8", "surrogateescape"), *version, photo.local, ahead, utc,
            photo.camera, latitude, longitude, photo.error_m, photo.taken,
        )  # fmt: skip
        with self._lock:
            self._waiting.append(row)
            if len(self._waiting) >= _ROWS:
                self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            if not self._waiting:
                return
            inside = self._db.in_transaction
            if not inside:
                self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO captures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self._waiting,
            )
            self._waiting.clear()
            if not inside:
                self._db.execute("COMMIT")

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
        column = "utc" if by is By.UTC else "local"
        where = "camera = ?" if by is By.CAMERA else "camera <> ?"
        kept = (
            f"SELECT {_COLUMNS} FROM captures WHERE {where} AND latitude IS NOT NULL AND {column}"
        )
        with self._lock:
            self.flush()
            before = self._db.execute(
                f"{kept} < ? AND {column} >= ? ORDER BY {column} DESC LIMIT ?",
                (camera, moment, moment - gap, most),
            )
            after = self._db.execute(
                f"{kept} >= ? AND {column} <= ? ORDER BY {column} LIMIT ?",
                (camera, moment, moment + gap, most),
            )
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

    def cameras(self) -> Iterator[tuple[str, int, int, int]]:
        """Each camera with how many photos it took, with a position, and with a known clock."""
        with self._lock:
            self.flush()
            yield from self._db.execute(
                "SELECT camera, count(*), count(latitude), count(ahead) FROM captures"
                " WHERE taken GROUP BY camera ORDER BY count(*) DESC, camera"
            ).fetchall()
