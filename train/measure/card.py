"""Figures of an evaluation, and a run's comparison, as the tables of MODEL_CARD.md."""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tagger.errors import RunError
from tagger.evidence.decide import MIN_CONF
from train.measure.evaluate import Report
from train.measure.metrics import ONE_IN, THRESHOLDS
from train.photos.folders import STRANGER

LEAST = 15  # fewest photos of a source that gets a row
WORST, WORST_OF = 20, 4  # landmarks that have a row, and photos of each at least
PAIRS = 10
EVER = ("precision", "recall", "far tagged", "near tagged")  # columns that stay even if empty


def fill(card: Path, name: str, report: Report, comparison: Path | None = None) -> None:
    """Replace the text between ``<!-- NAME figures -->`` and ``<!-- end -->``, and so on.

    Blocks: ``figures`` and ``thresholds``; where the card has them ``library``, ``classes``,
    ``learned``, ``sources``, ``continents`` and ``confused``; and ``rejection`` where a comparison
    (the rejection.csv of a run) is given.

    Raises:
        RunError: the card has no such block.
    """
    blocks = {"figures": figures(report), "thresholds": thresholds(report)}
    wanted = set(blocks)
    blocks |= {
        "library": library(report),
        "classes": classes(report),
        "learned": groups(report, "photos to learn from"),
        "sources": groups(report, "source", least=LEAST),
        "continents": groups(report, "continent"),
        "confused": confused(report),
    }
    if comparison:
        blocks["rejection"] = rejection(comparison)
        wanted.add("rejection")
    text = card.read_text(encoding="utf-8")
    for block, table in blocks.items():
        mark = f"<!-- {name} {block} -->"
        text, changed = re.subn(
            rf"({re.escape(mark)}\n).*?(<!-- end -->)",
            lambda match, table=table: match[1] + table + match[2],  # type: ignore[misc]
            text,
            flags=re.S,
        )
        if not changed and block in wanted:
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
    columns = {
        "precision": "precision on the mix",
        "recall": "landmarks tagged right",
        "far tagged": "far tagged",
        "near tagged": "near tagged",
        "wrong": "landmarks tagged wrong",
        f"{STRANGER} tagged": "unknown monuments tagged",
    }
    shown = [key for key in columns if key in EVER or f"{key}@{MIN_CONF}" in report.figures]
    return table(
        ("--min-conf", *(columns[key] for key in shown)),
        [
            (f"{level}", *(_share(report, f"{key}@{level}", 1 + (key == "wrong")) for key in shown))
            for level in THRESHOLDS
        ],
    )


def library(report: Report) -> str:
    """Precision if few photos show a known landmark."""
    heads = [f"1 in {count}{more}" for count in ONE_IN for more in ("", ", others far")]
    shown = [head for head in heads if f"{head}@{MIN_CONF}" in report.figures]
    return table(
        ("--min-conf", *shown),
        [(f"{level}", *(_share(report, f"{head}@{level}") for head in shown))
         for level in THRESHOLDS],
    )  # fmt: skip


def classes(report: Report) -> str:
    """The landmarks with the worst results, at 0.6, among those with WORST_OF photos or more."""
    known = {slug: row for slug, row in report.classes.items() if row["photos"] >= WORST_OF}
    worst = sorted(known, key=lambda slug: (known[slug]["tagged_right"], known[slug]["top1"]))
    return table(
        ("landmark", "photos", "recognised", "tagged right", "wrongly tagged so"),
        [
            (
                slug.replace("_", " "),
                f"{known[slug]['photos']:.0f}",
                f"{100 * known[slug]['top1']:.0f} %",
                f"{100 * known[slug]['tagged_right']:.0f} %",
                f"{known[slug]['wrong_tags']:.0f}",
            )
            for slug in worst[:WORST]
        ],
    )


def groups(report: Report, name: str, least: int = 1) -> str:
    """The results of the groups of one kind, at 0.6, with ``least`` photos or more."""
    rows = sorted(report.groups.get(name, []), key=lambda row: -row.photos if least > 1 else 0)
    return table(
        (name, "photos", "recognised", "tagged right (95 % interval)", "tagged wrong"),
        [
            (
                " ".join(row.name.split()),
                f"{row.photos}",
                f"{100 * row.top1:.1f} %",
                f"{100 * row.tagged_right:.1f} % "
                f"({100 * row.interval[0]:.1f} to {100 * row.interval[1]:.1f})",
                f"{100 * row.tagged_wrong:.1f} %",
            )
            for row in rows
            if row.photos >= least
        ],
    )


def confused(report: Report) -> str:
    """The first pairs of landmarks that are confused with each other."""
    return table(
        ("shown", "named", "photos", "tagged so", "confidence, the surest"),
        [
            (*(slug.replace("_", " ") for slug in (pair.shown, pair.named)),
             f"{pair.photos}", f"{pair.tagged}", f"{pair.confidence:.2f}")
            for pair in report.confused[:PAIRS]
        ],
    )  # fmt: skip


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
