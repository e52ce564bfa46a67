"""Sources of positions in whole runs: what is written, what is refused, what is said."""

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import COLOURS
from walk_photos import WALKS, photo, walk, write

from tagger import metadata
from tagger.cli.main import main
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m

needs_walks = pytest.mark.skipif(
    not WALKS.is_dir(), reason="the walks of real libraries are not here"
)
PARIS, VEGAS = (48.85826, 2.2945), (36.1125, -115.1728)
NOON = 1_714_564_800.0


@pytest.fixture
def tag(tag_photos: Any) -> Any:
    return tag_photos


def folder(tmp_path: Path) -> Path:
    return tmp_path / "photos"


def one(key: str, seconds: float, at: tuple[float, float] | None = None, **more: Any) -> Capture:
    return Capture(key, NOON + seconds, position=at, **{"camera": "X", **more})


def test_a_neighbour_in_time_places_a_photo(tmp_path: Path, tag: Any) -> None:
    write(folder(tmp_path), [one("a.jpg", 0, PARIS), one("b.jpg", 60)])
    before = (folder(tmp_path) / "b.jpg").read_bytes()
    result, rows = tag("--dry-run")
    assert rows["b.jpg"]["status"] == "no_landmark"
    assert "time places it (1 min after a.jpg); add --from all" in rows["b.jpg"]["reason"]
    assert "1 more photo can be placed by time, tracks or Takeout" in result.output
    _, rows = tag("--from", "time")
    row = rows["b.jpg"]
    assert (row["status"], row["source"], row["landmark"]) == ("tagged", "time", "")
    assert row["evidence"] == "1 min after a.jpg" and int(row["radius_m"]) < 200
    data = (folder(tmp_path) / "b.jpg").read_bytes()
    position = metadata.position(data)
    assert position and distance_m(position, PARIS) < 1
    undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(tmp_path / "ledger.db")])
    assert undone.exit_code == 0 and (folder(tmp_path) / "b.jpg").read_bytes() == before


def test_what_takeout_states_is_evidence_once_it_is_written_too(tmp_path: Path, tag: Any) -> None:
    write(folder(tmp_path), [one("a.jpg", 0), one("b.jpg", 60)])
    stated = {"geoData": {"latitude": PARIS[0], "longitude": PARIS[1]}}
    (folder(tmp_path) / "a.jpg.json").write_text(json.dumps(stated))
    _, rows = tag("--from", "takeout")
    assert rows["a.jpg"]["source"] == "takeout" and "time places it" in rows["b.jpg"]["reason"]
    for left in tmp_path.glob("ledger.db.captures*"):
        left.unlink()  # it is rebuilt from what the photos say now
    _, rows = tag("--from", "time")
    assert rows["a.jpg"]["status"] == "has_gps" and rows["b.jpg"]["evidence"] == "1 min after a.jpg"


def test_what_we_wrote_is_no_evidence(tmp_path: Path, tag: Any) -> None:
    """Positions by time must not spread from photo to photo."""
    write(folder(tmp_path), [one("a.jpg", 0, PARIS), one("b.jpg", 600)])
    tag("--from", "time")
    (folder(tmp_path) / "a.jpg").unlink()
    shutil.rmtree(tmp_path / "photos" / "x", ignore_errors=True)
    (tmp_path / "ledger.db.captures").unlink()
    write(folder(tmp_path), [one("c.jpg", 1200)])
    _, rows = tag("--from", "time")
    assert rows["b.jpg"]["status"] == "has_gps" and rows["c.jpg"]["status"] == "no_landmark"


def test_a_neighbour_speaks_against_a_landmark(tmp_path: Path, tag: Any) -> None:
    write(folder(tmp_path), [one("a.jpg", 0, VEGAS)])
    (folder(tmp_path) / "b.jpg").write_bytes(photo(one("b.jpg", 60), COLOURS["Eiffel_Tower"]))
    _, rows = tag()
    assert rows["b.jpg"]["status"] == "unsure"
    assert "Eiffel Tower is 8," in rows["b.jpg"]["reason"]
    _, rows = tag("--from", "all")
    assert rows["b.jpg"]["source"] == "time" and rows["b.jpg"]["latitude"].startswith("36.11")


def test_a_neighbour_agrees_with_a_landmark(tmp_path: Path, tag: Any) -> None:
    write(folder(tmp_path), [one("a.jpg", 0, PARIS)])
    (folder(tmp_path) / "b.jpg").write_bytes(photo(one("b.jpg", 60), COLOURS["Eiffel_Tower"]))
    _, rows = tag("--from", "landmark,time")
    row = rows["b.jpg"]
    assert (row["status"], row["landmark"], row["source"]) == ("tagged", "Eiffel Tower", "time")


def test_a_photo_is_found_tonight_because_its_neighbours_came_today(
    tmp_path: Path, tag: Any
) -> None:
    write(folder(tmp_path), [one("b.jpg", 60)])
    _, rows = tag("--from", "all")
    assert rows["b.jpg"]["status"] == "no_landmark"
    write(folder(tmp_path), [one("a.jpg", 0, PARIS)])
    _, rows = tag("--from", "all")
    assert rows["b.jpg"]["status"] == "tagged"


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-me.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.json"),
        ("IMG_1-bearbeitet.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1-edited(2).jpg", "IMG_1.jpg(2).json"),
        (f"{'n' * 60}.jpg", f"{'n' * 46}.json"),
        (f"{'n' * 40}.jpg", f"{'n' * 40}.jpg.s.json"),
    ],
)
def test_takeout_places_a_photo(tmp_path: Path, tag: Any, name: str, beside: str) -> None:
    (folder(tmp_path)).mkdir()
    (folder(tmp_path) / name).write_bytes(photo(Capture(name), COLOURS["Eiffel_Tower"]))
    stated = {
        "title": name,
        "photoTakenTime": {"timestamp": "1714564800"},
        "geoData": {"latitude": VEGAS[0], "longitude": VEGAS[1]},
        "geoDataExif": {"latitude": 1.0, "longitude": 1.0},
    }
    (folder(tmp_path) / beside).write_text(json.dumps(stated))
    _, rows = tag("--dry-run")
    assert rows[name]["status"] == "unsure"  # Paris is not where it was
    _, rows = tag("--from", "landmark,takeout")
    assert (rows[name]["status"], rows[name]["source"]) == ("tagged", "takeout")
    assert rows[name]["latitude"] == "36.11250"


def test_of_two_photos_of_one_cut_name_one_gets_the_place_of_the_takeout_file(
    tmp_path: Path, tag: Any
) -> None:
    cut = "n" * 46
    write(folder(tmp_path), [one(f"{cut}{end}.jpg", 9000.0 * n) for n, end in enumerate("ab")])
    place = {"latitude": VEGAS[0], "longitude": VEGAS[1]}
    stated = json.dumps({"title": f"{cut}b.jpg", "geoData": place})
    (folder(tmp_path) / f"{cut}.json").write_text(stated)
    _, rows = tag("--from", "takeout")
    assert [rows[f"{cut}{end}.jpg"]["source"] for end in "ab"] == ["", "takeout"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b'"text"', b'{"geoData": 3}', b"[" * 100_000,
        b'{"geoData": {"latitude": 0, "longitude": 0}}',
        b'{"geoData": {"latitude": 1e999, "longitude": 5}}',
        b'{"geoData": {"latitude": true, "longitude": 5}}',
    ],
)  # fmt: skip
def test_takeout_that_says_nothing_changes_nothing(
    tmp_path: Path, tag: Any, content: bytes
) -> None:
    (folder(tmp_path)).mkdir()
    (folder(tmp_path) / "a.jpg").write_bytes(photo(Capture("a"), COLOURS["Eiffel_Tower"]))
    (folder(tmp_path) / "a.jpg.json").write_bytes(content)
    _, rows = tag("--from", "all")
    assert rows["a.jpg"]["landmark"] == "Eiffel Tower" and rows["a.jpg"]["source"] == "landmark"


def halved(name: str, draw: int) -> tuple[Sequence[Capture], dict[str, tuple[float, float]]]:
    """A walk with half of its positions hidden, and those positions."""
    chance, hidden = random.Random(draw), {}
    shown = []
    for each in walk(name):
        assert each.position
        if chance.random() < 0.5:
            hidden[each.key] = each.position
            each = replace(each, position=None, gps_time=None, error_m=None)
        shown.append(each)
    return shown, hidden


@needs_walks
@pytest.mark.parametrize("name", ["doors_stockholm", "walk_rome"])
def test_half_of_a_walk_is_given_back(tmp_path: Path, tag: Any, name: str) -> None:
    shown, hidden = halved(name, 1)
    write(folder(tmp_path), list(shown))
    _, rows = tag("--from", "time")
    placed = {key: rows[key] for key in hidden if rows[key]["status"] == "tagged"}
    assert len(placed) >= 0.7 * len(hidden)
    for key, row in placed.items():
        off = distance_m((float(row["latitude"]), float(row["longitude"])), hidden[key])
        assert off <= 1000


@needs_walks
def test_a_track_is_right_though_the_clock_is_an_hour_off(tmp_path: Path, tag: Any) -> None:
    shown, hidden = halved("walk_jette", 1)
    write(folder(tmp_path), list(shown))
    tracks = [f"--track={WALKS / f'walk_jette_{n}.gpx'}" for n in (1, 2)]
    _, rows = tag("--from", "track", *tracks)
    offs = sorted(
        distance_m((float(rows[k]["latitude"]), float(rows[k]["longitude"])), at)
        for k, at in hidden.items()
        if rows[k]["status"] == "tagged"
    )
    assert len(offs) >= 5 and offs[len(offs) // 2] <= 20
    # Without any photo that knows GPS time, the clock cannot be known: nothing is written.
    shutil.rmtree(folder(tmp_path))
    bare = [replace(each, position=None, gps_time=None) for each in walk("walk_jette")]
    write(folder(tmp_path), bare)
    (tmp_path / "ledger.db.captures").unlink()
    _, rows = tag("--from", "track", *tracks, "--rescan")
    assert {row["status"] for row in rows.values()} == {"no_landmark"}
    assert "set --utc-offset or --clock-offset" in rows["walk_jette_003.jpg"]["reason"]
    _, rows = tag("--from", "track", *tracks, "--utc-offset", "+01:00", "--rescan")
    assert rows["walk_jette_003.jpg"]["status"] == "tagged"


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--from=nowhere", "give landmark, library, time, track, takeout, pair or all"),
        ("--max-radius=far", "write 500m or 1km"),
        ("--max-gap=long", "write 90s, 30m or 3h"),
        ("--utc-offset=two", "write +02:00, -90s or 'CAMERA=+1h'"),
        ("--time-zone=Mars/Olympus", "write a name such as Europe/Berlin"),
        ("--track=missing.gpx", "does not exist"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, tag: Any, option: str, says: str) -> None:
    write(folder(tmp_path), [one("a.jpg", 0)])
    report = tmp_path / "report.csv"
    report.write_text("path\n")
    result, _ = tag(option, code=2)
    assert says in result.output


def test_cameras_and_their_clocks_are_listed(tmp_path: Path) -> None:
    write(
        folder(tmp_path),
        [
            one("a.jpg", 0, PARIS, camera="Phone", offset=7200.0),
            one("b.jpg", 60, camera="Old"),
            Capture("c.jpg"),
        ],
    )
    result = CliRunner().invoke(main, ["clocks", str(folder(tmp_path))])
    assert result.exit_code == 0, result.output
    assert "Phone: 1 photo, 1 with a position\n    clock +02:00 ahead of UTC" in result.output
    assert "Old: 1 photo, 0 with a position\n    clock not known; set --time-zone" in result.output
