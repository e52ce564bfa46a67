"""Take the app's pictures for the README: each page, light and dark, wide and narrow."""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "docs" / "screenshots")
    parser.add_argument("--port", type=int, default=8599)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "photos"
        shutil.copytree(ROOT / "sample_photos", library)
        report = library / "report.csv"
        tagger = [sys.executable, "-m", "tagger"]
        subprocess.run(
            [*tagger, str(library), "--dry-run", "--quiet", "--report", str(report)], check=True
        )
        page_file = Path(folder) / "report.html"
        review = [sys.executable, "-c", "from tagger.cli_review import review as r; r()"]
        html = [sys.executable, "-c", "from tagger.cli_review import report as r; r()"]
        subprocess.run([*html, str(report), "--html", str(page_file)], check=True)
        server = subprocess.Popen(
            [*review, str(report), "--no-browser", "--port", str(options.port)],
            stdout=subprocess.DEVNULL,
        )
        try:
            address = f"http://127.0.0.1:{options.port}"
            wait_for(f"{address}/_stcore/health")
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=options.chromium, args=FLAGS)
                for theme in ("light", "dark"):
                    for size in SIZES:
                        take(browser, address, page_file, theme, size, options.out)
                browser.close()
        finally:
            server.terminate()
            server.wait()


def wait_for(url: str, seconds: float = 60) -> None:
    """Until the server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def take(browser: Browser, address: str, page_file: Path, theme: str, size: str, out: Path) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{address}/")
    page.get_by_role("button", name="Accept", exact=False).first.wait_for()
    page.locator(".gallery li").first.wait_for()
    shoot(page, out / f"review-{theme}-{size}.png")
    for view in ("Map", "What it teaches", "Apply"):
        page.get_by_role("radio", name=view).click()
        page.wait_for_timeout(1500)
        shoot(page, out / f"{view.split()[0].lower()}-{theme}-{size}.png")
    page.goto(f"{address}/try")
    page.locator("input[type=file]").set_input_files(str(ROOT / "sample_photos/eiffel_tower.jpg"))
    page.get_by_text("Would be tagged").wait_for()
    page.locator("svg.world").wait_for()
    page.wait_for_timeout(1500)
    shoot(page, out / f"try-{theme}-{size}.png")
    page.goto(page_file.as_uri())
    page.locator(".gallery li").first.wait_for()
    shoot(page, out / f"report-{theme}-{size}.png")
    context.close()


def shoot(page: Page, path: Path) -> None:
    page.wait_for_timeout(800)
    page.screenshot(path=path, full_page=True)


if __name__ == "__main__":
    main()
