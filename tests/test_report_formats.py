"""The formats of a report: CSV and JSON Lines hold the same facts."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tagger.cli.main import main
from tagger.errors import RunError
from tagger.places.landmarks import load_landmarks
from tagger.records import Candidate, Entry, Guess, Outcome, Status, Version
from tagger.report.cells import native, unsafe
from tagger.report.columns import COLUMNS
from tagger.report.formats import Csv, JsonLines, format_of
from tagger.report.writer import ReportWriter

VERSION = Version(1000, 1_700_000_000_123_456_789)
GUESS = Guess((Candidate("Taj_Mahal", 0.98), Candidate("Khajuraho", 0.01)), 0.01)
TAGGED = Outcome(
    Entry("/p/=é\n.jpg", VERSION), Status.TAGGED, "confidence 0.98 >= 0.6", GUESS,
    load_landmarks()["Taj_Mahal"],
)  # fmt: skip
FAILED = Outcome(Entry("/p/b.jpg", VERSION), Status.FAILED, "-disk full")


def written(path: Path, *outcomes: Outcome, keep: int | None = None) -> None:
    with ReportWriter(path, {"Taj_Mahal": "Taj Mahal"}, "tiny@12", "run-1", keep) as rows:
        for outcome in outcomes:
            rows.write(outcome)


def objects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_suffix_tells_the_format() -> None:
    assert isinstance(format_of("r.jsonl"), JsonLines) and isinstance(
        format_of("R.JSONL"), JsonLines
    )
    assert isinstance(format_of("r.csv"), Csv) and isinstance(format_of("r"), Csv)


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    written(tmp_path / "r.csv", TAGGED, FAILED)
    written(tmp_path / "r.jsonl", TAGGED, FAILED)
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    lines = objects(tmp_path / "r.jsonl")
    assert [list(item) for item in lines] == [list(COLUMNS[:-1])] * 2
    for row, item in zip(table, lines, strict=True):
        for name, value in item.items():
            cell = unsafe(row[name])
            if value is None:
                assert cell == ""
            elif isinstance(value, str):
                assert cell == value
            else:
                assert float(cell.removesuffix("ns")) == float(value)
    assert native(lines[0]["path"]) == "/p/=é\n.jpg"
    assert lines[0]["latitude"] == pytest.approx(27.175, abs=0.01)
    assert lines[0]["mtime_ns"] == VERSION.mtime_ns and lines[0]["size"] == 1000
    assert lines[1]["reason"] == "-disk full" and lines[1]["confidence"] is None


def test_older_json_reports_are_kept_by_number_and_other_files_are_not_touched(
    tmp_path: Path,
) -> None:
    path = tmp_path / "r.jsonl"
    for _ in range(4):
        written(path, FAILED, keep=2)
    assert {file.name for file in tmp_path.iterdir()} == {"r.jsonl", "r.2.jsonl", "r.3.jsonl"}
    path.write_text('{"name": "a file of somebody else"}\n')
    with pytest.raises(RunError, match="not a landmark-tag report"):
        written(path, FAILED)


def test_the_command_line_writes_json_lines(
    library: Path, colour_model: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.jsonl"
    words = [str(library), "--dry-run", "--model", str(colour_model), "--report", str(report)]
    done = CliRunner().invoke(main, ["tag", *words])
    assert done.exit_code == 0, done.output
    assert [item["status"] for item in objects(report)].count("would_tag") == 3
    refused = CliRunner().invoke(main, ["apply", str(report), "--dry-run"])
    assert refused.exit_code == 2 and "r.jsonl" in refused.output
