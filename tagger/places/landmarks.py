"""The only home of landmark names, places and radii: landmarks.csv as records."""

from functools import cache
from pathlib import Path

from tagger.errors import RunError
from tagger.places.table import read_places
from tagger.records import Landmark

LANDMARKS_CSV = Path(__file__).with_name("landmarks.csv")


@cache
def load_landmarks(path: Path = LANDMARKS_CSV) -> dict[str, Landmark]:
    """Read the landmark table, keyed by slug.

    Raises:
        RunError: the file is missing, or a row holds no usable position.
    """
    try:
        return read_places(path)
    except RunError as error:
        raise RunError(f"not a usable landmark table: {error}; reinstall landmark-tag") from error
