"""What several commands of training share: texts of their options, and where their output goes."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tagger.errors import RunError

FOLDER = click.Path(path_type=Path)
NEGATIVES = "Folder of photos without landmarks, any nesting; DIR/train and DIR/test if there."
LANDMARKS = "Folder of photos of landmarks, any nesting; DIR/train if there."
DATA = "Folder that holds train/<class>/* and test/<class>/*."
LEAVE_OUT = "CSV of photos not to take: a column file (with split, slug) or negative."
STRANGERS = "Folder of photos of landmarks that MODEL never learned, any nesting."
PLACES = "CSV of where classes are: folder, latitude, longitude ...; default: DIR/places.csv."
LEAST = "A landmark of fewer photos is learned, but not shipped."

Command = Callable[..., Any]


def several_folders(command: Command) -> Command:
    """Adds the options that say which photos of several folders are learned from."""
    for option in (
        click.option(
            "--min-photos", type=click.IntRange(1), default=4, show_default=True, help=LEAST
        ),
        click.option("--leave-out", type=FOLDER, multiple=True, help=LEAVE_OUT),
        click.option("--places", type=FOLDER, help=PLACES),
        click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES),
        click.option(
            "--data", type=FOLDER, required=True, multiple=True, help=DATA + " Several do."
        ),
    ):  # the last becomes the first
        command = option(command)
    return command


def run_folder(out: Path) -> Path:
    """The folder of the run for the model file ``out``, created before hours of training."""
    return made(model_file(out).with_suffix(""))


def model_file(out: Path) -> Path:
    """``out``, its folder created; RunError if no model file can be written there."""
    if out.suffix != ".pt" or out.is_dir():
        raise RunError(f"--out {out}: not the name of a model file; end it in .pt")
    made(out.parent)
    return out


def made(folder: Path) -> Path:
    """The folder, created where it is not there; RunError if nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise RunError(
            f"--out: {folder} cannot be written to ({error.strerror}); give another place"
        ) from error
    return folder
