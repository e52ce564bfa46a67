"""The ledger of a run on Ray: one actor keeps it, workers tell it what they are about to write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tagger.ledger.recorder import RunRecorder
from tagger.ledger.undo_patch import Intending, Intent
from tagger.records import Version
from tagger.run.ray_library import ask


class Books:
    """The ledger's side of a run, as an actor beside the command: the only one that writes there.

    It ends with the command; from then on no worker can note an intent, so none can write.
    """

    def __init__(self, path: Path, run: int) -> None:
        self._recorder, self._stopping = RunRecorder.join(path, run), False

    def note(self, intent: Intent) -> int:
        return self._recorder.note(intent)

    def settle(self, change: int, version: Version | None) -> None:
        self._recorder.settle(change, version)

    def drop(self, change: int) -> None:
        self._recorder.drop(change)

    def stop(self) -> None:
        self._stopping = True

    def stopping(self) -> bool:
        return self._stopping

    def close(self) -> None:
        self._recorder.__exit__(None, None, None)


class Messenger(Intending):
    """The Recorder of a worker: digests and patch are made here, and noted where the ledger is."""

    def __init__(self, books: Any) -> None:
        self._books, self._keys = books, dict[int, str]()
        self.written = dict[str, Version | None]()

    def note(self, intent: Intent) -> int:
        number: int = ask(self._books.note, intent)
        self._keys[number] = intent.key
        return number

    def settle(self, change: int, version: Version | None) -> None:
        ask(self._books.settle, change, version)
        self.written[self._keys.pop(change)] = version

    def drop(self, change: int) -> None:
        ask(self._books.drop, change)


@contextmanager
def kept_books(recorder: RunRecorder | None) -> Iterator[Any]:
    """The actor that keeps the ledger, on this machine."""
    if recorder is None:
        yield None
        return
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(Books)
    books = actor.options(num_cpus=0, scheduling_strategy=here).remote(*recorder.run)
    yield books
    ask(books.close)
