"""When a run stops before its last photo."""

from collections.abc import Iterator

import pytest

from tagger.errors import FailingError
from tagger.records import Entry, Outcome, Status, Version
from tagger.run.limits import MIN_SAMPLE, RunLimits


def outcomes(number: int, status: Status, fresh: bool = True) -> Iterator[Outcome]:
    for index in range(number):
        yield Outcome(Entry(f"{index}.jpg", Version(1, 1)), status, fresh=fresh)


@pytest.mark.parametrize("bad", [Status.FAILED, Status.UNREADABLE])
@pytest.mark.parametrize(
    ("fail_over", "good", "failing", "stops", "fails"),
    [
        (None, 0, 100, False, False),
        (50, 0, 1, False, True),  # one photo is no reason to stop, but all of them failed
        (50, 0, MIN_SAMPLE - 1, False, True),
        (50, 0, MIN_SAMPLE, True, True),
        (50, 50, 50, False, False),  # over, not at
        (50, 50, 51, True, True),
        (0, 1000, 0, False, False),
        (0, 1000, 1, True, True),
        (0.5, 995, 5, False, False),
        (0.5, 995, 6, True, True),
        (100, 0, 1000, False, False),
    ],
)
def test_too_many_failures(
    bad: Status, fail_over: float | None, good: int, failing: int, stops: bool, fails: bool
) -> None:
    limits = RunLimits(fail_over=fail_over)
    for outcome in (*outcomes(good, Status.HAS_GPS), *outcomes(failing, bad)):
        limits.count(outcome)
    assert limits.over() is stops and limits.reached == ("--fail-over" if stops else "")
    if fails:
        message = f"{failing} of {good + failing} photos .*more than --fail-over {fail_over:g}%"
        with pytest.raises(FailingError, match=message):
            limits.check()
    else:
        limits.check()


def test_old_failures_and_old_successes_do_not_decide_about_tonight() -> None:
    limits = RunLimits(fail_over=10)
    for outcome in (*outcomes(10_000, Status.HAS_GPS, False), *outcomes(500, Status.FAILED, False)):
        limits.count(outcome)
    assert not limits.over()
    limits.check()  # 4.8 % of the library
    for outcome in outcomes(MIN_SAMPLE, Status.FAILED):
        limits.count(outcome)
    assert limits.over()  # all that is new


def test_a_library_that_stays_broken_is_no_clean_exit() -> None:
    limits = RunLimits(fail_over=10)
    for outcome in outcomes(30, Status.UNREADABLE, False):
        limits.count(outcome)
    assert not limits.over()
    with pytest.raises(FailingError, match="30 of 30 photos failed"):
        limits.check()


def test_enough_photos() -> None:
    limits = RunLimits(photos=2)
    for _ in range(2):
        assert not limits.full() and limits.reached == ""
        limits.begin()
    assert limits.full() and limits.reached == "--limit"
    assert not RunLimits().full()


def test_time_is_up() -> None:
    now = 100.0
    limits = RunLimits(seconds=60, clock=lambda: now)
    now = 159.0
    assert not limits.over()
    now = 160.0
    assert limits.over() and limits.reached == "--max-time"
    limits.check()
