"""What the README says can be typed, can be typed."""

import json
import re
import sys

import click
import pytest
from conftest import REPOSITORY

from tagger import errors
from tagger.cli import unattended
from tagger.cli.main import main
from tagger.records import Status

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
LINES = sorted({line.strip() for line in re.findall(r"^ {4}landmark-tag (.+)$", README, re.M)})


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_parses(line: str) -> None:
    words = [word for word in line.split("#")[0].split() if word]
    verb = words[0] if words[0] in main.commands else "tag"
    command = main.commands[verb]
    options = {name for option in command.params for name in option.opts + option.secondary_opts}
    used = [word.split("=")[0] for word in words if word.startswith("-")]
    assert set(used) <= options


def test_commands_and_statuses_in_tables_are_those_that_exist() -> None:
    named = set(re.findall(r"^\| `landmark-tag ([a-z]+)[ `]", README, re.M))
    assert named == set(main.commands) - {"tag"}
    table = README.split("| status | meaning |")[1].split("\n\n")[0]
    listed = {
        word.strip()
        for row in re.findall(r"^\| ([a-z_, ]+) \|", table, re.M)
        for word in row.split(",")
    }
    assert listed == {status.value for status in Status}


def test_files_it_links_to_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (REPOSITORY / target).exists(), target


def test_options_have_help() -> None:
    for name, command in main.commands.items():
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name}: {option.opts} says nothing of itself"


def test_exit_codes_in_the_table_are_those_that_exist() -> None:
    table = README.split("| exit code | meaning |")[1].split("\n\n")[0]
    codes = {error.exit_code for error in vars(errors).values() if hasattr(error, "exit_code")}
    codes |= {0, unattended.EXIT_PHOTO_FAILED, unattended.EXIT_INTERRUPTED}
    assert set(map(int, re.findall(r"^\| (\d+) \|", table, re.M))) == codes


def test_the_table_of_speed_is_what_the_benchmark_wrote() -> None:
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    from bench_table import MARKS, table

    measured = REPOSITORY / "docs" / "benchmark.json"
    if not measured.exists():
        pytest.skip("scripts/benchmark.py --update was not run yet")
    assert f"\n{table(json.loads(measured.read_text()))}\n".join(MARKS) in README
