"""What is to be learned: places with their photos, from folders and tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import RunError
from tagger.places.table import TABLE, label_of, place_of_row, read_rows
from tagger.records import Landmark
from tagger.storage.suffixes import LISTED_SUFFIXES, suffix


@dataclass(frozen=True, slots=True)
class Lesson:
    """What to learn: a name, its photos, and its position, if stated."""

    name: str
    photos: tuple[Path, ...]
    position: tuple[float, float] | None = None
    radius_m: int | None = None
    landmark: Landmark | None = None  # all that is known of the place


def in_folders(folder: Path) -> list[Lesson]:
    """A lesson for each folder of photos, with what ``places.csv`` says of it.

    The table has the columns folder (or slug, or name), latitude, longitude, and may have name,
    radius_m and those of landmarks.csv.

    Raises:
        RunError: there are no such folders, or the table cannot be read.
    """
    path = folder / TABLE
    table = dict[str, dict[str, str]]()
    for row in read_rows(path) if path.exists() else ():
        label = label_of(row)
        if label in table and row != table[label]:
            raise RunError(f"{path}: two rows are of {label}; leave one of them out")
        table[label] = row
    try:
        named = sorted(one for one in folder.iterdir() if one.is_dir())
    except OSError as error:
        raise RunError(
            f"--from {folder}: cannot be read ({error.strerror}); check the path"
        ) from error
    lessons = []
    for place in named:
        photos = photos_in(place)
        row = table.get(place.name, {})
        if photos:
            lessons.append(lesson_of(row, place.name, photos, path))
    if not lessons:
        raise RunError(f"--from {folder}: no folder of photos in it; name folders by place")
    return lessons


def photos_at(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Files, and the photos of folders among them."""
    return tuple(one for path in paths for one in (photos_in(path) if path.is_dir() else (path,)))


def photos_in(folder: Path) -> tuple[Path, ...]:
    """The photos of a folder, by name."""
    listed = (one for one in folder.rglob("*") if suffix(one.name) in LISTED_SUFFIXES)
    return tuple(sorted(one for one in listed if one.is_file()))


def lesson_of(row: dict[str, str], folder: str, photos: tuple[Path, ...], table: Path) -> Lesson:
    """A lesson by a row of a table of places, or by the folder's name alone.

    Raises:
        RunError: the row has no usable position.
    """
    if not row.get("latitude"):
        return Lesson(row.get("name") or folder.replace("_", " "), photos)
    try:
        mark = place_of_row(row, folder)
    except (ValueError, KeyError, OverflowError) as error:
        raise RunError(
            f"{table}: {folder}: position or radius is none ({error}); correct it"
        ) from error
    return Lesson(mark.name, photos, (mark.latitude, mark.longitude), mark.radius_m, mark)
