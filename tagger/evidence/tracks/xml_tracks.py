"""GPX 1.0 and 1.1, KML and KMZ (gx:Track), streamed: memory does not grow with the file."""

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from tagger.evidence.tracks.point import Point, TrackError, moment

MOST_UNZIPPED = 2 << 30


def read(path: Path) -> Iterator[Point]:
    """The points of a file.

    Raises:
        TrackError: it is damaged, or tries what only hostile XML does.
    """
    with ExitStack() as stack:
        try:
            yield from _points(_opened(path, stack))
        except (ParseError, DefusedXmlException, zipfile.BadZipFile, ValueError) as error:
            raise TrackError(f"is damaged ({error}); export it again") from error
        except OSError as error:
            raise TrackError(f"cannot be read ({error.strerror}); check the disk") from error


def _opened(path: Path, stack: ExitStack) -> IO[bytes]:
    if not zipfile.is_zipfile(path):
        return stack.enter_context(path.open("rb"))
    archive = stack.enter_context(zipfile.ZipFile(path))
    for member in archive.infolist():
        if member.filename.lower().endswith((".kml", ".gpx")):
            if member.file_size > MOST_UNZIPPED:
                raise TrackError(
                    f"{member.filename} in it is larger than 2 GB; unpack and split it"
                )
            return stack.enter_context(archive.open(member))
    raise TrackError("is a ZIP file without KML or GPX; give the track itself")


def _points(file: IO[bytes]) -> Iterator[Point]:
    whens: list[float | None] = []  # of the gx:Track being read; its coordinates follow
    open_elements: list[Element] = []
    for event, element in iterparse(file, events=("start", "end"), forbid_dtd=False):
        if event == "start":
            open_elements.append(element)
            continue
        open_elements.pop()
        name = element.tag.rpartition("}")[2]
        # A waypoint's time may be that of an edit; at a route's points nobody has been yet.
        if name == "trkpt":
            point = _gpx(element)
            if point:
                yield point
        elif name == "Track":
            whens.clear()
        elif name == "when":
            whens.append(moment(element.text or ""))
            continue
        elif name == "coord" and whens:
            when, numbers = whens.pop(0), (element.text or "").split()
            if when is not None and len(numbers) >= 2:
                yield Point(when, float(numbers[1]), float(numbers[0]))
        elif name == "Placemark":
            yield from _placemark(element)
        if name in ("trkpt", "rtept", "wpt", "coord", "Placemark", "trkseg") and open_elements:
            open_elements[-1].remove(element)


def _gpx(element: Element) -> Point | None:
    at = next((child for child in element if child.tag.rpartition("}")[2] == "time"), None)
    when = moment(at.text or "") if at is not None else None
    latitude, longitude = element.get("lat"), element.get("lon")
    if when is None or latitude is None or longitude is None:
        return None
    return Point(when, float(latitude), float(longitude))


def _placemark(element: Element) -> Iterator[Point]:
    """A point with one time stamp (old KML loggers)."""
    texts = {child.tag.rpartition("}")[2]: child.text or "" for child in element.iter()}
    when = moment(texts["when"]) if "when" in texts and "Point" in texts else None
    numbers = texts.get("coordinates", "").strip().split(",")
    if when is not None and len(numbers) in (2, 3):
        yield Point(when, float(numbers[1]), float(numbers[0]))
