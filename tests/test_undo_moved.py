"""Undo of photos that were moved or renamed since: found by their bytes, or left alone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import photo
from places import tag

from tagger.cli.main import main
from tagger.ledger.ledger import Ledger
from tagger.records import SidecarMode
from tagger.storage.local import LocalStorage
from tagger.writing.write_tag import WriteOptions, write_tag


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def tagged(book: Ledger, tmp_path: Path) -> dict[str, tuple[bytes, int]]:
    """Three photos as they were before a run tagged them, every second one with a sidecar."""
    folder = tmp_path / "photos"
    folder.mkdir()
    before = {}
    for number in range(3):
        path = folder / f"{number}.jpg"
        path.write_bytes(photo((number * 50, 10, 10)))
        os.utime(path, ns=(1, 1_500_000_000_123_456_789 + number))
        before[path.name] = path.read_bytes(), path.stat().st_mtime_ns
    with book.begin("run-1", [str(folder)], {}) as recorder:
        for entry in LocalStorage([folder]).list():
            mode = SidecarMode.ALWAYS if entry.key.endswith("1.jpg") else SidecarMode.AUTO
            write_tag(LocalStorage(), recorder, entry, tag(run_id="run-1"), WriteOptions(mode))
    return before


def state(folder: Path) -> list[tuple[bytes, int]]:
    return sorted((p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file())


def undone(ledger: Ledger, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["undo", *arguments, "--ledger", str(ledger.path)])
    return result.exit_code, result.output


def test_undo_finds_what_was_moved_within_the_run_or_to_a_named_folder(
    book: Ledger,
    tmp_path: Path,
    tagged: dict[str, tuple[bytes, int]],
) -> None:
    folder, away = tmp_path / "photos", tmp_path / "away"
    (folder / "trip").mkdir()
    away.mkdir()
    (folder / "0.jpg").rename(folder / "trip" / "first.jpg")
    (folder / "1.jpg").rename(folder / "trip" / "second.jpg")
    (folder / "1.jpg.xmp").rename(folder / "trip" / "second.jpg.xmp")
    (folder / "2.jpg").rename(away / "2.jpg")
    code, output = undone(book, "run-1")
    assert code == 1 and "2.jpg: not undone: it is gone" in output and "undo RUN PATH" in output
    assert "first.jpg" in output and "removed at" in output
    code, output = undone(book, "run-1", str(away), "--dry-run")
    assert code == 0 and "restored at" in output
    assert state(away) != [tagged["2.jpg"]]
    assert undone(book, "run-1", str(away))[0] == 0
    assert state(away) == [tagged["2.jpg"]]
    assert state(folder) == sorted(tagged[name] for name in ("0.jpg", "1.jpg"))
    assert undone(book, "run-1", str(tmp_path / "nowhere"))[0] == 2


def test_undo_of_a_renumbered_series(
    book: Ledger,
    tmp_path: Path,
    tagged: dict[str, tuple[bytes, int]],
) -> None:
    folder = tmp_path / "photos"
    (folder / "2.jpg").rename(folder / "3.jpg")
    (folder / "0.jpg").rename(folder / "2.jpg")
    assert undone(book, "run-1")[0] == 0
    assert (folder / "3.jpg").read_bytes() == tagged["2.jpg"][0]
    assert (folder / "2.jpg").read_bytes() == tagged["0.jpg"][0]


def test_undo_leaves_edited_photos_and_does_not_choose_among_copies(
    book: Ledger,
    tmp_path: Path,
    tagged: dict[str, tuple[bytes, int]],
) -> None:
    folder = tmp_path / "photos"
    edited = (folder / "0.jpg").read_bytes() + b"!"
    shutil.copy2(folder / "0.jpg", folder / "kept.jpg")
    (folder / "0.jpg").write_bytes(edited)
    for name in ("x", "y"):
        (folder / name).mkdir()
        shutil.copy2(folder / "2.jpg", folder / name / "2.jpg")
    (folder / "2.jpg").unlink()
    before = state(folder / "x"), state(folder / "y"), (folder / "kept.jpg").read_bytes()
    code, output = undone(book, "run-1")
    assert code == 1 and "edited since" in output and "there are copies of it" in output
    assert (folder / "0.jpg").read_bytes() == edited
    assert (state(folder / "x"), state(folder / "y"), (folder / "kept.jpg").read_bytes()) == before
    (folder / "x" / "2.jpg").rename(folder / "2.jpg")
    assert "1 restored" in undone(book, "run-1")[1]
    assert (folder / "2.jpg").read_bytes() == tagged["2.jpg"][0]
