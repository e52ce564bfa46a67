"""Runs over a bucket from the command line: which requests are sent, and what is left there."""

import csv
import io
import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import s3
from click.testing import CliRunner
from conftest import COLOURS, photo
from places import tag

from tagger import metadata
from tagger.blob import digest_of
from tagger.cli.main import main
from tagger.ledger.history import RecordedChange, State
from tagger.ledger.ledger import Ledger
from tagger.metadata import HEAD_BYTES
from tagger.run.inspect import FIRST_BYTES
from tagger.storage import bucket_store
from tagger.storage.bucket_store import connect

GREY = (120, 120, 120)


@dataclass
class Command:
    """The command line on one bucket, with its own ledger."""

    bucket: s3.Bucket
    model: Path
    ledger: Path

    def __call__(self, *words: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, self.line(*words))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result.exit_code, result.output

    def line(self, *words: str) -> list[str]:
        model = [] if words[0] in main.commands else ["--model", str(self.model)]
        return [*words, *model, "--ledger", str(self.ledger)]

    def report(self, url: str) -> list[dict[str, str]]:
        text = self.bucket.get(url.removeprefix(f"{self.bucket.url}/")) or b""
        return list(csv.DictReader(io.StringIO(text.decode())))


@pytest.fixture
def command(bucket: s3.Bucket, colour_model: Path, tmp_path: Path) -> Command:
    return Command(bucket, colour_model, tmp_path / "ledger.db")


def upload(bucket: s3.Bucket, number: int) -> dict[str, bytes]:
    """Upload photos in folders: half carry GPS (some are large), a quarter show a landmark."""
    taj, grey = photo(COLOURS["Taj_Mahal"]), photo(GREY)
    with_gps = metadata.tagged(grey, tag())
    large = metadata.tagged(photo((90, 90, 90), (700, 500), quality=98), tag())
    assert len(large) > 2 * HEAD_BYTES
    kinds = (taj, with_gps, grey, large)
    uploaded = {f"in/{i % 7}/{i:04d}.jpg": kinds[i % 4] for i in range(number)}
    for key, data in uploaded.items():
        bucket.put(key, data, ContentType="image/jpeg", Metadata={"owner": key[-8:-4]})
    return uploaded


def test_a_nightly_run_reads_only_what_it_needs(command: Command, s3_server: s3.Server) -> None:
    bucket = command.bucket
    before = upload(bucket, 200)
    report = f"{bucket.url}/reports/report.csv"
    s3_server.asked()
    assert command(f"{bucket.url}/in", "--report", report, "-q")[0] == 0
    log = s3_server.asked()
    rows = command.report(report)
    assert [row["path"] for row in rows] == [f"{bucket.url}/{key}" for key in sorted(before)]
    status = {row["path"].removeprefix(f"{bucket.url}/"): row["status"] for row in rows}
    assert Counter(status.values()) == {"tagged": 50, "has_gps": 100, "no_landmark": 50}

    for key, outcome in status.items():
        requests = [note for note in log if note["key"] == f"/{bucket.name}/{key}"]
        if outcome == "tagged":
            assert metadata.provenance(bucket.get(key) or b"")
        else:
            assert bucket.get(key) == before[key]
            assert [note["method"] for note in requests] == ["GET"]
            assert requests[0]["range"] == f"bytes=0-{FIRST_BYTES - 1}"
            assert requests[0]["bytes"] <= FIRST_BYTES < HEAD_BYTES

    s3_server.asked()
    assert command(f"{bucket.url}/in", "--report", report, "-q")[0] == 0
    again = [note for note in s3_server.asked() if f"/{bucket.name}/in/" in note["key"]]
    assert again == []
    assert [row["path"] for row in command.report(report)] == [row["path"] for row in rows]
    older = command.report(f"{bucket.url}/reports/report.1.csv")
    assert older == rows

    assert command("undo", rows[0]["run_id"])[0] == 0
    assert {key: bucket.get(key) for key in before} == before
    head = bucket.client.head_object(Bucket=bucket.name, Key="in/0/0000.jpg")
    assert head["ContentType"] == "image/jpeg" and head["Metadata"] == {"owner": "0000"}


def test_copies_go_elsewhere_and_the_photos_stay(command: Command, tmp_path: Path) -> None:
    bucket = command.bucket
    taj, grey = photo(COLOURS["Taj_Mahal"]), photo(GREY)
    photos = {"in/a.jpg": taj, "in/sub/b.jpg": taj, "in/sub/c.jpg": grey}
    for key, data in photos.items():
        bucket.put(key, data, CacheControl="no-cache", Tagging="a=b")
    words = (f"{bucket.url}/in", "--output", f"{bucket.url}/out/", "--report", str(tmp_path / "r"))
    assert command(*words)[0] == 0
    now = bucket.contents()
    assert photos.items() <= now.items()
    assert now.keys() - photos.keys() == {"out/a.jpg", "out/sub/b.jpg"}
    assert metadata.position(now["out/a.jpg"] or b"")
    head = bucket.client.head_object(Bucket=bucket.name, Key="out/a.jpg")
    assert head["CacheControl"] == "no-cache" and head["TagCount"] == 1

    assert command(*words)[0] == 0
    assert bucket.contents() == now
    bucket.put("in/a.jpg", photo(COLOURS["Eiffel_Tower"]))  # another upload of that name
    bucket.put("out/sub/c.jpg", b"somebody else's")
    bucket.put("in/sub/c.jpg", taj)
    code, output = command(*words, "-v")
    assert code == 0 and "changed Taj Mahal" not in output and "out/sub/c.jpg exists" in output
    assert bucket.get("out/a.jpg") not in (None, now["out/a.jpg"])
    assert bucket.get("out/sub/c.jpg") == b"somebody else's"

    assert command("undo", "last")[0] == 0  # the renewed copy goes back to the older one
    assert bucket.get("out/a.jpg") == now["out/a.jpg"]
    folder = tmp_path / "copies"
    words = (f"{bucket.url}/in", "--output", str(folder), "--report", str(tmp_path / "r"))
    assert command(*words)[0] == 0
    assert sorted(path.name for path in folder.rglob("*.jpg")) == ["a.jpg", "b.jpg", "c.jpg"]
    code, output = command(f"{bucket.url}/in", "--output", f"{bucket.url}/in/tagged")
    assert code == 2 and "overlaps" in output


def test_a_name_that_no_bucket_can_hold_is_told(command: Command, tmp_path: Path) -> None:
    folder, bucket, taj = tmp_path / "photos", command.bucket, photo(COLOURS["Taj_Mahal"])
    folder.mkdir()
    for name in (b"caf\xe9.jpg", b"cafe.jpg"):
        (folder / os.fsdecode(name)).write_bytes(taj)
    words = (str(folder), "--output", f"{bucket.url}/out", "--report", str(tmp_path / "r"))
    code, output = command(*words, "-v")
    assert code == 1 and "its name is not UTF-8, which names in a bucket are; rename it" in output
    assert bucket.get("out/cafe.jpg") and (folder / os.fsdecode(b"caf\xe9.jpg")).exists()


def test_sidecars_lie_beside_photos_and_go_away_again(command: Command, tmp_path: Path) -> None:
    bucket, report = command.bucket, str(tmp_path / "report.csv")
    before = {"a.jpg": photo(COLOURS["Taj_Mahal"]), "b.jpg": photo(GREY)}
    for key, data in before.items():
        bucket.put(key, data)
    assert command(bucket.url, "--sidecar", "always", "--report", report)[0] == 0
    assert bucket.names() == ["a.jpg", "a.jpg.xmp", "b.jpg"]
    code, output = command(bucket.url, "--sidecar", "always", "--report", report, "-v")
    assert code == 0 and "a.jpg: has_gps (unchanged since an earlier run)" in output
    assert command("remove", bucket.url)[0] == 0 and bucket.contents() == before
    assert command("undo", "last")[0] == 0 and len(bucket.names()) == 3
    runs = command("runs")[1].splitlines()
    assert command("undo", runs[-1].split()[0])[0] == 0 and bucket.contents() == before


def test_a_reviewed_report_is_applied_to_the_photos_it_is_of(
    command: Command, tmp_path: Path
) -> None:
    bucket, report = command.bucket, str(tmp_path / "report.csv")
    taj = photo(COLOURS["Taj_Mahal"])
    for key in ("p/a.jpg", "p/b.jpg", "q/c.jpg"):
        bucket.put(key, taj)
    assert command(bucket.url, "--dry-run", "--report", report)[0] == 0
    assert set(bucket.contents().values()) == {taj}
    other = taj[:-2] + b"\0\0"  # of the same size
    bucket.put("p/b.jpg", other)
    code, output = command("apply", report, "--report", f"{bucket.url}/applied.csv")
    assert code == 1 and "p/b.jpg: it changed since the report" in output
    assert bucket.get("p/b.jpg") == other
    for key in ("p/a.jpg", "q/c.jpg"):
        assert metadata.position(bucket.get(key) or b"")
    rows = command.report(f"{bucket.url}/applied.csv")
    assert [row["status"] for row in rows] == ["tagged", "changed", "tagged"]
    assert command("undo", "last")[0] == 0
    assert {bucket.get("p/a.jpg"), bucket.get("q/c.jpg")} == {taj}


def test_a_report_that_a_spreadsheet_saved_is_kept(command: Command) -> None:
    bucket, saved = command.bucket, b'\xef\xbb\xbf"path";"status";"landmark"\r\n'
    bucket.put("report.csv", saved)
    words = (bucket.url, "--report", f"{bucket.url}/report.csv", "-q", "--allow-empty")
    assert command(*words)[0] == 0
    assert bucket.get("report.1.csv") == saved


def test_the_latest_reports_of_a_bucket_are_kept(command: Command) -> None:
    bucket = command.bucket
    bucket.put("in/a.jpg", photo((120, 120, 120)))
    bucket.put("r.1.csv", b"a file of somebody else")
    words = (f"{bucket.url}/in", "--report", f"{bucket.url}/r.csv", "-q", "--keep-reports", "2")
    for _ in range(5):
        assert command(*words)[0] == 0
    assert [n for n in bucket.names() if n.startswith("r")] == [
        "r.1.csv", "r.4.csv", "r.5.csv", "r.csv",
    ]  # fmt: skip


def test_a_prefix_without_photos_is_no_success(command: Command, tmp_path: Path) -> None:
    bucket = command.bucket
    bucket.put("uploads/a.jpg", photo((120, 120, 120)))
    bucket.put("uploadz/notes.txt", b"x")
    words = ("--report", str(tmp_path / "r.csv"), "-q")
    code, output = command(f"{bucket.url}/uploadz", *words)
    assert code == 2 and f"{bucket.url}/uploadz: no photos there" in output
    assert not (tmp_path / "r.csv").exists()
    assert command(f"{bucket.url}/uploadz", *words, "--allow-empty")[0] == 0
    for option in (("--exclude", "*.jpg"), ("--since", "2100-01-01")):
        assert command(f"{bucket.url}/uploads", *words, *option)[0] == 0


def test_folders_of_a_bucket_that_programs_manage_are_left_alone(
    command: Command,
) -> None:
    grey = photo((120, 120, 120))
    for name in ("a.jpg", "x.PhotosLibrary/o/b.jpg", "c/@eaDir/d.jpg", "e/.immich", "e/f.jpg",
                 "x.photoslibrary.jpg"):  # fmt: skip
        command.bucket.put(f"in/{name}", grey)
    url, report = f"{command.bucket.url}/in", f"{command.bucket.url}/r.csv"
    code, output = command(url, "--report", report)
    assert code == 0 and "3 folders skipped" in output
    assert [row["path"] for row in command.report(report)] == [
        f"{url}/a.jpg", f"{url}/x.photoslibrary.jpg",
    ]  # fmt: skip
    code, output = command(f"{url}/x.PhotosLibrary/o", "--report", report)
    assert code == 2 and "an Apple Photos library (managed by Apple Photos)" in output
    assert command(url, "--report", report, "--no-skip")[0] == 0
    assert len(command.report(report)) == 5


def test_a_report_takes_no_other_files_name(command: Command) -> None:
    command.bucket.put("a.jpg", photo(COLOURS["Taj_Mahal"]))
    before = command.bucket.contents()
    for name in ("a.jpg", "no-such/../report.csv"):
        code, output = command(command.bucket.url, "--report", f"{command.bucket.url}/{name}")
        assert code == 2 and "--report" in output
    assert command.bucket.contents() == before


def test_the_endpoint_is_an_option_too(
    command: Command, s3_server: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.bucket.put("a.jpg", photo(GREY))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    code, output = command(
        command.bucket.url, "--endpoint-url", s3_server.url, "--report", str(tmp_path / "r.csv")
    )
    assert code == 0 and "no known landmark" in output
    # The option is for this command, not for every program that it might start.
    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"


def test_the_endpoint_is_carried_from_command_to_command(
    command: Command, s3_server: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command passes it on to the next, and each hands it to all its storages."""
    bucket = command.bucket
    bucket.put("in/a.jpg", photo(COLOURS["Taj_Mahal"]))
    before = bucket.contents()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    there = ("--endpoint-url", s3_server.url)
    review = str(tmp_path / "review.csv")
    dry = (f"{bucket.url}/in", "--dry-run", "--report", review)
    assert command(*dry, *there)[0] == 0
    assert command(*dry)[0] == 2
    applied = f"{bucket.url}/applied.csv"
    assert command("apply", review, "--report", applied, *there)[0] == 0
    assert bucket.contents()["in/a.jpg"] != before["in/a.jpg"]
    html = ("report", review, "--html", str(tmp_path / "r.html"), "--root", bucket.url)
    assert command(*html, *there)[0] == 0
    assert "data:image/jpeg" in (tmp_path / "r.html").read_text(encoding="utf-8")
    code, output = command("undo", "last", f"{bucket.url}/in", *there)
    assert code == 0, output
    assert bucket.get("in/a.jpg") == before["in/a.jpg"]
    copies = ("--output", f"{bucket.url}/copies", "--report", str(tmp_path / "r.csv"))
    assert command(f"{bucket.url}/in", *copies, *there)[0] == 0
    assert bucket.get("in/a.jpg") == before["in/a.jpg"]
    code, output = command("remove", f"{bucket.url}/copies", *there)
    assert code == 0 and output.startswith("1 tag removed"), output


@pytest.mark.parametrize("since", ["7d", "2026-11-01", "2020-01-01T12:00"])
def test_since_takes_ages_and_times(command: Command, tmp_path: Path, since: str) -> None:
    command.bucket.put("a.jpg", photo(GREY))
    words = (command.bucket.url, "--report", str(tmp_path / "r.csv"), "--since")
    assert "1 photo " in command(*words, since)[1]
    code, output = command(*words, "yesterday")
    assert code == 2 and "is not a time" in output


def test_a_photo_that_stays_throttled_failed_and_the_others_are_done(
    command: Command, s3_server: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, report = command.bucket, f"{command.bucket.url}/report.csv"
    for number in range(40):
        bucket.put(f"in/{number:02}.jpg", photo(COLOURS["Taj_Mahal"]))
    monkeypatch.setattr(bucket_store, "ATTEMPTS", 1)
    connect.cache_clear()
    words = (f"{bucket.url}/in", "--report", report, "--fail-over", "60")
    s3_server.fail(1, only="/in/0")
    code, output = command(*words)
    statuses = Counter(row["status"] for row in command.report(report))
    assert (code, statuses) == (1, {"failed": 10, "tagged": 30})
    assert output.count("cannot be read (503 Service Unavailable); run again later") == 10
    s3_server.fail(0)
    for number in range(40):
        bucket.put(f"in/{number:02}.jpg", photo(COLOURS["Eiffel_Tower"]))
    s3_server.fail(1, only="/in/")
    code, output = command(*words, "-q")  # the store is gone: no clean exit, however quiet
    assert code == 3 and "20 of 20 photos failed" in output
    assert len(command.report(report)) == 20
    s3_server.fail(0)
    connect.cache_clear()
    assert command(*words)[0] == 0
    assert {row["status"] for row in command.report(report)} == {"tagged"}


RUNS = 20


def tag_quietly(line: list[str], environment: dict[str, str]) -> None:
    """One run, in a process to be killed."""
    os.environ.update(environment)
    main(line)


@pytest.mark.crash
def test_kills_throttling_and_replaced_photos_lose_nothing(
    command: Command, s3_server: s3.Server, full: bool
) -> None:
    """Runs killed in the middle, one to the end, photos being replaced all the time."""
    runs = RUNS if full else RUNS // 2
    bucket, chance = command.bucket, random.Random(7)
    uploaded = upload(bucket, 120)
    done = threading.Event()

    begun: Counter[str] = Counter()  # photos whose tags were read, as the step before the write
    one_at_a_time = threading.Lock()

    def put(client: Any, key: str) -> None:
        with one_at_a_time:
            uploaded[key] = photo((220, 30, chance.randrange(60)))
            client.put_object(Bucket=bucket.name, Key=key, Body=uploaded[key])

    def replace() -> None:
        client = s3_server.client()  # of its own: throttled as others are, it tries again
        while not done.is_set():
            notes = [note["key"] for note in s3_server.asked() if note["query"] == "tagging"]
            ours = f"/{bucket.name}/"  # an earlier test's bucket may be among the notes
            keys = [key.removeprefix(ours) for key in notes if key.startswith(f"{ours}in/")]
            begun.update(keys)
            victim = keys[-1] if keys else "in/0/0000.jpg"
            key = chance.choice([victim, *uploaded]) if chance.random() < 0.5 else victim
            put(client, key)
            done.wait(0.01)

    # A process for each run, forked from one that has imported all that a run needs.
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["tagger.cli.main", "tagger.storage.s3", "tagger.storage.bucket",
                                  "tagger.run.pipeline",
                                  "tagger.ledger.ledger", "tagger.model.classifier"])  # fmt: skip
    person = threading.Thread(target=replace)
    person.start()
    line = command.line(f"{bucket.url}/in", "--report", f"{bucket.url}/report.csv", "-q")
    begun_runs = killed = 0
    client = s3_server.client()

    def cut() -> int:
        """How many runs were killed between the intent and its end."""
        with Ledger.open(command.ledger) as book:
            states = [{one.state for one in book.changes(run.run_id)} for run in book.runs()]
        return sum(State.INTENDED in each for each in states)

    try:
        # Chance and the machine decide where a kill falls: go on until enough fell between.
        while begun_runs < runs or (cut() < runs // 4 and begun_runs < 3 * runs):
            begun_runs += 1
            s3_server.fail(0)
            for key in chance.sample(sorted(uploaded), 40):  # work enough to be killed in
                put(client, key)
            s3_server.fail(0.1, after=0.02)
            begun.clear()
            writes, rest = chance.randrange(1, 15), chance.uniform(0, 0.05)
            run = forks.Process(target=tag_quietly, args=(line, dict(os.environ)))
            run.start()
            while run.is_alive() and begun.total() < writes:
                time.sleep(0.01)
            time.sleep(rest)
            run.kill()
            run.join()
            killed += run.exitcode == -signal.SIGKILL
    finally:
        done.set()
        person.join()
    with Ledger.open(command.ledger) as book:
        assert killed < begun_runs or not any(noted.ended for noted in book.runs())
    print(f"{killed} of {begun_runs} runs killed, {cut()} between the intent and its end")
    assert killed >= 0.8 * begun_runs and cut() >= runs // 4
    s3_server.fail(0.05)
    assert command(*line[:1], "--report", f"{bucket.url}/report.csv", "-q")[0] == 0
    s3_server.fail(0)
    rows = command.report(f"{bucket.url}/report.csv")
    assert [row["path"] for row in rows] == [f"{bucket.url}/{key}" for key in sorted(uploaded)]
    check_each_is_an_upload_or_its_tagged_self(command, uploaded)
    for run_id in [words.split()[0] for words in command("runs")[1].splitlines()[1:]]:
        command("undo", run_id)
    assert {key: bucket.get(key) for key in uploaded} == uploaded


def check_each_is_an_upload_or_its_tagged_self(
    command: Command, uploaded: dict[str, bytes]
) -> None:
    """By the ledger's digests: a photo's last change led from its upload to its present bytes."""
    changes: dict[str, list[RecordedChange]] = {}
    with Ledger.open(command.ledger) as book:
        for run in book.runs():
            for change in book.changes(run.run_id):
                if change.state is not State.DROPPED:
                    changes.setdefault(change.key, []).append(change)
    tagged = 0
    for key, data in uploaded.items():
        now = command.bucket.get(key)
        if now != data:
            ours = [
                change
                for change in changes[f"{command.bucket.url}/{key}"]
                if change.digest_after == digest_of(now or b"")
            ]
            assert ours and ours[0].digest_before == digest_of(data), key
            tagged += 1
    assert tagged >= 25
