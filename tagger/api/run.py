"""Runs, and how one is taken back: :func:`tag` and :func:`undo`."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.api.paths import Paths, files_of, spelled, targets_of
from tagger.evidence.decide import MIN_CONF
from tagger.evidence.estimate import allowed
from tagger.evidence.limits import Limits
from tagger.evidence.sources import Sources
from tagger.ledger.ledger import Ledger, new_run_id
from tagger.ledger.undo import Undone
from tagger.ledger.undo import undo as undo_run
from tagger.model import DEFAULT_MODEL
from tagger.model.lazy import LazyClassifier
from tagger.places.own import opened
from tagger.records import (
    Coords,
    HardLinks,
    Outcome,
    SidecarMode,
    SidecarName,
    Source,
)
from tagger.report.columns import COLUMNS, row
from tagger.run.stages import Settings
from tagger.run.tagging import tagging
from tagger.storage.opening import open_storage, storage_at
from tagger.storage.urls import absolute
from tagger.writing.write_tag import WriteOptions

if TYPE_CHECKING:
    import pandas

_LIMITS = Limits()


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
    targets, copies = targets_of(paths), spelled(output)
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
    learned = opened(files_of(packs), own_places and not model)
    classifier = LazyClassifier(Path(model) if model else DEFAULT_MODEL, device, learned=learned)
    with tagging(
        targets, storage, classifier, settings, dry_run=dry_run,
        ledger=Path(ledger) if ledger else None, output=copies,
        gather=lambda book: Sources.beside(
            book, limits, [Path(p) for p in targets_of(tracks)], pairs=pairs,
            model=classifier if Source.LIBRARY in settings.sources else None,
        ),
    ) as outcomes:  # fmt: skip
        yield Run(settings.run_id, dry_run, outcomes, classifier)


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
        folders = [absolute(place) for place in targets_of(places)]
        stored = partial(storage_at, endpoint_url=endpoint_url)
        run = book.find(run_id)
        return list(undo_run(stored, book, run, dry_run, folders, endpoint_url))
