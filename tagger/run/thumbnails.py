"""The first look at several photos of a disk together, by the thumbnails in their first bytes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from tagger import metadata
from tagger.errors import PhotoError
from tagger.imaging.decode import Picture
from tagger.model.thumbnail_net import ThumbnailNet
from tagger.records import Entry
from tagger.run.inspect import nothing_known, read_head, thumbnail_of
from tagger.run.stages import Looked
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.storage.suffixes import is_raw


def looked_at(
    storage: Storage,
    items: Sequence[Looked],
    net: ThumbnailNet,
    moved: Callable[[Entry], Looked | None] = lambda entry: None,
) -> list[Looked]:
    """The photos, with the guesses of those that ``moved`` or their thumbnails settle.

    Only those that were opened before, whose heads are in the system's cache, are looked at.
    """
    answers, pictures = list(items), dict[int, Picture]()
    for number, item in enumerate(items):
        if not pending(storage, item):
            continue
        try:
            if known := moved(item.entry):
                answers[number] = replace(known, estimates=item.estimates, shot=item.shot)
                continue
            head = read_head(storage, item.entry, metadata.HEAD_BYTES)
            picture = thumbnail_of(storage, item.entry, head)
        except PhotoError:  # whoever reads all of it meets it again, and tells
            continue
        if picture:
            pictures[number] = picture
    for number, settled in zip(pictures, net.settles(list(pictures.values())), strict=True):
        if settled:
            answers[number] = replace(items[number], guess=nothing_known(net))
    return answers


def pending(storage: Storage, item: Looked) -> bool:
    """Whether its thumbnail has yet to be looked at."""
    waits = item.opened and not (item.outcome or item.guess or item.data)
    return waits and isinstance(storage, LocalStorage) and not is_raw(item.entry.key)
