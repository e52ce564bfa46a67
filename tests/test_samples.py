"""The sample photos, tagged with the command and the shipped model, read back by ExifTool."""

import csv
import hashlib
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import SAMPLES

from tagger.cli.main import main
from tagger.places.landmarks import load_landmarks

with (SAMPLES / "attribution.csv").open(encoding="utf-8", newline="") as _file:
    SHOWN = {row["file"]: row["landmark"] for row in csv.DictReader(_file)}
STRANGERS = sorted(name for name, landmark in SHOWN.items() if not landmark)
KNOWN = sorted(name for name, landmark in SHOWN.items() if landmark and "with_gps" not in name)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.suffix in (".jpg", ".png")
    }


def rows(report: Path) -> dict[str, dict[str, str]]:
    with report.open(encoding="utf-8", newline="") as file:
        return {os.path.basename(row["path"]): row for row in csv.DictReader(file)}


def tag(folder: Path, report: str) -> dict[str, dict[str, str]]:
    where = folder.parent
    options = ["--report", str(where / report), "--ledger", str(where / "ledger.db")]
    result = CliRunner().invoke(main, [str(folder), *options])
    assert result.exit_code == 0, result.output
    return rows(where / report)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("samples") / "photos"
    shutil.copytree(SAMPLES, folder)
    before = digests(folder)
    tag(folder, "first.csv")
    yield folder, before


@pytest.mark.parametrize("name", KNOWN)
def test_a_landmark_is_recognised(tagged: tuple[Path, dict[str, str]], name: str) -> None:
    folder, before = tagged
    row = rows(folder.parent / "first.csv")[name]
    assert row["status"] == "tagged", row
    assert row["landmark"] == load_landmarks()[SHOWN[name]].name
    assert digests(folder)[name] != before[name]


@pytest.mark.parametrize("name", STRANGERS)
def test_another_photo_is_left_as_it_is(tagged: tuple[Path, dict[str, str]], name: str) -> None:
    folder, before = tagged
    row = rows(folder.parent / "first.csv")[name]
    assert row["status"] in ("unsure", "no_landmark"), row
    assert digests(folder)[name] == before[name]


def test_a_photo_with_gps_is_left_as_it_is(tagged: tuple[Path, dict[str, str]]) -> None:
    folder, before = tagged
    name = "eiffel_tower_with_gps.jpg"
    assert rows(folder.parent / "first.csv")[name]["status"] == "has_gps"
    assert digests(folder)[name] == before[name]


@pytest.mark.skipif(
    shutil.which("exiftool") is None and not os.environ.get("CI"), reason="needs exiftool"
)
@pytest.mark.parametrize("name", KNOWN)
def test_exiftool_reads_the_place(tagged: tuple[Path, dict[str, str]], name: str) -> None:
    folder, _ = tagged
    command = ["exiftool", "-j", "-n", "-GPSLatitude", "-GPSLongitude", str(folder / name)]
    (read,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    place = load_landmarks()[SHOWN[name]]
    north = (read["GPSLatitude"] - place.latitude) * 111_320
    east = (read["GPSLongitude"] - place.longitude) * 111_320
    assert math.hypot(north, east * math.cos(math.radians(place.latitude))) <= place.radius_m


def test_a_second_run_writes_nothing(tagged: tuple[Path, dict[str, str]]) -> None:
    folder, _ = tagged
    first, once = rows(folder.parent / "first.csv"), digests(folder)
    again = tag(folder, "second.csv")
    assert digests(folder) == once
    for name, row in first.items():
        kept = "has_gps" if row["status"] == "tagged" else row["status"]
        assert again[name]["status"] == kept, name
