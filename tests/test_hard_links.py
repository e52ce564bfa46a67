"""Photos with several hard links, and times that tell a media server of a change."""

import csv
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import COLOURS, photo

from tagger import metadata
from tagger.cli.main import main

TIME = 1_500_000_000_123_456_789


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """a.jpg, which is also album.jpg, and b.jpg."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(photo(COLOURS["Taj_Mahal"]))
        os.utime(folder / name, ns=(TIME, TIME))
    try:
        (folder / "album.jpg").hardlink_to(folder / "a.jpg")
    except OSError:
        pytest.skip("no hard links here")
    return folder


@pytest.fixture
def command(colour_model: Path, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    def run(*words: Any) -> tuple[int, str]:
        line = [*map(str, words), "--ledger", str(tmp_path / "ledger.db")]
        if words[0] not in main.commands:
            line += ["--model", str(colour_model), "--report", str(tmp_path / "report.csv")]
        result = CliRunner().invoke(main, line)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result.exit_code, result.output

    return run


def rows(tmp_path: Path) -> dict[str, tuple[str, str]]:
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        return {Path(r["path"]).name: (r["status"], r["reason"]) for r in csv.DictReader(file)}


def tagged(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if metadata.provenance(path.read_bytes())}


def links(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_nlink for path in folder.iterdir()}


@pytest.mark.parametrize("dry", [True, False])
def test_hard_links_are_told_and_left_alone(
    album: Path, command: Callable[..., tuple[int, str]], tmp_path: Path, dry: bool
) -> None:
    assert command(album, *(["--dry-run"] if dry else []))[0] == 0
    reported = rows(tmp_path)
    assert reported["b.jpg"][0] == ("would_tag" if dry else "tagged")
    for name in ("a.jpg", "album.jpg"):
        assert reported[name][0] == "unsupported" and "--hard-links split" in reported[name][1]
    assert tagged(album) == (set() if dry else {"b.jpg"})
    assert links(album) == {"a.jpg": 2, "album.jpg": 2, "b.jpg": 1}


def test_split_makes_each_name_a_file_of_its_own_and_undo_gives_bytes_and_time_back(
    album: Path, command: Callable[..., tuple[int, str]]
) -> None:
    before = {path.name: path.read_bytes() for path in album.iterdir()}
    assert command(album, "--hard-links", "split")[0] == 0
    assert tagged(album) == {"a.jpg", "album.jpg", "b.jpg"} and set(links(album).values()) == {1}
    assert command("undo")[0] == 0
    assert {path.name: path.read_bytes() for path in album.iterdir()} == before
    assert {path.stat().st_mtime_ns for path in album.iterdir()} == {TIME}


def test_sidecars_and_copies_split_nothing(
    album: Path, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    assert command(album, "--output", tmp_path / "copies")[0] == 0
    assert tagged(tmp_path / "copies") == {"a.jpg", "album.jpg", "b.jpg"}
    assert command(album, "--sidecar", "always")[0] == 0
    assert {name: n for name, n in links(album).items() if name.endswith(".jpg")} == {
        "a.jpg": 2, "album.jpg": 2, "b.jpg": 1,
    }  # fmt: skip
    assert {status for status, _ in rows(tmp_path).values()} == {"tagged"}


def test_apply_undo_and_remove_split_nothing_unless_told(
    album: Path, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"
    assert command(album, "--dry-run", "--hard-links", "split")[0] == 0
    for more in (["--dry-run"], []):
        code, output = command("apply", report, *more)
        assert code == 1 and "1 w" in output and output.count("--hard-links split") == 2
    assert tagged(album) == {"b.jpg"}
    (album / "c.jpg").hardlink_to(album / "b.jpg")
    for words in (("undo",), ("remove", album)):
        code, output = command(*words)
        assert code == 1 and "--hard-links split" in output
        assert links(album)["b.jpg"] == 2 and "b.jpg" in tagged(album)
    assert command("remove", album, "--hard-links", "split")[0] == 0
    assert links(album)["b.jpg"] == 1 and tagged(album) == set()
    assert command(album, "--dry-run", "--hard-links", "split")[0] == 0
    assert command("apply", report, "--hard-links", "split")[0] == 0
    assert tagged(album) == {"a.jpg", "album.jpg", "b.jpg", "c.jpg"}


@pytest.mark.parametrize("sidecar", ["auto", "always"])
def test_a_new_time_tells_servers_and_undo_gives_the_old_one_back(
    album: Path, command: Callable[..., tuple[int, str]], sidecar: str
) -> None:
    (album / "album.jpg").unlink()
    name = "b.jpg" if sidecar == "auto" else "b.jpg.xmp"
    if sidecar == "always":
        (album / name).write_bytes(
            b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
            b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF></x:xmpmeta>'
        )
        os.utime(album / name, ns=(TIME, TIME))
    begun = time.time_ns() - 2_000_000_000
    assert command(album, "--new-mtime", "--sidecar", sidecar)[0] == 0
    assert (album / name).stat().st_mtime_ns >= begun
    assert command("undo")[0] == 0
    assert (album / name).stat().st_mtime_ns == TIME
    assert command(album, "--sidecar", sidecar)[0] == 0
    assert (album / name).stat().st_mtime_ns == TIME


def test_a_photo_with_a_new_time_is_known_to_the_next_run(
    album: Path, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    assert command(album, "--new-mtime", "--hard-links", "split")[0] == 0
    assert command(album, "--new-mtime")[0] == 0
    assert {reason for _, reason in rows(tmp_path).values()} == {"unchanged since an earlier run"}
