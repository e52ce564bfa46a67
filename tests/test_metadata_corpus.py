"""Real camera photos, tagged: ExifTool and Pillow must find everything as before, and the place."""

import collections
import io
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import exiv2_reader
import pytest
from awkward_photos import (
    BOTH_TAG,
    CAMERA,
    CAMERA_TAG,
    EIFFEL,
    TAG,
    TAGS,
    app1_exif,
    app1_xmp,
    exif,
    first_position,
    jpeg,
    picture,
)
from over_gps import tagged_over
from PIL import Image
from test_metadata_formats import PHOTOS
from test_metadata_xmp import SIDECARS, with_second_prefix

from tagger import metadata
from tagger.errors import RefusedError
from tagger.records import Coords, GpsState, Tag

REPOSITORY = Path(__file__).resolve().parent.parent
CORPUS = REPOSITORY.parent / "shared" / "data" / "exif_corpus"
sys.path.insert(0, str(REPOSITORY / "scripts"))

import check_metadata  # noqa: E402

needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None and not os.environ.get("CI"),
    reason="exiftool is not installed (https://exiftool.org)",
)
needs_exiv2 = pytest.mark.skipif(
    shutil.which("exiv2") is None and not os.environ.get("CI"),
    reason="exiv2 is not installed (https://exiv2.org)",
)
needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason=f"the corpus of camera photos is not at {CORPUS}"
)
PLACE = (EIFFEL.latitude, EIFFEL.longitude)


def corpus() -> list[Path]:
    return sorted(path for path in CORPUS.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))


def damage(
    before: Path, after: Path, place: tuple[float, float] | None = PLACE
) -> list[check_metadata.Problem]:
    names = check_metadata.paired(before, after)
    assert names
    return list(check_metadata.compare(before, after, names, place))


def write_both(
    tmp_path: Path, photos: dict[str, bytes], tag: Tag = TAG
) -> tuple[Path, Path, dict[str, str]]:
    """Folders of the photos before and after, and why any others were refused."""
    before, after, refused = tmp_path / "before", tmp_path / "after", dict[str, str]()
    before.mkdir()
    after.mkdir()
    for name, photo in photos.items():
        try:
            tagged = tagged_over(photo, tag)
        except RefusedError as error:
            refused[name] = str(error)
            continue
        (before / name).write_bytes(photo)
        (after / name).write_bytes(tagged)
    return before, after, refused


@needs_exiftool
@needs_corpus
@pytest.mark.parametrize("kind", ["landmark", "camera"])
def test_no_camera_photo_is_damaged(tmp_path: Path, kind: str) -> None:
    """Nothing lost or changed, no new warning, ExifTool and Pillow within 1e-6 degrees."""
    photos = {path.name: path.read_bytes() for path in corpus()}
    before, after, refused = write_both(tmp_path, photos, TAGS[kind])
    assert damage(before, after, first_position(TAGS[kind])) == []
    embedded = len(photos) - len(refused)
    assert embedded >= 0.88 * len(photos), collections.Counter(refused.values())
    assert all(refused.values())


@needs_exiftool
@needs_corpus
@pytest.mark.parametrize("coords", [Coords.CAMERA, Coords.SUBJECT])
def test_the_other_coordinates_do_no_damage_either(tmp_path: Path, coords: Coords) -> None:
    photos = {path.name: path.read_bytes() for path in corpus()[::4]}
    before, after, _ = write_both(tmp_path, photos, replace(TAG, coords=coords))
    # With the subject's alone, a camera position that was there stays and is read first.
    assert damage(before, after, PLACE if coords is Coords.CAMERA else None) == []


@needs_exiftool
@needs_corpus
def test_both_positions_do_no_damage_either(tmp_path: Path) -> None:
    photos = {path.name: path.read_bytes() for path in corpus()[1::4]}
    before, after, _ = write_both(tmp_path, photos, BOTH_TAG)
    assert damage(before, after, first_position(BOTH_TAG)) == []


@needs_corpus
def test_what_takes_a_landmark_takes_a_camera_position() -> None:
    for path in corpus():
        photo = path.read_bytes()
        taken = []
        for tag in TAGS.values():
            try:
                tagged_over(photo, tag)
                taken.append(True)
            except RefusedError:
                taken.append(False)
        assert len(set(taken)) == 1, (path.name, taken)


def lost_to_exiv2(before: Path, after: Path) -> list[str]:
    return [
        f"{path.name}: {what}"
        for path in sorted(after.iterdir())
        for what in exiv2_reader.damage(before / path.name, path)
    ]


@needs_exiv2
@needs_corpus
@pytest.mark.parametrize("kind", TAGS)
def test_exiv2_reads_of_every_camera_photo_what_it_read(tmp_path: Path, kind: str) -> None:
    photos = {path.name: path.read_bytes() for path in corpus()}
    before, after, _ = write_both(tmp_path, photos, TAGS[kind])
    assert lost_to_exiv2(before, after) == []


@needs_exiv2
def test_exiv2_reads_of_other_formats_and_packets_what_it_read(tmp_path: Path) -> None:
    photos = {f"{name.replace(' ', '_')}.{name.split()[0]}": data for name, data in PHOTOS.items()}
    photos |= {f"{name}.jpg": jpeg(app1_xmp(data)) for name, data in SIDECARS.items()}
    before, after, refused = write_both(tmp_path, photos)
    assert refused == {}
    for name, data in SIDECARS.items():
        (before / f"{name}.xmp").write_bytes(data)
        (after / f"{name}.xmp").write_bytes(metadata.sidecar(data, TAG))
    assert lost_to_exiv2(before, after) == []
    read, _ = exiv2_reader.read(after / "exiv2's prefix.jpg")
    assert read["Xmp.xmp.Rating"] == ["XmpText    4"]
    assert read["Xmp.dc.subject"] == ["XmpBag     b, a, Eiffel Tower"]


@needs_exiv2
def test_the_check_with_exiv2_notices_a_second_prefix(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    old = SIDECARS["exiv2's prefix"]
    (before / "photo.jpg").write_bytes(jpeg(app1_xmp(old)))
    second = with_second_prefix(metadata.sidecar(old, TAG))
    (after / "photo.jpg").write_bytes(jpeg(app1_xmp(second)))
    losses = lost_to_exiv2(before, after)
    assert any("prefix mismatch" in line for line in losses)
    assert any("Xmp.xmp.Rating was" in line for line in losses)


@needs_corpus
@pytest.mark.parametrize("kind", TAGS)
def test_every_camera_photo_comes_back_to_the_byte(kind: str) -> None:
    tag = TAGS[kind]
    for path in corpus():
        photo = path.read_bytes()
        try:
            tagged = tagged_over(photo, tag)
        except RefusedError:
            assert metadata.has_sidecar_gps(metadata.sidecar(None, tag))
            continue
        assert tagged_over(tagged, tag) == tagged, path.name
        assert metadata.stripped(tagged) == photo, path.name
        assert metadata.provenance(tagged) == tag.provenance, path.name
        assert metadata.xmp_note(tagged) == "", path.name
        where = first_position(tag)
        assert metadata.position(tagged) == pytest.approx(where, abs=1e-7), path.name


@needs_corpus
def test_what_the_corpus_says_of_gps() -> None:
    """Our reading of each head agrees with Pillow's reading of the whole."""
    states = collections.Counter[GpsState]()
    for path in corpus():
        photo = path.read_bytes()
        whole = metadata.gps_state(photo, whole=True)
        head = metadata.gps_state(photo[: metadata.HEAD_BYTES])
        assert whole is not None
        assert head in (whole, None), path.name
        states[whole.state] += 1
        if whole.state is GpsState.EMPTY:
            assert check_metadata.pillow_position(path) is None, path.name
        else:
            with pytest.raises(RefusedError):
                metadata.tagged(photo, TAG)
    assert states[GpsState.VALID] >= 20
    assert states[GpsState.EMPTY] >= 140


@needs_exiftool
@pytest.mark.parametrize("tag", [TAG, replace(TAG, coords=Coords.SUBJECT), CAMERA_TAG])
def test_no_png_webp_or_tiff_is_damaged(tmp_path: Path, tag: Tag) -> None:
    photos = {f"{name.replace(' ', '_')}.{name.split()[0]}": data for name, data in PHOTOS.items()}
    before, after, refused = write_both(tmp_path, photos, tag)
    assert refused == {}
    assert damage(before, after, first_position(tag)) == []


@needs_exiftool
def test_exiftool_reads_names_beyond_ascii(tmp_path: Path) -> None:
    name = "Übergabe 天壇"
    tag = replace(TAG, landmark=replace(EIFFEL, name=name))
    paths = []
    for order in "<>":
        paths.append(tmp_path / f"{'little' if order == '<' else 'big'}.jpg")
        paths[-1].write_bytes(metadata.tagged(jpeg(app1_exif(exif(order))), tag))
    for tags in check_metadata.read_all(paths):
        assert tags["GPS:GPSAreaInformation"] == name
        assert tags["IFD0:ImageDescription"] == name
        assert tags["GPS:GPSProcessingMethod"] == "MANUAL"
        assert tags["XMP-iptcExt:LocationShownLocationName"] == name
        assert tags["XMP-landmarktag:TaggedBy"] == "landmark-tag"


@needs_exiftool
def test_exiftool_reads_the_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "photo.xmp"
    path.write_bytes(metadata.sidecar(None, TAG))
    (tags,) = check_metadata.read_all([path])
    values = {key.rpartition(":")[2]: value for key, value in tags.items() if "XMP-exif" in key}
    assert (values["GPSLatitude"], values["GPSLongitude"]) == pytest.approx(PLACE, abs=1e-6)
    assert values["GPSHPositioningError"] == 150
    assert not [key for key in tags if "Warning" in key or "Error" in key[:20]]


@needs_exiftool
def test_exiftool_reads_a_camera_position(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("camera.jpg", "both.jpg", "camera.xmp")]
    paths[0].write_bytes(metadata.tagged(picture(), CAMERA_TAG))
    paths[1].write_bytes(metadata.tagged(picture(), BOTH_TAG))
    paths[2].write_bytes(metadata.sidecar(None, CAMERA_TAG))
    photo, both, beside = check_metadata.read_all(paths)
    for tags in (photo, both):
        assert tags["GPS:GPSHPositioningError"] == 73
        assert tags["GPS:GPSProcessingMethod"] == "MANUAL"
        assert tags["XMP-landmarktag:TagSource"] == "time"
        assert tags["XMP-landmarktag:TagEvidence"] == CAMERA.evidence
    assert both["Composite:GPSDestLatitude"] == pytest.approx(EIFFEL.latitude, abs=1e-6)
    assert both["XMP-iptcExt:LocationShownGPSLatitude"] == pytest.approx(EIFFEL.latitude, abs=1e-6)
    named = ("GPSDest", "GPSArea", "LocationShown", "ImageDescription", "Subject")
    assert not [key for tags in (photo, beside) for key in tags if any(n in key for n in named)]
    assert beside["XMP-exif:GPSProcessingMethod"] == "landmark-tag 0.1.0 (time)"
    assert beside["XMP-exif:GPSHPositioningError"] == 73
    warned = ("Warning", "Error")
    assert not [key for key in beside if key.rpartition(":")[2].startswith(warned)]


@needs_exiftool
def test_the_check_notices_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check itself must be able to fail."""
    before, after = tmp_path / "before.jpg", tmp_path / "after.jpg"
    photo = metadata.tagged(jpeg(app1_exif(exif(note=b"Canon\0" * 20))), TAG)
    before.write_bytes(photo)

    def verdict(changed: bytes) -> tuple[int, str]:
        after.write_bytes(changed)
        return check_metadata.main([str(before), str(after)]), capsys.readouterr().out

    assert verdict(photo) == (0, "1 files compared, 0 damaged\n")
    assert "changed IFD0:Make" in verdict(photo.replace(b"Canon\0", b"Nikon\0", 1))[1]
    assert "scan data" in verdict(photo[:-10] + b"\1" + photo[-9:])[1]
    assert "lost" in verdict(metadata.tagged(jpeg(), TAG))[1]
    flipped = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(flipped, "JPEG")
    code, text = verdict(flipped.getvalue())
    assert code == 1
    assert "1 damaged" in text
    assert check_metadata.main(["nowhere"]) == 2


@needs_exiftool
def test_the_check_notices_what_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    for name in ("gone.jpg", "cut.png", "report.csv"):
        (before / name).write_bytes(picture(kind="PNG"))
        (after / name).write_bytes(picture(kind="PNG"))
    (before / "report.csv").write_text("path,status\n")
    (after / "report.csv").write_text("path,status\n1,2\n")
    (after / "gone.jpg").unlink()
    (after / "cut.png").write_bytes(picture(kind="PNG")[:-400])
    assert check_metadata.main([str(before), str(after)]) == 1
    output = capsys.readouterr().out
    assert "gone.jpg: is missing" in output and "cut.png: cannot be decoded any more" in output
    assert "report.csv: changed File:RowCount" in output, "what is no picture is compared by tags"
