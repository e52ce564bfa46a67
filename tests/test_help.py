"""Help: options in groups, an example for each command."""

import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from conftest import REPOSITORY

from tagger.cli.help import GROUPS, long_name
from tagger.cli.main import main


def commands(group: click.Group = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command by the words that call it: "undo", "config show"."""
    for name, command in group.commands.items():
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} ")


COMMANDS = dict(commands())


def examples(command: click.Command) -> list[str]:
    lines = (line.strip() for line in (command.help or "").splitlines())
    return [line.split("  ")[0] for line in lines if line.startswith("landmark-tag ")]


def options_of(words: list[str]) -> tuple[str, set[str]]:
    """The command that a command line calls, and the options that command has."""
    name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), "tag")
    return name, {word for one in COMMANDS[name].params for word in one.opts + one.secondary_opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_that_can_be_typed(name: str) -> None:
    shown = examples(COMMANDS[name])
    assert any(line.startswith(f"landmark-tag {name}") for line in shown) or name == "tag", shown
    assert shown
    for line in shown:
        _, known = options_of(words := shlex.split(line)[1:])
        assert {word.split("=")[0] for word in words if word.startswith("-")} <= known, line


def test_every_option_is_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped))
    for command in COMMANDS.values():
        options = [one for one in command.params if isinstance(one, click.Option)]
        assert {long_name(one) for one in options} <= set(grouped), command.name


def test_help_of_tagging_begins_with_what_people_use_most() -> None:
    text = CliRunner().invoke(main, ["tag", "--help"], terminal_width=100).output
    first = text.split("Common options:")[1].split("\n\n")[0]
    assert "--min-conf" in first and "--dry-run" in first and "--sidecar" not in first
    assert text.index("Common options:") < text.index("Nightly runs:") < text.index("Cluster:")
    assert "Common options:" in CliRunner().invoke(main, ["--help"]).output


def test_every_option_says_what_it_does() -> None:
    for name, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name}: {option.opts} has no help"


@pytest.mark.parametrize("words", [[], ["tag"], ["places"], ["config"]])
def test_a_command_without_arguments_shows_its_help(words: list[str]) -> None:
    shown = CliRunner().invoke(main, words).output
    help_page = CliRunner().invoke(main, [*words, "--help"]).output
    assert shown.strip() == help_page.strip()


def test_a_script_that_another_one_runs_has_help_too() -> None:
    script = REPOSITORY / "scripts" / "bench_places.py"
    asked = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert asked.returncode == 0 and asked.stdout.startswith("usage: ") and not asked.stderr
