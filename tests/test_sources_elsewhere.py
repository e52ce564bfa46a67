"""Sources of a position outside the photo: in a bucket, a sidecar, another process."""

import csv
import functools
import io
import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import s3
from click.testing import CliRunner
from memory_storage import MemoryStorage
from walk_photos import photo, write

from tagger.cli.main import main
from tagger.errors import RunError
from tagger.evidence.cache_file import patiently
from tagger.evidence.camera_clocks import CameraClocks
from tagger.evidence.captures import Captures
from tagger.evidence.limits import Limits
from tagger.evidence.sources import Sources
from tagger.metadata.capture import Capture
from tagger.metadata.formats.detect import Head
from tagger.records import Entry, Version
from tagger.run.survey import note
from tagger.storage.bucket_listing import Listed, paired
from tagger.storage.takeout_names import _of, _stems, describes, last_name_for, name_for

NOON, VEGAS = 1_714_564_800.0, (36.1125, -115.1728)
SIDECAR = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="36,6.75N"
 exif:GPSLongitude="115,10.368W"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
NOTES = """
import sys
from pathlib import Path
from tagger.evidence.sources import Sources
from tagger.metadata.capture import Capture
sources = Sources(Path(sys.argv[1]))
for n in range(6000):
    sources.note(Capture(f"{sys.argv[2]}{n}.jpg", 1e9 + n, 0.0, camera="X", position=(48, 2)), "1")
    if n % 500 == 0:
        sources.captures.flush()
sources.close()
"""


def report(text: str) -> dict[str, dict[str, str]]:
    return {row["path"].rpartition("/")[2]: row for row in csv.DictReader(io.StringIO(text))}


def test_takeout_places_photos_of_a_bucket(
    bucket: s3.Bucket, colour_model: Path, tmp_path: Path
) -> None:
    """A photo placed by it is in turn a neighbour in time of others."""
    stated = {"geoData": {"latitude": VEGAS[0], "longitude": VEGAS[1]}}
    for name, seconds in (("a.jpg", 0), ("b.jpg", 60)):
        bucket.put(f"in/{name}", photo(Capture(name, NOON + seconds, 0.0, camera="X")))
    bucket.put("in/a.jpg.supplemental-metadata.json", json.dumps(stated).encode())
    result = CliRunner().invoke(
        main,
        [
            f"{bucket.url}/in", "--from", "all", "--model", str(colour_model), "--report",
            str(tmp_path / "report.csv"), "--ledger", str(tmp_path / "ledger.db"),
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = report((tmp_path / "report.csv").read_text())
    assert {name: row["source"] for name, row in rows.items()} == {
        "a.jpg": "takeout", "b.jpg": "time",
    }  # fmt: skip
    assert {row["latitude"] for row in rows.values()} == {"36.11250"}


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("a.jpg", "a.jpg.json"),
        ("a.png", "a.json"),
        ("a(1).jpg", "a.jpg(1).json"),
        ("a(2).jpg", "a.jpg.supplemental-metadata(2).json"),
        ("a-edited.jpg", "a.jpg.supplemental-me.json"),
        (f"{'n' * 60}.jpg", f"{'n' * 46}.json"),
    ],
)
def test_takeouts_names_are_known_in_a_listing(name: str, beside: str) -> None:
    """Whichever names sort between a photo and its file, and in either order."""
    names = {name, beside, "a!.jpg", "a-b.jpg", "a.jpg", "a.xmp", "z.jpg", "z.jpg.json", "nn.jpg"}
    day = datetime(2026, 1, 1, tzinfo=UTC)
    listing = [Listed(f"in/{each}", 1, "e", day) for each in sorted(names)]
    takeouts = {photo.listed.path: photo.takeout for photo in paired(listing)}
    assert takeouts[f"in/{name}"] == f"in/{beside}" and takeouts["in/z.jpg"] == "in/z.jpg.json"
    assert takeouts["in/nn.jpg"] == takeouts["in/a!.jpg"] == ""


LONG = "Urlaub in Knaufspesch in der Schneifel, Tag 1, am "  # 50 letters
ID = "original_1d4caa6f-16c6-4c3d-901b-9387de10e528_"  # 46


@pytest.mark.parametrize(
    ("name", "beside", "title", "believed"),
    [
        (f"{LONG}See.jpg", f"{LONG[:46]}.json", f"{LONG}See.jpg", True),
        (f"{LONG}Berg.jpg", f"{LONG[:46]}.json", f"{LONG}See.jpg", False),
        # Only a name of 51 letters was itself cut.
        (f"{LONG[:46]}a.jpg", f"{LONG[:46]}.json", f"{LONG[:46]}abend.jpg", True),
        (f"{LONG[:45]}a.jpg", f"{LONG[:45]}.json", f"{LONG[:45]}abend.jpg", False),
        (f"{LONG[:42]}a.jpeg", f"{LONG[:42]}a.jpe.json", "renamed.jpeg", True),  # only the suffix
        (f"{LONG}a_b_c.jpg", f"{LONG[:46]}.json", f"{LONG}a/b &amp; c.jpg", True),
        (f"{ID}P.jpg", f"{ID}.json", f"{ID}PXL_20220516_164814158.jpg", True),
        (f"{ID}P(1).jpg", f"{ID}(1).json", f"{ID}PXL_20220516_164814158.jpg", True),
        (f"{ID}P(1).jpg", f"{ID}.json", f"{ID}PXL_20220516_164814158.jpg", False),
        (f"{ID}P-edited.jpg", f"{ID}.json", f"{ID}P.jpg", True),
        (f"{ID}P-edited.jpg", f"{ID}.json", f"{ID}Q.jpg", False),
        (f"{ID}P.jpg", f"{ID}.json", "", False),
        ("IMG_1.jpg", "IMG_1.jpg.json", "renamed.jpg", True),  # nobody else has this file
    ],
)
def test_a_takeout_file_whose_name_was_cut_is_that_of_the_photo_in_its_title(
    name: str, beside: str, title: str, believed: bool
) -> None:
    assert name_for(name, {beside}) == beside
    assert describes(beside, title, name) == believed


@pytest.mark.parametrize("edited", ["", "-edited"])
def test_a_number_that_may_be_takeouts_or_the_photos_own_has_no_takeout_file(edited: str) -> None:
    """The photo IMG_1(1).jpg, or the second of two that are both called IMG_1.jpg."""
    name, seconds, own = f"IMG_1{edited}(1).jpg", "IMG_1.jpg(1).json", "IMG_1(1).jpg.json"
    assert name_for(name, {seconds}) == seconds and name_for(name, {own}) == own
    assert name_for(name, {seconds, own}) is None


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg", "a(12).jpg", "a-edited.jpg", "a-edited(2).jpg", "a-b.c.jpg", f"{'n' * 60}.jpg",
        f"{'n' * 44} (2)-edited.jpg", f"{'n' * 45}-bearbeitet(3).jpg", f"{'n' * 43}.jpg", ".jpg",
    ],
)  # fmt: skip
def test_no_takeout_file_comes_after_the_last_name(name: str) -> None:
    stem, suffix = os.path.splitext(name)
    for bare in _stems(stem):
        assert all(other < last_name_for(name) for other in _of(bare, suffix))


def test_a_position_in_a_sidecar_is_a_neighbours(tmp_path: Path, colour_model: Path) -> None:
    """A position as digiKam and Immich write it."""
    folder = tmp_path / "photos"
    write(folder, [Capture(f"{n}.jpg", NOON + 60 * n, 0.0, camera="X") for n in range(2)])
    (folder / "0.jpg.xmp").write_text(SIDECAR)
    result = CliRunner().invoke(
        main,
        [
            str(folder), "--from", "time", "--dry-run", "--model", str(colour_model), "--report",
            str(tmp_path / "report.csv"), "--ledger", str(tmp_path / "ledger.db"),
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = report((tmp_path / "report.csv").read_text())
    assert rows["0.jpg"]["status"] == "has_gps"
    assert rows["1.jpg"]["source"] == "time" and rows["1.jpg"]["latitude"] == "36.11250"


def test_two_processes_note_photos_in_one_index(tmp_path: Path) -> None:
    index = tmp_path / "ledger.db.captures"
    both = [subprocess.Popen([sys.executable, "-c", NOTES, str(index), letter]) for letter in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    captures = Captures(index)
    ((_, photos, placed, *_),) = captures.cameras()
    captures.close()
    assert (photos, placed) == (12_000, 12_000)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder that nobody can write to")
def test_an_index_that_cannot_be_written_is_told() -> None:
    with pytest.raises(RunError, match=r"/proc/ledger\.db\.captures: .* check the free space and"):
        Captures(Path("/proc/ledger.db.captures"))


def test_an_index_that_is_prepared_by_another_process_is_waited_for() -> None:
    tries = iter((sqlite3.OperationalError("database is locked"), None))

    def prepare() -> None:
        if problem := next(tries):
            raise problem

    patiently(prepare)
    assert next(tries, "used up") == "used up"
    with pytest.raises(sqlite3.OperationalError, match="malformed"):
        patiently(functools.partial(raises, sqlite3.OperationalError("malformed")))
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        patiently(functools.partial(raises, sqlite3.OperationalError("locked")), seconds=0)


def raises(problem: Exception) -> None:
    raise problem


def test_a_time_by_takeout_says_nothing_of_the_cameras_clock() -> None:
    """A copy that lost its time, but not its camera, would set that camera's clock to UTC."""
    stated = {"photoTakenTime": {"timestamp": "1714564800"}}
    copy = photo(Capture("a.jpg", camera="Maker Model"))
    storage = MemoryStorage({"a.jpg": copy, "a.jpg.json": json.dumps(stated).encode()})
    sources = Sources()
    try:
        entry = Entry("a.jpg", Version(len(copy), 1), takeout="a.jpg.json")
        note(storage, sources, entry, Head(copy, whole=True), None)
        asked = Capture("b.jpg", 1_714_572_000.0, camera="Maker Model")
        assert CameraClocks(sources.captures, Limits()).of(asked) == []
        (kept,) = sources.captures.cameras()
        assert kept[0] == "Maker Model (time by Takeout)"
    finally:
        sources.close()
