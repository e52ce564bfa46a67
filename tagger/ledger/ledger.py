"""The ledger: past runs, what they wrote, and what is needed to undo them."""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tagger import __version__
from tagger.errors import RunError
from tagger.ledger import schema
from tagger.ledger.history import PastRun, RecordedChange, State
from tagger.ledger.locks import only_run
from tagger.ledger.recorder import RunRecorder
from tagger.records import Version
from tagger.storage.urls import absolute


def new_run_id() -> str:
    """Time (UTC) and a random part: sorts by age, and two machines do not choose the same."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


class Ledger:
    """An open ledger file, for one thread, its recorder for any; several processes may share it."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path, self._db = path, db

    @classmethod
    def open(cls, path: Path | None = None, create: bool = True) -> Self:
        """Open the file, or the one in the state folder of this system.

        Raises:
            RunError: it is no ledger, is damaged or of a later version, or cannot be opened.
        """
        place = (path or schema.default_path()).absolute()
        return cls(place, schema.connect(place, create))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    @contextmanager
    def begin(
        self,
        run_id: str,
        targets: Sequence[str],
        settings: Mapping[str, Any],
        model_sha256: str = "",
        verb: str = "tag",
    ) -> Iterator[RunRecorder]:
        """A run that lasts as long as the block; it writes through the recorder.

        A dry run changes nothing, so it is not recorded.

        Args:
            run_id: from :func:`new_run_id`.
            targets: paths or URLs; no other run may work on them at the same time.
            settings: what the run was asked to do; anything JSON holds, or text.

        Raises:
            LockedError: another run is working on some of the same photos.
            RunError: the ledger cannot be written.
        """
        places = [absolute(place) for place in targets]
        values = (
            run_id, verb, _now(), json.dumps(places),
            json.dumps(settings, default=str), model_sha256, __version__,
        )  # fmt: skip
        with only_run(self.path, run_id, places):
            with schema.transaction(self._db, self.path):
                number = self._db.execute(
                    "INSERT INTO runs (run_id, verb, started, targets, settings, model_sha256,"
                    " tool_version) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    values,
                ).lastrowid
            assert number is not None
            with RunRecorder(self._db, self.path, number) as recorder:
                yield recorder
            with schema.transaction(self._db, self.path):
                self._db.execute(
                    "UPDATE runs SET ended = ?, counts = ? WHERE number = ?",
                    (_now(), json.dumps(recorder.counts), number),
                )

    def has_run(self, model_sha256: str) -> bool:
        """Whether a run with this model was completed, so that the model passed all checks."""
        with schema.explained(self.path):
            row = self._db.execute(
                "SELECT 1 FROM runs WHERE model_sha256 = ? AND ended IS NOT NULL LIMIT 1",
                (model_sha256,),
            ).fetchone()
        return row is not None

    def runs(self) -> list[PastRun]:
        """All runs, newest first."""
        with schema.explained(self.path):
            rows = self._db.execute(
                "SELECT run_id, verb, started, coalesce(ended, ''), targets,"
                " (SELECT count(*) FROM changes WHERE run = runs.number"
                "   AND state IN ('written', 'intended')),"
                " (SELECT count(*) FROM changes WHERE run = runs.number AND state = 'undone')"
                " FROM runs ORDER BY number DESC"
            ).fetchall()
        return [
            PastRun(run_id, verb, started, ended, tuple(json.loads(targets)), written, undone)
            for run_id, verb, started, ended, targets, written, undone in rows
        ]

    def next_to_undo(self) -> PastRun | None:
        """The newest run of which something is left to undo."""
        return next((run for run in self.runs() if run.written), None)

    def find(self, name: str) -> PastRun:
        """The run of that id, or the only one whose id starts so; ``last``: the last that wrote.

        Raises:
            RunError: there is no such run, or there are several.
        """
        runs = self.runs()
        if name == "last":
            candidates = [run for run in runs if run.written or run.undone][:1]
        else:
            candidates = [run for run in runs if run.run_id.startswith(name)]
        if len(candidates) != 1:
            how_many = f"{len(candidates)} runs have" if candidates else "no run has"
            raise RunError(
                f"{how_many} the id {name} in {self.path}; landmark-tag runs lists the runs"
            )
        return candidates[0]

    def changes(self, run_id: str) -> Iterator[RecordedChange]:
        """The changes of a run that were not undone, newest first; they may be marked meanwhile."""
        last = 1 << 62
        while True:
            with schema.explained(self.path):
                row = self._db.execute(
                    "SELECT changes.number, run_id, key, state, size_before, mtime_ns_before,"
                    " etag_before, size_after, mtime_ns_after, etag_after, sha256_before,"
                    " sha256_after, patch FROM changes"
                    " JOIN runs ON runs.number = run WHERE run_id = ? AND changes.number < ?"
                    " AND state != 'undone' ORDER BY changes.number DESC LIMIT 1",
                    (run_id, last),
                ).fetchone()
            if row is None:
                return
            last = row[0]
            before = None if row[10] is None else Version(*row[4:7])
            after = None if row[7] is None else Version(*row[7:10])
            key = row[2].decode("utf-8", "surrogateescape")
            yield RecordedChange(row[0], row[1], key, State(row[3]), before, after, *row[10:])

    def later(self, change: RecordedChange) -> str:
        """The run that changed the same file after ``change`` and was not undone, or nothing."""
        with schema.explained(self.path):
            row = self._db.execute(
                "SELECT run_id FROM changes JOIN runs ON runs.number = run WHERE key = ?"
                " AND changes.number > ? AND state IN ('written', 'intended')"
                " ORDER BY changes.number DESC LIMIT 1",
                (schema.blob(change.key), change.number),
            ).fetchone()
        return row[0] if row else ""

    def sizes(self, run: PastRun) -> set[int]:
        """Sizes in bytes of the files that a run wrote, where it was not undone."""
        return {row[0] for row in self._of(run, "SELECT DISTINCT size_after", "size_after > 0")}

    def wrote_sidecars(self, run: PastRun) -> bool:
        """Whether the run wrote sidecars that were not undone."""
        return bool(self._of(run, "SELECT 1", "kind = 'sidecar' LIMIT 1"))

    def has(self, run: PastRun, key: str, digest_after: bytes) -> bool:
        """Whether the run wrote just these bytes to ``key``, and was not undone."""
        where = "key = ? AND sha256_after = ? LIMIT 1"
        return bool(self._of(run, "SELECT 1", where, schema.blob(key), digest_after))

    def knows(self, run: PastRun, digest: bytes) -> bool:
        """Whether the bytes of a file are what some change of the run began or ended with."""
        with schema.explained(self.path):
            row = self._db.execute(
                "SELECT 1 FROM changes JOIN runs ON runs.number = run WHERE run_id = ?"
                " AND (sha256_after = ? OR sha256_before = ?) LIMIT 1",
                (run.run_id, digest, digest),
            ).fetchone()
        return row is not None

    def _of(self, run: PastRun, select: str, where: str, *values: Any) -> list[Any]:
        """Rows of the changes of a run that were not undone."""
        query = (
            f"{select} FROM changes WHERE run = (SELECT number FROM runs WHERE run_id = ?)"
            f" AND state != 'undone' AND {where}"
        )
        with schema.explained(self.path):
            return self._db.execute(query, (run.run_id, *values)).fetchall()

    def forget(self, run: PastRun) -> None:
        """Photos no longer count as tagged by that run; a later run processes them again."""
        with schema.transaction(self._db, self.path):
            self._db.execute(
                "DELETE FROM photos WHERE status = 'tagged'"
                " AND run = (SELECT number FROM runs WHERE run_id = ?)",
                (run.run_id,),
            )

    def mark(self, change: RecordedChange, state: State) -> None:
        """Note what became of a change; durable when this returns."""
        with schema.transaction(self._db, self.path):
            self._db.execute(
                "UPDATE changes SET state = ? WHERE number = ?", (state.value, change.number)
            )


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
