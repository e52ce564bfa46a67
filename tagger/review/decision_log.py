"""The decisions of a review in an SQLite file beside the report; each is durable once added."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import RunError
from tagger.report.files import decisions
from tagger.review.decision import Decision
from tagger.storage.named_files import unswapped

Key = tuple[str, str]
_TABLES = """
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY, step INTEGER NOT NULL, run_id TEXT NOT NULL, path TEXT NOT NULL,
    decision TEXT NOT NULL, before TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS decisions_by_step ON decisions (step);
"""


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One decision on one row; a step is what one key press decided, and undo takes back.

    ``before`` are the cells as the run wrote them, so that they can be given back.
    """

    step: int
    key: Key
    decision: Decision
    before: tuple[str, ...]
    undone: bool


class DecisionLog:
    """An open log; other threads may use it, other processes may not open it meanwhile."""

    def __init__(self, report: Path) -> None:
        """Open or make ``REPORT.csv.review``.

        Raises:
            RunError: another review has it open, or it is damaged or cannot be written.
        """
        self.path = decisions(report)
        self._lock = threading.Lock()
        with self._explained(), ExitStack() as opened:  # closed again where it cannot be used
            with unswapped(self.path):
                self._db = sqlite3.connect(
                    self.path, timeout=0.5, isolation_level=None, check_same_thread=False
                )
                opened.callback(self._db.close)
                self._db.execute("PRAGMA schema_version")  # opens the file
            # Held for as long as it is open; FULL: a decision outlives a power cut.
            for pragma in ("locking_mode = EXCLUSIVE", "synchronous = FULL"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute("BEGIN EXCLUSIVE")
            for statement in filter(str.strip, _TABLES.split(";")):
                self._db.execute(statement)
            self._db.execute("COMMIT")
            opened.pop_all()

    def close(self) -> None:
        self._db.close()

    def entries(self) -> list[LoggedDecision]:
        """All decisions ever made, in order."""
        with self._explained():
            rows = self._db.execute(
                "SELECT step, run_id, path, decision, before, undone FROM decisions ORDER BY number"
            ).fetchall()
        return [
            LoggedDecision(
                step,
                (run_id, path),
                Decision.from_json(decision),
                tuple(json.loads(cells)),
                bool(un),
            )
            for step, run_id, path, decision, cells, un in rows
        ]

    def add(self, rows: Sequence[tuple[Key, tuple[str, ...]]], decision: Decision) -> None:
        """Note one decision on rows, each with the cells it had, as one step."""
        with self._transaction():
            (step,) = self._db.execute(
                "SELECT coalesce(max(step), 0) + 1 FROM decisions"
            ).fetchone()
            text = decision.to_json()
            self._db.executemany(
                "INSERT INTO decisions (step, run_id, path, decision, before)"
                " VALUES (?, ?, ?, ?, ?)",
                [(step, *key, text, json.dumps(cells)) for key, cells in rows],
            )

    def undo(self) -> list[Key]:
        """Take back the last step that stands; the rows it was on, none where there is none."""
        with self._transaction():
            (step,) = self._db.execute(
                "SELECT max(step) FROM decisions WHERE NOT undone"
            ).fetchone()
            row = self._db.execute(
                "SELECT run_id, path FROM decisions WHERE step = ?", (step,)
            ).fetchall()
            self._db.execute("UPDATE decisions SET undone = 1 WHERE step = ?", (step,))
        return row

    def forget(self, keys: Sequence[Key]) -> None:
        """Drop the decisions on rows that were edited in the report since."""
        with self._transaction():
            self._db.executemany("DELETE FROM decisions WHERE run_id = ? AND path = ?", keys)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._explained():
            self._db.execute("BEGIN")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be used ({error.strerror}); make room, check its folder's "
                "permissions, and move away what is there"
            ) from error
        except sqlite3.OperationalError as error:
            remedy = "make room or check its folder's permissions"
            if "locked" in str(error):
                remedy = "another review of this report is open; close it first"
            raise RunError(f"{self.path}: cannot be used ({error}); {remedy}") from error
        except sqlite3.DatabaseError as error:
            raise RunError(
                f"{self.path}: damaged ({error}); move it away to review from the start"
            ) from error
