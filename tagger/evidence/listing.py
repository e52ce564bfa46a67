"""What a run lists, beside the index of views: what else the index holds may be gone."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tagger.evidence.cache_file import as_stored, unusable

ROWS = 2000


class Listing:
    """The keys that a run lists, in a temporary table: memory stays flat.

    Args:
        path: the file of the index, for messages.
        db, lock: its connection.
    """

    def __init__(self, path: Path | None, db: sqlite3.Connection, lock: threading.RLock) -> None:
        self._path, self._db, self._lock = path, db, lock
        self._waiting: list[tuple[bytes]] = []
        with self._asking() as ask:
            ask.execute("CREATE TEMP TABLE IF NOT EXISTS listed (key BLOB PRIMARY KEY)")
            ask.execute("DELETE FROM temp.listed")

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise unusable(self._path, "the index of views", error) from error

    def add(self, key: str) -> None:
        """Note a photo that is listed."""
        self._waiting.append((as_stored(key),))
        if len(self._waiting) >= ROWS:
            self._flush()

    def _flush(self) -> None:
        with self._asking() as ask:
            ask.executemany("INSERT OR IGNORE INTO temp.listed VALUES (?)", self._waiting)
        self._waiting.clear()

    def others(self, root: str, most: int) -> list[str]:
        """Photos below ``root`` that are in the index and were not listed, any ``most`` of them.

        None where nothing below it was listed: a disk that is not mounted is empty.
        """
        self._flush()
        # What begins with the root and a slash, whose next character is 0.
        folder = root if root.endswith("/") else f"{root}/"
        span = as_stored(folder), as_stored(f"{folder[:-1]}0")
        with self._asking() as ask:
            any_listed = ask.execute(
                "SELECT 1 FROM temp.listed WHERE key >= ? AND key < ? LIMIT 1", span
            ).fetchone()
            if not any_listed:
                return []
            rows = ask.execute(
                "SELECT key FROM views WHERE key >= ? AND key < ? AND NOT EXISTS"
                " (SELECT 1 FROM temp.listed WHERE listed.key = views.key)"
                " ORDER BY random() LIMIT ?",
                (*span, most),
            ).fetchall()
        return [key.decode("utf-8", "surrogateescape") for (key,) in rows]
