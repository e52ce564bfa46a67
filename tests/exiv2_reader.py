"""Exiv2 as a third independent reader: whatever it reads must be unchanged after tagging."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

KEY = re.compile(r"(Exif|Iptc|Xmp)\.")
# What a tag adds or changes: the place, our record, a caption and a keyword.
OURS = (
    "Exif.GPSInfo.",
    "Exif.Image.GPSTag",
    "Exif.Image.ImageDescription",
    "Exif.Image.XMLPacket",  # a TIFF's XMP, which is read as such
    "Xmp.iptcExt.LocationShown",
    "Xmp.exif.GPS",
    "Xmp.landmarktag",
)
KEYWORDS = "Xmp.dc.subject"
WITH_EXIF = tuple(
    f"Exif.Image.{name}"
    for name in ("XResolution", "YResolution", "ResolutionUnit", "YCbCrPositioning")
)


def read(photo: Path) -> tuple[dict[str, list[str]], set[str]]:
    """Every property with its values in order, and exiv2's warnings without their numbers."""
    # Of a sidecar exiv2 makes EXIF and IPTC, which are not there.
    what = "-PXkyv" if photo.suffix == ".xmp" else "-PEIXkyv"
    done = subprocess.run(["exiv2", what, str(photo)], capture_output=True, check=False, timeout=60)
    properties: dict[str, list[str]] = {}
    name = ""
    for line in done.stdout.decode("latin-1").rstrip("\n").split("\n"):
        if KEY.match(line):
            name, _, value = line.partition(" ")
            properties.setdefault(name, []).append(value.strip())
        elif name:  # a value of several lines
            properties[name][-1] += "\n" + line
    complaints = done.stderr.decode("latin-1").replace(str(photo), "").splitlines()
    return properties, {re.sub(r"(0x[0-9a-f]+|\d+)", "#", line) for line in complaints}


def damage(before: Path, after: Path) -> Iterator[str]:
    """What exiv2 reads differently before and after, apart from the tag."""
    (old, known), (new, complaints) = read(before), read(after)
    first = not any(name.startswith("Exif.") for name in old)
    for line in complaints - known:
        yield f"new complaint: {line}"
    for name in old.keys() | new.keys():
        if name.startswith(OURS) or (first and name in WITH_EXIF):
            continue
        was, now = old.get(name, []), new.get(name, [])
        if name == KEYWORDS:
            now = [now[0][: len(was[0])]] if was and now else was
        if was != now:
            yield f"{name} was {str(was)[:80]}, is {str(now)[:80]}"
