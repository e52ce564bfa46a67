"""The ledger: what it stores, what it refuses to open, one run at a time, what a crash leaves."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tagger.blob import Blob, digest_of
from tagger.errors import LockedError, RunError
from tagger.ledger import undo_patch
from tagger.ledger.history import State
from tagger.ledger.ledger import Ledger, new_run_id
from tagger.ledger.locks import only_run, overlap
from tagger.ledger.recorder import RunRecorder
from tagger.records import Candidate, Entry, Guess, Outcome, Status, Version

OLD = Blob(b"old bytes", Version(9, 17, "ino"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


def test_keeps_the_run_and_each_change_with_what_undoes_it(path: Path) -> None:
    settings = {"min_conf": 0.6}
    with Ledger.open(path) as ledger, ledger.begin("run-1", ["/p"], settings, "abc") as recorder:
        recorder.settle(recorder.intend("/p/a.jpg", OLD, b"old gps bytes")(), Version(13, 17))
        recorder.settle(recorder.intend("/p/b.jpg.XMP", None, b"<x/>")(), Version(4, 18))
        recorder.drop(recorder.intend("/p/c.jpg", OLD, b"never")())
        recorder.intend("/p/d.jpg", OLD, b"cut short")()
        recorder.settle(recorder.intend("/p/e.xmp", OLD, None)(), None)
    with Ledger.open(path) as ledger:
        (run,) = ledger.runs()
        changes = list(ledger.changes("run-1"))
    assert (run.run_id, run.verb, run.targets, run.written, run.undone) == (
        "run-1", "tag", ("/p",), 4, 0,
    )  # fmt: skip
    assert run.started <= run.ended
    assert [(Path(c.key).name, c.state) for c in changes] == [
        ("e.xmp", State.WRITTEN),
        ("d.jpg", State.INTENDED),
        ("c.jpg", State.DROPPED),
        ("b.jpg.XMP", State.WRITTEN),
        ("a.jpg", State.WRITTEN),
    ]
    removed, *_, created, written = changes
    assert undo_patch.restore(b"old gps bytes", written.patch) == OLD.data
    assert written.before == OLD.version
    assert created.before is None and created.digest_before is None
    assert removed.digest_after is None and undo_patch.restore(b"", removed.patch) == OLD.data


def test_an_intent_is_on_the_disk_when_the_write_begins(path: Path) -> None:
    with (
        Ledger.open(path) as ledger,
        ledger.begin("run-1", ["/p"], {}) as recorder,
        Ledger.open(path) as other,
    ):
        recorder.intend("/p/a.jpg", OLD, b"new")()
        assert [change.state for change in other.changes("run-1")] == [State.INTENDED]


def test_the_database_syncs_every_commit_and_writes_ahead(path: Path) -> None:
    with Ledger.open(path) as ledger:
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_remembers_every_photo_at_the_version_it_has_now(path: Path) -> None:
    guess = Guess((Candidate("Taj_Mahal", 0.9), Candidate("Louvre", 0.05)), 0.05)
    one, two = (Entry(f"/p/{name}.jpg", Version(9, 17, "1")) for name in "ab")
    with Ledger.open(path) as ledger:
        with ledger.begin("run-1", ["/p"], {}, "abc") as recorder:
            recorder.settle(recorder.intend(one.key, OLD, b"new")(), Version(3, 17, "2"))
            recorder.seen(Outcome(one, Status.TAGGED, guess=guess))
            recorder.seen(Outcome(two, Status.HAS_GPS))
        rows = ledger._db.execute(
            "SELECT key, size, etag, status, guess FROM photos ORDER BY key"
        ).fetchall()
        counts = ledger._db.execute("SELECT counts FROM runs").fetchone()[0]
    assert [row[:4] for row in rows] == [
        (b"/p/a.jpg", 3, "2", "tagged"), (b"/p/b.jpg", 9, "1", "has_gps"),
    ]  # fmt: skip
    assert json.loads(rows[0][4]) == {
        "candidates": [["Taj_Mahal", 0.9], ["Louvre", 0.05]], "none": 0.05,
    }  # fmt: skip
    assert json.loads(counts) == {"tagged": 1, "has_gps": 1}


def test_many_outcomes_are_written_in_batches(path: Path) -> None:
    commits: list[str] = []
    with Ledger.open(path) as ledger, ledger.begin("run-1", ["/p"], {}) as recorder:
        ledger._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        for number in range(5000):
            entry = Entry(f"/p/{number}.jpg", Version(1, number))
            recorder.seen(Outcome(entry, Status.NO_LANDMARK))
        assert len(commits) <= 5000 // 500 + 10
    with Ledger.open(path) as ledger:
        assert ledger._db.execute("SELECT count(*) FROM photos").fetchone() == (5000,)


def test_names_that_are_not_utf8(path: Path) -> None:
    key = os.fsdecode(b"/p/caf\xe9.jpg") if sys.platform != "win32" else "C:/é.jpg"
    with Ledger.open(path) as ledger:
        with ledger.begin("run-1", [key], {"path": key}) as recorder:
            recorder.settle(recorder.intend(key, OLD, b"new")(), Version(3, 17))
            recorder.seen(Outcome(Entry(key, Version(9, 17)), Status.TAGGED))
        assert [change.key for change in ledger.changes("run-1")] == [key]
        assert ledger.runs()[0].targets == (key,)


def test_finds_runs_by_id_by_its_start_and_the_last_that_wrote(path: Path) -> None:
    with Ledger.open(path) as ledger:
        with pytest.raises(RunError, match="landmark-tag runs"):
            ledger.find("last")
        for run_id, writes in (("2026-a", 1), ("2026-b", 1), ("2027-c", 0)):
            with ledger.begin(run_id, ["/p"], {}) as recorder:
                for _ in range(writes):
                    recorder.settle(recorder.intend("/p/a.jpg", OLD, b"new")(), OLD.version)
        assert ledger.find("last").run_id == "2026-b"
        assert ledger.find("2027").run_id == "2027-c"
        for name in ("2026", "nothing"):
            with pytest.raises(RunError, match="landmark-tag runs lists"):
                ledger.find(name)


def test_run_ids_sort_by_age_and_differ() -> None:
    ids = {new_run_id() for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", run_id) for run_id in ids)


def later_version(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger._db.execute("PRAGMA user_version = 99")


def another_program(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()


def torn(path: Path) -> None:
    with Ledger.open(path):
        pass
    data = bytearray(path.read_bytes())
    data[100:8000] = b"\xff" * 7900
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_text("a shopping list, long enough to be read" * 9), "no ledger"),
        (lambda path: path.mkdir(), "choose another place"),
        (another_program, "another program's database"),
        (later_version, "update landmark-tag"),
        (torn, "damaged"),
    ],
)
def test_refuses_what_is_no_usable_ledger(path: Path, spoil: object, message: str) -> None:
    path.parent.mkdir()
    assert callable(spoil)
    spoil(path)
    with pytest.raises(RunError, match=message) as caught:
        Ledger.open(path)
    assert str(path) in str(caught.value)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(RunError, match="choose another place"):
        Ledger.open(tmp_path / "state" / "ledger.db")


def test_reading_makes_no_ledger(path: Path) -> None:
    with pytest.raises(RunError, match="no such file"):
        Ledger.open(path, create=False)
    assert not path.exists()


def test_a_ledger_that_cannot_be_written_stops_the_run(path: Path) -> None:
    with (
        Ledger.open(path) as ledger,
        pytest.raises(RunError, match="cannot be used"),
        ledger.begin("run-1", ["/p"], {}) as recorder,
    ):
        ledger._db.execute("PRAGMA query_only = ON")
        recorder.intend("/p/a.jpg", OLD, b"new")()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/a", "/a", True), ("/a/b", "/a", True), ("/a", "/a/b/c", True), ("/", "/a", True),
        ("/a", "/ab", False), ("/a/b", "/a/c", False), ("s3://x/a", "s3://x", True),
        ("s3://x", "s3://y", False), ("/a/", "/a", True),
    ],
)  # fmt: skip
def test_which_places_overlap(one: str, other: str, same: bool) -> None:
    assert overlap(one, other) is same and overlap(other, one) is same


def test_two_runs_over_the_same_photos_cannot_be(path: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "trip").mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from tagger.ledger.ledger import Ledger\n"
        "with Ledger.open(Path(sys.argv[1])) as ledger, ledger.begin('run-1', sys.argv[2:], {}):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(photos)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdin and holder.stdout and holder.stdout.readline() == "held\n"
    with Ledger.open(path) as ledger:
        for target in (photos, photos / "trip", tmp_path):
            with (
                pytest.raises(LockedError, match=r"another run.*wait"),
                ledger.begin("run-2", [str(target)], {}),
            ):
                raise AssertionError("two runs at once")
        with ledger.begin("run-3", [str(tmp_path / "elsewhere")], {}):
            pass
        holder.kill()
        holder.communicate()
        with ledger.begin("run-4", [str(photos)], {}):
            pass
        assert [run.run_id for run in ledger.runs()] == ["run-4", "run-3", "run-1"]
        assert [run.run_id for run in ledger.runs() if not run.ended] == ["run-1"]
    assert [name for name in os.listdir(path.parent) if ".run-" in name] == []


def test_the_lock_is_free_again_after_an_error(path: Path) -> None:
    path.parent.mkdir()
    with pytest.raises(ZeroDivisionError), only_run(path, "one", ["/p"]):
        raise ZeroDivisionError
    with only_run(path, "two", ["/p"]):
        pass


def test_many_that_start_at_once_give_one_run(path: Path) -> None:
    path.parent.mkdir()
    inside, most, locked = [0], [0], [0]
    gate = threading.Barrier(8)

    def start(number: int) -> None:
        gate.wait()
        try:
            with only_run(path, f"run-{number}", ["/p"]):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                gate.wait(timeout=20)
                inside[0] -= 1
        except LockedError:
            locked[0] += 1
            gate.wait(timeout=20)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], locked[0]) == (1, 7)


def test_several_threads_write_photos_through_one_recorder(path: Path) -> None:
    taken: list[int] = []

    def write(recorder: RunRecorder, thread: int) -> None:
        for number in range(40):
            key = f"/p/{thread}-{number}.jpg"
            change = recorder.intend(key, OLD, key.encode())()
            taken.append(change)
            if number % 2:
                recorder.settle(change, Version(number, thread, "new"))
                recorder.seen(Outcome(Entry(key, OLD.version), Status.TAGGED))
            else:
                recorder.drop(change)

    with Ledger.open(path) as ledger:
        with ledger.begin("run-1", ["/p"], {}) as recorder:
            threads = [threading.Thread(target=write, args=(recorder, n)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        changes = {change.key: change for change in ledger.changes("run-1")}
        assert len(set(taken)) == len(changes) == 8 * 40
        for writer in range(8):
            for number in range(40):
                key = f"/p/{writer}-{number}.jpg"
                assert changes[key].digest_after == digest_of(key.encode())
                assert changes[key].state is (State.WRITTEN if number % 2 else State.DROPPED)
        with ledger.begin("run-2", ["/p"], {}) as recorder:
            assert recorder.recall(Entry("/p/3-7.jpg", Version(7, 3, "new")))
            assert recorder.recall(Entry("/p/3-7.jpg", OLD.version)) is None
