"""The benchmark's figures as a table for docs/performance.md, and as a sentence for the README."""

import re
from pathlib import Path
from typing import Any

MARKS = "<!-- made by scripts/benchmark.py --update -->", "<!-- end -->"
ROWS = (
    ("12-megapixel photos ({photo_mb:.1f} MB), end to end", "{ours_photos_per_s:.1f} a second"),
    ("against a naive loop", "{end_to_end_vs_naive:.1f} times as fast"),
    ("against a DataLoader pipeline", "{end_to_end_vs_dataloader:.1f} times as fast"),
    ("share of the ceiling: decoding and classifying alone", "{fraction_of_ceiling:.0%}"),
    (
        "a real library (40 % with GPS, 4 % landmarks): photos a second, with `--thorough`",
        "{library_ours_photos_per_s:.0f}, {library_thorough_photos_per_s:.0f}",
    ),
    (
        "there against `--thorough`, a naive loop, a DataLoader pipeline",
        "{library_vs_thorough:.1f}, {library_vs_naive:.0f}, {library_vs_dataloader:.0f} times",
    ),
    ("HEIC photos, against `--thorough`", "{heic_vs_thorough:.1f} times as fast"),
    (
        "1,000 ordinary photos of 3 MB in a bucket: GETs, read; with `--thorough`",
        "{bucket_gets_of_1000:,.0f}, {bucket_mb_of_1000:,.0f} MB; "
        "{bucket_thorough_gets_of_1000:,.0f}, {bucket_thorough_mb_of_1000:,.0f} MB",
    ),
    ("photos that carry GPS", "{gps_scan_photos_per_s:,.0f} a second"),
    ("a run over 100,000 unchanged photos", "{rerun_100k_s:.1f} s"),
    ("`landmark-tag --help`", "{help_s:.2f} s"),
    ("first photo tagged after", "{first_tag_s:.1f} s"),
    ("peak memory, 24-megapixel photos", "{peak_rss_mb:,.0f} MB"),
    ("peak memory, a panorama of 300 megapixels", "{peak_rss_panorama_mb:,.0f} MB"),
    (
        "peak memory, small photos; ten times as many",
        "{peak_rss_few_mb:,.0f} MB, {peak_rss_tenfold_mb:,.0f} MB",
    ),
    (
        "writing a {write_photo_mb:.0f} MB photo: total, without the disk; ExifTool",
        "{write_ours_ms:.1f} ms, {write_besides_disk_ms:.1f} ms; {write_exiftool_ms:.1f} ms",
    ),
)


def table(figures: dict[str, float | str]) -> str:
    """The table in Markdown, without figures that were not measured."""
    lines = [f"| measured on {figures['machine']} | |", "|---|---|"]
    for label, value in ROWS:
        try:
            lines.append(f"| {label.format(**figures)} | {value.format(**figures)} |")
        except KeyError:
            continue
    return "\n".join(lines)


PLACES = (
    ("ms of a core added to a photo", "core_ms", "{:.2f}"),
    ("ms that pass for a photo, 2 threads on 2 cores", "ms", "{:.2f}"),
    ("MB more resident, all of the map that was touched", "mb", "{:.0f}"),
    ("ms to open", "open_ms", "{:.1f}"),
    ("MB on disk", "disk_mb", "{:.0f}"),
    ("recall of the 24 nearest against exact search", "recall", "{:.3f}"),
    ("recall of the nearest", "first", "{:.3f}"),
)


def places_table(figures: dict[str, Any]) -> str:
    """The section on packs as Markdown for docs/scaling.md; nothing where it was not measured."""
    counts = sorted(int(key.split("_")[1]) for key in figures if key.endswith("_core_ms"))
    if not counts:
        return ""
    lines = [
        f"| references (places), {figures['machine']} |"
        + "".join(f" {count:,} ({count // 5:,}) |" for count in counts),
        "|---" * (len(counts) + 1) + "|",
    ]
    for label, name, form in PLACES:
        cells = (form.format(figures[f"places_{count}_{name}"]) for count in counts)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def sentence(figures: dict[str, Any]) -> str:
    """The first figures in words; empty if they were not measured."""
    try:
        return (
            "{ours_photos_per_s:.1f} photos of 12 megapixels a second, {end_to_end_vs_naive:.1f} "
            "times a naive loop, and\n100,000 unchanged photos in {rerun_100k_s:.1f} s ({machine})."
        ).format(**figures)
    except KeyError:
        return ""


def put(page: Path, text: str) -> None:
    """Replace the text between the marks.

    Raises:
        ValueError: the marks are missing.
    """
    begin, end = MARKS
    old = page.read_text(encoding="utf-8")
    new, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n{text}\n{end}",
        old,
        flags=re.DOTALL,
    )
    if not count:
        raise ValueError(f"{page}: has no {begin}")
    page.write_text(new, encoding="utf-8")
