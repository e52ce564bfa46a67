"""Learning places: photos that show a place become references of a pack."""

import hashlib
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tagger import metadata
from tagger.errors import PhotoError, RunError
from tagger.imaging.decode import to_views
from tagger.places.distance import distance_m
from tagger.places.embeddings import unit
from tagger.places.own import NOT, Editing, editing, new_landmark, slug_of
from tagger.places.pack import Pack, PackPlace, PlaceReference
from tagger.places.table import RADIUS_M
from tagger.records import Landmark
from tagger.run.lessons import Lesson

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier

FARTHEST_M = 2_000  # that photos of one place lie apart, unless a radius says more
BATCH = 16


@dataclass(frozen=True, slots=True)
class LessonResult:
    """What was learned of one place.

    Attributes:
        landmark: the place as the pack has it now.
        new, known: photos that were added, and that were there.
        apart_m: how far the photos' own positions lie apart, None where fewer than two have one.
        problems: photos that could not be read, and why.
    """

    landmark: Landmark
    new: int
    known: int
    apart_m: float | None
    problems: tuple[str, ...]


def learn(
    lessons: Iterable[Lesson], path: Path, classifier: "Classifier", *, licence: str = "",
    private: bool = True, wrong: bool = False,
) -> Iterator[LessonResult]:  # fmt: skip
    """Add places, or photos to known ones, to a pack; it is written once all are learned.

    Args:
        lessons: the places.
        path: the pack's file, made where it is not there.
        classifier: what embeds photos.
        licence: of the photos, for the pack.
        private: of a new pack.
        wrong: the photos do NOT show the place; remember that.

    Raises:
        RunError: a place has no position, its photos lie too far apart, or the pack cannot be used.
    """
    encoder, *sizes = classifier.made_by()
    with editing(path, encoder, (sizes[0], sizes[1]), private) as pack:
        for lesson in lessons:
            yield _learned(lesson, pack, classifier, licence, wrong)


def _learned(
    lesson: Lesson, pack: Editing, classifier: "Classifier", licence: str, wrong: bool
) -> LessonResult:
    before = pack.find(lesson.name)
    references, positions, problems = _read(lesson.photos, classifier, licence)
    if not references:
        raise RunError(f"{lesson.name}: none of its photos can be read: {'; '.join(problems)}")
    if wrong:
        mark = before.landmark if before else new_landmark(lesson.name, 0, 0, RADIUS_M)
        mark = replace(mark, slug=NOT + mark.slug)
        apart = None
    else:
        mark, apart = _marked(lesson, before.landmark if before else None, positions)
    count = pack.add(PackPlace(mark, tuple(references), licence, named=not wrong))
    return LessonResult(mark, count, len(references) - count, apart, tuple(problems))


def _marked(
    lesson: Lesson, before: Landmark | None, positions: Sequence[tuple[float, float]]
) -> tuple[Landmark, float | None]:
    """The place, and how far its photos lie apart."""
    if not slug_of(lesson.name):
        raise RunError(f"{lesson.name!r}: a place needs a name with letters or digits; give one")
    middle = (
        (statistics.median(p[0] for p in positions), statistics.median(p[1] for p in positions))
        if positions
        else None
    )
    at = lesson.position or (before and (before.latitude, before.longitude)) or middle
    if at is None:
        raise RunError(
            f"{lesson.name}: none of its photos carries GPS; say where it is with --at LAT,LON"
        )
    away = max((distance_m(at, point) for point in positions), default=0.0)
    radius = lesson.radius_m or (before.radius_m if before else None)
    if not lesson.position and not before and away > max(FARTHEST_M, radius or 0):
        raise RunError(
            f"{lesson.name}: its photos lie up to {away:,.0f} m from their middle; say where it is "
            "with --at LAT,LON, or how large with --radius"
        )
    # Where the place was said to be, one photo with a wrong position must not make it large.
    radius = radius or (RADIUS_M if lesson.position else max(RADIUS_M, round(away)))
    known = lesson.landmark or before or new_landmark(lesson.name, *at, radius)
    slug = before.slug if before else slug_of(lesson.name)
    mark = replace(known, slug=slug, latitude=at[0], longitude=at[1], radius_m=radius)
    apart = max((distance_m(one, other) for one in positions for other in positions), default=0.0)
    return mark, apart if len(positions) > 1 else None


def _read(
    paths: Sequence[Path], classifier: "Classifier", licence: str
) -> tuple[list[PlaceReference], list[tuple[float, float]], list[str]]:
    """References of the photos that can be read, positions of those that carry one, problems."""
    references, positions, problems = [], [], []
    for start in range(0, len(paths), BATCH):
        views, facts = [], []
        for path in paths[start : start + BATCH]:
            try:
                data = path.read_bytes()
                views.append(to_views(data, classifier.image_size, classifier.resize))
            except OSError as error:
                problems.append(f"{path}: cannot be read ({error.strerror}); check the path")
                continue
            except PhotoError as error:
                problems.append(f"{path}: {error}")
                continue
            digest = hashlib.sha256(data).hexdigest()
            known = {"sha256": digest, "path": str(path.absolute()), "licence": licence}
            facts.append({name: text for name, text in known.items() if text})
            # What this tool wrote is no evidence of where a place is.
            if metadata.provenance(data) is None and (point := metadata.position(data)):
                positions.append(point)
        if views:
            references += [
                replace(one, facts=fact)
                for one, fact in zip(classifier.references(views), facts, strict=True)
            ]
    return references, positions, problems


def relearned(path: Path, classifier: "Classifier") -> Iterator[tuple[PackPlace, list[str]]]:
    """Learn a pack's places again with the model in use, from their photos.

    The pack is written once all are learned; if photos are gone, ``PATH.before`` keeps the old one.

    Yields:
        each place as it is now, without references where all of its photos are gone; and why.

    Raises:
        RunError: the pack cannot be used or written.
    """
    encoder, *sizes = classifier.made_by()
    lost = False
    with editing(path, encoder, (sizes[0], sizes[1]), True, anew=True) as pack:
        for slug, place in list(pack.places.items()):
            made, problems = [], []
            for one in place.references:
                photo = one.facts.get("path", "")
                references, _, trouble = _read(
                    [Path(photo)], classifier, one.facts.get("licence", "")
                )
                same = [ref for ref in references if ref.facts["sha256"] == one.facts.get("sha256")]
                made += same or references
                problems += trouble if photo else ["a photo without a path; learn it again"]
            lost = lost or bool(problems)
            pack.places[slug] = replace(place, references=tuple(made))
            if not made:
                del pack.places[slug]
            yield replace(place, references=tuple(made)), problems
        if lost:
            before(path).write_bytes(path.read_bytes())


def before(path: Path) -> Path:
    """Where a pack is kept as it was before photos of it were lost."""
    return path.with_name(f"{path.name}.before")


def confused(pack: Pack) -> list[tuple[str, str, str]]:
    """Photos of the pack that are more like another place's: photo, its place, the other one."""
    confusions, known = [], unit(pack.embeddings)
    marks = [pack.landmark(number) for number in range(len(pack))]
    for row, owner in enumerate(pack.owners.tolist()):
        alike = known @ known[row]
        alike[row] = -1
        if pack.counts[owner] < 2 or not len(alike):
            continue
        other = int(pack.owners[int(alike.argmax())])
        if other != owner:
            photo = pack.photo(row)
            name = photo.get("path") or photo.get("source") or photo.get("sha256", "")[:12]
            name = name or f"photo {row + 1}"
            confusions.append((name, marks[owner].name, marks[other].name))
    return confusions
