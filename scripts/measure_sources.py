"""Measures the sources time and track on real libraries, beside the rules of other programs.

    python scripts/measure_sources.py FOLDER

FOLDER holds a CSV per library with capture times and positions, as ../shared/data/walks, and the
GPX tracks of walk_jette. Half of the positions are hidden, 20 times; each rule gives them back.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import walk_photos  # noqa: E402

from tagger.evidence.estimate import Estimate, distance_m  # noqa: E402
from tagger.evidence.sources import Sources  # noqa: E402
from tagger.evidence.time_source import Limits  # noqa: E402
from tagger.evidence.track_source import Tracks  # noqa: E402
from tagger.evidence.tracks.reading import read_tracks  # noqa: E402
from tagger.metadata.capture import Capture  # noqa: E402
from tagger.records import Source  # noqa: E402

HOUR, DAY = 3600.0, 86_400.0
Position = tuple[float, float]
Rule = Callable[[Sequence[Capture]], dict[str, tuple[Position, float]]]


def ours(
    shown: Sequence[Capture], source: Source = Source.TIME, tracks: Sequence[Path] = ()
) -> dict[str, tuple[Position, float]]:
    """What is written with --from: position and 95 % radius by photo."""
    sources = Sources(None, Limits(), Tracks(read_tracks(tracks)) if tracks else None)
    for one in shown:
        sources.note(one, "")
    found: dict[str, tuple[Position, float]] = {}
    for one in shown:
        if one.position is None:
            answers: Iterable[Estimate] = sources.estimates(one.key)
            for answer in answers:
                if answer.source is source and not answer.refused:
                    found[one.key] = (answer.latitude, answer.longitude), answer.radius_95_m
    sources.close()
    return found


def nearest(
    shown: Sequence[Capture], allowed: Callable[[float, float], bool]
) -> dict[str, tuple[Position, float]]:
    """The position of the nearest photo in time by the clocks, where the two times allow it."""
    placed = [(one.local or 0.0, one.position) for one in shown if one.position]
    found = {}
    for one in shown:
        local = one.local or 0.0
        near = [(abs(at - local), position) for at, position in placed if allowed(at, local)]
        if one.position is None and near:
            found[one.key] = min(near)[1], -1.0
    return found


def geotagged(
    shown: Sequence[Capture], tracks: Sequence[Path]
) -> dict[str, tuple[Position, float]]:
    """What ExifTool writes with -geotag and no other option."""
    with tempfile.TemporaryDirectory() as folder:
        bare = [one for one in shown if one.position is None]
        walk_photos.write(Path(folder), bare)
        words = [word for track in tracks for word in ("-geotag", str(track))]
        subprocess.run(
            ["exiftool", "-q", "-q", "-overwrite_original", *words, folder],
            env=os.environ | {"TZ": "UTC"}, check=False,
        )  # fmt: skip
        told = subprocess.run(
            ["exiftool", "-q", "-q", "-n", "-p", "$FileName,$GPSLatitude,$GPSLongitude", folder],
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
    rows = (line.split(",") for line in told.splitlines() if line)
    return {name: ((float(latitude), float(longitude)), -1.0) for name, latitude, longitude in rows}


def measure(names: Sequence[str], rule: Rule, draws: int = 20) -> str:
    """Placed, within 1 km, within the stated radius, and how far off, as cells of a table."""
    hidden, offs, held = 0, list[float](), 0
    for name in names:
        photos = list(walk_photos.walk(name))
        for draw in range(draws):
            chance = random.Random(draw)
            gone = {one.key for one in photos if chance.random() < 0.5}
            shown = [
                replace(one, position=None, gps_time=None) if one.key in gone else one
                for one in photos
            ]
            found, hidden = rule(shown), hidden + len(gone)
            for one in photos:
                if one.key in gone and one.key in found and one.position:
                    position, radius = found[one.key]
                    offs.append(distance_m(position, one.position))
                    held += offs[-1] <= radius
    if not offs:
        return "0 % | | | |"
    near = sum(off <= 1000 for off in offs) / len(offs)
    return (
        f"{len(offs) / hidden:.0%} | {statistics.median(offs):,.0f} m, {max(offs):,.0f} m | "
        f"{near:.1%} | {f'{held / len(offs):.1%}' if held else 'no radius'} |"
    ).replace("%", " %")


def main() -> None:
    """Print the tables."""
    walk_photos.WALKS = folder = Path(sys.argv[1])
    walks = sorted(path.stem for path in folder.glob("*.csv") if path.stem != "bicycle_tour")
    rules: dict[str, Rule] = {
        "`--from time`": ours,
        "nearest photo within 1 hour (osxphotos' rule)": lambda shown: nearest(
            shown, lambda a, b: abs(a - b) <= HOUR
        ),
        "nearest photo of the same day (PhotoPrism's rule)": lambda shown: nearest(
            shown, lambda a, b: a // DAY == b // DAY
        ),
    }
    head = (
        "| placed | off: median, most | within 1 km | within its 95 % radius |\n" + "|---" * 5 + "|"
    )
    for title, names in (("walks", walks), ("bicycle tour", ["bicycle_tour"])):
        print(f"\n| {title} {head}")
        for label, rule in rules.items():
            print(f"| {label} | {measure(names, rule)}", flush=True)
    tracks = sorted(folder.glob("walk_jette*.gpx"))
    print(f"\n| a GPX track, the clock an hour off {head}")
    label = "`--from track`"
    print(f"| {label} | {measure(['walk_jette'], lambda s: ours(s, Source.TRACK, tracks))}")
    print(f"| ExifTool -geotag | {measure(['walk_jette'], lambda s: geotagged(s, tracks), 3)}")


if __name__ == "__main__":
    main()
