"""Measure the sources time and track on real libraries, against the rules of other tools."""

import bisect
import calendar
import csv
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import click

from tagger.evidence.estimate import between
from tagger.evidence.sources import Sources
from tagger.evidence.track_source import Tracks
from tagger.evidence.tracks.point import Point
from tagger.evidence.tracks.reading import read_tracks
from tagger.evidence.zones import ahead_in
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m

Position = tuple[float, float]
Hide = Callable[[Sequence[Capture], random.Random], set[str]]
DAY, HOUR = 86_400, 3600
RULES = ("landmark-tag", "nearest within 1 h (osxphotos)", "same day (PhotoPrism)",
         "exiftool -geotag")  # fmt: skip


class Answer(NamedTuple):
    """The error of a position, and the radius stated with it (0: none)."""

    off_m: float
    radius_m: float


Answers = dict[str, list[Answer | None]]


def moment(text: str) -> float:
    """Seconds since 1970 of ``2017:04:17 13:34:18``."""
    return float(calendar.timegm(time.strptime(text, "%Y:%m:%d %H:%M:%S")))


def walk(path: Path) -> Iterator[Capture]:
    """The photos of a library that carry a position."""
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        if not row["latitude"]:
            continue
        offset, stamp = row["offset_time_original"], row["gps_datetime"]
        yield Capture(
            row["photo"],
            moment(row["datetime_original"]) + float("0." + (row["subsec"].strip() or "0")),
            3600.0 * int(offset[:3]) + 60 * int(offset[0] + offset[4:]) if offset else None,
            moment(stamp[:19]) if stamp[:1].isdigit() else None,
            f"{row['make']} {row['model']}",
            (float(row["latitude"]), float(row["longitude"])),
            float(row["gps_h_error_m"]) if row["gps_h_error_m"] else None,
        )


def half(photos: Sequence[Capture], chance: random.Random) -> set[str]:
    return {one.key for one in photos if chance.random() < 0.5}


def one_camera(photos: Sequence[Capture], chance: random.Random) -> set[str]:
    camera = chance.choice(sorted({one.camera for one in photos}))
    return {one.key for one in photos if one.camera == camera}


def one_day(photos: Sequence[Capture], chance: random.Random) -> set[str]:
    day = chance.choice(sorted({int((one.local or 0) // DAY) for one in photos}))
    return {one.key for one in photos if int((one.local or 0) // DAY) == day}


def second_hours(photos: Sequence[Capture], chance: random.Random) -> set[str]:
    odd = chance.randrange(2)
    return {one.key for one in photos if int((one.local or 0) // HOUR) % 2 == odd}


MODES: dict[str, Hide] = {
    "half of the photos": half,
    "one camera": one_camera,
    "one day": one_day,
    "every second hour": second_hours,
}


def hidden(photos: Sequence[Capture], gone: set[str]) -> list[Capture]:
    """The library without these positions."""
    bare = {"position": None, "gps_time": None, "error_m": None}
    return [replace(one, **bare) if one.key in gone else one for one in photos]  # type: ignore[arg-type]


def ours(
    shown: Sequence[Capture], points: Sequence[Point] = ()
) -> dict[str, tuple[Position, float]]:
    """What the sources would write: the track's position, else the one by time."""
    sources, positions = Sources(tracks=Tracks(points) if points else None), {}
    for one in shown:
        sources.note(one, "")
    for one in shown:
        if one.position is None:
            kept = [guess for guess in sources.estimates(one.key) if not guess.refused]
            for guess in sorted(kept, key=lambda guess: guess.source.value, reverse=True)[:1]:
                positions[one.key] = (guess.latitude, guess.longitude), guess.radius_95_m
    sources.close()
    return positions


def nearest(shown: Sequence[Capture], same_day: bool) -> dict[str, tuple[Position, float]]:
    """The nearest photo in local time: within 1 h (``osxphotos add-locations``), or of the same
    day (PhotoPrism's estimates); whatever the camera, and no radius is stated.
    """
    known = sorted((one.local or 0, one.position) for one in shown if one.position)
    times, positions = [local for local, _ in known], {}
    for one in shown:
        if one.position is not None or one.local is None:
            continue
        at = bisect.bisect(times, one.local)
        around = known[max(0, at - 1) : at + 1]
        if not around:
            continue
        local, position = min(around, key=lambda other: abs(other[0] - one.local))  # type: ignore[operator]
        if local // DAY == one.local // DAY if same_day else abs(local - one.local) <= HOUR:
            positions[one.key] = position, 0.0
    return positions


def geotag(
    shown: Sequence[Capture], points: Sequence[Point], zone: str
) -> dict[str, tuple[Position, float]]:
    """``exiftool -geotag`` with its default options: DateTimeOriginal taken in the computer's zone;
    between two points of at most 1800 s apart by interpolation (GeoMaxIntSecs), else the nearest
    point within 1800 s (GeoMaxExtSecs).
    """
    track = sorted(points)
    times, positions = [point.utc for point in track], {}
    for one in shown:
        if one.position is not None or one.local is None:
            continue
        utc = one.local - ahead_in(zone, one.local)
        at = bisect.bisect(times, utc)
        around = track[max(0, at - 1) : at + 1]
        if len(around) == 2 and around[1].utc - around[0].utc <= 1800:
            share = (utc - around[0].utc) / (around[1].utc - around[0].utc)
            positions[one.key] = between(around[0][1:3], around[1][1:3], share), 0.0
        else:
            close = [point for point in around if abs(point.utc - utc) <= 1800]
            for point in sorted(close, key=lambda point: abs(point.utc - utc))[:1]:
                positions[one.key] = point[1:3], 0.0
    return positions


def cell(answers: Sequence[Answer | None]) -> str:
    """One rule's part of a row; ``answers`` has None for each photo that got no position."""
    placed = [answer for answer in answers if answer is not None]
    if not placed:
        return "none" if answers else ""
    within = sum(answer.off_m <= 1000 for answer in placed) / len(placed)
    inside = sum(answer.off_m <= answer.radius_m for answer in placed) / len(placed)
    stated = f", {inside:.1%}" if any(answer.radius_m for answer in placed) else ""
    middle = statistics.median(answer.off_m for answer in placed)
    return f"{len(placed) / len(answers):.1%}: {within:.1%}{stated}, {middle:.0f} m"


def answers(
    photos: Sequence[Capture], gone: Iterable[str], positions: dict[str, tuple[Position, float]]
) -> list[Answer | None]:
    truth = {one.key: one.position for one in photos}
    sampled: list[Answer | None] = []
    for key in sorted(gone):
        at = truth[key]
        assert at is not None
        sampled.append(
            Answer(distance_m(positions[key][0], at), positions[key][1])
            if key in positions
            else None
        )
    return sampled


@click.command()
@click.option(
    "--walks",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of NAME.csv, one row a photo, and the tracks of a library as NAME_*.gpx.",
)
@click.option("--draws", default=20, show_default=True, help="How often positions are hidden.")
@click.option("--zone", default="Europe/Brussels", help="Where the computer of ExifTool stands.")
def main(walks: Path, draws: int, zone: str) -> None:
    """Hide positions of real libraries and see how well they are restored; a Markdown table.

    A cell: photos that get a position, and of these: within 1 km, within the stated radius if there
    is one, and the median error.
    """
    ZoneInfo(zone)
    click.echo(f"| library | hidden | photos | {' | '.join(RULES)} |\n|{'---|' * (3 + len(RULES))}")
    together: dict[str, Answers] = {}
    for path in sorted(walks.glob("*.csv")):
        points = [p for track in sorted(walks.glob(f"{path.stem}_*.gpx"))
                  for p in read_tracks([track])]  # fmt: skip
        for mode, hide in MODES.items():
            measures = measured(list(walk(path)), points, hide, draws, zone)
            click.echo(row(path.stem, mode, measures))
            for rule, each in measures.items():
                together.setdefault(mode, {}).setdefault(rule, []).extend(each)
    for mode, measures in together.items():
        click.echo(row("together", mode, measures))


def measured(
    photos: Sequence[Capture], points: Sequence[Point], hide: Hide, draws: int, zone: str
) -> Answers:
    """What each rule answers for the hidden photos of a library, over all draws."""
    measures: Answers = {rule: [] for rule in RULES}
    for draw in range(draws):
        gone = hide(photos, random.Random(draw))
        shown = hidden(photos, gone)
        each = [ours(shown, points), nearest(shown, False), nearest(shown, True)]
        if points:
            each.append(geotag(shown, points, zone))
        for rule, places in zip(RULES, each, strict=False):
            measures[rule] += answers(photos, gone, places)
    return measures


def row(library: str, mode: str, measures: Answers) -> str:
    """A row of the table."""
    cells = " | ".join(cell(measures[rule]) for rule in RULES)
    return f"| {library} | {mode} | {len(measures[RULES[0]])} | {cells} |"


if __name__ == "__main__":
    main()
