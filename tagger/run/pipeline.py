"""The order of the stages: one Outcome for each listed photo, in listing order."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Protocol, runtime_checkable

from tagger import __version__, metadata
from tagger.errors import RunError, UnsupportedError
from tagger.evidence.decide import decide
from tagger.failing import outcome_of
from tagger.imaging import decode
from tagger.imaging.room import MOST, ROOM
from tagger.ledger.fingerprint import fingerprint
from tagger.records import (
    Coords,
    Entry,
    GpsState,
    Guess,
    Landmark,
    Outcome,
    Provenance,
    Seen,
    Status,
    Tag,
)
from tagger.run.limits import Limits
from tagger.run.ordered import batches, in_order
from tagger.storage.local import LocalStorage, Storage
from tagger.storage.suffixes import RAW_SUFFIXES, suffix
from tagger.writing import sidecars
from tagger.writing.copies import Output
from tagger.writing.write_tag import Recorder, WriteOptions, see_unlinked, tagged_by, write_tag

# Photos settled without the classifier may wait for a batch to fill, but only this many: the
# report keeps moving and memory stays flat. Nor do they wait longer than this many seconds, so that
# a signal, or too many failures, end a run soon where photos come in slowly.
MOST_WAITING = 4096
PATIENCE = 2.0
# Seconds to read a head and find its GPS, above which photos are looked at side by side.
SLOW = 1e-3
# A photo is read whole, and has to be decoded in what is left of this.
MOST_BYTES = MOST
UNCHANGED = "unchanged since an earlier run"
# What every run tries again: the remedy (a permission, an extra, the network) leaves no trace.
TRIED_AGAIN = frozenset({Status.UNREADABLE, Status.UNSUPPORTED, Status.CHANGED, Status.FAILED})


class Memory(Recorder, Protocol):
    """What the pipeline needs of the ledger."""

    def recall(self, entry: Entry) -> Seen | None:
        """What was seen of this very version of the photo, if anything."""
        ...


@runtime_checkable
class Finder(Protocol):
    """A memory that knows photos by their content too."""

    def moved(self, entry: Entry) -> Seen | None:
        """What was seen of this photo under another name or in another folder, if anything."""
        ...


class Model(Protocol):
    """What is known of a classifier without having it at hand."""

    @property
    def landmarks(self) -> dict[str, Landmark]: ...

    @property
    def sha256(self) -> str: ...


class Classify(Model, Protocol):
    """What the pipeline needs of a classifier."""

    lanes: int

    @property
    def image_size(self) -> int: ...

    @property
    def resize(self) -> decode.Resize: ...

    def classify(self, photos: Sequence[decode.Views]) -> list[Guess]: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run does, validated by the command line; everything a stage may depend on."""

    run_id: str
    min_conf: float = 0.6
    coords: Coords = Coords.BOTH
    batch_size: int = 16
    workers: int = 2
    rescan: bool = False
    write: WriteOptions = field(default_factory=WriteOptions)
    writers: int = 1
    output: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.min_conf <= 1:  # not-a-number too
            raise RunError(f"--min-conf {self.min_conf}: give a probability from 0 to 1")


@dataclass(frozen=True, slots=True)
class Looked:
    """A photo after the first stages: settled, or decoded for the classifier, or with a guess.

    ``fresh`` is False where the guess is an earlier run's.
    """

    entry: Entry
    outcome: Outcome | None = None
    views: decode.Views | None = None
    guess: Guess | None = None
    fresh: bool = True


def run(
    storage: Storage,
    classifier: Classify,
    recorder: Memory | None,
    settings: Settings,
    stop: Callable[[], bool] = lambda: False,
    output: Output | None = None,
    limits: Limits | None = None,
) -> Iterator[Outcome]:
    """Tag what ``storage`` lists; ``stop`` is asked between photos, what is begun is finished.

    ``limits`` are told which photos are looked at afresh, and may end the listing.

    Without a recorder nothing could be undone, so nothing is written: that is a dry run.

    A photo's failure is its outcome. Memory does not grow with the number of photos.
    """

    def moved(entry: Entry) -> Looked | None:
        if settings.rescan or not isinstance(recorder, Finder):
            return None
        seen = recorder.moved(entry)
        return remembered(entry, seen, classifier.sha256, settings.output) if seen else None

    def look(entry: Entry) -> Looked:
        size, resize = classifier.image_size, classifier.resize
        return inspect(storage, entry, size, resize, moved=moved)

    glance = Glance(storage)

    def ready(entry: Entry) -> Looked | None:
        return recalled(recorder, entry, classifier.sha256, settings, limits) or glance(entry)

    def finish(item: Looked) -> Outcome:
        return finished(storage, classifier, recorder, settings, item, output)

    window = (1 + classifier.lanes) * settings.batch_size + settings.workers
    listed = takewhile(lambda _: not (limits and limits.full()), storage.list())
    looked = in_order(look, listed, settings.workers, window, ready)
    guessed = takewhile(lambda _: not stop(), classified(looked, classifier, settings.batch_size))
    done = in_order(finish, guessed, settings.writers, settings.writers, lambda item: item.outcome)
    for outcome in done:
        yield news(outcome, recorder)


def classified(looked: Iterable[Looked], classifier: Classify, size: int) -> Iterator[Looked]:
    """Guesses for those that were decoded, in batches; the others pass through in their place."""

    def guessed(batch: list[Looked]) -> list[Looked]:
        views = [item.views for item in batch if item.views]
        guesses = iter(classifier.classify(views) if views else [])
        return [Looked(item.entry, guess=next(guesses)) if item.views else item for item in batch]

    whole = batches(looked, lambda item: item.views is not None, size, MOST_WAITING, PATIENCE)
    # One batch more than it works on, so that it need not wait while the last one is written.
    for batch in in_order(guessed, whole, classifier.lanes, classifier.lanes + 1):
        yield from batch


class Glance:
    """Settles photos by their first bytes on the caller's thread, while these come quickly.

    To hand a photo whose head is in the system's cache to another thread and back costs more than
    to read it. From a slow disk, a share or a bucket, threads wait side by side instead.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._mean = 0.0 if isinstance(storage, LocalStorage) else math.inf  # seconds

    def __call__(self, entry: Entry) -> Looked | None:
        """The photo's outcome, or None where it has to be looked at properly."""
        if self._mean > SLOW:
            return None
        start = time.perf_counter()
        try:
            outcome = _without_decoding(self._storage, entry, whole=False)[0]
        except RunError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a photo does, the run goes on
            outcome = outcome_of(entry, error)
        self._mean += (time.perf_counter() - start - self._mean) / 16
        return Looked(entry, outcome) if outcome else None


def inspect(
    storage: Storage,
    entry: Entry,
    size: int,
    resize: decode.Resize,
    run_id: str = "",
    moved: Callable[[Entry], Looked | None] = lambda entry: None,
) -> Looked:
    """GPS check on the head bytes, then decode: everything that can be done to a photo alone.

    ``moved`` may know it from another place; then it is not decoded again.

    A tag of this very run counts as none: who wrote it was lost before telling, so that the
    photo goes the same way again.
    """
    try:
        with ROOM.file(entry.version.size):
            outcome, data = _without_decoding(storage, entry, run_id)
            if outcome is not None:
                return Looked(entry, outcome)
            if known := moved(entry):
                return known
            data = data or storage.read(entry.key).data
            if not entry.version.etag:
                entry = replace(entry, fingerprint=fingerprint(data))
            return Looked(entry, views=decode.to_views(data, size, resize))
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a photo does, the run goes on
        return Looked(entry, outcome_of(entry, error))


def _without_decoding(
    storage: Storage, entry: Entry, run_id: str = "", whole: bool = True
) -> tuple[Outcome | None, bytes]:
    """What settles the photo, and its bytes where all were read: if need be and ``whole``."""
    if entry.problem:
        status = Status.FAILED if entry.fault else Status.UNSUPPORTED
        return Outcome(entry, status, entry.problem), b""
    data = b""
    if entry.version.size > MOST_BYTES:
        limit = f"is larger than {MOST_BYTES // 1_000_000} MB"
        raise UnsupportedError(f"{limit}, more than is read here; export a JPEG, or exclude it")
    if suffix(entry.key) in RAW_SUFFIXES:
        raise UnsupportedError("camera raw is not decoded; tag its JPEG, or export one")
    head = storage.read_head(entry.key, metadata.HEAD_BYTES)
    if len(head) < metadata.HEAD_BYTES:
        data = head  # that was all of it
    reading = metadata.gps_state(head, whole=bool(data))
    if reading is None and whole:
        data = storage.read(entry.key).data
        reading = metadata.gps_state(data, whole=True)
    return _by_gps(storage, entry, reading, data or head, run_id), data


def recalled(
    recorder: Memory | None,
    entry: Entry,
    model_sha256: str,
    settings: Settings,
    limits: Limits | None = None,
) -> Looked | None:
    """What the ledger lets us say of a photo without opening it, if anything; else it is begun."""
    seen = recorder.recall(entry) if recorder and not settings.rescan else None
    known = remembered(entry, seen, model_sha256, settings.output) if seen else None
    if limits and not known and not (seen and seen.status in TRIED_AGAIN):
        limits.begin()
    return known


def remembered(entry: Entry, seen: Seen, model_sha256: str, output: str = "") -> Looked | None:
    """What an earlier run lets us say of an unchanged photo without opening it, if anything.

    A photo of which a copy was tagged is settled for runs with the same output.
    """
    match seen.status:
        case Status.TAGGED if seen.output != output:
            return None
        case Status.HAS_GPS | Status.TAGGED:
            copied = seen.status is Status.TAGGED and output
            reason = "a copy was tagged by an earlier run" if copied else UNCHANGED
            return Looked(entry, Outcome(entry, Status.HAS_GPS, reason, fresh=False))
        case Status.UNSURE | Status.NO_LANDMARK:
            if seen.guess and seen.model_sha256 == model_sha256:
                entry = replace(entry, fingerprint=seen.fingerprint)
                return Looked(entry, guess=seen.guess, fresh=False)
    return None


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


def _by_gps(
    storage: Storage, entry: Entry, reading: metadata.GpsReading | None, head: bytes, run_id: str
) -> Outcome | None:
    """The outcome of a photo that is not to be tagged because of the GPS data it has."""
    if reading is None:
        return None
    match reading.state:
        case GpsState.VALID | GpsState.VOID if not tagged_by(head, run_id):
            return Outcome(entry, Status.HAS_GPS, reading.reason)
        case GpsState.MALFORMED:
            return Outcome(entry, Status.UNSUPPORTED, f"left alone: {reading.reason}")
    for sidecar in sidecars.own(storage, entry):
        data = sidecar.blob.data
        if metadata.has_sidecar_gps(data) and not tagged_by(data, run_id):
            return Outcome(entry, Status.HAS_GPS, "in its sidecar")
    return None


def news(outcome: Outcome, recorder: Memory | None) -> Outcome:
    """A failure that an earlier run met with the same photo is not fresh."""
    if outcome.status not in TRIED_AGAIN:
        return outcome
    seen = recorder.recall(outcome.entry) if recorder else None
    return replace(outcome, fresh=seen is None or seen.status is not outcome.status)
