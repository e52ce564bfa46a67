"""Folders that are skipped, by name or by a marker file in them; each row of the list."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import COLOURS, photo
from PIL import Image

from tagger.cli.main import main
from tagger.errors import SkippedError
from tagger.storage import skipping, suffixes
from tagger.storage.local import LocalStorage
from tagger.storage.skipping import Skipping

GREY = photo((120, 120, 120))
FOLDERS = (
    "Photos Library.photoslibrary/originals/0", "OLD.PHOTOLIBRARY/x", "a.aplibrary",
    "b.migratedphotolibrary", "Lr/Previews.lrdata", "Lr/c.lrcat-data/1", "immich/thumbs",
    "immich-app/library/encoded-video/a", "nc/files_versions", "nc/files_trashbin/files",
    "nc/appdata_oc1/preview", "photoprism/cache/thumbnails", "pw/_data/i", "album/@eaDir/x",
    "#recycle", "~snapshot/daily.0", ".Trash-1000/files", ".thumbnails/large", "$Recycle.Bin/S-1",
    ".tmp.drivedownload/1", ".dropbox.cache", "dk/.dtrash/files", "dt/mipmaps-0a1b.d/1",
)  # fmt: skip
MARKS = {"store/.immich": "store", "pp/.ppstorage": "pp", "any/CACHEDIR.TAG": "any"}


def keys(folder: Path, on: bool = True) -> tuple[list[str], int]:
    skip = Skipping(on)
    entries = LocalStorage([folder], skipping=skip).list()
    return [str(Path(entry.key).relative_to(folder)) for entry in entries], skip.folders


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for place in (*FOLDERS, *MARKS.values(), "album", "storage", "Trash", "_data", "thumbs", "app"):
        (tmp_path / "in" / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / place / "x.jpg").write_bytes(GREY)
    for mark in MARKS:
        (tmp_path / "in" / mark).touch()
    return tmp_path / "in"


def test_what_programs_manage_is_left_alone_and_counted(library: Path) -> None:
    plain = [f"{name}/x.jpg" for name in ("Trash", "_data", "album", "app", "storage", "thumbs")]
    assert keys(library) == (plain, len(FOLDERS) + len(MARKS))
    hidden = sum(name.startswith(".") or "/." in name for name in FOLDERS)
    listed, count = keys(library, on=False)
    assert (len(listed), count) == (len(plain) + len(FOLDERS) + len(MARKS) - hidden, 0)


@pytest.mark.parametrize("folder", [*FOLDERS, *MARKS.values()])
def test_such_a_folder_is_refused_as_path(library: Path, folder: str) -> None:
    for place in (library / folder, library / folder / "x.jpg"):
        with pytest.raises(SkippedError, match=r"files are left alone; .* or add --no-skip"):
            LocalStorage([place])
        assert len(list(LocalStorage([place], skipping=Skipping(False)).list())) == 1


def test_a_link_to_a_library_is_refused_by_either_name(library: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(library / "a.aplibrary")
    (tmp_path / "x.photoslibrary").symlink_to(library / "album")
    for name in ("link", "x.photoslibrary"):
        with pytest.raises(SkippedError, match="library"):
            LocalStorage([tmp_path / name])


def test_each_row_says_what_it_is_and_why() -> None:
    rows = skipping.kinds()
    assert len({row.folder.casefold() for row in rows}) == len(rows) > 60
    assert all(row.what and row.why for row in rows)
    names = (row.folder for row in rows if not row.folder.startswith("holding "))
    for parent, _, name in (name.rpartition("/") for name in names):
        plain = name.replace("[0-9]", "0").replace("*", "x")
        assert skipping.is_skipped(plain.swapcase(), parent.replace("*", ""))


@pytest.fixture
def tag(colour_model: Path, tmp_path: Path) -> Callable[..., Result]:
    fixed = ["--model", colour_model, "--ledger", tmp_path / "l.db", "--report", tmp_path / "r.csv"]
    return lambda *words: CliRunner().invoke(main, [*map(str, fixed), *map(str, words)])


def test_the_command_tells_and_refuses(
    library: Path, tag: Callable[..., Result], bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    before = bytes_of(library)
    result = tag(library)
    assert f"{len(FOLDERS) + len(MARKS)} folders skipped: managed libraries" in result.output
    result = tag(library / "a.aplibrary")
    assert result.exit_code == 2 and "an Aperture library (managed by Aperture)" in result.output
    assert bytes_of(library) == before
    assert tag(library / "a.aplibrary", "--no-skip").exit_code == 0


def test_every_name_of_a_photo_gets_a_row(tmp_path: Path, tag: Callable[..., Result]) -> None:
    names = (".hif .mpo .insp .jxl .apng .avifs .heics .gpr .erf .mrw .rwl .mos .kdc .dcr .mef "
             ".fff .cap .bay .cs1 .mdc").split()  # fmt: skip
    assert set(names) < suffixes.LISTED_SUFFIXES
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / f"x{name.upper()}").write_bytes(GREY)
    (tmp_path / "in" / "y.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    assert tag(tmp_path / "in").exit_code == 0
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert len(rows) == len(names) + 1
    assert rows["y.jxl"]["reason"] == "JPEG XL is not decoded here; export it as JPEG or PNG"
    raw = {f"x{name.upper()}" for name in names if name in suffixes.RAW_SUFFIXES}
    assert {name for name, row in rows.items() if "camera raw" in row["reason"]} == raw
    assert rows["x.HIF"]["status"] == rows["x.MPO"]["status"] == "no_landmark"


def test_apply_and_remove_leave_them_alone_too(tmp_path: Path, tag: Callable[..., Result]) -> None:
    (folder := tmp_path / "in" / "x.photoslibrary").mkdir(parents=True)
    taj = photo(COLOURS["Taj_Mahal"])
    (folder / "a.jpg").write_bytes(taj)
    assert tag(tmp_path / "in", "--no-skip", "--dry-run").exit_code == 0

    def call(*words: object) -> Result:
        return CliRunner().invoke(main, [*map(str, words), "--ledger", str(tmp_path / "l.db")])

    result = call("apply", tmp_path / "r.csv")
    assert result.exit_code == 1 and "left alone; apply takes --no-skip" in result.output
    assert (folder / "a.jpg").read_bytes() == taj
    assert call("apply", tmp_path / "r.csv", "--no-skip").exit_code == 0
    tagged = (folder / "a.jpg").read_bytes()
    assert tagged != taj and call("remove", folder).exit_code == 2
    assert "0 tags removed" in call("remove", tmp_path / "in").output
    assert (folder / "a.jpg").read_bytes() == tagged
    assert "1 tag removed" in call("remove", tmp_path / "in", "--no-skip").output


def test_an_mpo_keeps_its_second_picture(tmp_path: Path, tag: Callable[..., Result]) -> None:
    first = Image.open(io.BytesIO(photo(COLOURS["Taj_Mahal"])))
    path = tmp_path / "x.MPO"
    first.save(path, format="MPO", save_all=True, append_images=[first.rotate(180)])
    with Image.open(path) as before:
        before.seek(1)
        second = before.tobytes()
    result = tag(path)
    assert result.exit_code == 0 and "1  tagged" in result.output
    assert not path.with_name("x.MPO.xmp").exists()
    with Image.open(path) as after:
        assert after.format == "MPO" and after.getexif().get_ifd(0x8825)
        after.seek(1)
        assert after.tobytes() == second
