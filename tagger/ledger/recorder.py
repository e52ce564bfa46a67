"""One run's side of the ledger: writes are recorded before they happen, outcomes afterwards."""

import os
import sqlite3
import threading
import time
from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tagger.blob import fingerprint_of_file
from tagger.errors import RunError
from tagger.ledger import schema
from tagger.ledger.photo_rows import REMEMBER, guess_as_json, guess_of, identity_of, version_columns
from tagger.ledger.undo_patch import Intending, Intent
from tagger.records import Entry, Outcome, Seen, Status, Version
from tagger.storage.suffixes import is_sidecar

# Outcomes and settled writes wait for the next intent, this many rows or this long. Losing them
# in a crash costs nothing: undo checks the files, and the photos are processed again.
_ROWS, _SECONDS = 500, 1.0
# Photos are listed nearly in the order of their keys: so many rows are read with the one asked for.
_AHEAD = 64
_BEHIND_ALL = b"\xff"  # no key in UTF-8 begins so
# Archives and FAT keep times to the second or two, so a restored photo may have lost the rest.
_SAME_TIME_NS = 2_000_000_000


class RunRecorder(Intending):
    """The Recorder of one run; several threads may write photos through it."""

    def __init__(self, db: sqlite3.Connection, path: Path, run: int) -> None:
        self._db, self._path, self._run = db, path, run
        self._lock = threading.RLock()
        self._waiting: list[tuple[str, tuple[Any, ...]]] = []
        self._flushed = time.monotonic()
        self._written: dict[str, Version | None] = {}
        self._keys: dict[int, str] = {}
        self._known: dict[bytes, tuple[Any, ...]] = {}
        self._first = self._last = b""
        self._runs: dict[int, tuple[str, str]] = {}
        self.counts: Counter[str] = Counter()

    @property
    def run(self) -> tuple[Path, int]:
        """The ledger's file and the run's number in it, for :meth:`join`."""
        return self._path, self._run

    @classmethod
    def join(cls, path: Path, run: int) -> Self:
        """The recorder of a run that another process on this machine started."""
        return cls(schema.connect(path, create=False), path, run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # If the ledger fails too, what ended the run is the better message.
        with suppress(RunError) if error else nullcontext():
            self._flush()

    def note(self, intent: Intent) -> int:
        """Record an intent; it is durable when this returns.

        Returns:
            the number of the change, for :meth:`settle` or :meth:`drop`.

        Raises:
            RunError: it cannot be noted, so it must not happen.
        """
        kind = "sidecar" if is_sidecar(intent.key) else "photo"
        values = (
            self._run, schema.blob(intent.key), kind, intent.digest_before, intent.digest_after,
            *version_columns(intent.before), intent.patch,
        )  # fmt: skip
        with self._lock:
            with schema.transaction(self._db, self._path):
                self._carry_out()
                number = self._db.execute(
                    "INSERT INTO changes (run, key, kind, state, sha256_before, sha256_after,"
                    " size_before, mtime_ns_before, etag_before, patch)"
                    " VALUES (?, ?, ?, 'intended', ?, ?, ?, ?, ?, ?)",
                    values,
                ).lastrowid
            self._waiting.clear()
            assert number is not None
            self._keys[number] = intent.key
        return number

    def settle(self, change: int, version: Version | None) -> None:
        """The change happened; ``version`` is what the file is now (None: gone)."""
        with self._lock:
            self.wrote(self._keys.pop(change), version)
        self._later(
            "UPDATE changes SET state = 'written', size_after = ?, mtime_ns_after = ?,"
            " etag_after = ? WHERE number = ?",
            (*version_columns(version), change),
        )

    def wrote(self, key: str, version: Version | None) -> None:
        """What is at ``key`` now is our work, for :meth:`seen`."""
        with self._lock:
            self._written[key] = version
            while len(self._written) > _ROWS:  # copies and sidecars are never looked up
                self._written.pop(next(iter(self._written)))

    def drop(self, change: int) -> None:
        """The change did not happen, as far as the store can tell."""
        with self._lock:
            self._keys.pop(change)
        self._later("UPDATE changes SET state = 'dropped' WHERE number = ?", (change,))

    def seen(self, outcome: Outcome) -> None:
        """Remember what became of a photo, as the version that it is now."""
        self.counts[outcome.status.value] += 1
        if not outcome.fresh:
            return
        entry = outcome.entry
        with self._lock:
            version = self._written.pop(entry.key, None)
            output = self._run_of(self._run)[1]
        # A tag beside the photo: it counts as tagged as long as the sidecar is there.
        beside = outcome.status is Status.TAGGED and version is None and not output
        identity = identity_of(version or entry.version, beside or bool(entry.sidecars))
        guess = outcome.guess
        values = (
            schema.blob(entry.key), *identity, outcome.status.value,
            guess_as_json(guess),
            self._run,
            # A photo with GPS needs no fingerprint: its head is enough wherever it is.
            entry.fingerprint if entry.fingerprint and guess and version is None else None,
        )  # fmt: skip
        self._later(REMEMBER, values)

    def recall(self, entry: Entry) -> Seen | None:
        """What an earlier run found for exactly this version of the photo, if anything."""
        key = schema.blob(entry.key)
        with self._lock:
            if not self._first <= key <= self._last:
                self._read_ahead(key)
            row = self._known.get(key)
            if row is None or row[:3] != identity_of(entry.version, bool(entry.sidecars)):
                return None
            status, guess, run, mark = row[3:]
            model_sha256, output = self._run_of(run)
        return Seen(Status(status), guess_of(guess), model_sha256, output, mark or b"")

    def moved(self, entry: Entry) -> Seen | None:
        """What an earlier run found for this photo at another place, or before a restore.

        It must have the same size, nearly the same time, and the same head and tail as one that
        was decoded. Where that one is gone from its old place, its row comes here; from a copy
        only the guess is taken. Either way the photo has yet to be tagged, whatever became of the
        other. Buckets have ETags instead.
        """
        if entry.version.etag or entry.version.mtime_ns == 0:
            return None
        size, time_ns = entry.version.size, entry.version.mtime_ns
        with self._lock, schema.explained(self._path):
            rows = self._db.execute(
                "SELECT key, guess, run, fingerprint FROM photos WHERE fingerprint IS NOT NULL"
                " AND size = ? AND mtime_ns BETWEEN ? AND ? ORDER BY run DESC",
                (size, time_ns - _SAME_TIME_NS, time_ns + _SAME_TIME_NS),
            ).fetchall()
        mark = fingerprint_of_file(entry.key) if rows else b""
        rows = [row for row in rows if row[3] == mark]
        if not rows:
            return None
        gone = [row for row in rows if not os.path.lexists(os.fsdecode(row[0]))]
        old, guess, run, _ = (gone or rows)[0]
        key, identity = schema.blob(entry.key), identity_of(entry.version, bool(entry.sidecars))
        if gone and old != key:
            self._later("DELETE FROM photos WHERE key = ?", (old,))
        self._later(REMEMBER, (key, *identity, Status.UNSURE.value, guess, run, mark))
        with self._lock:
            model_sha256, output = self._run_of(run)
        elsewhere = all(row[0] != key for row in rows)
        return Seen(Status.UNSURE, guess_of(guess), model_sha256, output, mark, elsewhere)

    def _read_ahead(self, key: bytes) -> None:
        """Rows from ``key`` on; a key between the first and the last that is not there is new."""
        with schema.explained(self._path):
            rows = self._db.execute(
                "SELECT key, size, mtime_ns, etag, status, guess, run, fingerprint FROM photos"
                f" WHERE key >= ? ORDER BY key LIMIT {_AHEAD}",
                (key,),
            ).fetchall()
        self._known = {row[0]: row[1:] for row in rows}
        self._first, self._last = key, rows[-1][0] if len(rows) == _AHEAD else _BEHIND_ALL

    def _run_of(self, number: int) -> tuple[str, str]:
        """The model and the output of a run."""
        if number not in self._runs:
            with schema.explained(self._path):
                self._runs[number] = self._db.execute(
                    "SELECT model_sha256, coalesce(json_extract(settings, '$.output'), '')"
                    " FROM runs WHERE number = ?",
                    (number,),
                ).fetchone()
        return self._runs[number]

    def _later(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._lock:
            self._waiting.append((statement, values))
            if len(self._waiting) >= _ROWS or time.monotonic() - self._flushed > _SECONDS:
                self._flush()

    def _flush(self) -> None:
        with self._lock:
            if self._waiting:
                with schema.transaction(self._db, self._path):
                    self._carry_out()
            self._waiting.clear()
            self._flushed = time.monotonic()

    def _carry_out(self) -> None:
        for statement, values in self._waiting:
            self._db.execute(statement, values)
