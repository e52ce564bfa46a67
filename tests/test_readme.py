"""The commands in README and docs work as typed, and their links and listed files exist."""

import importlib
import json
import re
import shlex
import sys
from pathlib import Path

import click
import pytest
from conftest import REPOSITORY
from test_help import COMMANDS, options_of

from tagger import errors
from tagger.cli import exits
from tagger.cli.main import main
from tagger.records import Status
from train.__main__ import main as train

sys.path.insert(0, str(REPOSITORY / "scripts"))

import update_docs
from bench_table import MARKS, sentence, table

CARD = REPOSITORY / "tagger" / "model" / "MODEL_CARD.md"
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PAGES += [page for page in [REPOSITORY / "CONTRIBUTING.md", CARD] if page.exists()]
TEXTS = {str(page.relative_to(REPOSITORY)): page.read_text(encoding="utf-8") for page in PAGES}
README, GUIDE, MODEL = (TEXTS[name] for name in ("README.md", "docs/guide.md", "docs/model.md"))
WORD = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
# Options of other programs that the pages name.
FOREIGN = {
    "--full",
    "--rm",
    "--user",
    "--head",
    "--disable-usage-stats",
    "--now",
    "--version",
    "--help",
}


def typed(page: str) -> list[str]:
    """The command lines of a page: indented, or fenced after a dollar sign or in a crontab."""
    indented = re.findall(r"^ {4}(?! )(.+)$", TEXTS[page], re.M)
    fenced = re.findall(r"^(?:\$ |.*ExecStart=|[\d *]+ /opt/\S+/bin/)(.+)$", TEXTS[page], re.M)
    return [line.split("  #")[0].strip() for line in indented + fenced]


LINES = [(page, line) for page in TEXTS for line in typed(page)]


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page, line in LINES if "landmark-tag " in line]
)
def test_command_lines_parse(page: str, line: str) -> None:
    if line.startswith(("pip ", "systemctl ", "docker ", "eval ")):
        return
    words = shlex.split(line.split("landmark-tag ", 1)[1])
    name, known = options_of(words)
    assert name
    assert {word.split("=")[0] for word in words if word.startswith("-")} <= known | {"--help"}


@pytest.mark.parametrize(("page", "line"), [pair for pair in LINES if "-m train " in pair[1]])
def test_training_commands_parse(page: str, line: str) -> None:
    name, *words = shlex.split(line.split("-m train ")[1])
    options = {word for one in train.commands[name].params for word in one.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_scripts_and_tests_that_are_named_exist() -> None:
    for page, text in TEXTS.items():
        for name in re.findall(r"(?<![\w/])(?:scripts|tests|tagger|train|docs)/[\w/]+\.\w+", text):
            assert (REPOSITORY / name).exists() or name.endswith("._"), f"{page}: {name}"


def test_links_resolve() -> None:
    for name, text in TEXTS.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            to = (REPOSITORY / name).parent / path if path else REPOSITORY / name
            assert to.exists(), f"{name} links to {target}"
            if anchor:
                heads = re.findall(r"^#+ (.+)$", to.read_text(encoding="utf-8"), re.M)
                slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
                assert anchor in slugs, f"{name} links to {target}"


def test_every_option_is_documented_and_every_option_named_exists() -> None:
    options = {
        word for one in COMMANDS.values() for option in one.params
        for word in option.opts + option.secondary_opts if isinstance(option, click.Option)
    }  # fmt: skip
    trained = {word for one in train.commands.values() for option in one.params
               for word in option.opts} | set(train.params[0].opts)  # fmt: skip
    scripts = "".join(path.read_text(encoding="utf-8") for path in REPOSITORY.glob("scripts/*.py"))
    named = {word for text in TEXTS.values() for word in WORD.findall(text)}
    assert {word for word in options if word.startswith("--")} <= named
    assert named <= options | trained | FOREIGN | set(WORD.findall(scripts))


def test_commands_in_the_readme_are_those_that_exist() -> None:
    assert set(re.findall(r"`landmark-tag ([a-z]+)[ `]", README)) == set(main.commands)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_statuses_in_the_table_are_those_that_exist() -> None:
    rows = GUIDE.split("| status | meaning |")[1].split("\n\n")[0]
    cells = re.findall(r"^\| ([a-z_, ]+) \|", rows, re.M)
    listed = {word.strip() for row in cells for word in row.split(",")}
    assert listed == {status.value for status in Status}


def test_exit_codes_in_the_table_are_those_that_exist() -> None:
    rows = GUIDE.split("| exit code | meaning |")[1].split("\n\n")[0]
    codes = {error.exit_code for error in vars(errors).values() if hasattr(error, "exit_code")}
    codes |= {0, exits.EXIT_PHOTO_FAILED, exits.EXIT_INTERRUPTED}
    assert set(map(int, re.findall(r"^\| (\d+) \|", rows, re.M))) == codes


@pytest.mark.parametrize("name", update_docs.PAGES)
def test_lists_are_up_to_date(name: str) -> None:
    current = update_docs.PAGES[name]()
    assert TEXTS[f"docs/{name}"] == current, "run python scripts/update_docs.py"


def test_the_table_of_speed_is_what_the_benchmark_wrote() -> None:
    figures = json.loads((REPOSITORY / "docs" / "benchmark.json").read_text())
    assert f"\n{table(figures)}\n".join(MARKS) in TEXTS["docs/performance.md"]
    assert f"\n{sentence(figures)}\n".join(MARKS) in README


def test_the_models_figures_are_the_cards() -> None:
    """The thresholds in docs/model.md and the README's sentence agree with the model card."""
    card = TEXTS["tagger/model/MODEL_CARD.md"].split("<!-- lite2 thresholds -->")[1]
    rows = re.findall(
        r"^\| (0\.\d) \| ([\d.]+ %) [^|]+\| ([\d.]+ %) [^|]+\| [^|]+\| ([\d.]+ %) ",
        card.split("<!-- end -->")[0],
        re.M,
    )
    assert len(rows) == 5
    for row in rows:
        assert f"| {' | '.join(row)} |" in MODEL
    _, _, right, near = rows[1]
    assert f"{right} of landmark photos are tagged right, {near} of photos of other" in README


def test_the_change_log_keeps_its_form() -> None:
    """https://keepachangelog.com: versions with a date, known headings, one line each."""
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.+)$", text, re.M)
    assert all(re.fullmatch(r"Unreleased|\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", head) for head in heads)
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= set(
        "Added Changed Deprecated Removed Fixed Security".split()
    )
    version = importlib.import_module("tagger").__version__
    assert any(head.startswith(version) for head in heads)
    assert max(map(len, text.splitlines())) <= 120


def test_pages_are_linked_from_the_readme() -> None:
    pages = {Path(name).name for name in TEXTS if name.startswith("docs/")}
    assert pages <= {Path(target).name for target in re.findall(r"\]\(([^)#]+)", README)}
