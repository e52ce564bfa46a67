"""Building packs of many places."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import SAMPLES
from test_learning import views

from tagger.model import DEFAULT_MODEL, artifact
from tagger.model.learning import as_references
from tagger.model.local_features.references import References
from tagger.places.landmarks import load_landmarks
from tagger.places.opening import open_pack
from tagger.run.learn import learn
from train.__main__ import main
from train.packs import landmarks, lessons


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
    built = open_pack(out)
    assert [one.landmark.name for one in built.places()] == ["Mill", "tea"]
    assert built.place(0).licence == "CC0-1.0" and built.landmark(0).wikidata == "Q38720"
    assert not built.private and "path" not in built.photo(0)
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
    (lesson,) = lessons(tmp_path / "train", table, ids)
    assert (lesson.name, lesson.photos, lesson.position) == ("Great mill", (photo,), (52.62, 4.65))


def test_a_pack_needs_photos_or_packs(tmp_path: Path) -> None:
    assert "give --photos and --places" in train("pack", "--out", tmp_path / "a.places", code=2)


def test_google_landmarks_are_built_stopped_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From Google Landmarks v2's three tables and a table of coordinates."""
    ids, columns = [], "id,url,landmark_id"
    for label, name in (("11", "windmills.jpg"), ("12", "cup_of_tea.jpg"), ("13", "windmills.jpg")):
        for number, view in enumerate(views(tmp_path / label, 3, name=name)):
            photo_id = f"{label}{number}e158a47eb2ca3f"
            place = tmp_path.joinpath("train", *photo_id[:3])
            place.mkdir(parents=True, exist_ok=True)
            view.rename(place / f"{photo_id}.jpg")
            ids.append(f"{photo_id},http://x,{label}")
    train_csv, table, out = tmp_path / "train.csv", tmp_path / "places.csv", tmp_path / "gld.places"
    train_csv.write_text("\n".join([columns, *ids]), encoding="utf-8")
    commons = "http://commons.wikimedia.org/wiki/Category:"
    table.write_text(
        "landmark_id,category,latitude,longitude,country_code\n"
        f"11,{commons}Great_mill,52.62,4.65,NL\n12,{commons}Tea,48.1,11.5,\n"
        f"13,{commons}Nowhere,,,\n",
        encoding="utf-8",
    )
    words: list[str | Path] = [
        "pack", "--photos", tmp_path / "train", "--gld", train_csv, "--places", table,
        "--out", out, "--best", "2", "--points", "40", "--device", "cpu",
    ]  # fmt: skip
    monkeypatch.setattr("train.packs.PART", 1)
    with monkeypatch.context() as cut:  # the power fails in the second part
        cut.setattr("train.packs.learn", stopping_after(1))
        with pytest.raises(ZeroDivisionError):
            main([str(word) for word in words], standalone_mode=False)
    parts = tmp_path / "gld.parts"
    (first,) = parts.glob("*.places")
    before = first.stat().st_mtime_ns
    assert "2 places, 4 photos" in train(*words)
    assert first.stat().st_mtime_ns == before and len(list(parts.glob("*.places"))) == 2
    built = open_pack(out)
    assert [built.landmark(n).name for n in range(2)] == ["Great mill", "Tea"]
    assert built.landmark(0).country_code == "NL"
    assert max(len(built.reference(row).codes) for row in range(4)) <= 40


def stopping_after(count: int) -> Any:
    done = iter(range(count))

    def stopping(*words: Any, **more: Any) -> Any:
        if next(done, None) is None:
            raise ZeroDivisionError
        return learn(*words, **more)

    return stopping


def test_the_landmarks_that_ship_are_a_pack(tmp_path: Path) -> None:
    """Places as landmarks.csv has them, references as the model has them."""
    path = landmarks(DEFAULT_MODEL, tmp_path)
    loaded, pack, table = artifact.load(DEFAULT_MODEL), open_pack(path), load_landmarks()
    known = loaded.references
    assert known
    assert {pack.landmark(n).slug.rpartition("/")[2] for n in range(len(pack))} == set(
        loaded.manifest.labels
    )
    places = [place.landmark for place in pack.places()]
    assert places == [table[place.slug] for place in places]
    view = as_references(known, pack)
    taj, number = loaded.manifest.labels.index("Taj_Mahal"), pack.find("Taj_Mahal")
    assert number is not None
    for array in ("embeddings", "codes", "places"):
        mine, own = rows_of(view, array, number), rows_of(known, array, taj)
        np.testing.assert_array_equal(mine, own)


def rows_of(held: References, array: str, landmark: int) -> Any:
    start, end = held.landmarks[landmark : landmark + 2]
    if array != "embeddings":
        start, end = held.photos[start], held.photos[end]
    return getattr(held, array)[start:end]
