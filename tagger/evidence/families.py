"""Photos of one shot: RAW and JPEG, an edited copy, a burst, recognised by name and time."""

import os
import re

from tagger.metadata.capture import Capture
from tagger.storage.suffixes import suffix
from tagger.storage.takeout_names import EDITED

# The most seconds between photos of one shot, of a burst, and of a Live Photo and its movie (3 s).
SHOT, BURST, MOVING = 2.0, 10.0, 5.0
# A phone's raw file and JPEG, its portraits and motion photos: PXL_20240501_100000123.RAW-01.COVER
_PIXEL = re.compile(r"(PXL_\d{8}_\d{9})[.~].*", re.S)
# Apple's edited copy of IMG_0001, Google's of any name.
_APPLE, _GOOGLE = re.compile(r"IMG_E(\d{4})"), re.compile(r"(.+)~\d", re.S)
# 00003IMG_00003_BURST20240501100000123_COVER; IMG_20240501_100000_BURST003; 20240501_100000_003
_BURSTS = (
    re.compile(r".*(BURST\d{14,17})(?:_COVER)?", re.S),
    re.compile(r"(.+)_BURST\d{1,4}(?:_COVER)?", re.S),
    re.compile(r"(\d{8}_\d{6})_\d{3}"),
)
_NUMBERED = re.compile(r"(.*)(\(\d+\))", re.S)
# Screenshots, drawings and downloads: if one of these states no time, its name proves nothing.
_DRAWN = frozenset((".png", ".apng", ".webp", ".avif", ".avifs"))
# One format with several suffixes: no camera writes IMG_1.jpg and IMG_1.JPEG for one shot.
_JPEG = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp"))
_SPELT = {".tiff": ".tif", ".heif": ".heic", ".hif": ".heic"} | dict.fromkeys(_JPEG, ".jpg")


def family_of(key: str) -> str:
    """What the names of one shot's photos have in common: the folder, and the name's fixed part.

    >>> family_of("a/IMG_1.CR2"), family_of("a/IMG_1-edited.jpg"), family_of("a/IMG_1(1).jpg")
    ('a/IMG_1', 'a/IMG_1', 'a/IMG_1(1)')
    """
    folder, name = os.path.split(key)
    stem = os.path.splitext(name)[0]
    pattern = _PIXEL if stem.startswith("PXL_") else _burst(stem)
    if pattern and (match := pattern.fullmatch(stem)):
        return f"{folder}/{match[1]}"
    if match := _APPLE.fullmatch(stem):
        stem = f"IMG_{match[1]}"
    elif "~" in stem and (match := _GOOGLE.fullmatch(stem)):
        stem = match[1]
    number = ""
    if stem.endswith(")") and (match := _NUMBERED.fullmatch(stem)):
        stem, number = match.groups()
    if stem.lower().endswith(EDITED):
        stem = stem[: -len(next(word for word in EDITED if stem.lower().endswith(word)))]
    return f"{folder}/{stem}{number}"


def _burst(stem: str) -> re.Pattern[str] | None:
    """The pattern of bursts that a name (without suffix) matches, if any."""
    if "BURST" not in stem and not stem[:8].isdigit():  # so for nearly all names
        return None
    return next((pattern for pattern in _BURSTS if pattern.fullmatch(stem)), None)


def is_burst(key: str) -> bool:
    """Whether the name is that of a photo of a burst."""
    return _burst(os.path.splitext(os.path.basename(key))[0]) is not None


def one_shot(photo: Capture, other: Capture, within: float = SHOT) -> bool:
    """Whether two photos of one family were taken together.

    If both state a time, it must be the same. If one does not, their names decide; except in a
    burst, for formats of screenshots and drawings, and for two files of one format whose names
    differ only in the spelling of the suffix.
    """
    times = [
        abs(ours - theirs)
        for ours, theirs in ((photo.local, other.local), (_utc(photo), _utc(other)))
        if ours is not None and theirs is not None
    ]
    burst = is_burst(photo.key) and is_burst(other.key)
    if times:
        return min(times) <= (BURST if burst else within)
    untimed = [one.key for one in (photo, other) if one.local is None]
    if burst or any(suffix(key) in _DRAWN for key in untimed):
        return False
    return _name_and_format(photo.key) != _name_and_format(other.key)


def _name_and_format(key: str) -> tuple[str, str]:
    ending = suffix(key)
    return key[: len(key) - len(ending)], _SPELT.get(ending, ending)


def same_moment(photo: Capture, movie: Capture) -> bool:
    """Whether a movie is the moving half of a photo: both state a time, and it is the same."""
    timed = photo.local is not None and movie.local is not None
    return timed and one_shot(photo, movie, MOVING)


def _utc(photo: Capture) -> float | None:
    if photo.local is None or photo.offset is None:
        return None
    return photo.local - photo.offset
