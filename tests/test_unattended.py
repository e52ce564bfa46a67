"""Runs that nobody watches: limits, the log, the summary, silence, signals, stale locks."""

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
from conftest import COLOURS, REPOSITORY, SAMPLES, photo

from tagger import __version__
from tagger.cli.main import main
from tagger.errors import RunError
from tagger.run.limits import MIN_SAMPLE, RunLimits
from tagger.run.run_log import RunLog
from tagger.storage import local
from tagger.storage.local_errors import explained

GREY = photo((120, 120, 120))


@pytest.fixture
def line(colour_model: Path, tmp_path: Path) -> list[str]:
    """The options of every run here."""
    return [
        "--model", str(colour_model), "--device", "cpu", "--ledger", str(tmp_path / "ledger.db"),
        "--report", str(tmp_path / "report.csv"), "--summary-json", str(tmp_path / "summary.json"),
        "--log-file", str(tmp_path / "log"), "--quiet",
    ]  # fmt: skip


@pytest.fixture
def tag(line: list[str]) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(main, [*line, *map(str, words)])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def summary(folder: Path) -> dict[str, object]:
    text = (folder / "summary.json").read_text(encoding="utf-8")
    assert text.count("\n") == 1 and text.endswith("\n")
    facts: dict[str, object] = json.loads(text)
    return facts


def fill(folder: Path, number: int, data: bytes = GREY) -> Path:
    folder.mkdir(exist_ok=True)
    for index in range(number):
        (folder / f"{index:03}.jpg").write_bytes(data)
    return folder


def broken(monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], bool]) -> None:
    """A disk that can no longer read some files: the error is the system's own."""
    whole = local.LocalStorage.read_head

    def read_head(self: local.LocalStorage, key: str, size: int) -> bytes:
        if fails(Path(key).name):
            with explained("read"):
                raise OSError(5, os.strerror(5))
        return whole(self, key, size)

    monkeypatch.setattr(local.LocalStorage, "read_head", read_head)


def test_the_summary_says_it_all_in_one_line(
    library: Path, tmp_path: Path, tag: Callable[..., Result]
) -> None:
    result = tag(library)
    assert (result.exit_code, result.output) == (0, "")
    facts = summary(tmp_path)
    counts = facts.pop("counts")
    assert isinstance(counts, dict) and counts == dict.fromkeys(counts, 0) | {
        "tagged": 3, "no_landmark": 1,
    }  # fmt: skip
    assert facts.pop("started") and facts.pop("ended") and facts.pop("seconds")
    assert facts == {
        "version": __version__, "run_id": rows(tmp_path)[0]["run_id"], "targets": [str(library)],
        "report": str(tmp_path / "report.csv"), "dry_run": False, "photos": 4, "looked_at": 4,
        "skipped_folders": 0, "stopped_by": None, "error": None, "exit_code": 0,
    }  # fmt: skip
    assert tag(library).exit_code == 0
    again = summary(tmp_path)
    assert (again["photos"], again["looked_at"]) == (4, 0) and again["run_id"] != facts["run_id"]


def test_the_summary_may_go_to_standard_output(
    library: Path, line: list[str], tmp_path: Path
) -> None:
    words = [str(library), *line, "--summary-json", "-"]
    result = CliRunner().invoke(main, words)
    assert json.loads(result.output)["photos"] == 4 and result.output.count("\n") == 1
    device = CliRunner().invoke(main, [*words, "--summary-json", os.devnull])
    assert device.exit_code == 0 and not Path(os.devnull).is_file()


def test_the_log_has_each_photo_that_was_looked_at_and_each_message(
    library: Path, tmp_path: Path, tag: Callable[..., Result]
) -> None:
    (library / "two\nlines.jpg").write_bytes(GREY)
    tag(library)
    run_id = summary(tmp_path)["run_id"]
    lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    times, messages = zip(*(one.split(" ", 1) for one in lines), strict=True)
    assert all(time.strptime(moment, "%Y-%m-%dT%H:%M:%S%z") for moment in times)
    assert messages[0] == f"run {run_id} over {library}" and len(messages) == 7
    assert messages[1].startswith(f"{library}/a_taj.jpg: tagged Taj Mahal (")
    assert "two\\x0alines.jpg: no_landmark" in messages[3]
    assert messages[-1] == "exit 0: 5 photos: 3 tagged, 2 no_landmark"
    tag(library)
    tag(tmp_path / "none")
    more = [one.split(" ", 1)[1] for one in (tmp_path / "log").read_text().splitlines()[7:]]
    assert more[0].startswith("run ") and more[1] == "exit 0: 5 photos: 3 has_gps, 2 no_landmark"
    assert "none: no such file or folder" in more[2] and more[3] == "exit 2: 0 photos"


def test_a_run_that_cannot_start_leaves_a_summary_too(
    library: Path, tmp_path: Path, tag: Callable[..., Result]
) -> None:
    tag(library)
    result = tag(tmp_path / "none")
    facts = summary(tmp_path)
    assert result.exit_code == facts["exit_code"] == 2 and facts["photos"] == 0
    assert f"landmark-tag: {facts['error']}\n" == result.output


@pytest.mark.parametrize("option", ["--summary-json", "--log-file"])
def test_a_place_that_cannot_be_written_stops_the_run_before_it_starts(
    library: Path, tmp_path: Path, line: list[str], option: str,
    bytes_of: Callable[[Path], dict[str, bytes]],
) -> None:  # fmt: skip
    before = bytes_of(library)
    words = [str(library), *line, option, str(tmp_path / "none" / "file")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2 and f"{option} {tmp_path / 'none'}" in result.output
    assert "choose another place" in result.output and bytes_of(library) == before


@pytest.mark.parametrize("name", ["photo.jpg", "reviewed.csv", "package.json", "notes.txt"])
@pytest.mark.parametrize("option", ["--summary-json", "--log-file"])
def test_no_other_file_is_replaced_or_added_to(
    library: Path, tmp_path: Path, line: list[str], option: str, name: str,
    bytes_of: Callable[[Path], dict[str, bytes]],
) -> None:  # fmt: skip
    place, held = tmp_path / name, {".jpg": GREY, ".json": b'{"version": "1.0"}'}
    place.write_bytes(held.get(place.suffix, b"path,status\n"))
    before = (place.read_bytes(), bytes_of(library))
    result = CliRunner().invoke(main, [str(library), *line, option, str(place)])
    assert result.exit_code == 2 and f"{option} {place}: exists and is not a" in result.output
    assert "choose another name" in result.output
    assert (place.read_bytes(), bytes_of(library)) == before


def test_a_log_is_not_named_like_a_photo(
    library: Path, tmp_path: Path, tag: Callable[..., Result]
) -> None:
    result = tag(library, "--log-file", tmp_path / "new.JPG")
    assert result.exit_code == 2 and "named like a photo; choose another name" in result.output
    assert not (tmp_path / "new.JPG").exists()


def test_empty_files_are_taken_for_the_log_and_the_summary(
    library: Path, tmp_path: Path, tag: Callable[..., Result]
) -> None:
    for name in ("log", "summary.json"):
        (tmp_path / name).touch()
    assert tag(library).exit_code == 0 and summary(tmp_path)["photos"] == 4


def test_a_log_that_fills_its_disk_stops_the_run() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with RunLog("", Path("/dev/full"), RunLimits()) as log:
        with pytest.raises(RunError, match="--log-file /dev/full: cannot be written"):
            log.note("x")
        log.end(2)


def test_an_accident_is_in_the_log(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunLog("", tmp_path / "log", RunLimits()):
        _ = 1 / 0
    assert "cut short by ZeroDivisionError" in (tmp_path / "log").read_text()


def test_a_limit_takes_the_library_in_parts(tmp_path: Path, tag: Callable[..., Result]) -> None:
    folder = fill(tmp_path / "library", 25)
    for index in range(3):  # which would be in the way of every run if they counted
        (folder / f"00{index}.jpg").write_bytes(b"\xff\xd8 not much of a photo")
    for seen in (10, 20, 25):
        result = tag(folder, "--limit", "10", "--no-quiet")
        assert result.exit_code == 0
        assert [Path(row["path"]).name for row in rows(tmp_path)] == [
            f"{index:03}.jpg" for index in range(seen)
        ]
        reached = "--limit" if seen < 25 else None
        assert summary(tmp_path)["stopped_by"] == reached
        assert ("ended at --limit; run again to continue" in result.output) is bool(reached)
    assert tag(folder, "--limit", "1").exit_code == 0 and len(rows(tmp_path)) == 25
    tag(folder, "--limit", "7", "--rescan")
    assert len(rows(tmp_path)) == 7


def test_a_limit_that_is_just_enough_is_not_reached(
    tmp_path: Path, library: Path, tag: Callable[..., Result]
) -> None:
    tag(library, "--limit", "4")
    assert summary(tmp_path)["stopped_by"] is None and summary(tmp_path)["photos"] == 4


def test_time_is_up_between_two_photos(
    tmp_path: Path, tag: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "library", 60, photo(COLOURS["Taj_Mahal"]))
    moments = iter(range(10**6))
    monkeypatch.setattr(
        RunLimits.__init__, "__defaults__", (None, None, None, lambda: next(moments))
    )
    # Each look at the clock is a second; the first pass over all heads looks once a photo.
    assert tag(folder, "--max-time", "20s").exit_code == 0
    done = rows(tmp_path)
    assert 10 < len(done) < 25 and {row["status"] for row in done} == {"tagged"}
    assert summary(tmp_path)["stopped_by"] == "--max-time"
    untouched = sorted(folder.iterdir())[len(done) :]
    assert {path.read_bytes() for path in untouched} == {photo(COLOURS["Taj_Mahal"])}


def test_a_broken_disk_stops_the_run_with_a_code_of_its_own(
    tmp_path: Path, tag: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "library", 200)
    broken(monkeypatch, lambda name: name >= "060.jpg")
    result = tag(folder, "--fail-over", "10")
    assert result.exit_code == 3
    lines = result.output.splitlines()  # also when --quiet
    assert lines[0].startswith(f"{folder}/060.jpg: failed (cannot be read (Input/output error)")
    assert lines[-1] == (
        "landmark-tag: stopped: 7 of 67 photos failed or are unreadable, more than "
        "--fail-over 10%; the report says why: check the disk or the network, then run again"
    )
    reported = rows(tmp_path)
    assert [Path(row["path"]).name for row in reported] == [f"{i:03}.jpg" for i in range(67)]
    facts = summary(tmp_path)
    assert (facts["exit_code"], facts["stopped_by"]) == (3, "--fail-over")
    assert f"landmark-tag: {facts['error']}" == lines[-1]


@pytest.mark.parametrize("number", [1, MIN_SAMPLE - 1])
def test_few_photos_that_all_fail_are_no_clean_exit(
    number: int, tmp_path: Path, tag: Callable[..., Result]
) -> None:
    folder = fill(tmp_path / "library", number, bytes(4000))
    for _ in range(2):  # the second night, too
        result = tag(folder, "--fail-over", "50%")
        assert result.exit_code == 3 and f"{number} of {number} photos failed" in result.output
        assert {row["status"] for row in rows(tmp_path)} == {"unreadable"}
        assert len(rows(tmp_path)) == number
    assert tag(folder).exit_code == 0  # damaged photos alone need no attention tonight


def test_the_first_photo_may_fail(
    tmp_path: Path, tag: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "library", 40)
    broken(monkeypatch, lambda name: name == "000.jpg")
    assert tag(folder, "--fail-over", "5").exit_code == 1
    assert len(rows(tmp_path)) == 40


def test_the_default_model_is_silent_too(tmp_path: Path) -> None:
    """Cron would mail nothing."""
    folder = fill(tmp_path / "library", 1, (SAMPLES / "taj_mahal.jpg").read_bytes())
    words = [folder, "--quiet", "--report", tmp_path / "r.csv", "--ledger", tmp_path / "l.db"]
    done = subprocess.run(
        [sys.executable, "-m", "tagger", *map(str, words)], capture_output=True, cwd=REPOSITORY
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_killed_run_leaves_a_lock_that_nobody_minds(
    tmp_path: Path, line: list[str], tag: Callable[..., Result]
) -> None:
    folder = fill(tmp_path / "library", 2000, photo(COLOURS["Taj_Mahal"]))
    run = subprocess.Popen([sys.executable, "-m", "tagger", str(folder), *line], cwd=REPOSITORY)
    report, other = tmp_path / "report.csv", tmp_path / "other.json"
    while not report.exists() or report.stat().st_size < 2000:
        assert run.poll() is None
        time.sleep(0.02)
    assert list(tmp_path.glob("ledger.db.run-*"))
    result = tag(folder / "..", "--limit", "1", "--summary-json", other)  # around the same photos
    assert result.exit_code == 75 and "another run is working on" in result.output
    assert json.loads(other.read_text())["exit_code"] == 75
    run.kill()
    assert run.wait() == -signal.SIGKILL and list(tmp_path.glob("ledger.db.run-*"))
    facts = summary(tmp_path)
    assert facts["exit_code"] is None and facts["ended"] is None  # it never came to its end
    assert tag(folder, "--limit", "1").exit_code == 0
    assert not list(tmp_path.glob("ledger.db.run-*")) and summary(tmp_path)["exit_code"] == 0


def test_a_source_without_photos_is_no_success(tmp_path: Path, tag: Callable[..., Result]) -> None:
    folder = fill(tmp_path / "library", 2)
    assert tag(folder).exit_code == 0
    (empty := tmp_path / "not-mounted").mkdir()
    for words in ([empty], [folder, empty], [empty, "--dry-run"]):
        result = tag(*words)
        assert result.exit_code == 2 and f"{empty}: no photos there; check" in result.output
        assert "--allow-empty" in result.output and len(rows(tmp_path)) == 2
    (empty / "notes.txt").touch()
    assert tag(empty).exit_code == 2 and tag(empty, "--allow-empty").exit_code == 0
    assert tag(folder, "--exclude", "*.jpg").exit_code == 0
    (empty / "x.lrdata").mkdir()
    assert tag(empty).exit_code == 0 and summary(tmp_path)["skipped_folders"] == 1


def test_a_photo_that_is_broken_for_good_is_news_once(
    tmp_path: Path, tag: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "library", 3)
    broken(monkeypatch, lambda name: name == "001.jpg")
    assert tag(folder).exit_code == 1
    result = tag(folder)
    assert (result.exit_code, result.output) == (0, "") and len(rows(tmp_path)) == 3
    result = tag(folder, "--strict")
    assert result.exit_code == 1 and "001.jpg: failed" in result.output
    result = tag(folder, "--no-quiet")
    assert "1 of them failed before; --strict makes that exit code 1" in result.output
    broken(monkeypatch, lambda name: name != "000.jpg")
    (folder / "002.jpg").write_bytes(photo((90, 90, 90)))
    result = tag(folder)
    assert result.exit_code == 1 and "002.jpg: failed" in result.output
    assert "001.jpg" not in result.output


def test_a_report_of_news_only(tmp_path: Path, tag: Callable[..., Result]) -> None:
    folder = fill(tmp_path / "library", 3)
    assert tag(folder).exit_code == 0
    (folder / "new.jpg").write_bytes(GREY)
    for expected in (["new.jpg"], [], []):
        tag(folder, "--report-news-only")
        assert [Path(row["path"]).name for row in rows(tmp_path)] == expected
        assert summary(tmp_path)["photos"] == 4
    for number in range(3):  # as a restore from an archive gives times back
        os.utime(folder / f"{number:03}.jpg", ns=(1, 1_700_000_000_000_000_000))
    tag(folder, "--report-news-only", "--report", tmp_path / "touched.csv")
    for number in range(3):
        os.utime(folder / f"{number:03}.jpg", ns=(1, 1_700_000_001_000_000_000))
    tag(folder, "--report-news-only")
    assert rows(tmp_path) == []  # nearly the same time and the same content: no news
    # A report without rows pushes no other out.
    assert len(list(tmp_path.glob("report*.csv"))) == 3


STREAMS = ["2>&1 | head -c 1", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1", ">&-", "2>&-",
           "<&- >&- 2>&-"]  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("streams", STREAMS)
def test_a_closed_or_full_stream_neither_ends_the_run_nor_changes_its_code(
    tmp_path: Path, line: list[str], streams: str
) -> None:
    folder = fill(tmp_path / "library", 9, photo(COLOURS["Taj_Mahal"]))
    (folder / "000.jpg").chmod(0o444)
    words = [sys.executable, "-m", "tagger", str(folder), *line, "--no-quiet", "--verbose"]
    script = f'"$@" {streams}; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", script, "bash", *words], cwd=REPOSITORY)
    facts = summary(tmp_path)
    assert done.returncode == facts["exit_code"] == 1
    assert [row["status"] for row in rows(tmp_path)] == ["failed"] + ["tagged"] * 8
    data = {path.read_bytes() for path in folder.iterdir()}
    assert all(one.startswith(b"\xff\xd8") and b"failed (" not in one for one in data)


def test_an_unbuffered_stream_shows_each_line_at_once() -> None:
    """As with PYTHONUNBUFFERED in containers: the progress bar ended after the summary."""
    script = (
        "import os, sys; from tagger.terminal import hold_streams; hold_streams(); "
        "sys.stderr.write('bar'); sys.stderr.write('\\n'); os._exit(0)"
    )
    words = [sys.executable, "-u", "-c", script]
    assert subprocess.run(words, cwd=REPOSITORY, capture_output=True).stderr == b"bar\n"


EVIL = "\x1b]0;pwn\x07\x1b[31m\n\u202elandmark-tag: all fine.jpg"


def test_names_are_escaped_wherever_they_are_told(
    tmp_path: Path, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "in\x1b[2J").mkdir()
    (folder / EVIL).write_bytes(photo(COLOURS["Taj_Mahal"]))
    (folder / f"--{EVIL}").write_bytes(GREY)
    (folder / "broken\x9b.jpg").write_bytes(photo(COLOURS["Taj_Mahal"]))
    (folder / "broken\x9b.jpg").chmod(0o444)
    monkeypatch.chdir(tmp_path)
    ledger, log = line[4:6], ""
    commands: list[list[str]] = [
        [*line[:-1], "-v", str(folder)], [*line[:-1], f"{folder}/no\x1b.jpg"],
        ["runs", *ledger], ["remove", str(folder), *ledger], ["undo", *ledger],
        ["apply", str(tmp_path / "report.csv"), *ledger], ["apply", f"no{EVIL}", *ledger],
        [f"--{EVIL}"], ["--config", f"no{EVIL}", "x"], ["report", f"no{EVIL}", "--html", "x"],
        ["undo", EVIL, *ledger], [*line[:-1], str(folder), "--report", str(folder / EVIL)],
    ]  # fmt: skip
    for words in commands:
        log += CliRunner().invoke(main, words).output
    log += (tmp_path / "log").read_text(encoding="utf-8")
    assert not [char for char in log if not char.isprintable() and char != "\n"]
    assert "\\x1b]0;pwn\\x07\\x1b[31m\\x0a\\xe2\\x80\\xae" in log
    assert not [one for one in log.splitlines() if one.startswith("landmark-tag: all fine")]
