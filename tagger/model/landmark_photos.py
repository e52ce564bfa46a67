"""Photos of a model's landmarks: kept as packs, compared as References."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from tagger.model.local_features.references import References, ends
from tagger.places.pack import Pack, PackPlace, PlaceReference
from tagger.places.pack_writing import write_pack
from tagger.records import Landmark


def joined(model: References, packs: Sequence[Pack], labels: Sequence[str]) -> References:
    """The model's references with the photos of packs that fit it, see :func:`misfit`.

    A landmark's photos stand together: the model's own, then each pack's.
    """
    number = {label: n for n, label in enumerate(labels)}
    owners, learned = [model.owners], model.counts.astype(np.int64)
    spans = [(model.codes, model.places, a, b) for a, b in pairwise(model.photos.tolist())]
    for pack in packs:
        own = np.array([number[slug] for slug in slugs(pack)], np.int64)[pack.owners]
        owners.append(own)
        spans += [(pack.codes, pack.spots, a, b) for a, b in pairwise(pack.points.tolist())]
        if pack.learned == "yes":
            learned += np.bincount(own, minlength=len(labels))
    every = np.concatenate(owners)
    order = np.argsort(every, kind="stable")
    sorted_spans = [spans[photo] for photo in order.tolist()]
    embeddings = np.concatenate([model.embeddings, *(pack.embeddings for pack in packs)])
    return replace(
        model,
        codes=np.concatenate([model.codes[:0], *(one[a:b] for one, _, a, b in sorted_spans)]),
        places=np.concatenate([model.places[:0], *(one[a:b] for _, one, a, b in sorted_spans)]),
        photos=ends([b - a for _, _, a, b in sorted_spans]),
        embeddings=embeddings[order],
        landmarks=ends(np.bincount(every, minlength=len(labels))),
        learned=learned.astype(np.int32),
    )


def misfit(pack: Pack, model: References, encoder: str, labels: Sequence[str]) -> str:
    """Why a pack cannot be one of photos of a model's landmarks, or nothing."""
    if not pack.learned:
        return "a pack of places, not photos of a model's landmarks"
    sizes = pack.embeddings.shape[1], pack.codes.shape[1]
    if pack.encoder != encoder or sizes != (model.components.shape[1], len(model.codebook)):
        return "made by another network"
    if set(slugs(pack)) - set(labels):
        return "of landmarks that the model does not know"
    return ""


def slugs(pack: Pack) -> list[str]:
    """The landmarks that a pack has photos of."""
    return [pack.slug(number).partition("/")[2] for number in range(len(pack))]


def places(
    references: References,
    landmarks: Iterable[Landmark],
    packs: Sequence[Pack] = (),
    sources: Sequence[str] = (),
) -> list[PackPlace]:
    """Landmarks with their photos in ``references``, then those in packs, each with its licence.

    Args:
        references: of these landmarks, in this order.
        packs: of photos of these landmarks.
        sources: where each photo in ``references`` comes from, if that is known.
    """
    spans = pairwise(references.photos.tolist())
    photos = [
        PlaceReference(references.embeddings[n], references.codes[a:b], references.places[a:b],
                       {"source": sources[n]} if sources else {})
        for n, (a, b) in enumerate(spans)
    ]  # fmt: skip
    known = {
        mark.slug: PackPlace(mark, tuple(photos[a:b]))
        for mark, (a, b) in zip(landmarks, pairwise(references.landmarks.tolist()), strict=True)
    }
    for place in (place for pack in packs for place in pack.places()):
        licence = {"licence": place.licence} if place.licence else {}
        own = tuple(replace(one, facts={**licence, **one.facts}) for one in place.references)
        before = known[place.landmark.slug]
        known[place.landmark.slug] = replace(before, references=before.references + own)
    return list(known.values())


def write(
    path: Path, encoder: str, model: References, photographed: Iterable[PackPlace],
    learned: str = "",
) -> None:  # fmt: skip
    """Write the pack of those landmarks that have photos; ``learned`` as :class:`Pack` has it.

    Raises:
        RunError: it cannot be written.
    """
    chosen = [place for place in photographed if place.references]
    sizes = model.components.shape[1], len(model.codebook)
    write_pack(path, encoder, chosen, sizes, private=False, learned=learned)
