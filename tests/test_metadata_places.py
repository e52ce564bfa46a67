"""A position counts wherever ExifTool finds it, and what is not understood is left alone."""

import io
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from awkward_photos import TAG, app1_exif, app1_xmp, exif, jpeg, packet, position
from PIL import Image
from positions import (
    DJI,
    DWC,
    IN_XMP,
    MALFORMED,
    PHOTOS,
    PLAIN,
    PNG,
    elsewhere,
    heic,
    location,
    profile,
    resource,
    text_chunk,
    within,
)
from test_metadata_corpus import CORPUS, needs_corpus, needs_exiftool
from test_metadata_formats import RGB, behind, chunk, saved

from tagger import metadata
from tagger.errors import RefusedError
from tagger.records import GpsState

CASES = CORPUS.parent.parent / "cases"
READ = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif"}
OURS_ALONE = {"jpg XMP of WGS 84"}  # ExifTool reads it, and does not call it a latitude
ZEROED = position(latitude=((0, 1),) * 3, longitude=((0, 1),) * 3)


def state(data: bytes) -> GpsState:
    reading = metadata.gps_state(data, whole=True)
    assert reading is not None
    return reading.state


def exiftool_finds(paths: Iterable[Path]) -> dict[str, dict[str, object]]:
    """Path and coordinates, other than blank and zero, of each photo in which there are any."""
    command = ["exiftool", "-j", "-n", "-a", "-G1", "-*Latitude*", "-*Longitude*", "-@", "-"]
    asked = "\n".join(map(str, paths))
    text = subprocess.run(command, input=asked, capture_output=True, text=True, check=False).stdout
    rows = {row.pop("SourceFile"): row for row in json.loads(text)}
    coordinates = {
        name: {k: v for k, v in row.items() if v not in ("", 0)} for name, row in rows.items()
    }
    return {name: row for name, row in coordinates.items() if row}


def save_all(folder: Path, photos: Mapping[str, bytes]) -> dict[str, str]:
    """Write the photos; returns each one's name by its path."""
    folder.mkdir(exist_ok=True)
    paths = {}
    for number, (name, data) in enumerate(photos.items()):
        path = folder / f"{number}.{name.split()[0]}"
        path.write_bytes(data)
        paths[str(path)] = name
    return paths


@pytest.mark.parametrize("name", PHOTOS)
def test_a_position_in_an_unusual_place_counts(name: str) -> None:
    photo = PHOTOS[name]
    assert state(photo) is (GpsState.MALFORMED if "UTF-16" in name else GpsState.VALID)
    with pytest.raises(RefusedError):
        metadata.tagged(photo, TAG)


@needs_exiftool
def test_exiftool_finds_those_positions_too(tmp_path: Path) -> None:
    """This proves that the photos hold what their names say."""
    paths = save_all(tmp_path, PHOTOS)
    assert {paths[path] for path in exiftool_finds(map(Path, paths))} == PHOTOS.keys() - OURS_ALONE


@pytest.mark.parametrize("name", PHOTOS)
def test_a_head_never_contradicts_the_whole(name: str) -> None:
    data = PHOTOS[name]
    whole = metadata.gps_state(data, whole=True)
    for length in (*range(16, 1200, 7), *range(1200, len(data), 97)):
        assert metadata.gps_state(data[:length]) in (whole, None), length


@pytest.mark.parametrize("name", [name for name in PHOTOS if "XMP" not in name])
def test_the_position_is_known(name: str) -> None:
    expected = pytest.approx((48.8583, 2.2944), abs=1e-3)
    assert metadata.position(PHOTOS[name]) == expected


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_understood_is_not_without_a_position(name: str) -> None:
    assert state(MALFORMED[name]) is GpsState.MALFORMED
    with pytest.raises(RefusedError):
        metadata.tagged(MALFORMED[name], TAG)


@pytest.mark.parametrize("photo", [
    jpeg(app1_exif(elsewhere("<", "ExifIFD", ZEROED))),
    jpeg(app1_exif(elsewhere(">", "IFD1", []))),
    jpeg(app1_exif(within(700, packet()))),
    jpeg(app1_xmp(packet(attributes='exif:GPSLatitude="0,0.0N" exif:GPSLongitude="0,0.0E"'))),
    jpeg(app1_xmp(packet(attributes=DJI.replace("+48.85", "+0.00")))),
    jpeg(app1_xmp(packet(attributes='xmlns:q="q" q:ExposureLatitude="12"'))),
    behind(PNG, text_chunk(b"tEXt", b"Comment", b"Latitude 12")),
    behind(PNG, text_chunk(b"zTXt", b"Raw profile type exif", profile(b"exif", exif()))),
    heic((b"uuid", b"\0" * 16 + IN_XMP), item=b"\0\0\0\0" + exif()),
])  # fmt: skip
def test_what_names_no_position_is_empty(photo: bytes) -> None:
    assert state(photo) is GpsState.EMPTY


@pytest.mark.parametrize(
    ("sidecar", "expected"),
    [
        (packet(attributes=PLAIN), True),
        (location("LocationCreated"), True),
        (location("LocationShown"), True),
        (packet(attributes=DJI), True),
        (packet(attributes=DWC), True),
        (packet(attributes=PLAIN).decode().encode("utf-16"), True),
        (packet(attributes=DJI.replace("+48.85", "+0.00")), False),
        (packet(), False),
    ],
)
def test_positions_in_sidecars(sidecar: bytes, expected: bool) -> None:
    assert metadata.has_sidecar_gps(sidecar) is expected


TITLE = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Grandma 1948</rdf:li></rdf:Alt></dc:title>"
IPTC = b"\x1c\x02\x19\0\6family" + b"\x1c\x02\x78\0\2Us"
ALONE = {
    "jpg XMP in EXIF": jpeg(app1_exif(within(700, packet(TITLE)))),
    "png XMP in EXIF": behind(PNG, chunk(b"eXIf", within(700, packet(TITLE), ">"))),
    "webp XMP in EXIF": saved(RGB, "WEBP", exif=within(700, packet(TITLE))),
    "jpg XMP in EXIF in Photoshop's": jpeg(
        app1_exif(within(34377, resource(0x0424, packet(TITLE))))
    ),
    "png XMP in zTXt": behind(PNG, text_chunk(b"zTXt", b"XML:com.adobe.xmp", packet(TITLE))),
    "png XMP in tEXt": behind(PNG, text_chunk(b"tEXt", b"XML:com.adobe.xmp", packet(TITLE))),
    "jpg XMP behind a wrong header": jpeg(app1_exif(exif()), app1_xmp(b"<!-- -->")).replace(
        b"1.0/\0<!-- -->", b"1.0/  :RDF   "
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_xmp_in_an_unusual_place_is_left_alone(name: str) -> None:
    photo = ALONE[name]
    tagged = metadata.tagged(photo, TAG)
    assert b"landmarktag:" not in tagged, "no second packet"
    assert metadata.xmp_note(tagged).startswith("EXIF only, XMP left alone: ")
    assert metadata.tagged(tagged, TAG) == tagged
    assert metadata.stripped(tagged) == photo


@needs_exiftool
def test_exiftool_reads_that_xmp_as_before(tmp_path: Path) -> None:
    photos = {name: photo for name, photo in ALONE.items() if "wrong header" not in name}
    tagged = {name: metadata.tagged(photo, TAG) for name, photo in photos.items()}
    paths = save_all(tmp_path, tagged)
    command = ["exiftool", "-j", "-a", "-G1", "-validate", "-warning", "-XMP:all", "-description"]
    text = subprocess.run([*command, *paths], capture_output=True, text=True, check=False).stdout
    for row in json.loads(text):
        assert row["XMP-dc:Title"] == "Grandma 1948"
        assert "Duplicate" not in str(row), row
    assert exiftool_finds(map(Path, paths)).keys() == paths.keys()


def test_xmp_beside_that_in_exif_is_merged_as_usual() -> None:
    photo = jpeg(app1_exif(within(700, packet(TITLE))), app1_xmp(packet()))
    tagged = metadata.tagged(photo, TAG)
    assert metadata.xmp_note(tagged) == ""
    assert metadata.stripped(tagged) == photo


@pytest.mark.parametrize("block", [
    within(33723, IPTC),
    within(34377, resource(0x0404, IPTC), ">"),
])  # fmt: skip
def test_captions_and_keywords_inside_exif_are_not_hidden(block: bytes) -> None:
    for photo in (
        jpeg(app1_exif(block)),
        behind(PNG, chunk(b"eXIf", block)),
        saved(RGB, "WEBP", exif=block),
    ):
        tagged = metadata.tagged(photo, TAG)
        assert b"dc:subject" not in tagged
        with Image.open(io.BytesIO(tagged)) as image:
            assert 0x010E not in image.getexif(), "no ImageDescription"
        assert metadata.stripped(tagged) == photo


def test_the_reason_says_where_the_pointer_stands() -> None:
    photo = jpeg(app1_exif(elsewhere("<", "ExifIFD", ZEROED)))
    with pytest.raises(RefusedError, match="points to GPS tags from a wrong place"):
        metadata.tagged(photo, TAG)


# Photos in which ExifTool finds no position, and which are refused all the same, with the reason.
# It is not new: a directory that names a place in a form that ExifTool skips is not overwritten.
LEFT_ALONE = {
    "ianare_0a986ea1_45-gps_ifd.jpg": (
        "the pointer to the GPS directory has a wrong type; repair the EXIF"
    )
}


def disagreements(paths: list[Path]) -> dict[str, str]:
    """Photos about which ExifTool and we disagree, with our reason."""
    positions = exiftool_finds(paths)
    readings = {path: metadata.gps_state(path.read_bytes(), whole=True) for path in paths}
    return {
        path.name: reading.reason
        for path, reading in readings.items()
        if reading and (reading.state is GpsState.EMPTY) == (str(path) in positions)
    }


@needs_exiftool
@needs_corpus
def test_exiftool_agrees_over_the_whole_corpus() -> None:
    paths = [path for path in sorted(CORPUS.iterdir()) if path.suffix.lower() in READ]
    assert len(paths) > 100
    assert disagreements(paths) == LEFT_ALONE


@needs_exiftool
@pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not at {CASES}")
def test_exiftool_agrees_over_the_cases() -> None:
    paths = [path for path in sorted(CASES.glob("*/in/*")) if path.suffix.lower() in READ]
    assert paths
    assert disagreements(paths) == {}


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not at {CASES}")
@pytest.mark.parametrize(
    "case", ["02-png-xmp-in-ztxt-text", "03-xmp-inside-exif-0x02bc", "07-gps-verdict"]
)
def test_the_cases(case: str) -> None:
    """A file is named after its contents."""
    for path in sorted((CASES / case / "in").iterdir()):
        data = path.read_bytes()
        if path.suffix == ".xmp":
            assert metadata.has_sidecar_gps(data), path.name
        elif path.suffix.lower() in READ and not path.name.startswith("09_"):
            plain = "_GPS" not in path.name and not case.startswith("07")
            empty = plain and "gps_in" not in path.name
            assert state(data) is (GpsState.EMPTY if empty else GpsState.VALID), path.name
