"""The file of the index of capture times: what is noted of each photo, and looked up by its key."""

import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tagger.errors import RunError
from tagger.evidence.cache_file import as_stored, connected, opened, unusable
from tagger.evidence.families import family_of
from tagger.metadata.capture import Beside, Capture

# A cache: it can be deleted, and the next run reads the photos' first bytes again. Keys are bytes
# because file names are. ``stamp`` is the photo's version, and what lies beside it. ``stated``: the
# position is in the photo or its sidecar.
TABLES = """
CREATE TABLE IF NOT EXISTS captures (
    key BLOB PRIMARY KEY, stamp TEXT NOT NULL, local REAL, ahead REAL, utc REAL,
    camera TEXT NOT NULL, latitude REAL, longitude REAL, error_m REAL, taken INTEGER NOT NULL,
    beside TEXT, beside_latitude REAL, beside_longitude REAL, family BLOB NOT NULL,
    stated INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS captures_by_family ON captures (family) WHERE stated;
CREATE INDEX IF NOT EXISTS captures_by_camera ON captures (camera, local)
    WHERE latitude IS NOT NULL AND local IS NOT NULL;
CREATE INDEX IF NOT EXISTS captures_by_utc ON captures (utc)
    WHERE latitude IS NOT NULL AND utc IS NOT NULL;
CREATE INDEX IF NOT EXISTS captures_by_wall ON captures (local)
    WHERE latitude IS NOT NULL AND local IS NOT NULL;
CREATE INDEX IF NOT EXISTS captures_by_camera_utc ON captures (camera, utc)
    WHERE utc IS NOT NULL;
CREATE INDEX IF NOT EXISTS captures_by_clock ON captures (camera, local)
    WHERE ahead IS NOT NULL AND local IS NOT NULL;
CREATE TABLE IF NOT EXISTS same_views (
    camera TEXT NOT NULL, local REAL NOT NULL, key BLOB NOT NULL, other BLOB NOT NULL,
    ahead REAL NOT NULL, PRIMARY KEY (camera, local, key, other)) WITHOUT ROWID;
"""
FORMAT = 5
CALLED = "the index of capture times"
_ROWS = 2000


class CapturesFile:
    """The index, in a file of its own or in memory.

    Args:
        path: the file; None keeps it in a temporary file that SQLite removes.
        read_only: the file is there, and is not changed.

    Raises:
        RunError: the file cannot be used.
    """

    def __init__(self, path: Path | None = None, read_only: bool = False) -> None:
        self._path, self._lock = path, threading.RLock()
        self._waiting: list[tuple[object, ...]] = []
        self._same_views: list[tuple[bytes, bytes]] = []
        if not (path and read_only):
            self._db = opened(path, TABLES, FORMAT, CALLED)
            return
        try:
            self._db = connected(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            try:
                self._db.execute("SELECT key FROM captures LIMIT 1")  # opens the file
            except sqlite3.Error:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise unusable(path, CALLED, error) from error

    def close(self) -> None:
        """Write what waits and let go of the file."""
        with suppress(RunError):
            self.flush()
            self._keep_same_views()
        self._db.close()

    def note_same_views(self, key: str, others: Iterable[str]) -> None:
        """Record same views as ``key``; the next run reads its camera's clock.

        Not earlier: within a run, results must not depend on the order of photos.
        """
        with self._lock:
            self._same_views += [(as_stored(key), as_stored(other)) for other in others]

    def _keep_same_views(self) -> None:
        if not self._same_views:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO same_views"
                " SELECT a.camera, a.local, a.key, b.key, a.local - b.utc"
                " FROM captures AS a, captures AS b WHERE a.key = ? AND b.key = ? AND a.taken"
                " AND a.camera <> b.camera AND a.utc IS NULL AND a.local IS NOT NULL"
                " AND b.utc IS NOT NULL",
                self._same_views,
            )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise unusable(self._path, CALLED, error) from error

    def known(self, key: str, stamp: str | None) -> bool:
        """Whether this very version of the photo is in the index; None stands for any."""
        row = self._db.execute(
            "SELECT stamp FROM captures WHERE key = ?", (as_stored(key),)
        ).fetchone()
        return row is not None and stamp in (None, row[0])

    def add(
        self,
        photo: Capture,
        stamp: str,
        ahead: float | None,
        utc: float | None,
        stated: bool = False,
    ) -> None:
        """Note a photo.

        Args:
            ahead: how far its clock is ahead of UTC, in seconds, where known.
            stated: its position is in the photo or its sidecar, and not ours.
        """
        beside, position = photo.beside or Beside(""), photo.position or (None, None)
        row = (
            as_stored(photo.key), stamp, photo.local, ahead, utc, photo.camera, *position,
            photo.error_m, photo.taken, beside.name or None, *(beside.position or (None, None)),
            as_stored(family_of(photo.key)), stated,
        )  # fmt: skip
        with self._lock:
            self._waiting.append(row)
            if len(self._waiting) >= _ROWS:
                self.flush()

    def _forget(self) -> None:
        """Called where photos are added: what was counted of them before no longer holds."""

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            if self._waiting:
                self._forget()
                places = ", ".join("?" * 15)
                try:
                    self._db.execute("BEGIN IMMEDIATE")
                    self._db.executemany(
                        f"INSERT OR REPLACE INTO captures VALUES ({places})", self._waiting
                    )
                    self._db.execute("COMMIT")
                except sqlite3.Error as error:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise unusable(self._path, CALLED, error) from error
                self._waiting.clear()

    def get(self, key: str) -> Capture | None:
        """The photo as it was noted; its clock's offset stands for all that told it."""
        with self._lock:
            self.flush()
            row = self._db.execute(
                "SELECT local, ahead, camera, latitude, longitude, error_m, taken, beside,"
                " beside_latitude, beside_longitude FROM captures WHERE key = ?",
                (as_stored(key),),
            ).fetchone()
        if row is None:
            return None
        local, ahead, camera, latitude, longitude, error_m, taken, name, *beside = row
        return Capture(
            key,
            local,
            ahead,
            camera=camera,
            position=None if latitude is None else (latitude, longitude),
            error_m=error_m,
            taken=bool(taken),
            beside=Beside(name, None if None in beside else (beside[0], beside[1]))
            if name
            else None,
        )


def index_beside(ledger: Path) -> Path:
    """Where the index of a ledger lies."""
    return ledger.with_name(f"{ledger.name}.captures")
