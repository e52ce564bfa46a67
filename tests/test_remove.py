"""Remove takes out our tags and no others, and undo brings them back."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import photo
from memory_storage import MemoryStorage
from places import tag

from tagger import metadata
from tagger.cli.main import main
from tagger.ledger.ledger import Ledger
from tagger.storage.local import LocalStorage
from tagger.writing import remove_tag
from tagger.writing.remove_tag import Removed, remove
from tagger.writing.write_tag import WriteOptions, write_tag

PLAIN = photo((200, 40, 40))
TAGGED = metadata.tagged(PLAIN, tag())
# The same place, as any other program would write it: without our mark.
FOREIGN = photo((200, 40, 40), exif=b"".join((
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x88\x25\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0",
    b"\0\x04\0\x01\0\x02\0\0\0\x02N\0\0\0\0\x02\0\x05\0\0\0\x03\0\0\0\x50",
    b"\0\x03\0\x02\0\0\0\x02E\0\0\0\0\x04\0\x05\0\0\0\x03\0\0\0\x68\0\0\0\0",
    b"\0\0\0\x1b\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0\x1e\0\0\0\x01",
    b"\0\0\0\x4e\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\x1f\0\0\0\x01",
)))  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "ours.jpg").write_bytes(TAGGED)
    (folder / "plain.jpg").write_bytes(PLAIN)
    (folder / "theirs.jpg").write_bytes(FOREIGN)
    (folder / "beside.jpg").write_bytes(PLAIN)
    (folder / "beside.jpg.xmp").write_bytes(metadata.sidecar(None, tag()))
    (folder / "text.jpg").write_text("not a photo at all")
    return folder


def test_only_tags_that_say_they_are_ours_go(
    folder: Path, tmp_path: Path, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    assert metadata.position(FOREIGN) is not None
    before, ledger = bytes_of(folder), str(tmp_path / "ledger.db")

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, [*arguments, "--ledger", ledger])
        return result.exit_code, result.output

    code, output = run("remove", str(folder), "--dry-run")
    assert (code, output) == (0, "2 tags would be removed (dry run); 0 refused\n")
    assert bytes_of(folder) == before and not Path(ledger).exists()
    code, output = run("remove", str(folder))
    assert code == 0 and output.startswith("2 tags removed, as run ")
    after = {name: data for name, data in before.items() if name != "beside.jpg.xmp"}
    assert bytes_of(folder) == after | {"ours.jpg": PLAIN}
    assert run("remove", str(folder))[1].startswith("0 tags removed")
    code, output = run("undo")
    assert code == 0 and "2 restored" in output
    assert bytes_of(folder) == before


def test_an_empty_path_is_not_the_folder_we_are_in(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(main, ["remove", "", "--ledger", str(tmp_path / "ledger.db")])
    assert result.exit_code == 2 and "PATH is empty (is a variable unset?); give" in result.output
    assert (folder / "ours.jpg").read_bytes() == TAGGED


def test_a_tag_edited_since_is_named_and_left(tmp_path: Path) -> None:
    storage = MemoryStorage({"a.jpg": TAGGED})
    moved = metadata.sidecar(None, tag())
    place = moved.index(b"GPSLatitude")
    moved = moved[:place] + moved[place:].replace(b"27,", b"28,", 1)
    storage.put("a.jpg.xmp", moved)
    with Ledger.open(tmp_path / "l.db") as book, book.begin("r", ["/p"], {}) as recorder:
        done = list(remove(storage, recorder))
    assert done[0] == Removed("a.jpg")
    assert done[1].key == "a.jpg.xmp" and done[1].problem
    assert storage.files["a.jpg.xmp"].data == moved


def test_a_signal_ends_it_after_the_photo_in_hand(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled(*_: object) -> Iterator[Removed]:
        os.kill(os.getpid(), signal.SIGTERM)
        yield Removed("1.jpg")
        yield Removed("2.jpg")

    monkeypatch.setattr(remove_tag, "remove", signalled)
    result = CliRunner().invoke(main, ["remove", str(folder), "--ledger", str(tmp_path / "l.db")])
    assert result.exit_code == 130, result.output
    assert "1 tag removed" in result.output and "stopped early" in result.output


def test_one_photo_that_upsets_the_parser_does_not_end_the_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = metadata.provenance

    def upset(data: bytes) -> object:
        if data.startswith(b"not a photo"):
            raise IndexError("out of range")
        return honest(data)

    monkeypatch.setattr(metadata, "provenance", upset)
    problems = {
        Path(removed.key).name: removed.problem for removed in remove(LocalStorage([folder]), None)
    }
    assert "IndexError" in problems["text.jpg"]
    assert problems["ours.jpg"] == ""


def test_a_sidecar_shared_by_two_photos(tmp_path: Path) -> None:
    storage = MemoryStorage({"a.jpg": PLAIN, "a.png": b"?", "a.xmp": metadata.sidecar(None, tag())})
    with Ledger.open(tmp_path / "l.db") as book, book.begin("r", ["/p"], {}) as recorder:
        assert list(remove(storage, recorder)) == [Removed("a.xmp")]
    assert set(storage.files) == {"a.jpg", "a.png"}


def test_what_cannot_be_listed_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").symlink_to("/dev/null")  # a link out of the folder is passed over
    (done,) = remove(LocalStorage([tmp_path]), None)
    assert "not a file" in done.problem


def test_tag_and_remove_leave_no_trace(folder: Path, tmp_path: Path) -> None:
    storage = LocalStorage([folder / "plain.jpg"])
    with Ledger.open(tmp_path / "l.db") as book:
        with book.begin("one", [str(folder)], {}) as recorder:
            (entry,) = storage.list()
            write_tag(storage, recorder, entry, tag(), WriteOptions())
        with book.begin("two", [str(folder)], {}) as recorder:
            assert len(list(remove(storage, recorder))) == 1
    assert (folder / "plain.jpg").read_bytes() == PLAIN
