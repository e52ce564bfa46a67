"""Who a photo is: over a remount, a restore, a rename and an older ledger, and for undo."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import photo
from places import tag
from test_nightly import AFTER, book, classifier, nightly  # noqa: F401 - fixtures

from tagger import schema
from tagger.cli import main
from tagger.errors import ChangedError, RunError
from tagger.ledger import Ledger
from tagger.model.classifier import Classifier
from tagger.pipeline import Settings, run
from tagger.records import Outcome, SidecarMode
from tagger.storage import LocalStorage
from tagger.undo import undo
from tagger.writing import WriteOptions, write_tag

GREY = {"min_conf": 1.0}  # nothing is sure enough, so that each photo stays as it is


@pytest.fixture
def renumbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that gives a file another inode at each look."""
    real, count = {name: getattr(os, name) for name in ("stat", "lstat", "fstat")}, [0]

    def wrapped(name: str) -> Callable[..., os.stat_result]:
        def look(*args: Any, **words: Any) -> os.stat_result:
            now = real[name](*args, **words)
            count[0] += 1
            rest = {f: getattr(now, f) for f in dir(now) if f.startswith("st_")}
            return os.stat_result((now[0], now[1] + count[0], *now[2:]), rest)

        return look

    for name in real:
        monkeypatch.setattr(os, name, wrapped(name))


@pytest.fixture
def never_decoded(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:  # noqa: F811
    def forbid() -> None:
        monkeypatch.setattr("tagger.imaging.to_views", lambda *_: pytest.fail("decoded again"))

    return forbid


def swapped(path: Path, data: bytes) -> None:
    """Another file takes the name, with the size and time of the first."""
    now = path.stat()
    assert len(data) == now.st_size
    new = path.with_suffix(".new")
    new.write_bytes(data)
    os.utime(new, ns=(now.st_atime_ns, now.st_mtime_ns))
    os.replace(new, path)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.usefixtures("renumbered")
def test_inodes_that_change_at_each_look_keep_no_photo_from_being_tagged(
    book: Ledger,
    library: Path,
    classifier: Classifier,  # noqa: F811
) -> None:
    statuses, _ = nightly(book, library, classifier)
    assert [statuses[name] for name in ("a_taj.jpg", "eiffel.JPG")] == ["tagged", "tagged"]
    assert nightly(book, library, classifier) == (AFTER, set())
    assert {d.result.value for d in undo(lambda _: LocalStorage(), book, book.find("last"))} <= {
        "restored", "unchanged",
    }  # fmt: skip


def test_a_restored_library_is_not_opened(
    book: Ledger,
    library: Path,
    classifier: Classifier,  # noqa: F811
) -> None:
    nightly(book, library, classifier)
    copy = library.with_name("backup")
    shutil.copytree(library, copy)  # keeps times, gives new inodes
    shutil.rmtree(library)
    shutil.copytree(copy, library)
    assert nightly(book, library, classifier) == (AFTER, set())


@pytest.mark.parametrize("cut", [1, 1_000_000_000, 2_000_000_000])
def test_renamed_moved_and_restored_photos_are_not_decoded_again(
    book: Ledger, library: Path, classifier: Classifier, never_decoded: Callable[[], None],  # noqa: F811
    cut: int,
) -> None:  # fmt: skip
    first, _ = nightly(book, library, classifier, **GREY)
    (library / "trip").mkdir()
    for name in first:
        new = library / "trip" / f"moved_{name}"
        time_ns = (library / name).stat().st_mtime_ns
        (library / name).rename(new)
        os.utime(new, ns=(1, time_ns // cut * cut))  # as tar and FAT keep it
    never_decoded()
    again, _ = nightly(book, library, classifier, **GREY)
    assert again == {f"moved_{name}": status for name, status in first.items()}
    keys = {row[0] for row in book._db.execute("SELECT key FROM photos")}
    assert keys == {os.fsencode(library / "trip" / name) for name in again}  # the rows moved
    tagged, _ = nightly(book, library, classifier)
    assert tagged["moved_a_taj.jpg"] == "tagged"


def test_a_copy_takes_the_guess_and_leaves_the_row(
    book: Ledger,
    library: Path,
    classifier: Classifier,
    never_decoded: Callable[[], None],  # noqa: F811
) -> None:
    nightly(book, library, classifier, **GREY)
    rows = len(book._db.execute("SELECT key FROM photos").fetchall())
    shutil.copy2(library / "b_grey.jpg", library / "copy.jpg")
    never_decoded()
    assert nightly(book, library, classifier, **GREY)[0]["copy.jpg"] == "no_landmark"
    assert len(book._db.execute("SELECT key FROM photos").fetchall()) == rows + 1


def test_another_photo_of_the_same_size_and_time_is_decoded(
    book: Ledger,
    library: Path,
    classifier: Classifier,  # noqa: F811
) -> None:
    nightly(book, library, classifier, **GREY)
    grey, taj = library / "b_grey.jpg", library / "a_taj.jpg"
    size = max(grey.stat().st_size, taj.stat().st_size)
    other = taj.read_bytes().ljust(size, b"\0")
    grey.write_bytes(grey.read_bytes().ljust(size, b"\0"))
    nightly(book, library, classifier, **GREY)
    time_ns = grey.stat().st_mtime_ns
    grey.unlink()
    (library / "new.jpg").write_bytes(other)
    os.utime(library / "new.jpg", ns=(1, time_ns))
    assert nightly(book, library, classifier)[0]["new.jpg"] == "tagged"


def test_a_photo_that_was_swapped_is_not_tagged_by_the_old_guess(
    book: Ledger,
    library: Path,
    classifier: Classifier,  # noqa: F811
) -> None:
    nightly(book, library, classifier, **GREY)
    path = library / "a_taj.jpg"
    swapped(path, data := flipped(path.read_bytes(), -3))
    assert nightly(book, library, classifier)[0]["a_taj.jpg"] == "changed"
    assert path.read_bytes() == data


@pytest.mark.parametrize("moment", ["listed", "read"])
def test_a_swap_within_a_run_is_noticed(tmp_path: Path, moment: str, book: Ledger) -> None:  # noqa: F811
    path = tmp_path / "a.jpg"
    path.write_bytes(data := photo((200, 10, 10)))
    storage = LocalStorage([path])
    (entry,) = storage.list()
    version = storage.read(entry.key).version
    swapped(path, other := flipped(data, len(data) // 2))
    with pytest.raises(ChangedError):
        if moment == "read":
            storage.write(entry.key, b"new", version)
        else:
            with book.begin("r", [str(path)], {}) as recorder:
                write_tag(storage, recorder, entry, tag(), WriteOptions())
    with pytest.raises(ChangedError):
        storage.delete(entry.key, version)
    assert path.read_bytes() == other


def test_an_edit_in_place_that_sets_the_time_back_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data := photo((200, 10, 10)))
    version = (storage := LocalStorage()).read(str(path)).version
    before = path.stat()
    path.write_bytes(other := flipped(data, len(data) // 2))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ChangedError):
        storage.write(str(path), b"new", version)
    assert path.read_bytes() == other


def test_the_same_bytes_in_another_file_may_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data := photo((200, 10, 10)))
    version = (storage := LocalStorage()).read(str(path)).version
    swapped(path, data)
    storage.write(str(path), b"new", version)
    assert path.read_bytes() == b"new"


# --- the ledger of version 1 ---

_TABLES_1 = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, verb TEXT NOT NULL,
    started TEXT NOT NULL, ended TEXT, targets TEXT NOT NULL, settings TEXT NOT NULL,
    model_sha256 TEXT NOT NULL, tool_version TEXT NOT NULL, counts TEXT);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs, key BLOB NOT NULL,
    kind TEXT NOT NULL, state TEXT NOT NULL, sha256_before BLOB, sha256_after BLOB,
    size_before INTEGER, mtime_ns_before INTEGER, etag_before TEXT,
    size_after INTEGER, mtime_ns_after INTEGER, etag_after TEXT, patch BLOB NOT NULL);
CREATE INDEX changes_by_run ON changes (run, number);
CREATE INDEX changes_by_key ON changes (key);
CREATE TABLE photos (
    key BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, etag TEXT NOT NULL,
    status TEXT NOT NULL, guess TEXT, run INTEGER NOT NULL REFERENCES runs) WITHOUT ROWID;
PRAGMA application_id = 0x4C544147;
PRAGMA user_version = 1;
"""


def as_version_1(path: Path) -> None:
    """The same ledger as the version before wrote it: inodes as ETags, no fingerprints."""
    old = path.with_suffix(".old")
    with sqlite3.connect(old) as db:
        db.executescript(_TABLES_1)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("ATTACH ? AS new", (str(path),))
        db.execute("INSERT INTO runs SELECT * FROM new.runs")
        db.execute("INSERT INTO changes SELECT * FROM new.changes")
        db.execute("UPDATE changes SET etag_before = '12', etag_after = '34'")
        columns = "key, size, mtime_ns, '131072' || etag, status, guess, run"
        db.execute(f"INSERT INTO photos SELECT {columns} FROM new.photos")
        db.execute("INSERT INTO photos VALUES (?, 1, 0, 'e1+xmp', 'has_gps', NULL, 1)",
                   (b"s3://bucket/a.jpg",))  # fmt: skip
    db.close()
    for name in ("", "-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    old.rename(path)


def test_an_older_ledger_is_renewed_known_and_undoable(
    tmp_path: Path,
    library: Path,
    classifier: Classifier,
    bytes_of: Callable[..., dict[str, bytes]],  # noqa: F811
) -> None:
    before, path = bytes_of(library), tmp_path / "old.db"
    with Ledger.open(path) as ledger:
        nightly(ledger, library, classifier, write=WriteOptions(SidecarMode.AUTO))
        (library / "b_grey.jpg.xmp").write_bytes(b"")
        nightly(ledger, library, classifier)
    as_version_1(path)
    with Ledger.open(path) as ledger:
        assert ledger._db.execute("PRAGMA user_version").fetchone() == (schema.SCHEMA_VERSION,)
        tags = dict(ledger._db.execute("SELECT key, etag FROM photos"))
        assert tags.pop(b"s3://bucket/a.jpg") == "e1+xmp"
        assert tags.pop(os.fsencode(library / "b_grey.jpg")) == "+xmp"
        assert set(tags.values()) == {""}
        assert nightly(ledger, library, classifier) == (AFTER, set())
        assert {d.result.value for d in undo(lambda _: LocalStorage(), ledger,
                                             ledger.runs()[-1])} == {"restored"}  # fmt: skip
    (library / "b_grey.jpg.xmp").unlink()
    assert bytes_of(library) == before


def test_an_empty_file_is_not_taken_for_a_new_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path):
        pass
    log = path.with_name("ledger.db-wal")
    path.write_bytes(b"")
    log.write_bytes(b"the log of what was written")
    for create in (True, False):
        with pytest.raises(RunError, match="is empty.*restore it from a backup, or delete it"):
            Ledger.open(path, create)
    assert path.stat().st_size == 0 and log.read_bytes() == b"the log of what was written"
    path.unlink()
    log.unlink()
    with Ledger.open(path):
        pass


def test_who_is_killed_while_a_ledger_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    path.with_name("ledger.db.new").write_bytes(b"half a ledger")
    with monkeypatch.context() as patch:
        patch.setattr(
            "tagger.schema.os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            Ledger.open(path)
        assert not path.exists()
    with Ledger.open(path) as ledger:
        assert ledger.runs() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger.db", "ledger.db.lock"]


# --- undo of what was moved ---


@pytest.fixture
def tagged(book: Ledger, tmp_path: Path) -> dict[str, tuple[bytes, int]]:  # noqa: F811
    """Three photos as they were before one run tagged them, every second with a sidecar."""
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
    tagged: dict[str, tuple[bytes, int]],  # noqa: F811
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
    tagged: dict[str, tuple[bytes, int]],  # noqa: F811
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
    tagged: dict[str, tuple[bytes, int]],  # noqa: F811
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


def test_a_dry_run_of_tagging_says_the_same_of_moved_photos(
    book: Ledger,
    library: Path,
    classifier: Classifier,  # noqa: F811
) -> None:
    """It has no memory, so it decodes them; nothing else may differ."""
    nightly(book, library, classifier, **GREY)
    (library / "b_grey.jpg").rename(library / "c.jpg")
    dry: list[Outcome] = list(run(LocalStorage([library]), classifier, None, Settings("r", 1.0)))
    wet, _ = nightly(book, library, classifier, **GREY)
    assert {Path(o.entry.key).name: o.status.value for o in dry} == wet
