"""Skipped folders: libraries that a program manages, caches, trash and backups."""

import csv
import fnmatch
import functools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from tagger.errors import SkippedError

_MARKED = "holding "


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of skipped_folders.csv; case does not matter.

    ``folder`` is a name, two names (a folder in a folder), or ``holding`` a file of that name.
    """

    folder: str
    what: str
    why: str


@functools.cache
def kinds() -> tuple[Kind, ...]:
    """All rows of skipped_folders.csv."""
    text = files("tagger.storage").joinpath("skipped_folders.csv").read_text(encoding="utf-8")
    return tuple(Kind(**row) for row in csv.DictReader(text.splitlines()))


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns for a name and for two names; each alternative is a group of its own."""
    rows = [kind.folder.casefold() for kind in kinds() if not kind.folder.startswith(_MARKED)]
    one, two = [row for row in rows if "/" not in row], [row for row in rows if "/" in row]
    return tuple(  # type: ignore[return-value]
        re.compile("|".join(fnmatch.translate(row) for row in some)) for some in (one, two)
    )


@functools.cache
def _marks() -> dict[str, Kind]:
    return {
        kind.folder.removeprefix(_MARKED): kind
        for kind in kinds()
        if kind.folder.startswith(_MARKED)
    }


@functools.lru_cache(4096)
def is_skipped(name: str, parent: str = "") -> bool:
    """Whether a folder of this name, inside one of that name, is on the list."""
    one, two = _patterns()
    folded = name.casefold()
    return bool(one.match(folded) or two.match(f"{parent.casefold()}/{folded}"))


def mark_in(names: Iterable[str]) -> str:
    """The name in a folder that puts it on the list, if there is one."""
    return next((mark for mark in _marks() if mark in names), "")


class Skipping:
    """What one listing skips, and how much that was.

    Args:
        on: False for --no-skip, which skips nothing.
    """

    def __init__(self, on: bool = True) -> None:
        self.on = on
        self.folders = 0  # folders skipped

    def leaves_out(self, name: str, parent: str) -> bool:
        """Whether a folder is skipped because of its name; counts it."""
        out = self.on and is_skipped(name, parent)
        self.folders += out
        return out

    def leaves_out_marked(self, names: Iterable[str]) -> bool:
        """Whether a folder is skipped because of a file in it; counts it."""
        out = self.on and bool(mark_in(names))
        self.folders += out
        return out

    def check(
        self, place: str, parts: Sequence[str], folders: Iterable[str | os.PathLike[str]] = ()
    ) -> None:
        """Refuse a PATH that is or lies in such a folder.

        Args:
            place: the PATH as it was given.
            parts: the names of its folders, from the outermost on.
            folders: those of this machine, to look for marks in.

        Raises:
            SkippedError: it is one; says which kind, and why it is skipped.
        """
        if not self.on:
            return
        for parent, name in zip(("", *parts), parts, strict=False):
            if is_skipped(name, parent):
                raise _refusal(place, name, _kind_of(name, parent))
        for folder in folders:
            for mark, kind in _marks().items():
                if os.path.lexists(os.path.join(folder, mark)):
                    raise _refusal(place, os.path.basename(folder), kind)


def _kind_of(name: str, parent: str) -> Kind:
    both = (name.casefold(), f"{parent}/{name}".casefold())
    return next(
        kind
        for kind in kinds()
        if any(fnmatch.fnmatchcase(text, kind.folder.casefold()) for text in both)
    )


def _refusal(place: str, name: str, kind: Kind) -> SkippedError:
    where = "is" if os.path.basename(place.rstrip("/" + os.sep)) == name else f"is in {name},"
    return SkippedError(
        f"{place}: {where} {_article(kind.what)} ({kind.why}), whose files are left alone",
        "give another PATH, or add --no-skip",
    )


def _article(what: str) -> str:
    if what.split()[0].endswith("s") or what.startswith(("what ", "trash", "remains")):
        return what
    return f"{'an' if what[0] in 'AEIOUaeiou' else 'a'} {what}"
