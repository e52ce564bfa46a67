"""The tables beside training photos: where classes are, what to leave out, where they come from."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tagger.errors import RunError
from tagger.places.landmarks import load_landmarks
from tagger.places.table import TABLE, read_places
from tagger.records import Landmark


def read_known(
    directories: Sequence[Path],
    table: Path | None = None,
    own: Mapping[str, Landmark] | None = None,
) -> dict[str, Landmark]:
    """All places that classes may be: the user's own before those of landmarks.csv.

    Args:
        directories: folders of data, in which there may be a ``places.csv``.
        table: another such file, which goes before these.
        own: places that a model file brings.

    Raises:
        RunError: a table cannot be read, or a row is no place.
    """
    beside = [folder / TABLE for folder in directories if (folder / TABLE).is_file()]
    places = {**load_landmarks(), **(own or {})}
    for path in (*beside, *((table,) if table else ())):
        places |= read_places(path)
    return places


def read_left_out(lists: Iterable[Path], directories: Sequence[Path]) -> frozenset[Path]:
    """Photos that CSV files name, as resolved paths: a column ``negative`` or ``file``.

    Paths are below one of the directories; beside ``file`` there may be ``split`` and ``slug``, the
    folders it lies in.

    Raises:
        RunError: a list cannot be read, or has none of these columns.
    """
    names = set()
    for place in lists:
        try:
            with place.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    name = row.get("negative") or row["file"]
                    names.add("/".join([*(row.get(k, "") for k in ("split", "slug")), name]))
        except (OSError, KeyError) as error:
            raise RunError(
                f"--leave-out {place}: cannot be read; give a CSV file with a column file or "
                "negative"
            ) from error
    places = (directory / name.lstrip("/") for name in names for directory in directories)
    return frozenset(place.resolve() for place in places if place.is_file())


def origins_of(directory: Path) -> dict[str, str]:
    """The collection of each photo that ``manifest.csv`` names, by its path below the folder."""
    try:
        with (directory / "manifest.csv").open(encoding="utf-8", newline="") as file:
            return dict(map(_origin, csv.DictReader(file)))
    except (OSError, KeyError):
        return {}


def _origin(row: Mapping[str, str]) -> tuple[str, str]:
    """From a row of manifest.csv, the photo's path below its folder, and the collection."""
    if "source repo" in row:
        return row["file"], row["source repo"]
    return "/".join((row["split"], row["slug"], row["file"])), row["source_repo"]
