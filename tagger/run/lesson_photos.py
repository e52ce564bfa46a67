"""What photos that show a place give: references, positions, and what speaks against them."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tagger import metadata
from tagger.errors import PhotoError, VanishedError
from tagger.imaging.decode import to_views
from tagger.places.pack import PlaceReference
from tagger.records import Landmark
from tagger.storage.opening import storage_at
from tagger.storage.raw_file import RawFile, read_picture
from tagger.storage.suffixes import is_raw

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier

BATCH = 16
SURELY = 0.9  # confidence from which a photo that is learned is said to show a landmark


@dataclass(slots=True)
class LessonPhotos:
    """What photos give.

    Attributes:
        references: of the photos that can be read.
        positions: of those that carry one, but for what this tool wrote, which is no evidence.
        problems: photos that cannot be read, and why.
        surely: photos that surely show a landmark by the model, and which.
    """

    references: list[PlaceReference] = field(default_factory=list)
    positions: list[tuple[float, float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    surely: list[tuple[str, Landmark]] = field(default_factory=list)


def read(
    paths: Sequence[Path], classifier: "Classifier", licence: str, asked: bool = True
) -> LessonPhotos:
    """Read photos; only if ``asked``, the model says what they surely show."""
    seen = LessonPhotos()
    for start in range(0, len(paths), BATCH):
        views, facts = [], []
        for path in paths[start : start + BATCH]:
            try:
                data, about = _bytes(path)
                views.append(to_views(data, classifier.image_size, classifier.resize))
            except VanishedError:
                seen.problems.append(f"{path}: no such file; check the name")
                continue
            except PhotoError as error:
                seen.problems.append(f"{path}: {error}")
                continue
            digest = hashlib.sha256(data).hexdigest()
            known = {"sha256": digest, "path": str(path.absolute()), "licence": licence}
            facts.append({name: text for name, text in known.items() if text})
            if metadata.provenance(about) is None and (point := metadata.position(about)):
                seen.positions.append(point)
        if asked:
            made = classifier.references_and_guesses(views)
            references, guesses = [one for one, _ in made], [guess for _, guess in made]
            for fact, guess in zip(facts, guesses, strict=True):
                shown = classifier.landmarks.get(guess.best.slug)
                if shown and guess.best.confidence >= SURELY:
                    seen.surely.append((fact["path"], shown))
        else:
            references = classifier.references(views)
        seen.references += [
            replace(one, facts=fact) for one, fact in zip(references, facts, strict=True)
        ]
    return seen


def _bytes(path: Path) -> tuple[bytes, bytes]:
    """The picture, and where its metadata is: of a raw file, the preview and an EXIF block."""
    place = os.path.realpath(path)
    storage = storage_at(place)
    data = read_picture(storage, place).data
    return data, RawFile(storage, place).exif() if is_raw(place) else data
