"""Tables of places as CSV, and what a place has to say of itself: the one reader of them all."""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tagger.errors import RunError
from tagger.records import Landmark
from tagger.storage.named_files import regular

TABLE = "places.csv"  # what it is called beside folders of photos, and in a model file
RADIUS_M = 100  # of a place that nobody gave one: a house and its street
LARGEST_M = 2_000_000  # the Great Barrier Reef has 1,150 km, the Great Wall 1,600
EXTENTS = ("point", "site", "area")
TEXTS = ("slug", "name", "local_name", "city", "region", "country", "country_code", "wikidata",
         "extent", "source", "licence")  # fmt: skip
# What Sinhala and Persian are joined by, and spaces that do not break; str.isprintable takes none.
JOINERS = str.maketrans("", "", "\u200c\u200d\u00a0\u202f")
COLUMNS = tuple(field.name for field in fields(Landmark))
Row = Mapping[str, str]
_SEPARATOR = re.compile(r'\s*"?sep=(\t|[^"\s])"?\s*', re.IGNORECASE)


def named_separator(line: str) -> str:
    """What separates the cells, where a spreadsheet says so in a line before the header.

    >>> named_separator("sep=;"), named_separator("slug;name")
    (';', '')
    """
    named = _SEPARATOR.fullmatch(line)
    return named[1] if named else ""


def place_of(facts: Mapping[str, Any], slug: str) -> Landmark:
    """A place by what is said of it.

    Raises:
        KeyError, ValueError, TypeError: it has no name, or no position on Earth.
    """
    latitude, longitude = float(facts["latitude"]), float(facts["longitude"])
    radius = facts["radius_m"]
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # not-a-number too
        raise ValueError(f"{latitude}, {longitude} is not on Earth")
    if type(radius) is not int or not 1 <= radius <= LARGEST_M:
        raise ValueError(f"its radius is {radius!r}, not 1 to {LARGEST_M} metres")
    words = [facts.get(name, "") for name in TEXTS]
    if not all(isinstance(text, str) and text.translate(JOINERS).isprintable() for text in words):
        raise ValueError("a name in it is not plain text")
    text = dict(zip(TEXTS, words, strict=True))
    if not text["name"].strip() or not text["slug"]:
        raise ValueError("it has no name")
    return Landmark(
        slug, text["name"], text["local_name"] or text["name"], latitude, longitude, radius,
        text["city"], text["region"], text["country"], text["country_code"], text["wikidata"],
        text["extent"] if text["extent"] in EXTENTS else "point", text["source"],
    )  # fmt: skip


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file, missing cells as empty text.

    Raises:
        RunError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="", opener=regular) as file:
            first = file.readline()
            separator = named_separator(first)
            yield from _rows(file if separator else itertools.chain([first], file), separator)
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(f"{path}: cannot be read ({error}); save it as UTF-8 CSV") from error


def label_of(row: Row) -> str:
    """What a row's place is called by folders and models."""
    return next((row[key] for key in ("folder", "landmark_id", "slug", "name") if row.get(key)), "")


def place_of_row(row: Row, label: str) -> Landmark:
    """The place of a row; its name is the label's where the row has none.

    Raises:
        KeyError, ValueError, OverflowError: the row has no usable position.
    """
    name = row.get("name") or label.replace("_", " ")
    radius = round(float(row.get("radius_m") or RADIUS_M))
    return place_of({**row, "slug": label, "name": name, "radius_m": radius}, label)


def read_places(path: Path) -> dict[str, Landmark]:
    """The places of a CSV file by label: folder, landmark_id, slug or name.

    Raises:
        RunError: it cannot be read, or a row is no place.
    """
    return _places(read_rows(path), str(path))


def from_csv(data: bytes, where: str) -> dict[str, Landmark]:
    """As :func:`read_places`, of what :func:`to_csv` made; ``where`` names the file."""
    try:
        return _places(_rows(io.StringIO(data.decode("utf-8"), newline="")), where)
    except (ValueError, csv.Error) as error:
        raise RunError(
            f"{where}: its places cannot be read ({error}); save them as UTF-8 CSV"
        ) from error


def to_csv(places: Iterable[Landmark]) -> bytes:
    """Places as a table with the columns of landmarks.csv."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(place) for place in places)
    return text.getvalue().encode()


def _rows(lines: Iterable[str], separator: str = "") -> Iterator[dict[str, str]]:
    for row in csv.DictReader(lines, delimiter=separator or ","):
        yield {key: text or "" for key, text in row.items() if key}


def _places(rows: Iterable[Row], where: str) -> dict[str, Landmark]:
    places: dict[str, Landmark] = {}
    for number, row in enumerate(rows, 2):
        label = label_of(row)
        try:
            if not label or "/" in label or label in places:
                raise ValueError(f"{label!r} is no name of its own for a place")
            places[label] = place_of_row(row, label)
        except (KeyError, ValueError, OverflowError) as error:
            raise RunError(
                f"{where}: row {number} ({label}) is no place: {error}; give it a slug (or "
                "folder), latitude and longitude"
            ) from error
    return places
