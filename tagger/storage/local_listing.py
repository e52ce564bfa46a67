"""The photos in a local folder, each with its sidecars and the other files beside it."""

import contextlib
import os
import socket
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tagger.errors import PhotoError
from tagger.records import Entry, Version
from tagger.storage.exclude import excluded
from tagger.storage.local_errors import NO_FILE, explained
from tagger.storage.siblings import Siblings
from tagger.storage.skipping import Skipping
from tagger.storage.suffixes import LISTED_SUFFIXES, is_movie, is_sidecar, suffix
from tagger.system import is_gone

TEMP_PREFIX = ".landmark-tag-"
HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"


class Walk:
    """Walk through folders, and remove temporary files of runs that have ended.

    Args:
        recursive: look into subfolders.
        exclude: what to skip, as :func:`tagger.storage.exclude.globs` returns it.
        skipping: which folders are skipped; it counts them.
    """

    def __init__(self, recursive: bool, exclude: tuple[str, ...], skipping: Skipping) -> None:
        self._recursive, self._exclude, self._skipping = recursive, exclude, skipping

    def below(self, root: Path) -> Iterator[Entry]:
        """Photos below ``root``: a folder's files by name, then its folders, each by name."""
        stack = [str(root)]
        while stack:
            folder = stack.pop()
            try:
                with os.scandir(folder) as listing:
                    items = sorted(listing, key=lambda item: item.name)
            except OSError as error:
                reason = f"folder cannot be listed ({error.strerror}); check its permissions"
                yield Entry(folder, Version(0, 0), reason)
                continue
            if self._skipping.leaves_out_marked({item.name for item in items}):
                continue
            beside = siblings_of(item.name for item in items)
            folders, parent = [], os.path.basename(folder)
            for item in items:
                if item.name.startswith(TEMP_PREFIX):
                    _sweep(item.path)
                if self._left_out(item, root, parent):
                    continue
                if item.is_dir(follow_symlinks=False):
                    folders.append(item.path)
                # os.path never raises here, whatever a link leads to.
                elif suffix(item.name) in LISTED_SUFFIXES or (
                    item.is_symlink() and os.path.isdir(item.path)
                ):
                    if not item.is_symlink():
                        yield entry_at(item.path, beside)
                    elif not Path(os.path.realpath(item.path)).is_relative_to(root):
                        reason = "a link out of the folder is not followed; give its target as PATH"
                        yield Entry(item.path, Version(0, 0), reason, fault=False)
            if self._recursive:
                stack.extend(reversed(folders))

    def _left_out(self, item: os.DirEntry[str], root: Path, parent: str) -> bool:
        if self._exclude and excluded(item.path, os.path.relpath(item.path, root), self._exclude):
            return True
        folder = item.is_dir(follow_symlinks=False) or item.is_symlink()
        if folder and self._skipping.leaves_out(item.name, parent):
            return True
        return item.name.startswith(".")


def entry_at(path: str, beside: Siblings) -> Entry:
    """The photo at ``path``; ``beside`` are the files of its folder."""
    folder, name = os.path.split(path)
    sidecars = tuple(os.path.join(folder, sidecar) for sidecar in beside.sidecars(name))
    try:
        with explained("read"):
            now = os.stat(path)
    except PhotoError as error:
        return Entry(path, Version(0, 0), str(error))
    # Opening a pipe or a device could block for ever.
    problem = "" if stat.S_ISREG(now.st_mode) else NO_FILE
    takeout, movie = beside.takeout(name), beside.movie(name)
    return Entry(
        path,
        version_of(now),
        problem,
        sidecars,
        links=now.st_nlink,
        shares_stem=beside.share_stem(name),
        takeout=takeout and os.path.join(folder, takeout),
        movie=movie and os.path.join(folder, movie),
    )


def version_of(status: os.stat_result, renamed: bool = False) -> Version:
    """The version of a file; renaming (``renamed``) will change its ctime."""
    node = (status.st_dev, status.st_ino, 0 if renamed else status.st_ctime_ns)
    return Version(status.st_size, status.st_mtime_ns, "", node)


def names_in(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def siblings_of(names: Iterable[str]) -> Siblings:
    """Photos and sidecars among these names of a folder; hidden ones belong to none."""
    visible = [name for name in names if not name.startswith(".")]
    photos = (name for name in visible if suffix(name) in LISTED_SUFFIXES)
    takeout = (name for name in visible if suffix(name) == ".json")
    return Siblings(photos, filter(is_sidecar, visible), takeout, filter(is_movie, visible))


def temp_prefix() -> str:
    """The prefix of the names of this process's temporary files."""
    return f"{TEMP_PREFIX}{HOST}-{os.getpid()}-"


def _sweep(path: str) -> None:
    """Remove a temporary file if its writer was killed, or if it is a day old."""
    host, _, pid = os.path.basename(path).removeprefix(TEMP_PREFIX).partition("-")
    with contextlib.suppress(OSError, ValueError):
        stale = time.time() - os.stat(path).st_mtime > 86_400
        if host == HOST and not stale:
            stale = is_gone(int(pid.partition("-")[0]))
        if stale:
            os.unlink(path)
