"""Building packs of many places."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import SAMPLES
from test_learning import views

from tagger.places.opening import open_pack
from train.__main__ import main
from train.packs import lessons


def train(*words: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def table(tmp_path: Path) -> Path:
    views(tmp_path / "photos" / "mill", 4)
    views(tmp_path / "photos" / "tea", 1, name="cup_of_tea.jpg")
    path = tmp_path / "places.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [
                ("folder", "name", "latitude", "longitude", "wikidata"),
                ("mill", "Mill", "52.62", "4.65", "Q38720"),
                ("tea", "", "48.1", "11.5", ""),
                ("none", "No photos", "1", "2", ""),
            ]
        )
    return path


def test_a_pack_is_built_of_folders_and_goes_on_after_a_stop(tmp_path: Path, table: Path) -> None:
    out = tmp_path / "all.places"
    words = "pack", "--photos", tmp_path / "photos", "--places", table, "--out", out, "--best", "2"
    assert "2 places, 3 photos" in train(*words, "--licence", "CC0-1.0", "--device", "cpu")
    found = open_pack(out)
    assert [one.landmark.name for one in found.places()] == ["Mill", "tea"]
    assert found.place(0).licence == "CC0-1.0" and found.landmark(0).wikidata == "Q38720"
    assert not found.private and "path" not in found.photo(0)
    parts = list((tmp_path / "all.parts").iterdir())
    times = [part.stat().st_mtime_ns for part in parts if part.suffix == ".places"]
    train(*words, "--device", "cpu")
    assert times == [part.stat().st_mtime_ns for part in parts if part.suffix == ".places"]
    small = tmp_path / "small.places"
    train("pack", "--pack", out, "--out", small, "--best", "1", "--points", "50")
    assert len(open_pack(small).owners) == 2
    assert small.stat().st_size < out.stat().st_size / 3


def test_photos_of_google_landmarks_are_found_by_their_ids(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "6" / "e" / "1"
    folder.mkdir(parents=True)
    photo = folder / "6e158a47eb2ca3f6.jpg"
    photo.write_bytes((SAMPLES / "windmills.jpg").read_bytes())
    table, ids = tmp_path / "places.csv", tmp_path / "train.csv"
    ids.write_text("id,url,landmark_id\n6e158a47eb2ca3f6,http://x,142820\nffff,http://y,1\n")
    table.write_text(
        "landmark_id,category,latitude,longitude\n"
        "142820,http://commons.wikimedia.org/wiki/Category:Great_mill,52.62,4.65\n"
        "1,http://commons.wikimedia.org/wiki/Category:Other,1,2\n"
    )
    (found,) = lessons(tmp_path / "train", table, ids)
    assert (found.name, found.photos, found.position) == ("Great mill", (photo,), (52.62, 4.65))


def test_a_pack_needs_photos_or_packs(tmp_path: Path) -> None:
    assert "give --photos and --places" in train("pack", "--out", tmp_path / "a.places", code=2)
