"""The undo patch: any two versions of a photo, and damage to the patch."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.blob import Spliced
from tagger.errors import RefusedError
from tagger.ledger import undo_patch

few = st.binary(max_size=40) | st.text("ab", max_size=40).map(str.encode)


@given(few, few, few, few)
def test_any_change_is_undone(start: bytes, older: bytes, newer: bytes, end: bytes) -> None:
    before, after = start + older + end, start + newer + end
    assert undo_patch.restore(after, undo_patch.make(before, after)) == before


@given(few, few, few, few)
def test_a_spliced_version_has_the_same_patch_or_one_as_good(
    start: bytes, older: bytes, newer: bytes, end: bytes
) -> None:
    before = start + older + end
    after = Spliced(start + newer, before, len(start + older))
    assert bytes(after) == start + newer + end
    assert undo_patch.restore(bytes(after), undo_patch.make(before, after)) == before
    other = Spliced(start + newer, bytes(bytearray(before)), len(start + older))
    assert undo_patch.restore(bytes(other), undo_patch.make(before, other)) == before


@given(st.integers(0, 2**32), st.integers(0, 70_000), st.integers(0, 70_000))
def test_large_blocks_that_grow_shrink_or_move(seed: int, older: int, newer: int) -> None:
    make = random.Random(seed)
    common = make.randbytes(make.randrange(100_000))
    cut = make.randrange(len(common) + 1)
    before = common[:cut] + make.randbytes(older) + common[cut:]
    after = common[:cut] + make.randbytes(newer) + common[cut:]
    assert undo_patch.restore(after, undo_patch.make(before, after)) == before


@pytest.mark.parametrize("growth", [12, 700, 5000])
def test_a_header_that_was_patched_and_moved_costs_little(growth: int) -> None:
    make = random.Random(growth)
    photo = make.randbytes(400_000)
    after = photo[:24] + b"\0\1\2\3" + photo[28:300] + make.randbytes(growth) + photo[300:60_000]
    after += b"xmp" * 50 + photo[60_000:]
    assert len(undo_patch.make(photo, after)) < 1500
    assert undo_patch.restore(after, undo_patch.make(photo, after)) == photo


@given(st.binary(max_size=200))
def test_damaged_patches_are_refused(damaged: bytes) -> None:
    with pytest.raises(RefusedError, match="undo record"):
        undo_patch.restore(b"newer bytes", damaged)


def test_a_patch_for_other_bytes_is_refused() -> None:
    older, newer = b"abcdefgh" * 4000, b"abcdefgh" * 2000 + b"X" + b"abcdefgh" * 2000
    patch = undo_patch.make(older + b"1", newer + b"22")
    with pytest.raises(RefusedError):
        undo_patch.restore(b"?" * 32_000, patch)
