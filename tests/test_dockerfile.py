"""The Dockerfile: what it copies exists and is not ignored, and nothing runs as root."""

import re
from pathlib import Path

import pytest
from conftest import REPOSITORY

RECIPE = REPOSITORY / "Dockerfile"
LET_THROUGH = REPOSITORY / ".dockerignore"
pytestmark = pytest.mark.skipif(
    not LET_THROUGH.exists(), reason="a source archive has no hidden files"
)


def lines(path: Path) -> list[str]:
    """Its instructions, each on one line."""
    text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def copied() -> set[str]:
    words = [
        line.split() for line in lines(RECIPE) if line.startswith("COPY ") and "--" not in line
    ]
    return {name for line in words for name in line[1:-1]}


def test_what_is_copied_is_there_and_let_through() -> None:
    assert {"tagger", "setup.py", "setup.cfg", "pyproject.toml", "LICENSE"} <= copied()
    assert all((REPOSITORY / name).exists() for name in copied())
    assert {line[1:] for line in lines(LET_THROUGH) if line.startswith("!")} == copied()


def test_it_runs_as_a_user_without_rights_and_tags_what_is_mounted() -> None:
    last = {line.split()[0]: line for line in lines(RECIPE)}
    assert last["USER"] == "USER photos"
    assert (last["ENTRYPOINT"], last["CMD"]) == ('ENTRYPOINT ["landmark-tag"]', 'CMD ["/photos"]')
    assert "XDG_STATE_HOME=/state" in last["ENV"]


def test_the_version_to_cite_is_the_one_that_is_installed() -> None:
    from tagger import __version__

    assert f"\nversion: {__version__}\n" in (REPOSITORY / "CITATION.cff").read_text("utf-8")
