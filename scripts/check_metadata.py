"""Check that tagging lost nothing: compare photos BEFORE and AFTER with ExifTool and Pillow.

    scripts/check_metadata.py BEFORE AFTER

BEFORE and AFTER are two files, or two folders with the same file names (copy your folder first,
then tag the copy). Every tag that ExifTool reads must still be there and be the same, save the
ones landmark-tag writes; no new warning may appear, no file may be missing, the picture data must
be the same bytes, and ExifTool and Pillow must read the same position. Exit code 1 if anything is
amiss.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

Tags = Mapping[str, Any]
Position = tuple[float, float]  # degrees
BATCH = 200  # files that one ExifTool process reads, so that memory does not grow with the library
OWN_NAMESPACE = "XMP-landmarktag"
# Facts about the file itself, and the place that landmark-tag writes.
IGNORED = (
    "SourceFile",
    "System:",
    "File:FileSize",
    "ExifTool:ExifToolVersion",
    "ExifTool:Validate",
    "QuickTime:MediaData",  # of HEIC all media data as one; its items are compared as pixels
)
OWNED = ("GPS:", "IFD0:GPSInfo", "Composite:GPS", "XMP-iptcExt:LocationShown", OWN_NAMESPACE)
# Added where there was none; what follows is mandatory in a first EXIF block (EXIF 2.32, 4.6.8).
ADDED = (
    "IFD0:ImageDescription",
    "XMP-x:XMPToolkit",
    "XMP-dc:Subject",
    "Composite:",
    "RIFF:WebP_Flags",
)
ADDED_WITH_EXIF = (
    "File:ExifByteOrder",
    "IFD0:XResolution",
    "IFD0:YResolution",
    "IFD0:ResolutionUnit",
    "IFD0:YCbCrPositioning",
)
# The segment that stands before fill bytes may be ours; the bytes are theirs.
FILL_BYTES = re.compile(r"(Skipped unknown \d+ bytes after JPEG) \w+ segment")
# Where a photo states no resolution, neither does its first EXIF block: 72 dpi would be made up.
NOT_STATED = re.compile(r"Missing required JPEG IFD0 tag 0x0(11a|11b|128) ")
VERDICTS = ("ExifTool:Warning", "ExifTool:Error")  # those of -validate are among them
AXES = ("Latitude", "Longitude")
TOLERANCE = 1e-6  # degrees, 11 cm


class Problem(NamedTuple):
    """One difference that should not be."""

    name: str
    what: str


def main(arguments: list[str]) -> int:
    """Compare, print every problem and a count; return the exit code."""
    if len(arguments) != 2 or not all(Path(argument).exists() for argument in arguments):
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    if shutil.which("exiftool") is None:
        print("exiftool is not installed: see https://exiftool.org/install.html", file=sys.stderr)
        return 2
    before, after = (Path(argument) for argument in arguments)
    names = paired(before, after)
    problems = [*missing(before, after), *compare(before, after, names)]
    for problem in problems:
        print(f"{problem.name}: {problem.what}")
    damaged = len({problem.name for problem in problems})
    print(f"{len(names)} files compared, {damaged} damaged")
    return 1 if problems or not names else 0


def paired(before: Path, after: Path) -> list[str]:
    """Names, relative to the two folders, of the files that both have; '' for two files."""
    return [name for name in files(before) if (after / name).is_file()]


def missing(before: Path, after: Path) -> Iterator[Problem]:
    """Files that only the older folder has."""
    for name in files(before):
        if not (after / name).is_file():
            yield Problem(name, "is missing")


def files(place: Path) -> list[str]:
    """Names, relative to a folder, of the files in it; '' for a file."""
    if place.is_file():
        return [""]
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def compare(
    before: Path, after: Path, names: list[str], place: Position | None = None
) -> Iterator[Problem]:
    """Every problem of the named files; with ``place``, also missing positions."""
    changed = [name for name in names if not same_bytes(before / name, after / name)]
    for start in range(0, len(changed), BATCH):
        batch = changed[start : start + BATCH]
        old, new = (read_all([root / name for name in batch]) for root in (before, after))
        for name, old_tags, new_tags in zip(batch, old, new, strict=True):
            old_data, new_data = (before / name).read_bytes(), (after / name).read_bytes()
            grown = len(new_data) - len(old_data)
            for what in (
                *changed_tags(old_tags, new_tags, grown),
                *changed_picture(old_data, new_data, before / name, after / name),
                *changed_position(new_tags, after / name, place),
            ):
                yield Problem(name or after.name, what)


def same_bytes(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def read_all(paths: list[Path]) -> list[dict[str, Any]]:
    """All tags that ExifTool reads, with -validate and binary values, in one process."""
    if not paths:
        return []
    options = ["-j", "-a", "-u", "-U", "-G1:4", "-n", "-b", "-validate", "-all", "-charset"]
    command = ["exiftool", *options, "filename=utf8", "-@", "-"]
    listing = "\n".join(os.fspath(path.absolute()) for path in paths)
    done = subprocess.run(command, input=listing.encode(), capture_output=True, check=False)
    rows = {row["SourceFile"]: row for row in json.loads(done.stdout or b"[]")}
    missing = [path for path in paths if os.fspath(path.absolute()) not in rows]
    if missing:
        raise SystemExit(f"exiftool cannot read {missing[0]}: {done.stderr.decode()[:300]}")
    return [rows[os.fspath(path.absolute())] for path in paths]


def changed_tags(old: Tags, new: Tags, grown: int) -> Iterator[str]:
    """Tags lost or changed, tags added that are not ours, new warnings."""
    before, after = by_name(old), by_name(new)
    first_exif = not any(name.startswith("IFD0:") for name in before)
    moved = "Meta:PrimaryItemReference" in before
    for name in VERDICTS:
        known = [FILL_BYTES.sub(r"\1", verdict) for verdict in before.pop(name, [])]
        for verdict in (FILL_BYTES.sub(r"\1", verdict) for verdict in after.pop(name, [])):
            if verdict in known:
                known.remove(verdict)
            elif not first_exif or not NOT_STATED.match(verdict):
                yield f"new warning: {verdict}"
    for name, values in before.items():
        kept = after.pop(name, [])
        if len(kept) < len(values):
            yield f"lost {name} = {short(values)}"
        for value, other in zip(values, kept, strict=False):
            if value != other and not may_change(name, value, other, grown, moved):
                yield f"changed {name} from {short(value)} to {short(other)}"
        if name in ("RIFF:ImageWidth", "RIFF:ImageHeight"):  # stated twice in that layout
            kept = kept[: max(len(values), len(set(kept)))]
        if len(kept) > len(values) and not (moved and name == "XMP-x:XMPToolkit"):
            yield f"added another {name} = {short(kept)}"
    for name, values in after.items():
        if not name.startswith(ADDED) and not (first_exif and name in ADDED_WITH_EXIF):
            yield f"added {name} = {short(values)}"


def by_name(tags: Tags) -> dict[str, list[Any]]:
    """Values by group and name, in file order; ExifTool numbers equal names as Copy1, Copy2."""
    names: dict[str, list[Any]] = {}
    for key, value in tags.items():
        name = ":".join(part for part in key.split(":") if not part.startswith("Copy"))
        if not name.startswith((*IGNORED, *OWNED)):
            names.setdefault(name, []).append(value)
    return names


def may_change(name: str, old: Any, new: Any, grown: int, moved: bool) -> bool:
    """Whether a change is a legitimate effect of a longer header or one more keyword.

    If EXIF ``moved`` (HEIC), any new place is allowed.
    """
    if name == "XMP-dc:Subject":
        old, new = (value if isinstance(value, list) else [value] for value in (old, new))
        return bool(new[: len(old)] == old)
    if name == "RIFF:WebP_Flags":  # the flags say that there is EXIF (8) and XMP (4)
        return isinstance(old, int) and isinstance(new, int) and old | 12 == new | 12
    if name == "File:FileType":  # RFC 9649: metadata needs the extended layout
        return (old, new) == ("WEBP", "Extended WEBP")
    if not (isinstance(old, int) and isinstance(new, int)):
        return False
    if name.endswith(("Start", "Offset", "IFD1:StripOffsets")) and ":MPImage" not in name:
        # An offset from the start of the file; the data it points to is compared separately.
        return moved or 0 <= new - old <= grown
    if name.endswith(("ImageLength", "OffsetFrom0")) or ":MPImage" in name:
        return new - old == grown
    return False


def changed_position(tags: Tags, path: Path, place: Position | None) -> Iterator[str]:
    """Whether ExifTool and Pillow disagree on the position, or read an unexpected one."""
    here, there = exiftool_position(tags), pillow_position(path)
    if here is None and there is None and place is None:
        return
    if here is None or there is None or distance(here, there) > TOLERANCE:
        yield f"position: ExifTool reads {here}, Pillow {there}"
    elif place is not None and max(distance(here, place), distance(there, place)) > TOLERANCE:
        yield f"position: ExifTool reads {here}, not {place}"


def distance(here: Position, there: Position) -> float:
    return max(abs(a - b) for a, b in zip(here, there, strict=True))


def exiftool_position(tags: Tags) -> Position | None:
    """Signed degrees, from the EXIF tags (camera, or else subject) as ExifTool reads them."""
    fields = {key.rpartition(":")[2]: value for key, value in tags.items() if key[:4] == "GPS:"}
    for kind in ("GPS", "GPSDest"):
        try:
            signs = [-1 if fields[f"{kind}{axis}Ref"] in ("S", "W") else 1 for axis in AXES]
            latitude, longitude = (float(fields[f"{kind}{axis}"]) for axis in AXES)
            return latitude * signs[0], longitude * signs[1]
        except (KeyError, TypeError, ValueError):
            continue
    return None


def pillow_position(path: Path) -> Position | None:
    """Signed degrees, from the EXIF tags (camera, or else subject) as Pillow reads them."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as picture:
                fields = picture.getexif().get_ifd(0x8825)
        except (OSError, SyntaxError, ValueError):
            return None
    for first in (1, 19):
        try:
            latitude, longitude = (
                sum(float(part) / 60**power for power, part in enumerate(fields[first + step]))
                for step in (1, 3)
            )
            signs = -1 if fields[first] == "S" else 1, -1 if fields[first + 2] == "W" else 1
            return latitude * signs[0], longitude * signs[1]
        except (KeyError, TypeError, ZeroDivisionError, ValueError):
            continue
    return None


def changed_picture(old: bytes, new: bytes, before: Path, after: Path) -> Iterator[str]:
    """Whether the picture changed: JPEG by its bytes, other formats by their pixels."""
    if old[:2] == b"\xff\xd8":
        old_parts, old_scan = jpeg_parts(old)
        new_parts, new_scan = jpeg_parts(new)
        if old_scan != new_scan:
            yield "the scan data changed"
        if old_parts != new_parts:
            yield "a segment other than EXIF, XMP and MPF changed"
    else:
        yield from changed_pixels(before, after)


def jpeg_parts(data: bytes) -> tuple[list[bytes], bytes]:
    """The segments that tagging must not touch, and everything from the first scan on."""
    at, parts = 2, []
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at:end]
        if not body[4:].startswith((b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0")):
            parts.append(body)
        at = end
    return parts, data[at:]


def changed_pixels(before: Path, after: Path) -> Iterator[str]:
    """Whether any frame's size, mode, palette, timing or pixels changed, as Pillow decodes them."""
    old, new = decoded(before), decoded(after)
    if old is None:
        return  # a report, say: its tags are compared
    if new is None:
        yield "cannot be decoded any more"
    elif old.looks != new.looks:
        yield "size, mode, format or number of frames changed"
    else:
        for number, (one, other) in enumerate(zip(old.frames, new.frames, strict=True)):
            if one != other:
                yield f"pixels, palette or timing of frame {number} changed"


class Decoded(NamedTuple):
    """A picture: size, mode, format and number of frames, and a digest of each frame."""

    looks: tuple[Any, ...]
    frames: list[bytes]


def decoded(path: Path) -> Decoded | None:
    """A file as Pillow decodes it; None if it cannot decode all of it."""
    from PIL import Image, ImageSequence

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as picture:
                looks = (picture.size, picture.mode, picture.format)
                frames = [
                    hashlib.sha256(
                        repr((frame.getpalette(), frame.info.get("duration"))).encode()
                        + frame.tobytes()
                    ).digest()
                    for frame in ImageSequence.Iterator(picture)
                ]
        except (OSError, SyntaxError, ValueError, RuntimeError):  # the last: libavif
            return None
    return Decoded((*looks, len(frames)), frames)


def short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
