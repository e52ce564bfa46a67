"""Kill runs and undos at random moments, and look at what is left; run by test_crash.py.

A run is a fork of this process that tags a folder of photos through the ledger and is killed
with SIGKILL. The last line printed is a JSON summary; a broken promise is an AssertionError.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from places import tag

from tagger import metadata
from tagger.ledger.history import State
from tagger.ledger.ledger import Ledger
from tagger.ledger.undo import Undoing, undo
from tagger.records import SidecarMode
from tagger.storage.local import LocalStorage
from tagger.storage.local_listing import TEMP_PREFIX
from tagger.writing.write_tag import WriteOptions, write_tag


def options(path: str) -> WriteOptions:
    """Every third photo gets a sidecar, so that creating and removing files is cut short too."""
    third = int(Path(path).stem) % 3 == 2
    return WriteOptions(SidecarMode.ALWAYS if third else SidecarMode.AUTO)


def tag_all(photos: Path, ledger: Path, run_id: str) -> None:
    storage = LocalStorage([photos])
    with Ledger.open(ledger) as book, book.begin(run_id, [str(photos)], {}) as recorder:
        for entry in storage.list():
            write_tag(storage, recorder, entry, tag(run_id=run_id), options(entry.key))


def undo_all(ledger: Path, run_id: str) -> Counter[Undoing]:
    with Ledger.open(ledger) as book:
        done = undo(lambda _key: LocalStorage(), book, book.find(run_id))
        return Counter(undone.result for undone in done)


def killed_after(seconds: float, work: Callable[[], object]) -> bool:
    """Do ``work`` in a child process and kill it; False if it had already ended."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:  # an error must not run on into the parent's part
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the run failed"
    return os.WIFSIGNALED(status)


def contents(photos: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in photos.iterdir()
        if not path.name.startswith(TEMP_PREFIX)
    }


def check_old_or_new(photos: Path, before: dict[str, tuple[bytes, int]], run_id: str) -> int:
    """Check that each photo and sidecar is as before or after; returns how many are new."""
    new = 0
    now = contents(photos)
    assert set(before) <= set(now), "a photo is gone"
    for name, (data, mtime_ns) in now.items():
        if name in before:
            old, time_before = before[name]
            assert mtime_ns == time_before, f"{name}: its time changed"
            wanted = metadata.tagged(old, tag(run_id=run_id))
        else:
            old, wanted = b"", metadata.sidecar(None, tag(run_id=run_id))
            assert name.removesuffix(".xmp") in before, f"{name}: a stray file"
        assert data in (old, wanted) and data, f"{name}: neither old nor new"
        new += data == wanted
    return new


def main(photos: Path, ledger: Path, rounds: int, seed: int) -> None:
    chance, seen = random.Random(seed), Counter[str]()
    before = contents(photos)
    run_takes = undo_takes = 0.0
    for run_id in ("cold", "warm"):
        started = time.monotonic()
        tag_all(photos, ledger, run_id)
        run_takes, started = time.monotonic() - started, time.monotonic()
        undo_all(ledger, run_id)
        undo_takes = time.monotonic() - started
    for number in range(rounds):
        run_id = f"run-{number:04d}"
        cut = killed_after(
            chance.uniform(0, run_takes),
            lambda run_id=run_id: tag_all(photos, ledger, run_id),  # type: ignore[misc]
        )
        seen["runs cut short"] += cut
        run_takes *= 1.03 if cut else 0.9  # the axe follows the disk's moods
        new = check_old_or_new(photos, before, run_id)
        seen["partly done"] += 0 < new < len(before)
        seen["with a temporary file"] += any(p.name[:1] == "." for p in photos.iterdir())
        list(LocalStorage([photos]).list())
        assert not [p for p in photos.iterdir() if p.name[:1] == "."], "a stray temporary file"
        with Ledger.open(ledger) as book:
            if run_id not in {run.run_id for run in book.runs()}:
                assert new == 0, "written, but not in the ledger"
                seen["before the run was noted"] += 1
                continue
            states = [change.state for change in book.changes(run_id)]
        assert states.count(State.INTENDED) + states.count(State.WRITTEN) >= new
        seen["with an intent left open"] += State.INTENDED in states
        if number % 2:
            seen["undos cut short"] += killed_after(
                chance.uniform(0, undo_takes),
                lambda run_id=run_id: undo_all(ledger, run_id),  # type: ignore[misc]
            )
            check_old_or_new(photos, before, run_id)
        assert not undo_all(ledger, run_id)[Undoing.REFUSED]
        list(LocalStorage([photos]).list())
        assert contents(photos) == before, "undo did not bring everything back"
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
