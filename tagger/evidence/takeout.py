"""The source ``takeout``: the position and time that Google Photos exported beside a photo."""

import json
import os

from tagger.evidence.estimate import Estimate
from tagger.metadata.capture import Beside, Capture
from tagger.records import Source
from tagger.storage.takeout_names import describes

MOST_BYTES = 1 << 20  # a photo's file has some 1 to 5 KB; albums' are larger and no photo's
RADIUS_M = 50.0  # a phone's position, or a pin that a person set by hand


def parse(name: str, data: bytes, photo: str) -> Beside:
    """Read a photo's Takeout file; what is damaged, or of another photo or kind, states nothing.

    ``geoData`` comes before ``geoDataExif``: it is what the user set by hand, or the same.
    """
    try:
        record = json.loads(data[:MOST_BYTES])
    except (ValueError, RecursionError):
        return Beside(name)
    if not isinstance(record, dict) or not describes(name, str(record.get("title", "")), photo):
        return Beside(name)
    places = (_position(record.get(name)) for name in ("geoData", "geoDataExif"))
    return Beside(name, next(filter(None, places), None), _moment(record.get("photoTakenTime")))


def _position(place: object) -> tuple[float, float] | None:
    if not isinstance(place, dict):
        return None
    latitude, longitude = place.get("latitude"), place.get("longitude")
    for number in (latitude, longitude):
        if not isinstance(number, int | float) or isinstance(number, bool):
            return None
    assert isinstance(latitude, int | float) and isinstance(longitude, int | float)
    if latitude == longitude == 0 or not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    return float(latitude), float(longitude)


def _moment(taken: object) -> float | None:
    text = taken.get("timestamp") if isinstance(taken, dict) else None
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
