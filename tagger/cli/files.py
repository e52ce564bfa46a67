"""The options for files that are written: hard links and times, shared by the commands."""

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
    help="Photos with several names (hard links): skip them, or split them into separate files.",
)
new_mtime = click.option(
    "--new-mtime/--keep-mtime",
    help="Give tagged photos a new modification time, for servers that notice changes by it.",
)


def options(command: Command) -> Command:
    """The file options of tagging and apply."""
    return hard_links(new_mtime(command))
