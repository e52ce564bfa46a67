"""Adds references of more photos, in a pack beside the model."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tagger.errors import RunError
from tagger.model import artifact, landmark_photos, packs
from tagger.model.artifact import Artifact
from tagger.places.pack import PackPlace
from train.measure.evaluate import answer_alone
from train.photos.folders import read_folder
from train.photos.pixel_cache import CACHE
from train.ship.references import by_landmark, like


def added(
    path: Path, photos: Path, name: str, learned: bool = False, cache: Path = CACHE
) -> tuple[int, int]:
    """Write references of more photos to ``<stem>.<name>.places``; the model file stays as it is.

    Args:
        path: the model file, with references.
        photos: a folder of class folders; those that the model does not know are left alone.
        name: what the pack is called, and what ``--without`` takes.
        learned: whether the network learned them, too. How sure the model is of a landmark with few
            photos goes by those that trained it.
        cache: where decoded photos are kept.

    Returns:
        how many photos there are, and the bytes of the pack.

    Raises:
        RunError: the model has no references, or the folder holds none of its landmarks.
    """
    loaded = artifact.alone(path)
    known, labels = loaded.references, loaded.manifest.labels
    if known is None:
        raise RunError(f"{path}: has no references; make them first: python -m train references")
    folder = read_folder(photos, labels, loaded.known, skip=True)
    if not folder.samples:
        raise RunError(f"{photos}: none of its folders is a landmark of {path}")
    _, embeddings, samples = answer_alone(loaded, folder.samples, "cpu", cache)
    order, landmarks = by_landmark(
        samples, len(labels), loaded.manifest.image_size, np.diff(known.landmarks).tolist()
    )
    more = like(known, landmarks, embeddings[order])
    sources = [samples[photo].source for photo in order.tolist()]
    places = landmark_photos.places(more, loaded.known.values(), sources=sources)
    return len(order), write_beside(path, name, loaded, places, "yes" if learned else "no")


def write_beside(
    path: Path, name: str, loaded: Artifact, places: Iterable[PackPlace], learned: str
) -> int:
    """Write a pack of landmarks beside the model file, for whoever may read that; its bytes."""
    assert loaded.references
    file = packs.place(path, name)
    landmark_photos.write(file, loaded.encoder, loaded.references, places, learned)
    shutil.copymode(path, file)
    return file.stat().st_size
