"""The source library: copies are found; an object seen in many places gives no position."""

import io
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import piexif
import pytest
from click.testing import CliRunner
from conftest import SAMPLES
from PIL import Image, ImageDraw, ImageOps

from tagger import metadata
from tagger.cli.main import main
from tagger.evidence.kept_view import SCALE, KeptView
from tagger.evidence.library import LEAST_ALIKE, LibrarySource
from tagger.evidence.views import ViewsIndex
from tagger.imaging.decode import Views, to_views
from tagger.model.lazy import LazyClassifier
from tagger.places.distance import distance_m
from tagger.records import Source
from tagger.run import library_pass

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
    """The library source, its index and the pictures of a test."""

    def __init__(self, model: LazyClassifier) -> None:
        self.views = ViewsIndex(None, model.encoder)
        super().__init__(model, self.views, 1000.0)

    def look(self, picture: Picture, name: str = "new.jpg") -> KeptView:
        views = to_views(saved(picture), *self.sizes)
        return self.kept(name, "", self.describe([views])[0])


@pytest.fixture
def source(model: LazyClassifier) -> Iterator[Album]:
    album = Album(model)
    yield album
    album.views.close()


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
        copied = estimate(source, change(sample(name)))
        assert copied is not None and not copied.refused, name
        assert (copied.latitude, copied.longitude) == place
        assert copied.source is Source.LIBRARY and copied.words == f"copy of {name}.jpg"
        assert copied.radius_95_m < 20


def test_other_photos_are_no_copies(source: Album) -> None:
    for name in NAMES[::2]:
        kept(source, name, sample(name), HOME, 0)
    assert all(estimate(source, sample(name)) is None for name in NAMES[1::2])
    assert estimate(source, ImageOps.mirror(sample("louvre"))) is None


def test_copies_that_were_taken_in_two_places_are_refused(source: Album) -> None:
    kept(source, "a.jpg", sample("windmills"), HOME, 0)
    kept(source, "b.jpg", sample("windmills"), AWAY, 1)
    copied = estimate(source, smaller(sample("windmills")))
    assert "its copies were taken 50" in copied.refused


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
    """A distinct place, with or without an object in it."""
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


def robot() -> Picture:
    """A toy with dials and rivets."""
    picture, chance = Image.new("RGB", (400, 400), (90, 95, 100)), random.Random(5)
    draw = ImageDraw.Draw(picture)
    for left, top, right, bottom in (
        (130, 10, 270, 120),
        (90, 130, 310, 300),
        (110, 310, 180, 395),
    ):
        draw.rectangle((left, top, right, bottom), fill=(190, 60, 40), outline="black", width=4)
    for _ in range(60):
        x, y, size = chance.randrange(380), chance.randrange(380), chance.randrange(5, 22)
        fill = chance.choice(("gold", "black", "white", "navy"))
        draw.ellipse((x, y, x + size, y + size), fill=fill, outline="black", width=2)
    return picture


def face() -> Picture:
    """A person close to the camera: eyes, mouth, hair and freckles."""
    picture, chance = Image.new("RGB", (400, 400), (226, 180, 150)), random.Random(6)
    draw = ImageDraw.Draw(picture)
    for _ in range(220):  # hair
        x = chance.randrange(400)
        draw.line((x, 0, x + chance.randrange(-40, 40), chance.randrange(30, 110)), "black", 3)
    for x in (120, 280):
        draw.ellipse((x - 45, 150, x + 45, 195), fill="white", outline="black", width=4)
        draw.ellipse((x - 16, 155, x + 16, 190), fill="navy", outline="black", width=5)
        draw.line((x - 50, 135, x + 50, 128), fill="black", width=9)
    draw.polygon([(200, 190), (175, 265), (222, 268)], outline="brown", width=4)
    draw.chord((130, 270, 270, 350), 0, 180, fill="darkred", outline="black", width=4)
    for _ in range(50):
        x, y = chance.randrange(60, 340), chance.randrange(200, 390)
        draw.ellipse((x, y, x + 5, y + 5), fill="saddlebrown")
    return picture


def screen() -> Picture:
    """A programme on a monitor: a bar, buttons and lines of text."""
    picture, chance = Image.new("RGB", (400, 300), "white"), random.Random(7)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 400, 30), fill=(40, 80, 160))
    for number in range(6):
        draw.rectangle((8 + 64 * number, 6, 60 + 64 * number, 24), fill="white", outline="black")
    for y in range(45, 295, 14):
        x = 10
        while x < 380:
            wide = chance.randrange(4, 30)
            draw.rectangle((x, y, x + wide, y + 7), fill=(20, 20, chance.randrange(200)))
            x += wide + 5
    return picture


def painting() -> Picture:
    """A picture in its frame."""
    return ImageOps.expand(sample("taj_mahal").resize((400, 280)), 14, (120, 90, 30))


def around(number: int, thing: Picture, share: float) -> Picture:
    """A distinct place with an object in the middle, its edges that share of the picture's."""
    picture = sample(NAMES[number]).resize((640, 480))
    size = round(640 * share), round(480 * share)
    picture.paste(thing.resize(size), ((640 - size[0]) // 2, (480 - size[1]) // 2))
    return picture


@pytest.mark.parametrize("share", [0.4, 0.7])
@pytest.mark.parametrize("thing", [robot, face, screen, painting])
def test_toys_faces_screens_and_paintings_place_nothing(
    source: Album, thing: Callable[[], Picture], share: float
) -> None:
    """Seen at home on two days, then elsewhere; also when nearly as large as the picture."""
    for number in (0, 1):
        kept(source, f"{number}.jpg", around(number, thing(), share), HOME, number)
    assert estimate(source, around(5, thing(), share)) is None


@pytest.mark.parametrize("thing", [robot, face, screen, painting])
def test_what_was_seen_in_places_far_apart_is_no_evidence(
    source: Album, thing: Callable[[], Picture]
) -> None:
    """It fills the picture, so that nothing else shows that it was moved."""

    def seen(slant: float) -> Picture:
        corners = (0, 0, 0, 480, 640, 480 - slant, 640, slant)
        return thing().resize((640, 480)).transform((640, 480), Image.Transform.QUAD, corners)

    for number, (slant, at) in enumerate(((20, HOME), (70, HOME), (-80, AWAY))):
        kept(source, f"{number}.jpg", seen(slant), at, number)
    assert estimate(source, seen(-30)) is None


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
    """Rows of identical windows; each house has its own cracks, blinds and lamps."""
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
        placed = estimate(source, facade(seed))
        assert placed is None or placed.refused


def test_the_same_view_needs_two_photos_of_different_times(source: Album) -> None:
    """Not a copy: seen from slightly further to the side, on another day."""

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
    placed = estimate(source, seen(0))
    assert placed is not None and not placed.refused and placed.words.startswith("same view as ")
    assert distance_m((placed.latitude, placed.longitude), HOME) < 1 and placed.radius_95_m >= 150
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
    assert "would" not in run(folder, "--from", "library")  # we wrote it: it is no evidence
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


def in_index(folder: Path) -> list[str]:
    with sqlite3.connect(folder.parent / "ledger.db.views") as db:
        rows = db.execute("SELECT key FROM views ORDER BY key").fetchall()
    db.close()
    return [Path(key.decode()).relative_to(folder).as_posix() for (key,) in rows]


def test_photos_that_are_gone_leave_the_index(tmp_path: Path) -> None:
    """Photos that a run leaves out, or that lie elsewhere, stay."""
    folder = tmp_path / "photos"
    for name in ("a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        number = int(name[2])
        (folder / name).write_bytes(
            saved(sample(NAMES[number]), 60, exif=gps((10.0 + number, 20.0)))
        )
    every = ["a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg"]
    run(folder, "--from", "library")
    assert in_index(folder) == every
    run(folder, "--from", "library", "--exclude", "2.jpg")
    for name in ("a/1.jpg", "b/3.jpg"):
        (folder / name).unlink()
    report, ledger = str(tmp_path / "report.csv"), str(tmp_path / "ledger.db")
    words = [str(folder / "a"), "--report", report, "--ledger", ledger, "--from", "library"]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert in_index(folder) == every[1:]
    run(folder, "--from", "library")
    assert in_index(folder) == ["a/2.jpg", "b/4.jpg"]


def test_a_damaged_photo_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with a position: each night it would be read whole again for what it looks like."""
    folder = tmp_path / "photos"
    folder.mkdir()
    whole = saved(sample("windmills"), exif=gps(HOME))
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "PXL_1.jpg").write_bytes(whole)
    tried = list[int]()

    def counting(data: bytes, *words: Any) -> Views:
        tried.append(len(data))
        return to_views(data, *words)

    monkeypatch.setattr(library_pass, "to_views", counting)
    for _ in range(3):
        run(folder, "--from", "library")
        assert sorted(tried) == [len(whole) // 2, len(whole)]
    (folder / "copy.jpg").write_bytes(saved(smaller(sample("windmills")), 70))
    assert "copy of PXL_1.jpg" in run(folder, "--from", "library")
    (folder / "cut.jpg").write_bytes(whole)  # restored
    run(folder, "--from", "library")
    assert sorted(tried) == [len(whole) // 2, len(whole), len(whole)]


def test_a_folder_that_lists_nothing_is_not_mounted(source: Album) -> None:
    kept(source, "/disk/a.jpg", sample("louvre"), HOME, 0)
    listing = source.views.listing()
    assert listing.others("/disk", 9) == []
    listing.add("/disk/b.jpg")
    assert listing.others("/disk", 9) == ["/disk/a.jpg"]
    assert listing.others("/di", 9) == listing.others("/disk/b", 9) == []


def test_what_is_like_nothing_is_compared_with_new_photos_only(source: Album) -> None:
    """A nightly run need not compare a million photos with a million others again."""
    kept(source, "a.jpg", sample("louvre"), HOME, 0)
    new = source.look(sample("windmills"))
    source.views.add(new)
    source.views.ready()
    assert not source.views.unlike(new.key, LEAST_ALIKE)  # it was never compared
    assert source.compared(new) == (None, False)
    source.views.note_unlike(new.key)
    assert source.views.unlike(new.key, LEAST_ALIKE)
    kept(source, "b.jpg", sample("cup_of_tea"), HOME, 0)
    source.views.ready()
    assert source.views.unlike(new.key, 0.9)
    kept(source, "c.jpg", smaller(sample("windmills")), HOME, 0)
    source.views.ready()
    assert not source.views.unlike(new.key, LEAST_ALIKE)
    assert source.compared(new)[1]


def test_the_likest_of_many_are_those_that_are(source: Album) -> None:
    """More photos than are compared in full: an exact search finds the same."""
    chance = np.random.default_rng(0)
    photo = source.look(sample("louvre"), "photo")
    numbers = photo.numbers()
    near = [0.9, 0.8, 0.7, 0.6]
    rows = chance.normal(size=(2000, len(numbers)))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for number, row in enumerate(rows):
        share = near[number // 500] if number % 500 == 0 else 0.0
        row = share * numbers + np.sqrt(1 - share**2) * row
        data = np.round(row / np.linalg.norm(row) * SCALE).astype(np.int8).tobytes()
        source.views.add(replace(photo, key=str(number), embedding=data, position=HOME))
    source.views.ready()
    likest = source.views.likest(numbers, 3, LEAST_ALIKE, "0")
    assert [photo.key for photo in likest] == ["500", "1000", "1500"]


def test_a_pack_that_is_learned_spares_the_index(model: LazyClassifier, tmp_path: Path) -> None:
    """Embeddings depend on the encoder alone, not on the places that were learned."""
    for encoder, count in ((model.encoder, 1), ("another", 0)):
        views = ViewsIndex(tmp_path / "views", model.encoder)
        views.add(KeptView("a.jpg", "", HOME, None, b"\1" * 64, 9, 9, b"", b"", b""))
        views.close()
        views = ViewsIndex(tmp_path / "views", encoder)
        assert (views.view("a.jpg") is not None) == count
        views.close()


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
