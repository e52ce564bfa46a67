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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from click.testing import CliRunner
from conftest import COLOURS, SAMPLES, photo
from PIL import Image
from raw_photos import dng
from test_review_core import read_report, write_report

from tagger.cli.main import main

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, Route

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
PATIENCE = 180_000


@contextmanager
def served(*options: object, port: int) -> Iterator["Served"]:
    server = subprocess.Popen(
        [*REVIEW, *map(str, options), "--no-browser", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        # Two torch threads that share a core with a busy neighbour wait for each other for minutes.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        end = time.monotonic() + 600
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health").close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < end
                time.sleep(0.2)
        assert server.stdout is not None
        yield Served(server, server.stdout.readline().split()[1])
    finally:
        server.kill()
        server.communicate()


@dataclass(frozen=True)
class Served:
    """A server, and the address that it printed, with its token."""

    process: subprocess.Popen[str]
    url: str


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    with playwright.sync_playwright() as play:
        launched = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def browser(chromium: "Browser") -> "Iterator[BrowserContext]":
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


def reviewed(page: "Page", count: int) -> None:
    """Wait until the page shows the decision and is complete: its buttons come after its count.

    A key that is pressed between the two finds no button and does nothing.
    """
    page.get_by_text(f"{count} of 20 reviewed").wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def test_uploads_are_recognised(browser: "BrowserContext", tmp_path: Path, free_port: int) -> None:
    """Six files dropped at once, each handled as the command handles it."""
    pillow_heif = pytest.importorskip("pillow_heif")
    with Image.open(SAMPLES / "taj_mahal.jpg") as taj:
        taj.resize((8660, 5774)).save(tmp_path / "large.jpg", quality=60)  # 50 megapixels
        pillow_heif.from_pillow(taj).save(tmp_path / "phone.heic")
    (tmp_path / "camera.dng").write_bytes(dng((SAMPLES / "taj_mahal.jpg").read_bytes()))
    (tmp_path / "text.jpg").write_text("not a photo")
    verdicts = {
        SAMPLES / "taj_mahal.jpg": "Would be tagged",
        tmp_path / "large.jpg": "Would be tagged",
        tmp_path / "phone.heic": "Would be tagged",
        tmp_path / "camera.dng": "Would be tagged",
        SAMPLES / "cup_of_tea.jpg": "No known landmark here, left alone",
        tmp_path / "text.jpg": "Not supported",
    }
    asked: set[str] = set()
    with served(port=free_port) as server:
        page = browser.new_page()
        page.on("request", lambda request: asked.add(request.url))
        page.goto(server.url)
        page.locator("input[type=file]").set_input_files([str(path) for path in verdicts])
        for path, verdict in verdicts.items():
            card = page.locator(".lt-card", has=page.get_by_text(path.name, exact=True)).first
            card.get_by_text(verdict, exact=True).wait_for()
            bars = 6 if verdict != "Not supported" else 0  # the five best, and no known landmark
            assert card.locator(".lt-row").count() == bars
        page.get_by_role("button", name="Download the sidecar").wait_for()
        assert page.get_by_label("Taj Mahal: 1 photo").count() == 4  # on the maps
        assert page.get_by_text("Agra, Uttar Pradesh, India").count() == 4  # on the cards
        for number, name in enumerate(("taj_mahal.jpg", "large.jpg", "phone.heic")):
            with page.expect_download() as download:
                page.get_by_role("button", name="Download the tagged photo").nth(number).click()
            assert download.value.suggested_filename == name
            tags = exif(Path(download.value.path()))
            assert tags["GPSLatitude"] == pytest.approx(27.175, abs=0.005)
    hosts = {url.split("/")[2] for url in asked if url.startswith(("http", "ws"))}
    assert hosts == {f"127.0.0.1:{free_port}"}  # it never contacts another machine


def test_twenty_rows_by_keyboard(browser: "BrowserContext", dry_run: Path, free_port: int) -> None:
    ledger = dry_run.parent.parent / "ledger.db"
    before = {path.name: path.read_bytes() for path in dry_run.parent.glob("*.jpg")}
    with served(dry_run, "--ledger", ledger, port=free_port) as server:
        page = browser.new_page()
        page.goto(server.url)
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
        page.get_by_role("button", name="Yes, write into").click()
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


def test_a_decision_sends_no_thumbnail_again(
    browser: "BrowserContext", dry_run: Path, free_port: int
) -> None:
    """The gallery's 20 pictures are fetched once, and stay after each decision."""
    whole = "all => all.filter((image) => image.complete && image.naturalWidth > 0).length"
    sent: list[bytes] = []
    asked: list[str] = []
    with served(dry_run, port=free_port) as server:
        page = browser.new_page()
        page.on("websocket", lambda socket: socket.on(
            "framereceived", lambda frame: sent.append(frame if isinstance(frame, bytes) else b"")
        ))  # fmt: skip
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url)
        reviewed(page, 0)
        pictures = page.locator(".gallery img")
        for picture in pictures.all():
            picture.evaluate("image => image.decode()")
        assert pictures.evaluate_all(whole) == 20
        shown = {url.split("/")[-1] for url in asked if "/media/" in url}
        asked.clear()
        sent.clear()
        for n in range(3):
            page.keyboard.press("x")
            reviewed(page, n + 1)
        assert pictures.evaluate_all(whole) == 20
        again = [url for url in asked if url.split("/")[-1] in shown]
        assert not again
        assert not any(b"data:image/jpeg" in frame for frame in sent)
        assert sent


def test_the_photo_is_the_largest_thing_and_phones_see_all(
    browser: "BrowserContext", dry_run: Path, free_port: int
) -> None:
    largest = """() => {
        const area = (node) => { const box = node.getBoundingClientRect();
            return Math.max(0, Math.min(box.bottom, innerHeight) - box.top) * box.width; };
        const others = [".st-key-facts_part", ".st-key-gallery_part",
                        "[data-testid=stSidebar]"].map((name) => document.querySelector(name));
        return area(document.querySelector(".st-key-photo_part img"))
            > Math.max(...others.filter(Boolean).map(area));
    }"""
    with served(dry_run, port=free_port) as server:
        page = browser.new_page()
        page.goto(server.url)
        reviewed(page, 0)
        at_rest(page.locator(".st-key-photo_part img"))
        shown = page.locator(".st-key-photo_part img").bounding_box()
        assert shown
        assert shown["width"] >= 700 and shown["height"] >= 500
        assert page.evaluate(largest)
        card = page.locator(".gallery li").first.bounding_box()
        assert card
        assert card["y"] + card["height"] < 900  # and its neighbours are in sight
        assert 0 <= card["y"] - shown["y"] - shown["height"] < 40  # without a hole
        page.set_viewport_size({"width": 390, "height": 844})
        page.reload()
        reviewed(page, 0)
        links = page.locator(".st-key-phone_links")
        for what in (links.get_by_role("button", name="Filters"), links.get_by_text("Try")):
            at_rest(what)
            box = what.bounding_box()
            assert box
            assert box["y"] > 56 and box["y"] + box["height"] < 300
        links.get_by_role("button", name="Filters").click()
        page.get_by_role("combobox", name="Landmark").first.click()


def test_a_page_loaded_again_is_where_it_was(
    browser: "BrowserContext", dry_run: Path, free_port: int
) -> None:
    with served(dry_run, port=free_port) as server:
        page = browser.new_page()
        page.goto(server.url)
        reviewed(page, 0)
        box = page.get_by_role("combobox", name="Status").first
        box.click()
        box.fill("would")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        page.wait_for_url("**statuses=would+tag*")  # as Streamlit writes what is shown
        page.get_by_role("button", name="Next").click()
        page.get_by_role("button", name="Next").click()
        page.locator(".gallery .current[data-row]").nth(0).wait_for()
        page.wait_for_timeout(1500)
        page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        place, count = page.locator(".lt-card p").last.inner_text(), page.locator(".card").count()
        page.reload()
        reviewed(page, 0)
        page.locator(".lt-card p").last.get_by_text(place).wait_for()
        assert (page.locator(".card").count(), "photo=" in page.url) == (count, True)
        assert 1 < count < 20


def test_landmarks_by_name_and_places_by_click(
    browser: "BrowserContext", dry_run: Path, free_port: int
) -> None:
    with served(dry_run, port=free_port) as server:
        page = browser.new_page()
        page.goto(server.url)
        reviewed(page, 0)
        page.locator(".gallery li").first.wait_for()  # it brings the keys L and M
        page.keyboard.press("l")
        page.keyboard.type("seattle")
        page.get_by_role("option", name="Seattle Japanese Garden").wait_for()
        page.keyboard.press("Enter")
        reviewed(page, 1)
        file = page.locator(".lt-card p").last.inner_text()
        page.keyboard.press("m")
        world = page.locator(".st-key-other_place svg.world")
        at_rest(world)
        area = world.bounding_box()
        assert area
        # 52 north, 13 east, on a map that shows 84 north to 58 south.
        across, down = (13 + 180) / 360, (84 - 52) / 142
        world.click(position={"x": across * area["width"], "y": down * area["height"]})
        page.get_by_label("Chosen place: 1 photo").wait_for()
        page.get_by_label("Name of the place").fill("Hut <b>&")
        page.get_by_label("Name of the place").press("Enter")
        page.get_by_role("button", name="Save place").click()
        reviewed(page, 2)
        page.get_by_role("radio", name="Places").click()
        page.get_by_role("button", name="Seattle Japanese Garden: 1 photo", exact=True).click()
        page.locator(".gallery").get_by_text("Seattle Japanese Garden").wait_for()
        page.locator(".gallery li").nth(1).wait_for(state="detached")  # filtered by the dot
    rows = {Path(row["path"]).name: row for row in read_report(dry_run)}
    (garden,) = [row for row in rows.values() if row["landmark"] == "Seattle Japanese Garden"]
    assert garden["accept"] == "yes"
    assert (rows[file]["landmark"], rows[file]["accept"]) == ("Hut <b>&", "yes")
    degrees = [float(rows[file][name]) for name in ("latitude", "longitude")]
    assert degrees == pytest.approx([52, 13], abs=0.6)  # a pixel of the small map


def test_places_are_learned_from_a_review(
    browser: "BrowserContext", tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place named by hand and a rejected guess are learned, shown, and used by the next run."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder, report = tmp_path / "photos", tmp_path / "report.csv"
    folder.mkdir()
    shutil.copy(SAMPLES / "windmills.jpg", folder)
    with Image.open(SAMPLES / "india_gate.jpg") as gate:
        gate.rotate(180).save(folder / "upside_down.jpg")  # an unsure guess
    run = [str(folder), "--dry-run", "--quiet", "--report", str(report)]
    assert CliRunner().invoke(main, run).exit_code == 0
    (unsure,) = [row for row in read_report(report) if row["status"] == "unsure"]
    with served(report, "--root", folder, port=free_port) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.get_by_text("0 of 2 reviewed").wait_for()
        page.locator(".lt-card").get_by_text("upside_down.jpg").wait_for()
        page.get_by_role("button", name="Reject").click()
        page.get_by_text("1 of 2 reviewed").wait_for()
        page.locator(".lt-card").get_by_text("windmills.jpg").wait_for()
        page.get_by_text("A place on the map").click()
        page.get_by_label("Latitude, longitude").fill("51.88, 4.64")
        page.get_by_label("Latitude, longitude").press("Enter")
        page.get_by_label("Chosen place: 1 photo").wait_for()
        page.get_by_label("Name of the place").fill("Mill <b>&")
        page.get_by_label("Name of the place").press("Enter")
        page.get_by_role("button", name="Save place").click()
        page.get_by_text("2 of 2 reviewed").wait_for()
        page.get_by_role("radio", name="Places").click()
        page.get_by_title("Mill <b>&: 1 photo").wait_for()
        page.get_by_title(f"not {unsure['landmark']}: 1 photo").wait_for()
        page.get_by_role("button", name="Learn these places").click()
        page.get_by_text("Learned from 2 photos").wait_for()
        page.get_by_text("Learned: Mill <b>& (1 photo).").wait_for()
        page.get_by_text(f"wrong guesses: {unsure['landmark']} (1 photo).").wait_for()
        page.locator(".st-key-own_world svg.world").wait_for()
        page.get_by_role("button", name="Learn these places").click()
        page.get_by_text("nothing is new").wait_for()
    report.unlink()
    assert CliRunner().invoke(main, run).exit_code == 0
    rows = {Path(row["path"]).name: row for row in read_report(report)}
    assert rows["windmills.jpg"]["landmark"] == "Mill <b>&"
    assert rows["windmills.jpg"]["status"] == "would_tag"
    again = rows["upside_down.jpg"]
    assert again["status"] != "would_tag"
    assert float(again["confidence"]) < float(unsure["confidence"])


def at_rest(shown: "Locator") -> None:
    """Wait until an opening panel has stopped moving, so that a click hits its target."""
    shown.wait_for()
    before, now = None, shown.bounding_box()
    while before != now:
        shown.page.wait_for_timeout(300)
        before, now = now, shown.bounding_box()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_the_token_is_needed(
    browser: "BrowserContext", dry_run: Path, address: str, free_port: int
) -> None:
    with served(dry_run, "--address", address, port=free_port) as server:
        query = server.url.split("?")[1]
        page = browser.new_page()
        for wrong in ("", "?token=guess"):
            page.goto(f"http://127.0.0.1:{free_port}/{wrong}")
            page.get_by_text("needs the address with its token").wait_for()
            assert page.locator(".gallery, input[type=file]").count() == 0
        page.close()  # its pending requests are refused
        page = browser.new_page()
        problems: list[str] = []
        page.on(
            "console", lambda message: problems.extend([message.text] * (message.type == "error"))
        )
        page.goto(f"http://127.0.0.1:{free_port}/?{query}")
        page.locator(".gallery li").first.wait_for()
        assert "token" not in page.url
        assert problems == []  # its own security policy blocks nothing that it needs


def test_another_site_gets_nothing(
    browser: "BrowserContext", dry_run: Path, free_port: int, tmp_path: Path
) -> None:
    """A page of another origin, in a browser that has access: no frame, no socket, no answer."""
    with served(dry_run, port=free_port) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.locator(".gallery li").first.wait_for()
        ours = f"http://127.0.0.1:{free_port}"
        browser.route("http://127.0.0.1:1/*", lambda route: route.fulfill(
            content_type="text/html", body=f"<iframe src='{ours}/'></iframe>"))  # fmt: skip
        page.goto("http://127.0.0.1:1/")
        page.wait_for_timeout(1000)
        assert not any(frame.locator(".gallery").count() for frame in page.frames)
        result = page.evaluate(
            """async (ours) => {
                const socket = new WebSocket(ours.replace("http", "ws") + "/_stcore/stream");
                const opened = await new Promise((done) => {
                    socket.onopen = () => done(true); socket.onerror = () => done(false); });
                const status = await fetch(ours, { credentials: "include" })
                    .then((answer) => answer.status, () => "refused");
                return [opened, status];
            }""",
            ours,
        )
        assert result == [False, "refused"]


HOSTILE = "![x](http://192.0.2.1/m.png) <img src=http://192.0.2.1/h.png onerror=alert(1)> `[a](b)`"


def test_text_of_a_hostile_report_does_nothing(
    browser: "BrowserContext", dry_run: Path, free_port: int
) -> None:
    folder = dry_run.parent / "![f](http:) <b>"
    folder.mkdir()
    name = "![n](http:) <img src=x onerror=alert(1)>.jpg"
    (dry_run.parent / "00.jpg").rename(folder / name)
    row = read_report(dry_run)[0] | {"path": str(folder / name), "run_id": HOSTILE}
    row |= dict.fromkeys(("landmark", "second", "third", "city", "country", "reason"), HOSTILE)
    row |= {"wikidata": "javascript:alert(1)", "latitude": "52", "longitude": "13"}
    changes = [{"status": "tagged"}, {"path": str(dry_run.parent / "01.jpg")},
               {"status": HOSTILE, "path": str(dry_run.parent / "02.jpg")},
               {"path": "/etc/![p](http://192.0.2.1/p.png)/p.jpg"}]  # fmt: skip
    write_report(dry_run, [row | change for change in changes])
    out = dry_run.parent / "out.html"
    options = [str(dry_run), "--html", str(out), "--root", str(dry_run.parent)]
    assert CliRunner().invoke(main, ["report", *options]).exit_code == 0
    asked, alerts = list[str](), list[str]()
    page = browser.new_page()

    def dismiss(dialog: "Dialog") -> None:
        alerts.append(dialog.message)
        dialog.dismiss()

    def abort(route: "Route") -> None:
        asked.append(route.request.url)
        route.abort()

    page.on("dialog", dismiss)
    browser.route("http://192.0.2.1/**", abort)
    with served(dry_run, "--root", dry_run.parent, port=free_port) as server:
        page.goto(server.url)
        page.get_by_text("0 of 2 reviewed").wait_for()
        page.get_by_text(HOSTILE).first.wait_for()
        page.keyboard.press("x")
        page.get_by_text("1 of 2 reviewed").wait_for()
        for view in ("Places", "Accuracy", "Apply"):
            page.get_by_role("radio", name=view).click()
            page.wait_for_timeout(500)
        page.get_by_text("Also photos that were not reviewed").click()
        page.get_by_role("button", name="Write into").click()
        page.get_by_role("button", name="Yes, write into").click()
        page.get_by_text("written, as run").wait_for()
        page.goto(f"http://127.0.0.1:{free_port}/try")
        page.locator("input[type=file]").set_input_files(str(folder / name))
        page.locator(".lt-card").get_by_text(name).wait_for()
    page.goto(out.as_uri())
    page.locator(".gallery").get_by_text(HOSTILE).first.wait_for()
    assert (asked, alerts) == ([], [])


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_it_is_accessible(
    chromium: "Browser", theme: Literal["light", "dark"], width: int, dry_run: Path, free_port: int
) -> None:
    """Axe finds nothing against WCAG 2.2 A and AA: names, roles, contrast; nothing overflows."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    out = dry_run.parent / "out.html"
    assert CliRunner().invoke(main, ["report", str(dry_run), "--html", str(out)]).exit_code == 0
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()

    def check(what: str) -> None:
        page.wait_for_timeout(700)
        if page.locator("[data-testid=stApp]").count():  # paler while its script runs
            page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
            page.wait_for_timeout(700)
        answer = axe.run(page, options=rules).response
        assert [(what, rule["id"], rule["nodes"][0]["html"]) for rule in answer["violations"]] == []
        assert len(answer["passes"]) > 10
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    with served(dry_run, port=free_port) as server:
        page.goto(server.url)
        reviewed(page, 0)
        for n, key in enumerate("ax2", 1):
            page.keyboard.press(key)
            reviewed(page, n)
        page.get_by_text("A place on the map").click()
        at_rest(page.locator(".st-key-other_place svg.world"))
        check("Photos")
        for view in ("Places", "Accuracy", "Apply"):
            page.get_by_role("radio", name=view).click()
            page.get_by_role("radio", name=view, checked=True).wait_for()
            check(view)
        page.goto(f"http://127.0.0.1:{free_port}/try")
        page.locator("input[type=file]").set_input_files(str(SAMPLES / "taj_mahal.jpg"))
        page.get_by_role("button", name="Download the tagged photo").wait_for()
        check("Try")
    page.goto(out.as_uri())
    page.get_by_text("20 of 20 photos").wait_for()
    check("report")
    context.close()


def test_a_killed_server_loses_no_decision(
    browser: "BrowserContext", dry_run: Path, free_port: int
) -> None:
    with served(dry_run, port=free_port) as server:
        page = browser.new_page()
        page.goto(server.url)
        reviewed(page, 0)
        for n in range(6):
            page.keyboard.press("ax"[n % 2])
            reviewed(page, n + 1)
        shown = page.get_by_text("6 of 20 reviewed").inner_text()
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    with served(dry_run, port=free_port) as server:
        page.goto(server.url)
        page.get_by_text(shown, exact=True).wait_for()
    assert sum(row["accept"] != "" for row in read_report(dry_run)) == 6


def test_forged_paths_are_refused(browser: "BrowserContext", dry_run: Path, free_port: int) -> None:
    secret = dry_run.parent.parent / "secret.jpg"
    secret.write_bytes(photo((250, 250, 0)))
    (dry_run.parent / "link.jpg").symlink_to(secret)
    rows = read_report(dry_run)
    forged = [str(secret), f"{dry_run.parent}/../secret.jpg", "/etc/passwd"]
    paths = [*forged, str(dry_run.parent / "link.jpg")]
    write_report(dry_run, [rows[0] | {"path": path, "confidence": "0.5"} for path in paths])
    with served(dry_run, "--root", dry_run.parent, port=free_port) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.get_by_text("3 rows of files outside").wait_for()
        page.get_by_text("lies outside").first.wait_for()  # the link is listed, and not shown
        (kept,) = [each for each in browser.cookies() if "landmark-tag" in each["name"]]
        cookie = {"Cookie": f"{kept['name']}={kept['value']}"}
        for path in ("/../../etc/passwd", "/media/../secret.jpg", f"/media{secret}",
                     "/app/static/..%2f..%2fsecret.jpg"):  # fmt: skip
            try:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{free_port}{path}", headers=cookie
                )
                answer = urllib.request.urlopen(request).read()
            except urllib.error.HTTPError as error:
                answer = error.read()
            assert secret.read_bytes() not in answer and b"root:" not in answer


def test_the_html_report_opens_from_disk(browser: "BrowserContext", dry_run: Path) -> None:
    out = dry_run.parent / "out.html"
    command = [sys.executable, "-m", "tagger", "report", str(dry_run), "--html", str(out)]
    subprocess.run(command, check=True)
    page = browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:")) else problems.append(request.url)
        ),
    )
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    browser.set_offline(True)
    page.goto(out.as_uri())
    page.get_by_text("20 of 20 photos").wait_for()
    assert page.locator(".gallery img").count() == 20
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


def exif(path: Path) -> dict[str, Any]:
    out = subprocess.run(
        ["exiftool", "-json", "-n", "-GPSLatitude", "-GPSLongitude", "-GPSAreaInformation",
         str(path)],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    tags: dict[str, Any] = json.loads(out)[0]
    return tags
