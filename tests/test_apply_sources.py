"""Reports whose positions come from time, tracks or Takeout: applied, corrected, undone."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import piexif
import pytest
from click.testing import CliRunner, Result
from conftest import COLOURS
from walk_photos import photo, write

from tagger import metadata
from tagger.cli.main import main
from tagger.errors import RunError
from tagger.evidence.estimate import Estimate
from tagger.evidence.weigh import Sight, weigh
from tagger.ledger.ledger import Ledger
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m
from tagger.places.landmarks import load_landmarks
from tagger.records import Source
from tagger.review.sheet import Sheet

KNOWN = load_landmarks()
EIFFEL, TAJ = KNOWN["Eiffel_Tower"], KNOWN["Taj_Mahal"]
TOWER = (EIFFEL.latitude, EIFFEL.longitude)
NEAR = (48.8601234, 2.2911234)  # 300 m from the tower
FAR = (48.8898765, 2.3412345)  # 5 km, from where it is seen well
NOON = 1_714_564_800.0
Edit = Callable[[dict[str, str]], object]


def one(key: str, seconds: float, at: tuple[float, float] | None = None) -> Capture:
    return Capture(key, NOON + seconds, position=at, camera="X")


class Library:
    """tmp_path/photos, and the commands over it."""

    def __init__(self, home: Path, model: Path) -> None:
        self.home, self.photos, self.report = home, home / "photos", home / "report.csv"
        self.ledger, self._model = home / "ledger.db", model

    def fill(self, at: tuple[float, float]) -> None:
        """a.jpg is at the position, b.jpg a minute later, tower.jpg shows the Eiffel Tower."""
        write(self.photos, [one("a.jpg", 0, at), one("b.jpg", 60)])
        tower = photo(one("tower.jpg", 90), COLOURS["Eiffel_Tower"])
        (self.photos / "tower.jpg").write_bytes(tower)

    def call(self, *words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [*words, "--ledger", str(self.ledger)])
        assert result.exit_code == code, result.output
        return result

    def tag(self, *options: str, code: int = 0) -> Result:
        return self.call(
            "tag", str(self.photos), "--model", str(self._model), "--report", str(self.report),
            *options, code=code,
        )  # fmt: skip

    def rows(self) -> dict[str, dict[str, str]]:
        with self.report.open(newline="", encoding="utf-8") as file:
            return {Path(row["path"]).name: row for row in csv.DictReader(file)}

    def edit(self, name: str, **cells: str) -> None:
        rows = list(self.rows().values())
        for row in rows:
            row.update(cells if row["path"].endswith(name) else {})
        with self.report.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def apply(self, *options: str, code: int = 0) -> str:
        return self.call("apply", str(self.report), *options, code=code).output

    def read(self, name: str) -> dict[int, Any]:
        """The photo's GPS tags."""
        fields: dict[int, Any] = piexif.load(str(self.photos / name))["GPS"]
        return fields

    def all(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.photos.iterdir())}

    def undo(self) -> None:
        self.call("undo", "last")


@pytest.fixture
def library(tmp_path: Path, colour_model: Path) -> Library:
    return Library(tmp_path, colour_model)


def place(library: Library, name: str) -> tuple[float, float]:
    position = metadata.position((library.photos / name).read_bytes())
    assert position
    return position


@pytest.mark.parametrize("at", [NEAR, FAR])
@pytest.mark.parametrize("options", [("--from", "all"), ("--from", "time,takeout"), ()])
def test_a_dry_run_applied_is_the_run(
    library: Library, at: tuple[float, float], options: tuple[str, ...]
) -> None:
    library.fill(at)
    stated = {"geoData": {"latitude": 36.11251234, "longitude": -115.17281234}}
    (library.photos / "t.jpg").write_bytes(photo(Capture("t")))
    (library.photos / "t.jpg.json").write_text(json.dumps(stated))
    shutil.copytree(library.photos, library.home / "as_they_were")
    library.tag(*options)
    with Ledger.open(library.ledger) as book:
        (first,) = book.runs()
    written = library.all()
    shutil.rmtree(library.photos)
    shutil.copytree(library.home / "as_they_were", library.photos)
    for beside in library.home.glob("ledger.db*"):
        beside.unlink()
    before = library.all()
    library.tag(*options, "--dry-run")
    library.apply()
    with Ledger.open(library.ledger) as book:
        (second,) = book.runs()
    applied = library.all()
    ids = second.run_id.encode(), first.run_id.encode()
    assert {name: data.replace(*ids) for name, data in applied.items()} == written
    assert sum(applied[name] != before[name] for name in before) == (3 if options[1:] == ("all",)
        else 3 if options else 1)  # fmt: skip
    library.undo()
    assert library.all() == before


def test_a_camera_position_is_written_alone(library: Library) -> None:
    library.fill(NEAR)
    library.tag("--from", "all", "--dry-run")
    row = library.rows()["b.jpg"]
    assert (row["status"], row["landmark"], row["source"]) == ("would_tag", "", "time")
    assert float(row["confidence"]) > 0.9
    library.apply("--report", str(library.home / "applied.csv"))
    assert distance_m(place(library, "b.jpg"), NEAR) < 1
    assert 20 not in library.read("b.jpg"), "nothing was recognised, so there is no subject"
    assert library.read("b.jpg")[31] == (int(row["radius_m"]), 1)
    with (library.home / "applied.csv").open() as file:
        applied = {Path(line["path"]).name: line for line in csv.DictReader(file)}
    for column in ("landmark", "latitude", "longitude", "radius_m", "source", "evidence"):
        assert applied["b.jpg"][column] == row[column]


def test_with_a_landmark_the_subject_is_the_tables(library: Library) -> None:
    library.fill(NEAR)
    library.tag("--from", "all", "--dry-run")
    assert library.rows()["tower.jpg"]["latitude"] == "48.86012"
    library.apply()
    data = (library.photos / "tower.jpg").read_bytes()
    camera, subject = metadata.position(data), metadata.provenance(data)
    assert camera and distance_m(camera, NEAR) < 1
    assert subject and subject.source is Source.TIME and 20 in library.read("tower.jpg")


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"accept": "no"}, ""),
        ({"landmark": "Taj Mahal"}, "Taj Mahal is 6"),
        ({"landmark": "Our garden"}, "empty source and type the place's own coordinates"),
        ({"source": "guess"}, "source is 'guess'"),
        ({"radius_m": ""}, "radius_m is empty"),
        ({"latitude": ""}, "only one of latitude and longitude"),
        ({"latitude": "", "longitude": ""}, "latitude and longitude are empty"),
        ({"source": ""}, "landmark is empty; name the place"),
    ],
)
def test_what_is_declined_or_makes_no_sense_is_not_written(
    library: Library, cells: dict[str, str], says: str
) -> None:
    library.fill(NEAR)
    library.tag("--from", "all", "--dry-run")
    before = (library.photos / "b.jpg").read_bytes()
    library.edit("b.jpg", **cells)
    assert says in library.apply(code=1 if says else 0)
    assert (library.photos / "b.jpg").read_bytes() == before


def test_a_person_may_name_what_a_photo_shows(library: Library) -> None:
    library.fill(NEAR)
    library.tag("--from", "all", "--dry-run")
    library.edit("b.jpg", landmark="Eiffel Tower")
    library.apply()
    assert distance_m(place(library, "b.jpg"), NEAR) < 1 and 20 in library.read("b.jpg")


def test_a_person_may_give_a_place_of_their_own(library: Library) -> None:
    library.fill(NEAR)
    library.tag("--from", "all", "--dry-run")
    library.edit("b.jpg", landmark="Our garden", latitude="50.1", longitude="8.6", source="")
    library.apply()
    assert distance_m(place(library, "b.jpg"), (50.1, 8.6)) < 1
    provenance = metadata.provenance((library.photos / "b.jpg").read_bytes())
    assert provenance and provenance.source is Source.LANDMARK and not provenance.evidence


def test_a_person_may_say_that_the_landmark_alone_is_right(library: Library) -> None:
    library.fill(NEAR)
    library.tag("--from", "all", "--dry-run")
    library.edit("tower.jpg", latitude="", longitude="", accept="yes")
    library.apply()
    assert distance_m(place(library, "tower.jpg"), TOWER) < 2


def test_reports_without_these_columns_are_applied_as_ever(library: Library) -> None:
    library.fill(NEAR)
    library.tag("--dry-run")
    rows = list(library.rows().values())
    with library.report.open("w", newline="", encoding="utf-8") as file:
        names = [name for name in rows[0] if name not in ("source", "evidence", "answers")]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row | {"model": row["model"][:-52]} for row in rows)
    library.apply()
    assert distance_m(place(library, "tower.jpg"), TOWER) < 2


@pytest.mark.parametrize("deleted", [["source"], ["source", "evidence", "answers"]])
def test_the_column_source_must_not_be_deleted(library: Library, deleted: list[str]) -> None:
    """Without it, the camera's position 5 km away would become the tower's."""
    library.fill(FAR)
    library.tag("--from", "all", "--dry-run")
    rows, before = list(library.rows().values()), library.all()
    with library.report.open("w", newline="", encoding="utf-8") as file:
        names = [name for name in rows[0] if name not in deleted]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    assert "column source is missing" in library.apply(code=2)
    assert library.all() == before
    with pytest.raises(RunError, match="column source is missing"):
        Sheet(library.report)


def test_a_landmark_seen_from_elsewhere_is_the_subject_alone(library: Library) -> None:
    library.fill(FAR)
    library.tag("--dry-run")
    row = library.rows()["tower.jpg"]
    assert (row["landmark"], row["source"]) == ("Eiffel Tower", "subject")
    assert row["reason"].startswith("seen from 4.") and "only the subject" in row["reason"]
    library.tag()
    assert {1, 2, 3, 4}.isdisjoint(library.read("tower.jpg")) and 20 in library.read("tower.jpg")
    library.undo()
    library.tag("--coords", "camera", "--rescan")
    assert library.rows()["tower.jpg"]["status"] == "unsure"
    assert "Eiffel Tower is seen from 4." in library.rows()["tower.jpg"]["reason"]


@pytest.mark.parametrize(("metres", "elsewhere"), [(900, False), (5000, True)])
def test_how_far_a_camera_may_be_from_its_landmark(metres: float, elsewhere: bool) -> None:
    north = EIFFEL.radius_m + 100 + metres
    latitude = EIFFEL.latitude + north / 111_195
    time = Estimate(Source.TIME, latitude, EIFFEL.longitude, 50, 100, 0.98, "1 min after a.jpg")
    verdict = weigh(Sight(EIFFEL, 0.9, True), [time], (Source.LANDMARK,), 0.6)
    assert verdict.subject is EIFFEL and bool(verdict.elsewhere) == elsewhere
    unsure = Estimate(
        Source.TIME, latitude, EIFFEL.longitude, 50, 100, 0.98, "1 min after a.jpg", "on a journey"
    )
    verdict = weigh(Sight(EIFFEL, 0.9, True), [unsure], (Source.LANDMARK,), 0.6)
    assert not verdict.elsewhere
    wanted = weigh(Sight(EIFFEL, 0.9, True), [time], tuple(Source), 0.6)
    assert wanted.camera is time and not wanted.elsewhere


def test_subjects_alone_need_landmarks(library: Library) -> None:
    library.fill(NEAR)
    result = library.tag("--coords", "subject", "--from", "time,track", code=2)
    assert "add landmark to --from, or use --coords both" in result.output
    result = library.tag("--coords", "subject", "--from", "all")
    rows = library.rows()
    assert rows["b.jpg"]["status"] == "no_landmark"
    assert "time places it (1 min after a.jpg); add --coords both" in rows["b.jpg"]["reason"]
    assert (rows["tower.jpg"]["status"], rows["tower.jpg"]["source"]) == ("tagged", "landmark")
    assert "can be placed by" not in result.output
    library.undo()
    library.tag("--from", "all", "--dry-run", "--rescan")
    assert "use --coords both" in library.apply("--coords", "subject", code=1)
    assert "use --coords both" in library.apply("--coords", "subject", "--dry-run", code=1)


def test_verbose_shows_the_answer_of_each_source(library: Library) -> None:
    library.fill(NEAR)
    output = library.tag("--verbose", "--dry-run").output
    assert "tower.jpg: would_tag Eiffel Tower" in output
    assert "    landmark: Eiffel Tower, confidence 0.9" in output
    assert "    time: 48.86012, 2.29112 within " in output
    assert " m, 90 s after a.jpg" in output or " m, 2 min after a.jpg" in output
