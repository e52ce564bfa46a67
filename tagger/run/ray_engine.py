"""The same stages on Ray Data: this process lists, recalls and reports, the nodes do the rest."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice, takewhile
from typing import Any

import ray
import ray.data
from ray.exceptions import RayError

from tagger.errors import RunError
from tagger.evidence.kept_view import KeptView
from tagger.evidence.sources import Sources
from tagger.ledger.recorder import RunRecorder
from tagger.model.lazy import LazyClassifier
from tagger.model.thumbnail_net import ThumbnailNet
from tagger.records import Entry, Landmark, Outcome
from tagger.run.known import news, recall
from tagger.run.limits import RunLimits
from tagger.run.ordered import batches
from tagger.run.ray_connection import Cluster, connected, explained
from tagger.run.ray_ledger import kept_books
from tagger.run.ray_library import album_of, ask
from tagger.run.ray_tasks import (
    BLOCK,
    Classifying,
    Describing,
    Done,
    Job,
    decode_photos,
    decode_placed,
    files_of,
    packed,
    unpacked,
    write,
)
from tagger.run.stages import Settings, WorkItem
from tagger.run.survey import survey
from tagger.storage.base import Storage
from tagger.writing.copies import Output

MOST_PLACES = 20_000  # of packs: each task is told all of them
# One data set takes so many photos that need work, out of at most so many listed: starting one
# takes seconds, and the driver keeps what it listed (about 500 bytes a photo) until it is reported.
ROUND, MOST_LISTED = 50_000, 200_000

WHOLE: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow"}  # blocks as they are
STAGE = WHOLE | {"num_cpus": 1}


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

    Photos that the ledger knows unchanged never leave this process. No photo is lost with
    a node: Ray repeats its tasks elsewhere, and photos that were written already are recognised by
    the run's id in them.

    Raises:
        RunError: there is no such cluster, or its work failed for another reason than one photo.
    """
    net = thumbnails if settings.by_thumbnails else None
    net_sha256 = net.sha256 if net else ""
    views, library = (sources.views, sources.library) if sources else (None, None)
    with connected(options), kept_books(recorder) as books, album_of(views, library) as album:

        @functools.cache  # until there is work to do, the model need not be loaded
        def job() -> Job:
            return Job(
                storage, output, settings, _spread(classifier), classifier.sha256,
                classifier.image_size, classifier.resize,
                ray.put(files_of(classifier)), books, net,
                library.max_radius_m if library else None,
            )  # fmt: skip

        @functools.cache  # once all photos with a position are described
        def comparing() -> Job:
            return replace(job(), album=album())

        def describe(entries: Iterable[Entry]) -> Iterator[KeptView]:
            return _described(entries, job(), options)

        def recalled(entry: Entry) -> WorkItem | None:
            return recall(recorder, entry, classifier.sha256, settings, limits, net_sha256)

        def ended() -> bool:
            return stop() or (limits is not None and limits.over())

        listed = takewhile(lambda _: not (limits and limits.full()), storage.list())
        if sources is None:
            first: Iterator[WorkItem] = (recalled(entry) or WorkItem(entry) for entry in listed)
        else:
            begun = takewhile(lambda _: not stop(), listed)
            first = survey(storage, begun, sources, recalled, settings.workers, net, describe)
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


def _blocks(work: Iterable[WorkItem]) -> Iterator[list[WorkItem]]:
    """Work in blocks that never separate the photos of one shot."""
    block: list[WorkItem] = []
    for item in work:
        if len(block) >= BLOCK and (item.shot is None or item.shot != block[-1].shot):
            yield block
            block = []
        block.append(item)
    if block:
        yield block


def _worked(work: list[WorkItem], job: Job, options: Cluster) -> Iterator[Done | None]:
    """The results of the cluster, one for each item, in their order."""
    blocks = list(map(packed, _blocks(work)))
    photos: Any = ray.data.from_arrow(blocks)
    photos = photos.map_batches(decode_photos, fn_kwargs={"job": job}, **STAGE)
    guessed = _on_classifiers(photos, Classifying, job, options)
    return _results(guessed.map_batches(write, fn_kwargs={"job": job}, **STAGE))


def _described(entries: Iterable[Entry], job: Job, options: Cluster) -> Iterator[KeptView]:
    """The cluster's descriptions of photos with a position, except those that cannot be read."""
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


def _spread(classifier: LazyClassifier) -> dict[str, Landmark]:
    """All places, for nodes that do not have the packs."""
    count = sum(map(len, classifier.learned))
    if count > MOST_PLACES:
        raise RunError(
            f"--engine ray: the packs hold {count:,} places, a cluster takes {MOST_PLACES:,}; "
            "leave one out, or run without --engine ray"
        )
    return dict(classifier.landmarks)
