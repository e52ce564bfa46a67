"""Options from the file and the environment: what wins, what is refused, what is shown."""

import csv
import errno
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tagger.cli import config
from tagger.cli.main import main
from tagger.ledger.ledger import Ledger


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file where this system keeps it, in the test's own folder."""
    path = tmp_path / "settings" / "config.toml"
    path.parent.mkdir()
    monkeypatch.delenv("LANDMARK_TAG_CONFIG")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    monkeypatch.setattr(config, "default_path", lambda: path)
    return path


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def shown(*words: object) -> tuple[dict[str, object], dict[str, str]]:
    """What config show prints: the values, and where each comes from."""
    result = call("config", "show", *words)
    assert result.exit_code == 0, result.output
    lines = [line.rpartition("  # ") for line in result.output.splitlines()[1:]]
    sources = {line.lstrip("# ").split()[0].rstrip(":"): source for line, _, source in lines}
    return tomllib.loads(result.output), sources


def test_the_flag_wins_over_the_variable_over_the_file_over_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def min_conf(*words: object) -> tuple[object, str]:
        values, sources = shown(*words)
        return values["min-conf"], sources["min-conf"]

    assert min_conf() == (0.6, "default")
    file.write_text("min-conf = 0.7\n")
    assert min_conf() == (0.7, "this file")
    monkeypatch.setenv("LANDMARK_TAG_MIN_CONF", "0.8")
    assert min_conf() == (0.8, "variable LANDMARK_TAG_MIN_CONF")
    assert min_conf("--min-conf", "0.9") == (0.9, "command line")


def test_a_switch_that_the_file_sets_can_be_taken_back(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("quiet = true\ndry-run = true\nrecursive = false\n")
    values, _ = shown("--no-quiet", "--no-dry-run")
    assert (values["quiet"], values["dry-run"], values["recursive"]) == (False, False, False)
    monkeypatch.setenv("LANDMARK_TAG_QUIET", "0")
    assert shown()[0]["quiet"] is False


def test_what_show_prints_is_such_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        'report = "a \\"b\\".csv"\nexclude = ["raw", "*.tmp.jpg"]\nmax-time = "2h"\nlimit = 7\n'
        'fail-over = 2.5\nsince = "36h"\nendpoint-url = "http://127.0.0.1:9"\nworkers = 3\n'
    )
    before, sources = shown()
    assert before["exclude"] == ["raw", "*.tmp.jpg"] and before["max-time"] == "2h"
    assert before["endpoint-url"] == "http://127.0.0.1:9"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    file.write_text(call("config", "show").output)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    after, _ = shown()
    assert after == before and sources["fail-over"] == "this file"
    options = {config.key_of(option) for option in config.settable(main.commands["tag"])}
    assert set(sources) == options and {"config", "version", "help"}.isdisjoint(options)


def test_awss_own_variable_comes_after_ours(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('endpoint-url = "http://file"\n')
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws")
    values, sources = shown()
    assert values["endpoint-url"] == "http://aws"
    assert sources["endpoint-url"] == "variable AWS_ENDPOINT_URL"
    monkeypatch.setenv("LANDMARK_TAG_ENDPOINT_URL", "http://ours")
    assert shown()[0]["endpoint-url"] == "http://ours"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_conf = 0.7", "unknown option min_conf; write min-conf"),
        ("colour = 1", "unknown option colour; remove it; landmark-tag config show lists"),
        ('config = "x.toml"', "unknown option config"),
        ("[tag]\nquiet = true", "unknown option tag"),
        ('min-conf = "0.7"', "min-conf must be a number, without quotes"),
        ("min-conf = true", "min-conf must be a number"),
        ("limit = 1.5", "limit must be a whole number"),
        ('quiet = "yes"', "quiet must be true or false"),
        ('exclude = "raw"', 'exclude must be a list of texts: ["one", "two"]'),
        ('exclude = ["raw", 1]', "exclude must be a list of texts"),
        ("since = 2026-11-24", "since must be a text in quotes"),
        ("quiet = yes", "is not TOML (Invalid value (at line 1, column 9)); correct it"),
        ("min-conf = 7", "correct min-conf in "),
        ('device = "tpu"', "correct device in "),
        ('max-time = "soon"', "correct max-time in "),
        ('coords = "none"', "correct coords in "),
        ("fail-over = 101", "correct fail-over in "),
        ('output = ""', "give a place or leave it out; correct output in "),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_remedy(
    file: Path, library: Path, text: str, message: str
) -> None:
    file.write_text(text)
    for words in ([library, "--dry-run"], ["config", "show"]):
        result = call(*words)
        assert result.exit_code == 2, result.output
        assert message in result.output and str(file) in result.output


def test_a_mistake_in_a_variable_is_named(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDMARK_TAG_BATCH_SIZE", "many")
    result = call(library)
    assert result.exit_code == 2 and "correct the variable LANDMARK_TAG_BATCH_SIZE" in result.output


def test_a_file_that_cannot_be_read_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: object, **named: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "stat", refuse)  # as in a folder without access
    monkeypatch.setattr(config, "open", refuse, raising=False)
    result = call("config", "show")
    assert result.exit_code == 2 and "Permission denied); check its permissions" in result.output
    assert str(file) in result.output


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no devices and pipes with names here")
def test_a_device_or_a_pipe_is_read_as_far_as_a_file_of_options_may_go(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("/dev/zero", "it is larger than 1 MB"), (tmp_path / "pipe", "it is a pipe")):
        result = call("config", "show", "--config", name)
        assert result.exit_code == 2 and f"{name}: cannot be read ({why}" in result.output
        assert "give another file to --config" in result.output
    out, into = os.pipe()  # as a shell does for <(...)
    os.write(into, b"min-conf = 0.7")
    os.close(into)
    assert shown("--config", f"/dev/fd/{out}")[0]["min-conf"] == 0.7
    os.close(out)
    assert shown("--config", os.devnull)[0]["min-conf"] == 0.6


def test_a_file_that_is_named_must_be_there(library: Path, tmp_path: Path) -> None:
    result = call(library, "--config", tmp_path / "none.toml")
    assert result.exit_code == 2 and "none.toml' does not exist" in result.output


@pytest.fixture
def tag(file: Path, tmp_path: Path, colour_model: Path) -> Callable[..., Result]:
    """A run that takes everything but its path from the file."""
    file.write_text(
        f'model = "{colour_model.as_posix()}"\nledger = "{(tmp_path / "l.db").as_posix()}"\n'
        f'report = "{(tmp_path / "r.csv").as_posix()}"\ndevice = "cpu"\n'
    )
    return call


def test_all_commands_share_the_ledger_and_none_but_tag_the_dry_run(
    tag: Callable[..., Result], file: Path, library: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert tag(library).exit_code == 0
    with file.open("a") as more:
        more.write("dry-run = true\n")
    monkeypatch.setenv("LANDMARK_TAG_DRY_RUN", "1")
    assert "dry run: nothing was written" in tag(library).output
    with (tmp_path / "r.csv").open(newline="") as rows:
        assert {row["status"] for row in csv.DictReader(rows)} == {"has_gps", "no_landmark"}
    result = tag("undo", "last")
    assert "3 restored" in result.output and "dry run" not in result.output
    with Ledger.open(tmp_path / "l.db", create=False) as book:
        assert len(book.runs()) == 1


def test_a_report_of_the_file_is_no_argument_of_apply(tag: Callable[..., Result]) -> None:
    result = tag("apply")
    assert result.exit_code == 2 and "Missing argument 'REPORT'" in result.output


def test_the_home_folder_is_found_without_a_shell(
    tag: Callable[..., Result], file: Path, library: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HOME", str(tmp_path))
    file.write_text(file.read_text().replace((tmp_path / "r.csv").as_posix(), "~/mine.csv"))
    assert tag(library).exit_code == 0 and (tmp_path / "mine.csv").exists()


def test_a_version_in_the_environment_is_nobodys_wish(
    library: Path, tag: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDMARK_TAG_VERSION", "1")
    assert "4 photos" in tag(library).output


def test_a_misspelt_variable_is_told(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANDMARK_TAG_MINCONF", "LANDMARKTAG_QUIET", "LANDMARK_TAG_COLOUR"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LANDMARK_TAG_PORT", "1")  # which review knows
    result = call("config", "show")
    messages = result.stderr.splitlines()
    assert result.exit_code == 0 and len(messages) == 3
    assert (
        "unknown variable LANDMARK_TAG_MINCONF; did you mean LANDMARK_TAG_MIN_CONF?" in messages[2]
    )
    assert "unknown variable LANDMARKTAG_QUIET; did you mean LANDMARK_TAG_QUIET?" in messages[0]
    assert "unknown variable LANDMARK_TAG_COLOUR; unset it; landmark-tag config show" in messages[1]


def test_a_value_that_is_not_utf8_is_shown_escaped(tmp_path: Path) -> None:
    """As an argument it has surrogates (PEP 383), which no stream takes."""
    shown = CliRunner().invoke(main, ["config", "show", "--report", "\udcff.csv"])
    assert shown.exit_code == 0 and 'report = "\\xff.csv"' in shown.output
