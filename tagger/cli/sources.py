"""The options for sources of positions beside the landmarks, and the command clocks."""

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.help import Grouped
from tagger.cli.options import duration
from tagger.errors import RunError
from tagger.records import Source
from tagger.terminal import counted, printable, tell

if TYPE_CHECKING:
    from tagger.evidence.library import Describer
    from tagger.evidence.sources import Sources
    from tagger.model.lazy import LazyClassifier

Command = Callable[..., Any]
ALL = "all"
_DISTANCE = re.compile(r"(\d+(?:\.\d+)?)\s*(m|km)?")
_CLOCK = re.compile(r"(?:(.*)=)?([+-]?)(?:(\d{1,2}):(\d\d)(?::(\d\d))?|(\d+)([smhd]?))", re.S)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _sources(context: click.Context, option: click.Parameter, text: str) -> tuple[Source, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if ALL in names:
        return tuple(Source)
    try:
        return tuple(dict.fromkeys(Source(name) for name in names)) or (Source.LANDMARK,)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r}: give {', '.join(Source)} or all, separated by commas"
        ) from error


def _metres(context: click.Context, option: click.Parameter, text: str) -> float:
    match = _DISTANCE.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise click.BadParameter(f"{text!r} is not a distance; write 500m or 1km")
    return float(match[1]) * (1000 if match[2] == "km" else 1)


def _gap(context: click.Context, option: click.Parameter, text: str) -> float:
    time = duration(text)
    if time is None:
        raise click.BadParameter(f"{text!r} is not a duration; write 90s, 30m or 3h")
    return time.total_seconds()


def _zone(context: click.Context, option: click.Parameter, name: str | None) -> str:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name).key if name else ""
    except (KeyError, ValueError, OSError) as error:
        raise click.BadParameter(
            f"{name!r} is not a time zone; write a name such as Europe/Berlin"
        ) from error


def _clocks(
    context: click.Context, option: click.Parameter, texts: Sequence[str]
) -> dict[str, float]:
    """Seconds by camera; the camera "" is every one that is not named."""
    offsets = {}
    for text in texts:
        match = _CLOCK.fullmatch(text.strip())
        if match is None:
            raise click.BadParameter(f"{text!r}: write +02:00, -90s or 'CAMERA=+1h'")
        camera, sign, hours, minutes, seconds, number, unit = match.groups()
        if hours is not None:
            size = int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)
        else:
            size = int(number) * _SECONDS[unit]
        offsets[(camera or "").strip()] = float(-size if sign == "-" else size)
    return offsets


_UTC_OFFSET = click.option(
    "--utc-offset",
    "utc_offsets",
    multiple=True,
    metavar="[CAMERA=]+HH:MM",
    callback=_clocks,
    help="How far clocks are ahead of UTC, of a camera or of all; repeatable.",
)
_TIME_ZONE = click.option(
    "--time-zone",
    metavar="NAME",
    default=None,
    callback=_zone,
    help="The zone that cameras' clocks were set to, for example Europe/Berlin.",
)
_CLOCK_OFFSET = click.option(
    "--clock-offset",
    "clock_offsets",
    multiple=True,
    metavar="[CAMERA=]TIME",
    callback=_clocks,
    help="How fast a clock is (-5m: slow by 5 minutes); CAMERA=0 says that it is right.",
)
_OPTIONS = (
    click.option(
        "--from",
        "sources",
        default=Source.LANDMARK.value,
        show_default=True,
        metavar="SOURCES",
        callback=_sources,
        help="Sources that may write a position: landmark, time, track, takeout, library, or all, "
        "separated by commas. Those but library can veto without being named.",
    ),
    click.option(
        "--pairs/--no-pairs",
        default=True,
        help="Photos of one shot (RAW+JPEG, Live Photos, edited copies, bursts) get one decision, "
        "and the position that one of them has (default).",
    ),
    click.option(
        "--track",
        "tracks",
        multiple=True,
        type=click.Path(exists=True, path_type=Path),
        metavar="FILE|FOLDER",
        help="GPS track: GPX, KML, KMZ, FIT, NMEA, GeoJSON, Google Timeline; repeatable.",
    ),
    click.option(
        "--max-radius",
        default="1km",
        show_default=True,
        metavar="DISTANCE",
        callback=_metres,
        help="Write no position that may be further off than this (95 %).",
    ),
    click.option(
        "--max-gap",
        default="3h",
        show_default=True,
        metavar="TIME",
        callback=_gap,
        help="Use neighbours in time no further away than this.",
    ),
    _UTC_OFFSET,
    _TIME_ZONE,
    _CLOCK_OFFSET,
)


def options(command: Command) -> Command:
    """Add them all."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def comparing(
    sources: tuple[Source, ...], classifier: "LazyClassifier", quiet: bool
) -> tuple[Source, ...]:
    """The sources without library where it cannot be had and was not asked for by name."""
    if Source.LIBRARY not in sources or set(sources) < set(Source):
        return sources
    if classifier.codebook is not None:
        return sources
    if not quiet:
        why = "--from all: the model file has no reference photos, which photos are compared by"
        tell(f"{why}; library is left out", err=True)
    return tuple(source for source in sources if source is not Source.LIBRARY)


def gathered(
    ledger: Path | None,
    tracks: Sequence[Path],
    max_radius: float,
    max_gap: float,
    utc_offsets: dict[str, float],
    time_zone: str,
    clock_offsets: dict[str, float],
    pairs: bool = True,
    quiet: bool = False,
    model: "Describer | None" = None,
) -> "Sources":
    """The sources that the options name; ``ledger`` is the file beside which the index is kept.

    Raises:
        RunError: a track cannot be read, or the index cannot be used.
    """
    from tagger.evidence.limits import Limits
    from tagger.evidence.sources import Sources

    def say(text: str) -> None:
        if not quiet:
            tell(text, err=True)

    limits = Limits(max_radius, max_gap, utc_offsets, clock_offsets, time_zone)
    return Sources.beside(ledger, limits, tracks, say, pairs, model)


@click.command(cls=Grouped)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--recursive/--no-recursive", default=True, help="Look into subfolders (default).")
def clocks(paths: tuple[str, ...], recursive: bool) -> None:
    """List cameras and how far their clocks are ahead of UTC.

    \b
    landmark-tag clocks ~/Pictures
    """
    import sys

    from tagger.evidence.sources import Sources
    from tagger.run.survey import survey
    from tagger.storage.opening import open_storage

    try:
        storage = open_storage(paths, recursive=recursive)
        with closing(Sources()) as sources:
            for _ in survey(storage, storage.list(), sources, lambda _: None, workers=4):
                pass
            rows = list(sources.captures.cameras())
    except RunError as error:
        tell(f"landmark-tag: {error}", err=True)
        sys.exit(error.exit_code)
    if not rows:
        tell("no photos that a camera took")
    for camera, photos, placed, timed, least, most in rows:
        tell(f"{camera or 'unknown camera'}: {counted(photos, 'photo')}, {placed} with a position")
        tell(f"    {_in_words(camera, timed, least, most)}")


def _in_words(camera: str, timed: int, least: float | None, most: float | None) -> str:
    if least is None or most is None:
        name = printable(camera)
        return f"clock not known; set --time-zone, or --utc-offset '{name}=+02:00'"
    if most - least <= 180:
        return f"clock {_offset((least + most) / 2)} ahead of UTC, by {counted(timed, 'photo')}"
    return f"clock {_offset(least)} to {_offset(most)} ahead of UTC, by {counted(timed, 'photo')}"


def _offset(seconds: float) -> str:
    sign, size = "-" if seconds < 0 else "+", round(abs(seconds))
    hours, rest = divmod(size, 3600)
    return f"{sign}{hours:02d}:{rest // 60:02d}:{rest % 60:02d}".removesuffix(":00")


COMMANDS = (clocks,)
