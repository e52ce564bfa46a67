"""The ordered window, and the batches made from it."""

import threading
import time
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tagger.run.ordered import batches, in_order


def test_order_is_kept_and_the_window_is_bounded() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield number

    def slow_when_even(number: int) -> int:
        time.sleep(0.002 if number % 2 == 0 else 0)
        return number

    seen = []
    for number in in_order(slow_when_even, items(), workers=4, window=8):
        seen.append(number)
        assert taken - len(seen) < 8
    assert seen == list(range(50))


def test_stopping_early_cancels_what_has_not_begun() -> None:
    begun = []
    gate = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number:
            gate.wait(5)
        return number

    stream = in_order(work, range(100), workers=1, window=10)
    next(stream)
    gate.set()
    stream.close()  # type: ignore[attr-defined]
    assert len(begun) < 20


@given(st.lists(st.booleans()), st.integers(1, 5), st.integers(5, 9))
def test_batches_keep_all_items_in_order(flags: list[bool], size: int, limit: int) -> None:
    items = list(enumerate(flags))
    cut = list(batches(items, lambda item: item[1], size, limit))
    assert [item for batch in cut for item in batch] == items
    for batch in cut:
        counted = sum(flag for _, flag in batch)
        assert counted <= size and len(batch) <= limit
    assert all(sum(flag for _, flag in batch) == size or len(batch) == limit for batch in cut[:-1])


def test_a_batch_does_not_wait_for_slow_photos() -> None:
    def slowly() -> Iterator[int]:
        for number in range(8):
            time.sleep(0.03)
            yield number

    cut = list(batches(slowly(), lambda item: item == 0, 4, 100, patience=0.05))
    assert [item for batch in cut for item in batch] == list(range(8))
    assert 2 < len(cut) < 8
