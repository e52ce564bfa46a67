"""A photo's own thumbnail: which one is trusted, and which photos it settles alone."""

import ctypes
import io
import mmap
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import piexif
import pytest
import torch
from conftest import COLOURS, REPOSITORY, ByColour, photo
from PIL import Image, ImageDraw

from tagger import metadata
from tagger.blob import Blob
from tagger.errors import RunError
from tagger.evidence.decide import THUMBNAIL
from tagger.evidence.limits import Limits
from tagger.evidence.sources import Sources
from tagger.imaging.decode import Resize, Views, open_upright
from tagger.imaging.thumbnail import reach, thumbnail
from tagger.ledger.ledger import Ledger
from tagger.model import DEFAULT_MODEL, artifact, thumbnail_net
from tagger.model.classifier import Classifier
from tagger.model.thumbnail_net import ThumbnailNet, beside
from tagger.records import Guess, Outcome, Status
from tagger.run.inspect import FIRST_BYTES
from tagger.run.pipeline import run
from tagger.run.stages import Settings
from tagger.storage.local import LocalStorage

GREY, RED = (120, 120, 120), COLOURS["Taj_Mahal"]
CORPUS = REPOSITORY.parent / "shared" / "data" / "exif_corpus"


def scene(size: tuple[int, int]) -> Image.Image:
    """A picture that looks different whichever way it is turned or mirrored."""
    picture = Image.new("RGB", size, (90, 140, 200))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, size[1] * 2 // 3, size[0], size[1]), fill=(60, 110, 40))
    draw.rectangle((size[0] // 8, size[1] // 6, size[0] // 3, size[1]), fill=(200, 60, 40))
    return picture


def jpeg(picture: Image.Image, **save: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80, **save)
    return buffer.getvalue()


def with_bars(picture: Image.Image, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """As cameras do: the whole picture in a 4:3 frame, with black bars."""
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inner = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    box = Image.new("RGB", size)
    box.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    return box


def from_camera(
    picture: Image.Image,
    small: bytes | None = None,
    orientation: int = 1,
    stated: tuple[int, int] | None = None,
) -> bytes:
    """A camera's JPEG with its thumbnail."""
    wide, tall = stated or picture.size
    exif = {
        "0th": {piexif.ImageIFD.Make: b"Maker", piexif.ImageIFD.Orientation: orientation},
        "Exif": {piexif.ExifIFD.PixelXDimension: wide, piexif.ExifIFD.PixelYDimension: tall},
        "1st": {piexif.ImageIFD.Compression: 6},
        "thumbnail": jpeg(with_bars(picture)) if small is None else small,
    }
    return jpeg(picture, exif=piexif.dump(exif))


def alike(data: bytes) -> float:
    """How well thumbnail and photo correlate, 1 at most; 0 where no thumbnail is trusted."""
    small = thumbnail(data[: metadata.HEAD_BYTES])
    if small is None:
        return 0.0
    whole = open_upright(data, 64)
    assert (small.width < small.height) == (whole.width < whole.height)
    a, b = (np.asarray(p.resize((24, 24)), float).ravel() for p in (small, whole))
    return float(np.corrcoef(a, b)[0, 1])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("size", "small"),
    [((800, 600), None), ((900, 600), None), ((960, 540), None), ((600, 800), (120, 160))],
)
def test_bars_are_cut_off_and_it_stands_upright(
    size: tuple[int, int], small: tuple[int, int] | None, orientation: int
) -> None:
    picture = scene(size)
    coded = jpeg(picture.resize(small)) if small else None
    data = from_camera(picture, coded, orientation)
    assert alike(data) > 0.97
    shown = thumbnail(data)
    assert shown is not None and shown.convert("L").getextrema()[0] > 20  # type: ignore[operator]


def other(size: tuple[int, int] = (160, 120)) -> bytes:
    return jpeg(scene(size))


@pytest.mark.parametrize(
    ("why", "data"),
    [
        ("cropped since to another shape", from_camera(scene((600, 600)), other())),
        ("a panorama", from_camera(scene((1800, 600)), jpeg(with_bars(scene((1800, 600)))))),
        ("scaled or cropped since", from_camera(scene((800, 600)), stated=(4000, 3000))),
        ("turned since", from_camera(scene((600, 800)), other())),
        ("blank", from_camera(scene((800, 600)), jpeg(Image.new("RGB", (160, 120), "grey")))),
        ("too small", from_camera(scene((800, 600)), other((80, 60)))),
        ("damaged", from_camera(scene((800, 600)), other()[:900] + bytes(400))),
        ("cut off", from_camera(scene((800, 600)))[:900]),
        ("no EXIF", jpeg(scene((800, 600)))),
        ("no photo", b"hello"),
        ("nothing", b""),
    ],
)
def test_what_may_not_show_the_photo_is_not_trusted(why: str, data: bytes) -> None:
    assert thumbnail(data) is None, why


def turned_by_xmp() -> bytes:
    exif = piexif.load(from_camera(scene((800, 600))))
    del exif["0th"][piexif.ImageIFD.Orientation]
    xmp = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    return jpeg(scene((800, 600)), exif=piexif.dump(exif), xmp=xmp)


def turned_by_type(kind: int) -> bytes:
    data = from_camera(scene((800, 600)), orientation=6)
    plain = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    assert data.count(plain) == 1
    return data.replace(plain, struct.pack(">HHIHH", 0x0112, kind, 1, 6, 0))


@pytest.mark.parametrize(
    "data", [turned_by_xmp(), *map(turned_by_type, (3, 8))], ids=["xmp", "SHORT", "SSHORT"]
)
def test_a_thumbnail_lies_as_its_photo_or_is_not_trusted(data: bytes) -> None:
    small, whole = thumbnail(data), open_upright(data, 64)
    assert small is None or (small.width < small.height) == (whole.width < whole.height)


def test_a_dark_edge_of_the_picture_is_no_bar() -> None:
    """A square crop keeps its old thumbnail, whose dark sides are part of the picture."""
    night = Image.new("RGB", (800, 600), (30, 30, 45))
    ImageDraw.Draw(night).rectangle((300, 200, 500, 599), fill=(220, 200, 90))
    assert (
        thumbnail(from_camera(night.crop((100, 0, 700, 600)), jpeg(night.resize((160, 120)))))
        is None
    )


def test_any_bytes_are_answered() -> None:
    chance = np.random.default_rng(0)
    whole = bytearray(from_camera(scene((640, 480))))
    for _ in range(300):
        broken = bytearray(whole)
        for at in chance.integers(0, 3000, 6):
            broken[at] = chance.integers(256)
        data = bytes(broken[: int(chance.integers(10, len(broken)))])
        assert reach(data) >= len(data)
        thumbnail(data)


def test_heic_is_shown_by_its_thumbnail_item() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(scene((1200, 900))).save(buffer, quality=60, thumbnails=[320])
    data = buffer.getvalue()
    whole = reach(data)
    shown = thumbnail(data[:whole])
    assert shown is not None and max(shown.size) == 320
    assert alike(data) > 0.97


class ByRed(ByColour):
    """Red pictures may show a known landmark."""

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        colour = self.mean(pictures)
        red = torch.sigmoid(20 * (colour[:, :1] - colour[:, 1:2]) - 3)
        return red, colour


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> ThumbnailNet:
    path = tmp_path_factory.mktemp("net") / "colour.thumbnail.pt"
    artifact.save(ByRed(), artifact.Manifest(("known",), 32, Resize.SQUASH, 3, "red"), path)
    return ThumbnailNet(path)


@pytest.fixture(scope="module")
def classifier(colour_model: Path) -> Classifier:
    return Classifier(colour_model, "cpu")


def coloured(colour: tuple[int, int, int], small: tuple[int, int, int] | None = None) -> bytes:
    """A photo of one colour whose thumbnail may have another."""
    picture = Image.open(io.BytesIO(photo(colour, (800, 600))))
    return from_camera(picture, photo(small or colour, (160, 120)))


class Reading(LocalStorage):
    """Counts the bytes that are read of photos."""

    def __init__(self, folder: Path) -> None:
        super().__init__([folder])
        self.whole, self.heads = list[str](), list[str]()

    def read_head(self, key: str, size: int) -> bytes:
        self.heads.append(os.path.basename(key))
        return super().read_head(key, size)

    def read(self, key: str) -> Blob:
        self.whole.append(os.path.basename(key))
        return super().read(key)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A grey photo, a red one, and a red one whose thumbnail is (wrongly) grey."""
    place = tmp_path / "photos"
    place.mkdir()
    padding = bytes(300_000)  # behind the picture, as in a photo of usual size
    (place / "grey.jpg").write_bytes(coloured(GREY) + padding)
    (place / "red.jpg").write_bytes(coloured(RED) + padding)
    (place / "stale.jpg").write_bytes(coloured(RED, GREY) + padding)
    (place / "none.jpg").write_bytes(photo(GREY, (800, 600)) + padding)
    return place


def tagged(
    folder: Path,
    classifier: Classifier,
    net: ThumbnailNet | None,
    surveyed: bool = False,
    **settings: Any,
) -> tuple[dict[str, Outcome], Reading]:
    storage = Reading(folder)
    sources = Sources.beside(None, Limits(), []) if surveyed else None
    chosen = Settings("run-1", **settings)
    outcomes = list(run(storage, classifier, None, chosen, sources=sources, thumbnails=net))
    if sources:
        sources.close()
    return {os.path.basename(o.entry.key): o for o in outcomes}, storage


@pytest.mark.parametrize("surveyed", [False, True])
def test_what_the_thumbnail_settles_is_not_read(
    folder: Path, classifier: Classifier, net: ThumbnailNet, surveyed: bool
) -> None:
    """Whether photos are classified one by one, or several of a disk together."""
    outcomes, storage = tagged(folder, classifier, net, surveyed)
    assert {name: o.status for name, o in outcomes.items()} == {
        "grey.jpg": Status.NO_LANDMARK, "red.jpg": Status.WOULD_TAG,
        "stale.jpg": Status.NO_LANDMARK, "none.jpg": Status.NO_LANDMARK,
    }  # fmt: skip
    assert sorted(storage.whole) == ["none.jpg", "red.jpg"]
    for name in ("grey.jpg", "none.jpg"):
        assert "thumbnail" in outcomes[name].reason and "--thorough" in outcomes[name].reason


@pytest.mark.parametrize("surveyed", [False, True])
def test_photos_without_a_thumbnail_are_asked_about_once_decoded(
    tmp_path: Path, classifier: Classifier, net: ThumbnailNet, surveyed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The classifier is asked about those only that the network lets pass."""
    asked, classify = list[int](), classifier.classify

    def counted(views: Sequence[Views]) -> list[Guess]:
        asked.append(len(views))
        return classify(views)

    monkeypatch.setattr(classifier, "classify", counted)
    for name, colour in (("grey", GREY), ("red", RED), ("grey2", GREY)):
        (tmp_path / f"{name}.jpg").write_bytes(photo(colour, (800, 600)))
    outcomes, _ = tagged(tmp_path, classifier, net, surveyed)
    assert sum(asked) == 1
    assert {name: o.status for name, o in outcomes.items()} == {
        "grey.jpg": Status.NO_LANDMARK, "red.jpg": Status.WOULD_TAG,
        "grey2.jpg": Status.NO_LANDMARK,
    }  # fmt: skip


def test_many_photos_keep_their_order_and_their_own_answers(
    tmp_path: Path, classifier: Classifier, net: ThumbnailNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Grey and red take turns unevenly, over a few passes of the network."""
    passes, one = list[int](), ThumbnailNet._pass

    def counted(net: ThumbnailNet, pictures: Sequence[Image.Image]) -> list[float]:
        passes.append(len(pictures))
        return one(net, pictures)

    monkeypatch.setattr(ThumbnailNet, "_pass", counted)
    reds = {number for number in range(30) if number % 7 in (1, 2) or number == 29}
    for number in range(30):
        data = coloured(RED if number in reds else GREY) + bytes(300_000)
        (tmp_path / f"{number:02}.jpg").write_bytes(data)
    outcomes, storage = tagged(tmp_path, classifier, net, surveyed=True)
    assert list(outcomes) == [f"{number:02}.jpg" for number in range(30)]
    assert {int(name[:2]) for name, o in outcomes.items() if o.status is Status.WOULD_TAG} == reds
    assert {int(name[:2]) for name in storage.whole} == reds
    assert sorted(passes) == [6, 12, 12]


@pytest.mark.parametrize("settings", [{"thorough": True}, {"min_conf": 0.3}])
def test_thorough_decodes_all(
    folder: Path, classifier: Classifier, net: ThumbnailNet, settings: dict[str, Any]
) -> None:
    """So does a --min-conf below the one the network was made for."""
    outcomes, storage = tagged(folder, classifier, net, **settings)
    assert outcomes["stale.jpg"].status is Status.WOULD_TAG
    assert len(storage.whole) == 4


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of camera JPEGs is not here")
def test_photos_of_real_cameras_are_tagged_as_with_thorough(tmp_path: Path) -> None:
    """By the thumbnails that 174 photos of many makers have, with the model that ships."""
    classifier, net = Classifier(device="cpu"), beside(DEFAULT_MODEL)
    assert net is not None
    by_thumbnail, _ = tagged(CORPUS, classifier, net, surveyed=True)
    thorough, _ = tagged(CORPUS, classifier, net, surveyed=True, thorough=True)
    assert list(by_thumbnail) == list(thorough)
    for name, outcome in thorough.items():
        ours = by_thumbnail[name]
        assert ours.landmark == outcome.landmark, name
        if ours.reason != THUMBNAIL:
            assert (ours.status, ours.guess) == (outcome.status, outcome.guess), name
    settled = sum(outcome.reason == THUMBNAIL for outcome in by_thumbnail.values())
    assert settled >= 40  # 54 when this was written, of 174


@pytest.mark.parametrize(
    ("possible", "sure", "read"), [(-1.0, 99.0, 2), (-30.0, 99.0, 1), (-30.0, 3.0, 2)]
)
def test_the_classifier_looks_at_thumbnails_too(
    folder: Path, classifier: Classifier, net: ThumbnailNet,
    monkeypatch: pytest.MonkeyPatch, possible: float, sure: float, read: int,
) -> None:  # fmt: skip
    """What the network lets pass, unless it is sure, is settled by both together."""
    monkeypatch.setattr(thumbnail_net, "SURE", sure)
    monkeypatch.setattr(
        classifier, "possible", lambda pictures, closely: [possible] * len(pictures)
    )
    assert len(tagged(folder, classifier, net)[1].whole) == read


@pytest.mark.parametrize(("thrifty", "settled"), [(False, [True, False]), (True, [True, True])])
def test_before_a_photo_of_a_bucket_is_read_its_thumbnail_is_looked_at_closely(
    net: ThumbnailNet, thrifty: bool, settled: list[bool]
) -> None:
    """Also where the small network is sure."""
    looks = list[tuple[int, bool]]()

    def possible(pictures: Sequence[Image.Image], closely: bool) -> list[float]:
        looks.append((len(pictures), closely))
        return [-30.0] * len(pictures)

    grey, red = (Image.new("RGB", (160, 120), colour) for colour in (GREY, RED))
    assert net.asking(possible).settles([grey, red], thrifty) == settled
    assert looks == ([(1, True)] if thrifty else [])


@pytest.mark.parametrize(("first", "looked"), [(99.0, [False, True]), (-99.0, [False])])
def test_what_is_possible_at_first_sight_is_looked_at_closely(
    net: ThumbnailNet, monkeypatch: pytest.MonkeyPatch, first: float, looked: list[bool]
) -> None:
    monkeypatch.setattr(thumbnail_net, "SURE", 99.0)
    looks = list[bool]()

    def possible(pictures: Sequence[Image.Image], closely: bool) -> list[float]:
        looks.append(closely)
        return [-99.0 if closely else first] * len(pictures)

    assert net.asking(possible).settles([Image.new("RGB", (160, 120), RED)]) == [True]
    assert looks == looked


def test_the_classifier_says_what_is_possible(classifier: Classifier) -> None:
    red, grey = (Image.new("RGB", (160, 120), colour) for colour in (RED, GREY))
    ratios = classifier.possible([red, grey])
    assert ratios[0] > 2 > ratios[1]
    assert classifier.possible([red, grey], closely=True) == ratios


class OfOneSize(ByColour):
    """A network that takes its own size only, as a vision transformer does."""

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert pictures.shape[2] == 224
        colour = self.mean(pictures)
        return (30 * colour - 20).softmax(1), colour


@pytest.mark.parametrize(("network", "edge"), [(ByColour, 192), (OfOneSize, 224)])
def test_thumbnails_become_what_the_network_takes(
    network: type[ByColour], edge: int, tmp_path: Path
) -> None:
    path, red = tmp_path / "model.pt", Image.new("RGB", (160, 120), RED)
    artifact.save(network(), artifact.Manifest(tuple(COLOURS), 224, Resize.SQUASH, 3, "any"), path)
    classifier = Classifier(path, "cpu")
    assert classifier.possible([red])[0] > 2
    assert classifier._edge == edge


def test_a_network_that_refuses_its_own_size_is_refused(tmp_path: Path) -> None:
    manifest = artifact.Manifest(tuple(COLOURS), 192, Resize.SQUASH, 3, "any")
    with pytest.raises(RunError, match="forward pass fails"):
        artifact.save(OfOneSize(), manifest, tmp_path / "model.pt")


def test_the_ledger_remembers_who_looked(
    folder: Path, classifier: Classifier, net: ThumbnailNet, tmp_path: Path
) -> None:
    """The same network is not run again; another one is, or the classifier with --thorough."""

    def read(net: ThumbnailNet | None, run_id: str, **settings: Any) -> tuple[list[str], list[str]]:
        storage = Reading(folder)
        with (
            Ledger.open(tmp_path / "ledger.db") as book,
            book.begin(run_id, [str(folder)], {}, classifier.sha256) as recorder,
        ):
            chosen = Settings(run_id, min_conf=0.9999, **settings)
            for outcome in run(storage, classifier, recorder, chosen, thumbnails=net):
                recorder.seen(outcome)
        return sorted(storage.whole), sorted(set(storage.heads))

    assert read(net, "a")[0] == ["none.jpg", "red.jpg"]
    assert read(net, "b") == ([], [])
    newer = ThumbnailNet(net._path)
    newer.sha256 = "another"
    settled = ["grey.jpg", "none.jpg", "stale.jpg"]  # in the size of a thumbnail
    assert read(newer, "c") == (["none.jpg"], settled)
    assert read(newer, "d") == ([], [])
    assert read(newer, "e", thorough=True)[0] == settled
    assert read(newer, "f") == ([], [])  # what was looked at in full needs no other look


def test_it_is_what_lies_beside_the_model(net: ThumbnailNet, colour_model: Path) -> None:
    assert beside(colour_model) is None
    loaded = beside(net._path.with_name("colour.pt"))
    assert loaded is not None and loaded.sha256 == net.sha256


def in_memory(path: Path) -> int:
    """How many bytes of a file the system's cache holds."""
    libc, size = ctypes.CDLL(None, use_errno=True), path.stat().st_size
    pages = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
    with path.open("r+b") as file, mmap.mmap(file.fileno(), size) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        failed = libc.mincore(ctypes.byref(first), ctypes.c_size_t(size), pages)
        del first
    assert not failed
    return mmap.PAGESIZE * sum(page & 1 for page in pages)


def forgotten(path: Path) -> None:
    """Evict a file from the system's cache, where the file system has one."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if in_memory(path):
        pytest.skip("this file system keeps files in memory")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what it has read")
@pytest.mark.parametrize("surveyed", [False, True])
def test_the_disk_is_not_asked_for_more_than_the_head(
    tmp_path: Path, classifier: Classifier, net: ThumbnailNet, surveyed: bool
) -> None:
    path = tmp_path / "grey.jpg"
    path.write_bytes(coloured(GREY) + bytes(6_000_000))
    forgotten(path)
    outcomes, _ = tagged(tmp_path, classifier, net, surveyed)
    assert "thumbnail" in outcomes["grey.jpg"].reason
    assert 0 < in_memory(path) <= FIRST_BYTES
    forgotten(path)
    tagged(tmp_path, classifier, net, surveyed, thorough=True)
    assert in_memory(path) > 6_000_000
