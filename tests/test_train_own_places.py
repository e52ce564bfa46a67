"""A model with classes unknown to the package: training, tagging, review and undo."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import COLOURS, photo, save_colour_model
from PIL import Image

from tagger import metadata
from tagger.cli.main import main
from tagger.errors import RunError
from tagger.model import artifact
from tagger.places.landmarks import load_landmarks
from tagger.places.own import known_places
from tagger.places.table import from_csv, to_csv
from tagger.report.reader import read
from tagger.review.decision import Decision, Verdict
from tagger.review.session import Review
from train.__main__ import main as train
from train.photos.split import gather
from train.photos.tables import read_known
from train.ship import rewriting

TABLE = """folder,name,latitude,longitude,radius_m,city,country,country_code
red_barn,The red barn,48.1,11.5,60,Munich,Germany,DE
Blue house,,52.5,13.4,,,,
"""


def picture(path: Path, colour: tuple[int, int, int], seed: int) -> Path:
    """A picture of blotches in about one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blotches = np.random.default_rng(seed).integers(-60, 60, (12, 16, 1))
    pixels = (np.array(colour) + np.kron(blotches, np.ones((8, 8, 1)))).clip(0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of two classes of the user's own, and of neither."""
    root = tmp_path_factory.mktemp("own")
    for number in range(24):
        picture(root / "data" / "train" / "red_barn" / f"{number}.jpg", (200, 40, 40), number)
        picture(root / "data" / "train" / "Blue house" / f"{number}.jpg", (40, 40, 200), number)
        picture(root / "no" / "far" / f"{number}.jpg", (120, 120, 120), 100 + number)
    (root / "data" / "places.csv").write_text(TABLE, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def model(data: Path) -> Path:
    out = data / "mine.pt"
    words = ["--data", data / "data", "--negatives", data / "no", "--out", out, "--epochs", 4]
    train(["scratch", *map(str, words)], standalone_mode=False)
    return out


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def landmark_tag(*words: str | Path, code: int = 0) -> str:
    result: Result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def rows_of(report: Path) -> dict[str, dict[str, str]]:
    with report.open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).name: row for row in csv.DictReader(file)}


@pytest.fixture
def barn(tmp_path: Path) -> Path:
    return picture(tmp_path / "library" / "barn.jpg", (200, 40, 40), 3)


def test_a_photo_is_tagged_with_a_place_of_the_model_and_undone(
    tmp_path: Path, model: Path, barn: Path
) -> None:
    before, report = barn.read_bytes(), tmp_path / "r.csv"
    words = tmp_path / "library", "--model", model, "--report", report, "--min-conf", "0.05", "-q"
    landmark_tag(*words)
    row = rows_of(report)["barn.jpg"]
    assert (row["status"], row["landmark"], row["city"]) == ("tagged", "The red barn", "Munich")
    assert (row["latitude"], row["longitude"], row["radius_m"]) == ("48.10000", "11.50000", "60")
    assert metadata.position(barn.read_bytes()) == pytest.approx((48.1, 11.5), abs=1e-5)
    assert b"The red barn" in barn.read_bytes()
    landmark_tag("report", report, "--html", tmp_path / "r.html", "--root", tmp_path / "library")
    assert "The red barn" in (tmp_path / "r.html").read_text(encoding="utf-8")
    landmark_tag("undo", "last")
    assert barn.read_bytes() == before


def test_a_doubtful_guess_is_reviewed_and_applied(tmp_path: Path, model: Path, barn: Path) -> None:
    report = tmp_path / "r.csv"
    words = "--model", model, "--report", report, "--min-conf", "0.999", "--dry-run", "-q"
    landmark_tag(tmp_path / "library", *words)
    assert rows_of(report)["barn.jpg"]["status"] == "unsure"
    review = Review(report, known_places((), model))
    review.decide([0], Decision(Verdict.ACCEPT))
    review.close()
    assert rows_of(report)["barn.jpg"]["latitude"] == "48.10000"
    landmark_tag("apply", report, "--model", model)
    tagged = metadata.position(barn.read_bytes())
    assert tagged == pytest.approx((48.1, 11.5), abs=1e-5)
    assert b">DE<" in barn.read_bytes()  # all that the model's table knows, not the report's cells


def test_a_row_accepted_in_a_spreadsheet_needs_the_model(
    tmp_path: Path, model: Path, barn: Path
) -> None:
    report = tmp_path / "r.csv"
    words = "--model", model, "--report", report, "--min-conf", "0.999", "--dry-run", "-q"
    landmark_tag(tmp_path / "library", *words)
    text = report.read_text(encoding="utf-8")
    (row,) = rows_of(report).values()
    row["accept"] = "yes"
    with report.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    assert text and len(list(read(report))) == 1
    output = landmark_tag("apply", report, code=1)
    assert "is not one we know" in output and "--pack or --model of the run" in output
    landmark_tag("apply", report, "--model", model)
    assert metadata.position(barn.read_bytes()) == pytest.approx((48.1, 11.5), abs=1e-5)


def test_a_class_without_a_place_is_named_with_the_option(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "some.csv"
    table.write_text("folder,latitude,longitude\nred_barn,48.1,11.5\n", encoding="utf-8")
    known = load_landmarks() | from_csv(table.read_bytes(), "")
    with pytest.raises(RunError, match=r"Blue house: not known where that is.*--places FILE"):
        gather(data / "data", [data / "no"], cache=tmp_path / "cache", known=known)


def test_a_table_given_goes_before_the_one_beside_the_photos(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("slug,latitude,longitude\nEiffel_Tower,1,2\nred_barn,3,4\n", encoding="utf-8")
    known = read_known([data / "data"], table)
    assert known["Eiffel_Tower"].latitude == 1 and known["red_barn"].latitude == 3
    assert known["Blue house"].latitude == 52.5 and known["Taj_Mahal"].country_code == "IN"


def test_places_are_written_into_a_model_file_and_corrected(tmp_path: Path) -> None:
    labels = ("red", "Eiffel_Tower", "blue")
    path = save_colour_model(tmp_path / "own.pt", labels=labels)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(photo(COLOURS["Taj_Mahal"]))
    words = photos, "--model", path, "--report", tmp_path / "r.csv", "-q", "--dry-run"
    output = landmark_tag(*words, code=2)
    assert "does not say where red, blue is" in output and "python -m train places" in output
    table = tmp_path / "places.csv"
    table.write_text("slug,latitude,longitude\nred,1,2\nblue,3,4\n", encoding="utf-8")
    result = CliRunner().invoke(train, ["places", str(path), "--places", str(table)])
    assert "2 places written" in result.output
    landmark_tag(*words)
    assert rows_of(tmp_path / "r.csv")["a.jpg"]["latitude"] == "1.00000"
    table.write_text("slug,latitude,longitude\nred,5,6\n", encoding="utf-8")
    train(["places", str(path), "--places", str(table)], standalone_mode=False)
    loaded = artifact.load(path)
    assert (loaded.places["red"].latitude, loaded.places["blue"].latitude) == (5, 3)
    assert loaded.known["Eiffel_Tower"] == load_landmarks()["Eiffel_Tower"]
    table.write_text("slug,latitude,longitude\ngreen,5,6\n", encoding="utf-8")
    with pytest.raises(RunError, match="green is no class of"):
        train(["places", str(path), "--places", str(table)], standalone_mode=False)


def test_places_stay_when_references_are_made(tmp_path: Path) -> None:
    path = save_colour_model(tmp_path / "own.pt")
    rewriting.add_places(path, from_csv(TABLE.encode(), "").values())
    artifact.rewrite(path, {})
    assert set(artifact.load(path).places) == {"red_barn", "Blue house"}


@pytest.mark.parametrize(
    "row",
    ["red,91,0", "red,nan,0", "red,,0", "red,1", "re/d,1,2", ",1,2", "r\x1bd,1,2", "a,1,2\na,1,2"],
)
def test_a_row_that_is_no_place_is_refused(row: str) -> None:
    with pytest.raises(RunError, match=r"mine: row \d \(.*\) is no place"):
        from_csv(f"slug,latitude,longitude\n{row}\n".encode(), "mine")


def test_a_table_is_what_it_was() -> None:
    known: Any = load_landmarks()
    assert from_csv(to_csv(known.values()), "all") == known
