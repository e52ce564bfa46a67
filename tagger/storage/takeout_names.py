"""Google Takeout's names: which JSON file belongs to a photo."""

import html
import os
import re
import unicodedata
from collections.abc import Container, Iterator

LONGEST = 46  # letters of a name before ".json"; Takeout cuts longer ones
LONGEST_PHOTO = 51  # letters of a photo's name, its suffix included; a number is added to them
ADDED = ".supplemental-metadata"
# What Takeout appends to an edited copy's name, by the account's language.
EDITED = (
    "-edited", "-bearbeitet", "-modifié", "-modifie", "-editado", "-editada", "-editat",
    "-modificato", "-bewerkt", "-redigerad", "-redigeret", "-redigert", "-muokattu", "-edytowane",
    "-upraveno", "-upravené", "-szerkesztett", "-düzenlendi", "-изменено", "-отредактировано",
    "-відредаговано", "-επεξεργασμένο", "-編集済み", "-편집됨", "-已编辑",
    "-已編輯", "-已修改", "-effects",
)  # fmt: skip
_NUMBERED = re.compile(r"^(.*)(\(\d+\))$", re.S)


def name_for(photo: str, names: Container[str]) -> str | None:
    """The Takeout file of a photo among the names of its folder.

    Args:
        photo: the photo's file name.
        names: the names of the JSON files beside it.

    >>> name_for("a.jpg", {"a.jpg.supplemental-metadata.json"})
    'a.jpg.supplemental-metadata.json'
    >>> name_for("a(1).jpg", {"a.jpg(1).json", "a.jpg.json"})
    'a.jpg(1).json'
    """
    stem, suffix = os.path.splitext(photo)
    for bare in _stems(stem):
        matching = [name for name in _of(bare, suffix) if name in names]
        own = [name for name in matching if name.startswith(bare)]
        if own and _NUMBERED.match(bare) and not matching[0].startswith(bare):
            return None  # the second a.jpg, or the only a(1).jpg: nothing tells
        if matching:
            return matching[0]
    return None


def describes(name: str, title: str, photo: str) -> bool:
    """Whether the Takeout file that :func:`name_for` found is the photo's, by the title in it.

    The title is the photo's name before Takeout changed it. It matters only if the file's name was
    cut within the photo's name, as another photo's may then be cut to the same.

    >>> describes("a.jpg.json", "renamed.jpg", "a.jpg")
    True
    >>> describes(f"{'n' * 46}.json", f"{'n' * 50}1.jpg", f"{'n' * 50}2.jpg")
    False
    """
    stem, suffix = os.path.splitext(photo)
    whole = _alike(title)
    for bare in _stems(stem):
        match = _NUMBERED.match(bare)
        if match and name.endswith(f"{match[2]}.json"):
            bare = match[1]
        if name.startswith(bare):
            return True
        own = _alike(bare)
        cut = len(bare + suffix) >= LONGEST_PHOTO and whole.startswith(own)
        if cut or own in (whole, _alike(os.path.splitext(title)[0])):
            return True
    return False


def _alike(name: str) -> str:
    """A name without what Takeout replaces in it: "&" stands as "&amp;" in titles, as "_" in names.

    >>> _alike("Caf\u00e9 &amp; Bar") == _alike("cafe\u0301 _ bar")
    True
    """
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", html.unescape(name)).casefold())


def last_name_for(photo: str) -> str:
    """A name that no Takeout file of this photo sorts after.

    >>> last_name_for("a(1).jpg")
    'a.~'
    """
    stem = os.path.splitext(photo)[0]
    stems = [stem]
    if stem.endswith(")") and (match := _NUMBERED.match(stem)):
        stems.append(match[1])
    if "-" in stem:
        stems += [bare[: -len(word)] for bare in stems for word in EDITED if _ends(bare, word)]
    if len(photo) >= LONGEST - 1:
        stems += [bare[:length] for bare in stems for length in range(LONGEST - 1, LONGEST + 2)]
    return max(f"{bare}.~" for bare in stems)


def _ends(stem: str, word: str) -> bool:
    return stem.lower().endswith(word)


def _stems(stem: str) -> Iterator[str]:
    """The stem, and where it is an edited copy's, that of the photo it was made of."""
    yield stem
    for word in EDITED:
        if stem.lower().endswith(word):
            yield stem[: -len(word)]
        elif (match := _NUMBERED.match(stem)) and match[1].lower().endswith(word):
            yield match[1][: -len(word)] + match[2]


def _of(stem: str, suffix: str) -> Iterator[str]:
    """Names that Takeout may have given, likeliest first."""
    match = _NUMBERED.match(stem)
    if match:  # photo(1).jpg goes with photo.jpg(1).json, or .supplemental-metadata(1).json
        bare, number = match[1] + suffix, match[2]
        for cut in _cuts(bare):
            yield f"{cut}{number}.json"
    for cut in _cuts(stem + suffix):
        yield f"{cut}.json"
    if len(stem) <= LONGEST:
        yield f"{stem}.json"


def _cuts(name: str) -> Iterator[str]:
    """The name with Takeout's suffixes, whole and cut."""
    yield name + ADDED
    for length in range(min(LONGEST + 1, len(name + ADDED) - 1), len(name), -1):
        yield (name + ADDED)[:length]
    yield name
    for length in (LONGEST, LONGEST + 1, LONGEST - 1):
        if len(name) > length:
            yield name[:length]
