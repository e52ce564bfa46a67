"""When a run stops before its last photo: enough photos, enough time, too many failures."""

import time
from collections.abc import Callable

from tagger.errors import FailingError
from tagger.records import Outcome, Status

FAILING = frozenset({Status.FAILED, Status.UNREADABLE})
# Of fewer photos, one that fails would be a large part.
MIN_SAMPLE = 20


class RunLimits:
    """The limits of a run, and how close it is to them.

    Args:
        photos: how many may be processed: new ones, changed ones, and with another model
            those that were not tagged. None for all.
        seconds: how long photos may be started. None: no limit.
        fail_over: percent of photos that may fail or be unreadable. None for all.
    """

    def __init__(
        self,
        photos: int | None = None,
        seconds: float | None = None,
        fail_over: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._photos, self._fail_over, self._clock = photos, fail_over, clock
        self._end = None if seconds is None else clock() + seconds
        self._begun = self._seen = self._seen_failing = self._fresh = self._fresh_failing = 0
        self.reached = ""  # the option that ended the run

    def begin(self) -> None:
        """Count a photo that is about to be processed."""
        self._begun += 1

    def full(self) -> bool:
        """Whether enough photos were started; called before each photo."""
        return self._is("--limit", self._photos is not None and self._begun >= self._photos)

    def count(self, outcome: Outcome) -> None:
        """Count the outcome of a photo."""
        failing = outcome.status in FAILING
        self._seen += 1
        self._seen_failing += failing
        if outcome.fresh:
            self._fresh += 1
            self._fresh_failing += failing

    def over(self) -> bool:
        """Whether time is up, or too many of the fresh photos failed so far."""
        late = self._end is not None and self._clock() >= self._end
        enough = self._fresh >= MIN_SAMPLE
        return self._is(
            "--fail-over", enough and self._too_many(self._fresh_failing, self._fresh)
        ) or self._is("--max-time", late)

    def check(self) -> None:
        """At the end of a run: check the failures among all photos in the report, however few.

        Raises:
            FailingError: too many failed, at the end or before.
        """
        if self.reached == "--fail-over":
            failing, done = self._fresh_failing, self._fresh
            message = f"stopped: {failing} of {done} photos failed"
        elif self._too_many(self._seen_failing, self._seen):
            self.reached = "--fail-over"
            message = f"{self._seen_failing} of {self._seen} photos failed"
        else:
            return
        raise FailingError(
            f"{message} or are unreadable, more than --fail-over {self._fail_over:g}%; the report "
            "says why: check the disk or the network, then run again"
        )

    def _too_many(self, failing: int, done: int) -> bool:
        return self._fail_over is not None and 100 * failing > self._fail_over * done

    def _is(self, option: str, so: bool) -> bool:
        if so:
            self.reached = self.reached or option
        return so
