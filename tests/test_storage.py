"""Storage: the contract on disk and in memory, and what only a disk can do to photos."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from memory_storage import MemoryStorage
from storage_contract import Shelf, StorageContract

from tagger.errors import PhotoError, RunError
from tagger.storage.local import LocalStorage
from tagger.storage.local_listing import HOST, TEMP_PREFIX
from tagger.storage.opening import open_storage


def on_disk(folder: Path) -> Shelf:
    def put(name: str, data: bytes) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_name(f"{path.name}.other-program")
        fresh.write_bytes(data)
        fresh.replace(path)

    def get(name: str) -> bytes | None:
        path = folder / name
        return path.read_bytes() if path.exists() else None

    def names() -> list[str]:
        return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())

    return Shelf(LocalStorage([folder]), lambda name: str(folder / name), put, get, names)


class TestLocal(StorageContract):
    @pytest.fixture
    def shelf(self, tmp_path: Path) -> Shelf:
        return on_disk(tmp_path)


class TestMemory(StorageContract):
    @pytest.fixture
    def shelf(self) -> Shelf:
        storage = MemoryStorage()

        def get(name: str) -> bytes | None:
            return storage.files[name].data if name in storage.files else None

        return Shelf(storage, str, storage.put, get, lambda: sorted(storage.files))


def write(path: Path, data: bytes) -> None:
    storage = LocalStorage()
    storage.write(str(path), data, storage.read(str(path)).version)


def test_an_edit_in_place_of_the_same_size_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    before = LocalStorage().read(str(path)).version
    path.write_bytes(b"OLD")
    with pytest.raises(PhotoError, match="changed since"):
        LocalStorage().write(str(path), b"new", before)


@pytest.mark.skipif(os.name != "posix", reason="mode bits are POSIX's")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o2755])
def test_mode_and_times_are_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    path.chmod(mode)
    os.utime(path, ns=(1_600_000_000_000_000_001, 1_500_000_000_123_456_789))
    write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.stat().st_mtime_ns == 1_500_000_000_123_456_789


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes here")
def test_extended_attributes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.rating", b"5")
    except OSError:
        pytest.skip("this file system holds no extended attributes")
    write(path, b"new")
    assert os.getxattr(path, "user.rating") == b"5"


def as_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.mark.skipif(not as_root(), reason="only root can give files away")
def test_owner_and_group_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    write(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


@pytest.mark.skipif(not as_root(), reason="only root can give files away")
def test_a_photo_of_another_user_is_refused_rather_than_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)

    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(PhotoError, match="run as its owner"):
        write(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.jpg"]


@pytest.mark.skipif(os.name != "posix", reason="mode bits are POSIX's")
def test_a_write_protected_photo_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(PhotoError, match="chmod"):
        write(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.jpg"]


def mounted(folder: Path, *options: str) -> None:
    if not sys.platform.startswith("linux") or not as_root():
        pytest.skip("mounting needs root on Linux")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB, nearly full."""
    disk = tmp_path / "disk"
    mounted(disk, "-t", "tmpfs", "-o", "size=256k", "tmpfs")
    try:
        (disk / "ballast").write_bytes(b"x" * 150_000)
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_leaves_the_photo_and_no_litter(small_disk: Path) -> None:
    path = small_disk / "a.jpg"
    path.write_bytes(b"p" * 60_000)
    with pytest.raises(PhotoError, match="free space"):
        write(path, b"q" * 61_000)
    assert path.read_bytes() == b"p" * 60_000
    assert sorted(os.listdir(small_disk)) == ["a.jpg", "ballast"]
    (small_disk / "ballast").unlink()
    write(path, b"q" * 61_000)
    assert path.read_bytes() == b"q" * 61_000


@pytest.mark.parametrize("step", ["fsync", "replace", "utime"])
def test_a_failure_at_any_step_leaves_the_photo_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")

    def fail(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(PhotoError, match="No space left"):
        write(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.jpg"]


def test_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"old")
    mounted(folder, "--bind", str(folder))
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        with pytest.raises(PhotoError, match="Read-only file system"):
            write(folder / "a.jpg", b"new")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
    assert (folder / "a.jpg").read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"old")
    code = (
        "import os, sys; sys.path[:0] = sys.argv[2:]\n"
        "from tagger.storage.local import LocalStorage; from tagger.errors import PhotoError\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "s = LocalStorage()\n"
        "try: s.write(sys.argv[1], b'new', s.read(sys.argv[1]).version)\n"
        "except PhotoError as error: print(error)\n"
    )
    folder.chmod(0o555)
    (folder / "a.jpg").chmod(0o666)
    for parent in folder.parents:
        if parent.is_relative_to(tmp_path.parent.parent):
            parent.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "a.jpg"), *filter(None, sys.path)],
        capture_output=True, text=True,
    )  # fmt: skip
    folder.chmod(0o755)
    assert "no permission" in done.stdout, done.stderr
    assert (folder / "a.jpg").read_bytes() == b"old"


def test_a_folder_that_may_be_listed_but_not_entered_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of such a folder (r without x) the names can be read, and no file's size."""
    photo, stat_of = tmp_path / "a.jpg", os.stat
    photo.write_bytes(b"old")

    def refused(path: Any, **how: Any) -> os.stat_result:
        if path == str(photo):
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat_of(path, **how)

    monkeypatch.setattr("tagger.storage.local_listing.os.stat", refused)
    (entry,) = LocalStorage([tmp_path]).list()
    assert "check the permissions of it and its folder" in entry.problem


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_named_like_a_photo_is_reported_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (entry,) = LocalStorage([tmp_path]).list()
    assert "not a file" in entry.problem


def test_links_out_of_the_folder_are_named_and_links_within_are_not_listed_twice(
    tmp_path: Path,
) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"x")
    (inside / "b.jpg").write_bytes(b"x")
    try:
        (inside / "out.jpg").symlink_to(outside / "a.jpg")
        (inside / "again.jpg").symlink_to(inside / "b.jpg")
        (inside / "loop").symlink_to(inside)
    except OSError:
        pytest.skip("no symbolic links here")
    listed = {os.path.basename(e.key): e.problem for e in LocalStorage([inside]).list()}
    assert set(listed) == {"b.jpg", "out.jpg"} and "not followed" in listed["out.jpg"]
    assert listed["b.jpg"] == ""
    assert {e.fault for e in LocalStorage([inside]).list() if e.problem} == {False}


def test_links_that_lead_nowhere_do_not_end_the_listing(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"x")
    try:
        for name in ("a.jpg", "loop"):
            (tmp_path / name).symlink_to(name)
        (tmp_path / "long.jpg").symlink_to("n" * 300)
    except OSError:
        pytest.skip("no symbolic links here")
    assert [Path(e.key).name for e in LocalStorage([tmp_path]).list()] == ["b.jpg"]


def test_skips_hidden_system_and_excluded_files(tmp_path: Path) -> None:
    for name in (".a.jpg", "._b.jpg", "@eaDir/c.jpg", ".git/d.jpg", "e.jpg", "raw/f.jpg", "g.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    listed = [Path(e.key).name for e in LocalStorage([tmp_path], exclude=["raw"]).list()]
    assert listed == ["e.jpg"]


@pytest.fixture
def two_folders(tmp_path: Path) -> Path:
    """Photos a.jpg, private/b.jpg and trip/private/c.jpg."""
    for name in ("a.jpg", "private/b.jpg", "trip/private/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(*paths: Path, exclude: str) -> list[str]:
    return [Path(entry.key).name for entry in LocalStorage(paths, exclude=[exclude]).list()]


@pytest.mark.parametrize(
    ("glob", "left"),
    [
        ("private", ["a.jpg"]),
        ("private/", ["a.jpg"]),
        ("./private", ["a.jpg"]),
        ("**/private", ["a.jpg"]),
        ("**/private/*.jpg", ["a.jpg"]),
        ("trip/private/", ["a.jpg", "b.jpg"]),
        ("{folder}/private", ["a.jpg", "c.jpg"]),
        ("{folder}/private/", ["a.jpg", "c.jpg"]),
        ("{folder}/*/private/*", ["a.jpg", "b.jpg"]),
        ("{link}/private", ["a.jpg", "c.jpg"]),
        ("*{name}*", ["a.jpg", "b.jpg", "c.jpg"]),  # what the folder around PATH is called
        ("/", ["a.jpg", "b.jpg", "c.jpg"]),
        ("", ["a.jpg", "b.jpg", "c.jpg"]),
    ],
)
def test_what_an_exclude_leaves(
    two_folders: Path, tmp_path_factory: pytest.TempPathFactory, glob: str, left: list[str]
) -> None:
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(two_folders)
    glob = glob.format(folder=two_folders, link=link, name=two_folders.name)
    assert names(two_folders, exclude=glob) == left


def test_excludes_hold_for_what_is_given_as_path(two_folders: Path) -> None:
    files = sorted(two_folders.rglob("*.jpg"))
    assert names(*files, exclude="*.jpg") == []
    assert names(*files, exclude="a*") == ["b.jpg", "c.jpg"]
    assert names(*files, exclude=f"{two_folders}/private/") == ["a.jpg", "c.jpg"]
    assert names(*two_folders.iterdir(), exclude=f"{two_folders}/private") == ["a.jpg", "c.jpg"]
    assert names(two_folders / "private", exclude="private") == ["b.jpg"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names are bytes on Linux")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jpg", "wb") as file:
        file.write(b"old")
    (entry,) = LocalStorage([tmp_path]).list()
    write(Path(entry.key), b"new")
    assert LocalStorage().read(entry.key).data == b"new"


def test_temporary_files_of_dead_writers_are_swept_and_those_of_living_ones_kept(
    tmp_path: Path,
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = HOST
    gone = tmp_path / f"{TEMP_PREFIX}{host}-{dead.pid}-x.tmp"
    living = tmp_path / f"{TEMP_PREFIX}{host}-{os.getpid()}-x.tmp"
    elsewhere = tmp_path / f"{TEMP_PREFIX}{'0' * 8}-{dead.pid}-x.tmp"
    old = tmp_path / f"{TEMP_PREFIX}{'0' * 8}-1-y.tmp"
    for path in (gone, living, elsewhere, old):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert list(LocalStorage([tmp_path]).list()) == []
    assert set(tmp_path.iterdir()) == {living, elsewhere}


def test_targets_are_checked(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such file"):
        open_storage([str(tmp_path / "nowhere")])
    with pytest.raises(RunError, match="not supported"):
        open_storage(["ftp://host/photos"])


@pytest.mark.parametrize("code", [errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG])
def test_a_target_that_cannot_be_looked_at_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(self: Path, **named: object) -> os.stat_result:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(RunError, match=r"a\.jpg: cannot be opened \(.*check the PATH"):
        LocalStorage([tmp_path / "a.jpg"])


def test_a_read_that_meets_a_writer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"whole")
    real = os.fstat
    seen: list[int] = []

    def fstat(descriptor: int) -> os.stat_result:
        if seen:
            path.write_bytes(b"longer than before")
        seen.append(descriptor)
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(PhotoError, match="being written"):
        LocalStorage().read(str(path))


def test_a_file_system_that_renumbers_its_files_now_and_then_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    real, asked = os.path.samestat, []

    def samestat(one: os.stat_result, other: os.stat_result) -> bool:
        asked.append(one)
        return len(asked) % 2 == 0 and real(one, other)

    monkeypatch.setattr(os.path, "samestat", samestat)
    write(path, b"new")
    assert path.read_bytes() == b"new" and len(asked) == 6
