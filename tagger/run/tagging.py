"""A whole run: from photos, settings and a model to outcomes, noted in the ledger."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tagger.evidence.sources import Sources
from tagger.ledger.ledger import Ledger
from tagger.ledger.recorder import RunRecorder
from tagger.model.lazy import LazyClassifier
from tagger.records import Outcome
from tagger.run import pipeline
from tagger.run.limits import RunLimits
from tagger.run.stages import Settings
from tagger.storage.base import Storage
from tagger.storage.urls import absolute
from tagger.writing.copies import output_at


@contextlib.contextmanager
def tagging(
    paths: Sequence[str],
    storage: Storage,
    classifier: LazyClassifier,
    settings: Settings,
    *,
    dry_run: bool,
    ledger: Path | None = None,
    output: str = "",
    engine: Callable[..., Iterator[Outcome]] = pipeline.run,
    stop: Callable[[], bool] = lambda: False,
    limits: RunLimits | None = None,
    gather: Callable[[Path | None], Sources] | None = None,
) -> Iterator[Iterator[Outcome]]:
    """A run over ``paths``, which ``storage`` lists; the work is done as outcomes are consumed.

    An outcome goes into the ledger when the next one is requested, that is when the caller is
    done with it. At the end of the block the run ends, also where outcomes are left.

    Args:
        dry_run: write into no photo and note nothing in the ledger.
        ledger: its file; None for the one in the state folder.
        output: where tagged copies go; empty to write into the photos.
        gather: makes the sources of positions beside the landmarks; it is given the ledger's file,
            beside which their index lies, or None in a dry run.
        engine: what runs the stages: :func:`tagger.run.pipeline.run`, or the same on a cluster.

    Raises:
        RunError: the ledger, the output or the model cannot be used.
        LockedError: another run is working on some of the same photos.
    """
    copies = output_at(output, paths, settings.endpoint_url) if output else None
    with contextlib.ExitStack() as stack:
        book = None if dry_run else stack.enter_context(Ledger.open(ledger))
        if book is None or not book.has_run(classifier.sha256):
            classifier.load()  # a model that fails a check must stop the run before it starts
        recorder = None
        if book:
            targets = [absolute(place) for place in (*paths, output) if place]
            recorder = stack.enter_context(
                book.begin(settings.run_id, targets, asdict(settings), classifier.sha256)
            )
        sources = gather(book.path if book else None) if gather else None
        if sources:
            stack.callback(sources.close)
        outcomes = engine(
            storage, classifier, recorder, settings, stop, copies, limits, sources,
            classifier.thumbnails,
        )  # fmt: skip
        yield stack.enter_context(contextlib.closing(_noted(outcomes, recorder)))


def _noted(
    outcomes: Iterator[Outcome], recorder: RunRecorder | None
) -> Generator[Outcome, None, None]:
    for outcome in outcomes:
        yield outcome
        if recorder:
            recorder.seen(outcome)
