"""How a report is written down: CSV for people and spreadsheets, JSON Lines for programs."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Protocol

from tagger.report.cells import unsafe
from tagger.report.columns import COLUMNS

JSON_LINE = b'{"path": '  # what each line of the latter begins with
_NUMBERS = frozenset(
    "latitude longitude radius_m confidence second_confidence third_confidence size".split()
)


class ReportFormat(Protocol):
    """Turns the cells of a report, in the order of its columns, into bytes.

    What ``header`` and each ``row`` give is written at once or not at all, so that a report is
    whole whenever a run ends.
    """

    def header(self) -> bytes: ...

    def row(self, cells: Sequence[str]) -> bytes: ...


class Csv:
    """RFC 4180, with cells that no spreadsheet takes for formulas."""

    def header(self) -> bytes:
        return self.row(COLUMNS)

    def row(self, cells: Sequence[str]) -> bytes:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        return line.getvalue().encode()


class JsonLines:
    """One JSON object a line (jsonlines.org): numbers are numbers, unknown values are null.

    The column ``accept`` is left out: it is for the user to fill in, in a spreadsheet.
    """

    def header(self) -> bytes:
        return b""

    def row(self, cells: Sequence[str]) -> bytes:
        values = {
            name: _value(name, cell)
            for name, cell in zip(COLUMNS, cells, strict=True)
            if name != "accept"
        }
        return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def _value(column: str, cell: str) -> str | float | int | None:
    text = unsafe(cell)
    if not text:
        return None
    if column == "mtime_ns":
        return int(text.removesuffix("ns"))
    if column in _NUMBERS:
        number = float(cell)
        return int(number) if column == "size" else number
    return text


def format_of(name: str) -> ReportFormat:
    """The format of a report of that name: JSON Lines for ``.jsonl``, else CSV."""
    return JsonLines() if PurePath(name).suffix.lower() == ".jsonl" else Csv()
