"""The options on files that are written: hard links and times, shared by the commands."""

from collections.abc import Callable
from typing import Any

import click

from tagger.records import HardLinks

Command = Callable[..., Any]

hard_links = click.option(
    "--hard-links",
    type=click.Choice([choice.value for choice in HardLinks]),
    default=HardLinks.SKIP.value,
    show_default=True,
    help="Photos with several names: leave them alone (skip), or give this name a file of its own "
    "(split).",
)
new_mtime = click.option(
    "--new-mtime/--keep-mtime",
    help="Give a tagged photo a new time, for servers that notice changes by it; it keeps its own "
    "by default.",
)


def options(command: Command) -> Command:
    """What tagging and applying take."""
    return hard_links(new_mtime(command))
