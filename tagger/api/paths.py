"""The paths and URLs that users of the Python interface give."""

import os
from collections.abc import Iterable
from pathlib import Path

from tagger.storage.urls import absolute, is_url

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def targets_of(paths: Paths) -> tuple[str, ...]:
    """One path, or several, as text."""
    if isinstance(paths, str | os.PathLike):
        return (spelled(paths),)
    return tuple(map(spelled, paths))


def files_of(paths: Paths) -> tuple[Path, ...]:
    """One path, or several, of local files."""
    return tuple(map(Path, targets_of(paths)))


def spelled(path: str | os.PathLike[str]) -> str:
    """A path as text, ``~`` resolved; a URL as it is."""
    text = os.fspath(path)
    return text if is_url(text) else os.path.expanduser(text)


def place_of(path: str | os.PathLike[str]) -> str:
    """The absolute path, or the URL."""
    return absolute(spelled(path))
