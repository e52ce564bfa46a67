"""Makes a model file and the packs beside it smaller by points that next to no photo needs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tagger.errors import RunError
from tagger.model import artifact, landmark_photos, packs
from tagger.places.embeddings import unit
from tagger.places.pack import Pack, PackPlace, PlaceReference
from train.ship import rewriting
from train.ship.references import KEPT

MANY = KEPT[-2][0]  # photos of a landmark from which on another one is rarely needed
# Cosine to another photo of its landmark from which a photo keeps no points: of photos of other
# repositories, none was tagged less (MODEL_CARD.md).
AGAIN = 0.9


def slimmed(path: Path) -> int:
    """Take points off photos of landmarks with more than MANY photos; the bytes saved.

    No more than KEPT says are left of each, none where an earlier photo of the landmark is AGAIN
    alike. All embeddings stay.

    Raises:
        RunError: the model has no references.
    """
    loaded, every = artifact.apart(path)
    known = loaded.references
    if known is None:
        raise RunError(f"{path}: has no references; make them first: python -m train references")
    counts = Counter[str]()
    for pack in every:
        counts.update(dict(zip(landmark_photos.slugs(pack), pack.counts.tolist(), strict=True)))
    beside = [packs.place(path, name) for name in packs.names(path)]
    before = sum(file.stat().st_size for file in (path, *beside))
    seen: dict[str, list[np.ndarray]] = {}
    for pack in every:
        places = _slim(pack, counts, seen)
        if pack.path in beside:
            landmark_photos.write(pack.path, loaded.encoder, known, places, pack.learned)
        else:
            rewriting.add_references(path, known, places)
    return before - sum(file.stat().st_size for file in (path, *beside))


def _slim(
    pack: Pack, counts: Mapping[str, int], seen: dict[str, list[np.ndarray]]
) -> list[PackPlace]:
    """The places of a pack; ``seen`` are the embeddings of photos that kept their points."""
    places = []
    for place in pack.places():
        slug = place.landmark.slug
        if counts[slug] > MANY:
            kept = seen.setdefault(slug, [])
            place = replace(place, references=tuple(_fewer(one, kept) for one in place.references))
        places.append(place)
    return places


def _fewer(photo: PlaceReference, kept: list[np.ndarray]) -> PlaceReference:
    own = unit(photo.embedding[None])[0]
    if kept and max(float(own @ other) for other in kept) >= AGAIN:
        return replace(photo, codes=photo.codes[:0], spots=photo.spots[:0])
    kept.append(own)
    most = KEPT[-1][1]
    return replace(photo, codes=photo.codes[:most], spots=photo.spots[:most])
