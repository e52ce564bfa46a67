"""What every storage promises, as tests: inherit the class and give it a ``shelf`` fixture."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tagger.blob import Blob
from tagger.errors import ChangedError, VanishedError
from tagger.records import Version
from tagger.storage.base import Storage


@dataclass
class Shelf:
    """A storage, and the same place as another program sees it."""

    storage: Storage
    key: Callable[[str], str]
    put: Callable[[str, bytes], object]
    get: Callable[[str], bytes | None]
    names: Callable[[], list[str]]
    keeps_times: bool = True  # objects in buckets have no time that could be set


class StorageContract:
    def test_lists_each_photo_once_in_a_steady_order(self, shelf: Shelf) -> None:
        for name in ("b.jpg", "a.JPG", "sub/c.png", "notes.txt", "b.jpg.xmp", "a.xmp"):
            shelf.put(name, b"x")
        entries = list(shelf.storage.list())
        assert sorted(e.key for e in entries) == sorted(
            map(shelf.key, ("a.JPG", "b.jpg", "sub/c.png"))
        )
        assert [e.key for e in shelf.storage.list()] == [e.key for e in entries]
        sidecars = {e.key: e.sidecars for e in entries}
        assert sidecars[shelf.key("b.jpg")] == (shelf.key("b.jpg.xmp"),)
        assert sidecars[shelf.key("a.JPG")] == (shelf.key("a.xmp"),)

    def test_lists_sidecars_in_any_case_and_who_shares_a_stem(self, shelf: Shelf) -> None:
        names = ("I.JPG", "I.jpg.xmp", "s.cr2", "s.jpg", "s.xmp", "t.jpg", "t.jpg.jpg", "u.cr2")
        for name in (*names, "u.dng"):
            shelf.put(name, b"x")
        entries = {entry.key: entry for entry in shelf.storage.list()}
        assert entries[shelf.key("I.JPG")].sidecars == (shelf.key("I.jpg.xmp"),)
        shared = {key for key, entry in entries.items() if entry.shares_stem}
        # s.xmp is the raw file's, as Adobe names it; of two raw files it may be either's.
        assert shared == set(map(shelf.key, ("s.jpg", "t.jpg.jpg", "u.cr2", "u.dng")))

    def test_lists_the_movie_of_a_photo(self, shelf: Shelf) -> None:
        for name in ("I.HEIC", "I.MOV", "J.MP4", "J.jpg", "K.jpg", "Kx.mov", "L.mov", "L.JPG"):
            shelf.put(name, b"x")
        movies = {entry.key: entry.movie for entry in shelf.storage.list()}
        assert movies == {
            shelf.key("I.HEIC"): shelf.key("I.MOV"), shelf.key("J.jpg"): shelf.key("J.MP4"),
            shelf.key("K.jpg"): "", shelf.key("L.JPG"): shelf.key("L.mov"),
        }  # fmt: skip

    def test_the_listed_version_is_the_one_read(self, shelf: Shelf) -> None:
        shelf.put("a.jpg", b"photo")
        (entry,) = shelf.storage.list()
        blob = shelf.storage.read(entry.key)
        assert blob == Blob(b"photo", entry.version) and blob.version.size == 5

    def test_reads_a_head_that_may_be_the_whole(self, shelf: Shelf) -> None:
        shelf.put("a.jpg", b"0123456789")
        assert shelf.storage.read_head(shelf.key("a.jpg"), 4) == b"0123"
        assert shelf.storage.read_head(shelf.key("a.jpg"), 100) == b"0123456789"

    def test_reads_a_part_and_says_which_version_it_is_of(self, shelf: Shelf) -> None:
        shelf.put("a.jpg", b"0123456789")
        (entry,) = shelf.storage.list()
        for start, size, data in ((0, 4, b"0123"), (3, 4, b"3456"), (8, 100, b"89")):
            part = shelf.storage.read_part(entry.key, start, size)
            assert part == Blob(data, entry.version)
        shelf.put("a.jpg", b"")
        assert shelf.storage.read_part(entry.key, 0, 9).data == b""

    def test_write_replaces_what_was_read_and_keeps_its_time(self, shelf: Shelf) -> None:
        shelf.put("a.jpg", b"old")
        before = shelf.storage.read(shelf.key("a.jpg")).version
        after = shelf.storage.write(shelf.key("a.jpg"), b"newer", before)
        assert shelf.get("a.jpg") == b"newer"
        assert after == shelf.storage.read(shelf.key("a.jpg")).version
        assert after != before and after.mtime_ns == before.mtime_ns
        assert shelf.names() == ["a.jpg"]

    @pytest.mark.parametrize("change", [b"edited", b"OLD"], ids=["other size", "same size"])
    def test_a_changed_photo_is_neither_written_nor_deleted(
        self, shelf: Shelf, change: bytes
    ) -> None:
        shelf.put("a.jpg", b"old")
        before = shelf.storage.read(shelf.key("a.jpg")).version
        shelf.put("a.jpg", change)
        with pytest.raises(ChangedError, match="changed"):
            shelf.storage.write(shelf.key("a.jpg"), b"new", before)
        with pytest.raises(ChangedError, match="changed"):
            shelf.storage.delete(shelf.key("a.jpg"), before)
        assert shelf.get("a.jpg") == change and shelf.names() == ["a.jpg"]

    def test_create_makes_a_new_file_and_never_takes_a_name(self, shelf: Shelf) -> None:
        version = shelf.storage.write(shelf.key("a.jpg.xmp"), b"<x/>", None)
        assert shelf.storage.read(shelf.key("a.jpg.xmp")) == Blob(b"<x/>", version)
        with pytest.raises(ChangedError, match="appeared"):
            shelf.storage.write(shelf.key("a.jpg.xmp"), b"other", None)
        assert shelf.get("a.jpg.xmp") == b"<x/>" and shelf.names() == ["a.jpg.xmp"]

    def test_delete_removes_what_was_read(self, shelf: Shelf) -> None:
        version = shelf.storage.write(shelf.key("a.xmp"), b"<x/>", None)
        shelf.storage.delete(shelf.key("a.xmp"), version)
        assert shelf.names() == []

    def test_what_is_gone_says_so(self, shelf: Shelf) -> None:
        key, version = shelf.key("gone.jpg"), Version(1, 2, "3")
        for use in (
            lambda: shelf.storage.read(key),
            lambda: shelf.storage.read_head(key, 9),
            lambda: shelf.storage.read_part(key, 0, 9),
            lambda: shelf.storage.write(key, b"x", version),
            lambda: shelf.storage.delete(key, version),
        ):
            with pytest.raises(VanishedError):
                use()
        assert shelf.names() == []

    def test_a_file_gets_its_time_back(self, shelf: Shelf) -> None:
        shelf.put("a.jpg", b"photo")
        key, time_ns = shelf.key("a.jpg"), 1_234_567_890_123_456_000
        before = shelf.storage.read(key).version
        shelf.storage.set_mtime(key, time_ns, before)
        after = shelf.storage.read(key)
        assert after.data == b"photo"
        assert after.version.mtime_ns == (time_ns if shelf.keeps_times else 0)
        if shelf.keeps_times:
            with pytest.raises(ChangedError, match="changed"):  # it is another file by now
                shelf.storage.set_mtime(key, 77, before)
            assert shelf.storage.read(key).version.mtime_ns == time_ns

    @pytest.mark.parametrize("create", [True, False])
    def test_a_write_can_give_a_new_time(self, shelf: Shelf, create: bool) -> None:
        key, time_ns, before = shelf.key("a.jpg"), 1_234_567_890_123_456_000, None
        if not create:
            shelf.put("a.jpg", b"old")
            before = shelf.storage.read(key).version
        after = shelf.storage.write(key, b"new", before, mtime_ns=time_ns)
        assert after == shelf.storage.read(key).version
        assert after.mtime_ns == (time_ns if shelf.keeps_times else 0)

    def test_a_copy_is_created_with_the_traits_of_its_photo(self, shelf: Shelf) -> None:
        shelf.put("a.jpg", b"photo")
        traits = shelf.storage.traits(shelf.key("a.jpg"))
        shelf.storage.write(shelf.key("new/b.jpg"), b"copy", None, traits)
        assert shelf.get("new/b.jpg") == b"copy" and shelf.get("a.jpg") == b"photo"
        copied = shelf.storage.traits(shelf.key("new/b.jpg"))
        assert (copied.attributes, copied.tags) == (traits.attributes, traits.tags)
