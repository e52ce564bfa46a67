"""The app in a real browser against the real server."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import COLOURS, photo
from test_review_core import read_report, write_report

from tagger.cli import main

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("streamlit")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore"),
]
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
REVIEW = [sys.executable, "-m", "tagger", "review"]
PATIENCE = 60_000


@contextmanager
def served(*options: object, port: int) -> Iterator[subprocess.Popen[str]]:
    server = subprocess.Popen(
        [*REVIEW, *map(str, options), "--no-browser", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        # Two torch threads that share a core with a busy neighbour wait for each other for minutes.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health").close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < end
                time.sleep(0.2)
        yield server
    finally:
        server.kill()
        server.communicate()


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as play:
        launched = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def browser(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def dry_run(tmp_path: Path, colour_model: Path) -> Path:
    """The report of a dry run over 20 photos, red, green, blue and grey in turn."""
    folder = tmp_path / "photos"
    folder.mkdir()
    colours = [*COLOURS.values(), (120, 120, 120)]
    for n in range(20):
        red, green, blue = colours[n % 4]
        (folder / f"{n:02}.jpg").write_bytes(photo((red + n % 7, green, blue)))
    report = folder / "report.csv"
    options = ["--dry-run", "--quiet", "--model", str(colour_model), "--report", str(report)]
    assert CliRunner().invoke(main, [str(folder), *options]).exit_code == 0
    return report


def reviewed(page, count: int) -> None:
    """Wait until the page has answered the decision, so that the next key is for the next photo."""
    page.get_by_text(f"{count} of 20 reviewed").wait_for()


def test_an_upload_is_recognised(browser, tmp_path: Path, free_port: int) -> None:
    from conftest import SAMPLES

    (tmp_path / "text.jpg").write_text("not a photo")
    asked: set[str] = set()
    with served(port=free_port):
        page = browser.new_page()
        page.on("request", lambda request: asked.add(request.url))
        page.goto(f"http://127.0.0.1:{free_port}/")
        page.locator("input[type=file]").set_input_files(
            [str(SAMPLES / "taj_mahal.jpg"), str(tmp_path / "text.jpg")]
        )
        page.get_by_role("heading", name="Taj Mahal").first.wait_for()
        page.get_by_text("Would be tagged").wait_for()
        page.get_by_text("Not supported").wait_for()
        page.get_by_label("Taj Mahal: 1 photo").wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download the tagged photo").click()
        tags = exif(Path(download.value.path()))
        assert tags["GPSLatitude"] == pytest.approx(27.175, abs=0.005)
    hosts = {url.split("/")[2] for url in asked if url.startswith(("http", "ws"))}
    assert hosts == {f"127.0.0.1:{free_port}"}  # nothing but this machine is ever asked


def test_twenty_rows_by_keyboard(browser, dry_run: Path, free_port: int) -> None:
    ledger = dry_run.parent.parent / "ledger.db"
    before = {path.name: path.read_bytes() for path in dry_run.parent.glob("*.jpg")}
    with served(dry_run, "--ledger", ledger, port=free_port):
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{free_port}/")
        reviewed(page, 0)
        pressed: dict[str, str] = {}
        for n in range(20):
            pressed[page.locator(".lt-card p").last.inner_text()] = "ax2"[n % 3]
            page.keyboard.press("ax2"[n % 3])
            reviewed(page, n + 1)
        page.keyboard.press("u")
        reviewed(page, 19)
        pressed[page.locator(".lt-card p").last.inner_text()] = "x"
        page.keyboard.press("x")
        reviewed(page, 20)
        page.get_by_role("radio", name="Apply").click()
        page.get_by_role("button", name="Write into").click()
        page.get_by_text("written, as run").wait_for()
    rows = read_report(dry_run)
    assert len(pressed) == 20
    for row in rows:
        path = Path(row["path"])
        key = pressed[path.name]
        if key == "x" or (key == "a" and row["status"] == "no_landmark"):
            assert (row["accept"], path.read_bytes()) == ("no", before[path.name])
        else:
            assert row["accept"] == "yes"
            assert (row["landmark"] == row["second"]) == (key == "2")
            tags = exif(path)
            assert tags["GPSAreaInformation"] == row["landmark"]
            assert tags["GPSLatitude"] == pytest.approx(float(row["latitude"]), abs=1e-5)
            assert tags["GPSLongitude"] == pytest.approx(float(row["longitude"]), abs=1e-5)


def test_a_killed_server_loses_no_decision(browser, dry_run: Path, free_port: int) -> None:
    with served(dry_run, port=free_port) as server:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{free_port}/")
        reviewed(page, 0)
        for n in range(6):
            page.keyboard.press("ax"[n % 2])
            reviewed(page, n + 1)
        said = page.get_by_text("6 of 20 reviewed").inner_text()
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    with served(dry_run, port=free_port):
        page.goto(f"http://127.0.0.1:{free_port}/")
        page.get_by_text(said, exact=True).wait_for()
    assert sum(row["accept"] != "" for row in read_report(dry_run)) == 6


def test_forged_paths_are_refused(browser, dry_run: Path, free_port: int) -> None:
    secret = dry_run.parent.parent / "secret.jpg"
    secret.write_bytes(photo((250, 250, 0)))
    (dry_run.parent / "link.jpg").symlink_to(secret)
    rows = read_report(dry_run)
    forged = [str(secret), f"{dry_run.parent}/../secret.jpg", "/etc/passwd"]
    paths = [*forged, str(dry_run.parent / "link.jpg")]
    write_report(dry_run, [rows[0] | {"path": path, "confidence": "0.5"} for path in paths])
    with served(dry_run, "--root", dry_run.parent, port=free_port):
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{free_port}/")
        page.get_by_text("3 rows name files outside").wait_for()
        page.get_by_text("lies outside").first.wait_for()  # the link is listed, and not shown
        for path in ("/../../etc/passwd", "/media/../secret.jpg", f"/media{secret}",
                     "/app/static/..%2f..%2fsecret.jpg"):  # fmt: skip
            try:
                answer = urllib.request.urlopen(f"http://127.0.0.1:{free_port}{path}").read()
            except urllib.error.HTTPError as error:
                answer = error.read()
            assert secret.read_bytes() not in answer and b"root:" not in answer


def test_the_html_report_opens_from_disk(browser, dry_run: Path) -> None:
    out = dry_run.parent / "out.html"
    command = [sys.executable, "-m", "tagger", "report", str(dry_run), "--html", str(out)]
    subprocess.run(command, check=True)
    page = browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.goto(out.as_uri())
    page.get_by_text("20 of 20 photos").wait_for()
    count = sum(row["landmark"] == "Taj Mahal" for row in read_report(dry_run))
    page.get_by_label("Landmark", exact=True).select_option("Taj Mahal")
    page.get_by_text(f"{count} of 20 photos").wait_for()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert problems == []


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def exif(path: Path) -> dict:
    out = subprocess.run(
        ["exiftool", "-json", "-n", "-GPSLatitude", "-GPSLongitude", "-GPSAreaInformation",
         str(path)],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    return json.loads(out)[0]
