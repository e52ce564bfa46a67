"""The source library: copies are found, and what is seen in many places places nothing."""

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import piexif
import pytest
from click.testing import CliRunner
from conftest import SAMPLES
from PIL import Image, ImageDraw, ImageOps

from tagger import metadata
from tagger.cli.main import main
from tagger.evidence.kept_view import KeptView
from tagger.evidence.library import LibrarySource
from tagger.evidence.views import ViewsIndex
from tagger.imaging.decode import to_views
from tagger.model.lazy import LazyClassifier
from tagger.places.distance import distance_m
from tagger.records import Source

NAMES = (
    "colosseum", "cup_of_tea", "eiffel_tower", "india_gate", "louvre", "mandarin_fish",
    "qutub_minar", "statue_of_liberty", "sydney_opera_house", "taj_mahal",
    "victoria_memorial_london", "windmills",
)  # fmt: skip
HOME, AWAY, ABROAD = (48.1, 11.5), (52.5, 13.4), (41.9, 12.5)
DAY = 86_400.0
Picture = Image.Image


@pytest.fixture(scope="module")
def model() -> LazyClassifier:
    return LazyClassifier()


class Album(LibrarySource):
    """The source, its index and pictures of a test."""

    def __init__(self, model: LazyClassifier) -> None:
        self.views = ViewsIndex(None, model.encoder)
        super().__init__(model, self.views, 1000.0)

    def look(self, picture: Picture, name: str = "new.jpg") -> KeptView:
        views = to_views(saved(picture), *self.sizes)
        return self.kept(name, "", self.looks([views])[0])


@pytest.fixture
def source(model: LazyClassifier) -> Iterator[Album]:
    found = Album(model)
    yield found
    found.views.close()


def sample(name: str) -> Picture:
    with Image.open(SAMPLES / f"{name}.jpg") as photo:
        return photo.convert("RGB")


def saved(picture: Picture, quality: int = 88, **more: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, **more)
    return buffer.getvalue()


def kept(source: Album, name: str, picture: Picture, at: tuple[float, float], day: float) -> None:
    seen = source.look(picture, name)
    source.views.add(replace(seen, position=at, taken=day * DAY))


def estimate(source: Album, picture: Picture) -> Any:
    source.views.ready()
    return source.compared(source.look(picture))[0]


def smaller(picture: Picture) -> Picture:
    return picture.resize((picture.width // 2, picture.height // 2))


def cut(picture: Picture) -> Picture:
    width, height = picture.size
    return picture.crop((width // 10, 0, width, height * 9 // 10))


@pytest.mark.parametrize("change", [smaller, cut, lambda picture: picture])
def test_copies_get_the_position_of_their_original(
    source: Album, change: Callable[[Picture], Picture]
) -> None:
    places = {name: (10.0 + number, 20.0) for number, name in enumerate(NAMES)}
    for name, place in places.items():
        kept(source, f"{name}.jpg", sample(name), place, 0)
    for name, place in places.items():
        found = estimate(source, change(sample(name)))
        assert found is not None and not found.refused, name
        assert (found.latitude, found.longitude) == place
        assert found.source is Source.LIBRARY and found.words == f"copy of {name}.jpg"
        assert found.radius_95_m < 20


def test_other_photos_are_no_copies(source: Album) -> None:
    for name in NAMES[::2]:
        kept(source, name, sample(name), HOME, 0)
    assert all(estimate(source, sample(name)) is None for name in NAMES[1::2])
    assert estimate(source, ImageOps.mirror(sample("louvre"))) is None


def test_copies_that_were_taken_in_two_places_are_refused(source: Album) -> None:
    kept(source, "a.jpg", sample("windmills"), HOME, 0)
    kept(source, "b.jpg", sample("windmills"), AWAY, 1)
    found = estimate(source, smaller(sample("windmills")))
    assert "its copies were taken 50" in found.refused


# Traps: what is the same in both photos is not where they were taken.


def logo(size: int) -> Picture:
    """A sign with a name on it, as a company hangs up everywhere."""
    picture = Image.new("RGB", (size, size // 2), (200, 20, 30))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((size * 0.05, size * 0.08, size * 0.4, size * 0.42), outline="white", width=9)
    chance = random.Random(3)
    for _ in range(14):
        x, y = chance.uniform(0.45, 0.9) * size, chance.uniform(0.05, 0.4) * size
        draw.polygon([(x, y), (x + size * 0.06, y + 9), (x + 7, y + size * 0.05)], fill="white")
    return picture


def scene(number: int, with_it: Picture | None = None, where: float = 0.3) -> Picture:
    """A place of its own, with or without a thing in it."""
    picture = sample(NAMES[number]).resize((640, 480))
    if with_it:
        picture.paste(with_it, (int(where * 640), int(where * 480)))
    return picture


@pytest.mark.parametrize("size", [160, 300, 420])
def test_a_logo_on_several_backgrounds_places_nothing(source: Album, size: int) -> None:
    for number, at in ((0, HOME), (1, HOME), (2, AWAY)):
        kept(source, f"{number}.jpg", scene(number, logo(size), 0.1 * number), at, number)
    assert estimate(source, scene(5, logo(size), 0.25)) is None


@pytest.mark.parametrize("size", [160, 300, 420])
def test_a_thing_that_was_seen_in_one_place_only_may_have_travelled(
    source: Album, size: int
) -> None:
    for number in (0, 1, 2):
        kept(source, f"{number}.jpg", scene(number, logo(size), 0.2), HOME, number)
    assert estimate(source, scene(5, logo(size), 0.2)) is None


def horizon(seed: int, sea: int = 260) -> Picture:
    """Sky, sea and a row of waves, with a boat somewhere."""
    chance = random.Random(seed)
    picture = Image.new("RGB", (640, 480))
    draw = ImageDraw.Draw(picture)
    for y in range(480):
        colour = (120 + y // 4, 160 + y // 5, 230) if y < sea else (20, 60 + (y - sea) // 4, 120)
        draw.line((0, y, 640, y), fill=colour)
    for _ in range(160):
        x, y = chance.randrange(640), sea + int((480 - sea) * chance.random() ** 2)
        draw.line((x, y, x + 6 + (y - sea) // 6, y), fill=(70, 120, 170), width=2)
    boat = chance.randrange(60, 560)
    draw.polygon([(boat, sea), (boat + 40, sea), (boat + 20, sea - 60)], fill="white")
    return picture


def test_sea_horizons_place_nothing(source: Album) -> None:
    for seed in range(6):
        kept(source, f"{seed}.jpg", horizon(seed), HOME if seed < 3 else AWAY, seed)
    assert all(estimate(source, horizon(seed)) is None for seed in range(10, 16))


def facade(seed: int, step: int = 64) -> Picture:
    """Rows of the same windows; another house has other cracks, blinds and lamps."""
    chance = random.Random(seed)
    picture = Image.new("RGB", (640, 480), (200, 190, 170))
    draw = ImageDraw.Draw(picture)
    for y in range(10, 470, step + 16):
        for x in range(8, 630, step):
            draw.rectangle((x, y, x + 40, y + 56), fill=(50, 60, 80), outline="white", width=3)
            draw.line((x + 20, y, x + 20, y + 56), fill="white", width=2)
            if chance.random() < 0.4:
                draw.rectangle((x + 3, y + 3, x + 37, y + chance.randrange(8, 50)), fill="brown")
    return picture


def test_look_alike_facades_place_nothing(source: Album) -> None:
    for seed in range(4):
        kept(source, f"{seed}.jpg", facade(seed), HOME, seed)
    for seed in range(10, 14):
        found = estimate(source, facade(seed))
        assert found is None or found.refused


def test_the_same_view_needs_two_photos_of_different_times(source: Album) -> None:
    """Not a copy: seen from a little further to the side, on another day."""

    def seen(slant: float) -> Picture:
        picture = sample("louvre").resize((640, 480))
        corners = (0, 0, 0, 480, 640, 480 - slant * 60, 640, slant * 60)
        return picture.transform(
            (640, 480), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC
        )

    kept(source, "first.jpg", seen(0.9), HOME, 0)
    kept(source, "burst.jpg", seen(1.0), HOME, 0.001)
    assert estimate(source, seen(0)) is None
    kept(source, "later.jpg", seen(-0.9), HOME, 30)
    found = estimate(source, seen(0))
    assert found is not None and not found.refused and found.words.startswith("same view as ")
    assert distance_m((found.latitude, found.longitude), HOME) < 1 and found.radius_95_m >= 150
    kept(source, "abroad.jpg", seen(0.5), ABROAD, 60)
    assert estimate(source, seen(0)) is None


# Whole runs.


def gps(at: tuple[float, float], day: int = 1) -> bytes:
    def parts(value: float) -> tuple[tuple[int, int], ...]:
        whole = round(abs(value) * 3600 * 100)
        return (whole // 360_000, 1), (whole // 6000 % 60, 1), (whole % 6000, 100)

    stamp = f"2024:05:{day:02d} 12:00:00".encode()
    whole: bytes = piexif.dump(
        {
            "Exif": {piexif.ExifIFD.DateTimeOriginal: stamp},
            "GPS": {1: b"N", 2: parts(at[0]), 3: b"E", 4: parts(at[1])},
        }
    )
    return whole


def run(folder: Path, *options: str, code: int = 0) -> str:
    report = folder.parent / "report.csv"
    ledger = folder.parent / "ledger.db"
    arguments = [str(folder), "--report", str(report), "--ledger", str(ledger), *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    return report.read_text(encoding="utf-8") if code == 0 else str(result.output)


def test_a_messengers_copy_is_found_tonight_and_undone(tmp_path: Path) -> None:
    """Its original arrives a day later: the copy is compared by how it looked yesterday."""
    folder = tmp_path / "photos"
    folder.mkdir()
    copy = folder / "IMG-20240501-WA0001.jpg"
    copy.write_bytes(saved(smaller(sample("windmills")), 70))
    assert "tagged" not in run(folder, "--from", "library")
    (folder / "PXL_1.jpg").write_bytes(saved(sample("windmills"), exif=gps(HOME)))
    report = run(folder, "--from", "library")
    assert "copy of PXL_1.jpg" in report and ",library," in report
    position = metadata.position(copy.read_bytes())
    assert position and distance_m(position, HOME) < 2
    assert "would" not in run(folder, "--from", "library")  # ours: evidence of nothing
    undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(tmp_path / "ledger.db")])
    assert undone.exit_code == 0, undone.output


def test_a_copy_is_taken_back_byte_for_byte(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "PXL_1.jpg").write_bytes(saved(sample("windmills"), exif=gps(HOME)))
    copy = folder / "copy.jpg"
    copy.write_bytes(saved(cut(sample("windmills")), 80))
    before = copy.read_bytes()
    run(folder, "--from", "landmark,library")
    assert copy.read_bytes() != before
    undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(tmp_path / "ledger.db")])
    assert undone.exit_code == 0 and copy.read_bytes() == before


def test_a_position_that_we_wrote_is_not_passed_on(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    original = folder / "PXL_1.jpg"
    original.write_bytes(saved(sample("windmills"), exif=gps(HOME)))
    (folder / "a.jpg").write_bytes(saved(sample("windmills"), 70))
    run(folder, "--from", "library")
    original.unlink()
    (tmp_path / "ledger.db.views").unlink()
    (folder / "b.jpg").write_bytes(saved(smaller(sample("windmills"))))
    report = run(folder, "--from", "library")
    assert "copy of" not in report


def test_a_model_without_references_is_refused(tmp_path: Path, colour_model: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(saved(sample("windmills")))
    output = run(folder, "--from", "library", "--model", str(colour_model), code=2)
    assert "--from library" in output and "train references" in output


def test_an_index_that_is_no_database_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(saved(sample("windmills")))
    (tmp_path / "ledger.db.views").write_bytes(b"no database" * 1000)
    output = run(folder, "--from", "library", code=2)
    assert "ledger.db.views" in output and "made anew" in output
