"""The same stages on Ray Data: this process lists, recalls and reports, the nodes do the rest."""

import functools
import logging
import os
import pickle
import signal
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tagger import __version__
from tagger.errors import RunError
from tagger.evidence.kept_view import KeptView
from tagger.evidence.library import LibrarySource
from tagger.evidence.sources import Sources
from tagger.imaging import decode
from tagger.ledger.recorder import RunRecorder
from tagger.ledger.undo_patch import Intending, Intent
from tagger.model import packs
from tagger.model.lazy import LazyClassifier
from tagger.model.thumbnail_net import ThumbnailNet
from tagger.places.opening import open_pack
from tagger.places.pack import SUFFIX
from tagger.records import Entry, Landmark, Outcome, Version
from tagger.run.inspect import inspect
from tagger.run.known import news, recalled
from tagger.run.library_pass import decoded, described
from tagger.run.limits import RunLimits
from tagger.run.ordered import batches, in_order
from tagger.run.pipeline import classified
from tagger.run.ray_library import RemoteIndex, album_of, ask
from tagger.run.settle import finished
from tagger.run.stages import Looked, Settings
from tagger.run.survey import survey
from tagger.run.thumbnails import looked_at
from tagger.run.united import united
from tagger.storage.base import Storage
from tagger.writing.copies import Output

MOST_PLACES = 20_000  # of packs: each task is told all of them
MODEL = "model.pt"  # what the model file is called on a node
# A task takes so many photos: long against what a task costs (some ms), short against what is done
# again when a node is lost, and small in the object store (32 pictures of 256 pixels: 6 MB).
BLOCK = 32
# One data set takes so many photos that need work, out of at most so many listed: starting one
# takes seconds, and the driver keeps what it listed (about 500 bytes a photo) until it is reported.
ROUND, MOST_LISTED = 50_000, 200_000

WHOLE: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow"}  # blocks as they are
STAGE = WHOLE | {"num_cpus": 1}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which cluster, and how much of it: ``classifiers`` None takes what suits its size."""

    address: str = "auto"
    gpus_per_worker: float = 0.0
    classifiers: int | None = None


@dataclass(frozen=True)
class Job:
    """All that a worker has to know; ``books`` is None in a dry run.

    ``model`` is the command's model file, and those beside it, in the object store, so that no node
    uses another one. Where photos are compared with the library, ``max_radius_m`` is how far
    apart those may be that show the same, and ``album`` the index of views.
    """

    storage: Storage
    output: Output | None
    settings: Settings
    landmarks: dict[str, Landmark]
    sha256: str
    size: int
    resize: decode.Resize
    model: Any
    books: Any
    thumbnails: ThumbnailNet | None = None
    max_radius_m: float | None = None
    album: Any = None
    version: str = __version__

    def enter(self) -> bool:
        """Called first in each task; False if the run is stopping."""
        if self.version != __version__:
            raise RunError(
                f"--engine ray: this node has landmark-tag {__version__}, the command "
                f"{self.version}; install the same on all nodes"
            )
        return self.books is None or not ask(self.books.stopping)


class Books:
    """The ledger's side of a run, as an actor beside the command: the only one that writes there.

    It ends with the command; from then on no worker can note an intent, so none can write.
    """

    def __init__(self, path: Path, run: int) -> None:
        self._recorder, self._stopping = RunRecorder.join(path, run), False

    def note(self, intent: Intent) -> int:
        return self._recorder.note(intent)

    def settle(self, change: int, version: Version | None) -> None:
        self._recorder.settle(change, version)

    def drop(self, change: int) -> None:
        self._recorder.drop(change)

    def stop(self) -> None:
        self._stopping = True

    def stopping(self) -> bool:
        return self._stopping

    def close(self) -> None:
        self._recorder.__exit__(None, None, None)


class Messenger(Intending):
    """The Recorder of a worker: digests and patch are made here, and noted where the ledger is."""

    def __init__(self, books: Any) -> None:
        self._books, self._keys = books, dict[int, str]()
        self.written = dict[str, Version | None]()

    def note(self, intent: Intent) -> int:
        number: int = ask(self._books.note, intent)
        self._keys[number] = intent.key
        return number

    def settle(self, change: int, version: Version | None) -> None:
        ask(self._books.settle, change, version)
        self.written[self._keys.pop(change)] = version

    def drop(self, change: int) -> None:
        ask(self._books.drop, change)


@dataclass(frozen=True, slots=True)
class Done:
    """A photo's outcome, and the version of it that was written, if it was."""

    outcome: Outcome
    written: Version | None = None


def look(table: pa.Table, job: Job) -> pa.Table:
    """Head check and decode, for photos without a known guess."""

    def one(item: Looked) -> Looked:
        size, resize, run_id = job.size, job.resize, job.settings.run_id
        found = inspect(
            job.storage, item.entry, size, resize, run_id, opened=item.opened, data=item.data,
            net=None if item.passed else job.thumbnails,
        )  # fmt: skip
        return replace(found, estimates=item.estimates, shot=item.shot)

    items, workers = unpacked(table), job.settings.workers
    if not job.enter():
        return packed(None for _ in items)
    if job.thumbnails:
        items = looked_at(job.storage, items, job.thumbnails, run_id=job.settings.run_id)
    return packed(in_order(one, items, workers, BLOCK, lambda item: item if item.guess else None))


def files_of(classifier: LazyClassifier) -> dict[str, bytes]:
    """The model file and the references taken in beside it, by the names they get on a node."""
    path = Path(MODEL)
    beside = {packs.place(path, name).name: data for name, data in classifier.packs.items()}
    learned = {f"{pack.name}{SUFFIX}": pack.path.read_bytes() for pack in classifier.learned}
    return {MODEL: classifier.path.read_bytes(), **beside, **learned}


def _spread(classifier: LazyClassifier) -> dict[str, Landmark]:
    """All places, for nodes that have no pack at hand."""
    count = sum(map(len, classifier.learned))
    if count > MOST_PLACES:
        raise RunError(
            f"--engine ray: the packs hold {count:,} places, a cluster takes {MOST_PLACES:,}; "
            "leave one out, or run without --engine ray"
        )
    return dict(classifier.landmarks)


class Classifying:
    """A classifier for as long as a data set lasts, on a share of a GPU or on a processor."""

    def __init__(self, job: Job, device: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in ray.get(job.model).items():
                (Path(folder) / name).write_bytes(data)
            learned = sorted(Path(folder).glob(f"*{SUFFIX}"))
            packed_places = [open_pack(path) for path in learned]
            classifier = LazyClassifier(Path(folder) / MODEL, device, learned=packed_places)
            if classifier.sha256 != job.sha256:
                raise RunError("--engine ray: a pack changed while the run began; run again")
            self._classifier = classifier.load()
        self._size, self.library = job.settings.batch_size, None
        if job.max_radius_m is not None:
            index = RemoteIndex(job.album)
            self.library = LibrarySource(self._classifier, index, job.max_radius_m)
            self.library.saw = index.saw

    def __call__(self, table: pa.Table) -> pa.Table:
        items = unpacked(table)
        looked = (item for item in items if item is not None)
        guessed = classified(looked, self._classifier, self._size, self.library)
        return packed(item and next(guessed) for item in items)


def decode_placed(table: pa.Table, job: Job) -> pa.Table:
    """Decode photos that carry a position, for the source library."""

    def one(entry: Entry) -> tuple[Entry, decode.Views | None]:
        return entry, decoded(job.storage, entry, job.size, job.resize)

    entries = unpacked(table) if job.enter() else []
    found = in_order(one, entries, job.settings.workers, BLOCK)
    return packed(item for item in found if item[1] is not None)


class Describing(Classifying):
    """Looks at photos that carry a position."""

    def __call__(self, table: pa.Table) -> pa.Table:
        assert self.library is not None
        items, size, looks = unpacked(table), self._size, list[KeptView]()
        for begin in range(0, len(items), size):
            entries, views = zip(*items[begin : begin + size], strict=True)
            looks += described(entries, views, self.library)
        return packed(looks)


def write(table: pa.Table, job: Job) -> pa.Table:
    """Decide on each guess and write what is accepted."""
    items, writers = unpacked(table), job.settings.writers
    if not job.enter():
        return packed(None for _ in items)
    messenger = Messenger(job.books) if job.books is not None else None

    def one(item: Looked) -> Outcome:
        return finished(job.storage, job, messenger, job.settings, item, job.output)

    looked = united((item for item in items if item is not None), job.settings.min_conf)
    outcomes = in_order(one, looked, writers, writers, lambda item: item.outcome)
    written = messenger.written if messenger else {}
    done = (Done(outcome, written.get(outcome.entry.key)) for outcome in outcomes)
    return packed(item and next(done) for item in items)


def packed(items: Iterable[Any]) -> pa.Table:
    """One block: records stay Python's, so that Arrow sees bytes alone."""
    return pa.table({"photo": pa.array([pickle.dumps(item) for item in items], pa.binary())})


def unpacked(table: pa.Table) -> list[Any]:
    return [pickle.loads(data) for data in table["photo"].to_pylist()]


def run(
    storage: Storage,
    classifier: LazyClassifier,
    recorder: RunRecorder | None,
    settings: Settings,
    options: Cluster,
    stop: Callable[[], bool] = lambda: False,
    output: Output | None = None,
    limits: RunLimits | None = None,
    sources: Sources | None = None,
    thumbnails: ThumbnailNet | None = None,
) -> Iterator[Outcome]:
    """As :func:`tagger.run.pipeline.run`, on a cluster; outcomes come in listing order too.

    Photos that the ledger knows unchanged never leave this process. A node that is lost takes no
    photo with it: Ray repeats its tasks elsewhere, and what they had written already is known by
    the run's id in the photo.

    Raises:
        RunError: there is no such cluster, or its work failed for another reason than one photo.
    """
    net = thumbnails if settings.by_thumbnails else None
    net_sha256 = net.sha256 if net else ""
    views, library = (sources.views, sources.library) if sources else (None, None)
    with connected(options), _books(recorder) as books, album_of(views, library) as album:

        @functools.cache  # until there is work to do, the model need not be loaded
        def job() -> Job:
            return Job(
                storage, output, settings, _spread(classifier), classifier.sha256,
                classifier.image_size, classifier.resize,
                ray.put(files_of(classifier)), books, net,
                library.max_radius_m if library else None,
            )  # fmt: skip

        @functools.cache  # once all photos with a position were looked at
        def comparing() -> Job:
            return replace(job(), album=album())

        def looks(entries: Iterable[Entry]) -> Iterator[KeptView]:
            return _looked_at(entries, job(), options)

        def known(entry: Entry) -> Looked | None:
            return recalled(recorder, entry, classifier.sha256, settings, limits, net_sha256)

        def ended() -> bool:
            return stop() or (limits is not None and limits.over())

        listed = takewhile(lambda _: not (limits and limits.full()), storage.list())
        if sources is None:
            first: Iterator[Looked] = (known(entry) or Looked(entry) for entry in listed)
        else:
            begun = takewhile(lambda _: not stop(), listed)
            first = survey(storage, begun, sources, known, settings.workers, net, looks)
        for items in batches(first, lambda item: item.outcome is None, ROUND, MOST_LISTED):
            work = [item for item in items if item.outcome is None]
            done = _worked(work, comparing(), options) if work else iter(())
            stopping = False
            for item in items:
                if ended() and not stopping:
                    if books is None:
                        return
                    stopping = ask(books.stop) or True
                result = Done(item.outcome) if item.outcome else next(done)
                if result is None:  # not begun when the run was stopped
                    continue
                if recorder and result.written:
                    recorder.wrote(result.outcome.entry.key, result.written)
                yield news(result.outcome, recorder)
            if stopping or ended():
                return


def _blocks(work: Iterable[Looked]) -> Iterator[list[Looked]]:
    """Work in blocks, of which none parts the photos of one shot."""
    block: list[Looked] = []
    for item in work:
        if len(block) >= BLOCK and (item.shot is None or item.shot != block[-1].shot):
            yield block
            block = []
        block.append(item)
    if block:
        yield block


def _worked(work: list[Looked], job: Job, options: Cluster) -> Iterator[Done | None]:
    """The results of the cluster, one for each item, in their order."""
    blocks = list(map(packed, _blocks(work)))
    photos: Any = ray.data.from_arrow(blocks)
    photos = photos.map_batches(look, fn_kwargs={"job": job}, **STAGE)
    guessed = _on_classifiers(photos, Classifying, job, options)
    return _results(guessed.map_batches(write, fn_kwargs={"job": job}, **STAGE))


def _looked_at(entries: Iterable[Entry], job: Job, options: Cluster) -> Iterator[KeptView]:
    """What the cluster sees of photos with a position; those that cannot be read are left out."""
    waiting = iter(entries)
    while some := list(islice(waiting, ROUND)):
        blocks = [packed(some[begin : begin + BLOCK]) for begin in range(0, len(some), BLOCK)]
        photos: Any = ray.data.from_arrow(blocks)
        photos = photos.map_batches(decode_placed, fn_kwargs={"job": job}, **STAGE)
        yield from _results(_on_classifiers(photos, Describing, job, options))


def _on_classifiers(photos: Any, kind: type[Classifying], job: Job, options: Cluster) -> Any:
    """The stage that needs the model, on as many classifiers as suit the cluster."""
    share = options.gpus_per_worker
    have: dict[str, float] = ray.cluster_resources()
    fit = have.get("GPU", 0) / share if share else have.get("CPU", 0) / 4
    most = options.classifiers or max(1, int(fit))
    # They claim no processor: where few are left, classifiers could take them all and wait
    # for ever for photos that nobody has a processor to decode.
    return photos.map_batches(
        kind, fn_constructor_args=(job, "cuda" if share else "cpu"),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
        **STAGE | {"num_cpus": 0, "num_gpus": share},
    )  # fmt: skip


def _results(photos: Any) -> Iterator[Any]:
    try:
        for table in photos.iter_batches(**WHOLE):
            yield from unpacked(table)
    except (RayError, RunError) as error:
        raise explained(error) from error


def explained(error: BaseException) -> RunError:
    """The error of a worker, or of Ray about the cluster."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RunError):
            return RunError(str(getattr(cause, "cause", cause)))
        cause = cause.__cause__ or getattr(cause, "cause", None)
    line = str(error).strip().rpartition("\n")[2]
    return RunError(f"--engine ray: the cluster failed ({line}); see ray status, run again")


@contextmanager
def connected(options: Cluster) -> Iterator[None]:
    """The cluster, for as long as the block lasts; ``local`` starts one on this machine."""
    if options.address.startswith("ray://"):
        raise RunError(
            f"--ray-address {options.address}: the ledger has to lie on a node of the cluster; "
            "start the command there, with --ray-address auto"
        )
    here: dict[str, Any] = {"include_dashboard": False} if options.address == "local" else {}
    os.environ.setdefault(
        "RAY_USAGE_STATS_ENABLED", "0"
    )  # a cluster started here sends no usage data
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what matters comes as an exception
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        host, colon, port = options.address.rpartition(":")
        if colon:  # Ray itself would wait for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        with _hushed():
            ray.init(address=options.address, **quiet, **here)
    except (OSError, RuntimeError, ValueError) as error:
        raise RunError(
            f"--ray-address {options.address}: no cluster can be reached ({error}); start one with "
            "ray start --head, or give --ray-address local"
        ) from error
    for number, handler in handlers.items():  # Ray put its own in their place
        signal.signal(number, handler)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _hushed() -> Iterator[None]:
    """What Ray's C++ part writes to the terminal when it starts is no news for anybody."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _books(recorder: RunRecorder | None) -> Iterator[Any]:
    """The actor that keeps the ledger, on this machine."""
    if recorder is None:
        yield None
        return
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(Books)
    books = actor.options(num_cpus=0, scheduling_strategy=here).remote(*recorder.run)
    yield books
    ask(books.close)
