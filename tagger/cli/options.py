"""The options that several commands take, and those for buckets."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from tagger.evidence.decide import MIN_CONF
from tagger.records import Coords, SidecarMode, SidecarName
from tagger.storage import endpoint
from tagger.storage.urls import is_url

Command = Callable[..., Any]
# A bucket costs latency, not computing: most of the time is spent waiting for answers.
BUCKET_WORKERS = 32
LONGEST = timedelta(days=365_000)  # beyond it there is no such date
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta | None:
    """The duration that 90s, 30m, 36h, 7d or 2w means; None for other text, or millennia."""
    age = re.fullmatch(r"(\d{1,9})([smhdw])", text)
    time = timedelta(**{_UNITS[age[2]]: int(age[1])}) if age else None
    return time if time and time <= LONGEST else None


def _server(context: click.Context, option: click.Parameter, url: str | None) -> str:
    return url or ""


def _moment(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        if age := duration(text):
            return datetime.now().astimezone() - age
        # In UTC, as there is no date before the year 1 nor after 9999 to compare with it.
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!r} is not a time; write 36h, 7d or 2026-11-24") from error


def _output(context: click.Context, option: click.Parameter, place: str | None) -> str:
    """No --output writes the photos themselves; an empty one is an error."""
    if place == "":
        raise click.BadParameter("it is empty (is a variable unset?); give a place or leave it out")
    return place or ""


def min_conf(help_text: str) -> Callable[[Command], Command]:
    """--min-conf, with what it means for this command."""
    return click.option(
        "--min-conf", type=click.FloatRange(0, 1), default=MIN_CONF, show_default=True,
        help=help_text,
    )  # fmt: skip


def model(help_text: str) -> Callable[[Command], Command]:
    """--model, with what it means for this command."""
    return click.option("--model", type=click.Path(path_type=Path), default=None, help=help_text)


def packs(help_text: str) -> Callable[[Command], Command]:
    """--pack of several files, with what it means for this command."""
    return click.option(
        "--pack", "packs", type=click.Path(dir_okay=False, path_type=Path), multiple=True,
        metavar="FILE", help=help_text,
    )  # fmt: skip


ledger = click.option(
    "--ledger",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="File that records what was written, for undo; default: in the state folder.",
)
coords = click.option(
    "--coords",
    type=click.Choice([choice.value for choice in Coords]),
    default=Coords.BOTH.value,
    show_default=True,
    help="Write the place as the camera's position, as the subject's, or both.",
)
sidecar = click.option(
    "--sidecar",
    type=click.Choice([choice.value for choice in SidecarMode]),
    default=SidecarMode.AUTO.value,
    show_default=True,
    help="XMP sidecars: for photos that cannot be written safely (auto), for all, or none.",
)
sidecar_name = click.option(
    "--sidecar-name",
    type=click.Choice([choice.value for choice in SidecarName]),
    default=SidecarName.FULL.value,
    show_default=True,
    help="Name sidecars photo.jpg.xmp (full) or photo.xmp, as Lightroom does (stem).",
)
endpoint_url = click.option(
    "--endpoint-url",
    metavar="URL",
    envvar=["LANDMARK_TAG_ENDPOINT_URL", endpoint.VARIABLE],
    default=None,
    callback=_server,
    help="Server for s3:// if it is not AWS (MinIO, R2, Ceph); default: AWS_ENDPOINT_URL.",
)
output = click.option(
    "--output",
    metavar="PLACE",
    default=None,
    callback=_output,
    help="Folder or bucket URL for tagged copies; the photos stay as they are.",
)
since = click.option(
    "--since",
    metavar="TIME",
    default=None,
    callback=_moment,
    help="In buckets: only photos uploaded since 36h, 7d, 2026-11-24 or 2026-11-24T18:00.",
)


def options(command: Command) -> Command:
    """The options of tagging for copies, age and server."""
    return output(since(endpoint_url(command)))


def workers_for(paths: tuple[str, ...], chosen: int | None) -> int:
    """How many photos to read at once."""
    in_bucket = any(map(is_url, paths))
    return chosen or (BUCKET_WORKERS if in_bucket else os.cpu_count() or 1)


def writers_for(*places: str) -> int:
    """How many photos to write at once: a disk gains nothing from more than one."""
    return BUCKET_WORKERS if any(map(is_url, places)) else 1
