"""What the nodes of a Ray cluster do for a run: head check and decoding, classifying, writing."""

import pickle
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from tagger import __version__
from tagger.errors import RunError
from tagger.evidence.kept_view import KeptView
from tagger.evidence.library import LibrarySource
from tagger.imaging import decode
from tagger.model import packs
from tagger.model.lazy import LazyClassifier
from tagger.model.thumbnail_net import ThumbnailNet
from tagger.places.opening import open_pack
from tagger.places.pack import SUFFIX
from tagger.records import Entry, Landmark, Outcome, Version
from tagger.run.inspect import check_and_decode
from tagger.run.library_pass import decoded, described
from tagger.run.ordered import in_order
from tagger.run.pipeline import classified
from tagger.run.ray_ledger import Messenger
from tagger.run.ray_library import RemoteIndex, ask
from tagger.run.settle import decide_and_write
from tagger.run.stages import Settings, WorkItem
from tagger.run.thumbnails import check_thumbnails
from tagger.run.united import united
from tagger.storage.base import Storage
from tagger.writing.copies import Output

MODEL = "model.pt"  # what the model file is called on a node
LEARNED = "learned"  # the folder of packs of learned places there, which are not the model's own
# A task takes so many photos: long against what a task costs (some ms), short against what is done
# again when a node is lost, and small in the object store (32 pictures of 256 pixels: 6 MB).
BLOCK = 32


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


@dataclass(frozen=True, slots=True)
class Done:
    """A photo's outcome, and the version of it that was written, if it was."""

    outcome: Outcome
    written: Version | None = None


def decode_photos(table: pa.Table, job: Job) -> pa.Table:
    """Check the heads of photos without a known guess, and decode those that need it."""

    def one(item: WorkItem) -> WorkItem:
        size, resize, run_id = job.size, job.resize, job.settings.run_id
        checked = check_and_decode(
            job.storage, item.entry, size, resize, run_id, opened=item.opened, data=item.data,
            net=None if item.passed else job.thumbnails,
        )  # fmt: skip
        return replace(checked, estimates=item.estimates, shot=item.shot)

    items, workers = unpacked(table), job.settings.workers
    if not job.enter():
        return packed(None for _ in items)
    if job.thumbnails:
        items = check_thumbnails(job.storage, items, job.thumbnails, run_id=job.settings.run_id)
    return packed(in_order(one, items, workers, BLOCK, lambda item: item if item.guess else None))


def files_of(classifier: LazyClassifier) -> dict[str, bytes]:
    """The model file and the references taken in beside it, by the names they get on a node."""
    path = Path(MODEL)
    beside = {packs.place(path, name).name: data for name, data in classifier.packs.items()}
    learned = {
        f"{LEARNED}/{pack.name}{SUFFIX}": pack.path.read_bytes() for pack in classifier.learned
    }
    return {MODEL: classifier.path.read_bytes(), **beside, **learned}


def classifier_of(files: Mapping[str, bytes], folder: Path, device: str) -> LazyClassifier:
    """The classifier whose files :func:`files_of` gave, written into an empty folder."""
    (folder / LEARNED).mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    learned = [open_pack(path) for path in sorted((folder / LEARNED).iterdir())]
    return LazyClassifier(folder / MODEL, device, learned=learned)


class Classifying:
    """A classifier for as long as a data set lasts, on a share of a GPU or on a processor."""

    def __init__(self, job: Job, device: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            classifier = classifier_of(ray.get(job.model), Path(folder), device)
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
        waiting = (item for item in items if item is not None)
        guessed = classified(waiting, self._classifier, self._size, self.library)
        return packed(item and next(guessed) for item in items)


def decode_placed(table: pa.Table, job: Job) -> pa.Table:
    """Decode photos that carry a position, for the source library."""

    def one(entry: Entry) -> tuple[Entry, decode.Views | KeptView | None]:
        return entry, decoded(job.storage, entry, job.size, job.resize)

    entries = unpacked(table) if job.enter() else []
    shown = in_order(one, entries, job.settings.workers, BLOCK)
    return packed(item for item in shown if item[1] is not None)


class Describing(Classifying):
    """Describes photos that carry a position."""

    def __call__(self, table: pa.Table) -> pa.Table:
        assert self.library is not None
        items, size, kept = unpacked(table), self._size, list[KeptView]()
        for begin in range(0, len(items), size):
            entries, views = zip(*items[begin : begin + size], strict=True)
            kept += described(entries, views, self.library)
        return packed(kept)


def write(table: pa.Table, job: Job) -> pa.Table:
    """Decide on each guess and write what is accepted."""
    items, writers = unpacked(table), job.settings.writers
    if not job.enter():
        return packed(None for _ in items)
    messenger = Messenger(job.books) if job.books is not None else None

    def one(item: WorkItem) -> Outcome:
        return decide_and_write(job.storage, job, messenger, job.settings, item, job.output)

    shots = united((item for item in items if item is not None), job.settings.min_conf)
    outcomes = in_order(one, shots, writers, writers, lambda item: item.outcome)
    written = messenger.written if messenger else {}
    done = (Done(outcome, written.get(outcome.entry.key)) for outcome in outcomes)
    return packed(item and next(done) for item in items)


def packed(items: Iterable[Any]) -> pa.Table:
    """One block: records stay Python's, so that Arrow sees bytes alone."""
    return pa.table({"photo": pa.array([pickle.dumps(item) for item in items], pa.binary())})


def unpacked(table: pa.Table) -> list[Any]:
    return [pickle.loads(data) for data in table["photo"].to_pylist()]
