"""Learning places: photos that show a place become references of a pack."""

import itertools
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.errors import LessonError, RunError
from tagger.places.distance import distance_m
from tagger.places.embeddings import unit
from tagger.places.own import (
    FARTHEST_M,
    NOT,
    Editing,
    editing,
    far_apart_m,
    new_landmark,
    slug_of,
)
from tagger.places.pack import Pack, PackPlace
from tagger.places.search import products_with
from tagger.places.table import RADIUS_M
from tagger.records import Landmark
from tagger.run.lesson_photos import read
from tagger.run.lessons import Lesson
from tagger.storage.named_files import replace_file

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier


@dataclass(frozen=True, slots=True)
class LessonResult:
    """What was learned of one place.

    Attributes:
        landmark: the place as the pack has it now.
        new, known: photos that were added, and that were there.
        apart_m: how far the photos' own positions lie apart, None where fewer than two have one.
        problems: photos that could not be read, and why.
        away_m: how far from the place the photos' own positions are, at most.
        elsewhere: photos that surely show a landmark elsewhere by the model: photo, landmark,
            metres away.
    """

    landmark: Landmark
    new: int
    known: int
    apart_m: float | None
    problems: tuple[str, ...]
    away_m: float = 0.0
    elsewhere: tuple[tuple[str, str, float], ...] = ()


def learn(
    lessons: Iterable[Lesson], path: Path, classifier: "Classifier", *, licence: str = "",
    private: bool = True, wrong: bool = False,
    refused: Callable[[Lesson, LessonError], None] | None = None,
) -> Iterator[LessonResult]:  # fmt: skip
    """Add places, or photos to known ones, to a pack; it is written once all are learned.

    Args:
        lessons: the places.
        path: the pack's file, made where it is not there.
        classifier: what embeds photos.
        licence: of the photos, for the pack.
        private: of a new pack.
        wrong: the photos do NOT show the place; remember that.
        refused: called with each place that cannot be learned, and why; the others are learned.

    Raises:
        LessonError: without ``refused``: no photo of a place can be read, it has no position, or
            they lie too far apart.
        RunError: another place has its name, or the pack cannot be used.
    """
    encoder, *sizes = classifier.made_by()
    with editing(path, encoder, (sizes[0], sizes[1]), private) as pack:
        for lesson in lessons:
            try:
                result = _learned(lesson, pack, classifier, licence, wrong)
            except LessonError as error:
                if refused is None:
                    raise
                refused(lesson, error)
            else:
                yield result


def _learned(
    lesson: Lesson, pack: Editing, classifier: "Classifier", licence: str, wrong: bool
) -> LessonResult:
    before = pack.find(lesson.name)
    photos = read(lesson.photos, classifier, licence, asked=not wrong)
    references, problems = photos.references, tuple(photos.problems)
    if not references:
        raise LessonError(f"{lesson.name}: none of its photos can be read: {'; '.join(problems)}")
    if wrong:
        mark = before.landmark if before else new_landmark(lesson.name, 0, 0, RADIUS_M)
        mark = replace(mark, slug=NOT + mark.slug)
        apart, away = None, 0.0
    else:
        mark, apart, away = _marked(lesson, before.landmark if before else None, photos.positions)
    count = pack.add(PackPlace(mark, tuple(references), licence, named=not wrong))
    elsewhere = tuple(
        (photo, shown.name, away_m)
        for photo, shown in photos.surely
        if (away_m := far_apart_m(mark, shown))
    )
    known = len(references) - count
    return LessonResult(mark, count, known, apart, problems, away, elsewhere)


def _marked(
    lesson: Lesson, before: Landmark | None, positions: Sequence[tuple[float, float]]
) -> tuple[Landmark, float | None, float]:
    """The place, how far its photos lie apart, and how far from it."""
    if not slug_of(lesson.name):
        raise LessonError(f"{lesson.name!r}: a place needs a name with letters or digits; give one")
    middle = (
        (statistics.median(p[0] for p in positions), statistics.median(p[1] for p in positions))
        if positions
        else None
    )
    at = lesson.position or (before and (before.latitude, before.longitude)) or middle
    if at is None:
        raise LessonError(
            f"{lesson.name}: none of its photos carries GPS; say where it is with --at LAT,LON"
        )
    away = max((distance_m(at, point) for point in positions), default=0.0)
    radius = lesson.radius_m or (before.radius_m if before else None)
    if not lesson.position and away > max(FARTHEST_M, radius or 0):
        middle_is = "where it is known" if before else "their middle"
        other = ", or give another place another name" if before else ""
        raise LessonError(
            f"{lesson.name}: its photos lie up to {away:,.0f} m from {middle_is}; say where it is "
            f"with --at LAT,LON, or how large with --radius{other}"
        )
    # Where the place was said to be, one photo with a wrong position must not make it large.
    radius = radius or (RADIUS_M if lesson.position else max(RADIUS_M, round(away)))
    known = lesson.landmark or before or new_landmark(lesson.name, *at, radius)
    slug = before.slug if before else slug_of(lesson.name)
    mark = replace(known, slug=slug, latitude=at[0], longitude=at[1], radius_m=radius)
    apart = max((distance_m(one, other) for one in positions for other in positions), default=0.0)
    return mark, apart if len(positions) > 1 else None, away


def relearned(path: Path, classifier: "Classifier") -> Iterator[tuple[PackPlace, list[str]]]:
    """Learn a pack's places again with the model in use, from their photos.

    The pack is written once all are learned; if photos are gone, ``PATH.before`` keeps the old one,
    and ``PATH.before-2`` one from before that.

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
                again = read([Path(photo)], classifier, one.facts.get("licence", ""), asked=False)
                same = [
                    ref
                    for ref in again.references
                    if ref.facts["sha256"] == one.facts.get("sha256")
                ]
                made += same or again.references
                problems += again.problems if photo else ["a photo without a path; learn it again"]
            lost = lost or bool(problems)
            pack.places[slug] = replace(place, references=tuple(made))
            if not made:
                del pack.places[slug]
            yield replace(place, references=tuple(made)), problems
        if lost:
            _keep(path)


def _keep(path: Path) -> None:
    try:
        if before(path).exists():  # an older one, of which more photos may be gone by now
            before(path).rename(_next(path))
        replace_file(before(path), path.read_bytes())
    except OSError as error:
        raise RunError(
            f"{before(path)}: cannot be written ({error.strerror}), and photos are gone; the pack "
            "is as it was: make room, or bring the photos back"
        ) from error


def _next(path: Path) -> Path:
    """A free name for an older pack."""
    names = (path.with_name(f"{path.name}.before-{number}") for number in itertools.count(2))
    return next(name for name in names if not name.exists())


def before(path: Path) -> Path:
    """Where a pack is kept as it was before photos of it were lost."""
    return path.with_name(f"{path.name}.before")


def confused(pack: Pack) -> list[tuple[str, str, str]]:
    """Photos of the pack that are more like another place's: photo, its place, the other one."""
    confusions, known = [], unit(pack.embeddings)
    marks = [pack.landmark(number) for number in range(len(pack))]
    for row, owner in enumerate(pack.owners.tolist()):
        alike = products_with(known, known[row])
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
