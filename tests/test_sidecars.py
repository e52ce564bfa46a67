"""A sidecar belongs to one photo: a raw file and a JPEG never share one."""

from pathlib import Path

import pytest
from awkward_photos import TAG, packet
from memory_storage import MemoryStorage
from places import tag
from test_writing import PLAIN, Diary, one

from tagger import metadata
from tagger.records import Entry, SidecarMode, SidecarName
from tagger.storage.local import LocalStorage
from tagger.storage.siblings import Siblings
from tagger.writing import sidecars
from tagger.writing.write_tag import WriteOptions, write_tag

PHOTOSHOP = 'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
STEM = WriteOptions(SidecarMode.ALWAYS, SidecarName.STEM)
FULL = WriteOptions(SidecarMode.ALWAYS, SidecarName.FULL)
AT = ' exif:GPSLatitude="48,5N" exif:GPSLongitude="2,3E"'


def of_raw(extension: str = "CR2", more: str = "") -> bytes:
    return packet(attributes=f'{PHOTOSHOP} photoshop:SidecarForExtension="{extension}"{more}')


def write(storage: MemoryStorage, key: str, options: WriteOptions) -> set[str]:
    """Tag one photo; returns the names of new and changed files."""
    before = dict(storage.files)
    (entry,) = (entry for entry in storage.list() if entry.key == key)
    write_tag(storage, Diary(), entry, tag(), options)
    return {name for name in storage.files if storage.files[name] != before.get(name)}


@pytest.mark.parametrize("options", [STEM, FULL])
@pytest.mark.parametrize("beside", [{}, {"p/a.cr2": b"raw"}])
def test_the_sidecar_of_a_raw_file_is_not_the_jpegs(
    options: WriteOptions, beside: dict[str, bytes]
) -> None:
    storage = MemoryStorage({"p/a.jpg": PLAIN, "p/a.xmp": of_raw(more=AT), **beside})
    assert write(storage, "p/a.jpg", options) == {"p/a.jpg.xmp"}


@pytest.mark.parametrize(
    "data",
    [
        of_raw("JPG"),
        of_raw("jpg"),
        of_raw(".jpg"),
        packet(),
        packet(f"<photoshop:SidecarForExtension {PHOTOSHOP}>JPG</photoshop:SidecarForExtension>"),
    ],
)
def test_a_sidecar_that_is_for_the_photo_takes_the_tag(data: bytes) -> None:
    storage = MemoryStorage({"a.jpg": PLAIN, "a.xmp": data})
    assert write(storage, "a.jpg", FULL) == {"a.xmp"}


def test_photos_of_one_stem_get_a_sidecar_each() -> None:
    names = ("a.jpg", "a.cr2", "a.png", "b.jpg", "b.jpg.jpg")
    storage = MemoryStorage(dict.fromkeys(names, PLAIN))
    for name in ("a.jpg", "a.png", "b.jpg.jpg", "b.jpg"):
        assert write(storage, name, STEM) == {f"{name}.xmp" if name != "b.jpg" else "b.xmp"}


def test_photos_of_one_stem_do_not_write_into_the_sidecar_that_lies_there() -> None:
    storage = MemoryStorage({"a.jpg": PLAIN, "a.png": PLAIN, "a.xmp": packet()})
    assert write(storage, "a.jpg", FULL) == {"a.jpg.xmp"}
    assert write(storage, "a.png", STEM) == {"a.png.xmp"}


def test_a_position_in_a_sidecar_that_may_be_the_photos_is_heeded() -> None:
    """A photo.xmp that could belong to either photo keeps both from being tagged."""
    storage = MemoryStorage({"a.jpg": PLAIN, "a.png": PLAIN, "a.xmp": packet(attributes=AT)})
    for entry in storage.list():
        (sidecar,) = sidecars.own(storage, entry)
        assert metadata.has_sidecar_gps(sidecar.blob.data)


def test_a_new_sidecar_of_the_stem_says_which_photo_it_is_for() -> None:
    storage = MemoryStorage({"a.JPG": PLAIN})
    assert write(storage, "a.JPG", STEM) == {"a.xmp"}
    made = storage.files["a.xmp"].data
    assert metadata.sidecar_extension(made) == "JPG"
    assert metadata.stripped_sidecar(made) is None
    storage.put("a.png", PLAIN)
    assert write(storage, "a.png", STEM) == {"a.png.xmp"}
    assert metadata.sidecar_extension(storage.files["a.png.xmp"].data) == ""


def test_what_another_program_added_to_a_sidecar_of_ours_stays() -> None:
    made = metadata.sidecar(None, TAG, "JPG")
    rated = made.replace(b" photoshop:Side", b" photoshop:Urgency='1' photoshop:Side")
    rest = metadata.stripped_sidecar(rated)
    assert rest is not None
    assert b"Urgency" in rest and b"SidecarForExtension" in rest


@pytest.mark.parametrize("data", [b"", b"SidecarForExtension", of_raw()[:-150]])
def test_what_does_not_parse_says_nothing(data: bytes) -> None:
    assert metadata.sidecar_extension(data) == ""


def test_a_sidecar_in_another_case_is_the_photos(tmp_path: Path) -> None:
    (tmp_path / "IMG.JPG").write_bytes(PLAIN)
    (tmp_path / "IMG.jpg.xmp").write_bytes(packet(attributes=AT))
    (entry,) = LocalStorage([tmp_path]).list()
    assert entry.sidecars == (str(tmp_path / "IMG.jpg.xmp"),)
    assert LocalStorage([tmp_path / "IMG.JPG"]).list().__next__() == entry


def test_a_sidecar_in_another_case_takes_the_tag_of_a_photo_alone() -> None:
    storage = MemoryStorage({"IMG.JPG": PLAIN, "IMG.jpg.xmp": packet()})
    assert write(storage, "IMG.JPG", FULL) == {"IMG.jpg.xmp"}
    storage = MemoryStorage({"IMG.JPG": PLAIN, "IMG.jpg": PLAIN, "IMG.jpg.xmp": packet()})
    assert write(storage, "IMG.JPG", FULL) == {"IMG.JPG.xmp"}


def test_names_that_only_look_alike_are_no_siblings() -> None:
    siblings = Siblings(["a.jpg", "A.png", "b.jpg"], ["A.xmp", "a.jpeg.xmp", "ab.xmp", "b.Xmp"])
    assert siblings.sidecars("a.jpg") == []
    assert siblings.sidecars("b.jpg") == ["b.Xmp"]
    assert not siblings.share_stem("a.jpg")


def test_an_entry_alone_is_written_as_before() -> None:
    entry = Entry("x/a.jpg", one(MemoryStorage({"a.jpg": PLAIN})).version)
    assert sidecars.target(entry, [], SidecarName.STEM) == ("x/a.xmp", None, "jpg")
    assert sidecars.target(entry, [], SidecarName.FULL) == ("x/a.jpg.xmp", None, "")
