"""What the commands on places share: the pack they are about, and the options of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli import options
from tagger.errors import RunError
from tagger.terminal import tell

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier
    from tagger.places.pack import Pack, PackPlace

FILE = click.Path(dir_okay=False, path_type=Path)
Command = Callable[..., Any]


def run_options(command: Command) -> Command:
    """What tagging takes: the packs of a run."""
    for option in (
        options.packs("Also name the places of this pack; repeatable."),
        click.option(
            "--own-places/--no-own-places", default=True,
            help="Also name the places that you taught with learn (default).",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def _named(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and not path.name:
        raise click.BadParameter("it names no file (is a variable unset?); leave it out for yours")
    return path


pack_option = click.option(
    "--pack", type=FILE, default=None, metavar="FILE", allow_from_autoenv=False, callback=_named,
    help="The pack; default: your own, in the data folder.",
)  # fmt: skip


def classifier_of(model: Path | None) -> "Classifier":
    from tagger.model import DEFAULT_MODEL
    from tagger.model.lazy import LazyClassifier

    return LazyClassifier(model or DEFAULT_MODEL, "cpu").load()


def opened_pack(path: Path | None) -> "Pack | None":
    from tagger.places.opening import open_pack
    from tagger.places.own import own_path

    if path is None and not own_path().exists():
        tell("no places of your own yet; landmark-tag learn NAME PHOTO... teaches one")
        return None
    return open_pack(path or own_path())


def required(pack: "Pack", name: str) -> "PackPlace":
    from tagger.places.own import is_called

    for number in range(len(pack)):
        if pack.named(number) and is_called(pack.landmark(number), name):
            return pack.place(number)
    raise RunError(
        f"{name}: there is no such place in {pack.path}; landmark-tag places list shows them"
    )
