"""Decide on a guess and write the tag."""

from dataclasses import replace

from tagger import __version__
from tagger.errors import RunError, UnsupportedError
from tagger.evidence.decide import decide
from tagger.failing import outcome_of
from tagger.records import (
    Entry,
    Guess,
    Outcome,
    Provenance,
    Status,
    Tag,
)
from tagger.run.stages import Looked, Model, Settings
from tagger.storage.base import Storage
from tagger.writing.copies import Output
from tagger.writing.write_tag import Recorder, see_unlinked, write_tag


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
    outcome = settle(storage, model, recorder, settings, item.entry, item.guess, output)
    # An old guess that still is not accepted is no news for the ledger.
    return replace(outcome, fresh=item.fresh or outcome.landmark is not None)


def settle(
    storage: Storage,
    model: Model,
    recorder: Recorder | None,
    settings: Settings,
    entry: Entry,
    guess: Guess,
    output: Output | None = None,
) -> Outcome:
    """Decide on a guess and, where it is accepted, write the tag."""
    decision = decide(guess, settings.min_conf)
    outcome = Outcome(entry, decision.status, decision.reason, guess)
    if not decision.accepted:
        return outcome
    landmark = model.landmarks[guess.best.slug]
    outcome = replace(outcome, landmark=landmark)
    try:
        see_unlinked(entry, settings.write, output)
    except UnsupportedError as error:
        return replace(outcome_of(entry, error), guess=guess)
    if recorder is None:
        return replace(outcome, status=Status.WOULD_TAG)
    provenance = Provenance(
        "landmark-tag", __version__, model.sha256, guess.best.confidence, settings.run_id
    )
    try:
        tag = Tag(landmark, settings.coords, provenance)
        where = write_tag(storage, recorder, entry, tag, settings.write, output)
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a photo does, the run goes on
        return replace(outcome_of(entry, error), guess=guess)
    return replace(outcome, reason="; ".join(filter(None, (decision.reason, where))))
