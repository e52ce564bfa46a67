"""One decision for all photos of a shot, by the one with the best guess."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tagger.evidence.decide import decide
from tagger.evidence.estimate import Estimate
from tagger.records import Outcome, Source, Status
from tagger.run.stages import WorkItem


def united(items: Iterable[WorkItem], min_conf: float) -> Iterator[WorkItem]:
    """The photos in their order; those of one shot, which come together, with one answer."""
    shot: list[WorkItem] = []
    for item in items:
        if shot and item.shot != shot[0].shot:
            yield from _decided(shot, min_conf)
            shot = []
        if item.shot is None:
            yield item
            continue
        shot.append(item)
        if len(shot) == item.shot.photos:
            yield from _decided(shot, min_conf)
            shot = []
    if shot:
        yield from _decided(shot, min_conf)


def _decided(shot: Sequence[WorkItem], min_conf: float) -> Iterator[WorkItem]:
    """Each photo with the best guess, and with the estimates for any of them.

    If two photos surely show different landmarks, neither is believed.
    """
    guesses = {item.entry.key: item.guess for item in shot if item.guess and not item.outcome}
    estimates = _all_estimates(shot)
    sure = {
        guess.best.slug: key for key, guess in guesses.items() if decide(guess, min_conf).accepted
    }
    carried = any(one.source is Source.PAIR and not one.refused for one in estimates)
    if len(sure) > 1 and not carried:
        yield from (_doubted(item, tuple(sure.values())) for item in shot)
        return
    best = max(guesses, key=lambda key: guesses[key].best.confidence, default="")
    for item in shot:
        if item.outcome or not item.guess:
            yield item
        elif item.entry.key == best:
            yield replace(item, estimates=estimates)
        else:
            name = os.path.basename(best)
            yield replace(item, estimates=estimates, shown=guesses[best], shown_by=name)


def _doubted(item: WorkItem, keys: Sequence[str]) -> WorkItem:
    if item.outcome or not item.guess:
        return item
    names = " and ".join(map(os.path.basename, keys))
    reason = f"photos of one shot show different landmarks: {names}"
    return replace(item, outcome=Outcome(item.entry, Status.UNSURE, reason, item.guess))


def _all_estimates(shot: Sequence[WorkItem]) -> tuple[Estimate, ...]:
    """One estimate of each source; one that may be written goes before a refused one."""
    by_source: dict[Source, Estimate] = {}
    for one in sorted((e for item in shot for e in item.estimates), key=lambda e: bool(e.refused)):
        by_source.setdefault(one.source, one)
    pair = by_source.get(Source.PAIR)
    return (pair,) if pair else tuple(by_source.values())
