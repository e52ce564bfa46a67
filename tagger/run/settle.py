"""Decide on a guess and write the tag."""

import math
from collections.abc import Sequence
from dataclasses import replace

from tagger import __version__
from tagger.errors import RunError, UnsupportedError
from tagger.evidence.decide import decide
from tagger.evidence.estimate import Estimate
from tagger.evidence.weigh import Sight, weigh
from tagger.failing import outcome_of
from tagger.records import (
    CameraPosition,
    Entry,
    Guess,
    Outcome,
    Provenance,
    Source,
    Status,
    Tag,
)
from tagger.run.stages import Looked, Model, Settings
from tagger.storage.base import Storage
from tagger.writing.copies import Output
from tagger.writing.recorded import Recorder
from tagger.writing.write_tag import see_unlinked, write_tag


def finished(
    storage: Storage,
    model: Model,
    recorder: Recorder | None,
    settings: Settings,
    item: Looked,
    output: Output | None = None,
) -> Outcome:
    """The outcome of a photo that has a guess, as :func:`settle` makes it."""
    assert item.guess is not None
    outcome = settle(
        storage, model, recorder, settings, item.entry, item.guess, output, item.estimates
    )
    # An old guess that still is not accepted is no news for the ledger.
    return replace(outcome, fresh=item.fresh or bool(outcome.landmark or outcome.camera))


def settle(
    storage: Storage,
    model: Model,
    recorder: Recorder | None,
    settings: Settings,
    entry: Entry,
    guess: Guess,
    output: Output | None = None,
    estimates: Sequence[Estimate] = (),
) -> Outcome:
    """Decide by a guess and by what other sources say; where a place is accepted, write it."""
    outcome = decided(model, settings, entry, guess, estimates)
    if not (outcome.landmark or outcome.camera):
        return outcome
    try:
        see_unlinked(entry, settings.write, output)
    except UnsupportedError as error:
        return replace(outcome_of(entry, error), guess=guess)
    if recorder is None:
        return replace(outcome, status=Status.WOULD_TAG)
    confidence = guess.best.confidence if outcome.landmark else _probability(outcome, estimates)
    provenance = Provenance("landmark-tag", __version__, model.sha256, confidence, settings.run_id)
    try:
        tag = Tag(outcome.landmark, settings.coords, provenance, outcome.camera)
        where = write_tag(storage, recorder, entry, tag, settings.write, output)
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a photo does, the run goes on
        return replace(outcome_of(entry, error), guess=guess)
    return replace(outcome, reason="; ".join(filter(None, (outcome.reason, where))))


def decided(
    model: Model, settings: Settings, entry: Entry, guess: Guess, estimates: Sequence[Estimate]
) -> Outcome:
    """The outcome before anything is written: what the photo shows, and where it was taken."""
    decision = decide(guess, settings.min_conf)
    outcome = Outcome(entry, decision.status, decision.reason, guess)
    landmark = model.landmarks.get(guess.best.slug)
    if settings.sources == (Source.LANDMARK,) and not estimates:
        return replace(outcome, landmark=landmark) if decision.accepted else outcome
    sight = Sight(landmark, guess.best.confidence, decision.accepted) if landmark else None
    verdict = weigh(sight, estimates, settings.sources, settings.min_conf)
    if verdict.contradiction:
        return replace(outcome, status=Status.UNSURE, reason=verdict.contradiction)
    camera = _written(verdict.camera) if verdict.camera else None
    if verdict.subject or camera:
        reason = verdict.evidence or decision.reason
        return replace(
            outcome, status=Status.TAGGED, reason=reason, landmark=verdict.subject, camera=camera
        )
    placeable = [one for one in verdict.witnesses if not one.refused]
    status = Status.UNSURE if decision.accepted else decision.status
    words = [decision.reason if status is decision.status else "--from leaves landmarks out"]
    words += [f"{one.source} places it ({one.words}); add --from all" for one in placeable[:1]]
    words += [
        f"{one.source}: {one.refused}"
        for one in estimates
        if one.refused and one.source in settings.sources
    ]
    return replace(
        outcome, status=status, reason="; ".join(filter(None, words)), placeable=bool(placeable)
    )


def _written(estimate: Estimate) -> CameraPosition:
    return CameraPosition(
        estimate.latitude,
        estimate.longitude,
        math.ceil(estimate.radius_95_m),
        estimate.source,
        estimate.words,
    )


def _probability(outcome: Outcome, estimates: Sequence[Estimate]) -> float:
    assert outcome.camera is not None
    source = outcome.camera.source
    return next(one.probability for one in estimates if one.source is source)
