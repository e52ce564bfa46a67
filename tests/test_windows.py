"""Windows, simulated: open files cannot be moved, folders not opened, locks are on bytes."""

import fcntl
import os
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tagger import metadata, system
from tagger.cli.main import main
from tagger.errors import ChangedError, LockedError
from tagger.ledger.locks import gate, only_run
from tagger.storage.local import LocalStorage
from tagger.storage.local_listing import HOST, TEMP_PREFIX

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="needs Linux to simulate"
)
TEN_SECONDS = 200  # attempts, at 0.05 s; Windows itself gives up then


def is_open(path: str) -> bool:
    """Whether this process has the file open."""
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            if os.path.samestat(os.fstat(int(descriptor)), os.lstat(path)):
                return True
        except OSError:
            continue
    return False


class Bytes:
    """Msvcrt's locks; each attempt is counted, and ``refused`` of them fail."""

    LK_LOCK, LK_NBLCK = 1, 2

    def __init__(self) -> None:
        self.attempts, self.refused = 0, 0

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        self.attempts += 1
        assert mode == self.LK_NBLCK, "msvcrt's own way to wait gives up"
        # What is locked cannot be read: it lies behind what is written.
        assert count == 1 and os.lseek(descriptor, 0, os.SEEK_CUR) > 1 << 20
        try:
            if self.attempts <= self.refused:
                raise BlockingIOError
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(13, "Permission denied") from error


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> Bytes:
    """A system that behaves like Windows towards our files."""
    real = {name: getattr(os, name) for name in ("open", "replace", "unlink", "rename", "link")}

    def still(name: str) -> Callable[..., Any]:
        def call(*paths: Any, **named: Any) -> Any:
            if any(value is not None for key, value in named.items() if key.endswith("dir_fd")):
                raise NotImplementedError("dir_fd unavailable on this platform")
            if name != "link":
                for path in paths:
                    if is_open(os.fspath(path)):
                        raise PermissionError(13, "The process cannot access the file", path)
            return real[name](*paths, **named)

        return call

    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        descriptor: int = real["open"](path, flags, mode)
        return descriptor

    def killed(process: int, signal: int) -> None:
        raise AssertionError(f"kill({process}, {signal}) would end the process there")

    locks = Bytes()
    monkeypatch.setitem(sys.modules, "msvcrt", types.ModuleType("msvcrt"))
    sys.modules["msvcrt"].__dict__.update(
        locking=locks.locking, LK_LOCK=locks.LK_LOCK, LK_NBLCK=locks.LK_NBLCK
    )
    for name in ("replace", "unlink", "rename", "link"):
        monkeypatch.setattr(os, name, still(name))
    for name in ("fchown", "chown", "listxattr", "getxattr", "setxattr", "fchmod"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(tempfile, "TemporaryFile", tempfile.NamedTemporaryFile)  # as there
    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "kill", killed)
    monkeypatch.setattr(system, "BY_DESCRIPTOR", False)
    monkeypatch.setattr(sys, "platform", "win32")
    return locks


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"before")
    path.chmod(0o640)
    os.utime(path, ns=(1, 1_500_000_000_000_000_000))
    return path


def test_a_photo_is_replaced_and_keeps_mode_and_time(photo: Path) -> None:
    storage, before = LocalStorage([photo.parent]), photo.stat()
    storage.write(str(photo), b"after", storage.read(str(photo)).version)
    now = photo.stat()
    assert photo.read_bytes() == b"after"
    assert (now.st_mode, now.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert os.listdir(photo.parent) == ["a.jpg"]


def test_a_photo_that_changed_is_not_replaced(photo: Path) -> None:
    storage = LocalStorage([photo.parent])
    older = storage.read(str(photo)).version
    photo.write_bytes(b"somebody else's")
    with pytest.raises(ChangedError):
        storage.write(str(photo), b"after", older)
    assert photo.read_bytes() == b"somebody else's" and os.listdir(photo.parent) == ["a.jpg"]


def test_a_new_file_is_made_and_removed_again(photo: Path) -> None:
    storage, key = LocalStorage([photo.parent]), str(photo.with_suffix(".xmp"))
    storage.write(key, b"made", None)
    with pytest.raises(ChangedError):
        storage.write(key, b"again", None)
    version = storage.read(key).version
    storage.set_mtime(key, 1_600_000_000_000_000_000, version)
    assert os.stat(key).st_mtime_ns == 1_600_000_000_000_000_000
    storage.delete(key, storage.read(key).version)
    assert os.listdir(photo.parent) == ["a.jpg"]


def test_what_a_killed_run_left_is_not_asked_for_by_a_signal(photo: Path) -> None:
    storage = LocalStorage([photo.parent])
    made = photo.with_name(f"{TEMP_PREFIX}{HOST}-{os.getpid()}-1.tmp")
    made.write_bytes(b"")
    list(storage.list())
    assert made.exists()
    os.utime(made, (1, 1))
    list(storage.list())
    assert not made.exists()


def test_one_run_at_a_time_and_the_next_one_after_it(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with only_run(ledger, "one", ["/photos"]):
        second = only_run(ledger, "two", ["/photos/trip"])
        with pytest.raises(LockedError, match="another run is working on /photos"), second:
            pass
        with only_run(ledger, "three", ["/others"]):
            pass
    ledger.with_name("ledger.db.run-killed").write_text("/photos")
    with only_run(ledger, "four", ["/photos"]):
        assert [path.name for path in tmp_path.glob("*.run-*")] == ["ledger.db.run-four"]
    assert not list(tmp_path.glob("*.run-*"))


def test_the_gate_is_waited_for_longer_than_windows_would(
    tmp_path: Path, windows: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "_ASKED_AGAIN_S", 0)
    windows.refused = 2 * TEN_SECONDS
    with gate(tmp_path / "ledger.db"):
        assert windows.attempts == 2 * TEN_SECONDS + 1


def test_photos_are_tagged_and_undone(library: Path, colour_model: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in library.rglob("*.[jJ]*")}
    ledger = ["--ledger", str(tmp_path / "ledger.db")]
    line = [str(library), "--model", str(colour_model), "--report", str(tmp_path / "report.csv")]
    for _ in range(2):
        result = CliRunner().invoke(main, [*line, *ledger], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    placed = [path for path in before if metadata.position(path.read_bytes())]
    assert len(placed) == 3
    result = CliRunner().invoke(main, ["undo", "last", *ledger], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert {path: path.read_bytes() for path in before} == before
