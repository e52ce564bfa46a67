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
from train.ship.references import points_of

# Cosine to another photo of its landmark from which a photo keeps no points, if there are MANY.
MANY, AGAIN = 45, 0.95


def slimmed(path: Path) -> int:
    """Leave photos as many points as :func:`points_of` says; the bytes saved.

    None where the landmark has more than MANY photos and an earlier one is AGAIN alike. All
    embeddings stay.

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
        kept = seen.setdefault(slug, [])
        photos = tuple(_fewer(photo, counts[slug], kept) for photo in place.references)
        places.append(replace(place, references=photos))
    return places


def _fewer(photo: PlaceReference, count: int, kept: list[np.ndarray]) -> PlaceReference:
    """A photo of a landmark with ``count``; ``kept`` are the embeddings of those before it."""
    own, points = unit(photo.embedding[None])[0], points_of(count)
    if count > MANY and kept and max(float(own @ other) for other in kept) >= AGAIN:
        return replace(photo, codes=photo.codes[:0], spots=photo.spots[:0])
    kept.append(own)
    return replace(photo, codes=photo.codes[:points], spots=photo.spots[:points])
