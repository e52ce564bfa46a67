"""Google Takeout's names: which JSON file belongs to a photo."""

import os
import re
from collections.abc import Container, Iterator

LONGEST = 46  # letters of a name before ".json"; Takeout cuts longer ones
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
    return next((name for name in _candidates(photo) if name in names), None)


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


def _candidates(photo: str) -> Iterator[str]:
    """Names that Takeout may have given, likeliest first."""
    stem, suffix = os.path.splitext(photo)
    yield from _of(stem, suffix)
    for word in EDITED:
        if stem.lower().endswith(word):
            yield from _of(stem[: -len(word)], suffix)
        elif (match := _NUMBERED.match(stem)) and match[1].lower().endswith(word):
            yield from _of(match[1][: -len(word)] + match[2], suffix)


def _of(stem: str, suffix: str) -> Iterator[str]:
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
