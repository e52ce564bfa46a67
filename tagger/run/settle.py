"""Decide on a guess and write the tag."""

import math
from collections.abc import Sequence
from dataclasses import replace

from tagger import __version__
from tagger.errors import RunError, UnsupportedError
from tagger.evidence.decide import DECIMALS, decide
from tagger.evidence.estimate import DEGREE_DECIMALS, Estimate
from tagger.evidence.weigh import Conclusion, Sight, weigh
from tagger.failing import outcome_of
from tagger.places.known import pack_of
from tagger.records import (
    Acceptance,
    CameraPosition,
    Coords,
    Entry,
    Guess,
    Landmark,
    Outcome,
    Provenance,
    Source,
    Status,
    Tag,
)
from tagger.run.stages import ModelFacts, Settings, WorkItem
from tagger.storage.base import Storage
from tagger.writing.copies import Output
from tagger.writing.recorded import Recorder
from tagger.writing.write_tag import see_unlinked, write_tag


def decide_and_write(
    storage: Storage,
    model: ModelFacts,
    recorder: Recorder | None,
    settings: Settings,
    item: WorkItem,
    output: Output | None = None,
) -> Outcome:
    """The outcome of a photo that has a guess, as :func:`decide_and_write_guess` makes it.

    The best guess decides for all photos of a shot; if it places nothing, the photo's own guess is
    reported and kept.
    """
    assert item.guess is not None
    shown = item.shown or item.guess
    outcome = decide_and_write_guess(
        storage, model, recorder, settings, item.entry, shown, output, item.estimates
    )
    if item.shown and outcome.landmark:
        outcome = replace(outcome, reason=f"{outcome.reason}; as {item.shown_by} of the shot shows")
    elif item.shown and outcome.status in (Status.UNSURE, Status.NO_LANDMARK):
        outcome = decided(model, settings, item.entry, item.guess, item.estimates)
    # An old guess that still is not accepted is no news for the ledger.
    return replace(outcome, fresh=item.fresh or bool(outcome.landmark or outcome.camera))


def decide_and_write_guess(
    storage: Storage,
    model: ModelFacts,
    recorder: Recorder | None,
    settings: Settings,
    entry: Entry,
    guess: Guess,
    output: Output | None = None,
    estimates: Sequence[Estimate] = (),
) -> Outcome:
    """Decide by a guess and by other sources' estimates; if a place is accepted, write it."""
    outcome = decided(model, settings, entry, guess, estimates)
    if not (outcome.landmark or outcome.camera):
        return outcome
    try:
        see_unlinked(entry, settings.write, output)
    except UnsupportedError as error:
        return replace(outcome_of(entry, error), guess=guess)
    if recorder is None:
        return replace(outcome, status=Status.WOULD_TAG)
    sure = outcome.camera.probability if not outcome.landmark and outcome.camera else 0.0
    provenance = Provenance(
        "landmark-tag",
        __version__,
        model.sha256,
        guess.best.confidence if outcome.landmark else sure,
        settings.run_id,
    )
    coords = Coords.SUBJECT if outcome.subject_only else settings.coords
    try:
        tag = Tag(outcome.landmark, coords, provenance, outcome.camera)
        where = write_tag(storage, recorder, entry, tag, settings.write, output)
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a photo does, the run continues
        return replace(outcome_of(entry, error), guess=guess)
    return replace(outcome, reason="; ".join(filter(None, (outcome.reason, where))))


def decided(
    model: ModelFacts, settings: Settings, entry: Entry, guess: Guess, estimates: Sequence[Estimate]
) -> Outcome:
    """The outcome before anything is written: what the photo shows, and where it was taken."""
    decision = decide(guess, settings.min_conf)
    if decision.accepted and (pack := pack_of(guess.best.slug)):
        decision = replace(decision, reason=f"{decision.reason}; place of the pack {pack}")
    outcome = Outcome(entry, decision.status, decision.reason, guess)
    landmark = model.landmarks.get(guess.best.slug)
    if Source.LANDMARK in settings.sources and not estimates and not _others(settings):
        return replace(outcome, landmark=landmark) if decision.accepted else outcome
    outcome = replace(outcome, answers=_answers(landmark, guess, estimates))
    sight = Sight(landmark, guess.best.confidence, decision.accepted) if landmark else None
    verdict = weigh(sight, estimates, settings.sources, settings.min_conf)
    if verdict.contradiction:
        return replace(outcome, status=Status.UNSURE, reason=verdict.contradiction)
    camera = None
    if verdict.camera and settings.coords is not Coords.SUBJECT:
        camera = _written(verdict.camera)
    if verdict.subject and verdict.elsewhere and settings.coords is Coords.CAMERA:
        reason = f"{verdict.subject.name} is {verdict.elsewhere}"
        return replace(outcome, status=Status.UNSURE, reason=reason)
    if verdict.subject or camera:
        elsewhere = verdict.elsewhere and f"{verdict.elsewhere}; only the subject is written"
        return replace(
            outcome,
            status=Status.TAGGED,
            reason=elsewhere or verdict.evidence or decision.reason,
            landmark=verdict.subject,
            camera=camera,
            subject_only=bool(verdict.elsewhere),
        )
    return _left(outcome, decision, verdict, settings, estimates)


def _others(settings: Settings) -> bool:
    """Whether sources are in use that may explain why they have no answer."""
    return not set(settings.sources) <= {Source.LANDMARK, Source.PAIR}


def _left(
    outcome: Outcome,
    decision: Acceptance,
    verdict: Conclusion,
    settings: Settings,
    estimates: Sequence[Estimate],
) -> Outcome:
    """The outcome of a photo that gets no tag, with a hint what would place it."""
    placeable = [one for one in verdict.witnesses if not one.refused]
    status = Status.UNSURE if decision.accepted else decision.status
    words = [decision.reason if status is decision.status else "--from leaves landmarks out"]
    words += [f"{one.source} places it ({one.words}); add --from all" for one in placeable[:1]]
    if verdict.camera:
        words.append(
            f"{verdict.camera.source} places it ({verdict.camera.words}); add --coords both"
        )
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
        round(estimate.latitude, DEGREE_DECIMALS),
        round(estimate.longitude, DEGREE_DECIMALS),
        math.ceil(estimate.radius_95_m),
        estimate.source,
        estimate.words,
        estimate.probability,
    )


def _answers(
    landmark: Landmark | None, guess: Guess, estimates: Sequence[Estimate]
) -> tuple[str, ...]:
    """What each source says, in words."""
    name = landmark.name if landmark else guess.best.slug
    first = f"{Source.LANDMARK}: {name}, confidence {guess.best.confidence:.{DECIMALS}f}"
    if guess.thumbnail:
        first = f"{Source.LANDMARK}: none, by the thumbnail"
    return (
        first,
        *(
            f"{one.source}: {one.latitude:.5f}, {one.longitude:.5f} within "
            f"{one.radius_95_m:,.0f} m, {one.words}"
            + (f"; not written: {one.refused}" if one.refused else "")
            for one in estimates
        ),
    )
