"""Reviewing positions that come from time, tracks or Takeout."""

import csv
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_review_core import read_report
from walk_photos import photo

from tagger import metadata
from tagger.cli.main import main
from tagger.evidence.captures_file import index_beside
from tagger.evidence.neighbours import neighbours
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m
from tagger.places.landmarks import load_landmarks
from tagger.records import Status
from tagger.review import lessons, whereabouts, writeback
from tagger.review.decision import CELLS, Decision, Verdict, widened
from tagger.review.htmlreport import write_html
from tagger.review.session import Review
from tagger.review.view import Filter, View

KNOWN = load_landmarks()
NOON = 1_714_564_800.0
NEAR = (48.8601, 2.2911)
ACCEPT, REJECT = Decision(Verdict.ACCEPT), Decision(Verdict.REJECT)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def report(tmp_path: Path, ledger: Path, colour_model: Path) -> Path:
    """b.jpg was taken between a.jpg and c.jpg; the index has all three, b.jpg is not tagged yet."""
    folder, report = tmp_path / "photos", tmp_path / "report.csv"
    folder.mkdir()
    for name, seconds, at in (("a.jpg", 0, NEAR), ("b.jpg", 60, None), ("c.jpg", 240, NEAR)):
        one = Capture(name, NOON + seconds, position=at, camera="X")
        (folder / name).write_bytes(photo(one))
    words = [str(folder), "--model", str(colour_model), "--ledger", str(ledger), "--quiet",
             "--report", str(report)]  # fmt: skip
    for options in ([], ["--from", "time", "--dry-run"]):
        result = CliRunner().invoke(main, [*words, *options])
        assert result.exit_code == 0, result.output
    return report


@pytest.fixture
def review(report: Path) -> Iterator[Review]:
    opened = Review(report, KNOWN)
    yield opened
    opened.close()


def cells(review: Review) -> dict[str, str]:
    review.flush()
    return next(row for row in read_report(review.sheet.path) if "b.jpg" in row["path"])


def written(review: Review, ledger: Path, status: Status = Status.TAGGED) -> bytes:
    """The photo after Apply."""
    root = review.sheet.path.parent / "photos"
    asked = writeback.to_write(review, [1])
    _, outcomes = writeback.write_back(review, asked, root, ledger, lambda _: None)
    assert [outcome.status for outcome in outcomes] == [status], outcomes
    return (root / "b.jpg").read_bytes()


def test_a_position_is_accepted_and_written(review: Review, ledger: Path) -> None:
    assert review.sheet.headline(1) == "Position by time"
    before = (review.sheet.path.parent / "photos" / "b.jpg").read_bytes()
    review.decide([1], ACCEPT)
    assert (cells(review)["accept"], cells(review)["landmark"]) == ("yes", "")
    at = metadata.position(written(review, ledger))
    assert at and distance_m(at, NEAR) < 1
    undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(ledger)])
    assert undone.exit_code == 0
    assert (review.sheet.path.parent / "photos" / "b.jpg").read_bytes() == before


def test_a_position_is_rejected(review: Review) -> None:
    review.decide([1], REJECT)
    assert cells(review)["accept"] == "no" and not writeback.to_write(review, [1])


def test_a_landmark_that_is_named_leaves_the_camera_where_it_was(
    review: Review, ledger: Path
) -> None:
    before = cells(review)
    review.decide([1], Decision(Verdict.LANDMARK, "Eiffel_Tower"))
    named = cells(review)
    assert named["landmark"] == "Eiffel Tower" and named["wikidata"]
    for column in ("latitude", "longitude", "radius_m", "source", "evidence"):
        assert named[column] == before[column]
    data = written(review, ledger)
    at, provenance = metadata.position(data), metadata.provenance(data)
    assert at and distance_m(at, NEAR) < 1 and provenance and provenance.source == "time"


def test_a_landmark_out_of_sight_is_the_persons_word_against_the_source(
    review: Review, ledger: Path
) -> None:
    review.decide([1], Decision(Verdict.LANDMARK, "Taj_Mahal"))
    assert (cells(review)["source"], cells(review)["evidence"]) == ("landmark", "")
    taj = KNOWN["Taj_Mahal"]
    at = metadata.position(written(review, ledger))
    assert at and distance_m(at, (taj.latitude, taj.longitude)) < 2
    review.undo()
    assert cells(review)["source"] == "time" and cells(review)["evidence"].startswith("1 min after")


def test_a_place_on_the_map_is_no_sources(review: Review, ledger: Path) -> None:
    review.decide([1], Decision(Verdict.PLACE, "", 50.1, 8.6, "Our garden"))
    assert (cells(review)["source"], cells(review)["evidence"]) == ("", "")
    data = written(review, ledger)
    at, provenance = metadata.position(data), metadata.provenance(data)
    assert at and distance_m(at, (50.1, 8.6)) < 1 and provenance and provenance.source == "landmark"


def test_decisions_of_an_older_version_still_stand(report: Path) -> None:
    first = Review(report, KNOWN)
    first.decide([1], ACCEPT)
    first.flush()
    first.close()
    with sqlite3.connect(report.with_name("report.csv.review")) as journal:
        (text,) = journal.execute("SELECT before FROM decisions").fetchone()
        before = json.loads(text)
        assert len(before) == len(CELLS)
        older = json.dumps([*before[:7], before[-1]])
        journal.execute("UPDATE decisions SET before = ?", (older,))
    journal.close()
    second = Review(report, KNOWN)
    assert second.decision(1) == ACCEPT and not second.kept
    second.undo()
    assert (cells(second)["source"], cells(second)["accept"]) == ("time", "")
    second.close()
    assert widened(tuple(before), ()) == tuple(before)


def test_rows_are_found_by_their_source(review: Review, tmp_path: Path) -> None:
    view = View(review, tmp_path)
    assert view.choices("source") == ["time"]
    assert view.rows(Filter(sources=("time",))).tolist() == [1]
    assert Filter(sources=("time",)).words() == "position by time"
    (place,) = lessons.places(review, [0, 1, 2])
    assert (place.name, place.source, place.latitude) == ("Position by time", "time", 48.9)


def test_the_photos_around_it_are_shown(review: Review, ledger: Path, tmp_path: Path) -> None:
    drawing = whereabouts.around(review.sheet, 1, tmp_path, ledger)
    assert drawing
    radius, shown = drawing
    assert radius == float(cells(review)["radius_m"])
    assert [(one.file, one.when) for one in shown] == [
        ("a.jpg", "1 min earlier"),
        ("c.jpg", "3 min later"),
    ]
    assert all(one.thumb and abs(one.east) < 10 and abs(one.north) < 10 for one in shown)
    assert whereabouts.around(review.sheet, 0, tmp_path, ledger) is None
    # Photos outside the root are not shown, and what is no index gives no strip.
    assert whereabouts.around(review.sheet, 1, tmp_path / "elsewhere", ledger) == (radius, [])
    assert neighbours(tmp_path / "none.db", review.sheet.photo(1)) == ()
    assert not index_beside(tmp_path / "none.db").exists()
    index_beside(tmp_path / "bad.db").write_bytes(b"no index at all" * 100)
    assert neighbours(tmp_path / "bad.db", review.sheet.photo(1)) == ()


def test_the_photos_around_it_are_shown_after_a_dry_run_too(
    review: Review, ledger: Path, tmp_path: Path
) -> None:
    """A dry run keeps no index: the report's photos are opened instead."""
    index_beside(ledger).unlink()
    drawing = whereabouts.around(review.sheet, 1, tmp_path, ledger)
    assert drawing and [(one.file, one.when) for one in drawing[1]] == [
        ("a.jpg", "1 min earlier"),
        ("c.jpg", "3 min later"),
    ]
    assert not index_beside(ledger).exists()
    (tmp_path / "photos" / "a.jpg").unlink()
    (tmp_path / "photos" / "c.jpg").write_bytes(b"no photo any more")
    drawing = whereabouts.around(review.sheet, 1, tmp_path, ledger)
    assert drawing and drawing[1] == []
    assert "no photo with a position" in whereabouts.in_words(*drawing)


def test_looking_does_not_change_the_index(review: Review, ledger: Path, tmp_path: Path) -> None:
    index = index_beside(ledger)
    before = index.read_bytes()
    assert whereabouts.around(review.sheet, 1, tmp_path, ledger)
    assert index.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("time", "Camera position by photos taken close in time, within 120 m."),
        ("track", "Camera position by a GPS track, within 120 m."),
        ("takeout", "Camera position by Google Takeout, within 120 m."),
        ("subject", "Only the subject is written."),
        ("landmark", ""),
        ("<script>", ""),
    ],
)
def test_sources_in_words(source: str, sentence: str) -> None:
    assert "".join(whereabouts.words(source, "120", "")) == sentence


def test_each_sources_answer_is_shown(review: Review) -> None:
    answers = dict(whereabouts.answers(review, 1))
    assert " within " in answers["Time"] and "1 min after" in answers["Time"]
    assert "confidence" in answers["Landmark"]
    review.decide([1], Decision(Verdict.REJECT))
    assert dict(whereabouts.answers(review, 1)) == answers
    assert whereabouts.answers(review, 0) == []


def test_the_answers_that_reports_of_before_keep(
    review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source's position with its evidence and the landmarks seen, even after it is rejected."""
    kept = review.original
    monkeypatch.setattr(
        review, "original", lambda row, name: "" if name == "answers" else kept(row, name)
    )
    before = dict(whereabouts.answers(review, 1))
    assert " within " in before["Time"] and "1 min after" in before["Time"]
    seen = [review.original(1, name) for name in ("landmark", "second", "third")]
    assert any(seen) and all(name in before["Landmark"] for name in seen)
    assert before["Landmark"].startswith("not written: ") is not bool(seen[0])
    review.decide([1], Decision(Verdict.REJECT))
    assert dict(whereabouts.answers(review, 1)) == before
    assert whereabouts.answers(review, 0) == []


def test_the_html_report_shows_source_and_evidence(report: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_html(report, out, tmp_path, 0)
    script = re.search(r'id="data">(.*?)</script>', out.read_text(), re.S)
    assert script
    data = json.loads(script[1])
    assert data["sources"] == ["time"]
    row = data["rows"][1]
    assert row["title"] == "Position by time"
    assert "photos taken close in time, within" in row["camera"] and "a.jpg" in row["camera"]
    with report.open() as file:
        assert next(iter(csv.DictReader(file)))["source"] == ""
