"""Gives a model file other references or places; all else stays as it is."""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tagger.model import artifact, landmark_photos, packs
from tagger.model.artifact import PHOTOS, REFERENCES
from tagger.model.learning import encoder_of
from tagger.model.local_features.references import References
from tagger.places.pack import PackPlace
from tagger.places.table import TABLE, to_csv
from tagger.records import Landmark


def add_references(
    path: Path, references: References, photos: Iterable[PackPlace] | None = None
) -> None:
    """Write the model file again with these references in it.

    Args:
        path: the model file.
        references: what photos are compared by.
        photos: of its landmarks, all of which it learned; those of ``references`` when left out.

    Raises:
        RunError: the references do not fit together, or not the model.
    """
    loaded, _ = artifact.apart(path, packs.names(path))
    try:
        references.check()
    except ValueError as error:
        raise artifact.refusal(str(path), f"its references are not valid ({error})") from error
    problem = artifact.strange(references, loaded.manifest)
    if problem:
        raise artifact.refusal(str(path), problem)
    if photos is None:
        photos = landmark_photos.places(references, loaded.known.values())
    pack = _pack(encoder_of(loaded.module, references), references, photos)
    artifact.rewrite(path, {REFERENCES: references.to_bytes(), PHOTOS: pack})


def add_places(path: Path, places: Iterable[Landmark]) -> None:
    """Write the model file again with these places in it."""
    given = {place.slug: place for place in places}
    files = {TABLE: to_csv(given.values())}
    loaded, inside = artifact.apart(path, packs.names(path))
    for pack in inside:
        assert loaded.references
        moved = [
            replace(one, landmark=given.get(one.landmark.slug, one.landmark))
            for one in pack.places()
        ]
        files[PHOTOS] = _pack(pack.encoder, loaded.references, moved)
    artifact.rewrite(path, files)


def _pack(encoder: str, references: References, photos: Iterable[PackPlace]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, PHOTOS)
        landmark_photos.write(file, encoder, references, photos, "yes")
        return file.read_bytes()
