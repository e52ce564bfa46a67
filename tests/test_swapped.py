"""Links planted at every step of a write: no file outside the folder is ever changed."""

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from swapping import Foreign, stepping_in

from tagger.errors import PhotoError, RunError
from tagger.ledger.locks import only_run
from tagger.records import Entry, Outcome, Status, Version
from tagger.report.writer import ReportWriter
from tagger.review.decision_log import DecisionLog as Decisions
from tagger.run.limits import RunLimits
from tagger.run.run_log import RunLog
from tagger.storage.local import LocalStorage
from tagger.storage.local_listing import TEMP_PREFIX
from tagger.storage.named_files import replace_file

LINK = os.link
Work = Callable[[Path, Version], None]
pytestmark = pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are POSIX's")


def replace(folder: Path, read: Version) -> None:
    storage, key = LocalStorage(), str(folder / "a.jpg")
    storage.write(key, b"new", read)


def renew(folder: Path, read: Version) -> None:
    storage, key = LocalStorage(), str(folder / "a.jpg")
    storage.write(key, b"new", read, mtime_ns=7)


def create(folder: Path, read: Version) -> None:
    LocalStorage().write(str(folder / "a.jpg.xmp"), b"new", None)


def create_without_links(folder: Path, read: Version) -> None:
    """As on FAT, which has no hard links."""

    def none(*arguments: object, **named: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", none)
        create(folder, read)


def delete(folder: Path, read: Version) -> None:
    storage, key = LocalStorage(), str(folder / "a.jpg")
    storage.delete(key, read)


def set_time(folder: Path, read: Version) -> None:
    storage, key = LocalStorage(), str(folder / "a.jpg")
    storage.set_mtime(key, 7, read)


def look(folder: Path, read: Version) -> None:
    storage = LocalStorage([folder])
    for entry in storage.list():
        assert storage.read_head(entry.key, 99) == storage.read(entry.key).data == b"old"


def link(make: Callable[[Path, Path], None], foreign: Foreign, *names: Path) -> None:
    for name in names:
        name.unlink(missing_ok=True)
        make(name, foreign.path)


def symbolic(name: Path, target: Path) -> None:
    name.symlink_to(target)


def hard(name: Path, target: Path) -> None:
    LINK(target, name)


def temporary(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(TEMP_PREFIX)]


def photos(folder: Path) -> list[Path]:
    return [folder / "a.jpg", folder / "a.jpg.xmp"]


def both(folder: Path) -> list[Path]:
    return [*temporary(folder), *photos(folder)]


WORK = (replace, renew, create, create_without_links, delete, set_time, look)


@pytest.mark.parametrize("kind", [symbolic, hard])
@pytest.mark.parametrize("what", [temporary, photos, both])
@pytest.mark.parametrize("work", WORK)
def test_a_file_swapped_for_a_link_at_any_step_harms_no_other(
    tmp_path: Path,
    work: Work,
    what: Callable[[Path], list[Path]],
    kind: Callable[[Path, Path], None],
) -> None:
    foreign = Foreign(tmp_path / "foreign")
    done = 0
    for step in itertools.count():
        folder = tmp_path / str(step)
        folder.mkdir()
        path = folder / "a.jpg"
        path.write_bytes(b"old")
        if os.geteuid() == 0:
            os.chown(path, 1234, 2345)
        read = LocalStorage().read(str(folder / "a.jpg")).version
        with pytest.MonkeyPatch.context() as patch:
            count = stepping_in(
                patch, step, lambda f=folder: link(kind, foreign, *what(f))  # type: ignore[misc]
            )  # fmt: skip
            try:
                work(folder, read)
                done += 1
            except (PhotoError, AssertionError) as error:
                if isinstance(error, AssertionError) and kind is symbolic:
                    raise  # what a link leads to was read
            taken = count()
        assert foreign.now() == foreign.before, f"step {step} of {taken}"
        if what is temporary and work in (replace, renew):
            assert path.is_symlink() or path.read_bytes() in (b"old", b"new", b"theirs")
        if step >= taken:
            break
    assert step > 3 and done  # the last one was left in peace


@pytest.mark.parametrize("work", WORK)
def test_a_folder_swapped_for_a_link_is_not_written_into(tmp_path: Path, work: Work) -> None:
    for step in itertools.count():
        folder, elsewhere = tmp_path / f"{step}", tmp_path / f"{step}-elsewhere"
        for made in (folder, elsewhere):
            made.mkdir()
            (made / "a.jpg").write_bytes(b"old")
            os.utime(made / "a.jpg", ns=(5, 5))
        theirs = Foreign(elsewhere / "theirs")
        before = os.lstat(elsewhere / "a.jpg")

        def swap(folder: Path = folder, elsewhere: Path = elsewhere) -> None:
            folder.rename(f"{folder}-away")
            folder.symlink_to(elsewhere)

        read = LocalStorage().read(str(folder / "a.jpg")).version
        with pytest.MonkeyPatch.context() as patch:
            count = stepping_in(patch, step, swap)
            with contextlib.suppress(PhotoError):
                work(folder, read)
            taken = count()
        assert sorted(path.name for path in elsewhere.iterdir()) == ["a.jpg", "theirs"], step
        now = os.lstat(elsewhere / "a.jpg")
        assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert theirs.now() == theirs.before
        if step >= taken:
            break


def test_links_that_were_there_before_are_not_followed(tmp_path: Path) -> None:
    foreign = Foreign(tmp_path / "foreign.jpg")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.jpg").symlink_to(foreign.path)
    storage, key = LocalStorage(), str(folder / "a.jpg")
    version = storage.read(str(foreign.path)).version
    for use in (
        lambda: storage.read(key),
        lambda: storage.read_head(key, 9),
        lambda: storage.write(key, b"new", version),
        lambda: storage.write(key, b"new", None),
        lambda: storage.delete(key, version),
        lambda: storage.set_mtime(key, 7, version),
    ):
        with pytest.raises(PhotoError):
            use()
    assert foreign.now() == foreign.before and (folder / "a.jpg").is_symlink()
    assert os.listdir(folder) == ["a.jpg"]


OUTCOME = Outcome(Entry("/a.jpg", Version(1, 2)), Status.NO_LANDMARK)


def write_report(folder: Path) -> None:
    with ReportWriter(folder / "file", {}, "", "run") as rows:
        rows.write(OUTCOME)


def write_log(folder: Path) -> None:
    with RunLog("", folder / "file", RunLimits(None, None, None), targets=[]) as log:
        log.end(0)


def write_summary(folder: Path) -> None:
    with RunLog(str(folder / "file"), None, RunLimits(None, None, None), targets=[]) as log:
        log.end(0)


def lock(folder: Path) -> None:
    with only_run(folder / "file", "r", ["/photos"]):
        pass


def replace_any(folder: Path) -> None:
    replace_file(folder / "file", b"new")


def decide(folder: Path) -> None:
    Decisions(folder / "file").close()


@pytest.mark.parametrize("kind", [symbolic, hard])
@pytest.mark.parametrize(
    "work", [write_report, write_log, write_summary, lock, replace_any, decide]
)
def test_whatever_else_is_made_harms_no_other_file(
    tmp_path: Path, work: Callable[[Path], None], kind: Callable[[Path, Path], None]
) -> None:
    foreign, done = Foreign(tmp_path / "foreign"), 0
    for step in itertools.count():
        folder = tmp_path / str(step)
        folder.mkdir()

        def swap(folder: Path = folder) -> None:
            temp = [path for path in folder.iterdir() if path.name.startswith(".file.")]
            names = ("file", "file.lock", "file.run-r", "file.review", "file.review-journal")
            link(kind, foreign, *temp, *(folder / name for name in names))

        with pytest.MonkeyPatch.context() as patch:
            count = stepping_in(patch, step, swap)
            try:
                work(folder)
                done += 1
            except (RunError, OSError):
                pass
            taken = count()
        assert foreign.now() == foreign.before, f"step {step} of {taken}"
        if step >= taken:
            break
    assert done


@pytest.mark.parametrize("work", [write_report, write_log, lock, decide])
def test_a_link_to_nowhere_makes_no_file(tmp_path: Path, work: Callable[[Path], None]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("file", "file.lock", "file.run-r", "file.review"):
        (folder / name).symlink_to(tmp_path / "made")
    with pytest.raises(RunError, match=r"link|links"):
        work(folder)
    assert not (tmp_path / "made").exists()


def test_a_report_goes_to_a_device_and_standard_output(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tagger.report.writer import ReportWriter\n"
        "with ReportWriter(Path(sys.argv[1]), {}, '', 'run'): pass\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for place in ("/dev/null", "/dev/stdout"):
        with (tmp_path / "out").open("wb") as out:
            line = [sys.executable, "-c", code, place]
            subprocess.run(line, stdout=out, check=True, env=environment)
        assert (tmp_path / "out").read_bytes().startswith(b"path,") == (place == "/dev/stdout")
