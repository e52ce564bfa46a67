"""The stages in order: one outcome for each photo, whatever its content."""

import io
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import COLOURS, photo
from PIL import Image
from places import tag

from tagger import metadata
from tagger.blob import Blob, Content
from tagger.model.classifier import Classifier
from tagger.records import Entry, Outcome, Status, Version
from tagger.run import inspect, pipeline
from tagger.run.pipeline import run
from tagger.run.stages import Settings
from tagger.storage.local import LocalStorage
from tagger.storage.local_errors import explained


class Forgetful:
    """A recorder that records nothing."""

    def intend(self, key: str, before: Blob | None, after: Content | None) -> Callable[[], int]:
        return lambda: 0

    def settle(self, change: int, version: Version | None) -> None: ...

    def drop(self, change: int) -> None: ...

    def recall(self, entry: Entry) -> None: ...


@pytest.fixture(scope="module")
def classifier(colour_model: Path) -> Classifier:
    return Classifier(colour_model, "cpu")


def outcomes(
    folder: Path, classifier: Classifier, dry_run: bool = False, **settings: Any
) -> dict[str, Outcome]:
    recorder = None if dry_run else Forgetful()
    all_outcomes = list(
        run(LocalStorage([folder]), classifier, recorder, Settings("run-1", **settings))
    )
    named = {os.path.relpath(outcome.entry.key, folder): outcome for outcome in all_outcomes}
    assert len(named) == len(all_outcomes), "a photo has two outcomes"
    return named


def statuses(folder: Path, classifier: Classifier, **settings: Any) -> dict[str, str]:
    return {name: o.status.value for name, o in outcomes(folder, classifier, **settings).items()}


def test_each_photo_is_tagged_with_its_landmark_or_left_alone(
    library: Path, classifier: Classifier, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    before = bytes_of(library)
    by_name = outcomes(library, classifier)
    assert {
        name: (o.status.value, o.landmark and o.landmark.slug) for name, o in by_name.items()
    } == {
        "a_taj.jpg": ("tagged", "Taj_Mahal"),
        "b_grey.jpg": ("no_landmark", None),
        "trip/eiffel.JPG": ("tagged", "Eiffel_Tower"),
        "trip/qutub.jpg": ("tagged", "Qutub_Minar"),
    }
    assert bytes_of(library)["b_grey.jpg"] == before["b_grey.jpg"]
    place = classifier.landmarks["Eiffel_Tower"]
    read_back = metadata.position((library / "trip/eiffel.JPG").read_bytes())
    assert read_back == pytest.approx((place.latitude, place.longitude), abs=1e-6)


def test_a_second_run_writes_nothing(
    library: Path, classifier: Classifier, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    outcomes(library, classifier)
    after_one = bytes_of(library)
    again = statuses(library, classifier)
    assert bytes_of(library) == after_one
    assert again == {
        "a_taj.jpg": "has_gps", "b_grey.jpg": "no_landmark",
        "trip/eiffel.JPG": "has_gps", "trip/qutub.jpg": "has_gps",
    }  # fmt: skip


def test_a_dry_run_reports_the_same_and_writes_nothing(
    library: Path, classifier: Classifier, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    before = bytes_of(library)
    dry = outcomes(library, classifier, dry_run=True)
    assert bytes_of(library) == before
    wet = outcomes(library, classifier)
    assert [o.guess for o in dry.values()] == [o.guess for o in wet.values()]
    assert [o.status for o in dry.values()] == [
        Status.WOULD_TAG if o.status is Status.TAGGED else o.status for o in wet.values()
    ]


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (2, 3), (64, 2)])
def test_batch_size_and_workers_change_nothing(
    library: Path, classifier: Classifier, batch_size: int, workers: int
) -> None:
    def rows(**settings: Any) -> list[tuple[str, str, str]]:
        by_name = outcomes(library, classifier, dry_run=True, **settings)
        return [(n, o.status.value, o.guess.best.slug) for n, o in by_name.items() if o.guess]

    assert rows(batch_size=batch_size, workers=workers) == rows(batch_size=16, workers=2)


def test_orientation_is_applied(tmp_path: Path, colour_model: Path) -> None:
    """This model looks at the top third of a tall photo, also when it is stored on its side."""
    from tagger.imaging import decode

    tall = np.zeros((96, 48, 3), np.uint8)
    tall[:48] = COLOURS["Taj_Mahal"]
    upright = Image.fromarray(tall)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate 90 clockwise to see it upright
    upright.transpose(Image.Transpose.ROTATE_90).save(buffer, "PNG", exif=exif)
    seen = decode.to_pixels(buffer.getvalue(), 32, decode.Resize.SQUASH)
    assert seen[0, :14].min() > 150 and seen[0, 18:].max() < 60


def test_stopping_keeps_what_is_done(library: Path, classifier: Classifier) -> None:
    done: list[Outcome] = []
    for outcome in run(
        LocalStorage([library]), classifier, Forgetful(), Settings("r", batch_size=2),
        stop=lambda: len(done) == 2,
    ):  # fmt: skip
        done.append(outcome)
    assert [Path(o.entry.key).name for o in done] == ["a_taj.jpg", "b_grey.jpg"]


@pytest.mark.parametrize("writers", [1, 4])
def test_writers_keep_the_order_and_finish_what_they_began(
    library: Path, classifier: Classifier, writers: int
) -> None:
    for number in range(20):
        (library / f"c{number:02}.jpg").write_bytes(photo(COLOURS["Taj_Mahal"]))
    everything = [entry.key for entry in LocalStorage([library]).list()]
    done: list[Outcome] = []
    for outcome in run(
        LocalStorage([library]), classifier, Forgetful(), Settings("r", writers=writers),
        stop=lambda: len(done) >= 3,
    ):  # fmt: skip
        done.append(outcome)
    assert [o.entry.key for o in done] == everything[: len(done)]
    assert 3 <= len(done) < 3 + 2 * writers
    tagged = {o.entry.key for o in done if o.status is Status.TAGGED}
    assert tagged == {
        key for key in everything if metadata.provenance(Path(key).read_bytes()) is not None
    }


def test_stopping_does_not_wait_for_a_batch_of_slow_photos(
    tmp_path: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    class Slow(LocalStorage):
        def read_head(self, key: str, size: int) -> bytes:
            opened.append(key)
            time.sleep(0.005)
            return super().read_head(key, size)

    data = metadata.tagged(photo((120, 120, 120)), tag())
    for number in range(400):
        (tmp_path / f"{number:03}.jpg").write_bytes(data)
    monkeypatch.setattr(pipeline, "PATIENCE", 0.1)
    settings, done = Settings("r", workers=1), list[Outcome]()
    for outcome in run(
        Slow([tmp_path]), classifier, Forgetful(), settings, stop=lambda: bool(done)
    ):
        done.append(outcome)
    assert [outcome.status for outcome in done] == [Status.HAS_GPS] and len(opened) < 200


def bomb_png(width: int, height: int) -> bytes:
    """A PNG that claims to be huge in a few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def awkward(folder: Path) -> dict[str, set[str]]:
    """Photos that are hard to read, with the statuses that are right for each one."""
    taj = photo(COLOURS["Taj_Mahal"], (320, 240))
    pixels = Image.open(io.BytesIO(taj))

    def saved(mode: str, kind: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        picture = pixels if mode == "same" else pixels.convert(mode)
        picture.save(buffer, kind, **options)
        return buffer.getvalue()

    deep = np.asarray(pixels.convert("L")).astype(np.uint16) * 257
    sixteen = io.BytesIO()
    Image.fromarray(deep).save(sixteen, "PNG")
    green = Image.open(io.BytesIO(photo(COLOURS["Eiffel_Tower"], (320, 240))))
    photos: dict[str, tuple[bytes, set[str]]] = {
        "empty.jpg": (b"", {"unreadable"}),
        "truncated.jpg": (taj[: len(taj) // 2], {"unreadable"}),
        "only_head.jpg": (taj[:200], {"unreadable"}),
        "text.jpg": (b"Dear diary, today we saw the Taj Mahal.\n" * 20, {"unsupported"}),
        "bomb.png": (bomb_png(60_000, 60_000), {"unsupported"}),
        "cmyk.jpg": (saved("CMYK", "JPEG"), {"tagged", "no_landmark", "unsure"}),
        "grey.jpg": (saved("L", "JPEG"), {"no_landmark"}),
        "sixteen.png": (sixteen.getvalue(), {"no_landmark"}),
        "palette.png": (saved("P", "PNG"), {"tagged"}),
        "animated.webp": (
            saved("same", "WEBP", save_all=True, append_images=[green], duration=100), {"tagged"},
        ),
        "plain.webp": (saved("same", "WEBP"), {"tagged"}),
        "plain.tif": (saved("same", "TIFF"), {"tagged"}),
        "raw.nef": (b"MM\0*" + bytes(100), {"unsupported"}),
        "good.jpg": (taj, {"tagged"}),
    }  # fmt: skip
    for name, (data, _) in photos.items():
        (folder / name).write_bytes(data)
    return {name: allowed for name, (_, allowed) in photos.items()}


def test_awkward_photos_get_the_right_status_and_stop_nothing(
    tmp_path: Path, classifier: Classifier, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    expected = awkward(tmp_path)
    before = bytes_of(tmp_path)
    by_name = outcomes(tmp_path, classifier)
    assert set(by_name) == set(expected)
    wrong = {n: (o.status, o.reason) for n, o in by_name.items() if o.status not in expected[n]}
    assert not wrong
    for name, outcome in by_name.items():
        if outcome.status is not Status.TAGGED:
            assert outcome.reason
            assert (tmp_path / name).read_bytes() == before[name], name


def test_a_sidecar_is_found_however_its_suffix_is_spelled(
    tmp_path: Path, classifier: Classifier
) -> None:
    for name in ("a.jpg.XMP", "b.XMP", "c.xmp"):
        (tmp_path / f"{name[0]}.jpg").write_bytes(photo(COLOURS["Taj_Mahal"]))
        (tmp_path / name).write_bytes(metadata.sidecar(None, tag()))
    assert set(statuses(tmp_path, classifier).values()) == {"has_gps"}


def test_a_file_too_large_for_a_photo_is_not_read(tmp_path: Path, classifier: Classifier) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(inspect.MOST_BYTES + 1)  # takes no room on the disk
    outcome = outcomes(tmp_path, classifier)["a.jpg"]
    assert outcome.status is Status.UNSUPPORTED
    assert "larger than 400 MB" in outcome.reason


def test_a_photo_that_vanishes_is_reported_as_changed(
    library: Path, classifier: Classifier
) -> None:
    class Vanishing(LocalStorage):
        def read_head(self, key: str, size: int) -> bytes:
            if key.endswith("qutub.jpg"):
                Path(key).unlink()
            return super().read_head(key, size)

    in_order = list(run(Vanishing([library]), classifier, Forgetful(), Settings("r")))
    assert [o.status.value for o in in_order] == ["tagged", "no_landmark", "tagged", "changed"]


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), OSError(5, "I/O error")])
def test_a_photo_that_the_store_will_not_give_is_failed_not_damaged(
    library: Path, classifier: Classifier, error: OSError
) -> None:
    class Closed(LocalStorage):
        def read_head(self, key: str, size: int) -> bytes:
            with explained("read"):
                if key.endswith("qutub.jpg"):
                    raise error
            return super().read_head(key, size)

    *_, last = run(Closed([library]), classifier, Forgetful(), Settings("r"))
    assert last.status is Status.FAILED
    assert "cannot be read" in last.reason and "check the" in last.reason
