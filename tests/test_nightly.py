"""A second run over a library that hardly changed opens only what it must."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import COLOURS, photo

from tagger.blob import Blob
from tagger.evidence.sources import Sources
from tagger.imaging import decoders
from tagger.imaging.decode import Resize
from tagger.ledger.ledger import Ledger, new_run_id
from tagger.ledger.undo import undo
from tagger.model.classifier import Classifier
from tagger.records import Entry, Outcome, SidecarMode, Status, Version
from tagger.run.library_pass import decoded
from tagger.run.pipeline import run
from tagger.run.stages import Settings
from tagger.storage.local import LocalStorage
from tagger.writing.write_tag import WriteOptions


class Counting(LocalStorage):
    """Notes which photos were opened."""

    def __init__(self, folder: Path) -> None:
        super().__init__([folder])
        self.opened: set[str] = set()
        self.whole: set[str] = set()

    def read_head(self, key: str, size: int) -> bytes:
        self.opened.add(Path(key).name)
        return super().read_head(key, size)

    def read(self, key: str) -> Blob:
        self.opened.add(Path(key).name)
        self.whole.add(Path(key).name)
        return super().read(key)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture(scope="module")
def classifier(colour_model: Path) -> Classifier:
    return Classifier(colour_model, "cpu")


def nightly(
    book: Ledger, folder: Path, classifier: Classifier, **settings: Any
) -> tuple[dict[str, str], set[str]]:
    storage, chosen = Counting(folder), Settings(new_run_id(), **settings)
    with book.begin(chosen.run_id, [str(folder)], {}, classifier.sha256) as recorder:
        statuses = {}
        for outcome in run(storage, classifier, recorder, chosen):
            recorder.seen(outcome)
            statuses[Path(outcome.entry.key).name] = outcome.status.value
    return statuses, storage.opened


AFTER = {"a_taj.jpg": "has_gps", "b_grey.jpg": "no_landmark", "eiffel.JPG": "has_gps",
         "qutub.jpg": "has_gps"}  # fmt: skip


def test_an_unchanged_library_is_not_opened(
    book: Ledger, library: Path, classifier: Classifier
) -> None:
    nightly(book, library, classifier)
    for _ in range(2):
        statuses, opened = nightly(book, library, classifier)
        assert (statuses, opened) == (AFTER, set())


def test_only_what_changed_or_is_new_is_opened(
    book: Ledger, library: Path, classifier: Classifier
) -> None:
    nightly(book, library, classifier)
    (library / "b_grey.jpg").write_bytes(photo(COLOURS["Qutub_Minar"]))
    (library / "new.jpg").write_bytes(photo((90, 90, 90)))
    statuses, opened = nightly(book, library, classifier)
    assert statuses == AFTER | {"b_grey.jpg": "tagged", "new.jpg": "no_landmark"}
    assert opened == {"b_grey.jpg", "new.jpg"}


def test_a_photo_that_lost_its_sidecar_is_tagged_again(
    book: Ledger, library: Path, classifier: Classifier
) -> None:
    always = {"write": WriteOptions(SidecarMode.ALWAYS)}
    nightly(book, library, classifier, **always)
    assert nightly(book, library, classifier, **always) == (AFTER, set())
    (library / "a_taj.jpg.xmp").unlink()
    statuses, opened = nightly(book, library, classifier, **always)
    assert statuses["a_taj.jpg"] == "tagged" and opened == {"a_taj.jpg"}
    assert all(undo(lambda _: LocalStorage(), book, book.runs()[0]))
    assert nightly(book, library, classifier, **always)[0]["a_taj.jpg"] == "tagged"


def test_another_threshold_decides_again_from_the_old_guess(
    book: Ledger, library: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = nightly(book, library, classifier, min_conf=1.0)
    assert set(first.values()) <= {"unsure", "no_landmark"}
    monkeypatch.setattr(classifier, "classify", lambda batch: pytest.fail("it decoded again"))
    statuses, opened = nightly(book, library, classifier, min_conf=0.6)
    assert statuses["a_taj.jpg"] == "tagged" and statuses["b_grey.jpg"] == "no_landmark"
    assert opened == {"a_taj.jpg", "eiffel.JPG", "qutub.jpg"}  # only to be written


def test_another_model_looks_again_at_what_was_not_tagged(
    book: Ledger, library: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    nightly(book, library, classifier)
    monkeypatch.setattr(classifier, "sha256", "f" * 64)
    assert nightly(book, library, classifier) == (AFTER, {"b_grey.jpg"})


def test_rescan_opens_everything(book: Ledger, library: Path, classifier: Classifier) -> None:
    nightly(book, library, classifier)
    assert nightly(book, library, classifier, rescan=True) == (AFTER, set(AFTER))


def test_photos_that_failed_are_looked_at_again(
    book: Ledger, library: Path, classifier: Classifier
) -> None:
    (library / "broken.jpg").write_bytes(b"\xff\xd8 not much of a photo")
    nightly(book, library, classifier)
    assert nightly(book, library, classifier)[1] == {"broken.jpg"}


def test_recall_needs_the_very_same_version(
    book: Ledger, library: Path, classifier: Classifier
) -> None:
    nightly(book, library, classifier)
    entry = next(LocalStorage([library / "b_grey.jpg"]).list())
    with book.begin(new_run_id(), [str(library)], {}) as recorder:
        assert recorder.recall(entry)
        for change in ({"size": 1}, {"mtime_ns": 1}, {"etag": "1"}):
            other = replace(entry.version, **change)
            assert recorder.recall(Entry(entry.key, other)) is None
        assert recorder.recall(Entry(entry.key, entry.version, sidecars=("x.xmp",))) is None


@pytest.mark.parametrize("order", ["sorted", "listed", "shuffled"])
def test_each_of_many_photos_is_recalled_in_any_order(book: Ledger, order: str) -> None:
    """More photos than are read ahead, every third one new, folders among files by name."""
    keys = [f"/p/{n % 7}{'/sub' * (n % 2)}/{n:04}\udcff.jpg" for n in range(500)]
    old = {key: Version(number, number) for number, key in enumerate(keys) if number % 3}
    with book.begin(new_run_id(), ["/p"], {"output": "/out"}, "m1") as recorder:
        for key, version in old.items():
            recorder.seen(Outcome(Entry(key, version), Status.NO_LANDMARK))
    match order:
        case "sorted":
            keys.sort()
        case "listed":  # a folder's files, then its folders
            keys.sort(key=lambda key: (key.split("/")[2], "/sub/" in key, key))
        case "shuffled":
            Random(0).shuffle(keys)
    with book.begin(new_run_id(), ["/p"], {}, "m2") as recorder:
        for key in keys:
            seen = recorder.recall(Entry(key, old.get(key, Version(0, 0))))
            assert (seen is not None) == (key in old), key
            if seen:
                assert (seen.status, seen.model_sha256, seen.output) == (
                    Status.NO_LANDMARK, "m1", "/out",
                )  # fmt: skip


@pytest.mark.parametrize("sources", [False, True])
def test_of_a_photo_that_nothing_decodes_only_the_first_bytes_are_read(
    tmp_path: Path, classifier: Classifier, sources: bool
) -> None:
    rest = b"x" * 200_000
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"\xff\x0a" + rest)  # JPEG XL
    (folder / "b.tif").write_bytes(b"8BPS" + rest)  # Photoshop
    (folder / "c.jpg").write_bytes(bytes(200_000))  # what it is, its end tells
    (folder / "d.jpg").write_bytes(photo(COLOURS["Taj_Mahal"]))
    storage = Counting(folder)
    others = Sources() if sources else None
    outcomes = list(run(storage, classifier, None, Settings("run"), sources=others))
    if others:
        others.close()
    assert [(one.status.value, one.reason) for one in outcomes[:3]] == [
        ("unsupported", "JPEG XL is not decoded here; export it as JPEG or PNG"),
        ("unsupported", "is Photoshop (PSD) by its content, which is not decoded; "
         "rename or exclude it"),
        ("unreadable", "the file holds 200000 bytes of zeros; restore it from a backup"),
    ]  # fmt: skip
    assert outcomes[3].status is Status.WOULD_TAG
    assert storage.whole - {"d.jpg"} == {"c.jpg"}


def test_a_photo_of_the_library_that_nothing_decodes_is_not_read_each_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"x" * 200_000)
    (tmp_path / "b.jpg").write_bytes(photo(COLOURS["Taj_Mahal"]))
    storage = Counting(tmp_path)
    heic, jpeg = storage.list()
    monkeypatch.setattr(decoders, "heif_opener", lambda: None)  # as without the extra
    assert decoded(storage, heic, 32, Resize.CROP) is None
    assert decoded(storage, jpeg, 32, Resize.CROP) is not None
    assert storage.whole == {"b.jpg"}
