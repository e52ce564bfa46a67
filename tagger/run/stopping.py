"""Ctrl-C, SIGTERM and SIGHUP: the current photo is finished, then the run ends."""

import signal
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Self, TypeVar

T = TypeVar("T")


class StopOnSignal:
    """A signal stops the run after the current photo; a second Ctrl-C stops it at once."""

    def __init__(self) -> None:
        self._asked = False

    def asked(self) -> bool:
        return self._asked

    def __enter__(self) -> Self:
        signals = [signal.SIGINT, signal.SIGTERM]
        # Windows has none; nohup has it ignored, and so it stays.
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
            signals.append(hangup)
        self._before = {number: signal.signal(number, self._ask) for number in signals}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """The items until a signal arrives; the next one is not started."""
        for item in items:
            yield item
            if self._asked:
                return
