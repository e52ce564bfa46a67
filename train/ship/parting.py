"""Moves photos of some collections to a pack beside the model, which may be deleted."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tagger.errors import RunError
from tagger.model import artifact, landmark_photos, packs
from tagger.places.pack import PackPlace
from train.ship import rewriting
from train.ship.adding import write_beside


def parted(path: Path, source: str, name: str) -> tuple[int, int]:
    """Move the photos whose source contains ``source`` to ``<stem>.<name>.places``.

    Args:
        path: the model file, with references.
        source: text in the name of a collection, as ``Sample.source`` had it.
        name: what the pack is called, and what ``--without`` takes.

    Returns:
        how many photos were moved, and the bytes of the pack.

    Raises:
        RunError: the model has no such photos, or the pack exists.
    """
    if packs.place(path, name).exists():
        raise RunError(f"{packs.place(path, name)}: is there already; choose another --name")
    loaded, photos = artifact.apart(path, packs.names(path))
    known = loaded.references
    every = landmark_photos.places(known, loaded.known.values(), photos) if known else []
    moved = _of_source(every, source, True)
    count = sum(len(place.references) for place in moved)
    if known is None or not count:
        raise RunError(
            f"{path}: has no photos whose source contains {source!r}; if it was made before packs "
            "kept the sources, make its references anew: python -m train references"
        )
    size = write_beside(path, name, loaded, moved, "yes")
    rewriting.add_references(path, known, _of_source(every, source, False))
    return count, size


def _of_source(places: Sequence[PackPlace], source: str, those: bool) -> list[PackPlace]:
    return [
        replace(
            place,
            references=tuple(
                one for one in place.references
                if (source in one.facts.get("source", "")) is those
            ),
        )
        for place in places
    ]  # fmt: skip
