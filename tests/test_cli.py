"""The command as a person or cron sees it: exit codes, messages, the report, signals."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import COLOURS, photo, save_colour_model
from PIL import Image

from tagger.cli.main import main
from tagger.errors import RunError
from tagger.report.columns import COLUMNS


@pytest.fixture
def command(colour_model: Path, tmp_path: Path) -> Callable[..., Result]:
    """Runs landmark-tag with the colour model, a ledger and a report of its own."""

    def call(*arguments: object, model: Path = colour_model) -> Result:
        fixed = ["--report", tmp_path / "report.csv", "--ledger", tmp_path / "ledger.db"]
        verb = arguments[:1] if arguments[0] == "tag" else ()
        words = [*verb, *fixed, "--device", "cpu", "--model", model, *arguments[len(verb) :]]
        return CliRunner().invoke(main, [str(word) for word in words])

    return call


def report(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).name: row for row in csv.DictReader(file)}


def test_the_main_use(library: Path, tmp_path: Path, command: Callable[..., Result]) -> None:
    result = command(library, "--min-conf", 0.6)
    assert result.exit_code == 0, result.output
    assert "4 photos" in result.output and "3  tagged" in result.output
    rows = report(tmp_path)
    assert tuple(rows["a_taj.jpg"]) == COLUMNS
    taj = rows["a_taj.jpg"]
    assert (taj["status"], taj["landmark"], taj["country"]) == ("tagged", "Taj Mahal", "India")
    assert abs(float(taj["latitude"]) - 27.175) < 0.01 and float(taj["confidence"]) >= 0.6
    assert rows["b_grey.jpg"]["status"] == "no_landmark"


def test_tag_by_name_is_the_same(library: Path, command: Callable[..., Result]) -> None:
    assert "3  would be tagged" in command("tag", library, "--dry-run").output


def test_a_single_file_and_a_folder_that_holds_it(
    library: Path, tmp_path: Path, command: Callable[..., Result]
) -> None:
    assert command(library / "a_taj.jpg", library, library / "trip").exit_code == 0
    assert len(report(tmp_path)) == 4


def test_exclude_and_no_recursive(
    library: Path, tmp_path: Path, command: Callable[..., Result]
) -> None:
    command(library, "--exclude", "a_*", "--exclude", "trip/q*")
    assert set(report(tmp_path)) == {"b_grey.jpg", "eiffel.JPG"}
    command(library, "--no-recursive")
    assert set(report(tmp_path)) == {"a_taj.jpg", "b_grey.jpg"}


def test_quiet_says_nothing_and_verbose_a_line_for_each(
    library: Path, command: Callable[..., Result]
) -> None:
    assert command(library, "--dry-run", "--quiet").output == ""
    assert "a_taj.jpg: would_tag Taj Mahal" in command(library, "--dry-run", "--verbose").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing-folder"], "missing-folder: no such file or folder"),
        ([".", "--min-conf", "1.5"], "--min-conf"),
        ([".", "--min-conf", "-0.1"], "--min-conf"),
        ([".", "--device", "tpu"], "give auto, cpu, cuda"),
        ([".", "--batch-size", "0"], "--batch-size"),
        (["s3://bucket/photos"], "s3://"),
        (["", "--dry-run"], "PATH is empty (is a variable unset?); give a folder"),
        ([".", "", "--dry-run"], "PATH is empty (is a variable unset?); give a folder"),
        ([".", "--dry-run", "--output", ""], "'--output': it is empty (is a variable unset?)"),
        ([".", "--since", "9999999d"], "'9999999d' is not a time"),
        ([".", "--since", "99999999999999999999d"], "is not a time"),
        ([".", "--since", "0001-01-01T00:00+14:00"], "is not a time"),
        ([".", "--max-time", "99999999999999999999h"], "is not a duration"),
        ([".", "--max-gap", "99999999999999999999h"], "is not a duration"),
    ],
)
def test_wrong_usage_is_exit_2_with_the_option_named(
    arguments: list[str], message: str, command: Callable[..., Result]
) -> None:
    result = command(*arguments)
    assert result.exit_code == 2 and message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (None, "cannot be read"),
        (lambda good: b"not a model", "not a TorchScript file, or damaged"),
        (lambda good: good[: len(good) // 2], "not a TorchScript file, or damaged"),
        (lambda good: good.replace(b"colour", b"colouR", 1), "damaged or tampered with"),
    ],
)
def test_a_bad_model_is_refused_before_any_photo(
    damage: Callable[[bytes], bytes] | None,
    message: str,
    library: Path,
    tmp_path: Path,
    colour_model: Path,
    command: Callable[..., Result],
) -> None:
    model = tmp_path / "bad.pt"
    if damage:
        model.write_bytes(damage(colour_model.read_bytes()))
    result = command(library, model=model)
    assert result.exit_code == 2 and f"--model {model}: {message}" in result.output
    assert not (tmp_path / "report.csv").exists()


def test_a_model_of_places_unknown_here_is_refused(
    library: Path, tmp_path: Path, command: Callable[..., Result]
) -> None:
    labels = ("Taj_Mahal", "Eiffel_Tower", "Atlantis")
    model = save_colour_model(tmp_path / "m.pt", labels=labels)
    result = command(library, model=model)
    assert result.exit_code == 2 and "does not say where Atlantis is" in result.output
    assert "train places" in result.output


def test_a_manifest_that_does_not_fit_is_refused_when_saving(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="3\\) for 2 labels"):
        save_colour_model(tmp_path / "m.pt", labels=("Taj_Mahal", "Eiffel_Tower"))


def test_a_report_that_cannot_be_written_stops_the_run_at_once(
    library: Path, bytes_of: Callable[[Path], dict[str, bytes]], command: Callable[..., Result]
) -> None:
    before = bytes_of(library)
    result = command(library, "--report", library / "a_taj.jpg" / "report.csv")
    assert result.exit_code == 2 and "choose another" in result.output
    assert bytes_of(library) == before


def test_a_write_protected_photo_fails_and_the_others_are_done(
    library: Path, tmp_path: Path, command: Callable[..., Result]
) -> None:
    (library / "a_taj.jpg").chmod(0o444)
    result = command(library)
    assert result.exit_code == 1
    rows = report(tmp_path)
    assert rows["a_taj.jpg"]["status"] == "failed" and "chmod" in rows["a_taj.jpg"]["reason"]
    assert rows["qutub.jpg"]["status"] == "tagged"


def test_a_full_disk_stops_the_run_without_a_traceback(
    library: Path, command: Callable[..., Result]
) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    result = command(library, "--dry-run", "--report", "/dev/full")
    assert result.exit_code == 2 and "make room" in result.output


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from tagger.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "bad = {'torch', 'numpy', 'PIL', 'pandas'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for option in ("--min-conf", "--report", "--dry-run", "--coords", "--version", "Commands:"):
        assert option in done.stdout


def test_completion_offers_commands_and_options() -> None:
    def complete(words: str, position: int) -> str:
        environment = os.environ | {
            "_LANDMARK_TAG_COMPLETE": "bash_complete", "COMP_WORDS": words,
            "COMP_CWORD": str(position),
        }  # fmt: skip
        command = [
            sys.executable,
            "-c",
            "from tagger.cli.main import main; main(prog_name='landmark-tag')",
        ]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        return done.stdout

    assert "undo" in complete("landmark-tag u", 1)
    assert "--min-conf" in complete("landmark-tag tag --min", 2)


def test_a_heic_is_decoded_where_its_reader_is_installed(
    colour_model: Path, tmp_path: Path
) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    taj = Image.new("RGB", (64, 48), (220, 30, 30))
    pillow_heif.from_pillow(taj).save(tmp_path / "phone.heic")
    # A process of its own: other tests let Pillow know of HEIC themselves.
    line = [
        sys.executable,
        "-m",
        "tagger",
        str(tmp_path / "phone.heic"),
        "--dry-run",
        "-v",
        "--model",
    ]
    report = ["--report", str(tmp_path / "report.csv")]
    run = subprocess.run(
        [*line, str(colour_model), *report], capture_output=True, text=True, check=True
    )
    assert "would_tag Taj Mahal" in run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_a_valid_report_and_whole_photos(
    number: signal.Signals, tmp_path: Path, colour_model: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    data = photo(COLOURS["Taj_Mahal"], (640, 480))
    for index in range(3000):
        (library / f"{index:04}.jpg").write_bytes(data)
    where = tmp_path / "report.csv"
    command = [
        sys.executable, "-m", "tagger", library, "--model", colour_model, "--device", "cpu",
        "--report", where, "--ledger", tmp_path / "ledger.db", "--summary-json", tmp_path / "json",
    ]  # fmt: skip
    run = subprocess.Popen(
        [str(word) for word in command], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # tests under nohup ignore SIGHUP
    )  # fmt: skip
    while run.poll() is None and (not where.exists() or where.stat().st_size < 3000):
        time.sleep(0.02)
    run.send_signal(number)
    _, errors = run.communicate()
    assert run.returncode == 130, errors
    assert "stopped early" in errors and "Traceback" not in errors
    rows = report(tmp_path)
    assert 0 < len(rows) < 3000
    facts = json.loads((tmp_path / "json").read_text(encoding="utf-8"))
    assert (facts["photos"], facts["stopped_by"], facts["exit_code"]) == (len(rows), "signal", 130)
    tagged = {path.name for path in library.iterdir() if path.read_bytes() != data}
    assert tagged == {name for name, row in rows.items() if row["status"] == "tagged"}
