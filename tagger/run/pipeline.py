"""The order of the stages: one Outcome for each listed photo, in listing order."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from tagger.evidence.sources import Sources
from tagger.model.thumbnail_net import ThumbnailNet
from tagger.records import Entry, Outcome
from tagger.run.inspect import check_and_decode
from tagger.run.known import news, recall, recalled_as
from tagger.run.library_pass import compared
from tagger.run.limits import RunLimits
from tagger.run.ordered import batches, in_order
from tagger.run.quick_check import QuickCheck
from tagger.run.settle import decide_and_write
from tagger.run.stages import Classify, Finder, Memory, Settings, WorkItem
from tagger.run.survey import survey
from tagger.run.thumbnails import AT_ONCE, check_thumbnails
from tagger.run.united import united
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.writing.copies import Output

if TYPE_CHECKING:  # it loads torch
    from tagger.evidence.library import LibrarySource

# Photos settled without the classifier may wait for a batch to fill, but only this many: the
# report keeps moving and memory stays flat. Nor do they wait longer than this many seconds, so that
# a signal, or too many failures, end a run soon where photos come in slowly.
MOST_WAITING = 4096
PATIENCE = 2.0


def run(
    storage: Storage,
    classifier: Classify,
    recorder: Memory | None,
    settings: Settings,
    stop: Callable[[], bool] = lambda: False,
    output: Output | None = None,
    limits: RunLimits | None = None,
    sources: Sources | None = None,
    thumbnails: ThumbnailNet | None = None,
) -> Iterator[Outcome]:
    """Tag what ``storage`` lists; ``stop`` is called between photos, what is begun is finished.

    ``limits`` counts the photos that no earlier run knows, and may end the listing. ``sources``
    estimate the position of each photo without one, by what a first pass over all photos gathers.
    With ``thumbnails``, photos whose own thumbnail shows nothing known are not decoded.

    Without a recorder nothing could be undone, so nothing is written: that is a dry run.

    A photo's failure is its outcome. Memory does not grow with the number of photos.
    """

    net = thumbnails.asking(classifier.possible) if thumbnails and settings.by_thumbnails else None
    net_sha256 = net.sha256 if net else ""

    def moved(entry: Entry) -> WorkItem | None:
        if settings.rescan or not isinstance(recorder, Finder):
            return None
        seen = recorder.moved(entry)
        sha256, output = classifier.sha256, settings.output
        answer = recalled_as(entry, seen, sha256, output, net_sha256) if seen else None
        # A name that is new is news, whatever is known of the content.
        return replace(answer, fresh=True) if answer and seen and seen.elsewhere else answer

    def ended() -> bool:
        # The survey does not ask the clock: what it finds is kept for the next run.
        return stop() or (limits is not None and limits.over())

    def by_thumbnails(some: list[WorkItem]) -> list[WorkItem]:
        return check_thumbnails(storage, some, net, moved) if net else some

    def decode(item: WorkItem) -> WorkItem:
        size, resize = classifier.image_size, classifier.resize
        answer = check_and_decode(
            storage, item.entry, size, resize, moved=moved, opened=item.opened, data=item.data,
            net=None if item.passed else net,
        )  # fmt: skip
        return replace(answer, estimates=item.estimates, shot=item.shot)

    def recalled(entry: Entry) -> WorkItem | None:
        return recall(recorder, entry, classifier.sha256, settings, limits, net_sha256)

    quick_check = QuickCheck(storage)

    def ready(item: WorkItem) -> WorkItem:
        if sources is not None:
            return item
        return recalled(item.entry) or quick_check(item.entry) or item

    def waits(item: WorkItem) -> bool:
        return not settled(item)

    def if_settled(item: WorkItem) -> WorkItem | None:
        return item if settled(item) else None

    def unless_waiting(some: list[WorkItem]) -> list[WorkItem] | None:
        return None if any(map(waits, some)) else some

    def decided(item: WorkItem) -> Outcome:
        return decide_and_write(storage, classifier, recorder, settings, item, output)

    library = sources.library if sources else None
    window = (1 + classifier.lanes) * settings.batch_size + settings.workers
    listed = takewhile(lambda _: not (limits and limits.full()), storage.list())
    if sources is None:
        items: Iterator[WorkItem] = map(WorkItem, listed)
    else:
        begun = takewhile(lambda _: not stop(), listed)
        items = survey(storage, begun, sources, recalled, settings.workers, net)
    items = map(ready, items)
    if net and isinstance(storage, LocalStorage):
        groups = batches(items, waits, AT_ONCE, MOST_WAITING, PATIENCE)
        workers = settings.workers
        checked = in_order(by_thumbnails, groups, workers, workers + 1, unless_waiting)
        items = itertools.chain.from_iterable(checked)
    decoded = in_order(decode, items, settings.workers, window, if_settled)
    guessed = takewhile(
        lambda _: not ended(), classified(decoded, classifier, settings.batch_size, library)
    )
    shots = united(guessed, settings.min_conf)
    done = in_order(decided, shots, settings.writers, settings.writers, lambda item: item.outcome)
    for outcome in done:
        yield news(outcome, recorder)


def settled(item: WorkItem) -> bool:
    """Whether it need not be decoded."""
    return item.outcome is not None or item.guess is not None


def classified(
    items: Iterable[WorkItem],
    classifier: Classify,
    size: int,
    library: "LibrarySource | None" = None,
) -> Iterator[WorkItem]:
    """Guesses for those that were decoded, in batches; the others pass through in their place."""

    def guessed(batch: list[WorkItem]) -> list[WorkItem]:
        views = [item.views for item in batch if item.views]
        if not views:
            return batch
        if library:
            guesses, descriptions = library.classify(views)
            batch = compared(batch, descriptions, library)
        else:
            guesses = classifier.classify(views)
        each = iter(guesses)
        return [
            replace(item, views=None, guess=next(each)) if item.views else item for item in batch
        ]

    whole = batches(items, lambda item: item.views is not None, size, MOST_WAITING, PATIENCE)
    # One batch more than it works on, so that it need not wait while the last one is written.
    for batch in in_order(guessed, whole, classifier.lanes, classifier.lanes + 1):
        yield from batch
