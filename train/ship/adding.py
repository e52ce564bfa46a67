"""Adds references of photos that the network did not learn, in a file beside the model."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tagger.errors import RunError
from tagger.model import artifact
from tagger.model.local_features.references import ends, packed
from tagger.places.embeddings import in_bytes, unit
from train.measure.evaluate import answer_alone
from train.photos.folders import read_folder
from train.photos.pixel_cache import CACHE
from train.ship.references import by_landmark


def added(path: Path, photos: Path, name: str, cache: Path = CACHE) -> tuple[int, int]:
    """Write references of more photos to ``<stem>.<name>.npz``; the model file stays as it is.

    They count as nothing that was learned: how sure the model is of a landmark with few photos goes
    by those that trained it.

    Args:
        path: the model file, with references.
        photos: a folder of class folders; those that the model does not know are left alone.
        name: what the file is called, and what ``--without`` takes.
        cache: where decoded photos are kept.

    Returns:
        how many photos there are, and the bytes of the file.

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
    order, landmarks = by_landmark(samples, len(labels), loaded.manifest.image_size)
    features = [one.features for landmark in landmarks for one in landmark]
    more = replace(
        known,
        codes=known.quantiser.codes(np.concatenate([one.descriptors for one in features])),
        places=packed(np.concatenate([one.places for one in features])),
        photos=ends([len(one.places) for one in features]),
        embeddings=in_bytes(unit(embeddings[order] @ known.components.astype(np.float32))),
        landmarks=ends([len(landmark) for landmark in landmarks]),
        others=known.others[:0],
        learned=np.zeros(len(labels), np.int32),
    )
    file = path.with_suffix(f".{name}.npz")
    file.write_bytes(more.to_bytes())
    return len(features), file.stat().st_size
