"""A disk that is really full: a small tmpfs, at any amount of free space."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import COLOURS, photo

from tagger import metadata
from tagger.cli.main import main

SIZE = 2_000_000  # bytes


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of SIZE bytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount command here ({error})")
    if done.returncode:
        pytest.skip(f"only root may mount a small disk ({done.stderr.strip()})")
    yield place
    subprocess.run(["umount", str(place)], check=True)


class Album:
    """Photos of three landmarks on a disk, and the command over them."""

    def __init__(
        self, disk: Path, model: Path, bytes_of: Callable[[Path], dict[str, bytes]]
    ) -> None:
        self.photos, self._model, self._bytes_of = disk / "photos", model, bytes_of
        self._filler = disk / "filler"
        self.photos.mkdir()
        for number in range(4):
            for slug in ("Taj_Mahal", "Eiffel_Tower", "Qutub_Minar"):
                data = photo(COLOURS[slug], (320, 240))
                (self.photos / f"{number} {slug}.jpg").write_bytes(data)
        self.before = self.bytes

    @property
    def bytes(self) -> dict[str, bytes]:
        return self._bytes_of(self.photos)

    def leave(self, free: int) -> None:
        """Fill the disk but for about this many bytes."""
        self._filler.unlink(missing_ok=True)
        with self._filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                file.truncate(max(0, file.tell() - free))

    def tag(self, ledger: Path, report: Path) -> Result:
        words = [self.photos, "--model", self._model, "--ledger", ledger, "--report", report]
        return CliRunner().invoke(main, [*map(str, words), "--quiet"])


@pytest.fixture
def album(disk: Path, colour_model: Path, bytes_of: Callable[[Path], dict[str, bytes]]) -> Album:
    return Album(disk, colour_model, bytes_of)


def test_photos_on_a_full_disk_stay_as_they_are_and_say_why(album: Album, tmp_path: Path) -> None:
    album.leave(0)
    done = album.tag(tmp_path / "ledger.db", tmp_path / "report.csv")
    assert done.exit_code == 1
    assert done.output.count("No space left on device") == len(album.before)
    assert (tmp_path / "report.csv").read_text().count(",failed,") == len(album.before)
    assert album.bytes == album.before
    album.leave(SIZE // 2)
    assert album.tag(tmp_path / "ledger.db", tmp_path / "report.csv").exit_code == 0
    assert all(metadata.provenance(data) for data in album.bytes.values())


@pytest.mark.parametrize("free", range(0, 240_000, 20_000))
def test_whatever_space_is_left_all_that_was_written_can_be_undone(
    album: Album, disk: Path, free: int
) -> None:
    """Photos, ledger and report share the disk, which is full before, among or after the photos."""
    ledger = disk / "ledger.db"
    album.leave(free)
    done = album.tag(ledger, disk / "report.csv")
    changed = {name for name, data in album.bytes.items() if data != album.before[name]}
    if done.exit_code:
        assert "space" in done.output  # which is missing, or to be checked
    else:
        assert changed == set(album.before)
    for name in changed:
        assert metadata.provenance(album.bytes[name])
    album.leave(SIZE // 2)
    if changed:
        undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(ledger)])
        assert undone.exit_code == 0, undone.output
    assert album.bytes == album.before
