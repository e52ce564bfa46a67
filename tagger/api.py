"""The public Python interface, which ``tagger`` exports: predict, read, tag, learn and undo."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tagger import metadata
from tagger.errors import LockedError, PhotoError, RunError, TaggerError
from tagger.evidence.decide import MIN_CONF
from tagger.evidence.estimate import allowed
from tagger.evidence.sources import Sources
from tagger.evidence.time_source import Limits
from tagger.imaging.decode import Picture, Views, to_views, views_of
from tagger.ledger.ledger import Ledger, new_run_id
from tagger.ledger.undo import Undone
from tagger.ledger.undo import undo as undo_run
from tagger.metadata.capture import Capture, capture
from tagger.model import DEFAULT_MODEL
from tagger.model.lazy import LazyClassifier
from tagger.places.known import KnownPlaces
from tagger.places.own import opened, own_path
from tagger.records import (
    Candidate,
    Coords,
    GpsState,
    Guess,
    HardLinks,
    Landmark,
    Outcome,
    Provenance,
    SidecarMode,
    SidecarName,
    Source,
    Status,
)
from tagger.report.columns import COLUMNS, row
from tagger.run.learn import Lesson, LessonResult, photos_at
from tagger.run.learn import learn as run_lessons
from tagger.run.ordered import batches, in_order
from tagger.run.stages import Settings
from tagger.run.tagging import tagging
from tagger.storage.opening import open_storage, storage_at
from tagger.storage.raw_file import RawFile, read_picture
from tagger.storage.suffixes import is_raw
from tagger.storage.urls import absolute, is_url
from tagger.writing.write_tag import WriteOptions

if TYPE_CHECKING:
    import pandas

__all__ = [
    "Candidate", "Coords", "GpsState", "Guess", "Landmark", "LessonResult", "LockedError", "Model",
    "Outcome", "Photo", "PhotoError", "Run", "RunError", "SidecarMode", "SidecarName", "Source",
    "Status", "TaggerError", "Undone", "learn", "load_model", "read", "tag", "undo",
]  # fmt: skip

Picturable = str | os.PathLike[str] | bytes | Picture
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
_LIMITS = Limits()


class Model:
    """A classifier, loaded and checked.

    Attributes:
        places: every landmark it can name, by slug, and the places of its packs.
        sha256: of the model file, in hex.
    """

    def __init__(self, classifier: LazyClassifier) -> None:
        self._classifier = classifier.load()
        self.places: Mapping[str, Landmark] = KnownPlaces(
            classifier.learned, self._classifier.landmarks
        )
        self.sha256: str = self._classifier.sha256

    def predict(self, *photos: Picturable, batch_size: int = 16) -> Iterator[Guess]:
        """A guess for each photo, in their order.

        Args:
            photos: paths or bucket URLs, the bytes of image files, or PIL images.
            batch_size: photos in one pass of the network.

        Raises:
            PhotoError: one cannot be read or decoded; the message names it.
        """
        workers = os.cpu_count() or 1
        decoded = in_order(self._decoded, photos, workers, batch_size + workers)
        for batch in batches(decoded, lambda _: True, batch_size, batch_size):
            yield from self._classifier.classify(batch)

    def _decoded(self, photo: Picturable) -> Views:
        size, resize = self._classifier.image_size, self._classifier.resize
        if isinstance(photo, Picture):
            return views_of(photo, size, resize)
        if isinstance(photo, bytes):
            return to_views(photo, size, resize)
        place = _place(photo)
        try:
            return to_views(read_picture(storage_at(place), place).data, size, resize)
        except PhotoError as error:
            raise type(error)(f"{place}: {error}") from error


def load_model(
    path: str | os.PathLike[str] | None = None, device: str = "auto", packs: Paths = ()
) -> Model:
    """Load a classifier.

    Args:
        path: a model file made by ``python -m train``; None for the one that ships.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        packs: files of places that were learned with this model, see :func:`learn`.

    Raises:
        RunError: a file fails a check, or there is no such device.
    """
    learned = opened(_files(packs), own=False)
    return Model(LazyClassifier(Path(path) if path else DEFAULT_MODEL, device, learned=learned))


@dataclass(frozen=True, slots=True)
class Photo:
    """What a photo's own metadata says; sidecars are not read.

    Attributes:
        path: absolute path or URL.
        gps_state: only ``GpsState.EMPTY`` is ever tagged.
        reason: why it is in that state; empty where there is no position.
        position: latitude and longitude in degrees (WGS-84), the camera's or else the subject's.
        capture: when and with which camera it was taken.
        provenance: who tagged it, if it was this tool.
    """

    path: str
    gps_state: GpsState
    reason: str
    position: tuple[float, float] | None
    capture: Capture
    provenance: Provenance | None


def read(path: str | os.PathLike[str]) -> Photo:
    """Read a photo's location metadata; nothing is decoded and no model is loaded.

    Raises:
        PhotoError: it cannot be read; the message names it.
        RunError: a URL names no bucket that can be reached.
    """
    place = _place(path)
    try:
        storage = storage_at(place)
        raw = is_raw(place)
        data = RawFile(storage, place).exif() if raw else storage.read(place).data
    except PhotoError as error:
        raise type(error)(f"{place}: {error}") from error
    reading = metadata.gps_state(data, whole=True)
    assert reading is not None  # all bytes settle it
    return Photo(
        place, reading.state, reading.reason, metadata.position(data),
        capture(place, data, whole=True), metadata.provenance(data),
    )  # fmt: skip


class Run:
    """An open run: each photo is processed when its outcome is read.

    Attributes:
        id: what :func:`undo` takes.
        dry_run: whether nothing is written.
    """

    def __init__(
        self, run_id: str, dry_run: bool, outcomes: Iterator[Outcome], classifier: LazyClassifier
    ) -> None:
        self.id, self.dry_run = run_id, dry_run
        self._outcomes, self._classifier, self._begun = outcomes, classifier, False

    def __iter__(self) -> Iterator[Outcome]:
        self._begun = True
        return self._outcomes

    def to_pandas(self) -> "pandas.DataFrame":
        """Do the whole run; a row for each photo, in the report's columns, all of them text.

        Raises:
            RuntimeError: outcomes were taken before, which a run does not keep.
        """
        import pandas

        if self._begun:
            raise RuntimeError("outcomes were taken before; call to_pandas() instead of iterating")
        names = {slug: place.name for slug, place in self._classifier.landmarks.items()}
        rows = [row(outcome, names, self._classifier.name, self.id) for outcome in self]
        return pandas.DataFrame(rows, columns=list(COLUMNS))


@contextmanager
def tag(
    paths: Paths,
    *,
    min_conf: float = MIN_CONF,
    dry_run: bool = True,
    output: str | os.PathLike[str] = "",
    recursive: bool = True,
    exclude: Sequence[str] = (),
    coords: Coords | str = Coords.BOTH,
    sidecar: SidecarMode | str = SidecarMode.AUTO,
    sidecar_name: SidecarName | str = SidecarName.FULL,
    hard_links: HardLinks | str = HardLinks.SKIP,
    rescan: bool = False,
    thorough: bool = False,
    model: str | os.PathLike[str] | None = None,
    device: str = "auto",
    batch_size: int = 16,
    workers: int | None = None,
    ledger: str | os.PathLike[str] | None = None,
    sources: Iterable[Source | str] = (Source.LANDMARK,),
    pairs: bool = True,
    tracks: Paths = (),
    max_radius: float = _LIMITS.max_radius_m,
    max_gap: timedelta = timedelta(seconds=_LIMITS.max_gap),
    packs: Paths = (),
    own_places: bool = True,
    endpoint_url: str = "",
) -> Iterator[Run]:
    """Tag photos as ``landmark-tag`` does; unlike there, nothing is written by default.

    Args:
        paths: folders, files or bucket URLs.
        min_conf: the least probability that the place is right for a photo to be tagged.
        dry_run: write into no photo.
        output: folder or bucket URL for tagged copies; the photos stay as they are.
        recursive: look into subfolders.
        exclude: globs of files and folders to leave out.
        coords, sidecar, sidecar_name, hard_links: as the options of those names.
        rescan: process every photo again, unchanged ones too.
        thorough: decode each photo, also if its thumbnail shows no known landmark.
        model: a model file; None for the one that ships.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        batch_size: photos in one pass of the network.
        workers: threads that read and decode; None for as many as there are processors.
        ledger: file that remembers what was written; None for the one in the state folder.
        sources: what may give a position, of landmark, time, track, takeout and library; the
            others, but library, can only veto.
        pairs: photos of one shot (RAW+JPEG, edited copies, bursts) get one decision, and the
            position that one of them has.
        tracks: files and folders of GPS tracks.
        max_radius: metres; a position with a larger 95 % radius is not written.
        max_gap: neighbours further away in time are ignored.
        packs: files of places to name besides, see :func:`learn`.
        own_places: name the user's own places too, but not with another ``model``.
        endpoint_url: the server of ``s3://``; empty for AWS, or what AWS_ENDPOINT_URL says.

    Raises:
        ValueError: an option has no such value.
        RunError: the run cannot start or continue.
        LockedError: another run is working on some of the same photos.
    """
    targets, copies = _targets(paths), _spelled(output)
    settings = Settings(
        new_run_id(), min_conf, Coords(coords), batch_size, workers or os.cpu_count() or 1, rescan,
        WriteOptions(SidecarMode(sidecar), SidecarName(sidecar_name), HardLinks(hard_links)),
        output=absolute(copies) if copies else "", endpoint_url=endpoint_url,
        sources=allowed(tuple(map(Source, sources)), pairs), thorough=thorough,
    )  # fmt: skip
    storage = open_storage(
        targets,
        recursive=recursive,
        exclude=exclude,
        hard_links=HardLinks(hard_links),
        endpoint_url=endpoint_url,
    )
    limits = Limits(max_radius, max_gap.total_seconds())
    learned = opened(_files(packs), own_places and not model)
    classifier = LazyClassifier(Path(model) if model else DEFAULT_MODEL, device, learned=learned)
    with tagging(
        targets, storage, classifier, settings, dry_run=dry_run,
        ledger=Path(ledger) if ledger else None, output=copies,
        gather=lambda book: Sources.beside(
            book, limits, [Path(p) for p in _targets(tracks)], pairs=pairs,
            model=classifier if Source.LIBRARY in settings.sources else None,
        ),
    ) as outcomes:  # fmt: skip
        yield Run(settings.run_id, dry_run, outcomes, classifier)


def learn(
    name: str,
    photos: Paths,
    *,
    at: tuple[float, float] | None = None,
    radius: int | None = None,
    pack: str | os.PathLike[str] | None = None,
    model: Model | None = None,
    wrong: bool = False,
    licence: str = "",
    private: bool = True,
) -> LessonResult:
    """Add a place, or photos of a known one, to a pack; two to five photos are enough.

    Args:
        name: what it is called.
        photos: files, and folders of them.
        at: latitude and longitude in degrees (WGS-84); None for where the photos' own GPS is.
        radius: metres around it in which photos of it are taken; None for 100, or as far as the
            photos lie apart.
        pack: the file, made where it is not there; None for the user's own pack.
        model: what is to recognise the place, from :func:`load_model`; None for the one that ships.
        wrong: the photos do NOT show the place, which is remembered.
        licence: of the photos.
        private: of a new pack: it must not leave this machine unasked.

    Raises:
        RunError: no photo can be read, there is no position, or the pack cannot be used.
    """
    there = photos_at(_files(photos))
    if not there:
        raise RunError(f"learn {name}: give photos of the place, two to five of them")
    lesson, where = Lesson(name, there, at, radius), Path(pack) if pack else own_path()
    classifier = (model or load_model(device="cpu"))._classifier
    (learned,) = run_lessons(
        [lesson], where, classifier, licence=licence, private=private, wrong=wrong
    )
    return learned


def undo(
    run_id: str = "last",
    *,
    dry_run: bool = False,
    ledger: str | os.PathLike[str] | None = None,
    places: Paths = (),
    endpoint_url: str = "",
) -> list[Undone]:
    """Restore, byte for byte, what a run changed.

    Args:
        run_id: the run's id or the start of it; ``last`` is the last run that wrote.
        dry_run: only report what would be done.
        ledger: the ledger's file; None for the one in the state folder.
        places: where to search for photos that were moved since.
        endpoint_url: the server of ``s3://``, as for :func:`tag`.

    Returns:
        one result for each photo or sidecar of the run; one that was edited since is refused.

    Raises:
        RunError: there is no such run.
        LockedError: another run is working on some of the same photos.
    """
    with Ledger.open(Path(ledger) if ledger else None, create=False) as book:
        folders = [absolute(place) for place in _targets(places)]
        stored = partial(storage_at, endpoint_url=endpoint_url)
        run = book.find(run_id)
        return list(undo_run(stored, book, run, dry_run, folders, endpoint_url))


def _targets(paths: Paths) -> tuple[str, ...]:
    if isinstance(paths, str | os.PathLike):
        return (_spelled(paths),)
    return tuple(map(_spelled, paths))


def _files(paths: Paths) -> tuple[Path, ...]:
    return tuple(map(Path, _targets(paths)))


def _spelled(path: str | os.PathLike[str]) -> str:
    """A path as text, ``~`` resolved; a URL as it is."""
    text = os.fspath(path)
    return text if is_url(text) else os.path.expanduser(text)


def _place(path: str | os.PathLike[str]) -> str:
    return absolute(_spelled(path))
