"""Packs of many places, from folders or Google Landmarks v2's files; merged and shrunk."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tagger.errors import RunError
from tagger.model.classifier import Classifier
from tagger.places.embeddings import unit
from tagger.places.pack import PackPlace, open_pack, refusal, write_pack
from tagger.places.table import label_of, read_rows
from tagger.run.learn import Lesson, learn, lesson_of, photos_in

log = logging.getLogger(__name__)

PART = 100  # places that are written at once: what a stopped run loses
SAME = 0.995  # cosine of two photos of which one adds nothing


def lessons(photos: Path, places: Path, train_csv: Path | None = None) -> list[Lesson]:
    """The places of a table that have photos.

    Args:
        photos: with a folder for each place; or, with ``train_csv``, Google Landmarks v2's
            ``train``, where photo 6e158a47eb2ca3f6 is 6/e/1/6e158a47eb2ca3f6.jpg.
        places: CSV with the columns folder (or landmark_id, slug), latitude, longitude, and if
            known name, radius_m, city, region, country, country_code, wikidata, source.
        train_csv: Google Landmarks v2's train.csv, with the columns id and landmark_id.

    Raises:
        RunError: a table cannot be read, a place has no position, or none has photos.
    """
    by_label: dict[str, list[Path]] = defaultdict(list)
    if train_csv:
        for row in read_rows(train_csv):
            name = row["id"]
            by_label[row["landmark_id"]].append(photos.joinpath(*name[:3], f"{name}.jpg"))
    found = []
    for row in read_rows(places):
        label = label_of(row)
        if not label or not row.get("latitude"):
            continue
        own = tuple(by_label[label]) if train_csv else photos_in(photos / label)
        own = tuple(path for path in own if path.is_file())
        if own:
            found.append(lesson_of(_named(row, label), label, own, places))
    if not found:
        raise RunError(f"--photos {photos}: no photos of the places in {places}")
    return found


def build(
    chosen: Sequence[Lesson], classifier: Classifier, folder: Path, licence: str
) -> list[Path]:
    """Learn the places, PART at a time; parts that ``folder`` has from a stopped run are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in tqdm(range(0, len(chosen), PART), "places", unit=f"{PART} places"):
        some = chosen[start : start + PART]
        words = "\n".join(f"{one.name} {one.position} {len(one.photos)}" for one in some)
        key = hashlib.sha256(f"{classifier.encoder}{words}".encode()).hexdigest()[:16]
        part = folder / f"{start:07d}-{key}.places"
        if not part.exists():
            made = part.with_suffix(".partly")
            made.unlink(missing_ok=True)
            for one in learn(some, made, classifier, licence=licence, private=False):
                for problem in one.problems:
                    log.warning("left out: %s", problem)
            made.replace(part)
        parts.append(part)
    return parts


def merged(paths: Sequence[Path], out: Path, best: int, points: int) -> tuple[int, int]:
    """Write packs as one: of each place the ``best`` photos, of each photo ``points`` points.

    Returns:
        how many places and photos it has.

    Raises:
        RunError: the packs are of different encoders, or one cannot be used.
    """
    packs = [open_pack(path) for path in paths]
    first = packs[0]
    for pack in packs:
        if pack.encoder != first.encoder:
            raise refusal(pack.path, f"made by another model than {first.path}")
    places: dict[str, PackPlace] = {}
    for place in (one for pack in packs for one in pack.places()):
        before = places.get(place.landmark.slug)
        references = (*before.references, *place.references) if before else place.references
        places[place.landmark.slug] = replace(place, references=references)
    kept = [_shrunk(place, best, points) for place in places.values()]
    sizes = first.embeddings.shape[1], first.codes.shape[1]
    write_pack(out, first.encoder, kept, sizes, any(pack.private for pack in packs))
    return len(kept), sum(len(place.references) for place in kept)


def _shrunk(place: PackPlace, best: int, points: int) -> PackPlace:
    """The place with its most typical photos, and of each the strongest points."""
    chosen: list[int] = []
    if place.references:
        known = unit(np.stack([one.embedding for one in place.references]))
        alike = known @ known.T
        for row in np.argsort(-alike.mean(1), kind="stable").tolist():
            if len(chosen) < best and not (chosen and alike[row, chosen].max() > SAME):
                chosen.append(row)
    found = (place.references[row] for row in chosen)
    return replace(
        place,
        references=tuple(
            replace(
                one, codes=one.codes[:points], spots=one.spots[:points],
                facts={key: text for key, text in one.facts.items() if key != "path"},
            )
            for one in found
        ),
    )  # fmt: skip


def _named(row: dict[str, str], label: str) -> dict[str, str]:
    """The row with a name: its own, or the page of Wikimedia Commons that the category is."""
    category = row.get("category", "").rpartition("Category:")[2]
    return {**row, "name": row.get("name") or category.replace("_", " ") or label}
