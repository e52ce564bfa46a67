"""A report as one HTML file: thumbnails, map and filters inside, nothing fetched."""

import codecs
import html
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tagger.errors import PhotoError, RunError
from tagger.review.sheet import Sheet, number, printable
from tagger.review.thumbnails import data_url, thumbnail_of
from tagger.review.trusted_root import Root, inside, relative
from tagger.review.whereabouts import words
from tagger.review.worldmap import VIEW_BOX, asset, land
from tagger.storage.named_files import replace_file
from tagger.terminal import counted

_EDGE = 240
_MOST_CHOICES = 500
_HTML = (b"<!doctype html", b"<html")
# Rows that a reader sees first get thumbnails first.
_INTEREST = ("tagged", "would_tag", "unsure", "no_landmark")


def write_html(report: Path, out: Path, root: Root, thumbnails: int, workers: int = 2) -> int:
    """Write the page; ``thumbnails`` photos at most are embedded, 15 KB each or so.

    Returns:
        how many rows were left out because they name something outside ``root``.

    Raises:
        RunError: the report cannot be read or the page cannot be written.
    """
    _check_replaceable(out)
    sheet = Sheet(report)
    rows = [_row(sheet, n, root) for n in range(len(sheet.rows))]
    allowed = [row for row in rows if row is not None]
    rank = {status: place for place, status in enumerate(_INTEREST)}
    chosen = sorted(allowed, key=lambda row: rank.get(row["status"], 9))[:thumbnails]
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(lambda row: _add_thumbnail(row, sheet, root), chosen):
            pass
    page = _page(sheet, allowed, len(rows) - len(allowed), root)
    with _explained(out):
        replace_file(out, page.encode())
    return len(rows) - len(allowed)


def _check_replaceable(out: Path) -> None:
    """Make sure that no photo, report or device is lost: only an HTML file may be replaced."""
    with _explained(out):
        if not out.exists():
            return
        head = out.read_bytes() if out.is_file() else b"no file"
    if head and not head.lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower().startswith(_HTML):
        raise RunError(f"--html {out}: exists and is not an HTML file; choose another name")


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"--html {out}: cannot be written ({error.strerror}); choose another place"
        ) from error


def _row(sheet: Sheet, n: int, root: Root) -> dict[str, Any] | None:
    """What the page shows of one row; None where it must not be shown."""
    path = sheet.photo(n)
    if not inside(path, root):
        return None
    shown = printable(relative(path, root))
    texts = ("status", "landmark", "city", "country", "reason", "source", "accept")
    others = [
        f"{sheet.cell(n, name)} {100 * share:.0f} %"
        for name in ("second", "third")
        if name in sheet.columns
        and sheet.cell(n, name)
        and (share := number(sheet.cell(n, f"{name}_confidence"))) is not None
    ]

    def cell(name: str) -> str:
        return sheet.cell(n, name)

    return {
        "number": n,
        "file": shown,
        "title": printable(sheet.headline(n)),
        "folder": os.path.dirname(shown),
        **{name: printable(sheet.cell(n, name)) for name in texts},
        **{name: number(sheet.cell(n, name)) for name in ("confidence", "latitude", "longitude")},
        "others": printable(", ".join(others)),
        "camera": printable(" ".join(words(*map(cell, ("source", "radius_m", "evidence"))))),
    }


def _add_thumbnail(row: dict[str, Any], sheet: Sheet, root: Root) -> None:
    try:
        row["thumb"] = data_url(thumbnail_of(sheet.photo(row["number"]), root, _EDGE))
    except PhotoError as error:
        row["why"] = str(error)


def _page(sheet: Sheet, rows: list[dict[str, Any]], refused: int, root: Root) -> str:
    counts = Counter(row["status"] for row in rows)
    counted_words = (f"{count:,} {name.replace('_', ' ')}" for name, count in counts.most_common())
    summary = ", ".join(counted_words)
    lead = f"{counted(len(rows), 'photo')}: {summary}." if rows else "No photos."
    if refused:
        left_out = f"outside {printable(str(root))}, left out"
        lead += f" {counted(refused, 'row')} of files {left_out}."
    data = {
        "rows": rows,
        "land": land(),
        "viewBox": VIEW_BOX,
        "statuses": [name for name, _ in counts.most_common()],
        "landmarks": sorted({row["landmark"] for row in rows if row["landmark"]}),
        "sources": sorted({row["source"] for row in rows if row["source"]}),
        "folders": sorted({row["folder"] for row in rows if row["folder"]})[:_MOST_CHOICES],
    }
    # "<" would let text in a row end the script element.
    blob = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    parts = {
        "title": html.escape(f"Landmarks in {printable(sheet.path.name)}"),
        "lead": html.escape(lead),
        "style": asset("report.css") + asset("map.css"),
        "data": blob.encode("utf-8", "backslashreplace").decode(),
        "script": asset("map.js") + asset("report.js"),
    }
    return re.sub("@@([a-z]+)@@", lambda match: parts[match[1]], asset("report.html"))
