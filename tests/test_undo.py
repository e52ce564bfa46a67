"""Undo restores bytes and times exactly, and refuses photos that were changed since."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import photo
from memory_storage import MemoryStorage
from places import tag

from tagger import metadata
from tagger.blob import BLAKE3, SHA256_SIZE, digest_of
from tagger.cli.main import main
from tagger.errors import LockedError, PhotoError
from tagger.ledger.ledger import Ledger
from tagger.ledger.undo import Undoing, undo
from tagger.records import SidecarMode
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.writing.remove_tag import remove
from tagger.writing.write_tag import WriteOptions, write_tag

Reverted = list[tuple[str, str, str]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "state" / "ledger.db") as book:
        yield book


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        path = folder / f"{number}.jpg"
        path.write_bytes(photo((number * 50, 10, 10)))
        os.utime(path, ns=(1, 1_500_000_000_000_000_000 + number * 1001))
    return folder


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.iterdir())}


def write(
    ledger: Ledger, storage: Storage, run_id: str = "run-1", mode: SidecarMode = SidecarMode.AUTO,
    slug: str = "Taj_Mahal",
) -> None:  # fmt: skip
    with ledger.begin(run_id, ["/photos"], {}) as recorder:
        for entry in storage.list():
            write_tag(storage, recorder, entry, tag(slug, run_id), WriteOptions(mode))


def revert(
    ledger: Ledger, storage: Storage | None = None, run: str = "last", dry_run: bool = False
) -> Reverted:
    store = storage or LocalStorage()
    undone = undo(lambda _key: store, ledger, ledger.find(run), dry_run)
    return [(os.path.basename(done.key), done.result.value, done.reason) for done in undone]


def results(reverted: Reverted) -> list[tuple[str, str]]:
    return [(name, result) for name, result, _ in reverted]


@pytest.mark.parametrize("moved", [False, True])
def test_a_ledger_with_sha256_is_undone(ledger: Ledger, folder: Path, moved: bool) -> None:
    """A ledger from before BLAKE3; moved photos are found by their digest."""
    before = state(folder)
    write(ledger, LocalStorage([folder]))
    sha256 = bytes(SHA256_SIZE)
    for change in ledger.changes("run-1"):
        data = Path(change.key).read_bytes()
        assert change.digest_after == digest_of(data) and data != before[Path(change.key).name][0]
        assert change.digest_after[:1] == BLAKE3 and len(change.digest_after) == SHA256_SIZE + 1
        older = before[Path(change.key).name][0]
        ledger._db.execute(
            "UPDATE changes SET sha256_before = ?, sha256_after = ? WHERE number = ?",
            (digest_of(older, sha256), digest_of(data, sha256), change.number),
        )
    ledger._db.execute("PRAGMA user_version = 2")
    ledger._db.close()
    with Ledger.open(ledger.path) as renewed:
        assert renewed._db.execute("PRAGMA user_version").fetchone() != (2,)
        if moved:
            elsewhere = folder.rename(folder.with_name("moved"))
            done = undo(lambda _key: LocalStorage(), renewed, renewed.find("last"), False,
                        [str(elsewhere)])  # fmt: skip
            assert [one.result.value for one in done] == ["restored"] * 4
            assert state(elsewhere) == before
        else:
            assert {result for _, result in results(revert(renewed))} == {"restored"}
            assert state(folder) == before


def test_the_run_that_can_be_undone_next_is_named(ledger: Ledger, folder: Path) -> None:
    for number, slug in enumerate(("Taj_Mahal", "Eiffel_Tower"), 1):
        (folder / f"{number}.jpg").write_bytes(photo((9, 9, number)))
        with ledger.begin(f"run-{number}", [str(folder)], {}) as recorder:
            store = LocalStorage([folder / f"{number}.jpg"])
            for entry in store.list():
                write_tag(store, recorder, entry, tag(slug, f"run-{number}"), WriteOptions())

    def again(*words: str) -> str:
        words = ("undo", *words, "--ledger", str(ledger.path))
        return CliRunner().invoke(main, words).output

    assert "run-2: 1 restored" in again("last")
    output = again("last")
    assert "run-2: nothing left to undo" in output and "landmark-tag undo run-1" in output
    assert "1 written" in output and again("last", "--dry-run").startswith(output)
    assert "run-1: 1 restored" in again("run-1")
    assert "landmark-tag undo" not in again("last")  # nothing at all is left


def test_photos_get_their_bytes_and_times_back_newest_first(ledger: Ledger, folder: Path) -> None:
    before = state(folder)
    write(ledger, LocalStorage([folder]))
    assert all(state(folder)[name][0] != before[name][0] for name in before)
    os.utime(folder / "1.jpg")  # a backup program touched it; the bytes are still ours
    dry = revert(ledger, dry_run=True)
    assert results(dry) == [(f"{n}.jpg", "restored") for n in (3, 2, 1, 0)]
    assert all(state(folder)[name][0] != before[name][0] for name in before)
    assert revert(ledger) == dry
    assert state(folder) == before
    assert (ledger.runs()[0].written, ledger.runs()[0].undone) == (0, 4)
    assert revert(ledger) == [] and state(folder) == before


def test_sidecars_we_made_go_and_merged_ones_get_their_bytes_back(
    ledger: Ledger, folder: Path
) -> None:
    (folder / "2.jpg.xmp").write_bytes(
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:xmp='
        b'"http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>'
    )
    before = state(folder)
    write(ledger, LocalStorage([folder]), mode=SidecarMode.ALWAYS)
    assert len(state(folder)) == 8
    assert sorted(results(revert(ledger))) == [
        ("0.jpg.xmp", "removed"), ("1.jpg.xmp", "removed"), ("2.jpg.xmp", "restored"),
        ("3.jpg.xmp", "removed"),
    ]  # fmt: skip
    assert state(folder) == before


def test_what_was_edited_or_is_gone_is_refused_with_a_reason(ledger: Ledger, folder: Path) -> None:
    before = state(folder)
    write(ledger, LocalStorage([folder]))
    (folder / "0.jpg").write_bytes(edited := photo((9, 9, 200)))
    aside = (folder / "1.jpg").rename(folder.parent / "1.jpg")
    (folder / "2.jpg").chmod(0o444)
    reasons = {name: (result, reason) for name, result, reason in revert(ledger)}
    assert reasons["3.jpg"] == ("restored", "")
    assert reasons["0.jpg"][0] == "refused" and "edited since" in reasons["0.jpg"][1]
    assert reasons["1.jpg"][0] == "refused" and "put it back" in reasons["1.jpg"][1]
    assert reasons["2.jpg"][0] == "refused" and "chmod" in reasons["2.jpg"][1]
    assert (folder / "0.jpg").read_bytes() == edited
    aside.rename(folder / "1.jpg")
    (folder / "2.jpg").chmod(0o644)
    again = results(revert(ledger))
    assert sorted(again) == [("0.jpg", "refused"), ("1.jpg", "restored"), ("2.jpg", "restored")]
    assert {n: s for n, s in state(folder).items() if n != "0.jpg"} == {
        n: s for n, s in before.items() if n != "0.jpg"
    }


def test_a_later_run_on_the_same_photo_is_named_and_goes_first(
    ledger: Ledger, folder: Path
) -> None:
    before = state(folder)
    write(ledger, LocalStorage([folder]), "run-1")
    tagged = (folder / "0.jpg").read_bytes()
    with ledger.begin("run-2", [str(folder)], {}, verb="remove") as recorder:
        assert len(list(remove(LocalStorage([folder]), recorder))) == 4
    assert state(folder) == before
    write(ledger, LocalStorage([folder]), "run-3", slug="Eiffel_Tower")
    latest = (folder / "0.jpg").read_bytes()
    assert {reason for *_, reason in revert(ledger, run="run-1")} == {
        "it was edited since and is left as it is; undo run run-3 first"
    }
    # What undoing the other run does not mend keeps its own remedy, whole.
    (folder / "0.jpg").unlink()
    copies = [folder.with_name(name) / "0.jpg" for name in ("a; b", "c")]
    for copy in copies:
        copy.parent.mkdir()
        copy.write_bytes(tagged)
    first, places = ledger.find("run-1"), [str(copy.parent) for copy in copies]
    refused = undo(lambda _key: LocalStorage(), ledger, first, True, places)
    (reason,) = [one.reason for one in refused if one.key.endswith("0.jpg")]
    assert reason.endswith(f"{copies[1]}; move one of them back there to have it restored")
    (folder / "0.jpg").write_bytes(latest)
    for run in ("run-3", "run-2", "run-1"):
        assert {result for _, result, _ in revert(ledger, run=run)} == {"restored"}
    assert state(folder) == before


def test_a_removed_sidecar_comes_back(ledger: Ledger, folder: Path) -> None:
    write(ledger, LocalStorage([folder]), mode=SidecarMode.ALWAYS)
    tagged = state(folder)
    with ledger.begin("run-2", [str(folder)], {}, verb="remove") as recorder:
        assert len(list(remove(LocalStorage([folder]), recorder))) == 4
    assert len(state(folder)) == 4
    assert {result for _, result, _ in revert(ledger, run="run-2")} == {"restored"}
    assert state(folder) == tagged


class PowerCut(BaseException):
    """The power fails."""


@pytest.mark.parametrize("moment", ["before write", "after write"])
@pytest.mark.parametrize("mode", [SidecarMode.AUTO, SidecarMode.ALWAYS])
def test_a_run_cut_short_is_undone(ledger: Ledger, moment: str, mode: SidecarMode) -> None:
    original = photo((5, 5, 5))
    storage = MemoryStorage({"a.jpg": original, "b.jpg": photo((9, 9, 9))})
    before = dict(storage.files)
    real = storage.write

    def cut(key: str, data: bytes, expected: object, *rest: object) -> object:
        if key.startswith("b.jpg"):
            if moment == "after write":
                real(key, data, expected, *rest)  # type: ignore[arg-type]
            raise PowerCut
        return real(key, data, expected, *rest)  # type: ignore[arg-type]

    storage.write = cut  # type: ignore[method-assign, assignment]
    with pytest.raises(PowerCut):
        write(ledger, storage, mode=mode)
    storage.write = real  # type: ignore[method-assign]
    assert len(revert(ledger, storage)) == (2 if moment == "after write" else 1)
    assert {k: b.data for k, b in storage.files.items()} == {k: b.data for k, b in before.items()}
    assert ledger.runs()[0].written == 0


@pytest.mark.parametrize("moment", ["before", "after", "before its time"])
def test_an_undo_cut_short_is_undone_by_the_next(ledger: Ledger, moment: str) -> None:
    storage = MemoryStorage({"a.jpg": photo((5, 5, 5)), "b.jpg": photo((9, 9, 9))})
    before = {key: (blob.data, blob.version.mtime_ns) for key, blob in storage.files.items()}
    write(ledger, storage)
    for key, blob in storage.files.items():
        storage.set_mtime(key, 77, blob.version)
    real = storage.write

    def cut(key: str, data: bytes, expected: object, **rest: object) -> object:
        if moment == "before its time":  # which an undo by an earlier version set last
            del rest["mtime_ns"]
        if moment != "before":
            real(key, data, expected, **rest)  # type: ignore[arg-type]
        raise PowerCut

    storage.write = cut  # type: ignore[method-assign, assignment]
    with pytest.raises(PowerCut):
        revert(ledger, storage)
    storage.write = real  # type: ignore[method-assign]
    assert {result for _, result, _ in revert(ledger, storage)} <= {"restored", "unchanged"}
    after = {key: (blob.data, blob.version.mtime_ns) for key, blob in storage.files.items()}
    assert after == before


def test_a_write_that_was_given_up_is_not_worth_a_word(ledger: Ledger) -> None:
    storage = MemoryStorage({"a.jpg": photo((5, 5, 5))})
    (entry,) = storage.list()

    def edited(key: str) -> None:
        storage.put(key, b"edited by another program")

    storage.before_write = edited
    with ledger.begin("run-1", ["/photos"], {}) as recorder, pytest.raises(PhotoError):
        write_tag(storage, recorder, entry, tag(), WriteOptions())
    assert list(undo(lambda _key: storage, ledger, ledger.runs()[0])) == []
    assert storage.files["a.jpg"].data == b"edited by another program"


def test_a_write_reported_as_failed_that_did_happen_is_undone(ledger: Ledger) -> None:
    storage = MemoryStorage({"a.jpg": (original := photo((5, 5, 5)))})
    real = storage.write

    def late(key: str, data: bytes, expected: object, *rest: object) -> object:
        real(key, data, expected, *rest)  # type: ignore[arg-type]
        raise PhotoError("the connection broke")

    storage.write = late  # type: ignore[method-assign, assignment]
    with pytest.raises(PhotoError), ledger.begin("run-1", ["/photos"], {}) as recorder:
        (entry,) = storage.list()
        write_tag(storage, recorder, entry, tag(), WriteOptions())
    storage.write = real  # type: ignore[method-assign]
    run = ledger.runs()[0]
    assert [d.result for d in undo(lambda _: storage, ledger, run)] == [Undoing.RESTORED]
    assert storage.files["a.jpg"].data == original


def test_a_damaged_undo_record_is_refused(ledger: Ledger, folder: Path) -> None:
    write(ledger, LocalStorage([folder]))
    tagged = state(folder)
    ledger._db.execute("UPDATE changes SET patch = zeroblob(40) WHERE number = 1")
    ledger._db.execute("UPDATE changes SET patch = (SELECT patch FROM changes WHERE number = 3) "
                       "WHERE number = 2")  # fmt: skip
    reasons = {name: (result, reason) for name, result, reason in revert(ledger)}
    for name in ("0.jpg", "1.jpg"):
        assert reasons[name][0] == "refused" and "undo record" in reasons[name][1]
        assert state(folder)[name] == tagged[name]


def test_undo_waits_for_a_run_on_the_same_photos(ledger: Ledger, folder: Path) -> None:
    write(ledger, LocalStorage([folder]))
    with ledger.begin("run-2", ["/photos/trip"], {}), pytest.raises(LockedError):
        revert(ledger, run="run-1")
    assert len(revert(ledger, run="run-1")) == 4


def test_the_commands(
    ledger: Ledger, folder: Path, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    before = bytes_of(folder)
    write(ledger, LocalStorage([folder]))
    (folder / "3.jpg").write_bytes(edited := photo((9, 9, 200)))

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, [*arguments, "--ledger", str(ledger.path)])
        return result.exit_code, result.output

    code, output = run("undo", "--dry-run")
    assert code == 1 and "3 restored" in output and "dry run" in output
    code, output = run("undo", "last")
    assert code == 1 and "3.jpg: not undone: it was edited since" in output
    assert bytes_of(folder) == before | {"3.jpg": edited}
    code, output = run("runs")
    assert code == 0 and output.splitlines()[1].split()[:2] == ["run-1", "tag"]
    assert run("undo", "nothing")[0] == 2
    missing = str(ledger.path.with_name("other.db"))
    assert CliRunner().invoke(main, ["undo", "--ledger", missing]).exit_code == 2
    listed = CliRunner().invoke(main, ["runs", "--ledger", missing])
    assert listed.exit_code == 0 and "no runs yet" in listed.output
    assert not os.path.exists(missing)
    with ledger.begin("run-2", ["/photos"], {}):
        code, output = run("undo", "run-1")
    assert code == 75 and "another run" in output
    assert metadata.gps_state(edited, whole=True) is not None
