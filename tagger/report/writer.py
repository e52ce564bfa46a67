"""Outcome to CSV row and back to text that a spreadsheet opens safely; the run's summary."""

import codecs
import csv
import errno
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from tagger.errors import RunError
from tagger.evidence.decide import DECIMALS
from tagger.records import Candidate, Outcome, Status
from tagger.storage.local_writing import emptied
from tagger.terminal import printable

COLUMNS = (
    "path", "status", "landmark", "latitude", "longitude", "radius_m", "confidence",
    "second", "second_confidence", "third", "third_confidence", "city", "country", "wikidata",
    "reason", "model", "run_id", "size", "mtime_ns", "etag", "accept",
)  # fmt: skip
_FIRST_COLUMNS = "path,status,"  # what tells a report from any other file
# What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), and our own mark.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_SQLITE = ("-journal", "-wal", "-shm")  # sqlite.org/tempfiles.html


def row(outcome: Outcome, names: dict[str, str], model: str, run_id: str) -> list[str]:
    """One row, in the order of :data:`COLUMNS`; ``names`` gives the name of a slug."""
    empty = Candidate("", 0.0)
    best, second, third = (*(outcome.guess.candidates if outcome.guess else ()), *[empty] * 3)[:3]
    place = outcome.landmark
    version = outcome.entry.version
    return [
        safe(portable(outcome.entry.key)),
        outcome.status.value,
        safe(names.get(best.slug, "") or (place.name if place else "")),
        f"{place.latitude:.5f}" if place else "",
        f"{place.longitude:.5f}" if place else "",
        str(place.radius_m) if place else "",
        *(_confidence(best)[1:]),
        *(_confidence(second, names)),
        *(_confidence(third, names)),
        safe(place.city) if place else "",
        safe(place.country) if place else "",
        place.wikidata if place else "",
        safe(portable(outcome.reason)),
        model,
        run_id,
        str(version.size),
        # Spreadsheets keep 15 digits of a number, but every one of a text.
        f"{version.mtime_ns}ns",
        # On a disk it is a file's number there, which restoring a backup changes.
        safe(version.etag) if "://" in outcome.entry.key else "",
        "",
    ]


def _confidence(candidate: Candidate, names: dict[str, str] | None = None) -> tuple[str, str]:
    if not candidate.slug:
        return "", ""
    name = (names or {}).get(candidate.slug, candidate.slug)
    return safe(name), f"{candidate.confidence:.{DECIMALS}f}"


def safe(text: str) -> str:
    """Text that no spreadsheet runs as a formula: an apostrophe goes before a risky start."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def unsafe(text: str) -> str:
    """The inverse of :func:`safe`."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def portable(path: str) -> str:
    """A path as one printable line, marked with ``\\\\?`` where it had to be escaped for that.

    What cannot be printed, bytes that are not UTF-8 among it, becomes ``\\xNN``.
    """
    if path.isprintable() and not path.startswith("\\\\?"):
        return path
    return "\\\\?" + printable(path.replace("\\", "\\\\"))


def native(text: str) -> str:
    """The inverse of :func:`portable`."""
    if not text.startswith("\\\\?"):
        return text
    return os.fsdecode(text[3:].encode().decode("unicode_escape").encode("latin-1"))


def is_report(data: bytes) -> bool:
    """Whether a file that begins so is a report, also where a spreadsheet saved it again."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    header = data[:64].decode("utf-16" if wide else "utf-8-sig", "replace")
    return re.sub("[;\\t]", ",", header.replace('"', "")).startswith(_FIRST_COLUMNS)


class ReportWriter:
    """A CSV report that is whole after every row, so that a run cut short leaves a valid one.

    Raises:
        RunError: the file cannot be written, or holds something that is not such a report.

    Args:
        path: where it goes; what is there is kept under a number.
        names: the name of each slug.
        model: for the column of that name.
        run_id: for the column of that name.
        keep: so many numbered reports are kept, the latest. None for all.
    """

    def __init__(
        self,
        path: Path,
        names: dict[str, str],
        model: str,
        run_id: str,
        keep: int | None = None,
    ) -> None:
        self._names, self._model, self._run_id = names, model, run_id
        self._path = path
        self._line = io.StringIO()
        self._cells = csv.writer(self._line, lineterminator="\n")
        try:
            if path.exists() and path.stat().st_size:
                _move_aside(path)
                if keep is not None:
                    _remove_old(path, keep)
            self._file = FileIO(path, "w", opener=emptied)
        except OSError as error:
            raise RunError(
                f"--report {path}: cannot be written ({error.strerror}); choose another place"
            ) from error
        try:
            self._put(COLUMNS)
        except RunError:
            self._file.close()
            raise

    def write(self, outcome: Outcome) -> None:
        """Add one row.

        Raises:
            RunError: the disk is full or gone; the run must not go on unreported.
        """
        self._put(row(outcome, self._names, self._model, self._run_id))

    def _put(self, cells: Sequence[str]) -> None:
        """Hand a whole row to the system at once, or none of it."""
        self._line.seek(0)
        self._line.truncate()
        self._cells.writerow(cells)
        data = self._line.getvalue().encode()
        try:
            written = self._file.write(data)
            if written != len(data):
                os.ftruncate(self._file.fileno(), self._file.tell() - (written or 0))
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> RunError:
        return RunError(
            f"--report {self._path}: cannot be written ({error.strerror}); the run stops here, "
            "make room and run again"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _move_aside(path: Path) -> None:
    """Keep an earlier report, and the decisions on it, under the next free number."""
    with path.open("rb") as file:
        head = file.read(1024)
    if not is_report(head):
        raise RunError(
            f"--report {path}: exists and is not a landmark-tag report; choose another name"
        )
    if is_empty(head) and not decisions(path).exists():
        return  # it has no rows; it is written over
    number = max(numbers(path.name, os.listdir(path.parent)), default=0) + 1
    older = path.with_name(f"{path.stem}.{number}{path.suffix}")
    for old, new in zip(_files(path), _files(older), strict=True):
        if old.exists():
            old.rename(new)


def _remove_old(path: Path, keep: int) -> None:
    """Remove numbered reports but the latest, and none that a person has worked on."""
    by_number = sorted(numbers(path.name, os.listdir(path.parent)), reverse=True)
    reports = [path.with_name(f"{path.stem}.{number}{path.suffix}") for number in by_number]
    for older in [file for file in reports if file.is_file()][keep:]:
        beside = any(file.exists() for file in _files(older)[1:])
        if not (beside or older.is_symlink()) and as_written(older.read_bytes()):
            older.unlink()


def numbers(name: str, others: Iterable[str]) -> set[int]:
    """The numbers under which older reports of this name, or decisions on them, are kept."""
    stem, suffix = os.path.splitext(name)
    kept = re.compile(rf"{re.escape(stem)}\.([1-9]\d*){re.escape(suffix)}(\.review.*)?")
    return {int(found[1]) for other in others if (found := kept.fullmatch(other))}


def is_empty(head: bytes) -> bool:
    """Whether a report that begins so has no rows."""
    return head == f"{','.join(COLUMNS)}\n".encode()


def as_written(data: bytes) -> bool:
    """Whether a report is as the program wrote it: the last column is for a person to fill in."""
    lines = data.splitlines(keepends=True)
    return is_report(data[:64]) and all(line.endswith(b",\n") for line in lines[1:])


def decisions(path: Path) -> Path:
    """The file beside a report that holds what a person decided in a review of it."""
    return path.with_name(f"{path.name}.review")


def _files(path: Path) -> list[Path]:
    """A report, the decisions on it, and what SQLite may keep beside those."""
    beside = decisions(path)
    return [path, *(beside.with_name(beside.name + end) for end in ("", *_SQLITE))]


def summary(
    counts: Counter[Status], seconds: float, dry_run: bool, skipped: int = 0, old_failures: int = 0
) -> str:
    """The closing lines for the terminal: counts by status, in the order of the enum.

    ``skipped`` folders were left alone; ``old_failures`` failed in an earlier run too.
    """
    total = sum(counts.values())
    rate = total / seconds if seconds > 0 else 0.0
    lines = [f"{total} photos in {seconds:.1f} s ({rate:.1f}/s)"]
    lines += [f"  {counts[status]:>7}  {_WORDS[status]}" for status in Status if counts[status]]
    if old_failures:
        lines.append(f"{old_failures} of them failed before; --strict makes that exit code 1")
    if skipped:
        folders = "1 folder" if skipped == 1 else f"{skipped} folders"
        lines.append(f"{folders} skipped: managed libraries, caches, trash (--no-skip takes them)")
    if dry_run:
        lines.append("dry run: nothing was written")
    return "\n".join(lines)


_WORDS = {
    Status.TAGGED: "tagged",
    Status.WOULD_TAG: "would be tagged",
    Status.HAS_GPS: "already have GPS",
    Status.UNSURE: "unsure, left alone",
    Status.NO_LANDMARK: "no known landmark",
    Status.UNREADABLE: "unreadable",
    Status.UNSUPPORTED: "not supported",
    Status.CHANGED: "changed meanwhile, left alone",
    Status.FAILED: "failed",
}


def count(outcomes: Iterable[Outcome]) -> Counter[Status]:
    """How many outcomes there are of each status."""
    return Counter(outcome.status for outcome in outcomes)
