"""Moves references of some collections to a file of their own, which may be deleted."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tagger.errors import RunError
from tagger.model import artifact
from train.photos.split import Material


def parted(path: Path, material: Material, source: str, name: str) -> tuple[int, int]:
    """Move the references of photos whose source contains ``source`` to ``<stem>.<name>.npz``.

    Args:
        path: the model file, with references of the photos of ``material`` that were learned.
        material: what it was trained on.
        source: text in the name of a collection, as ``Sample.source`` has it.
        name: what the file is called, and what ``--without`` takes.

    Returns:
        how many photos were moved, and the bytes of the file.

    Raises:
        RunError: the model has no references, or of other photos.
    """
    known = artifact.alone(path).references
    classes = len(material.labels)
    shown = sorted(
        (sample for sample in material.train if 0 <= sample.label < classes),
        key=lambda sample: sample.label,  # stable: in the order that the references were made in
    )
    if known is None or len(shown) != len(known.embeddings):
        raise RunError(f"{path}: not made of these photos; give the options that made it")
    chosen = np.array([source in sample.source for sample in shown])
    more = known.of_photos(chosen)
    file = path.with_suffix(f".{name}.npz")
    file.write_bytes(replace(more, others=more.others[:0]).to_bytes())
    artifact.add_references(path, known.of_photos(~chosen))
    return int(chosen.sum()), file.stat().st_size
