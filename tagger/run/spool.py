"""Photos between the two passes of a run: in order, families together."""

import pickle
import sqlite3
import tempfile
from collections.abc import Iterator

from tagger.run.stages import WorkItem

# Photos that are kept in memory, about 700 bytes each; the rest lies in a temporary file.
KEPT = 50_000
TABLES = """
CREATE TABLE seen (family BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE behind (family BLOB, photo BLOB);
CREATE INDEX behind_by_family ON behind (family);
"""


class Spool:
    """Photos in order, the first of them in memory and the rest in a temporary file.

    A photo whose family was there before comes behind the first of it.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[bytes, WorkItem]] = []
        self._more: list[tuple[bytes, WorkItem]] = []
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._blocks = 0
        # An empty name is a temporary database: SQLite spills it to disk and removes it.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode = OFF; {TABLES} BEGIN;")
        self._any_behind = False

    def add(self, item: WorkItem, family: str = "") -> None:
        """Put a photo at the end, or behind the first of its family."""
        name = family.encode("utf-8", "surrogateescape")
        if name and not self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (name,)).rowcount:
            photo = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
            self._db.execute("INSERT INTO behind VALUES (?, ?)", (name, photo))
            self._any_behind = True
        elif len(self._kept) < KEPT:
            self._kept.append((name, item))
        else:
            self._more.append((name, item))
            if len(self._more) == 1000:
                self._spill()

    def _spill(self) -> None:
        pickle.dump(self._more, self._file, pickle.HIGHEST_PROTOCOL)
        self._blocks += 1
        self._more.clear()

    def __iter__(self) -> Iterator[list[WorkItem]]:
        """All that was added, once, family by family; memory is freed on the way."""
        self._kept.reverse()
        while self._kept:
            yield self._family(*self._kept.pop())
        self._file.seek(0)
        for _ in range(self._blocks):
            for name, item in pickle.load(self._file):
                yield self._family(name, item)
        for name, item in self._more:
            yield self._family(name, item)

    def _family(self, name: bytes, first: WorkItem) -> list[WorkItem]:
        if not (name and self._any_behind):
            return [first]
        rows = self._db.execute("SELECT photo FROM behind WHERE family = ? ORDER BY rowid", (name,))
        return [first, *(pickle.loads(photo) for (photo,) in rows)]

    def close(self) -> None:
        """Let go of the files."""
        self._file.close()
        self._db.close()
