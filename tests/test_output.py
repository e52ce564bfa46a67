"""--output: the photos stay as they are, each copy has its place, other files are left alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import COLOURS, photo

from tagger import metadata
from tagger.cli.main import main
from tagger.errors import RunError
from tagger.writing.copies import output_at


def tag(model: Path, folder: Path, *words: str) -> str:
    """Run the command; gives what it printed."""
    line = [*words, "--model", str(model), "--ledger", str(folder / "ledger.db"), "-v"]
    result = CliRunner().invoke(main, [*line, "--report", str(folder / "report.csv")])
    assert result.exit_code == 0, result.output
    return result.output


def test_photos_stay_and_copies_mirror_their_folders(
    library: Path, colour_model: Path, tmp_path: Path, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    before, copies = bytes_of(library), tmp_path / "copies"
    tag(colour_model, tmp_path, str(library), "--output", str(copies))
    assert bytes_of(library) == before
    assert set(bytes_of(copies)) == {"a_taj.jpg", "trip/eiffel.JPG", "trip/qutub.jpg"}
    assert all(metadata.position(data) for data in bytes_of(copies).values())
    first = bytes_of(copies)

    output = tag(colour_model, tmp_path, str(library), "--output", str(copies))
    assert output.count("a copy was tagged by an earlier run") == 3 and bytes_of(copies) == first
    undone = CliRunner().invoke(main, ["undo", "--ledger", str(tmp_path / "ledger.db")])
    assert undone.exit_code == 0 and not list(copies.rglob("*.[jJ]*"))
    tag(colour_model, tmp_path, str(library), "--output", str(copies))
    assert bytes_of(copies).keys() == first.keys()
    output = tag(colour_model, tmp_path, str(library))  # in place is another matter
    assert output.count(": tagged") == 3 and bytes_of(library) != before


def test_sidecars_are_copied_with_their_photos(
    library: Path, colour_model: Path, tmp_path: Path, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    before, copies = bytes_of(library), tmp_path / "copies"
    words = (str(library / "a_taj.jpg"), "--output", str(copies), "--sidecar", "always")
    tag(colour_model, tmp_path, *words)
    assert bytes_of(library) == before
    assert set(bytes_of(copies)) == {"a_taj.jpg", "a_taj.jpg.xmp"}
    assert bytes_of(copies)["a_taj.jpg"] == before["a_taj.jpg"]
    undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(tmp_path / "ledger.db")])
    assert undone.exit_code == 0 and bytes_of(copies) == {} and bytes_of(library) == before


def test_another_file_of_that_name_is_left_alone(
    library: Path, colour_model: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    (copies / "a_taj.jpg").write_bytes(b"somebody else's")
    output = tag(colour_model, tmp_path, str(library), "--output", str(copies))
    assert "a_taj.jpg: changed" in output and output.count(": tagged") == 2
    assert (copies / "a_taj.jpg").read_bytes() == b"somebody else's"


def test_a_photo_that_was_replaced_renews_its_copy_and_its_sidecar_together(
    library: Path, colour_model: Path, tmp_path: Path, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    source, copies = library / "a_taj.jpg", tmp_path / "copies"
    newer = photo(COLOURS["Qutub_Minar"])
    words = (str(source), "--output", str(copies), "--sidecar", "always")
    tag(colour_model, tmp_path, *words)
    first = bytes_of(copies)
    source.write_bytes(newer)
    assert "a_taj.jpg: tagged" in tag(colour_model, tmp_path, *words)
    now = bytes_of(copies)
    assert now["a_taj.jpg"] == newer and b"Qutub" in now["a_taj.jpg.xmp"]
    assert b"Taj Mahal" not in now["a_taj.jpg.xmp"]
    undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(tmp_path / "ledger.db")])
    assert undone.exit_code == 0 and bytes_of(copies) == first


@pytest.mark.parametrize("foreign", ["a_taj.jpg", "a_taj.jpg.xmp"])
def test_beside_another_file_of_that_name_neither_copy_is_written(
    library: Path, colour_model: Path, tmp_path: Path, foreign: str,
    bytes_of: Callable[[Path], dict[str, bytes]],
) -> None:  # fmt: skip
    copies = tmp_path / "copies"
    copies.mkdir()
    (copies / foreign).write_bytes(b"somebody else's")
    words = (str(library / "a_taj.jpg"), "--output", str(copies), "--sidecar", "always")
    for _ in range(2):
        assert "a_taj.jpg: changed" in tag(colour_model, tmp_path, *words)
        assert bytes_of(copies) == {foreign: b"somebody else's"}


def test_a_sidecar_that_another_photo_may_own_does_not_make_a_file_ours(
    library: Path, colour_model: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    words = ("--output", str(copies), "--sidecar", "always", "--sidecar-name", "stem")
    png = library / "a_taj.png"
    png.write_bytes(photo(COLOURS["Taj_Mahal"], format="PNG"))
    (library / "a_taj.jpg").rename(library / "later")
    tag(colour_model, tmp_path, str(library), *words)
    png.unlink()
    (library / "later").rename(library / "a_taj.jpg")
    (copies / "a_taj.jpg").write_bytes(b"somebody else's")
    for _ in range(2):
        output = tag(colour_model, tmp_path, str(library), *words)
        assert "a_taj.jpg: changed" in output and (copies / "a_taj.xmp").exists()
    assert (copies / "a_taj.jpg").read_bytes() == b"somebody else's"


def test_copies_of_several_folders_do_not_meet(tmp_path: Path) -> None:
    for folder in ("photos/one", "photos/two"):
        (tmp_path / folder).mkdir(parents=True)
    photos, copies = tmp_path / "photos", tmp_path / "copies"
    output = output_at(str(copies), [str(photos / "one"), str(photos / "two")])
    assert output.key(str(photos / "one" / "a.jpg")) == str(copies / "one" / "a.jpg")
    assert output.key(str(photos / "two" / "a.jpg")) == str(copies / "two" / "a.jpg")


@pytest.mark.parametrize("place", ["photos", "photos/copies", "."])
def test_copies_among_the_photos_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(RunError, match="overlaps"):
        output_at(place, ["photos"])
