"""A report as a table in memory, saved whole, in its original form, after each change."""

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from unicodedata import category

from tagger.errors import RunError
from tagger.records import Source, Status
from tagger.report.cells import native, unsafe
from tagger.report.columns import COLUMNS
from tagger.report.reader import NO, YES, opened
from tagger.storage.named_files import replace_file

_NO_SIGNS = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's general categories
_JOINERS = "\u200c\u200d"
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
        with opened(path, _NEEDED) as table:
            self._form = table.form
            added = [name for name in COLUMNS if name not in table.columns]
            self._header, self.columns = (*table.header, *added), (*table.columns, *added)
            width = len(table.columns)
            # Cells beyond the columns stay at the end: apply refuses such a row, and says why.
            self.rows = [
                [*row[:width], *[""] * (len(self.columns) - min(len(row), width)), *row[width:]]
                for _, row in table.rows
            ]
            self._seen, self._digest = _version(path), _digest(path.read_bytes())
        self._place = {name: number for number, name in enumerate(self.columns)}
        self._lines = [self._form.line(row) for row in self.rows]

    def column(self, name: str) -> list[str]:
        """All cells of one column, without the mark against formulas."""
        place = self._place[name]
        return [plain_cell(name, row[place]) for row in self.rows]

    def cell(self, row: int, name: str) -> str:
        return plain_cell(name, self.rows[row][self._place[name]])

    def photo(self, row: int) -> str:
        """The photo's path as the system knows it; text that cannot be one stays as it is."""
        with contextlib.suppress(ValueError):
            return native(self.cell(row, "path"))
        return self.cell(row, "path")

    def key(self, row: int) -> tuple[str, str]:
        """What names a row for good: run and path, as text."""
        return self.cell(row, "run_id"), self.cell(row, "path")

    def headline(self, row: int) -> str:
        """The row's place; a guess that was not accepted is not stated as a fact."""
        name, status = self.cell(row, "landmark"), self.cell(row, "status")
        if self.cell(row, "accept") == "yes" and name:
            return name
        if not name and self.cell(row, "latitude") and (source := self.cell(row, "source")):
            return position_by(source)
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
        self._lines[row] = self._form.line(self.rows[row])

    def save(self) -> None:
        """Replace the file in one step: 100,000 rows take about a tenth of a second.

        Raises:
            RunError: another program changed it since, or it cannot be written.
        """
        data = self._form.mark + self._form.line(self._header) + b"".join(list(self._lines))
        try:
            if self._is_another():
                raise RunError(
                    f"{self.path}: another program changed it; close it there, then stop and start "
                    "the review again (no decision is lost)"
                )
            replace_file(self.path, data)
            self._seen, self._digest = _version(self.path), _digest(data)
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written ({error.strerror}); decisions are kept beside it, "
                "make room and start the review again"
            ) from error

    def _is_another(self) -> bool:
        """Whether the file changed; another inode alone, which a remount gives, does not say so."""
        now = _version(self.path)
        if now == self._seen or now[:2] != self._seen[:2]:
            return now != self._seen
        return _digest(self.path.read_bytes()) != self._digest


def position_by(source: str) -> str:
    """What stands for a landmark's name where only the camera's position is known."""
    names: dict[str, str] = {Source.TAKEOUT: "Takeout", Source.PAIR: "a photo of the same shot"}
    return f"Position by {names.get(source, source)}"


def plain_cell(name: str, cell: str) -> str:
    """A cell in the one spelling that is compared, whatever a spreadsheet or an editor made of it.

    A path may begin or end with spaces.
    """
    if name == "path":
        return unsafe(cell)
    text = unsafe(cell.strip())
    match name:
        case "status" | "source":
            return text.casefold()
        case "accept" if text.casefold() in YES | NO:
            return "yes" if text.casefold() in YES else "no"
        case _:
            return text


def number(text: str) -> float | None:
    """A finite number with a decimal point or comma, or None."""
    try:
        value = float(text.replace(",", ".") if "." not in text else text)
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None


def printable(text: str) -> str:
    """A name as a page can show it: bytes that are not UTF-8 and unprintable ones are ``\\xNN``.

    Unprintable are control characters, line breaks and marks that turn the direction of writing;
    the joiner in emoji stays.
    """
    return "".join(map(_sign, text))


def _sign(char: str) -> str:
    if char.isprintable() or char in _JOINERS or category(char) not in _NO_SIGNS:
        return char
    escaped = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", escaped))


def _version(path: Path) -> tuple[int, int, int]:
    now = path.stat()
    return now.st_size, now.st_mtime_ns, now.st_ino


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
