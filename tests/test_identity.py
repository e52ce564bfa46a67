"""A photo is recognised after a remount, a restore, a rename and an update of its ledger."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import photo
from places import tag
from test_nightly import AFTER, nightly

from tagger.errors import ChangedError, RunError
from tagger.ledger import schema
from tagger.ledger.ledger import Ledger
from tagger.ledger.undo import undo
from tagger.model.classifier import Classifier
from tagger.records import Outcome, SidecarMode
from tagger.review.decision_log import DecisionLog
from tagger.run.pipeline import run
from tagger.run.stages import Settings
from tagger.storage.local import LocalStorage
from tagger.storage.local_writing import Folder
from tagger.writing.write_tag import WriteOptions, write_tag

GREY = {"min_conf": 1.0}  # nothing is sure enough, so that each photo stays as it is


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture(scope="module")
def classifier(colour_model: Path) -> Classifier:
    return Classifier(colour_model, "cpu")


@pytest.fixture
def renumbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that gives a file another inode each time."""
    real, count = {name: getattr(os, name) for name in ("stat", "lstat", "fstat")}, [0]

    def wrapped(name: str) -> Callable[..., os.stat_result]:
        def look(*args: Any, **words: Any) -> os.stat_result:
            now = real[name](*args, **words)
            count[0] += 1
            # Python 3.13 refuses fields that are in the tuple too: it has the first seven.
            first = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size")
            names = (f for f in dir(now) if f.startswith("st_") and f not in first)
            rest = {f: getattr(now, f) for f in names}
            # Far from the inodes of other files, of which neighbours differ by one.
            return os.stat_result((now[0], now[1] + (count[0] << 40), *now[2:]), rest)

        return look

    for name in real:
        monkeypatch.setattr(os, name, wrapped(name))


@pytest.fixture
def never_decoded(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        monkeypatch.setattr(
            "tagger.imaging.decode.to_views", lambda *_: pytest.fail("decoded again")
        )

    return forbid


def swapped(path: Path, data: bytes) -> None:
    """Another file takes the name, with the same size and time."""
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
    classifier: Classifier,
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
    classifier: Classifier,
) -> None:
    nightly(book, library, classifier)
    copy = library.with_name("backup")
    shutil.copytree(library, copy)  # keeps times, gives new inodes
    shutil.rmtree(library)
    shutil.copytree(copy, library)
    assert nightly(book, library, classifier) == (AFTER, set())


@pytest.mark.parametrize("cut", [1, 1_000_000_000, 2_000_000_000])
def test_renamed_moved_and_restored_photos_are_not_decoded_again(
    book: Ledger, library: Path, classifier: Classifier, never_decoded: Callable[[], None],
    cut: int,
) -> None:  # fmt: skip
    first, _ = nightly(book, library, classifier, **GREY)
    (library / "new").mkdir()
    for name in first:
        (old,) = library.rglob(name)
        new = library / "new" / f"moved_{name}"
        time_ns = old.stat().st_mtime_ns
        old.rename(new)
        os.utime(new, ns=(1, time_ns // cut * cut))  # as tar and FAT keep it
    never_decoded()
    again, _ = nightly(book, library, classifier, **GREY)
    assert again == {f"moved_{name}": status for name, status in first.items()}
    keys = {row[0] for row in book._db.execute("SELECT key FROM photos")}
    assert keys == {os.fsencode(library / "new" / name) for name in again}  # the rows moved
    tagged, _ = nightly(book, library, classifier)
    assert tagged["moved_a_taj.jpg"] == "tagged"


def test_a_copy_takes_the_guess_and_leaves_the_row(
    book: Ledger,
    library: Path,
    classifier: Classifier,
    never_decoded: Callable[[], None],
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
    classifier: Classifier,
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
    classifier: Classifier,
) -> None:
    nightly(book, library, classifier, **GREY)
    path = library / "a_taj.jpg"
    swapped(path, data := flipped(path.read_bytes(), -3))
    assert nightly(book, library, classifier)[0]["a_taj.jpg"] == "changed"
    assert path.read_bytes() == data


@pytest.mark.parametrize("moment", ["listed", "read"])
def test_a_swap_within_a_run_is_noticed(tmp_path: Path, moment: str, book: Ledger) -> None:
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
    """The same ledger as version 1 wrote it: inodes as ETags, no fingerprints."""
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
    bytes_of: Callable[..., dict[str, bytes]],
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
        with pytest.raises(RunError, match=r"is empty.*restore it from a backup, or delete it"):
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
            "tagger.ledger.schema.os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            Ledger.open(path)
        assert not path.exists()
    with Ledger.open(path) as ledger:
        assert ledger.runs() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger.db", "ledger.db.lock"]


def test_a_dry_run_of_tagging_says_the_same_of_moved_photos(
    book: Ledger,
    library: Path,
    classifier: Classifier,
) -> None:
    """It has no memory, so it decodes them; nothing else may differ."""
    nightly(book, library, classifier, **GREY)
    (library / "b_grey.jpg").rename(library / "c.jpg")
    dry: list[Outcome] = list(run(LocalStorage([library]), classifier, None, Settings("r", 1.0)))
    wet, _ = nightly(book, library, classifier, **GREY)
    assert {Path(o.entry.key).name: o.status.value for o in dry} == wet


@pytest.mark.usefixtures("renumbered")
def test_files_are_recognised_by_content_where_inodes_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"old")
    with Folder(tmp_path) as folder:
        descriptor = folder.open("photo.jpg", os.O_RDONLY)
        assert folder.holds("photo.jpg", descriptor)
        (tmp_path / "other.jpg").write_bytes(b"new")
        assert not folder.holds("other.jpg", descriptor)
        assert not folder.holds("gone.jpg", descriptor)
        (tmp_path / "link.jpg").symlink_to(tmp_path / "photo.jpg")
        assert not folder.holds("link.jpg", descriptor)
        (tmp_path / "theirs.jpg").write_bytes(b"old")
        os.link(tmp_path / "theirs.jpg", tmp_path / "hard.jpg")
        assert not folder.holds("hard.jpg", descriptor)
        os.close(descriptor)


@pytest.mark.usefixtures("renumbered")
def test_decisions_can_be_kept_where_inodes_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.csv"
    DecisionLog(report).close()
    DecisionLog(report).close()
    beside = tmp_path / "report.csv.review"
    beside.rename(tmp_path / "theirs")
    os.link(tmp_path / "theirs", beside)
    opened = list[sqlite3.Connection]()

    def connect(*words: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connected(*words, **options))
        return opened[-1]

    connected = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(RunError, match="another file took its place"):
        DecisionLog(report)
    (left,) = opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        left.execute("SELECT 1")
