"""Packs of many places, from folders or Google Landmarks v2's files; merged and shrunk."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tagger.errors import RunError
from tagger.model import artifact, landmark_photos
from tagger.model.classifier import Classifier
from tagger.places.embeddings import unit
from tagger.places.opening import open_pack
from tagger.places.own import see_one_place
from tagger.places.pack import SUFFIX, PackPlace, refusal
from tagger.places.pack_writing import write_pack
from tagger.places.table import label_of, read_rows
from tagger.run.learn import learn
from tagger.run.lessons import Lesson, lesson_of, photos_in

log = logging.getLogger(__name__)

PART = 100  # places written at a time: the most that a stopped run loses
SAME = 0.995  # cosine of two photos from which one is redundant


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
    with_photos = []
    for row in read_rows(places):
        label = label_of(row)
        if not label or not row.get("latitude"):
            continue
        own = tuple(by_label[label]) if train_csv else photos_in(photos / label)
        own = tuple(path for path in own if path.is_file())
        if own:
            with_photos.append(lesson_of(_named(row, label), label, own, places))
    if not with_photos:
        raise RunError(f"--photos {photos}: no photos of the places in {places}")
    return with_photos


@dataclass(frozen=True, slots=True)
class Part:
    """Places that are learned together; ``path`` is the pack they are in, once it is there."""

    path: Path
    lessons: tuple[Lesson, ...]


def plan(chosen: Sequence[Lesson], encoder: str, folder: Path) -> list[Part]:
    """The places, PART at a time; what a stopped run left in ``folder`` is named alike."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(chosen), PART):
        some = tuple(chosen[start : start + PART])
        words = "\n".join(f"{one.name} {one.position} {len(one.photos)}" for one in some)
        key = hashlib.sha256(f"{encoder}{words}".encode()).hexdigest()[:16]
        parts.append(Part(folder / f"{start:07d}-{key}{SUFFIX}", some))
    return parts


def build(part: Part, classifier: Classifier, licence: str) -> None:
    """Learn a part, unless it is there."""
    if part.path.exists():
        return
    made = part.path.with_suffix(".partly")
    made.unlink(missing_ok=True)
    for one in learn(part.lessons, made, classifier, licence=licence, private=False):
        for problem in one.problems:
            log.warning("left out: %s", problem)
    made.replace(part.path)


def landmarks(model: Path, folder: Path) -> Path:
    """The landmarks of a model file as one pack: its own and those beside it.

    Raises:
        RunError: the model cannot be used, or has no references.
    """
    loaded, photos = artifact.apart(model)
    known = loaded.references
    if known is None:
        raise RunError(f"--model {model}: has no references; use one made by transfer")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"landmarks{SUFFIX}"
    places = landmark_photos.places(known, loaded.known.values(), photos)
    landmark_photos.write(path, loaded.encoder, known, places)
    return path


def merged(paths: Sequence[Path], out: Path, best: int, points: int) -> tuple[int, int]:
    """Merge packs into one: the ``best`` photos of each place, ``points`` points of each photo.

    Returns:
        how many places and photos it has.

    Raises:
        RunError: the packs are of different encoders, one cannot be used, or two places have one
            name.
    """
    packs = [open_pack(path) for path in paths]
    first = packs[0]
    for pack in packs:
        if pack.encoder != first.encoder:
            raise refusal(pack.path, f"made by another model than {first.path}")
    places: dict[str, PackPlace] = {}
    for place in (one for pack in packs for one in pack.places()):
        before = places.get(place.landmark.slug)
        if before and place.named:
            see_one_place(before.landmark, place.landmark)
        references = (*before.references, *place.references) if before else place.references
        places[place.landmark.slug] = replace(place, references=references)
    kept = [_shrunk(place, best, points) for place in places.values()]
    sizes = first.embeddings.shape[1], first.codes.shape[1]
    write_pack(out, first.encoder, kept, sizes, any(pack.private for pack in packs))
    return len(kept), sum(len(place.references) for place in kept)


def _shrunk(place: PackPlace, best: int, points: int) -> PackPlace:
    """The place with its most typical photos, and the strongest points of each."""
    chosen: list[int] = []
    if place.references:
        known = unit(np.stack([one.embedding for one in place.references]))
        alike = known @ known.T
        for row in np.argsort(-alike.mean(1), kind="stable").tolist():
            if len(chosen) < best and not (chosen and alike[row, chosen].max() > SAME):
                chosen.append(row)
    typical = (place.references[row] for row in chosen)
    return replace(
        place,
        references=tuple(
            replace(
                one, codes=one.codes[:points], spots=one.spots[:points],
                facts={key: text for key, text in one.facts.items() if key != "path"},
            )
            for one in typical
        ),
    )  # fmt: skip


def _named(row: dict[str, str], label: str) -> dict[str, str]:
    """The row with a name: its own, or the page of Wikimedia Commons that the category is."""
    category = row.get("category", "").rpartition("Category:")[2]
    return {**row, "name": row.get("name") or category.replace("_", " ") or label}
