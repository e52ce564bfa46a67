"""The review without a browser: decisions, undo, filters, figures and export."""

import csv
import io
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import photo

from tagger.errors import PhotoError, RunError
from tagger.places.landmarks import load_landmarks
from tagger.report import reader
from tagger.report.cells import portable
from tagger.report.columns import COLUMNS
from tagger.review import lessons, thumbnails, writeback
from tagger.review import trusted_root as root_module
from tagger.review.calibration import Judged, bands, suggest, wilson
from tagger.review.decision import Decision, Verdict, parse_place
from tagger.review.session import Review
from tagger.review.sheet import printable
from tagger.review.trusted_root import BucketRoot, choose_root, common_folder, inside, read_photo
from tagger.review.view import Filter, Order, Progress, View

ACCEPT, REJECT = Decision(Verdict.ACCEPT), Decision(Verdict.REJECT)


def write_report(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({"run_id": "run-1", "model": "m"} | row for row in rows)
    return path


def read_report(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def report(library: Path) -> Path:
    rows = [
        {"path": str(library / "a_taj.jpg"), "status": "would_tag", "landmark": "Taj Mahal",
         "latitude": "27.17501", "longitude": "78.04215", "confidence": "0.9700"},
        {"path": str(library / "b_grey.jpg"), "status": "no_landmark", "landmark": "Eiffel Tower",
         "confidence": "0.0500"},
        {"path": str(library / "trip" / "eiffel.JPG"), "status": "unsure",
         "landmark": "Taj Mahal", "confidence": "0.5200"},
        {"path": str(library / "trip" / "qutub.jpg"), "status": "has_gps"},
    ]  # fmt: skip
    return write_report(library / "report.csv", rows)


@pytest.fixture
def review(report: Path) -> Iterator[Review]:
    opened = Review(report, load_landmarks())
    yield opened
    opened.close()


def test_a_decision_lands_in_the_csv(review: Review, report: Path) -> None:
    untouched = read_report(report)
    review.decide([0], ACCEPT)
    review.decide([1], REJECT)
    review.decide([2], Decision(Verdict.LANDMARK, "Eiffel_Tower"))
    review.decide([3], Decision(Verdict.PLACE, "", -33.5, -70.25, "=Hut"))
    review.flush()
    rows = read_report(report)
    assert [row["accept"] for row in rows] == ["yes", "no", "yes", "yes"]
    eiffel = load_landmarks()["Eiffel_Tower"]
    assert rows[2]["landmark"] == "Eiffel Tower"
    assert float(rows[2]["latitude"]) == pytest.approx(eiffel.latitude, abs=1e-5)
    place = [rows[3][name] for name in ("landmark", "latitude", "longitude")]
    assert place == ["'=Hut", "-33.50000", "-70.25000"]  # no spreadsheet runs them
    assert untouched[0] | {"accept": "yes"} == rows[0]


def test_undo_gives_back_what_the_run_wrote(review: Review, report: Path) -> None:
    before = report.read_bytes()
    review.decide([2], Decision(Verdict.LANDMARK, "Eiffel_Tower"))
    review.decide([0, 1, 2], REJECT)
    assert sorted(review.undo()) == [0, 1, 2]
    assert review.decision(0) is None
    assert review.decision(2) == Decision(Verdict.LANDMARK, "Eiffel_Tower")
    review.undo()
    assert review.undo() == []
    review.flush()
    assert report.read_bytes() == before


def test_a_review_goes_on_where_it_ended(report: Path) -> None:
    first = Review(report, load_landmarks())
    first.decide([0], ACCEPT)
    first.decide([2], REJECT)
    with pytest.raises(RunError, match="another review"):
        Review(report, load_landmarks())
    first.close()
    second = Review(report, load_landmarks())
    assert second.decisions == {0: ACCEPT, 2: REJECT}
    assert second.undo() == [2]
    second.close()
    assert [row["accept"] for row in read_report(report)] == ["yes", "", "", ""]


def test_a_decision_outlives_kill_minus_9(report: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from tagger.places.landmarks import load_landmarks\n"
        "from tagger.review.decision import Decision, Verdict\n"
        "from tagger.review.session import Review\n"
        "review = Review(Path(sys.argv[1]), load_landmarks())\n"
        "for n in range(10**6):\n"
        "    review.decide([n % 4], Decision(list(Verdict)[n % 2]))\n"
        "    print(n, flush=True)\n"
    )
    for made in (3, 40):  # decisions
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(report)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        confirmed = list(itertools.islice(child.stdout, made))
        assert len(confirmed) == made
        os.kill(child.pid, signal.SIGKILL)
        # It may have made more meanwhile; the last line may be cut off.
        confirmed += child.stdout.readlines()
        count = int([line for line in confirmed if line.endswith("\n")][-1])
        child.wait()
        child.stdout.close()
        again = Review(report, load_landmarks())
        for n in range(max(0, count - 3), count):
            # The one under way when it was killed may have been kept without being confirmed.
            newer = Decision(list(Verdict)[(count + 1) % 2])
            assert again.decision(n % 4) in (Decision(list(Verdict)[n % 2]), newer)
        rows = read_report(report)
        for row, decision in again.decisions.items():
            assert rows[row]["accept"] == ("yes" if decision == ACCEPT else "no")
        again.close()


def test_the_csv_of_another_program_is_not_overwritten(review: Review, report: Path) -> None:
    report.write_bytes(report.read_bytes() + b"\n")
    review.decide([0], ACCEPT)
    with pytest.raises(RunError, match="another program changed it"):
        review.flush()
    assert read_report(report)[0]["accept"] == ""


def test_an_edit_made_elsewhere_stands(report: Path) -> None:
    first = Review(report, load_landmarks())
    first.decide([0, 1], ACCEPT)
    first.close()
    rows = read_report(report)
    write_report(report, [rows[0] | {"accept": "no", "latitude": "1.0"}, *rows[1:]])
    second = Review(report, load_landmarks())
    assert (second.kept, second.decisions) == (1, {1: ACCEPT})
    second.close()
    assert read_report(report)[0]["latitude"] == "1.0"


def test_zeros_that_a_spreadsheet_drops_are_no_edit(report: Path) -> None:
    first = Review(report, load_landmarks())
    first.decide([2], Decision(Verdict.LANDMARK, "Eiffel_Tower"))
    first.decide([3], Decision(Verdict.PLACE, "", -33.5, -0.0, "Hut"))
    decisions = first.decisions
    first.close()
    saved = read_report(report)
    landmark = saved[2] | {"radius_m": f"{saved[2]['radius_m']}.0"}
    place = saved[3] | {"latitude": "-33.5", "longitude": "0"}
    write_report(report, [*saved[:2], landmark, place])
    second = Review(report, load_landmarks())
    assert (second.kept, second.decisions) == (0, decisions)
    second.close()
    assert read_report(report) == saved


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "path,status\n", "\xff\xfe"])
def test_another_file_is_not_a_report(text: str, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"other\.csv"):
        Review(other, {})


def test_filters_and_orders(review: Review, library: Path) -> None:
    view = View(review, library)
    assert view.choices("landmark") == ["Taj Mahal", "Eiffel Tower"]
    assert view.rows(Filter()).tolist() == [2, 1, 0, 3]
    assert view.rows(Filter(order=Order.CONFIDENCE)).tolist() == [0, 2, 1, 3]
    assert view.rows(Filter(order=Order.LISTED)).tolist() == [0, 1, 2, 3]
    assert view.rows(Filter(statuses=("unsure", "has_gps"))).tolist() == [2, 3]
    assert view.rows(Filter(landmarks=("Taj Mahal",), low=0.6)).tolist() == [0]
    assert view.rows(Filter(folder="trip")).tolist() == [2, 3]
    review.decide([2], Decision(Verdict.LANDMARK, "Eiffel_Tower"))
    assert view.rows(Filter(progress=Progress.OPEN)).tolist() == [1, 0, 3]
    assert view.rows(Filter(progress=Progress.CORRECTED)).tolist() == [2]
    assert view.rows(Filter(progress=Progress.ACCEPTED)).tolist() == []


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../report.csv", "{root}/../secret.jpg", "{root}x/a.jpg", "s3://b/a.jpg",
     "{root}", "{root}/a\0.jpg", "", "a_taj.jpg"],
)  # fmt: skip
def test_a_forged_path_is_refused(path: str, library: Path) -> None:
    forged = path.format(root=library)
    (library.parent / "secret.jpg").write_bytes(photo((1, 2, 3)))
    assert not inside(forged, library)
    with pytest.raises(PhotoError):
        read_photo(forged, library)
    report = write_report(library / "r.csv", [{"path": portable(forged)}])
    review = Review(report, {})
    view = View(review, library)
    assert (view.refused, view.rows(Filter()).tolist()) == (1, [])
    review.close()


def test_a_link_out_of_the_root_is_refused(library: Path) -> None:
    (library.parent / "secret.jpg").write_bytes(photo((1, 2, 3)))
    (library / "link.jpg").symlink_to(library.parent / "secret.jpg")
    (library / "up").symlink_to(library.parent)
    (library / "passwd.jpg").write_text("not a photo")
    os.mkfifo(library / "pipe.jpg")
    for name in ("link.jpg", "up/secret.jpg", "pipe.jpg", "report.csv", "gone.jpg"):
        with pytest.raises(PhotoError):
            read_photo(str(library / name), library)
    with pytest.raises(PhotoError, match="not a photo"):
        thumbnails.thumbnail_of(str(library / "passwd.jpg"), library, 100)


def test_the_root_is_what_the_user_or_the_ledger_vouches_for(tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    for name in ("photos/a", "photos/b"):
        (tmp_path / name).mkdir(parents=True)
    assert choose_root(tmp_path / "photos", [], report) == tmp_path / "photos"
    recorded = [str(tmp_path / "photos/a"), str(tmp_path / "photos/b/x.jpg")]
    assert choose_root(None, recorded, report) == tmp_path / "photos"
    assert choose_root(None, [], report) == tmp_path
    with pytest.raises(RunError, match="--root"):
        choose_root(tmp_path / "none", [], report)
    assert common_folder(["/p/a/1.jpg", "/p/b/c/2.jpg", "relative.jpg"]) == Path("/p")
    assert common_folder([]) is None


def test_a_thumbnail_is_upright_and_carries_no_metadata(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "private"
    (tmp_path / "turned.jpg").write_bytes(photo((200, 10, 10), (400, 200), exif=exif.tobytes()))
    small = thumbnails.thumbnail_of(str(tmp_path / "turned.jpg"), tmp_path, 100)
    assert b"private" not in small
    with Image.open(__import__("io").BytesIO(small)) as shown:
        assert shown.size == (50, 100)
        assert not shown.getexif()


def test_near_duplicates_find_each_other() -> None:
    ramp = np.tile(np.linspace(0, 255, 320), (240, 1)).astype(np.uint8)
    from PIL import Image

    def code(pixels: np.ndarray, quality: int) -> int:
        import io

        buffer = io.BytesIO()
        Image.fromarray(pixels).convert("RGB").save(buffer, "JPEG", quality=quality)
        return thumbnails.fingerprint(thumbnails.thumbnail(buffer.getvalue(), 160))

    one, same = code(ramp, 95), code(np.roll(ramp, 4, 0), 40)
    other = code(ramp[:, ::-1].copy(), 90)
    assert thumbnails.alike((one, other, None, same, None)) == [0, 1, 2, 0, 4]
    assert thumbnails.alike(()) == []


def test_intervals_and_the_threshold_are_honest() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(8, 10)  # Wilson's interval as tables give it
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    rows = [Judged(0.9, True)] * 90 + [Judged(0.9, False)] * 10 + [Judged(0.4, False)] * 20
    measured = bands(rows)
    assert [(band.low, band.count, band.right) for band in measured] == [
        (0.4, 20, 0),
        (0.9, 100, 90),
    ]
    suggestion = suggest(rows, 0.85)
    assert suggestion is not None
    assert (suggestion.threshold, suggestion.count) == (0.9, 100)
    assert (suggestion.precision, suggestion.proven) == (0.9, False)
    assert suggest(rows, 0.95) is None
    assert suggest([], 0.5) is None
    assert bands([Judged(1.0, True), Judged(0.0, False)])[-1].count == 1


def test_a_review_teaches(review: Review, library: Path, tmp_path: Path) -> None:
    review.decide([0], ACCEPT)
    review.decide([1], REJECT)
    review.decide([2], Decision(Verdict.LANDMARK, "Eiffel_Tower"))
    review.decide([3], Decision(Verdict.PLACE, "", 10.0, 20.0, "Hut"))
    assert sorted(lessons.judged(review), key=lambda row: row.confidence) == [
        Judged(0.05, False), Judged(0.52, False), Judged(0.97, True)
    ]  # fmt: skip
    where = {place.name: place.count for place in lessons.places(review, range(4))}
    assert where == {"Taj Mahal": 1, "Eiffel Tower": 1, "Hut": 1}
    for _ in range(2):
        counts = lessons.export(review, library, tmp_path / "more")
        assert counts == {"Taj_Mahal": 1, "Eiffel_Tower": 1}
    files = sorted((tmp_path / "more").rglob("*.jpg"))
    assert [file.parent.name for file in files] == ["Eiffel_Tower", "Taj_Mahal"]
    assert files[0].read_bytes() == (library / "trip" / "eiffel.JPG").read_bytes()


@pytest.mark.parametrize("text", ["", "north", "91, 0", "0, 181", "1, 2, 3", "nan, 0"])
def test_a_position_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RunError):
        parse_place(text)


def test_positions_are_read() -> None:
    assert parse_place("48.85837, 2.29448") == (48.85837, 2.29448)
    assert parse_place("-33.5 -70") == (-33.5, -70.0)


FORMS = [(";", "utf-8-sig", "\r\n"), ("\t", "utf-8", "\n"), (";", "utf-16", "\r\n"),
         ("\t", "utf-16", "\n"), (",", "utf-8-sig", "\n")]  # fmt: skip


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("delimiter", "encoding", "newline"), FORMS)
def test_a_report_stays_as_a_spreadsheet_saved_it(
    report: Path, delimiter: str, encoding: str, newline: str, named: bool
) -> None:
    """Read, decided on, saved and undone in the spreadsheet's own form: the same bytes again."""
    rows = read_report(report)
    header = {"path": " Path", "accept": "Accept "}
    text = io.StringIO(newline="")
    text.write(f"sep={delimiter}{newline}" if named else "")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline)
    writer.writerow(header.get(name, name) for name in COLUMNS)
    writer.writerows(row.values() for row in rows)
    report.write_bytes(text.getvalue().encode(encoding))
    before = report.read_bytes()
    opened = Review(report, load_landmarks())
    assert len(View(opened, report.parent).rows(Filter())) == 4
    opened.decide([2], Decision(Verdict.LANDMARK, "Eiffel_Tower"))
    opened.flush()
    (_, _, third, _) = reader.read(report)  # what apply reads
    assert (third.text("landmark"), third.wish()) == ("Eiffel Tower", reader.Wish.WRITE)
    assert report.read_bytes().startswith(before[:40])
    opened.undo()
    opened.close()
    assert report.read_bytes() == before


def test_what_spreadsheets_and_people_write_in_cells_is_understood(report: Path) -> None:
    rows = read_report(report)
    rows[0] |= {"status": " Would_Tag", "confidence": "0,97", "latitude": "27,17501",
                "longitude": "78,04215", "accept": "No"}  # fmt: skip
    write_report(report, rows)
    opened = Review(report, load_landmarks())
    view = View(opened, report.parent)
    assert view.rows(Filter(statuses=("would_tag",), low=0.9)).tolist() == [0]
    assert lessons.places(opened, [0]) == []  # declined
    opened.close()


def test_a_row_with_too_many_cells_is_kept_and_never_written(report: Path) -> None:
    lines = report.read_text(encoding="utf-8").splitlines()
    report.write_text("\n".join([lines[0], lines[1] + ",more", *lines[2:]]) + "\n")
    opened = Review(report, load_landmarks())
    assert writeback.to_write(opened, [0]) == [0]  # to be refused, with the reason
    opened.decide([0], ACCEPT)
    opened.close()
    assert report.read_text(encoding="utf-8").splitlines()[1].endswith("yes,more")


def test_photos_larger_than_the_limit_are_not_read(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_module, "MOST_BYTES", 100)
    with pytest.raises(PhotoError, match="larger than"):
        read_photo(str(library / "a_taj.jpg"), library)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("s3://b/trip/a.jpg", True), ("s3://b/trip/x/../a.jpg", True), ("s3://b/tripx/a.jpg", False),
     ("s3://b/trip", False), ("s3://other/trip/a.jpg", False), ("gs://b/trip/a.jpg", False),
     ("/s3:/b/trip/a.jpg", False), ("s3://b/trip/\0a.jpg", False)],
)  # fmt: skip
def test_a_buckets_root_is_the_text_before_its_photos(path: str, allowed: bool) -> None:
    for root in ("s3://b/trip", "s3://b/trip/"):
        assert inside(path, BucketRoot(root)) == allowed


def test_the_root_of_a_buckets_report() -> None:
    here = Path("/r/report.csv")
    assert choose_root("s3://b/trip/", [], here) == "s3://b/trip"
    assert choose_root(None, ["s3://b/trip/one", "s3://b/trip/two/"], here) == "s3://b/trip"
    assert choose_root(None, ["s3://b/1", "s3://c/1"], here) == Path("/r")
    assert common_folder(["s3://b/t/1.jpg", "s3://b/t/u/2.jpg"]) == "s3://b/t"
    assert common_folder(["s3://b/1.jpg", "s3://c/2.jpg"]) is None
    with pytest.raises(RunError, match="not supported"):
        choose_root("ftp://b/trip", [], here)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\x1b]0;x\x07\n.jpg", r"a\x1b]0;x\x07\x0a.jpg"), ("\u202egpj.a", r"\xe2\x80\xaegpj.a"),
     ("a\udcff\ud800\u2028", r"a\xff\xed\xa0\x80\xe2\x80\xa8"),
     ("Bildschirm\u202f10.30 \U0001f469\u200d\U0001f33e é.png",
      "Bildschirm\u202f10.30 \U0001f469\u200d\U0001f33e é.png")],
)  # fmt: skip
def test_names_are_shown_without_control_characters(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_photos_without_a_landmark_are_exported_as_such(
    review: Review, library: Path, tmp_path: Path
) -> None:
    review.decide([0, 1], REJECT)  # only the second was said to show none
    assert lessons.export_negatives(review, library, tmp_path / "none") == 1
    (file,) = (tmp_path / "none").iterdir()
    assert file.read_bytes() == (library / "b_grey.jpg").read_bytes()
