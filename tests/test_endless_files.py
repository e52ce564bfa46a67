"""Files that users name are regular ones: nothing waits for a pipe, nor reads without end."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tagger.cli.main import main
from tagger.evidence.tracks.reading import read_tracks
from tagger.places.in_model import LARGEST_MODEL

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


def output(*words: object) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 2, result.output
    return result.output


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe.gpx")
    return tmp_path / "pipe.gpx"


@pytest.mark.parametrize(
    "command", [("LIBRARY", "--dry-run"), ("apply", "r.csv"), ("learn", "x", "a")]
)
def test_a_model(pipe: Path, library: Path, command: tuple[str, ...]) -> None:
    words = [library if word == "LIBRARY" else word for word in command]
    for name in (pipe, "/dev/zero"):
        says = f"--model {name}: cannot be read (it is not a regular file); give the path of a"
        assert says in output(*words, "--model", name)
    large = pipe.with_name("large.pt")
    large.touch()
    os.truncate(large, LARGEST_MODEL + 1)
    assert "large.pt: cannot be read (it is larger than 4,096 MB)" in output(
        *words, "--model", large
    )


def test_what_lies_beside_a_model(pipe: Path, library: Path) -> None:
    (pipe.with_name("a.pt")).touch()
    os.mkfifo(pipe.with_name("a.more.places"))
    shown = output(library, "--dry-run", "--model", pipe.with_name("a.pt"))
    assert "a.more.places: cannot be read (it is not a regular file); delete or rename it" in shown


@pytest.mark.parametrize("linked", [False, True])
def test_a_pack(pipe: Path, linked: bool) -> None:
    link = pipe.with_name("link.places")
    link.symlink_to(pipe)
    name = link if linked else pipe
    shown = output("places", "check", "--pack", name)
    assert f"{name}: cannot be read (it is not a regular file); give the path of a pack" in shown


def test_a_track_named_or_in_a_folder(pipe: Path, library: Path) -> None:
    shown = output(library, "--dry-run", "--from", "track", "--track", pipe)
    assert f"--track {pipe}: cannot be read (it is not a regular file); check the path" in shown
    warned = list[str]()
    assert list(read_tracks([pipe.parent], warned.append)) == []
    assert [line.partition(": skipped (cannot be read")[0] for line in warned] == [
        f"--track {pipe}"
    ]


@pytest.mark.parametrize("endless", ["pipe", "/dev/zero"])
def test_a_table_of_places(pipe: Path, endless: str) -> None:
    table = pipe.with_name("places.csv")
    table.symlink_to(pipe if endless == "pipe" else endless)
    shown = output("learn", "--from", pipe.parent)
    assert f"{table}: cannot be read (" in shown and "save it as UTF-8 CSV" in shown


@pytest.mark.parametrize(
    "words", [("apply",), ("report", "--html", "out.html"), ("review", "--no-browser")]
)
def test_a_report(pipe: Path, words: tuple[str, ...]) -> None:
    for name in (pipe, "/dev/zero"):
        shown = output(words[0], name, *words[1:])
        assert f"{name}: is not a regular file, and is read twice; save it to a file" in shown
