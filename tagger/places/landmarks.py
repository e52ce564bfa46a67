"""The only home of landmark names, places and radii: landmarks.csv as records."""

import csv
from functools import cache
from pathlib import Path

from tagger.errors import RunError
from tagger.records import Landmark

LANDMARKS_CSV = Path(__file__).with_name("landmarks.csv")


@cache
def load_landmarks(path: Path = LANDMARKS_CSV) -> dict[str, Landmark]:
    """Read the landmark table, keyed by slug.

    Raises:
        RunError: the file is missing, lacks a column, or a row holds no usable position.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["slug"]: _landmark(row) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise RunError(
            f"{path}: not a usable landmark table ({error!r}); reinstall landmark-tag"
        ) from error


def _landmark(row: dict[str, str]) -> Landmark:
    latitude, longitude = float(row["latitude"]), float(row["longitude"])
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError(f"{row['slug']}: position {latitude}, {longitude} is not on Earth")
    texts = (row["city"], row["region"], row["country"], row["country_code"], row["wikidata"])
    return Landmark(
        row["slug"],
        row["name"],
        row["local_name"],
        latitude,
        longitude,
        int(row["radius_m"]),
        *texts,
        row["extent"],
        row["source"],
    )
