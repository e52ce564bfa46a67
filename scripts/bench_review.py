"""Measure how soon the Review page shows photos, for a long report against a short one."""

import csv
import os
import shutil
import tempfile
import time
from itertools import cycle
from pathlib import Path

import click
from make_screenshots import FLAGS, SAMPLES, served
from PIL import Image
from playwright.sync_api import sync_playwright

from tagger.places.landmarks import load_landmarks
from tagger.report.columns import COLUMNS

PHOTOS = 200  # real ones, 12 megapixels each; the rows name them in turn
SHOWN = "performance.now()"  # milliseconds since the page was requested


def make_report(folder: Path, rows: int) -> Path:
    """A report of ``rows`` rows that name the photos in turn."""
    report = folder / f"{rows}.csv"
    places = cycle(load_landmarks().values())
    with report.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for n in range(rows):
            place = next(places)
            writer.writerow(
                {"path": folder / f"{n % PHOTOS:03}.jpg", "run_id": f"run-{n // PHOTOS}",
                 "status": "would_tag", "landmark": place.name, "latitude": place.latitude,
                 "longitude": place.longitude, "confidence": f"{(n * 7919 % rows) / rows:.4f}"}
            )  # fmt: skip
    return report


def make_photos(folder: Path) -> None:
    samples = sorted(SAMPLES.glob("*.jpg"))
    for n in range(PHOTOS):
        if n < len(samples):
            with Image.open(samples[n]) as picture:
                picture.convert("RGB").resize((4000, 3000)).save(folder / f"{n:03}.jpg", quality=90)
        else:
            shutil.copy(folder / f"{n % len(samples):03}.jpg", folder / f"{n:03}.jpg")


@click.command()
@click.option("--rows", default=100_000, show_default=True)
@click.option("--port", default=8598, show_default=True)
@click.option("--chromium", default=shutil.which("chromium"))
def main(rows: int, port: int, chromium: str) -> None:
    """Print seconds until the gallery is shown, and from a key to the next photo."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder, received = Path(name), list[int]()
        make_photos(folder)
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        for count in (PHOTOS, rows):
            report = make_report(folder, count)
            started = time.perf_counter()
            with served(report, port) as address:
                ready = time.perf_counter() - started
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.set_default_timeout(120_000)
                page.on("websocket", lambda socket: socket.on(
                    "framereceived", lambda frame: received.append(len(frame))
                ))  # fmt: skip
                seconds = []
                for _ in range(3):
                    page.goto(address)
                    page.locator(".gallery li").first.wait_for()
                    seconds.append(page.evaluate(SHOWN) / 1000)
                page.get_by_text(f"0 of {count:,} reviewed").wait_for()
                received.clear()
                keys = []
                for done in range(1, 6):
                    pressed = time.perf_counter()
                    page.keyboard.press("a")
                    page.get_by_text(f"{done} of {count:,} reviewed").wait_for()
                    keys.append(time.perf_counter() - pressed)
                each = sum(received) / len(keys)
                page.close()
            first, *again = (f"{taken:.1f}" for taken in seconds)
            print(
                f"{count:,} rows: address after {ready:.1f} s, first page {first} s, again "
                f"{' '.join(again)} s, a key {min(keys):.2f} to {max(keys):.2f} s "
                f"and {each / 1e3:.0f} kB; load {os.getloadavg()[0]:.0f}",
                flush=True,
            )
        browser.close()


if __name__ == "__main__":
    main()
