"""Photos of one shot: they share a position, and are decided together."""

import csv
import io
import os
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_photos
import s3
from click.testing import CliRunner
from conftest import COLOURS
from memory_storage import MemoryStorage
from PIL import Image
from raw_photos import cr2, dng, preview
from test_raw import LIGHTROOM, exiftool, needs_exiftool, tag
from walk_photos import photo

from tagger import metadata
from tagger.cli.main import main
from tagger.evidence.captures import Captures
from tagger.evidence.families import family_of, one_shot
from tagger.evidence.pair_source import PairSource
from tagger.evidence.sources import Sources
from tagger.metadata.capture import Capture
from tagger.metadata.movie import movie
from tagger.records import Candidate, Entry, Guess, Outcome, Status, Version
from tagger.run import spool
from tagger.run.ray_engine import _blocks
from tagger.run.ray_tasks import BLOCK
from tagger.run.spool import Spool
from tagger.run.stages import Shot, WorkItem
from tagger.run.survey import by_shot
from tagger.run.united import united
from tagger.storage.raw_file import Ranges

__all__ = ["tag"]  # a fixture
NOON = 1_714_564_800.0  # 2024-05-01 12:00:00, as raw_photos.TAKEN
PARIS, VEGAS = (48.85826, 2.2945), (36.1125, -115.1728)
GREY, GREEN = (120, 120, 120), COLOURS["Eiffel_Tower"]
AT = b' exif:GPSLatitude="36,6.75N" exif:GPSLongitude="115,10.368W"'


def jpeg(
    seconds: float | None = 0.0, at: tuple[float, float] | None = None,
    colour: tuple[int, int, int] = GREY,
) -> bytes:  # fmt: skip
    local = None if seconds is None else NOON + seconds
    return photo(Capture("", local, camera="Maker Model", position=at), colour)


def other(kind: str, data: bytes) -> bytes:
    """The same picture and EXIF in another format."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as picture:
        if kind == "heic":
            pillow_heif = pytest.importorskip("pillow_heif")
            pillow_heif.from_pillow(picture).save(out, exif=picture.info.get("exif"))
        else:
            picture.save(out, kind, exif=picture.info.get("exif", b""))
    return out.getvalue()


def put(tmp_path: Path, files: dict[str, bytes]) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def position(folder: Path, name: str) -> tuple[float, float] | None:
    """The camera position that a photo or its sidecar states."""
    beside = folder / f"{name}.xmp"
    return metadata.position((beside if beside.exists() else folder / name).read_bytes())


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("IMG_1.CR2", ["IMG_1.JPG", "IMG_1.HEIC", "IMG_1-edited.jpg", "IMG_1-bearbeitet.jpg"]),
        ("IMG_1(1).jpg", ["IMG_1-edited(1).jpg", "IMG_1(1).dng"]),
        ("IMG_0001.HEIC", ["IMG_E0001.HEIC", "IMG_0001~2.jpg"]),
        (
            "PXL_20240501_100000123.RAW-01.COVER.jpg",
            ["PXL_20240501_100000123.RAW-02.ORIGINAL.dng", "PXL_20240501_100000123.jpg",
             "PXL_20240501_100000123~2.jpg", "PXL_20240501_100000123.MP.jpg"],
        ),
        (
            "00000IMG_00000_BURST20240501100000123_COVER.jpg",
            ["00001IMG_00001_BURST20240501100000123.jpg"],
        ),
        ("IMG_20240501_100000_BURST001_COVER.jpg", ["IMG_20240501_100000_BURST002.jpg"]),
        ("20240501_100000_001.jpg", ["20240501_100000_002.jpg"]),
    ],
)  # fmt: skip
def test_names_of_one_family(name: str, others: list[str]) -> None:
    assert {family_of(f"a/{one}") for one in others} == {family_of(f"a/{name}")}
    assert family_of(f"b/{name}") != family_of(f"a/{name}")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("IMG_1.jpg", "IMG_10.jpg"), ("IMG_1.jpg", "IMG_1(1).jpg"), ("IMG_1.jpg", "img_1.jpg"),
        ("a.jpg", "a-1.jpg"), ("20240501_100000.jpg", "20240501_100001.jpg"),
        ("IMG_E00012.HEIC", "IMG_00012.HEIC"), ("a.b.jpg", "a.jpg"),
    ],
)  # fmt: skip
def test_names_of_two_families(one: str, two: str) -> None:
    assert family_of(f"x/{one}") != family_of(f"x/{two}")


@pytest.mark.parametrize(
    ("one", "two", "apart", "same"),
    [
        ("a.cr2", "a.jpg", 0.0, True), ("a.cr2", "a.jpg", 1.9, True), ("a.cr2", "a.jpg", 3, False),
        ("a.cr2", "a.jpg", 86_400, False), ("x_BURST001.jpg", "x_BURST002.jpg", 9, True),
        ("x_BURST001.jpg", "x_BURST002.jpg", 11, False), ("x_BURST001.jpg", "x.jpg", 9, False),
        ("a.heic", "a.jpg", None, True), ("a.jpg", "a-edited.jpg", None, True),
        ("a.jpg", "a.png", None, False), ("a.jpg", "a.png", 0.0, True),
        ("x_BURST001.jpg", "x_BURST002.jpg", None, False), ("a.avif", "a.jpg", 0.0, True),
        ("a.jpg", "a.avif", None, False), ("a.jpg", "a.JPG", None, False),
        ("a.jpeg", "a.jpg", None, False), ("a.jpg", "a.jpeg", 0.0, True),
        ("a.heic", "a.HIF", None, False), ("a.tif", "a.jpg", None, True),
    ],
)  # fmt: skip
def test_times_of_one_shot(one: str, two: str, apart: float | None, same: bool) -> None:
    first = Capture(one, NOON)
    second = Capture(two, None if apart is None else NOON + apart)
    assert one_shot(first, second) is same and one_shot(second, first) is same


def test_a_time_in_utc_agrees_with_one_of_the_clock() -> None:
    """Takeout states the time in UTC for a copy whose EXIF is lost."""
    shot = Capture("a.jpg", NOON, offset=7200.0)
    assert one_shot(shot, Capture("a-edited.jpg", NOON - 7200, offset=0.0))
    assert not one_shot(shot, Capture("a-edited.jpg", NOON - 3600, offset=0.0))


def test_the_jpeg_gives_its_position_to_all_others(tmp_path: Path, tag: Any) -> None:
    files = {
        "IMG_1.CR2": cr2(preview(GREY)), "IMG_1.JPG": jpeg(at=VEGAS),
        "IMG_1.HEIC": other("heic", jpeg()), "IMG_1-edited.jpg": jpeg(None),
    }  # fmt: skip
    folder = put(tmp_path, files)
    rows = tag()
    assert rows.pop("IMG_1.JPG")["status"] == "has_gps"
    for name, row in rows.items():
        assert (row["status"], row["source"], row["landmark"]) == ("tagged", "pair", ""), row
        assert row["evidence"] == "IMG_1.JPG, taken with it, states it"
        assert row["reason"].startswith("pair: IMG_1.JPG, taken with it, states it")
        assert position(folder, name) == pytest.approx(VEGAS, abs=2e-5)
        assert (row["radius_m"], row["confidence"]) == ("50", "0.9900")
    for name in ("IMG_1.CR2", "IMG_1.JPG"):
        assert (folder / name).read_bytes() == files[name]
    undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(tmp_path / "ledger.db")])
    assert undone.exit_code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


@pytest.mark.parametrize("kind", ["heic", "tif", "webp"])
def test_a_large_photo_whose_exif_stands_behind_its_picture_gives_its_position(
    tmp_path: Path, tag: Any, kind: str
) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (600, 800, 3), np.uint8))
    out, exif = io.BytesIO(), Image.open(io.BytesIO(jpeg(at=VEGAS))).info["exif"]
    if kind == "heic":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_pillow(noise).save(out, exif=exif, quality=90)
    elif kind == "tif":  # libtiff puts directories behind the picture
        out.write(dng(preview(GREY), VEGAS, far=True))
    else:
        noise.save(out, kind, exif=exif, quality=95)
    data = out.getvalue()
    assert len(data) > 150_000 and metadata.gps_state(data[: metadata.HEAD_BYTES]) is None
    put(tmp_path, {f"a.{kind}": data, "a.jpg": jpeg()})
    rows = tag()
    assert rows[f"a.{kind}"]["status"] == "has_gps"
    assert (rows["a.jpg"]["status"], rows["a.jpg"]["source"]) == ("tagged", "pair")


@pytest.mark.parametrize("beside", ["a.xmp", "a.cr2.xmp"])
def test_the_raw_files_sidecar_gives_its_position_to_the_jpeg(
    tmp_path: Path, tag: Any, beside: str
) -> None:
    data = (LIGHTROOM % b"cr2").replace(b' xmp:Rating="4"', AT)
    folder = put(tmp_path, {"a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(), beside: data})
    row = tag()["a.jpg"]
    assert (row["status"], row["source"]) == ("tagged", "pair")
    assert row["evidence"] == "a.cr2, taken with it, states it"
    assert position(folder, "a.jpg") == pytest.approx(VEGAS, abs=2e-5)
    assert (folder / beside).read_bytes() == data


@pytest.mark.parametrize(
    ("options", "files"),
    [
        (["--no-pairs"], {"a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(at=VEGAS)}),
        ([], {"a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(3600, VEGAS)}),
        ([], {"a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(-3, VEGAS)}),
        ([], {"a.cr2": cr2(preview(GREY)), "b.jpg": jpeg(at=VEGAS)}),
        ([], {"a.png": other("PNG", jpeg(None)), "a.jpg": jpeg(at=VEGAS)}),
        ([], {"a.jpeg": jpeg(None), "a.jpg": jpeg(at=VEGAS)}),
    ],
)
def test_what_is_no_family_shares_nothing(
    tmp_path: Path, tag: Any, options: list[str], files: dict[str, bytes]
) -> None:
    folder = put(tmp_path, files)
    rows = tag(*options)
    assert sorted(row["status"] for row in rows.values()) == ["has_gps", "no_landmark"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_a_photo_that_is_gone_gives_its_position_to_no_other_of_its_name(
    tmp_path: Path, tag: Any
) -> None:
    """An inbox is emptied after each run; cameras and phones use the same names again."""
    folder = put(tmp_path, {"a.jpg": jpeg(at=VEGAS), "b.jpg": jpeg(), "b.mov": mov()})
    rows = tag()
    assert (rows["a.jpg"]["status"], rows["b.jpg"]["source"]) == ("has_gps", "pair")
    (folder / "a.jpg").unlink()
    put(tmp_path, {"a.tif": other("TIFF", jpeg(None)), "b.jpg": jpeg(86_400)})
    rows = tag()
    assert {row["status"] for row in rows.values()} == {"no_landmark"}
    put(tmp_path, {"a.jpg": jpeg(at=VEGAS)})
    assert tag("--rescan")["a.tif"]["source"] == "pair"


def test_a_third_file_does_not_pass_a_position_on(tmp_path: Path, tag: Any) -> None:
    """The TIFF may be of either JPEG's shot; that does not make the two JPEGs one."""
    put(
        tmp_path,
        {"a.jpeg": jpeg(None), "a.jpg": jpeg(at=VEGAS), "a.tif": other("TIFF", jpeg(None))},
    )
    rows = tag()
    assert rows["a.tif"]["source"] == "pair"
    assert rows["a.jpeg"]["status"] == "no_landmark"


def test_a_family_lies_in_one_folder(tmp_path: Path, tag: Any) -> None:
    folder = put(tmp_path, {"a.cr2": cr2(preview(GREY))})
    (folder / "sub").mkdir()
    (folder / "sub" / "a.jpg").write_bytes(jpeg(at=VEGAS))
    assert tag()["a.cr2"]["status"] == "no_landmark"


def test_a_position_of_the_same_shot_beats_what_it_shows(tmp_path: Path, tag: Any) -> None:
    put(tmp_path, {"a.cr2": cr2(preview(GREEN)), "a.jpg": jpeg(at=VEGAS)})
    row = tag()["a.cr2"]
    assert (row["status"], row["source"], row["landmark"]) == ("tagged", "pair", "")


def test_a_landmark_in_sight_is_the_subject(tmp_path: Path, tag: Any) -> None:
    near = (PARIS[0] + 0.01, PARIS[1])
    put(tmp_path, {"a.cr2": cr2(preview(GREEN)), "a.jpg": jpeg(at=near)})
    row = tag()["a.cr2"]
    assert (row["landmark"], row["source"]) == ("Eiffel Tower", "pair")
    assert row["latitude"] == f"{near[0]:.5f}"


def test_two_positions_of_one_shot_that_differ_are_neither_believed(
    tmp_path: Path, tag: Any
) -> None:
    files = {
        "a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(at=VEGAS), "a.tif": other("TIFF", jpeg(at=PARIS))
    }  # fmt: skip
    put(tmp_path, files)
    row = tag()["a.cr2"]
    assert row["status"] == "no_landmark"
    assert "pair: a.jpg and a.tif of the same shot are 8," in row["reason"]


def test_a_position_of_the_subject_is_not_passed_on(tmp_path: Path, tag: Any) -> None:
    data = (LIGHTROOM % b"cr2").replace(b' xmp:Rating="4"', AT.replace(b"GPSL", b"GPSDestL"))
    put(tmp_path, {"a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(), "a.xmp": data})
    rows = tag()
    assert rows["a.cr2"]["status"] == "has_gps" and rows["a.jpg"]["status"] == "no_landmark"


def test_takeouts_position_is_passed_on_by_takeout_alone(tmp_path: Path, tag: Any) -> None:
    stated = b'{"geoData": {"latitude": 36.1125, "longitude": -115.1728}}'
    folder = put(tmp_path, {"a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(), "a.jpg.json": stated})
    rows = tag()
    assert {row["status"] for row in rows.values()} == {"no_landmark"}
    assert position(folder, "a.jpg") is None


def test_one_decision_from_the_photo_that_shows_most(tmp_path: Path, tag: Any) -> None:
    folder = put(
        tmp_path,
        {"a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(colour=GREEN), "a-edited.jpg": jpeg()},
    )
    rows = tag("--no-pairs", "--dry-run")
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.cr2": "no_landmark", "a.jpg": "would_tag", "a-edited.jpg": "no_landmark",
    }  # fmt: skip
    rows = tag()
    for name, row in rows.items():
        assert (row["status"], row["landmark"]) == ("tagged", "Eiffel Tower")
        assert row["confidence"] == rows["a.jpg"]["confidence"]
        assert ("as a.jpg of the shot shows" in row["reason"]) is (name != "a.jpg")
        assert position(folder, name) == pytest.approx(PARIS, abs=1e-3)
    assert os.path.exists(folder / "a.cr2.xmp") and not os.path.exists(folder / "a.jpg.xmp")


def test_a_shot_that_shows_two_landmarks_is_not_tagged(tmp_path: Path, tag: Any) -> None:
    files = {"a.cr2": cr2(preview(COLOURS["Taj_Mahal"])), "a.jpg": jpeg(colour=GREEN)}
    folder = put(tmp_path, files)
    rows = tag()
    for row in rows.values():
        assert row["status"] == "unsure"
        assert row["reason"] == "photos of one shot show different landmarks: a.cr2 and a.jpg"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_where_nothing_is_sure_each_photo_keeps_its_own_guess(tmp_path: Path, tag: Any) -> None:
    put(tmp_path, {"a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(colour=(118, 140, 118))})
    alone = {name: row["reason"] for name, row in tag("--no-pairs", "--dry-run").items()}
    assert alone == {name: row["reason"] for name, row in tag("--dry-run").items()}


def test_tomorrow_is_as_today(tmp_path: Path, tag: Any) -> None:
    """A raw file that comes a night later gets the position of the JPEG that is known."""
    folder = put(tmp_path, {"a.jpg": jpeg(at=VEGAS)})
    tag()
    put(tmp_path, {"a.cr2": cr2(preview(GREY))})
    row = tag()["a.cr2"]
    assert (row["status"], row["source"]) == ("tagged", "pair")
    assert {row["status"] for row in tag().values()} == {"has_gps"}
    assert sorted(os.listdir(folder)) == ["a.cr2", "a.cr2.xmp", "a.jpg"]


def test_a_reviewed_pair_is_applied(tmp_path: Path, tag: Any) -> None:
    folder = put(tmp_path, {"a.cr2": cr2(preview(GREY)), "a.jpg": jpeg(at=VEGAS)})
    assert tag("--dry-run")["a.cr2"]["status"] == "would_tag"
    result = CliRunner().invoke(
        main, ["apply", str(tmp_path / "report.csv"), "--ledger", str(tmp_path / "ledger.db")]
    )
    assert result.exit_code == 0, result.output
    assert position(folder, "a.cr2") == pytest.approx(VEGAS, abs=2e-5)


def test_pairs_in_a_bucket(
    tmp_path: Path, bucket: "s3.Bucket", s3_server: "s3.Server", colour_model: Path
) -> None:
    shown = {
        "IMG_1-edited.jpg": jpeg(), "IMG_1.CR2": cr2(preview(GREY)), "IMG_1.JPG": jpeg(at=VEGAS),
        "IMG_2.DNG": dng(preview(GREY), far=True, taken=b"2024:05:03 12:00:00\0"),
        "IMG_2.JPG": jpeg(172_800, colour=GREEN), "IMG_E2.JPG": jpeg(172_800),
        "IMG_3.JPG": jpeg(86_400), "IMG_3.MOV": mov(taken=b"2024-05-02T12:00:01+0200"),
    }  # fmt: skip
    for name, data in shown.items():
        bucket.put(f"in/{name}", data)
    report = tmp_path / "report.csv"
    s3_server.asked()
    result = CliRunner().invoke(
        main,
        [
            f"{bucket.url}/in", "--model", str(colour_model), "--report", str(report),
            "--ledger", str(tmp_path / "ledger.db"),
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with report.open(newline="", encoding="utf-8") as file:
        rows = {row["path"].rpartition("/")[2]: row for row in csv.DictReader(file)}
    assert {name: (row["status"], row["source"]) for name, row in rows.items()} == {
        "IMG_1-edited.jpg": ("tagged", "pair"), "IMG_1.CR2": ("tagged", "pair"),
        "IMG_1.JPG": ("has_gps", ""), "IMG_2.DNG": ("tagged", "landmark"),
        "IMG_2.JPG": ("tagged", "landmark"), "IMG_E2.JPG": ("no_landmark", ""),
        "IMG_3.JPG": ("tagged", "pair"),
    }  # fmt: skip
    assert bucket.get("in/IMG_1.CR2") == shown["IMG_1.CR2"]
    assert metadata.position(bucket.get("in/IMG_1.CR2.xmp") or b"") == pytest.approx(
        VEGAS, abs=2e-5
    )
    assert metadata.position(bucket.get("in/IMG_2.DNG.xmp") or b"")


def mov(
    at: bytes = b"+36.1125-115.1728+610.000/", taken: bytes = b"2024-05-01T12:00:01+0200",
    keys: bool = True,
) -> bytes:  # fmt: skip
    """A movie as an iPhone makes it: the moving part, then what describes it."""
    box = raw_photos.box
    created = 0 if keys else int(NOON) + 2_082_844_800
    head = box(b"mvhd", bytes(4) + struct.pack(">2I2I", created, created, 600, 1800) + bytes(80))
    if keys:
        names = (b"com.apple.quicktime.location.ISO6709", b"com.apple.quicktime.creationdate")
        listed = b"".join(box(b"mdta", name) for name in names)
        values = b"".join(
            struct.pack(">II", len(text) + 24, n) + box(b"data", struct.pack(">II", 1, 0) + text)
            for n, text in enumerate((at, taken), 1)
        )
        handler = box(b"hdlr", bytes(8) + b"mdta" + bytes(14))
        inside = handler + box(b"keys", struct.pack(">II", 0, 2) + listed) + box(b"ilst", values)
        metadata = box(b"meta", inside)
    else:
        metadata = box(b"udta", box(b"\xa9xyz", struct.pack(">HH", len(at), 0x15C7) + at))
    moving = box(b"mdat", raw_photos.sensor(300_000))
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + moving + box(b"moov", head + metadata)


@needs_exiftool
@pytest.mark.parametrize("keys", [True, False])
def test_exiftool_reads_the_same_of_a_movie(tmp_path: Path, keys: bool) -> None:
    data = mov(keys=keys)
    (tmp_path / "a.mov").write_bytes(data)
    tags = exiftool(tmp_path / "a.mov", "-GPSPosition", "-CreationDate", "-CreateDate")
    read = movie("a.mov", data)
    assert read.position == VEGAS
    assert tags["[Composite] GPSPosition"].split() == [f"{part:.7g}" for part in VEGAS]
    if keys:
        assert tags["[Keys] CreationDate"] == "2024:05:01 12:00:01+02:00"
        assert (read.local, read.offset) == (NOON + 1, 7200.0)
    else:
        assert tags["[QuickTime] CreateDate"] == "2024:05:01 12:00:00"
        assert (read.local, read.offset) == (NOON, 0.0)


def test_the_movie_of_a_live_photo_gives_its_position(tmp_path: Path, tag: Any) -> None:
    files = {
        "IMG_1.HEIC": other("heic", jpeg()), "IMG_1.MOV": mov(), "IMG_1.JPG": jpeg(),
        "IMG_2.HEIC": other("heic", jpeg(1)),
    }  # fmt: skip
    folder = put(tmp_path, files)
    rows = tag()
    assert sorted(rows) == ["IMG_1.HEIC", "IMG_1.JPG", "IMG_2.HEIC"]
    for name in ("IMG_1.HEIC", "IMG_1.JPG"):
        assert (rows[name]["status"], rows[name]["source"]) == ("tagged", "pair")
        assert rows[name]["evidence"] == "IMG_1.MOV, taken with it, states it"
        assert position(folder, name) == pytest.approx(VEGAS, abs=2e-5)
    assert rows["IMG_2.HEIC"]["status"] == "no_landmark"
    assert (folder / "IMG_1.MOV").read_bytes() == files["IMG_1.MOV"]


@pytest.mark.parametrize(
    "movie_data",
    [
        mov(taken=b"2024-05-01T12:00:10+0200"), mov(taken=b"nobody knows"), mov(at=b"+00+000/"),
        mov(at=b"+36.1125-115.1728/+48.1-002.1/"), mov(at=b"+99.0-115.0/"), b"", mov()[:-40],
        mov()[:400], b"\0\0\0\x08moov" * 300,
    ],
)  # fmt: skip
def test_a_movie_that_does_not_belong_says_nothing(
    tmp_path: Path, tag: Any, movie_data: bytes
) -> None:
    put(tmp_path, {"IMG_1.JPG": jpeg(), "IMG_1.MOV": movie_data})
    assert tag()["IMG_1.JPG"]["status"] == "no_landmark"
    (tmp_path / "photos" / "IMG_1.MOV").write_bytes(mov())
    assert tag("--no-pairs", "--rescan")["IMG_1.JPG"]["status"] == "no_landmark"


def test_of_a_movie_only_what_describes_it_is_read() -> None:
    storage = MemoryStorage({"a.mov": mov()})
    assert movie("a.mov", Ranges(storage, "a.mov")).position == VEGAS
    assert sum(size for _, size in storage.asked) < 300_000


def item(key: str, guess: Guess | None = None, shot: Shot | None = None) -> WorkItem:
    return WorkItem(Entry(key, Version(1, 1)), guess=guess, shot=shot)


def test_families_come_together_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "KEPT", 10)
    waiting = Spool()
    keys = [f"f/{n % 1500:04d}{'.jpg' if n < 1500 else '.cr2'}" for n in range(3000)]
    for key in keys:
        waiting.add(item(key), family_of(key))
    waiting.add(item("f/x.jpg"))
    families = [[one.entry.key for one in family] for family in waiting]
    waiting.close()
    assert families[:2] == [["f/0000.jpg", "f/0000.cr2"], ["f/0001.jpg", "f/0001.cr2"]]
    assert families[-1] == ["f/x.jpg"] and len(families) == 1501
    assert sorted(key for family in families for key in family) == sorted([*keys, "f/x.jpg"])


def test_memory_does_not_grow_with_the_families(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "KEPT", 10)
    waiting = Spool()
    tracemalloc.start()
    try:
        for n in range(20_000):
            waiting.add(item(f"f/{n // 2}.{'cr2' if n % 2 else 'jpg'}"), f"f/{n // 2}")
        assert sum(map(len, waiting)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
        waiting.close()


def test_a_family_is_parted_by_the_times_of_its_photos() -> None:
    sources = Sources()
    keys = ["f/a.cr2", "f/a.jpg", "f/a-edited.jpg", "f/a.heic"]
    for key, seconds in zip(keys, (0, 3600, 3600, 1), strict=True):
        sources.note(Capture(key, NOON + seconds), "")
    shots = [one.shot for one in by_shot([item(key) for key in keys], sources)]
    order = [one.entry.key for one in by_shot([item(key) for key in keys], sources)]
    sources.close()
    assert order == ["f/a.cr2", "f/a.heic", "f/a.jpg", "f/a-edited.jpg"]
    assert shots == [Shot("f/a.cr2", 2)] * 2 + [Shot("f/a.jpg", 2)] * 2


def sure(slug: str, confidence: float) -> Guess:
    return Guess((Candidate(slug, confidence),), 1 - confidence)


def test_the_best_guess_is_everybodys() -> None:
    shot = Shot("a.cr2", 3)
    items = [
        item("a.cr2", sure("x", 0.2), shot), item("a.jpg", sure("x", 0.9), shot),
        replace(item("a.heic", None, shot), outcome=Outcome(item("a.heic").entry, Status.FAILED)),
        item("b.jpg", sure("y", 0.1)),
    ]  # fmt: skip
    decided = list(united(items, 0.6))
    assert [one.entry.key for one in decided] == ["a.cr2", "a.jpg", "a.heic", "b.jpg"]
    assert [one.shown for one in decided] == [sure("x", 0.9), None, None, None]
    assert decided[0].shown_by == "a.jpg" and decided[0].guess == sure("x", 0.2)


def test_a_shot_that_is_cut_short_is_decided_with_what_there_is() -> None:
    shot = Shot("a.cr2", 3)
    items = [item("a.cr2", sure("x", 0.2), shot), item("a.jpg", sure("x", 0.9), shot)]
    for more in ([], [item("b.jpg", sure("y", 0.1))]):
        decided = list(united([*items, *more], 0.6))
        assert [one.shown for one in decided] == [sure("x", 0.9), *[None] * (1 + len(more))]


def test_a_shot_lies_in_one_block_of_a_cluster() -> None:
    items: list[WorkItem] = []
    for n in range(40):
        shot = Shot(f"{n}.jpg", 3)
        items += [item(f"{n}.{kind}", None, shot) for kind in ("jpg", "cr2", "heic")]
        items.append(item(f"x{n}.jpg"))
    blocks = list(_blocks(items))
    assert [one for block in blocks for one in block] == items
    assert all(BLOCK <= len(block) < BLOCK + 3 for block in blocks[:-1])
    shots = [{one.shot for one in block if one.shot} for block in blocks]
    assert sum(map(len, shots)) == 40


def test_a_burst_is_placed_by_the_nearest_in_time() -> None:
    captures = Captures()
    places = {3: (1.0, 2.0), 7: (1.0005, 2.0)}
    for n, at in places.items():
        taken = Capture(f"f/x_BURST{n:03d}.jpg", NOON + n, position=at)
        captures.add(taken, "", None, None, True)
    estimate = PairSource(captures).estimate(Capture("f/x_BURST006.jpg", NOON + 6))
    captures.close()
    assert (
        estimate and (estimate.latitude, estimate.longitude) == places[7] and not estimate.refused
    )
    assert estimate.words == "x_BURST007.jpg, of the same burst, states it"
