"""The one way into a photo: noted before it happens, never over a photo that changed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import photo
from memory_storage import MemoryStorage
from places import tag

from tagger import metadata
from tagger.blob import Blob, Content
from tagger.errors import ChangedError, PhotoError, RefusedError, RunError
from tagger.imaging.decode import Resize
from tagger.records import (
    CameraPosition,
    Coords,
    Entry,
    GpsState,
    SidecarMode,
    SidecarName,
    Source,
    Tag,
    Version,
)
from tagger.run.inspect import check_and_decode
from tagger.storage.local import LocalStorage
from tagger.writing.remove_tag import remove_tag
from tagger.writing.write_tag import WriteOptions, tagged_by, write_tag

PLAIN = photo((200, 40, 40))
OPTIONS = WriteOptions()


class Diary:
    """A recorder that keeps its calls in order, and can be made to fail."""

    def __init__(self, broken: bool = False) -> None:
        self.lines: list[tuple[object, ...]] = []
        self._broken = broken

    def intend(self, key: str, before: Blob | None, after: Content | None) -> Callable[[], int]:
        def note() -> int:
            if self._broken:
                raise RunError("--ledger: the disk is full")
            new = None if after is None else bytes(after)
            self.lines.append(("intend", key, before.data if before else None, new))
            return len(self.lines)

        return note

    def settle(self, change: int, version: Version | None) -> None:
        self.lines.append(("settle", change, version))

    def drop(self, change: int) -> None:
        self.lines.append(("drop", change))

    @property
    def words(self) -> list[object]:
        return [line[0] for line in self.lines]


def one(storage: MemoryStorage | LocalStorage) -> Entry:
    (entry,) = storage.list()
    return entry


def test_a_write_is_noted_done_and_settled() -> None:
    storage, diary = MemoryStorage({"a.jpg": PLAIN}), Diary()
    entry = one(storage)
    assert write_tag(storage, diary, entry, tag(), OPTIONS) == ""
    after = storage.read("a.jpg")
    reading = metadata.gps_state(after.data, whole=True)
    assert reading and reading.state is GpsState.VALID
    assert diary.lines == [
        ("intend", "a.jpg", PLAIN, after.data),
        ("settle", 1, after.version),
    ]


def test_nothing_is_written_that_could_not_be_noted() -> None:
    storage = MemoryStorage({"a.jpg": PLAIN})
    with pytest.raises(RunError):
        write_tag(storage, Diary(broken=True), one(storage), tag(), OPTIONS)
    assert storage.files["a.jpg"].data == PLAIN


def test_a_photo_that_changed_since_it_was_looked_at() -> None:
    storage, diary = MemoryStorage({"a.jpg": PLAIN}), Diary()
    entry = one(storage)
    edited = photo((1, 200, 1))
    storage.put("a.jpg", edited)
    with pytest.raises(ChangedError, match="changed since"):
        write_tag(storage, diary, entry, tag(), OPTIONS)
    assert storage.files["a.jpg"].data == edited and diary.lines == []


def test_another_program_replaces_the_photo_between_read_and_write() -> None:
    storage, diary = MemoryStorage({"a.jpg": PLAIN}), Diary()
    entry, edited = one(storage), photo((1, 200, 1))
    storage.before_write = lambda key: storage.put(key, edited)
    with pytest.raises(ChangedError):
        write_tag(storage, diary, entry, tag(), OPTIONS)
    assert storage.files["a.jpg"].data == edited and diary.words == ["intend", "drop"]


def test_the_same_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(PLAIN)
    storage, diary, edited = LocalStorage([tmp_path]), Diary(), photo((1, 200, 1))
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        (tmp_path / "other").write_bytes(edited)
        (tmp_path / "other").replace(tmp_path / "a.jpg")

    entry = one(storage)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ChangedError, match="changed since"):
        write_tag(storage, diary, entry, tag(), OPTIONS)
    assert (tmp_path / "a.jpg").read_bytes() == edited
    assert os.listdir(tmp_path) == ["a.jpg"] and diary.words == ["intend", "drop"]


def test_a_failing_disk_drops_the_intent() -> None:
    storage, diary = MemoryStorage({"a.jpg": PLAIN}), Diary()

    def full(key: str) -> None:
        raise PhotoError("cannot be written (No space left on device)")

    entry, storage.before_write = one(storage), full
    with pytest.raises(PhotoError, match="No space"):
        write_tag(storage, diary, entry, tag(), OPTIONS)
    assert storage.files["a.jpg"].data == PLAIN and diary.words == ["intend", "drop"]


def test_a_photo_or_sidecar_that_got_gps_meanwhile_is_left() -> None:
    other = tag("Eiffel_Tower", "run-2")
    storage = MemoryStorage({"a.jpg": metadata.tagged(PLAIN, tag())})
    with pytest.raises(ChangedError, match="has GPS now"):
        write_tag(storage, Diary(), one(storage), other, OPTIONS)
    storage = MemoryStorage({"a.jpg": PLAIN, "a.jpg.xmp": metadata.sidecar(None, tag())})
    with pytest.raises(ChangedError, match="sidecar has GPS now"):
        write_tag(storage, Diary(), one(storage), other, OPTIONS)


@pytest.mark.parametrize("mode", [SidecarMode.AUTO, SidecarMode.ALWAYS])
@pytest.mark.parametrize("with_sidecar", [False, True])
def test_a_try_that_was_lost_after_it_wrote_is_made_again(
    mode: SidecarMode, with_sidecar: bool
) -> None:
    """As on a cluster when a node dies: the second try knows only what was listed."""
    beside = {"a.jpg.xmp": persons_sidecar()} if with_sidecar else {}
    storage, options = MemoryStorage({"a.jpg": PLAIN, **beside}), WriteOptions(mode)
    entry = one(storage)
    first = write_tag(storage, Diary(), entry, tag(), options)
    written = dict(storage.files)
    assert any(tagged_by(blob.data, "run-1") for blob in written.values())
    assert check_and_decode(storage, entry, 32, Resize.CROP, "run-1").views is not None
    assert write_tag(storage, Diary(), entry, tag(), options) == first
    assert storage.files == written

    with pytest.raises((ChangedError, RefusedError)):  # it never gets two places
        write_tag(storage, Diary(), entry, tag("Eiffel_Tower"), options)
    assert storage.files == written
    with pytest.raises(ChangedError):  # another run's is not taken for ours
        write_tag(storage, Diary(), entry, tag(run_id="run-12"), options)


@pytest.mark.parametrize(
    ("naming", "name"), [(SidecarName.FULL, "p/a.jpg.xmp"), (SidecarName.STEM, "p/a.xmp")]
)
def test_sidecars_get_the_name_that_was_asked_for(naming: SidecarName, name: str) -> None:
    storage = MemoryStorage({"p/a.jpg": PLAIN})
    options = WriteOptions(SidecarMode.ALWAYS, naming)
    assert write_tag(storage, Diary(), one(storage), tag(), options) == "in a sidecar"
    assert storage.files["p/a.jpg"].data == PLAIN and set(storage.files) == {"p/a.jpg", name}
    assert metadata.has_sidecar_gps(storage.files[name].data)


def persons_sidecar() -> bytes:
    rated = b'<rdf:Description xmp:Rating="5" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    ours = metadata.sidecar(None, tag()).replace(b"<rdf:Description", rated, 1)
    theirs = metadata.stripped_sidecar(ours)
    assert theirs is not None and b"Rating" in theirs
    return theirs


def test_a_sidecar_that_lies_there_is_merged_into_whatever_its_name() -> None:
    storage = MemoryStorage({"a.jpg": PLAIN, "a.xmp": persons_sidecar()})
    write_tag(storage, Diary(), one(storage), tag(), WriteOptions(SidecarMode.ALWAYS))
    assert set(storage.files) == {"a.jpg", "a.xmp"}
    merged = storage.files["a.xmp"].data
    assert b'Rating="5"' in merged and metadata.has_sidecar_gps(merged)


def test_a_refused_photo_gets_a_sidecar_or_with_never_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(data: bytes, wanted: object) -> bytes:
        raise RefusedError("its EXIF has no room")

    monkeypatch.setattr(metadata, "spliced", refuse)
    storage = MemoryStorage({"a.jpg": PLAIN})
    entry, never = one(storage), WriteOptions(SidecarMode.NEVER)
    why = "^its EXIF has no room; without --sidecar never it gets a sidecar$"
    with pytest.raises(RefusedError, match=why):
        write_tag(storage, Diary(), entry, tag(), never)
    assert set(storage.files) == {"a.jpg"}
    assert write_tag(storage, Diary(), entry, tag(), OPTIONS) == (
        "in a sidecar: its EXIF has no room"
    )
    assert storage.files["a.jpg"].data == PLAIN and "a.jpg.xmp" in storage.files


def test_no_sidecar_is_promised_for_a_tag_that_none_takes() -> None:
    storage = MemoryStorage({"a.jpg": PLAIN})
    nowhere = CameraPosition(0.0, 0.0, 10, Source.TRACK, "", 1.0)
    for mode in SidecarMode:
        with pytest.raises(RefusedError, match=r"^track gives 0, 0, .*; correct its files$"):
            write_tag(
                storage, Diary(), one(storage),
                Tag(None, Coords.BOTH, tag().provenance, nowhere), WriteOptions(mode),
            )  # fmt: skip
    assert set(storage.files) == {"a.jpg"}


def test_only_our_tag_is_removed_and_without_a_recorder_none() -> None:
    storage = MemoryStorage({"a.jpg": PLAIN, "b.jpg": metadata.tagged(PLAIN, tag())})
    read = storage.read
    assert remove_tag(storage, Diary(), "a.jpg", read("a.jpg")) is False
    tagged = read("b.jpg")
    assert remove_tag(storage, None, "b.jpg", tagged) is True and read("b.jpg") == tagged
    diary = Diary()
    assert remove_tag(storage, diary, "b.jpg", tagged) is True
    assert read("b.jpg").data == PLAIN and diary.words == ["intend", "settle"]
