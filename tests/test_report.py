"""The report: what a spreadsheet shows, what it gives back, which older reports are kept."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import RunError
from tagger.records import Candidate, Entry, Guess, Outcome, Status, Version
from tagger.report import cells, columns, writer

VERSION = Version(1000, 123456789)


def written(path: Path, *outcomes: Outcome) -> list[dict[str, str]]:
    with writer.ReportWriter(path, {"Taj_Mahal": "Taj Mahal"}, "tiny@12", "run-1") as rows:
        for outcome in outcomes:
            rows.write(outcome)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_outcome_with_all_columns(tmp_path: Path) -> None:
    guess = Guess((Candidate("Taj_Mahal", 0.71234), Candidate("Khajuraho", 0.1)), 0.1)
    rows = written(
        tmp_path / "r.csv",
        Outcome(Entry("/p/a.jpg", VERSION), Status.UNSURE, "confidence 0.71 < 0.8", guess),
        Outcome(Entry("/p/b.jpg", VERSION), Status.FAILED, "disk full"),
    )
    assert list(rows[0]) == list(columns.COLUMNS)
    assert (
        rows[0] | {"landmark": "Taj Mahal", "confidence": "0.7123", "second": "Khajuraho"}
        == rows[0]
    )
    assert rows[0]["latitude"] == ""  # a place stands only where it was accepted
    assert (rows[1]["status"], rows[1]["reason"], rows[1]["landmark"]) == (
        "failed",
        "disk full",
        "",
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "'"])
def test_no_cell_is_a_formula(tmp_path: Path, start: str) -> None:
    key = f"{start}cmd|' /C calc'!A0.jpg"
    rows = written(tmp_path / "r.csv", Outcome(Entry(key, VERSION), Status.FAILED, f"{start}1+1"))
    assert rows[0]["path"].startswith("'") and rows[0]["reason"].startswith("'")
    assert cells.native(cells.unsafe(rows[0]["path"])) == key


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw))
def test_any_file_name_survives_the_report(raw: bytes) -> None:
    key = os.fsdecode(raw)
    cell = cells.safe(cells.portable(key))
    assert cell.encode() and len(cell.splitlines()) == 1
    assert cells.native(cells.unsafe(cell)) == key


def test_an_earlier_report_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    first = Outcome(Entry("/p/a.jpg", VERSION), Status.FAILED, "first")
    written(path, first)
    written(path, first)
    written(path)
    assert "first" in (tmp_path / "report.1.csv").read_text()
    assert (tmp_path / "report.2.csv").exists()
    written(path, first)  # over a report without rows, which nobody needs
    assert not (tmp_path / "report.3.csv").exists() and "first" in path.read_text()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_earlier_report_without_rows_is_not_written_over_through_a_link(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    written(tmp_path / "other.csv")
    before = (tmp_path / "other.csv").read_bytes()
    link(tmp_path / "other.csv", tmp_path / "report.csv")
    with pytest.raises(RunError, match="link"):
        written(tmp_path / "report.csv", Outcome(Entry("/a.jpg", VERSION), Status.FAILED, "x"))
    assert (tmp_path / "other.csv").read_bytes() == before


def test_the_latest_reports_are_kept_and_no_other_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "nightly.csv"
    others = ("nightly.0.csv", "nightly.1.csv.bak", "nightly.x.csv", "nightly2.csv", "n.1.csv")
    row = Outcome(Entry("/p/a.jpg", VERSION), Status.FAILED, "first")
    for name in others:
        written(tmp_path / name, row)
    (tmp_path / "nightly.1.csv").write_text("a file of somebody else")
    for number in range(2, 9):
        written(tmp_path / f"nightly.{number}.csv", row)
    (tmp_path / "nightly.2.csv.review").write_text("decisions")
    edited = tmp_path / "nightly.3.csv"
    edited.write_bytes(edited.read_bytes().removesuffix(b",\n") + b",yes\n")
    written(path, row)
    with writer.ReportWriter(path, {}, "m", "r", keep=2):
        pass
    kept = {"nightly.1.csv", "nightly.2.csv", "nightly.2.csv.review", "nightly.3.csv"}
    kept |= {"nightly.8.csv", "nightly.9.csv", "nightly.csv", *others}
    assert {file.name for file in tmp_path.iterdir()} == kept


def test_the_decisions_on_an_earlier_report_go_with_it(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    # Those of a report that is gone are not replaced.
    for name in ("report.csv.review", "report.csv.review-journal", "report.1.csv.review"):
        (tmp_path / name).write_text(name)
    written(path, Outcome(Entry("/p/a.jpg", VERSION), Status.FAILED, "first"))
    written(path)
    assert {file.name: file.read_text()[:17] for file in tmp_path.iterdir() if file != path} == {
        "report.1.csv.review": "report.1.csv.revi",
        "report.2.csv": "path,status,landm",
        "report.2.csv.review": "report.csv.review",
        "report.2.csv.review-journal": "report.csv.review",
    }


@pytest.mark.parametrize(
    "encoding, delimiter, quoting",
    [
        ("utf-8-sig", ",", csv.QUOTE_MINIMAL),
        ("utf-8", ";", csv.QUOTE_MINIMAL),
        ("utf-8-sig", ";", csv.QUOTE_ALL),
        ("utf-8", "\t", csv.QUOTE_MINIMAL),
        ("utf-16", "\t", csv.QUOTE_ALL),
    ],
)
def test_an_earlier_report_that_a_spreadsheet_saved_is_kept(
    tmp_path: Path, encoding: str, delimiter: str, quoting: Literal[0, 1, 2, 3]
) -> None:
    path = tmp_path / "report.csv"
    rows = written(path, Outcome(Entry("/p/a.jpg", VERSION), Status.FAILED, "first"))
    with path.open("w", encoding=encoding, newline="") as file:
        sheet = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, quoting=quoting)
        sheet.writeheader()
        sheet.writerows(rows)
    before = path.read_bytes()
    assert written(path) == []
    assert (tmp_path / "report.1.csv").read_bytes() == before


def test_another_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe1 a photo")
    with pytest.raises(RunError, match="not a landmark-tag report; choose another name"):
        written(path)
    assert path.read_bytes() == b"\xff\xd8\xff\xe1 a photo"


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"--report .*choose another place"):
        written(tmp_path / "missing" / "report.csv")
