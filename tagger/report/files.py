"""The report's files: an older one is moved aside with what belongs to it."""

import codecs
import os
import re
from collections.abc import Iterable
from pathlib import Path

from tagger.errors import RunError
from tagger.report.columns import COLUMNS, FIRST_COLUMNS
from tagger.report.formats import JSON_LINE

_SQLITE = ("-journal", "-wal", "-shm")  # sqlite.org/tempfiles.html


def is_report(data: bytes) -> bool:
    """Whether a file that begins so is a report, also where a spreadsheet saved it again."""
    if data.startswith(JSON_LINE):
        return True
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    header = data[:64].decode("utf-16" if wide else "utf-8-sig", "replace")
    return re.sub("[;\\t]", ",", header.replace('"', "")).startswith(FIRST_COLUMNS)


def move_aside(path: Path) -> None:
    """Keep an earlier report, and the decisions on it, under the next free number."""
    with path.open("rb") as file:
        head = file.read(1024)
    if not is_report(head):
        raise RunError(
            f"--report {path}: exists and is not a landmark-tag report; choose another name"
        )
    if is_empty(head) and not decisions(path).exists():
        if not path.is_symlink() and path.stat().st_nlink == 1:  # otherwise the writer refuses it
            path.unlink()
        return  # it has no rows and is not needed
    number = max(numbers(path.name, os.listdir(path.parent)), default=0) + 1
    older = path.with_name(f"{path.stem}.{number}{path.suffix}")
    for old, new in zip(_files(path), _files(older), strict=True):
        if old.exists():
            old.rename(new)


def remove_old(path: Path, keep: int) -> None:
    """Remove old numbered reports, except the latest and edited ones."""
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
    return {int(match[1]) for other in others if (match := kept.fullmatch(other))}


def is_empty(head: bytes) -> bool:
    """Whether a report that begins so has no rows."""
    return head == f"{','.join(COLUMNS)}\n".encode()


def decisions(path: Path) -> Path:
    """The file beside a report that holds the review's decisions."""
    return path.with_name(f"{path.name}.review")


def _files(path: Path) -> list[Path]:
    """A report, the decisions on it, and what SQLite may keep beside those."""
    beside = decisions(path)
    return [path, *(beside.with_name(beside.name + end) for end in ("", *_SQLITE))]


def as_written(data: bytes) -> bool:
    """Whether a report is as the program wrote it: the last column is for the user to fill in."""
    if data.startswith(JSON_LINE):
        return all(line.startswith(JSON_LINE) for line in data.splitlines())
    lines = data.splitlines(keepends=True)
    return is_report(data[:64]) and all(line.endswith(b",\n") for line in lines[1:])
