"""Gives a model file other references, places or landmarks; all else stays as it is."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tagger.model import artifact, landmark_photos, packs
from tagger.model.artifact import MANIFEST, PHOTOS, REFERENCES
from tagger.model.learning import encoder_of
from tagger.model.local_features.references import References
from tagger.places.landmarks import load_landmarks
from tagger.places.opening import open_pack
from tagger.places.pack import Pack, PackPlace
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
    manifest, encoder = loaded.manifest, loaded.encoder
    if not (loaded.references and _comparable(references, loaded.references)):
        manifest, encoder = replace(manifest, encoder=""), encoder_of(loaded.module, references)
    pack = _pack(encoder, references, photos)
    files = {MANIFEST: manifest.to_bytes(), REFERENCES: references.to_bytes(), PHOTOS: pack}
    artifact.rewrite(path, files)


def add_landmarks(
    path: Path,
    out: Path,
    landmarks: Mapping[str, Landmark],
    change: Callable[[Any], None],
    references: References | None = None,
    photos: Sequence[PackPlace] = (),
    beside: Mapping[str, Sequence[PackPlace]] | None = None,
) -> None:
    """Write a model file with another head, and further landmarks, with the packs beside it.

    What was compared with the old one can be compared with the new one.

    Args:
        path: the model file.
        out: the one to write; it may be ``path``.
        landmarks: those that come behind, by slug.
        change: gives the network its new head.
        references: with the photos of other things to compare with; its other photos do not count.
        photos: further ones of landmarks, which the network has learned.
        beside: such photos that go to a pack beside the file, by its name.
    """
    names = packs.names(path)
    loaded, inside = artifact.apart(path, names)
    labels = (*loaded.manifest.labels, *landmarks)
    manifest = replace(loaded.manifest, labels=labels, encoder=loaded.encoder)
    files = {MANIFEST: manifest.to_bytes()}
    if references:
        files[REFERENCES] = references.to_bytes()
        files[PHOTOS] = _pack(loaded.encoder, references, _joined(inside, photos))
    shipped = load_landmarks()
    strange = [mark for slug, mark in landmarks.items() if mark != shipped.get(slug)]
    if strange:
        files[TABLE] = to_csv([*loaded.places.values(), *strange])
    together = {
        name: _joined([open_pack(packs.place(path, name))] if name in names else [], places)
        for name, places in (beside or {}).items()
        if places and references
    }
    artifact.rewrite(path, files, out, change)
    if out != path:
        for name in names:
            shutil.copy(packs.place(path, name), packs.place(out, name))
    for name, places in together.items():
        assert references
        landmark_photos.write(packs.place(out, name), loaded.encoder, references, places, "yes")


def _joined(before: Iterable[Pack], photos: Iterable[PackPlace]) -> list[PackPlace]:
    """The places of packs with further photos behind those that are there."""
    places = {place.landmark.slug: place for pack in before for place in pack.places()}
    for place in photos:
        old = places.get(place.landmark.slug, replace(place, references=()))
        places[place.landmark.slug] = replace(old, references=old.references + place.references)
    return list(places.values())


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


def _comparable(one: References, other: References) -> bool:
    return np.array_equal(one.components, other.components) and np.array_equal(
        one.codebook, other.codebook
    )


def _pack(encoder: str, references: References, photos: Iterable[PackPlace]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, PHOTOS)
        landmark_photos.write(file, encoder, references, photos, "yes")
        return file.read_bytes()
