"""A report as a table in memory that is saved whole, in one step, whenever it changed."""

import contextlib
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tagger.errors import RunError
from tagger.local_writing import replace_file
from tagger.records import Status
from tagger.report import COLUMNS, native, unsafe

_NEEDED = ("path", "status", "landmark", "confidence", "run_id")


class Sheet:
    """The rows of one report CSV; cells are as in the file, changed through :meth:`put`.

    Attributes:
        columns: the header, ``accept`` and what else a decision needs added where absent.
        rows: the cells of each row, in the file's order.
    """

    def __init__(self, path: Path) -> None:
        """Read a report.

        Raises:
            RunError: it cannot be read, or is no landmark-tag report.
        """
        self.path = path
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file)
                header = next(reader, [])
                missing = [name for name in _NEEDED if name not in header]
                if missing:
                    raise RunError(
                        f"{path}: not a landmark-tag report (no column {missing[0]}); give the "
                        "CSV that --report names, saved with commas"
                    )
                added = [name for name in COLUMNS if name not in header]
                width = len(header)
                self.columns = (*header, *added)
                self.rows = [
                    [*row[:width], *[""] * (len(self.columns) - min(len(row), width))]
                    for row in reader
                    if row
                ]
            self._seen = _version(path)
        except OSError as error:
            raise RunError(f"{path}: cannot be read ({error.strerror}); check the path") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise RunError(f"{path}: not a CSV in UTF-8 ({error}); save it as one") from error
        self._place = {name: number for number, name in enumerate(self.columns)}
        self._lines = [_line(row) for row in self.rows]

    def column(self, name: str) -> list[str]:
        """All cells of one column, without the mark against formulas."""
        place = self._place[name]
        return [unsafe(row[place]) for row in self.rows]

    def cell(self, row: int, name: str) -> str:
        return unsafe(self.rows[row][self._place[name]])

    def photo(self, row: int) -> str:
        """The photo's path as the system knows it; text that cannot be one stays as it is."""
        with contextlib.suppress(ValueError):
            return native(self.cell(row, "path"))
        return self.cell(row, "path")

    def key(self, row: int) -> tuple[str, str]:
        """What names a row for good: run and path, as text."""
        return self.cell(row, "run_id"), self.cell(row, "path")

    def headline(self, row: int) -> str:
        """What the row says; a guess that nobody accepted is not stated as a fact."""
        name, status = self.cell(row, "landmark"), self.cell(row, "status")
        if self.cell(row, "accept") == "yes" and name:
            return name
        match status:
            case Status.HAS_GPS:
                return "Has a position"
            case Status.NO_LANDMARK:
                return "No landmark"
            case Status.UNSURE if name:
                return f"Perhaps {name}"
            case _:
                return name or "Not recognised"

    def get(self, row: int, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.rows[row][self._place[name]] for name in names)

    def put(self, row: int, names: Sequence[str], cells: Sequence[str]) -> None:
        for name, cell in zip(names, cells, strict=True):
            self.rows[row][self._place[name]] = cell
        self._lines[row] = _line(self.rows[row])

    def save(self) -> None:
        """Replace the file in one step: 100,000 rows take about a tenth of a second.

        Raises:
            RunError: another program changed it since, or it cannot be written.
        """
        data = _line(self.columns) + b"".join(list(self._lines))
        try:
            if _version(self.path) != self._seen:
                raise RunError(
                    f"{self.path}: another program changed it; close it there, then stop and start "
                    "the review again (no decision is lost)"
                )
            self._seen = _replace(self.path, data)
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written ({error.strerror}); decisions are kept beside it, "
                "make room and start the review again"
            ) from error


def printable(text: str) -> str:
    """A file's name as a page can show it, bytes that are not UTF-8 escaped."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _replace(path: Path, data: bytes) -> tuple[int, int, int]:
    replace_file(path, data)
    return _version(path)


def _version(path: Path) -> tuple[int, int, int]:
    now = path.stat()
    return now.st_size, now.st_mtime_ns, now.st_ino


def _line(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()
