"""Google Takeout: which JSON file belongs to a photo, and the position and time it states."""

import json
import os
import re
from collections.abc import Container, Iterator

from tagger.evidence.estimate import Estimate
from tagger.metadata.capture import Beside, Capture
from tagger.records import Source

LONGEST = 46  # letters of a name before ".json"; Takeout cuts what is longer
ADDED = ".supplemental-metadata"
MOST_BYTES = 1 << 20  # a photo's file has some 1 to 5 KB; albums' are larger and no photo's
# What Takeout appends to an edited copy's name, by the account's language.
EDITED = (
    "-edited", "-bearbeitet", "-modifié", "-modifie", "-editado", "-editada", "-editat",
    "-modificato", "-bewerkt", "-redigerad", "-redigeret", "-redigert", "-muokattu", "-edytowane",
    "-upraveno", "-upravené", "-szerkesztett", "-düzenlendi", "-изменено", "-отредактировано",
    "-відредаговано", "-επεξεργασμένο", "-編集済み", "-편집됨", "-已编辑",
    "-已編輯", "-已修改", "-effects",
)  # fmt: skip
_NUMBERED = re.compile(r"^(.*)(\(\d+\))$", re.S)
RADIUS_M = 50.0  # a phone's position, or a pin that a person set by hand


def name_for(photo: str, names: Container[str]) -> str | None:
    """The Takeout file of a photo among the names of its folder.

    Args:
        photo: the photo's file name.
        names: the names of the JSON files beside it.

    >>> name_for("a.jpg", {"a.jpg.supplemental-metadata.json"})
    'a.jpg.supplemental-metadata.json'
    >>> name_for("a(1).jpg", {"a.jpg(1).json", "a.jpg.json"})
    'a.jpg(1).json'
    """
    return next((name for name in _candidates(photo) if name in names), None)


def _candidates(photo: str) -> Iterator[str]:
    """Names that Takeout may have given, the likeliest first."""
    stem, suffix = os.path.splitext(photo)
    yield from _of(stem, suffix)
    for word in EDITED:
        if stem.lower().endswith(word):
            yield from _of(stem[: -len(word)], suffix)
        elif (match := _NUMBERED.match(stem)) and match[1].lower().endswith(word):
            yield from _of(match[1][: -len(word)] + match[2], suffix)


def _of(stem: str, suffix: str) -> Iterator[str]:
    match = _NUMBERED.match(stem)
    if match:  # photo(1).jpg goes with photo.jpg(1).json, or .supplemental-metadata(1).json
        bare, number = match[1] + suffix, match[2]
        for cut in _cuts(bare):
            yield f"{cut}{number}.json"
    for cut in _cuts(stem + suffix):
        yield f"{cut}.json"
    if len(stem) <= LONGEST:
        yield f"{stem}.json"


def _cuts(name: str) -> Iterator[str]:
    """The name with what Takeout adds, whole and as it cuts it."""
    yield name + ADDED
    for length in range(min(LONGEST + 1, len(name + ADDED) - 1), len(name), -1):
        yield (name + ADDED)[:length]
    yield name
    for length in (LONGEST, LONGEST + 1, LONGEST - 1):
        if len(name) > length:
            yield name[:length]


def parse(name: str, data: bytes) -> Beside:
    """Read a Takeout file; what is damaged or of another kind states nothing.

    ``geoData`` comes before ``geoDataExif``: it is what the user set by hand, or the same.
    """
    try:
        found = json.loads(data[:MOST_BYTES])
    except (ValueError, RecursionError):
        return Beside(name)
    if not isinstance(found, dict):
        return Beside(name)
    places = (_position(found.get(name)) for name in ("geoData", "geoDataExif"))
    return Beside(name, next(filter(None, places), None), _moment(found.get("photoTakenTime")))


def _position(found: object) -> tuple[float, float] | None:
    if not isinstance(found, dict):
        return None
    latitude, longitude = found.get("latitude"), found.get("longitude")
    for number in (latitude, longitude):
        if not isinstance(number, int | float) or isinstance(number, bool):
            return None
    assert isinstance(latitude, int | float) and isinstance(longitude, int | float)
    if latitude == longitude == 0 or not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    return float(latitude), float(longitude)


def _moment(found: object) -> float | None:
    text = found.get("timestamp") if isinstance(found, dict) else None
    try:
        seconds = float(str(text))
    except ValueError:
        return None
    return seconds if -2e9 < seconds < 5e9 and seconds != 0 else None


class TakeoutSource:
    """Positions that Google Photos exported beside the photos."""

    source = Source.TAKEOUT

    def estimate(self, photo: Capture) -> Estimate | None:
        """See :class:`tagger.evidence.estimate.PositionSource`."""
        if photo.beside is None or photo.beside.position is None:
            return None
        return Estimate(
            Source.TAKEOUT, *photo.beside.position, RADIUS_M / 1.6, RADIUS_M, 0.99,
            f"{os.path.basename(photo.beside.name)} states it",
        )  # fmt: skip
