"""What a review teaches: places named by hand, corrected guesses, and what is not a place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.places.distance import distance_m
from tagger.places.opening import open_pack
from tagger.places.own import FARTHEST_M, own_path
from tagger.places.pack import Pack
from tagger.records import Landmark, Status
from tagger.review.decision import Verdict
from tagger.review.session import Review
from tagger.review.trusted_root import Root, inside
from tagger.run.learn import learn
from tagger.run.lessons import Lesson

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier

GUESSED = frozenset({Status.TAGGED, Status.WOULD_TAG, Status.UNSURE})


@dataclass(frozen=True, slots=True)
class Teachable:
    """A place and photos that a person said show it, or do not."""

    lesson: Lesson
    wrong: bool = False


def own_pack() -> Pack | None:
    """The user's own places, where there are any."""
    path = own_path()
    return open_pack(path) if path.exists() else None


def own_names(pack: Pack) -> tuple[list[tuple[Landmark, int]], list[tuple[Landmark, int]]]:
    """The places of a pack and what was rejected, each with the count of its photos."""
    known: list[tuple[Landmark, int]] = []
    refused: list[tuple[Landmark, int]] = []
    for number in range(len(pack)):
        kind = known if pack.named(number) else refused
        kind.append((pack.landmark(number), int(pack.counts[number])))
    return known, refused


def teachable(review: Review, root: Root) -> list[Teachable]:
    """What the decisions teach: photos of one place together, places with most photos first."""
    shown: list[tuple[Lesson, list[Path]]] = []
    wrong: dict[str, list[Path]] = {}
    for row, decision in sorted(review.decisions.items()):
        photo = review.sheet.photo(row)
        if not isinstance(root, Path) or not inside(photo, root):
            continue
        guessed = review.original(row, "landmark")
        status = review.sheet.cell(row, "status")
        named = ""
        match decision.verdict:
            case Verdict.PLACE if decision.name.strip():
                named = decision.name.strip()
                at = decision.latitude, decision.longitude
                _add(shown, Lesson(named, (), at), Path(photo))
            case Verdict.LANDMARK:
                mark = review.landmarks[decision.landmark]
                named, at = mark.name, (mark.latitude, mark.longitude)
                lesson = Lesson(named, (), at, mark.radius_m, mark)
                _add(shown, lesson, Path(photo))
        refused = decision.verdict is not Verdict.ACCEPT and guessed not in ("", named)
        if refused and status in GUESSED:
            wrong.setdefault(guessed, []).append(Path(photo))
    lessons = [
        Teachable(Lesson(one.name, tuple(photos), one.position, one.radius_m, one.landmark))
        for one, photos in shown
    ]
    lessons += [
        Teachable(Lesson(name, tuple(photos)), wrong=True) for name, photos in wrong.items()
    ]
    return sorted(lessons, key=lambda one: (one.wrong, -len(one.lesson.photos)))


def _add(shown: list[tuple[Lesson, list[Path]]], lesson: Lesson, photo: Path) -> None:
    """A photo of a place; one name for two places far apart makes two lessons."""
    for known, photos in shown:
        if known.name == lesson.name and not _apart(known, lesson):
            photos.append(photo)
            return
    shown.append((lesson, [photo]))


def _apart(one: Lesson, other: Lesson) -> bool:
    """Whether two places lie too far apart to be the same."""
    assert one.position and other.position
    reach = max(FARTHEST_M, one.radius_m or 0, other.radius_m or 0)
    return distance_m(one.position, other.position) > reach


def teach(chosen: Sequence[Teachable], classifier: "Classifier") -> int:
    """Add what is taught to the user's own pack; how many photos were new.

    Raises:
        RunError: a photo is gone, one name stands for two places, or the pack cannot be used.
    """
    count = 0
    for wrong in (False, True):
        lessons = [one.lesson for one in chosen if one.wrong is wrong]
        if lessons:
            learned = learn(lessons, own_path(), classifier, wrong=wrong)
            count += sum(one.new for one in learned)
    return count
