"""A camera's clock, inferred from views that another camera photographed at the same time."""

import csv
from collections.abc import Sequence
from pathlib import Path

import piexif
import pytest
from click.testing import CliRunner
from conftest import SAMPLES
from PIL import Image
from walk_photos import photo

from tagger.cli.main import main
from tagger.evidence.clocks import ahead_by_views
from tagger.evidence.estimate import Estimate
from tagger.evidence.sources import Sources
from tagger.evidence.track_source import Tracks
from tagger.evidence.tracks.point import Point
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m

NOON, HOUR, MINUTE = 1_714_564_800.0, 3600.0, 60.0
HOME = 2 * HOUR + 40  # the clock still shows the time of home, and is 40 s fast
NEW_YORK, PARIS = (40.758, -73.9855), (48.86, 2.34)


def at(utc: float) -> tuple[float, float]:
    """Where both were: they walk north at 1 m/s."""
    return NEW_YORK[0] + (utc - NOON) / 111_195, NEW_YORK[1]


def phone(minute: int) -> Capture:
    utc = NOON + minute * MINUTE
    return Capture(f"p{minute:03}.jpg", utc - 4 * HOUR, -4 * HOUR, camera="Phone", position=at(utc))


def camera(minute: int) -> Capture:
    return Capture(f"c{minute:03}.jpg", NOON + minute * MINUTE + HOME, camera="Canon")


def library(index: Path, tracks: Sequence[Point] = ()) -> Sources:
    sources = Sources(index, tracks=Tracks(tracks) if tracks else None)
    for minute in range(0, 240, 10):
        sources.note(phone(minute), "")
        sources.note(camera(minute), "")
    return sources


def answers(sources: Sources) -> dict[str, Estimate]:
    """What each source says of the photo that the camera took after an hour."""
    return {estimate.source.value: estimate for estimate in sources.estimates("c060.jpg")}


def seen(sources: Sources, *pairs: tuple[str, str]) -> None:
    for key, other in pairs:
        sources.captures.note_same_views(key, [other])


TRUE = (("c000.jpg", "p000.jpg"), ("c030.jpg", "p030.jpg"), ("c120.jpg", "p120.jpg"))


def test_same_views_tell_the_clock_from_the_next_run_on(tmp_path: Path) -> None:
    index = tmp_path / "captures"
    first = library(index)
    seen(first, *TRUE, ("c000.jpg", "p200.jpg"))
    estimates = answers(first)
    assert "time" not in estimates or estimates["time"].refused
    first.close()
    track = [Point(NOON + 10.0 * n, *at(NOON + 10.0 * n)) for n in range(1500)]
    second = library(index, track)
    estimates = answers(second)
    for source in ("time", "track"):
        assert not estimates[source].refused, source
        off = distance_m((estimates[source].latitude, estimates[source].longitude), at(NOON + HOUR))
        assert off < 120 and off <= estimates[source].radius_95_m
    second.close()


@pytest.mark.parametrize(
    "pairs",
    [
        TRUE[:2],
        (*TRUE[:2], ("c000.jpg", "p010.jpg")),  # a view that was photographed before
        (("c000.jpg", "p000.jpg"), ("c000.jpg", "p000.jpg"), ("c000.jpg", "p000.jpg")),
        (
            *TRUE,
            ("c000.jpg", "p060.jpg"),
            ("c030.jpg", "p090.jpg"),
        ),  # nearly as sure
        tuple((key, key) for key, _ in TRUE),
    ],
)
def test_too_few_or_contrary_views_tell_no_clock(
    tmp_path: Path, pairs: Sequence[tuple[str, str]]
) -> None:
    first = library(tmp_path / "captures")
    seen(first, *pairs)
    first.close()
    second = library(tmp_path / "captures")
    estimates = answers(second)
    assert "time" not in estimates or estimates["time"].refused
    second.close()


@pytest.mark.parametrize(
    ("aheads", "clock"),
    [
        ([3600, 3630, 3580], 3600.0),
        ([3600, 3630], None),
        ([3600, -3600, 3630, -3610, 3580], None),
        ([3600, -3600, 3630, -3610, 3580, 3590], 3595.0),
        ([3600, -3600, -3610, 3630, 3580, 3590], 3595.0),
        ([3600, 3900, 4200, 4500], None),
        ([80_000, 80_000, 80_000], None),  # no zone is so far ahead
    ],
)
def test_several_views_must_agree(aheads: list[float], clock: float | None) -> None:
    pairs = [(1000.0 * number, float(ahead)) for number, ahead in enumerate(aheads)]
    assert ahead_by_views(2500.0, pairs) == clock


def test_a_clock_that_is_set_on_a_journey_is_known_on_both_sides_of_it_only() -> None:
    pairs = [(HOUR * n, 3600.0) for n in range(4)] + [(HOUR * n, -3600.0) for n in range(20, 24)]
    assert ahead_by_views(2 * HOUR, pairs) == 3600.0
    assert ahead_by_views(10 * HOUR, pairs) is None
    assert ahead_by_views(22 * HOUR, pairs) == -3600.0


def test_a_run_with_library_finds_the_views(tmp_path: Path) -> None:
    """Three views that a phone and a camera photographed; the camera's clock is 6 h ahead."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, (minutes, slant) in enumerate(((0, 0.9), (25, 1.0), (100, -0.9))):
        place(folder / f"p{number}.jpg", louvre(slant), "Phone", minutes, PARIS)
        place(folder / f"c{number}.jpg", louvre(0.1 * number), "Canon", minutes + 6 * 60)
    for number, minutes in enumerate((55, 62)):
        place(folder / f"w{number}.jpg", sample("windmills"), "Phone", minutes, PARIS)
    place(folder / "tea.jpg", sample("cup_of_tea"), "Canon", 58 + 6 * 60)
    report = tmp_path / "report.csv"
    words = [str(folder), "--ledger", str(tmp_path / "ledger.db"), "--report", str(report),
             "--from", "library,time", "--quiet"]  # fmt: skip
    for status in ("no_landmark", "tagged"):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        with report.open(encoding="utf-8-sig") as file:
            rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
        assert rows["tea.jpg"]["status"] == status, rows["tea.jpg"]
        report.unlink()
    assert rows["tea.jpg"]["source"] == "time"


def sample(name: str) -> Image.Image:
    with Image.open(SAMPLES / f"{name}.jpg") as photo:
        return photo.convert("RGB").resize((640, 480))


def louvre(slant: float) -> Image.Image:
    """Seen from a little further to the side."""
    corners = (0, 0, 0, 480, 640, 480 - slant * 60, 640, slant * 60)
    return sample("louvre").transform(
        (640, 480), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC
    )


def place(
    path: Path,
    picture: Image.Image,
    model: str,
    minutes: int,
    at: tuple[float, float] | None = None,
) -> None:
    """Save a photo with its time, and its position if it has one."""
    local = NOON + minutes * MINUTE
    exif = piexif.load(photo(Capture(path.name, local, camera=model, position=at)))
    picture.save(path, "JPEG", quality=88, exif=piexif.dump(exif))
