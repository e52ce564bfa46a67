"""Places of the user's own: :func:`learn`."""

import os
from pathlib import Path

from tagger.api.model import Model, load_model
from tagger.api.paths import Paths, files_of
from tagger.errors import RunError
from tagger.places.own import own_path
from tagger.run.learn import LessonResult
from tagger.run.learn import learn as run_lessons
from tagger.run.lessons import Lesson, photos_at


def learn(
    name: str,
    photos: Paths,
    *,
    at: tuple[float, float] | None = None,
    radius: int | None = None,
    pack: str | os.PathLike[str] | None = None,
    model: Model | None = None,
    wrong: bool = False,
    licence: str = "",
    private: bool = True,
) -> LessonResult:
    """Add a place, or photos of a known one, to a pack; two to five photos are enough.

    Args:
        name: what it is called.
        photos: files, and folders of them.
        at: latitude and longitude in degrees (WGS-84); None for where the photos' own GPS is.
        radius: metres around it in which photos of it are taken; None for 100, or as far as the
            photos lie apart.
        pack: the file, made where it is not there; None for the user's own pack.
        model: what is to recognise the place, from :func:`load_model`; None for the one that ships.
        wrong: the photos do NOT show the place, which is remembered.
        licence: of the photos.
        private: of a new pack: it must not leave this machine unasked.

    Raises:
        RunError: no photo can be read, there is no position, or the pack cannot be used.
    """
    there = photos_at(files_of(photos))
    if not there:
        raise RunError(f"learn {name}: give photos of the place, two to five of them")
    lesson, where = Lesson(name, there, at, radius), Path(pack) if pack else own_path()
    classifier = (model or load_model(device="cpu"))._classifier
    (learned,) = run_lessons(
        [lesson], where, classifier, licence=licence, private=private, wrong=wrong
    )
    return learned
