"""Photos made of a library's capture times and positions: small grey JPEGs with true EXIF."""

import calendar
import csv
import io
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import piexif
from conftest import REPOSITORY
from PIL import Image

from tagger.metadata.capture import Capture

WALKS = REPOSITORY.parent / "shared" / "data" / "walks"


def moment(text: str) -> float:
    """Seconds since 1970 of ``2017:04:17 13:34:18``."""
    return float(calendar.timegm(time.strptime(text, "%Y:%m:%d %H:%M:%S")))


def walk(name: str) -> Iterator[Capture]:
    """The photos of one real library that carry a position."""
    for row in csv.DictReader((WALKS / f"{name}.csv").read_text().splitlines()):
        if not row["latitude"]:
            continue
        offset, stamp = row["offset_time_original"], row["gps_datetime"]
        yield Capture(
            row["photo"],
            moment(row["datetime_original"]) + float("0." + (row["subsec"].strip() or "0")),
            3600.0 * int(offset[:3]) + 60 * int(offset[0] + offset[4:]) if offset else None,
            moment(stamp[:19]) if stamp[:1].isdigit() else None,
            f"{row['make']} {row['model']}",
            (float(row["latitude"]), float(row["longitude"])),
            float(row["gps_h_error_m"]) if row["gps_h_error_m"] else None,
        )


def degrees(value: float) -> tuple[tuple[int, int], ...]:
    """EXIF's degrees, minutes and seconds."""
    minutes, seconds = divmod(round(abs(value) * 3_600_000), 60_000)
    return (minutes // 60, 1), (minutes % 60, 1), (seconds, 1000)


def photo(one: Capture, colour: tuple[int, int, int] = (128, 128, 128)) -> bytes:
    """A small JPEG with the capture's time and position."""
    exif: dict[str, dict[int, Any]] = {"0th": {}, "Exif": {}, "GPS": {}}
    if one.camera:
        exif["0th"][piexif.ImageIFD.Model] = one.camera.encode()
    if one.local is not None:
        text = time.strftime("%Y:%m:%d %H:%M:%S", time.gmtime(one.local))
        exif["Exif"][piexif.ExifIFD.DateTimeOriginal] = text.encode()
        part = f"{one.local % 1:.3f}"[2:]
        exif["Exif"][piexif.ExifIFD.SubSecTimeOriginal] = part.encode()
    if one.offset is not None:
        sign, size = "-" if one.offset < 0 else "+", round(abs(one.offset))
        text = f"{sign}{size // 3600:02d}:{size % 3600 // 60:02d}"
        exif["Exif"][piexif.ExifIFD.OffsetTimeOriginal] = text.encode()
    if one.position is not None:
        latitude, longitude = one.position
        exif["GPS"] |= {
            piexif.GPSIFD.GPSLatitudeRef: b"S" if latitude < 0 else b"N",
            piexif.GPSIFD.GPSLatitude: degrees(latitude),
            piexif.GPSIFD.GPSLongitudeRef: b"W" if longitude < 0 else b"E",
            piexif.GPSIFD.GPSLongitude: degrees(longitude),
        }
        if one.error_m:
            error = Fraction(one.error_m).limit_denominator(1000)
            exif["GPS"][piexif.GPSIFD.GPSHPositioningError] = (error.numerator, error.denominator)
    if one.gps_time is not None:
        when = time.gmtime(one.gps_time)
        exif["GPS"][piexif.GPSIFD.GPSDateStamp] = time.strftime("%Y:%m:%d", when).encode()
        clock = ((when.tm_hour, 1), (when.tm_min, 1), (when.tm_sec, 1))
        exif["GPS"][piexif.GPSIFD.GPSTimeStamp] = clock
    out = io.BytesIO()
    Image.new("RGB", (48, 32), colour).save(out, "JPEG", exif=piexif.dump(exif))
    return out.getvalue()


def write(folder: Path, photos: list[Capture]) -> None:
    """Write each photo as a file of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in photos:
        (folder / one.key).write_bytes(photo(one))
