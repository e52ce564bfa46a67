"""Apply writes exactly what the reviewed report says, whatever a spreadsheet did to the file."""

import csv
import io
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import photo

from tagger import metadata
from tagger.cli.main import main
from tagger.ledger.ledger import Ledger
from tagger.places.landmarks import load_landmarks
from tagger.records import Candidate, Entry, Guess, Landmark, Outcome, Status
from tagger.report.writer import ReportWriter
from tagger.storage.local import LocalStorage

KNOWN = load_landmarks()
NAMES = {slug: place.name for slug, place in KNOWN.items()}
TAJ, EIFFEL = KNOWN["Taj_Mahal"], KNOWN["Eiffel_Tower"]
Edit = Callable[[dict[str, str]], None]


@dataclass
class Reported:
    """A folder of photos with a dry-run report, and what a person edits in it."""

    folder: Path
    report: Path

    def edit(self, **changes: str) -> None:
        """Change cells of the row of ``taj.jpg``."""
        self.rewrite(lambda row: row.update(changes) if "taj.jpg" in row["path"] else None)

    def rewrite(self, edit: Edit, delimiter: str = ",", encoding: str = "utf-8") -> None:
        with self.report.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            edit(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
        self.report.write_bytes(text.getvalue().encode(encoding))

    def apply(self, *options: str) -> tuple[int, str]:
        ledger = str(self.report.with_name("ledger.db"))
        words = ["apply", str(self.report), "--ledger", ledger, *options]
        result = CliRunner().invoke(main, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result.exit_code, result.output

    def places(self) -> dict[str, tuple[float, float] | None]:
        """Where each photo says it is, to 4 decimals."""
        positions = {}
        for path in sorted(self.folder.iterdir()):
            where = metadata.position(path.read_bytes())
            positions[path.name] = where and (round(where[0], 4), round(where[1], 4))
        return positions


def at(latitude: float, longitude: float) -> tuple[float, float]:
    return round(latitude, 4), round(longitude, 4)


Made = dict[str, tuple[Status, Guess | None, Landmark | None]]
NOTHING = {"eiffel.jpg": None, "grey.jpg": None, "taj.jpg": None}
TAGGED = NOTHING | {"taj.jpg": at(TAJ.latitude, TAJ.longitude)}


@pytest.fixture
def review(tmp_path: Path) -> Reported:
    """taj.jpg would be tagged, eiffel.jpg is unsure, grey.jpg shows no landmark."""
    folder, report = tmp_path / "photos", tmp_path / "reviewed.csv"
    folder.mkdir()
    outcomes: Made = {
        "taj": (Status.WOULD_TAG, Guess((Candidate("Taj_Mahal", 0.9),), 0.1), TAJ),
        "eiffel": (Status.UNSURE, Guess((Candidate("Eiffel_Tower", 0.4),), 0.2), None),
        "grey": (Status.NO_LANDMARK, Guess((Candidate("Taj_Mahal", 0.1),), 0.9), None),
    }
    for number, name in enumerate(outcomes):
        (folder / f"{name}.jpg").write_bytes(photo((number * 90, 9, 9)))
    make_report(report, LocalStorage([folder]).list(), outcomes)
    return Reported(folder, report)


def make_report(report: Path, entries: Iterable[Entry], outcomes: Made) -> None:
    with ReportWriter(report, NAMES, "colour@abcdef012345", "run-0") as rows:
        for entry in entries:
            status, guess, place = outcomes[Path(entry.key).stem]
            rows.write(Outcome(entry, status, "", guess, place))


def test_an_untouched_report_writes_what_it_would(review: Reported) -> None:
    code, output = review.apply("--dry-run")
    assert (code, output) == (0, "1 would be written (dry run); 0 refused\n")
    assert review.places() == NOTHING
    assert not review.report.with_name("ledger.db").exists()
    code, output = review.apply()
    assert code == 0 and output.startswith("1 written, as run ")
    assert review.places() == TAGGED
    provenance = metadata.provenance((review.folder / "taj.jpg").read_bytes())
    assert provenance is not None
    assert (provenance.confidence, provenance.model_sha256) == (0.9, "abcdef012345")
    with Ledger.open(review.report.with_name("ledger.db")) as book:
        (run,) = book.runs()
        assert (run.verb, run.written, run.run_id) == ("apply", 1, provenance.run_id)


def test_applying_twice_is_refused_and_writes_nothing(review: Reported) -> None:
    review.apply()
    before = (review.folder / "taj.jpg").read_bytes()
    code, output = review.apply()
    assert code == 1 and "taj.jpg: it changed since the report" in output
    assert (review.folder / "taj.jpg").read_bytes() == before


@pytest.mark.parametrize("word", ["no", "N", "0", "FALSE", " No "])
def test_a_declined_row_is_left(review: Reported, word: str) -> None:
    review.edit(accept=word)
    assert review.apply()[0] == 0
    assert review.places() == NOTHING


def test_a_deleted_row_is_left(review: Reported) -> None:
    lines = review.report.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if "taj.jpg" not in line]
    review.report.write_text("".join(kept), encoding="utf-8")
    assert review.apply()[1].startswith("0 written")
    assert review.places() == NOTHING


@pytest.mark.parametrize("word", ["yes", "Y", "1", "TRUE", "x"])
def test_an_accepted_unsure_row_is_written_on_the_persons_word(review: Reported, word: str) -> None:
    review.rewrite(lambda row: row.update(accept="no" if "taj" in row["path"] else word))
    review.rewrite(lambda row: row.update(accept="") if "grey" in row["path"] else None)
    assert review.apply()[1].startswith("1 written")
    assert review.places() == NOTHING | {"eiffel.jpg": at(EIFFEL.latitude, EIFFEL.longitude)}
    provenance = metadata.provenance((review.folder / "eiffel.jpg").read_bytes())
    assert provenance is not None and (provenance.confidence, provenance.model_sha256) == (1.0, "")


@pytest.mark.parametrize(
    "name", ["Eiffel Tower", "eiffel tower", EIFFEL.local_name, "Eiffel_Tower", " Eiffel  Tower "]
)
@pytest.mark.parametrize("cleared", [False, True], ids=["old coordinates", "none"])
def test_a_corrected_name_is_that_landmark_where_we_know_it(
    review: Reported, name: str, cleared: bool
) -> None:
    review.edit(landmark=name, **({"latitude": "", "longitude": ""} if cleared else {}))
    assert review.apply()[0] == 0
    assert review.places() == NOTHING | {"taj.jpg": at(EIFFEL.latitude, EIFFEL.longitude)}
    provenance = metadata.provenance((review.folder / "taj.jpg").read_bytes())
    assert provenance is not None and provenance.confidence == 1.0


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [("27.17000", "78.04000"), ("27,17", "78,04"), ("2.717E+01", "7,804E+01"), ("'27.17", "78.04")],
)
def test_corrected_coordinates_are_taken(review: Reported, latitude: str, longitude: str) -> None:
    review.edit(latitude=latitude, longitude=longitude)
    assert review.apply()[0] == 0, review.apply()
    assert review.places()["taj.jpg"] == (27.17, 78.04)


def test_a_place_of_ones_own(review: Reported) -> None:
    review.edit(landmark="Nan's garden", latitude="-33.9", longitude="0", radius_m="")
    assert review.apply()[0] == 0
    assert review.places()["taj.jpg"] == (-33.9, 0.0)
    data = (review.folder / "taj.jpg").read_bytes()
    assert b"Nan's garden" in data or b"Nan&apos;s garden" in data
    assert b"Agra" not in data and TAJ.wikidata.encode() not in data


REFUSALS = [
    ({"landmark": "Eifel Towr", "latitude": "", "longitude": ""}, "not one we know"),
    ({"landmark": "My garden"}, "still those of Taj Mahal"),
    ({"landmark": ""}, "name the place"),
    ({"latitude": ""}, "only one of"),
    ({"latitude": "north"}, "not a number"),
    ({"latitude": "NaN"}, "not a number"),
    ({"latitude": "2717500", "longitude": "78.04"}, "not a position"),
    ({"latitude": "48.8", "longitude": "2.3"}, "km from Taj Mahal"),
    ({"accept": "maybe"}, "accept is 'maybe'"),
    ({"status": "has_gps", "accept": "yes"}, "only would_tag"),
    ({"status": "wuold_tag"}, "only would_tag"),
    ({"radius_m": "-5", "landmark": "Here", "latitude": "1", "longitude": "1"}, "radius_m"),
    ({"confidence": "9"}, "confidence is 9"),
    ({"mtime_ns": "yesterday"}, "not a number"),
    ({"size": ""}, "not a number"),
    ({"size": "sNaN"}, "not a number"),
    ({"size": "NaN"}, "not a number"),
    ({"mtime_ns": "sNaN"}, "not a number"),
    ({"mtime_ns": "Infinity"}, "not a number"),
    ({"size": "17"}, "changed since"),
    ({"mtime_ns": "1700000000123456789ns"}, "changed since"),
    ({"mtime_ns": "1.7E+18"}, "a spreadsheet rounded"),
    ({"mtime_ns": "1E+999999999"}, "a spreadsheet rounded"),
    ({"path": "taj.jpg"}, "not that of a photo"),
    ({"path": "/nowhere/taj.jpg"}, "folder is gone"),
    ({"path": "/etc/taj.jpg"}, "the photo is gone"),
    ({"path": "\\\\?\\x4/taj.jpg"}, "not that of a photo"),
]


@pytest.mark.parametrize(("cells", "reason"), REFUSALS, ids=[reason for _, reason in REFUSALS])
def test_what_cannot_be_honoured_is_named_by_its_line(
    review: Reported, cells: dict[str, str], reason: str
) -> None:
    review.edit(**cells)
    code, output = review.apply()
    assert code == 1 and reason in output, output
    assert f"{review.report}:4: " in output and "0 written" in output
    assert review.places() == NOTHING


HERE = {"landmark": "Here", "latitude": "1", "longitude": "1"}


@pytest.mark.parametrize(
    ("radius", "reason"),
    [
        ("1,500", "radius_m is '1,500'; write metres without a thousands mark"),
        ("1.000", "radius_m is '1.000'; write metres without a thousands mark"),
        ("1,5", "radius_m is 1.5; type whole metres"),
    ],
)
def test_a_radius_that_may_be_a_thousand_times_larger_is_refused(
    review: Reported, radius: str, reason: str
) -> None:
    review.edit(radius_m=radius, **HERE)
    code, output = review.apply()
    assert code == 1 and reason in output and review.places() == NOTHING


@pytest.mark.parametrize("radius", ["300", "300.0", "300,0", "3E+2"])
def test_a_radius_of_whole_metres_is_taken(review: Reported, radius: str) -> None:
    review.edit(radius_m=radius, **HERE)
    assert review.apply("--sidecar", "always")[0] == 0
    assert b'"300/1"' in (review.folder / "taj.jpg.xmp").read_bytes()


def test_the_others_are_still_done(review: Reported) -> None:
    review.rewrite(lambda row: row.update(accept="yes"))
    review.edit(latitude="north")
    code, output = review.apply()
    assert code == 1 and "2 written" in output and "1 refused" in output
    assert [name for name, place in review.places().items() if place] == ["eiffel.jpg", "grey.jpg"]


def excel_german(text: str) -> bytes:
    rows = list(csv.reader(io.StringIO(text)))
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def with_separator(text: str) -> bytes:
    return b"\xef\xbb\xbfsep=;\r\n" + excel_german(text)[3:]


def reordered(text: str) -> bytes:
    rows = [["note", *row[::-1]] for row in csv.reader(io.StringIO(text))]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue().replace("path", " Path ").encode()


def as_number(digits: int, form: str) -> Callable[[str], bytes]:
    """The time as a number rounded to this many digits."""

    def damage(text: str) -> bytes:
        rows = list(csv.reader(io.StringIO(text)))
        column = rows[0].index("mtime_ns")
        for row in rows[1:]:
            rounded = f"{Decimal(row[column].removesuffix('ns')):.{digits - 1}E}"
            row[column] = rounded if form == "E" else f"{int(Decimal(rounded))}"
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        return out.getvalue().encode()

    return damage


@pytest.mark.parametrize(
    "saved",
    [
        excel_german,
        with_separator,
        reordered,
        lambda text: text.replace("\n", "\r\n").encode("utf-16"),
        lambda text: re.sub(r"(\d)ns,", r"\1,", text).encode(),
        lambda text: "\n".join(row + ",,," for row in text.splitlines()).encode(),
        as_number(15, "E"),
        as_number(15, "0"),
        as_number(11, "E"),
    ],
    ids=["semicolons", "a line sep=;", "reordered", "utf-16", "plain time", "more columns",
         "15 digits", "15 digits and zeros", "11 digits"],
)  # fmt: skip
def test_what_spreadsheets_do_to_the_file(review: Reported, saved: Callable[[str], bytes]) -> None:
    review.report.write_bytes(saved(review.report.read_text(encoding="utf-8")))
    code, output = review.apply()
    assert code == 0, output
    assert review.places() == TAGGED


@pytest.mark.parametrize("digits", [3, 6, 9])
def test_a_time_that_a_spreadsheet_destroyed_is_no_proof(review: Reported, digits: int) -> None:
    damage = as_number(digits, "E")
    review.report.write_bytes(damage(review.report.read_text(encoding="utf-8")))
    code, output = review.apply()
    assert code == 1 and "rounded" in output and "as text" in output
    assert review.places() == NOTHING


def test_zeros_that_a_spreadsheet_shows_are_digits_of_the_time(review: Reported) -> None:
    os.utime(review.folder / "taj.jpg", ns=(1, 1_795_587_010_012_345_678))
    review.edit(mtime_ns="1.7955870100E+18")
    assert review.apply()[0] == 0
    assert review.places() == TAGGED
    os.utime(review.folder / "taj.jpg", ns=(1, 1_795_587_010_912_345_678))
    assert "changed since" in review.apply()[1]


def test_an_edit_within_a_coarse_time_is_noticed(review: Reported) -> None:
    """On file systems that store whole seconds, the next second counts as another time."""
    path = review.folder / "taj.jpg"
    os.utime(path, ns=(1, 1_700_000_001_000_000_000))
    review.edit(mtime_ns="1700000001000000000ns")
    os.utime(path, ns=(1, 1_700_000_002_000_000_000))
    assert "changed since" in review.apply()[1]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: text.replace("mtime_ns", "time"), "column mtime_ns is missing"),
        (lambda text: text.replace("reason", "status"), "status is missing or there twice"),
        (lambda text: "a shopping list", "column path"),
        (lambda text: "", "column path"),
        (lambda text: text + '"/p/a.jpg,would_tag', "not a whole CSV file"),
    ],
)
def test_a_file_that_is_no_report_stops_it(
    review: Reported, damage: Callable[[str], str], reason: str
) -> None:
    review.report.write_text(damage(review.report.read_text(encoding="utf-8")), encoding="utf-8")
    code, output = review.apply()
    assert code == 2 and reason in output and str(review.report) in output
    assert review.places() == NOTHING


def test_a_file_in_another_encoding_stops_it(review: Reported) -> None:
    review.edit(landmark="Château")
    text = review.report.read_text(encoding="utf-8")
    review.report.write_bytes(text.encode("latin-1"))
    code, output = review.apply()
    assert code == 2 and "CSV UTF-8" in output
    assert review.apply()[0] == 2 and not review.report.with_name("nowhere.csv").exists()


def test_two_rows_of_one_photo(review: Reported) -> None:
    text = review.report.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if "taj.jpg" in line)
    review.report.write_text(f"{text}{row}\n", encoding="utf-8")
    code, output = review.apply()
    assert code == 1 and output.count("several rows") == 2 and review.places() == NOTHING


@pytest.mark.parametrize("first", ["no", ""])
def test_a_row_that_declines_the_photo_of_another_row(review: Reported, first: str) -> None:
    review.edit(accept=first)
    text = review.report.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if "taj.jpg" in line)
    other = row.removesuffix("no") + ("" if first else "no")
    review.report.write_text(f"{text}{other}\n", encoding="utf-8")
    code, output = review.apply()
    assert code == 1 and output.count("several rows write or decline this photo") == 1
    assert review.places() == NOTHING


def test_a_shifted_row(review: Reported) -> None:
    text = review.report.read_text(encoding="utf-8")
    review.report.write_text(text.replace("taj.jpg,", "taj.jpg,oops,"), encoding="utf-8")
    code, _ = review.apply()
    assert code == 1 and review.places() == NOTHING


def test_photos_only_not_links_or_other_files(review: Reported, tmp_path: Path) -> None:
    target = tmp_path / "outside.jpg"
    (review.folder / "taj.jpg").rename(target)
    (review.folder / "taj.jpg").symlink_to(target)
    before = target.read_bytes()
    assert review.apply()[0] == 1
    assert target.read_bytes() == before


def test_a_photo_that_got_gps_without_changing_its_time(review: Reported) -> None:
    path = review.folder / "taj.jpg"
    (review.folder / "taj.jpg.xmp").write_bytes(
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:exif='
        b'"http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="1,0N" exif:GPSLongitude="2,0E"/>'
        b"</rdf:RDF></x:xmpmeta>"
    )
    before = path.read_bytes()
    assert "sidecar has GPS now" in review.apply()[1] and path.read_bytes() == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names are bytes on Linux")
def test_names_that_are_not_utf8_or_look_like_formulas(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    names = [b"=caf\xe9, 1.jpg", b"-x.jpg"]
    for name in names:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(photo((7, 7, 7)))
    entries = list(LocalStorage([folder]).list())
    outcome = (Status.WOULD_TAG, Guess((Candidate("Taj_Mahal", 0.9),), 0.1), TAJ)
    make_report(tmp_path / "r.csv", entries, {Path(e.key).stem: outcome for e in entries})
    code, output = Reported(folder, tmp_path / "r.csv").apply()
    assert code == 0 and output.startswith("2 written"), output


def test_options_and_a_report_of_what_was_applied(review: Reported, tmp_path: Path) -> None:
    done = tmp_path / "done.csv"
    code, _ = review.apply("--sidecar", "always", "--coords", "subject", "--report", str(done))
    assert code == 0 and (review.folder / "taj.jpg.xmp").exists()
    assert b"GPSDestLatitude" in (review.folder / "taj.jpg.xmp").read_bytes()
    with done.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["status"], row["landmark"]) == ("tagged", "Taj Mahal")
    assert row["reason"] == "reviewed; in a sidecar"
    before = sorted(p.name for p in review.folder.iterdir())
    result = CliRunner().invoke(main, ["undo", "--ledger", str(tmp_path / "ledger.db")])
    assert result.exit_code == 0 and "1 removed" in result.output
    assert sorted(p.name for p in review.folder.iterdir()) == [
        name for name in before if not name.endswith(".xmp")
    ]


@pytest.mark.parametrize("linked", [False, True])
def test_the_report_to_apply_is_not_moved_aside(review: Reported, linked: bool) -> None:
    name = review.report.with_name("link.csv") if linked else review.report
    if linked:
        name.symlink_to(review.report)
    before = review.report.read_bytes()
    code, output = review.apply("--report", str(name))
    assert code == 2 and f"--report {name}: is the report to apply" in output
    assert review.report.read_bytes() == before and review.places() == NOTHING


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no pipes with names here")
def test_a_pipe_cannot_be_read_twice(review: Reported) -> None:
    out, into = os.pipe()
    os.write(into, review.report.read_bytes())
    os.close(into)
    result = CliRunner().invoke(main, ["apply", f"/dev/fd/{out}"])
    os.close(out)
    assert result.exit_code == 2 and "is read twice; save it to a file" in result.output
    assert review.places() == NOTHING


def test_another_run_on_the_photos_holds_the_lock(review: Reported, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as book, book.begin("r", [str(tmp_path)], {}):
        code, output = review.apply()
    assert code == 75 and "another run" in output and review.places() == NOTHING
