"""Take the README's screenshots of the app; on request, of every page in both themes and widths."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_photos"
SIZES = {"wide": (1280, 860), "narrow": (390, 844), "readme": (1280, 1040)}
FLAGS = ["--no-sandbox", "--disable-gpu"]
# Two torch threads that share a core with a busy neighbour wait for each other for minutes.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TAGGER = [sys.executable, "-m", "tagger"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "docs")
    parser.add_argument("--all", type=Path, metavar="DIR", help="also every page, as PNG, to DIR")
    parser.add_argument("--port", type=int, default=8599)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        library = Path(folder) / "photos"
        shutil.copytree(SAMPLES, library)
        report = library / "report.csv"
        run([str(library), "--dry-run", "--quiet", "--report", str(report)])
        page_file = Path(folder) / "report.html"
        run(["report", str(report), "--html", str(page_file)])
        browser = play.chromium.launch(executable_path=options.chromium, args=FLAGS)
        with served(report, options.port) as address:
            for name, path in for_readme(browser, address, options.out):
                print(f"{name}: {path} ({path.stat().st_size // 1000} KB)")
            if options.all:
                options.all.mkdir(parents=True, exist_ok=True)
                for theme in ("light", "dark"):
                    for size in ("wide", "narrow"):
                        with opened(browser, theme, size) as page:
                            every_page(page, address, page_file, options.all, f"{theme}-{size}")
        browser.close()


def run(arguments: list[str]) -> None:
    subprocess.run([*TAGGER, *arguments], check=True, cwd=ROOT, env=ENVIRONMENT)


@contextmanager
def served(report: Path, port: int) -> Iterator[str]:
    """The app on a report; its address, with the token."""
    server = subprocess.Popen(
        [*TAGGER, "review", str(report), "--no-browser", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
    )
    address = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 60
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        assert server.stdout is not None
        yield server.stdout.readline().split()[1]
    finally:
        server.terminate()
        server.wait()


@contextmanager
def opened(browser: Browser, theme: str, size: str) -> Iterator[Page]:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(90_000)
    yield context.new_page()
    context.close()


def for_readme(browser: Browser, address: str, out: Path) -> Iterator[tuple[str, Path]]:
    """The Review page with some photos decided, and the Try page with a sample."""
    with opened(browser, "light", "readme") as page:
        open_review(page, address)
        for number, name in enumerate(("eiffel_tower", "qutub_minar", "cup_of_tea"), 1):
            choose(page, name)
            page.keyboard.press("x" if name == "cup_of_tea" else "a")
            page.get_by_text(f"{number} of ").wait_for()
        choose(page, "india_gate")
        page.mouse.move(0, 0)
        yield "Review", small(page, out / "review.webp")
        try_sample(page, address, "eiffel_tower")
        yield "Try", small(page, out / "try.webp")


def every_page(page: Page, address: str, page_file: Path, out: Path, kind: str) -> None:
    open_review(page, address)
    choose(page, "taj_mahal")
    shoot(page, out / f"review-{kind}.png")
    for view in ("Places", "Accuracy", "Apply"):
        page.get_by_role("radio", name=view).click()
        settle(page)
        shoot(page, out / f"{view.split()[-1].lower()}-{kind}.png")
    for name in ("eiffel_tower", "cup_of_tea"):
        try_sample(page, address, name)
        shoot(page, out / f"try-{name}-{kind}.png")
    page.goto(page_file.as_uri())
    page.locator(".gallery li").first.wait_for()
    shoot(page, out / f"report-{kind}.png")


def open_review(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".gallery li").first.wait_for()
    settle(page)


def choose(page: Page, name: str) -> None:
    page.get_by_role("button", name=f"Open {name}.jpg").click()
    page.locator(".lt-card").get_by_text(f"{name}.jpg").wait_for()
    settle(page)


def try_sample(page: Page, address: str, name: str) -> None:
    page.goto(address.replace("/?", "/try?"))
    page.locator("input[type=file]").set_input_files(SAMPLES / f"{name}.jpg")
    page.locator(".lt-verdict").first.wait_for()
    settle(page)


def settle(page: Page) -> None:
    """Wait until the server has finished and the browser shows the pictures."""
    page.wait_for_timeout(500)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(700)
    page.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => 0)))")


def shoot(page: Page, path: Path) -> None:
    """The whole page, including what is scrolled out of sight."""
    size = page.viewport_size
    assert size is not None
    tall = "document.querySelector('[data-testid=stMain]')?.scrollHeight ?? 0"
    page.set_viewport_size({**size, "height": max(size["height"], page.evaluate(tall))})
    page.wait_for_timeout(300)
    page.screenshot(path=path, full_page=True)
    page.set_viewport_size(size)


def small(page: Page, path: Path) -> Path:
    """The visible part of the page, as WebP."""
    shot = path.with_suffix(".png")
    page.screenshot(path=shot)
    with Image.open(shot) as picture:
        picture.convert("RGB").save(path, quality=82, method=6)
    shot.unlink()
    return path


if __name__ == "__main__":
    main()
