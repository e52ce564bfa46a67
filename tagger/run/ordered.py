"""Work on photos in a bounded, ordered window of threads, and batching of what comes out."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    work: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    window: int,
    ready: Callable[[T], R | None] = lambda _: None,
) -> Iterator[R]:
    """``map(work, items)`` on threads: same order, at most ``window`` items in flight.

    Threads help as Pillow releases the interpreter lock while it decodes. If ``ready``, which is
    called on the caller's thread, returns an answer for an item, no thread works on it. When the
    consumer stops early, work not yet begun is cancelled.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    waiting: deque[Future[R] | R] = deque()
    try:
        for item in items:
            known = ready(item)
            if known is not None and not waiting:
                yield known
                continue
            waiting.append(pool.submit(work, item) if known is None else known)
            while waiting and (len(waiting) >= window or not isinstance(waiting[0], Future)):
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(item: Future[R] | R) -> R:
    return item.result() if isinstance(item, Future) else item


def batches(
    items: Iterable[T],
    counts: Callable[[T], bool],
    size: int,
    limit: int,
    patience: float = math.inf,
) -> Iterator[list[T]]:
    """Cut a stream into lists that hold ``size`` items that count, and ``limit`` items at most.

    Items that do not count (photos settled without the classifier) travel along in their place,
    so batches are full even when most photos are skipped, and order is kept. Where items come
    slowly, a batch is handed on after ``patience`` seconds.
    """
    batch: list[T] = []
    counted, began = 0, 0.0
    for item in items:
        began = began if batch else time.monotonic()
        batch.append(item)
        counted += counts(item)
        if counted == size or len(batch) == limit or time.monotonic() - began >= patience:
            yield batch
            batch, counted = [], 0
    if batch:
        yield batch
