"""Memory for large pictures: all threads together stay below one limit."""

import ctypes
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

# Bytes that photos may take at once while they are read and decoded. A run with its model loaded
# takes 0.75 GB without them (measured on Linux, torch 2.14): together they stay below 1.2 GB.
MOST = 400_000_000
LARGE = 32_000_000  # bytes from which a file's own size counts too
RETURNED = 64_000_000  # bytes after which the C library is asked to return freed memory


class Room:
    """A number of bytes; a request for more than is left waits, first come, first served."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._taken = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()
        self._one_file = threading.Lock()
        self._inside = threading.local()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait for ``size`` bytes (at most ``most``), and hold them."""
        size, ticket = min(size, self.most), object()
        with self._changed:
            if getattr(self._inside, "file", False):
                self._queue.appendleft(ticket)  # earlier requests may be waiting for what it holds
            else:
                self._queue.append(ticket)
            try:
                self._changed.wait_for(
                    lambda: self._queue[0] is ticket and self._taken + size <= self.most
                )
                self._taken += size
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            if size >= RETURNED:
                give_back()
            with self._changed:
                self._taken -= size
                self._changed.notify_all()

    def file(self, size: int) -> AbstractContextManager[None]:
        """Room for a file's bytes; inside, :meth:`hold` may ask for the rest.

        One large file at a time: two that hold half each would wait for each other.
        """
        return self._file(size) if size >= LARGE else nullcontext()

    @contextmanager
    def _file(self, size: int) -> Iterator[None]:
        with self._one_file, self.hold(size):
            self._inside.file = True
            try:
                yield
            finally:
                self._inside.file = False


ROOM = Room()


def give_back() -> None:
    """Return freed memory to the system: glibc keeps it in a heap for each thread."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # no glibc; on Windows, no such library
        return None
