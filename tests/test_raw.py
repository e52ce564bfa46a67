"""Camera raw: classified by its preview, tagged in a sidecar, never written to."""

import io
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import raw_photos
from click.testing import CliRunner
from conftest import COLOURS, photo
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_storage import MemoryStorage
from PIL import Image
from places import tag as a_tag
from raw_photos import MAKERS, preview
from test_writing import Diary

import tagger
from tagger import metadata
from tagger.cli.main import main
from tagger.errors import ChangedError, PhotoError, RefusedError, UnsupportedError
from tagger.imaging import preview as previews
from tagger.imaging.decode import Resize, open_upright
from tagger.metadata.formats import raw
from tagger.records import Status
from tagger.review import trial
from tagger.review.thumbnails import thumbnail_of
from tagger.run.inspect import check_and_decode
from tagger.storage.raw_file import RawFile
from tagger.writing.write_tag import WriteOptions, write_tag

PARIS = (48.85826, 2.2945)
TAG = a_tag()
EIFFEL = preview(COLOURS["Eiffel_Tower"])
needs_exiftool = pytest.mark.skipif(not shutil.which("exiftool"), reason="ExifTool is not here")
needs_exiv2 = pytest.mark.skipif(not shutil.which("exiv2"), reason="exiv2 is not here")
AT = b' exif:GPSLatitude="48,5N" exif:GPSLongitude="2,3E"'
LIGHTROOM = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
   xmp:Rating="4" xmp:Label="Red" exif:ISOSpeedRatings="100"
   photoshop:SidecarForExtension="%s"
   crs:Version="15.3" crs:ProcessVersion="11.0" crs:WhiteBalance="As Shot"
   crs:Temperature="5150" crs:Exposure2012="+0.65" crs:HasSettings="True">
   <crs:ToneCurvePV2012>
    <rdf:Seq>
     <rdf:li>0, 0</rdf:li>
     <rdf:li>255, 255</rdf:li>
    </rdf:Seq>
   </crs:ToneCurvePV2012>
   <crs:Look>
    <rdf:Description crs:Name="Adobe Color" crs:Amount="1">
     <crs:Parameters>
      <rdf:Description crs:LookTable="E1095149FDB39D7A057BAB208837E2E1"/>
     </crs:Parameters>
    </rdf:Description>
   </crs:Look>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
DARKTABLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:darktable="http://darktable.sf.net/"
   exif:DateTimeOriginal="2024:05:01 12:00:00.000"
   xmp:Rating="1"
   xmpMM:DerivedFrom="a.%s"
   darktable:xmp_version="5"
   darktable:raw_params="0"
   darktable:history_end="2">
   <darktable:masks_history>
    <rdf:Seq/>
   </darktable:masks_history>
   <darktable:history>
    <rdf:Seq>
     <rdf:li darktable:num="0" darktable:operation="exposure" darktable:enabled="1"
      darktable:params="gz04eJxjYGBgkGAAgRNODGiAEV0AJ2iwh+CRyscOAAdeGQQ="/>
     <rdf:li darktable:num="1" darktable:operation="filmicrgb" darktable:enabled="0"
      darktable:params="gz09eJybwQABHsIVX0HUBO4Ve2ZGRgYMAAAMfgVn"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


@pytest.fixture
def tag(tag_photos: Any) -> Any:
    """Run the command over tmp_path/photos; the report's rows by file name."""
    return lambda *options, code=0: tag_photos(*options, code=code)[1]


def shelf(tmp_path: Path, **files: bytes) -> Path:
    """A folder of files; an underscore stands for the dot in a name."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
        os.utime(folder / name.replace("_", "."), ns=(1_700_000_000_123_456_789,) * 2)
    return folder


def exiftool(path: Path, *options: str) -> dict[str, str]:
    done = subprocess.run(
        ["exiftool", "-n", "-G1", "-s", "-a", *options, str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = (line.split(":", 1) for line in done.stdout.splitlines())
    return {" ".join(name.split()): value.strip() for name, value in lines}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_raw_file_is_tagged_by_its_preview_in_a_sidecar(
    tmp_path: Path, tag: Any, kind: str
) -> None:
    folder = shelf(tmp_path, **{f"a_{kind}": MAKERS[kind](EIFFEL)})
    file = folder / f"a.{kind}"
    before, stat = file.read_bytes(), file.stat()
    row = tag()[file.name]
    assert (row["status"], row["landmark"]) == ("tagged", "Eiffel Tower")
    assert row["reason"].endswith("in a sidecar: camera raw is never written; its sidecar is")
    assert file.read_bytes() == before and file.stat().st_mtime_ns == stat.st_mtime_ns
    assert file.stat().st_ino == stat.st_ino and file.stat().st_ctime_ns == stat.st_ctime_ns
    assert sorted(os.listdir(folder)) == [file.name, f"{file.name}.xmp"]
    assert metadata.position((folder / f"{file.name}.xmp").read_bytes()) == pytest.approx(
        PARIS, abs=1e-5
    )
    assert tag("--rescan")[file.name]["status"] == "has_gps"
    undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(tmp_path / "ledger.db")])
    assert undone.exit_code == 0 and os.listdir(folder) == [file.name]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_raw_file_with_a_position_is_left_alone(tmp_path: Path, tag: Any, kind: str) -> None:
    folder = shelf(tmp_path, **{f"a_{kind}": MAKERS[kind](EIFFEL, PARIS)})
    assert tag()[f"a.{kind}"]["status"] == "has_gps"
    assert os.listdir(folder) == [f"a.{kind}"]
    assert raw.read((folder / f"a.{kind}").read_bytes()).block != b""


@needs_exiftool
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("at", [None, PARIS, (-33.85, 151.21)])
def test_exiftool_reads_the_same_of_a_raw_file(
    tmp_path: Path, kind: str, at: tuple[float, float] | None
) -> None:
    data = MAKERS[kind](EIFFEL, at)
    (tmp_path / f"a.{kind}").write_bytes(data)
    tags = exiftool(tmp_path / f"a.{kind}", "-GPSPosition", "-DateTimeOriginal")
    position = metadata.position(raw.read(data).block)
    assert (position is None) is (at is None)
    assert any("2024:05:01 12:00:00" in value for value in tags.values())
    if at:
        shown = [float(part) for part in tags["[Composite] GPSPosition"].split()]
        assert position == pytest.approx(at, abs=1e-6) and shown == pytest.approx(at, abs=1e-6)


@pytest.mark.parametrize("where", ["a.cr2.xmp", "a.xmp", "a.CR2.XMP"])
def test_a_position_in_a_sidecar_of_either_name_counts(
    tmp_path: Path, tag: Any, where: str
) -> None:
    folder = shelf(tmp_path, a_cr2=MAKERS["cr2"](EIFFEL))
    data = (LIGHTROOM % b"CR2").replace(b' xmp:Rating="4"', AT)
    (folder / where).write_bytes(data)
    row = tag()["a.cr2"]
    assert (row["status"], row["reason"]) == ("has_gps", "in its sidecar")
    assert (folder / where).read_bytes() == data and len(os.listdir(folder)) == 2


@needs_exiftool
@needs_exiv2
@pytest.mark.parametrize(
    ("name", "data"), [("a.xmp", LIGHTROOM % b"CR2"), ("a.cr2.xmp", DARKTABLE % b"cr2")]
)
@pytest.mark.parametrize("naming", ["full", "stem"])
def test_develop_settings_survive_in_the_sidecar(
    tmp_path: Path, tag: Any, name: str, data: bytes, naming: str
) -> None:
    folder = shelf(tmp_path, a_cr2=MAKERS["cr2"](EIFFEL))
    (folder / name).write_bytes(data)
    before = exiftool(folder / name, "-XMP:all")
    assert tag("--sidecar-name", naming)["a.cr2"]["status"] == "tagged"
    assert sorted(os.listdir(folder)) == sorted(["a.cr2", name])
    after = exiftool(folder / name, "-XMP:all")
    lost = {key: value for key, value in before.items() if after.get(key) != value}
    assert not {key for key in lost if "XMPToolkit" not in key}
    assert float(after["[XMP-exif] GPSLatitude"]) == pytest.approx(PARIS[0], abs=1e-5)
    for line in data.splitlines():
        if b"crs:" in line or b"darktable:" in line:
            assert line.strip().removesuffix(b">") in (folder / name).read_bytes()
    shown = subprocess.run(
        ["exiv2", "-PXkv", str(folder / name)], capture_output=True, text=True, check=True
    ).stdout
    assert "Xmp.exif.GPSLatitude" in shown and "48,51." in shown
    assert "Xmp.crs.Temperature" in shown or "Xmp.darktable.history_end" in shown
    undone = CliRunner().invoke(main, ["undo", "last", "--ledger", str(tmp_path / "ledger.db")])
    assert undone.exit_code == 0 and (folder / name).read_bytes() == data


@needs_exiftool
@needs_exiv2
@pytest.mark.parametrize(("naming", "name"), [("full", "a.dng.xmp"), ("stem", "a.xmp")])
def test_a_new_sidecar_has_the_name_that_the_program_uses(
    tmp_path: Path, tag: Any, naming: str, name: str
) -> None:
    folder = shelf(tmp_path, a_dng=MAKERS["dng"](EIFFEL))
    tag("--sidecar-name", naming)
    assert sorted(os.listdir(folder)) == ["a.dng", name]
    tags = exiftool(folder / name, "-XMP:all")
    assert float(tags["[XMP-exif] GPSLongitude"]) == pytest.approx(PARIS[1], abs=1e-5)
    extension = tags.get("[XMP-photoshop] SidecarForExtension", "")
    assert extension == ("dng" if naming == "stem" else "")
    subprocess.run(["exiv2", "-PXkv", str(folder / name)], capture_output=True, check=True)


@pytest.mark.parametrize("naming", ["full", "stem"])
@pytest.mark.parametrize("beside", [LIGHTROOM % b"CR2", LIGHTROOM % b""])
def test_a_sidecar_of_the_stem_is_the_raw_files_not_the_jpegs(
    tmp_path: Path, tag: Any, naming: str, beside: bytes
) -> None:
    jpeg = photo(COLOURS["Eiffel_Tower"])
    folder = shelf(tmp_path, a_CR2=MAKERS["cr2"](EIFFEL), a_JPG=jpeg, a_xmp=beside)
    rows = tag("--sidecar-name", naming)
    assert {row["status"] for row in rows.values()} == {"tagged"}
    assert sorted(os.listdir(folder)) == ["a.CR2", "a.JPG", "a.xmp"]
    assert metadata.position((folder / "a.xmp").read_bytes())
    assert metadata.position((folder / "a.JPG").read_bytes())


def test_of_a_raw_file_and_a_jpeg_the_raw_file_gets_the_stems_sidecar(
    tmp_path: Path, tag: Any
) -> None:
    jpeg = photo(COLOURS["Eiffel_Tower"])
    folder = shelf(
        tmp_path, a_CR2=MAKERS["cr2"](EIFFEL), a_JPG=jpeg,
        b_CR2=MAKERS["cr2"](EIFFEL), b_DNG=MAKERS["dng"](EIFFEL),
    )  # fmt: skip
    tag("--sidecar-name", "stem")
    new = {name for name in os.listdir(folder) if name.endswith(".xmp")}
    assert new == {"a.xmp", "b.CR2.xmp", "b.DNG.xmp"}  # b.xmp might be either's


def test_without_sidecars_a_raw_file_is_left_alone(tmp_path: Path, tag: Any) -> None:
    folder = shelf(tmp_path, a_dng=MAKERS["dng"](EIFFEL))
    row = tag("--sidecar", "never")["a.dng"]
    assert (row["status"], os.listdir(folder)) == ("unsupported", ["a.dng"])
    assert row["reason"].endswith("; without --sidecar never it gets a sidecar")


def test_a_raw_file_with_two_names_splits_nothing(tmp_path: Path, tag: Any) -> None:
    folder = shelf(tmp_path, a_dng=MAKERS["dng"](EIFFEL))
    os.link(folder / "a.dng", tmp_path / "other.dng")
    assert tag()["a.dng"]["status"] == "tagged"
    assert (folder / "a.dng").stat().st_nlink == 2


def test_a_copy_of_a_raw_file_lies_beside_its_sidecar(tmp_path: Path, tag: Any) -> None:
    folder = shelf(tmp_path, a_dng=MAKERS["dng"](EIFFEL))
    assert tag("--output", str(tmp_path / "out"))["a.dng"]["status"] == "tagged"
    assert (tmp_path / "out" / "a.dng").read_bytes() == (folder / "a.dng").read_bytes()
    assert sorted(os.listdir(tmp_path / "out")) == ["a.dng", "a.dng.xmp"]
    assert os.listdir(folder) == ["a.dng"]


def test_a_reviewed_raw_file_is_applied_and_shown(
    tmp_path: Path, tag: Any, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    folder = shelf(tmp_path, a_cr3=MAKERS["cr3"](EIFFEL))
    before = bytes_of(folder)
    assert tag("--dry-run")["a.cr3"]["status"] == "would_tag"
    assert bytes_of(folder) == before
    shown = thumbnail_of(str(folder / "a.cr3"), folder, 160)
    with Image.open(io.BytesIO(shown)) as picture:
        red, green, blue = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        assert picture.width == 160 and green > 150 > max(red, blue)
    result = CliRunner().invoke(
        main, ["apply", str(tmp_path / "report.csv"), "--ledger", str(tmp_path / "ledger.db")]
    )
    assert result.exit_code == 0, result.output
    after = bytes_of(folder)
    assert after["a.cr3"] == before["a.cr3"] and metadata.position(after["a.cr3.xmp"])


def test_a_raw_file_is_tried_as_the_command_does(colour_model: Path) -> None:
    from tagger.model.classifier import Classifier

    classifier, data = Classifier(colour_model, "cpu"), MAKERS["cr3"](EIFFEL)
    outcome = trial.attempt("a.cr3", data, classifier, 0.6)
    assert outcome.status is Status.WOULD_TAG
    made = trial.tagged(outcome, data, classifier.sha256)
    assert made and made.name == "a.cr3.xmp" and metadata.position(made.data)


def test_the_python_interface_reads_and_looks_at_raw_files(
    tmp_path: Path, colour_model: Path
) -> None:
    folder = shelf(tmp_path, a_cr2=MAKERS["cr2"](EIFFEL, PARIS), b_cr2=MAKERS["cr2"](EIFFEL))
    read = tagger.read(folder / "a.cr2")
    assert read.position == pytest.approx(PARIS, abs=1e-6) and read.capture.camera == "Canon EOS"
    assert tagger.read(folder / "b.cr2").gps_state is tagger.GpsState.EMPTY
    (guess,) = tagger.load_model(colour_model).predict(folder / "b.cr2")
    assert guess.best.slug == "Eiffel_Tower"


class Counting(MemoryStorage):
    """A storage that tells whether a whole raw file was asked for."""

    def read(self, key: str) -> Any:
        assert not key.endswith(tuple(MAKERS)), f"{key} was read whole"
        return super().read(key)

    def read_part(self, key: str, start: int, size: int) -> Any:
        self.asked.append((key, size))
        data, version = super().read(key)
        return type(self.files[key])(data[start : start + size], version)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("at", [None, PARIS])
def test_only_the_metadata_and_a_preview_are_read(
    kind: str, at: tuple[float, float] | None
) -> None:
    key = f"a.{kind}"
    storage = Counting({key: MAKERS[kind](EIFFEL, at)})
    (entry,) = storage.list()
    looked = check_and_decode(storage, entry, 64, Resize.CROP)
    assert (looked.outcome is None) is (at is None)
    if at is None:
        write_tag(storage, Diary(), entry, TAG, WriteOptions())
    asked = sum(min(size, len(storage.files[key].data)) for _, size in storage.asked)
    # An ORF's preview is searched, in up to 8 MB of it.
    assert asked < (700_000 if kind != "orf" or at else 4_500_000)


def test_directories_behind_the_sensors_data_are_found() -> None:
    for at in (None, PARIS):
        storage = Counting({"a.dng": raw_photos.dng(EIFFEL, at, far=True)})
        (entry,) = storage.list()
        looked = check_and_decode(storage, entry, 64, Resize.CROP)
        assert (looked.outcome is None) is (at is None)
        assert sum(size for _, size in storage.asked) < 700_000


def test_xmp_inside_a_raw_file_counts(tmp_path: Path) -> None:
    xmp = (LIGHTROOM % b"").replace(b' xmp:Rating="4"', AT)
    storage = MemoryStorage({"a.dng": raw_photos.dng(EIFFEL, xmp=xmp)})
    (entry,) = storage.list()
    outcome = check_and_decode(storage, entry, 64, Resize.CROP).outcome
    assert outcome and outcome.status is Status.HAS_GPS


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_preview_is_turned_as_the_raw_file_says(turn: int) -> None:
    data = raw_photos.dng(EIFFEL, orientation=turn)
    picture = open_upright(previews.picture(data, raw.read(data)), 64)
    assert (picture.width > picture.height) is (turn < 5)


def test_a_preview_that_says_how_it_is_turned_is_believed() -> None:
    turned = previews._upright(EIFFEL, raw.read(raw_photos.dng(EIFFEL, orientation=6)).block)
    data = raw_photos.dng(turned, orientation=1)
    assert previews.picture(data, raw.read(data)) == turned


def test_a_plain_thumbnail_is_looked_at_where_there_is_no_jpeg() -> None:
    tiff = raw_photos.Tiff()
    place = tiff.put(bytes((30, 220, 30)) * 256 * 192)
    entries = [
        raw_photos.longs(254, 1), raw_photos.longs(256, 256), raw_photos.longs(257, 192),
        raw_photos.shorts(258, 8, 8, 8), raw_photos.shorts(259, 1), raw_photos.shorts(262, 2),
        raw_photos.longs(273, place), raw_photos.shorts(277, 3),
        raw_photos.longs(279, 3 * 256 * 192),
    ]  # fmt: skip
    data = tiff.done(tiff.directory(entries))
    pixel = open_upright(previews.picture(data, raw.read(data)), 64).getpixel((9, 9))
    assert pixel == pytest.approx((30, 220, 30), abs=2)


def test_a_raw_file_without_a_preview_says_so() -> None:
    data = raw_photos.dng(preview((1, 2, 3), (120, 100)))
    with pytest.raises(UnsupportedError, match="no preview of 160 pixels"):
        previews.picture(data, raw.read(data))


def test_a_raw_file_that_changes_is_not_mixed() -> None:
    storage = MemoryStorage({"a.dng": raw_photos.dng(EIFFEL, far=True)})
    file = RawFile(storage, "a.dng")
    storage.put("a.dng", raw_photos.dng(EIFFEL, PARIS, far=True))
    with pytest.raises(ChangedError):
        file.exif()


def test_a_raw_file_that_changed_since_gets_no_sidecar(tmp_path: Path) -> None:
    storage = MemoryStorage({"a.dng": raw_photos.dng(EIFFEL)})
    (entry,) = storage.list()
    storage.put("a.dng", raw_photos.dng(EIFFEL, PARIS))
    with pytest.raises(ChangedError):
        write_tag(storage, Diary(), entry, TAG, WriteOptions())
    assert list(storage.files) == ["a.dng"]


def test_a_raw_file_with_a_broken_position_is_left_alone(tmp_path: Path, tag: Any) -> None:
    data = MAKERS["cr2"](EIFFEL, PARIS)
    spot = data.index(struct.pack("<HHI", 2, 5, 3))
    shelf(tmp_path, a_cr2=data[:spot] + struct.pack("<HHI", 2, 3, 3) + data[spot + 8 :])
    assert tag()["a.cr2"]["status"] == "unsupported"


@pytest.mark.parametrize(
    "data", [b"", b"II*\0", b"IIRO\x08\0\0\0", b"FUJIFILMCCD-RAW ", photo((1, 2, 3)), b"FOVb"]
)
def test_what_is_no_raw_file_is_left_alone(tmp_path: Path, tag: Any, data: bytes) -> None:
    shelf(tmp_path, a_cr2=data)
    assert tag()["a.cr2"]["status"] == "unsupported"


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_the_reason_of_a_raw_file_that_is_cut_short_names_a_remedy(kind: str) -> None:
    for end in (12, 60):
        with pytest.raises(RefusedError, match=r"; (restore it|tag its JPEG|repair the EXIF)"):
            raw.read(KEPT[kind][:end])


def test_a_damaged_raw_file_is_to_be_restored(tmp_path: Path, tag: Any) -> None:
    data = bytearray(MAKERS["cr2"](EIFFEL))
    data[4:8] = struct.pack("<I", len(data) + 8)
    shelf(tmp_path, a_cr2=bytes(data))
    reason = tag()["a.cr2"]["reason"]
    assert "directory at byte" in reason and reason.endswith("; restore it from a backup")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(MAKERS)), st.integers(0, 200_000), st.binary(max_size=40))
def test_damage_is_a_refusal_and_nothing_else(kind: str, at: int, junk: bytes) -> None:
    data = bytearray(KEPT[kind])
    at %= 4000
    data[at : at + len(junk)] = junk
    for cut in (bytes(data), bytes(data[: at + 50])):
        try:
            damaged = raw.read(cut)
            metadata.gps_state(damaged.block, whole=True)
            open_upright(previews.picture(cut, damaged), 32)
        except (RefusedError, PhotoError):
            pass


SMALL = preview(COLOURS["Eiffel_Tower"], (200, 180))
KEPT = {kind: make(SMALL, PARIS)[: 60_000 + len(SMALL)] for kind, make in MAKERS.items()}
