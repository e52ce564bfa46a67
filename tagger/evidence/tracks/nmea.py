"""NMEA 0183 logs: RMC sentences, which carry date, time and position."""

import calendar
from collections.abc import Iterator
from pathlib import Path

from tagger.evidence.tracks.point import Point, TrackError


def read(path: Path) -> Iterator[Point]:
    """The points of a file; sentences with a wrong checksum are left out.

    Raises:
        TrackError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            for line in iter(lambda: file.readline(1024), b""):
                point = _sentence(line)
                if point:
                    yield point
    except OSError as error:
        raise TrackError(f"cannot be read ({error.strerror}); check the disk") from error


def _sentence(line: bytes) -> Point | None:
    text = line[line.find(b"$") :].strip().decode("ascii", "replace")
    body, _, check = text[1:].partition("*")
    if body[2:6] != "RMC,":
        return None
    if check:
        total = 0
        for letter in body.encode():
            total ^= letter
        if f"{total:02X}" != check[:2].upper():
            return None
    fields = body.split(",")
    try:
        time, valid, date = fields[1], fields[2], fields[9]
        if valid != "A" or len(date) != 6:
            return None
        year = int(date[4:]) + (1900 if int(date[4:]) >= 80 else 2000)
        day = calendar.timegm((year, int(date[2:4]), int(date[:2]), 0, 0, 0))
        seconds = int(time[:2]) * 3600 + int(time[2:4]) * 60 + float(time[4:])
        return Point(day + seconds, _angle(*fields[3:5]), _angle(*fields[5:7]))
    except (ValueError, IndexError):
        return None


def _angle(text: str, letter: str) -> float:
    """``ddmm.mmmm`` and a letter, in degrees."""
    point = text.index(".")
    degrees = int(text[: point - 2]) + float(text[point - 2 :]) / 60
    return -degrees if letter in "SW" else degrees
