"""Compare what landmark-tag, ExifTool, piexif and libexiv2 do to the same photos.

    python scripts/compare_writers.py FOLDER

Each writes one position into a copy of every JPEG in FOLDER that carries none, and
check_metadata.py compares the copies with the originals. Damaged is a photo of which a tag was lost
or got another value, or the picture data changed; in favour of the others, new warnings, byte order
and values that only say where something lies are not counted. ExifTool must be installed; libexiv2
is tried where pyexiv2 is.
"""

import importlib.util
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import check_metadata
import piexif

from tagger import __version__, metadata
from tagger.errors import RefusedError
from tagger.places.landmarks import load_landmarks
from tagger.records import Coords, GpsState, Provenance, Tag

LANDMARK = load_landmarks()["Eiffel_Tower"]
DAMAGE = re.compile(r"^lost |^changed (?!\S*(Offset|ExifByteOrder|PreviewImageStart))|scan data")
PLACE = (LANDMARK.latitude, LANDMARK.longitude)
# piexif raises struct.error and the like where it cannot parse; pyexiv2 raises RuntimeError.
REFUSALS = (RefusedError, ValueError, RuntimeError, OSError, LookupError, TypeError, struct.error)


def ours(photo: Path) -> None:
    provenance = Provenance("landmark-tag", __version__, "0" * 64, 0.9, "comparison")
    tag = Tag(LANDMARK, Coords.BOTH, provenance)
    photo.write_bytes(metadata.tagged(photo.read_bytes(), tag))


def exiftool(photo: Path) -> None:
    latitude, longitude = (
        f"-GPS{a}*={v}" for a, v in zip(("Latitude", "Longitude"), PLACE, strict=True)
    )
    command = ["exiftool", "-q", "-overwrite_original", latitude, longitude, str(photo)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise RuntimeError("refused")


def with_piexif(photo: Path) -> None:
    known = piexif.load(str(photo))
    known["GPS"] = {
        piexif.GPSIFD.GPSVersionID: (2, 3, 0, 0),
        piexif.GPSIFD.GPSLatitudeRef: "N",
        piexif.GPSIFD.GPSLatitude: sexagesimal(PLACE[0]),
        piexif.GPSIFD.GPSLongitudeRef: "E",
        piexif.GPSIFD.GPSLongitude: sexagesimal(PLACE[1]),
    }
    piexif.insert(piexif.dump(known), str(photo))


def libexiv2(photo: Path) -> None:
    import pyexiv2

    fields = {}
    for axis, reference, value in (("Latitude", "N", PLACE[0]), ("Longitude", "E", PLACE[1])):
        fields[f"Exif.GPSInfo.GPS{axis}Ref"] = reference
        parts = (f"{top}/{bottom}" for top, bottom in sexagesimal(value))
        fields[f"Exif.GPSInfo.GPS{axis}"] = " ".join(parts)
    with pyexiv2.Image(str(photo)) as image:
        image.modify_exif(fields)


def sexagesimal(degrees: float) -> tuple[tuple[int, int], ...]:
    """Degrees, minutes, seconds to 1e-6 of a second, as EXIF's three rationals."""
    micro = round(degrees * 3_600_000_000)
    return (micro // 3_600_000_000, 1), (micro // 60_000_000 % 60, 1), (micro % 60_000_000, 10**6)


def main() -> int:
    """Copy, write, compare, print a table."""
    if len(sys.argv) != 2 or not shutil.which("exiftool"):
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    photos = [path for path in sorted(Path(sys.argv[1]).rglob("*")) if without_gps(path)]
    writers: dict[str, Callable[[Path], None]] = {"landmark-tag": ours, "ExifTool": exiftool}
    writers["piexif"] = with_piexif
    if importlib.util.find_spec("pyexiv2"):
        writers["libexiv2"] = libexiv2
    print(f"{len(photos)} JPEGs without a position\n")
    print(f"{'':<14}{'written':>9}{'refused':>9}{'damaged':>9}")
    for name, write in writers.items():
        with tempfile.TemporaryDirectory() as folder:
            written, refused, damaged = measured(photos, write, Path(folder))
        print(f"{name:<14}{written:>9}{refused:>9}{damaged:>9}")
    return 0


def without_gps(path: Path) -> bool:
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        return False
    reading = metadata.gps_state(path.read_bytes(), whole=True)
    return reading is not None and reading.state is GpsState.EMPTY


def measured(
    photos: list[Path], write: Callable[[Path], None], folder: Path
) -> tuple[int, int, int]:
    """How many photos were written, refused and damaged."""
    before, after = folder / "before", folder / "after"
    before.mkdir()
    after.mkdir()
    refused = 0
    for number, photo in enumerate(photos):
        copy = after / f"{number}.jpg"
        shutil.copyfile(photo, copy)
        try:
            write(copy)
        except REFUSALS:
            copy.unlink()
            refused += 1
            continue
        shutil.copyfile(photo, before / copy.name)
    names = check_metadata.paired(before, after)
    problems = check_metadata.compare(before, after, names)
    damaged = {problem.name for problem in problems if DAMAGE.search(problem.what)}
    return len(names), refused, len(damaged)


if __name__ == "__main__":
    sys.exit(main())
