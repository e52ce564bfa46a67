"""Paths and URLs, and the table of storages by URL scheme."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import COLOURS, photo
from memory_storage import MemoryStorage

from tagger.cli.main import main
from tagger.errors import RunError
from tagger.metadata import position
from tagger.storage import opening
from tagger.storage.opening import open_storage, storage_at
from tagger.storage.urls import Location, absolute, is_url


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryStorage:
    """A storage with its own scheme: one more line in the table."""
    storage = MemoryStorage(
        {
            "memory://album/taj.jpg": photo(COLOURS["Taj_Mahal"]),
            "memory://album/grey.jpg": photo((120, 120, 120)),
        }
    )
    monkeypatch.setitem(opening.OPENERS, "memory", lambda targets, selection: storage)
    opening._storage_of.cache_clear()
    return storage


def test_a_storage_of_a_new_scheme_needs_one_line(memory: MemoryStorage) -> None:
    assert open_storage(["memory://album"]) is memory
    assert storage_at("memory://album/taj.jpg") is memory
    with pytest.raises(RunError, match="az, memory"):
        open_storage(["ftp://host/photos"])


def test_tag_and_undo_in_a_storage_of_a_new_scheme(
    memory: MemoryStorage, colour_model: Path, tmp_path: Path
) -> None:
    before = {key: blob.data for key, blob in memory.files.items()}
    ledger = ["--ledger", str(tmp_path / "ledger.db")]
    options = ["--model", str(colour_model), "--report", str(tmp_path / "r.csv"), *ledger]
    done = CliRunner().invoke(main, ["tag", "memory://album", *options])
    assert done.exit_code == 0, done.output
    written = position(memory.files["memory://album/taj.jpg"].data)
    assert written == pytest.approx((27.175, 78.042), abs=0.01)
    assert memory.files["memory://album/grey.jpg"].data == before["memory://album/grey.jpg"]
    undone = CliRunner().invoke(main, ["undo", *ledger])
    assert undone.exit_code == 0, undone.output
    assert {key: blob.data for key, blob in memory.files.items()} == before


@pytest.mark.parametrize(
    ("place", "scheme", "bucket", "folder", "whole"),
    [
        ("s3://b/trip/a.jpg", "s3", "s3://b", "s3://b/trip", "s3://b/trip/a.jpg"),
        ("gs://b/trip/", "gs", "gs://b", "gs://b/trip", "gs://b/trip"),
        ("/photos/a.jpg", "", "", "/photos", os.path.realpath("/photos/a.jpg")),
        ("a.jpg", "", "", "", os.path.realpath("a.jpg")),
    ],
)
def test_a_location(place: str, scheme: str, bucket: str, folder: str, whole: str) -> None:
    location = Location(place)
    assert is_url(place) == bool(scheme)
    assert (location.scheme, location.bucket, location.folder) == (scheme, bucket, folder)
    assert location.separator == ("/" if scheme else os.sep)
    assert absolute(place) == location.absolute() == whole


def test_only_one_file_knows_what_a_url_looks_like() -> None:
    package = Path(opening.__file__).parents[1]
    knowing = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if '"://"' in path.read_text(encoding="utf-8")
    }
    assert knowing == {"storage/urls.py"}
