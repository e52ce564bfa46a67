"""One run at a time over the same photos: locks that the system drops when their process dies."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tagger.errors import LockedError, RunError
from tagger.storage.named_files import no_link
from tagger.system import lock, moves_open_files


@contextmanager
def gate(ledger: Path) -> Iterator[None]:
    """One process at a time, of all that use this ledger.

    Raises:
        OSError: no lock can be made beside it.
    """
    with open(ledger.with_name(f"{ledger.name}.lock"), "ab", opener=no_link) as file:
        lock(file, wait=True)
        yield


@contextmanager
def only_run(ledger: Path, run_id: str, targets: Sequence[str]) -> Iterator[None]:
    """Hold the photos under ``targets`` (absolute paths or URLs) for as long as the block lasts.

    Each run has a file beside the ledger, locked while the run lives and naming its targets. A
    file that can be locked belongs to a run that has ended, and is removed.

    Raises:
        LockedError: another run is working on some of the same photos.
        RunError: no file can be made beside the ledger.
    """
    prefix = f"{ledger.name}.run-"
    mine = ledger.with_name(f"{prefix}{run_id}")
    try:
        with gate(ledger):  # held briefly, so that of two starting runs only one passes
            for other in sorted(ledger.parent.glob(f"{_escaped(prefix)}*")):
                _pass(other, targets)
            # Not an older one: another user could have put a link or file there.
            file = open(  # noqa: SIM115 - held, locked, until the run ends
                mine, "x+", encoding="utf-8", errors="surrogateescape", opener=no_link
            )
            lock(file, wait=False)
            file.write("\n".join(targets))
            file.flush()
    except OSError as error:
        raise RunError(
            f"--ledger {ledger}: no lock can be made beside it ({error.strerror}); "
            "choose another place"
        ) from error
    try:
        yield
    finally:
        if not moves_open_files():
            file.close()
        with suppress(OSError):
            mine.unlink()
        file.close()


def _pass(other: Path, targets: Sequence[str]) -> None:
    """Remove a dead run's file, or check that a live run works on other photos."""
    with (
        suppress(FileNotFoundError),
        open(other, encoding="utf-8", errors="surrogateescape", opener=no_link) as file,
    ):
        if lock(file, wait=False):
            if not moves_open_files():
                file.close()  # no one else takes it: we hold the gate
            other.unlink()
            return
        for theirs in file.read().split("\n"):
            for ours in targets:
                if overlap(ours, theirs):
                    raise LockedError(
                        f"{ours}: another run is working on {theirs}; wait until it has ended"
                    )


def overlap(one: str, other: str) -> bool:
    """Whether one of two places is, or lies in, the other."""
    first, second = (place.rstrip("/" + os.sep) + "/" for place in (one, other))
    return first.startswith(second) or second.startswith(first)


def _escaped(prefix: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in prefix)
