"""The reviewed rows as figures, as places on a map, and as a folder to train on."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import PhotoError, RunError
from tagger.records import Status
from tagger.review.calibration import Judged
from tagger.review.decision import Verdict
from tagger.review.session import Review
from tagger.review.sheet import number, position_by
from tagger.review.trusted_root import Root, read_photo
from tagger.storage.named_files import replace_file
from tagger.storage.suffixes import is_raw, suffix


@dataclass(frozen=True, slots=True)
class Place:
    """A point of the map: how many photos have it, in degrees WGS-84."""

    name: str
    latitude: float
    longitude: float
    count: int
    source: str = ""  # where only the camera's position is known


def judged(review: Review) -> list[Judged]:
    """Each reviewed row that had a guess: its confidence, and whether the person agreed."""
    answers = []
    for row, decision in review.decisions.items():
        confidence = number(review.sheet.cell(row, "confidence"))
        if confidence is not None and review.original(row, "landmark"):
            named = decision.landmark and review.landmarks[decision.landmark].name
            right = decision.verdict is Verdict.ACCEPT or (
                bool(named) and named == review.original(row, "landmark")
            )
            answers.append(Judged(confidence, right))
    return answers


def places(review: Review, rows: Iterable[int]) -> list[Place]:
    """The places that rows have now, without rejected ones, most photos first."""
    counts: Counter[tuple[str, float, float, str]] = Counter()
    for row in rows:
        name, latitude, longitude, source, accept = (
            review.sheet.cell(row, column)
            for column in ("landmark", "latitude", "longitude", "source", "accept")
        )
        at = number(latitude), number(longitude)
        if at[0] is None or at[1] is None or accept == "no":
            continue
        if name or not source:
            counts[name, at[0], at[1], ""] += 1
        else:  # each has a point of its own: too many for a map of the world
            counts[position_by(source), round(at[0], 1), round(at[1], 1), source] += 1
    return [
        Place(name, latitude, longitude, count, source)
        for (name, latitude, longitude, source), count in counts.most_common()
    ]


def export(review: Review, root: Root, folder: Path) -> Counter[str]:
    """Copy named photos to ``folder/train/<slug>/``, ready for python -m train.

    A copy is named by its content, so exporting twice, or from two reports, adds nothing twice.

    Returns:
        how many photos of each landmark (slug) lie there from this review.

    Raises:
        RunError: the folder cannot be written.
    """
    slugs = {place.name: slug for slug, place in review.landmarks.items()}
    counts: Counter[str] = Counter()
    for row, decision in sorted(review.decisions.items()):
        slug = decision.landmark
        if decision.verdict is Verdict.ACCEPT:
            slug = slugs.get(review.sheet.cell(row, "landmark"), "")
        if slug:
            counts[slug] += _copied(review, row, root, folder / "train" / slug)
    return counts


def export_negatives(review: Review, root: Root, folder: Path) -> int:
    """Copy photos rejected by the reviewer to ``folder``; returns how many are there.

    A guess that was only rejected is left out: the photo may show another landmark.

    Raises:
        RunError: the folder cannot be written.
    """
    return sum(
        _copied(review, row, root, folder)
        for row, decision in sorted(review.decisions.items())
        if decision.verdict is Verdict.REJECT
        and review.sheet.cell(row, "status") == Status.NO_LANDMARK
    )


def _copied(review: Review, row: int, root: Root, folder: Path) -> bool:
    """Whether a row's photo could be read, and lies in ``folder`` by now."""
    path = review.sheet.photo(row)
    try:
        data = read_photo(path, root)
    except PhotoError:
        return False
    name = hashlib.sha256(data).hexdigest()[:16]
    try:  # of a raw file, the preview was read
        _put(folder / f"{name}{'.jpg' if is_raw(path) else suffix(path)}", data)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder"
        ) from error
    return True


def _put(path: Path, data: bytes) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
