"""Check several photos of a disk together, by the thumbnails in their first bytes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from tagger.errors import RunError
from tagger.imaging.decode import Picture
from tagger.metadata.formats.detect import Head
from tagger.model.thumbnail_net import TOGETHER, ThumbnailNet
from tagger.records import Entry
from tagger.run.inspect import HEAD_SIZES, check, nothing_known, read_head, thumbnail_of
from tagger.run.stages import WorkItem
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.storage.suffixes import is_raw

# The classifier is asked of a quarter, in one pass.
AT_ONCE = 2 * TOGETHER


def check_thumbnails(
    storage: Storage,
    items: Sequence[WorkItem],
    net: ThumbnailNet,
    moved: Callable[[Entry], WorkItem | None] = lambda entry: None,
    run_id: str = "",
) -> list[WorkItem]:
    """The photos, settled where their first bytes, ``moved`` or their thumbnails do that."""
    answers, pictures = list(items), dict[int, Picture]()
    for number, item in enumerate(items):
        answer = _small(storage, item, moved, run_id) if pending(storage, item) else None
        if isinstance(answer, WorkItem):
            answers[number] = answer
        elif answer:
            pictures[number] = answer
    for number, settled in zip(pictures, net.settles(list(pictures.values())), strict=True):
        guess = nothing_known(net) if settled else None
        answers[number] = replace(items[number], guess=guess, passed=not settled)
    return answers


def pending(storage: Storage, item: WorkItem) -> bool:
    """Whether its thumbnail has yet to be checked."""
    waits = not (item.outcome or item.guess or item.data)
    return waits and isinstance(storage, LocalStorage) and not is_raw(item.entry.key)


def _small(
    storage: Storage, item: WorkItem, moved: Callable[[Entry], WorkItem | None], run_id: str
) -> WorkItem | Picture | None:
    """What settles the photo, or its thumbnail; None where there is none to trust."""
    heads, entry = list[Head](), item.entry
    try:
        seen = None
        if not item.opened:
            seen = check(storage, entry, lambda head, _: heads.append(head), run_id)
        if seen:
            return replace(item, outcome=seen)
        if known := moved(entry):
            return replace(known, estimates=item.estimates, shot=item.shot)
        for head in heads or (read_head(storage, entry, size) for size in HEAD_SIZES):
            if picture := thumbnail_of(storage, entry, head):
                return picture
        return None
    except RunError:
        raise
    except Exception:  # noqa: BLE001 - whoever reads all of it meets it again, and tells
        return None
