"""What a run leaves behind for other programs: lines in a log file, and a summary as JSON."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tagger import __version__
from tagger.errors import RunError
from tagger.records import Outcome, Status
from tagger.run.limits import RunLimits
from tagger.storage.local_writing import emptied, named, replace_file
from tagger.storage.skipping import Skipping
from tagger.storage.suffixes import LISTED_SUFFIXES, suffix
from tagger.terminal import counted, printable, tell

# How the files begin, which distinguishes them from others.
_SUMMARY = re.compile(rb'\{"version": "[^"]*", "run_id": ')
_LOG_LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d ")


class RunLog:
    """Follows one run, from before it starts to its exit code.

    The summary is one line of JSON, there from the start on: ``exit_code`` is null until the run
    has ended, and stays so where it was killed.

    Args:
        summary: file for the summary, ``-`` for standard output, or nothing.
        log: file to append a line to for each processed photo and each message.
        limits: are informed of each outcome.
        facts: what else the summary says.

    Raises:
        RunError: one of the files cannot be written, or holds something else.
    """

    def __init__(self, summary: str, log: Path | None, limits: RunLimits, **facts: Any) -> None:
        self.limits, self.counts = limits, Counter[Status]()
        self.skipping = Skipping()
        self._summary, self._log_path, self._fresh = summary, log, 0
        self._facts = {"version": __version__, "run_id": None} | facts
        self._started, self._clock = _now(), time.monotonic()
        self._log: FileIO | None = None

    def __enter__(self) -> Self:
        if self._summary not in ("", "-"):
            _check_ours("--summary-json", Path(self._summary), "summary", _SUMMARY)
        if self._log_path:
            _check_ours("--log-file", self._log_path, "log", _LOG_LINE)
            if suffix(self._log_path.name) in LISTED_SUFFIXES:
                raise RunError(
                    f"--log-file {self._log_path}: is named like a photo; choose another name"
                )
        if self._summary != "-":
            self._sum_up(None)
        if self._log_path:
            try:
                self._log = FileIO(self._log_path, "a", opener=named)
            except OSError as error:
                raise _unwritable("--log-file", self._log_path, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(RunError):
            if error and not isinstance(error, RunError):
                self.note(f"cut short by {type(error).__name__}: {error}")
        if self._log:
            self._log.close()

    def follow(self, run_id: str, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Hand the outcomes on, counted and logged."""
        self._facts["run_id"] = run_id
        self.note(f"run {run_id} over {' '.join(self._facts['targets'])}")
        for outcome in outcomes:
            self.counts[outcome.status] += 1
            self.limits.count(outcome)
            if outcome.fresh:
                self._fresh += 1
                place = f" {outcome.landmark.name}" if outcome.landmark else ""
                name = outcome.entry.key
                self.note(f"{name}: {outcome.status}{place} ({outcome.reason})")
            yield outcome

    def note(self, message: str) -> None:
        """Add a line to the log.

        Raises:
            RunError: the disk is full or unmounted.
        """
        if self._log:
            try:
                self._log.write(f"{_now()} {printable(message)}\n".encode())
            except OSError as error:
                self._log.close()
                self._log = None
                raise _unwritable("--log-file", self._log_path, error) from error

    def end(self, code: int, stopped_by: str = "", error: str = "") -> None:
        """Close the log with what happened, and write the summary."""
        if error:
            self.note(error)
        statuses = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        total = counted(self.counts.total(), "photo")
        self.note(f"exit {code}: {': '.join(filter(None, (total, statuses)))}")
        self._sum_up(code, stopped_by, error)

    def _sum_up(self, code: int | None, stopped_by: str = "", error: str = "") -> None:
        if not self._summary:
            return
        summary = self._facts | {
            "started": self._started,
            "ended": None if code is None else _now(),
            "seconds": round(time.monotonic() - self._clock, 3),
            "photos": self.counts.total(),
            "looked_at": self._fresh,
            "skipped_folders": self.skipping.folders,
            "counts": {status.value: self.counts[status] for status in Status},
            "stopped_by": stopped_by or None,
            "error": error or None,
            "exit_code": code,
        }
        path = Path(self._summary)
        try:
            if self._summary == "-":
                tell(json.dumps(summary))
            elif path.is_file() or not path.exists():
                replace_file(path, f"{json.dumps(summary)}\n".encode())
            else:  # /dev/null and pipes must not be replaced by a file
                with open(path, "wb", opener=emptied) as file:
                    file.write(f"{json.dumps(summary)}\n".encode())
        except OSError as error_:
            raise _unwritable("--summary-json", self._summary, error_) from error_


def _check_ours(option: str, path: Path, what: str, start: re.Pattern[bytes]) -> None:
    """Make sure that no other file is replaced or added to; devices and pipes hold nothing."""
    try:
        head = b""
        if path.is_file():
            with path.open("rb") as file:
                head = file.read(200)
    except OSError as error:
        raise _unwritable(option, path, error) from error
    if head and not start.match(head):
        raise RunError(
            f"{option} {path}: exists and is not a landmark-tag {what}; choose another name"
        )


def _unwritable(option: str, place: object, error: OSError) -> RunError:
    return RunError(f"{option} {place}: cannot be written ({error.strerror}); choose another place")


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
