"""Write the pages that are generated from the code: docs/options.md and docs/skipped.md."""

from collections.abc import Iterator
from pathlib import Path

import click

from tagger.cli.help import GROUPS, long_name
from tagger.cli.main import main as landmark_tag
from tagger.storage.skipping import kinds

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = "<!-- made by scripts/update_docs.py -->"


def skipped() -> str:
    """The skipped folders, from tagger/storage/skipped_folders.csv."""
    rows = [f"| `{kind.folder}` | {kind.what} | {kind.why} |" for kind in kinds()]
    return "\n".join(
        [
            f"# Skipped folders\n\n{MADE}\n",
            "Photos in these folders belong to a program, or are copies. They are left alone, and "
            "the summary says how many\nfolders were skipped. Case does not matter; `a/b` is a "
            "folder b in a folder a; `holding X` is a folder with a file X.\nA PATH that is such "
            "a folder, or lies in one, is refused with exit code 2. `--no-skip` takes them, for "
            "tagging, `apply`\nand `remove`; `undo` never asks. Hidden folders (`.name`) are "
            "always skipped; only those in the list are counted.\n",
            "| folder | what it is | why |\n|---|---|---|",
            *rows,
            "",
        ]
    )


def options() -> str:
    """Every option of every command, in the groups of the help."""
    parts = [
        f"# Options\n\n{MADE}\n",
        "What `--help` says, in one page. [nightly.md](nightly.md#configuration) says how to set "
        "options in a file or by variables.\n",
    ]
    for name, command in _commands(landmark_tag):
        context = click.Context(command, info_name=f"landmark-tag {name}")
        usage = " ".join(command.collect_usage_pieces(context))
        parts.append(f"## {name}\n\n`landmark-tag {name} {usage}`\n")
        rows = {
            long_name(option): record
            for option in command.params
            if isinstance(option, click.Option) and (record := option.get_help_record(context))
        }
        for group, names in GROUPS.items():
            if shown := [rows[one] for one in names if one in rows]:
                parts.append(f"| {group} | |\n|---|---|")
                parts += [f"| {_code(head)} | {_text(text)} |" for head, text in shown]
                parts.append("")
    return "\n".join(parts)


def _commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before}{name} ")
        elif before + name != "config show":  # has tag's options
            yield before + name, command


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


PAGES = {"options.md": options, "skipped.md": skipped}


def main() -> None:
    """Write both pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
