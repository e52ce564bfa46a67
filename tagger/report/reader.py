"""Reads a reviewed report back, whatever a spreadsheet made of it, row by row."""

import codecs
import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tagger.errors import RefusedError, RunError
from tagger.places.table import named_separator
from tagger.records import Status, Version
from tagger.report.cells import native, unsafe
from tagger.storage.urls import is_url

if TYPE_CHECKING:
    import _csv

NEEDED = ("path", "status", "landmark", "latitude", "longitude", "size", "mtime_ns")
YES = frozenset("yes y true 1 x ok".split())
NO = frozenset("no n false 0".split())
_MARKS = {
    codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"
}  # fmt: skip
_APPLICABLE = (Status.WOULD_TAG, Status.UNSURE, Status.NO_LANDMARK)
_DIGITS = 64  # of a SHA-256
# A spreadsheet keeps 15 digits of a number at best; to the second, with the size, is proof enough.
_SECOND = 9  # the power of ten of the nanoseconds in it


class Wish(Enum):
    """What to do with a row."""

    WRITE = auto()
    LEAVE = auto()


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it starts on, and its cells by column name, as text."""

    line: int
    cells: Mapping[str, str]
    shifted: bool = False  # there are more cells than columns

    def text(self, column: str) -> str:
        return unsafe(self.cells.get(column, "").strip())

    @property
    def key(self) -> str:
        """The photo's key; empty where the cell holds none."""
        try:
            return native(unsafe(self.cells.get("path", "")))
        except ValueError:
            return ""

    def number(self, column: str) -> float | None:
        """A number with a decimal point or comma; None where the cell is empty.

        Raises:
            RefusedError: it is no number.
        """
        text = self.text(column).removeprefix("'")  # a spreadsheet's mark of text
        if not text:
            return None
        try:
            value = Decimal(text.replace(",", ".") if "." not in text else text)
        except InvalidOperation as error:
            raise RefusedError(f"{column} is {text!r}, not a number; correct it") from error
        if not value.is_finite():
            raise RefusedError(f"{column} is {text!r}, not a number; correct it")
        return float(value)

    @property
    def declined(self) -> bool:
        """Whether the user wrote no."""
        return self.text("accept").casefold() in NO

    def wish(self) -> Wish:
        """Whether to write: what would be tagged unless declined, what was not if accepted.

        Raises:
            RefusedError: the cells say something else, or accept what cannot be applied.
        """
        if self.shifted:
            raise RefusedError("it has more cells than there are columns; mend the row")
        status, accept = self.text("status").casefold(), self.text("accept").casefold()
        if self.declined or status == Status.TAGGED:
            return Wish.LEAVE
        if accept and accept not in YES:
            raise RefusedError(f"accept is {accept!r}; write yes or no, or leave it empty")
        if status in _APPLICABLE:
            return Wish.WRITE if accept or status == Status.WOULD_TAG else Wish.LEAVE
        if accept or status not in {known.value for known in Status}:
            raise RefusedError(
                f"status is {status!r}; only {', '.join(_APPLICABLE)} can be applied, make a new "
                "report with --dry-run"
            )
        return Wish.LEAVE

    def is_of(self, version: Version) -> bool:
        """Whether the photo still has the size and time, or ETag, that the report was made for.

        Raises:
            RefusedError: the cells are not enough to decide.
        """
        size, mtime_ns = version.size, version.mtime_ns
        if is_url(self.key):
            if not self.text("etag"):
                raise RefusedError("etag is empty; make a new report with --dry-run")
            return self.text("etag") == version.etag
        shown = self.text("mtime_ns").removesuffix("ns")
        try:
            shown_time, shown_size = Decimal(shown.replace(",", ".")), Decimal(self.text("size"))
            if not (shown_time.is_finite() and shown_size.is_finite()):
                raise InvalidOperation
        except InvalidOperation as error:
            raise RefusedError(
                f"size or mtime_ns is not a number ({self.text('size')!r}, {shown!r}); make a new "
                "report with --dry-run"
            ) from error
        if shown_size != size:
            return False
        if shown_time == mtime_ns:
            return True
        exponent = shown_time.as_tuple().exponent
        if exponent == 0:  # written out: zeros at the end may stand for any digits
            exponent = shown_time.normalize().as_tuple().exponent
        if not isinstance(exponent, int) or exponent < 3:
            return False
        if exponent > _SECOND:
            raise RefusedError(
                f"a spreadsheet rounded mtime_ns to {shown}, so nothing tells whether the photo "
                "changed since; keep that column as text, or make a new report with --dry-run"
            )
        return bool(abs(mtime_ns - shown_time) < 10**exponent)


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a CSV file, so that it can be saved in the same form."""

    delimiter: str = ","
    encoding: str = "utf-8"
    mark: bytes = b""  # what comes before the header: a byte order mark, a line sep=;
    newline: str = "\n"

    def line(self, cells: Sequence[str]) -> bytes:
        """One row's bytes."""
        text = io.StringIO()
        csv.writer(text, delimiter=self.delimiter, lineterminator=self.newline).writerow(cells)
        return text.getvalue().encode(self.encoding)


@dataclass(frozen=True, slots=True)
class Table:
    """A report while it is read: its header as it stands there, and the rows that are not empty.

    Each row comes with the line it starts on.
    """

    form: Form
    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The header as names that are looked for."""
        return tuple(name.strip().casefold() for name in self.header)


@contextmanager
def opened(path: Path, needed: Sequence[str] = NEEDED) -> Iterator[Table]:
    """A report that is UTF-8 or UTF-16 text with commas, semicolons or tabs.

    Raises:
        RunError: it cannot be read, is no report, or lacks a column of ``needed``.
    """
    try:
        if path.exists() and not path.is_file():
            raise RunError(f"{path}: is not a regular file, and is read twice; save it to a file")
        with path.open("rb") as raw:
            head = raw.read(3)
        mark, encoding = next(
            (known for known in _MARKS.items() if head.startswith(known[0])), (b"", "utf-8")
        )
        with path.open("rb") as raw:
            raw.seek(len(mark))
            with io.TextIOWrapper(raw, encoding=encoding, newline="") as file:
                yield _table(path, file, mark, encoding, needed)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except UnicodeDecodeError as error:
        raise RunError(
            f"{path}: is not UTF-8; save it again as CSV UTF-8 so that file names stay right"
        ) from error
    except csv.Error as error:
        raise RunError(f"{path}: is not a whole CSV file ({error}); save it again") from error


def read(path: Path) -> Iterator[Row]:
    """The rows of a report, as :func:`opened` takes it.

    Raises:
        RunError: it cannot be read, is no report, or lacks a column that is needed.
    """
    with opened(path) as table:
        columns = table.columns
        for line, cells in table.rows:
            more = any(cells[len(columns) :])
            yield Row(line, dict(zip(columns, cells, strict=False)), more)


def _table(path: Path, file: IO[str], mark: bytes, encoding: str, needed: Sequence[str]) -> Table:
    first, begins = file.readline(), 1
    separator = named_separator(first)
    if separator:
        mark += first.encode(encoding)
        first, begins = file.readline(), 2
    for delimiter in separator or ",;\t":
        header = next(csv.reader([first], delimiter=delimiter), [])
        columns = [name.strip().casefold() for name in header]
        if "path" in columns:
            break
    missing = [name for name in needed if columns.count(name) != 1]
    newer = not {"evidence", "answers"}.isdisjoint(columns)
    if newer and "source" not in columns:
        missing.append("source")
    if missing or columns.count("accept") > 1:
        raise RunError(
            f"{path}: column {', '.join(missing) or 'accept'} is missing or there twice; give a "
            "landmark-tag report with all its columns"
        )
    newline = "\r\n" if first.endswith("\r\n") else "\n"
    form = Form(delimiter, encoding, mark, newline)
    rows = csv.reader(file, delimiter=delimiter, strict=True)
    kept = _rows(rows, begins + 1)
    if "source" not in columns and "model" in columns:
        kept = _old_rows(path, kept, columns.index("model"))
    return Table(form, tuple(header), kept)


def _old_rows(
    path: Path, rows: Iterator[tuple[int, list[str]]], model: int
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a report without the column ``source``, if it never had one.

    Where somebody deleted it, nothing tells a landmark's position from a camera's. Reports that
    never had it show twelve digits of the model file's SHA-256, later ones all of them.
    """
    for line, cells in rows:
        if len("".join(cells[model : model + 1]).strip().rpartition("@")[2]) == _DIGITS:
            raise RunError(
                f"{path}: column source is missing; give a landmark-tag report with all its columns"
            )
        yield line, cells


def _rows(reader: "_csv.Reader", begins: int) -> Iterator[tuple[int, list[str]]]:
    line = begins
    for cells in reader:
        if any(cells):
            yield line, cells
        line = reader.line_num + begins


def targets(keys: set[str]) -> list[str]:
    """The places that the photos lie in: their common folder, or each folder of its own."""
    folders = {os.path.dirname(key) for key in keys}
    if any(map(is_url, folders)):  # of which commonpath would lose a slash
        return sorted(folders)
    try:
        return [os.path.commonpath(folders)] if folders else []
    except ValueError:  # on several drives
        return sorted(folders)
