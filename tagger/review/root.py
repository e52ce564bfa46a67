"""Which folder a report may name photos in, and the one way a photo's bytes are read for it."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from tagger.errors import PhotoError, RunError
from tagger.suffixes import LISTED_SUFFIXES, suffix

# A report can be forged, or come from another machine. A row may therefore name a photo below one
# folder that the user or the ledger vouches for, and nothing else.


def inside(path: str, root: Path) -> bool:
    """Whether ``path`` lies below ``root`` as text; links are followed when it is opened."""
    return (
        os.path.isabs(path)
        and "\0" not in path
        and os.path.normpath(path).startswith(str(root).rstrip(os.sep) + os.sep)
    )


def read_photo(path: str, root: Path) -> bytes:
    """The bytes of a photo below ``root``.

    Raises:
        PhotoError: it lies elsewhere (also by way of a link), is no photo file, or is unreadable.
    """
    if suffix(path) not in LISTED_SUFFIXES:
        raise PhotoError("not a photo file; the report may be forged")
    real = os.path.realpath(path) if "\0" not in path else ""
    if not inside(path, root) or not inside(real, Path(os.path.realpath(root))):
        raise PhotoError(f"lies outside {root} and is not shown; --root names another folder")
    try:
        descriptor = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PhotoError("not a regular file; the report may be forged")
            return file.read()
    except FileNotFoundError as error:
        raise PhotoError("no longer there; it was moved or deleted since the run") from error
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror}); check its permissions") from error


def choose_root(given: Path | None, recorded: Iterable[str], report: Path) -> Path:
    """The folder to trust: the one given, else the run's by the ledger, else the report's.

    Args:
        given: from --root.
        recorded: what the run named in the report was asked to tag, as the ledger has it.
        report: the report.

    Raises:
        RunError: the folder given does not exist.
    """
    if given is not None:
        if not given.is_dir():
            raise RunError(f"--root {given}: no such folder; give the one the photos are in")
        return given.resolve()
    folders = [place if os.path.isdir(place) else os.path.dirname(place) for place in recorded]
    if folders and all(os.path.isabs(folder) for folder in folders):
        return Path(os.path.commonpath(folders))
    return report.resolve().parent


def common_folder(paths: Iterable[str]) -> Path | None:
    """The deepest folder that holds all paths, to propose as --root; None where there is none."""
    folders = {os.path.dirname(os.path.normpath(path)) for path in paths if os.path.isabs(path)}
    return Path(os.path.commonpath(folders)) if folders else None
