"""Writes a pack whole, in one step."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import RunError
from tagger.places import arrays
from tagger.places.arrays import Array
from tagger.places.embeddings import signs
from tagger.places.pack import FORMAT, MOST, PackPlace
from tagger.places.table import TEXTS, place_of


def write_pack(
    path: Path, encoder: str, places: Iterable[PackPlace], sizes: tuple[int, int], private: bool,
    learned: str = "",
) -> None:  # fmt: skip
    """Write a pack that fits into memory; :mod:`train.packs` writes the others.

    Args:
        path: where to; what is there is replaced in one step.
        encoder: see :class:`Pack`.
        places: in any order, no slug twice.
        sizes: E and M, where there are no references to tell.
        private, learned: see :class:`Pack`.

    Raises:
        RunError: it cannot be written, or a place is none.
    """
    chosen = sorted(places, key=lambda place: place.landmark.slug)
    rows = [reference for place in chosen for reference in place.references]
    facts = [place_facts(place) for place in chosen]
    photos = [packed_facts(dict(row.facts)) for row in rows]
    counts = [len(place.references) for place in chosen]
    own = np.repeat(np.arange(len(chosen), dtype=np.int32), counts)
    empty = np.zeros((0, sizes[0]), np.int8)
    embeddings = np.stack([row.embedding for row in rows]) if rows else empty
    held: dict[str, Array] = {
        "owners": own,
        "embeddings": embeddings,
        "bits": signs(embeddings),
        "points": begins([len(row.codes) for row in rows]),
        "codes": np.concatenate(
            [np.zeros((0, sizes[1]), np.uint8), *(row.codes for row in rows)]),
        "spots": np.concatenate([np.zeros((0, 3), np.uint8), *(row.spots for row in rows)]),
        "places": joined(facts), "places_begin": begins(list(map(len, facts))),
        "photos": joined(photos), "photos_begin": begins(list(map(len, photos))),
    }  # fmt: skip
    save(path, encoder, private, held, learned)


def save(
    path: Path, encoder: str, private: bool, held: Mapping[str, Any], learned: str = "", **more: Any
) -> None:
    """Write a pack's arrays; see :func:`tagger.places.arrays.write`.

    Raises:
        RunError: it cannot be written.
    """
    facts = {"format": FORMAT, "encoder": encoder, "private": "yes" if private else "no"}
    if learned:
        facts["learned"] = learned
    try:
        arrays.write(path, facts, held, **more)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); choose another place"
        ) from error


def place_facts(place: PackPlace) -> bytes:
    """The row of a place."""
    mark = place.landmark
    words = {
        name: text
        for name in TEXTS
        if (text := place.licence if name == "licence" else getattr(mark, name))
    }
    facts: dict[str, Any] = {
        **words, "latitude": mark.latitude, "longitude": mark.longitude, "radius_m": mark.radius_m,
    }  # fmt: skip
    if not place.named:
        facts["named"] = False
    try:
        place_of(facts, mark.slug)
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{mark.name or mark.slug}: not a place ({error}); correct it") from error
    return packed_facts(facts)


def packed_facts(facts: Mapping[str, Any]) -> bytes:
    data = json.dumps(facts, ensure_ascii=False).encode()
    if len(data) > MOST:
        raise RunError(
            f"{data[:60].decode(errors='replace')}...: too many words in one row; shorten them"
        )
    return data


def begins(counts: Sequence[int]) -> NDArray[np.int64]:
    """Where spans of these lengths begin and end."""
    return np.cumsum([0, *counts], dtype=np.int64)


def joined(rows: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(rows), np.uint8)
