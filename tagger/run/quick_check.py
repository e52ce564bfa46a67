"""Which photos are settled on the caller's thread: while their first bytes come quickly."""

import math
import time
from collections.abc import Callable
from typing import TypeVar

from tagger.records import Entry
from tagger.run.inspect import check
from tagger.run.stages import WorkItem
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage

T = TypeVar("T")
# Seconds to read and check a head; above this, photos are processed in parallel.
SLOW = 1e-3


class QuickCheck:
    """Settles photos by their first bytes on the caller's thread, while these come quickly.

    To hand a photo whose head is in the system's cache to another thread and back costs more than
    to read it. From a slow disk, a share or a bucket, threads wait side by side instead.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._mean = 0.0 if isinstance(storage, LocalStorage) else math.inf  # seconds

    def __call__(self, entry: Entry) -> WorkItem | None:
        """The photo's outcome, or None if it has to be decoded."""
        outcome = self.quickly(lambda: check(self._storage, entry))
        return WorkItem(entry, outcome) if outcome else None

    def quickly(self, work: Callable[[], T]) -> T | None:
        """The result of ``work``; None if it has to be done on another thread."""
        if self._mean > SLOW:
            return None
        start = time.perf_counter()
        answer = work()
        self._mean += (time.perf_counter() - start - self._mean) / 16
        return answer
