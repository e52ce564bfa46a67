"""Figures of an evaluation, and a run's comparison, as the tables of MODEL_CARD.md."""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tagger.errors import RunError
from train.measure.evaluate import Report
from train.measure.metrics import THRESHOLDS


def fill(card: Path, name: str, report: Report, comparison: Path | None = None) -> None:
    """Replace what stands between ``<!-- NAME figures -->`` and ``<!-- end -->``, and so on.

    Blocks: ``figures``, ``thresholds`` and ``classes``, and ``rejection`` where a comparison (the
    rejection.csv of a run) is given.

    Raises:
        RunError: the card has no such block.
    """
    blocks = {
        "figures": figures(report),
        "thresholds": thresholds(report),
        "classes": classes(report),
    }
    if comparison:
        blocks["rejection"] = rejection(comparison)
    text = card.read_text(encoding="utf-8")
    for block, table in blocks.items():
        mark = f"<!-- {name} {block} -->"
        text, changed = re.subn(
            rf"({re.escape(mark)}\n).*?(<!-- end -->)",
            lambda match, table=table: match[1] + table + match[2],  # type: ignore[misc]
            text,
            flags=re.S,
        )
        if not changed:
            raise RunError(f"{card}: has no block {mark} ... <!-- end -->; add one")
    card.write_text(text, encoding="utf-8")


def figures(report: Report) -> str:
    """Accuracy, separation and calibration, with 95 % intervals."""
    names = {"top1": "top-1 accuracy", "top5": "top-5 accuracy", "auroc far": "AUROC against far"}
    names |= {"auroc near": "AUROC against near", "ece": "expected calibration error"}
    rows = [
        (label, _share(report, key, 2)) for key, label in names.items() if key in report.figures
    ]
    return table(("figure", "test photos (95 % interval)"), rows)


def thresholds(report: Report) -> str:
    """Precision and recall at each ``--min-conf``."""
    columns = ("precision", "recall", "far tagged", "near tagged")
    heads = ("--min-conf", "precision on the mix", "landmarks tagged right", *columns[2:])
    return table(
        heads,
        [
            (f"{level}", *(_share(report, f"{column}@{level}") for column in columns))
            for level in THRESHOLDS
        ],
    )


def classes(report: Report) -> str:
    """By landmark, at 0.6."""
    return table(
        ("landmark", "photos", "recognised", "tagged right", "wrongly tagged so"),
        [
            (
                slug.replace("_", " "),
                f"{row['photos']:.0f}",
                f"{100 * row['top1']:.0f} %",
                f"{100 * row['tagged_right']:.0f} %",
                f"{row['wrong_tags']:.0f}",
            )
            for slug, row in report.classes.items()
        ],
    )


def rejection(comparison: Path) -> str:
    """The rows of rejection.csv."""
    with comparison.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    columns = [name.replace("_", " ").replace("auroc", "AUROC") for name in head]
    return table(columns, [[name, *map(_short, values)] for name, *values in rows])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _share(report: Report, key: str, digits: int = 1) -> str:
    if key not in report.figures:
        return ""
    low, high = report.intervals[key]
    shown = (f"{100 * value:.{digits}f}" for value in (report.figures[key], low, high))
    return "{} % ({} to {})".format(*shown)


def _short(value: str) -> str:
    number = float(value)
    return "" if math.isnan(number) else f"{number:.3f}"
