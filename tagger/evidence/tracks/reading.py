"""Which reader a track file needs, by its name and first bytes; folders are searched."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tagger.errors import RunError
from tagger.evidence.tracks import fit, nmea, timeline, xml_tracks
from tagger.evidence.tracks.point import Point, TrackError
from tagger.storage.named_files import regular

# Suffixes that a folder is searched for; a file that is named is read whatever its suffix.
SUFFIXES = frozenset(".gpx .kml .kmz .json .geojson .nmea .nma .log .fit .rec".split())
_JSON = frozenset(".json .geojson .rec".split())


def read_tracks(
    places: Sequence[Path], warn: Callable[[str], None] = lambda _: None
) -> Iterator[Point]:
    """The points of every track in these files and folders, in no order.

    Args:
        places: what --track names.
        warn: called with a sentence for each file in a folder that holds no track.

    Raises:
        RunError: a file that was named cannot be read as a track, or does not exist.
    """
    for place in places:
        if place.is_dir():
            for path in _inside(place):
                try:
                    yield from _points(path)
                except TrackError as error:
                    warn(f"--track {path}: skipped ({error})")
        else:
            count = 0
            try:
                for point in _points(place):
                    count += 1
                    yield point
            except TrackError as error:
                raise RunError(f"--track {place}: {error}") from error
            if not count:
                raise RunError(
                    f"--track {place}: holds no track point with a time (waypoints and routes are "
                    "no track); give another file"
                )


def _inside(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith("."):
                yield Path(root, name)


def _points(path: Path) -> Iterator[Point]:
    """The points of one file that are somewhere on Earth at some time."""
    try:
        # It is opened again by its reader, which a pipe cannot be.
        with open(path, "rb", opener=regular) as file:
            head = file.read(512)
    except OSError as error:
        raise TrackError(f"cannot be read ({error.strerror}); check the path") from error
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if head[:4] == b"PK\3\4" or start.startswith(b"<"):
        points = xml_tracks.read(path)
    elif head[8:12] == b".FIT":
        points = fit.read(path)
    elif start[:1] in (b"{", b"[") or path.suffix.lower() in _JSON:
        points = timeline.read(path)
    elif b"$G" in head or b"$P" in head:
        points = nmea.read(path)
    else:
        raise TrackError(
            "is not a GPX, KML, KMZ, FIT, NMEA, GeoJSON or Google Timeline file; give one of these"
        )
    for point in points:
        if -90 <= point.latitude <= 90 and -180 <= point.longitude <= 180 and 0 < point.utc < 5e9:
            yield point
