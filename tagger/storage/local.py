"""The seam to where photos live: the Storage protocol, the local folder, the scheme table."""

import contextlib
import os
import socket
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

from tagger.blob import Blob, Content, pieces
from tagger.errors import (
    ChangedError,
    PhotoError,
    RunError,
    UnsupportedError,
    VanishedError,
)
from tagger.records import Entry, HardLinks, Version
from tagger.storage.base import CHANGED, Traits, nothing
from tagger.storage.exclude import excluded, globs
from tagger.storage.local_writing import (
    Folder,
    Temporary,
    content,
    keep_attributes,
    no_link,
)
from tagger.storage.siblings import Siblings
from tagger.storage.skipping import Skipping
from tagger.storage.suffixes import LISTED_SUFFIXES, is_sidecar, suffix
from tagger.system import LINK_ERRORS, NO_WAIT, is_gone, moves_open_files, set_times

APPEARED = "a file of that name appeared meanwhile; run again"
IS_LINK = "it, or a folder it is in, has become a link, which is not followed; put the file there"
NO_PHOTOS = (
    "{}: no photos there; check the PATH and whether it is mounted, or add --allow-empty if it may "
    "be empty"
)
TEMP_PREFIX = ".landmark-tag-"


class LocalStorage:
    """Folders and files of this machine; keys are absolute paths as text.

    Names that are not UTF-8 are kept through surrogate escapes (PEP 383).
    """

    def __init__(
        self,
        paths: Sequence[Path] = (),
        recursive: bool = True,
        exclude: Sequence[str] = (),
        hard_links: HardLinks = HardLinks.SKIP,
        skipping: Skipping | None = None,
    ) -> None:
        self._skipping = skipping or Skipping()
        for path in paths:
            try:
                path.stat()
            except (FileNotFoundError, NotADirectoryError, ValueError) as error:
                raise RunError(f"{path}: no such file or folder; check the PATH") from error
            except OSError as error:
                raise RunError(
                    f"{path}: cannot be opened ({error.strerror}); check the PATH, and the "
                    "permissions of the folders it is in"
                ) from error
            # By the name that was given, and by the one that links lead to.
            for spelled in (Path(os.path.abspath(path)), Path(os.path.realpath(path))):
                self._skipping.check(str(path), spelled.parts, (spelled, *spelled.parents))
        roots = {Path(os.path.realpath(path)) for path in paths}
        # A folder and something inside it: the folder alone already lists it.
        covered = {root for root in roots if recursive and roots & set(root.parents)}
        self._roots = sorted(roots - covered)
        self._recursive = recursive
        self._exclude = globs(exclude)
        self._hard_links = hard_links
        self._new_mode = 0o666 & ~_umask()  # asked for once: asking is not safe among threads
        self._host = zlib.crc32(socket.gethostname().encode())

    def list(self) -> Iterator[Entry]:
        listed: set[str] = set()
        for root in self._roots:
            folder = root.is_dir()
            if excluded(str(root), "" if folder else root.name, self._exclude):
                continue
            if folder:
                listed.add(str(root))
                yield from self._walk(root)
            elif str(root.parent) not in listed:
                yield self._entry(str(root), _siblings(_names(root.parent)))

    def require_photos(self) -> None:
        """Make sure that there is something in each folder: one that is not mounted is empty.

        Photos that --exclude leaves out count, and so do folders that are left alone.

        Raises:
            RunError: there is not.
        """
        for root in self._roots:
            skipping = Skipping(self._skipping.on)
            everything = LocalStorage([root], self._recursive, skipping=skipping).list()
            if next(everything, None) is None and not skipping.folders:
                raise RunError(NO_PHOTOS.format(root))

    def read_head(self, key: str, size: int) -> bytes:
        with _explained("read"), open(key, "rb", buffering=0, opener=no_link) as file:
            return file.read(size)

    def read(self, key: str) -> Blob:
        with _explained("read"), open(key, "rb", buffering=0, opener=no_link) as file:
            now = os.fstat(file.fileno())
            if not stat.S_ISREG(now.st_mode):
                raise ChangedError("is not a file, though named like a photo")
            version, data = _version(now), file.read()
            if _version(os.fstat(file.fileno())) != version or len(data) != version.size:
                raise ChangedError("it was being written while it was read; run again later")
            return Blob(data, replace(version, data=data))

    def write(
        self,
        key: str,
        data: Content,
        expected: Version | None,
        traits: Traits | None = None,
        ready: Callable[[], None] = nothing,
        mtime_ns: int | None = None,
    ) -> Version:
        path = Path(key)
        with _explained("written"), Folder(path.parent, create=expected is None) as folder:
            if expected is None:
                _see_free(folder, path.name)
                return self._put(folder, path, data, None, ready, mtime_ns)
            with self._opened(folder, path.name, expected) as original:
                names = os.fstat(original.fileno()).st_nlink
                if names > 1 and self._hard_links is HardLinks.SKIP:
                    raise UnsupportedError(linked(names))
                return self._put(folder, path, data, (original, expected), ready, mtime_ns)

    def _put(
        self,
        folder: Folder,
        path: Path,
        data: Content,
        older: tuple[IO[bytes], Version] | None,
        ready: Callable[[], None],
        mtime_ns: int | None,
    ) -> Version:
        """Write a temporary file, give it the attributes of ``older`` and its name."""
        prefix = f"{TEMP_PREFIX}{self._host:08x}-{os.getpid()}-"
        with Temporary(folder, path.parent, prefix) as made:
            made.write(pieces(data))
            if older:
                keep_attributes(older[0].fileno(), made.descriptor, made.path)
            else:
                made.set_mode(self._new_mode)
            if mtime_ns is not None:
                now = os.fstat(made.descriptor)
                set_times(made.descriptor, now.st_atime_ns, mtime_ns, made.path)
            os.fsync(made.descriptor)
            written = _version(os.fstat(made.descriptor), renamed=True)
            ready()
            if older:
                self._guard(folder, path.name, older[0].fileno(), older[1])
                if not moves_open_files():
                    older[0].close()
            made.become(path.name, new=older is None)
        folder.sync()
        return written

    def delete(self, key: str, expected: Version) -> None:
        path = Path(key)
        with _explained("removed"), Folder(path.parent) as folder:
            with self._opened(folder, path.name, expected) as original:
                self._guard(folder, path.name, original.fileno(), expected)
            folder.unlink(path.name)
            folder.sync()

    def set_mtime(self, key: str, mtime_ns: int, expected: Version) -> None:
        path = Path(key)
        with (
            _explained("written"),
            Folder(path.parent) as folder,
            self._opened(folder, path.name, expected) as file,
        ):
            atime_ns = os.fstat(file.fileno()).st_atime_ns
            set_times(file.fileno(), atime_ns, mtime_ns, key)

    def traits(self, key: str) -> Traits:
        return Traits({}, {})

    @contextlib.contextmanager
    def _opened(self, folder: Folder, name: str, expected: Version) -> Iterator[IO[bytes]]:
        """The file of that name, which is ``expected`` and may be written."""
        if not stat.S_ISREG(folder.stat(name).st_mode):  # to open a device can have effects
            raise ChangedError(CHANGED)
        try:
            file = open(name, "rb", buffering=0, opener=partial(_at_once, folder))  # noqa: SIM115
        except IsADirectoryError as error:
            raise ChangedError(CHANGED) from error
        with file:
            now = os.fstat(file.fileno())
            if not stat.S_ISREG(now.st_mode) or _changed(file.fileno(), _version(now), expected):
                raise ChangedError(CHANGED)
            if not now.st_mode & 0o222:
                raise PhotoError(
                    "it is write-protected; make it writable (chmod u+w) to have it tagged"
                )
            yield file

    @staticmethod
    def _guard(folder: Folder, name: str, original: int, expected: Version) -> None:
        """See, as late as can be, that the name is still that of the file that was opened."""
        now = folder.stat(name)
        if _changed(original, _version(now), expected) or not folder.holds(name, original):
            raise ChangedError(CHANGED)

    def _walk(self, root: Path) -> Iterator[Entry]:
        """Photos below ``root``: a folder's files by name, then its folders, each by name."""
        stack = [str(root)]
        while stack:
            folder = stack.pop()
            try:
                with os.scandir(folder) as found:
                    items = sorted(found, key=lambda item: item.name)
            except OSError as error:
                reason = f"folder cannot be listed ({error.strerror}); check its permissions"
                yield Entry(folder, Version(0, 0), reason)
                continue
            if self._skipping.leaves_out_marked({item.name for item in items}):
                continue
            beside = _siblings(item.name for item in items)
            folders, parent = [], os.path.basename(folder)
            for item in items:
                if item.name.startswith(TEMP_PREFIX):
                    self._sweep(item.path)
                if self._left_out(item, root, parent):
                    continue
                if item.is_dir(follow_symlinks=False):
                    folders.append(item.path)
                # What os.path asks never raises, whatever a link leads to.
                elif suffix(item.name) in LISTED_SUFFIXES or (
                    item.is_symlink() and os.path.isdir(item.path)
                ):
                    if not item.is_symlink():
                        yield self._entry(item.path, beside)
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

    @staticmethod
    def _entry(path: str, beside: Siblings) -> Entry:
        """The photo at ``path``; ``beside`` is what its folder has."""
        folder, name = os.path.split(path)
        sidecars = tuple(os.path.join(folder, found) for found in beside.sidecars(name))
        try:
            now = os.stat(path)
        except OSError as error:
            return Entry(path, Version(0, 0), f"cannot be read ({error.strerror}); run again")
        # Opening a pipe or a device of that name could wait for ever.
        problem = "" if stat.S_ISREG(now.st_mode) else "is not a file, though named like a photo"
        takeout = beside.takeout(name)
        return Entry(
            path,
            _version(now),
            problem,
            sidecars,
            links=now.st_nlink,
            shares_stem=beside.share_stem(name),
            takeout=takeout and os.path.join(folder, takeout),
        )

    def _sweep(self, path: str) -> None:
        """Remove a temporary file whose writer is gone: killed, or a day old."""
        host, _, pid = os.path.basename(path).removeprefix(TEMP_PREFIX).partition("-")
        with contextlib.suppress(OSError, ValueError):
            stale = time.time() - os.stat(path).st_mtime > 86_400
            if host == f"{self._host:08x}" and not stale:
                stale = is_gone(int(pid.partition("-")[0]))
            if stale:
                os.unlink(path)


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _siblings(names: Iterable[str]) -> Siblings:
    """Photos and sidecars of a folder with these names; hidden ones are nobody's."""
    seen = [name for name in names if not name.startswith(".")]
    photos = (name for name in seen if suffix(name) in LISTED_SUFFIXES)
    takeout = (name for name in seen if suffix(name) == ".json")
    return Siblings(photos, (name for name in seen if is_sidecar(name)), takeout)


def _at_once(folder: Folder, name: str, flags: int) -> int:
    return folder.open(name, flags | NO_WAIT)


def _version(status: os.stat_result, renamed: bool = False) -> Version:
    """The version of a file; one that is ``renamed`` next gets another ctime by that."""
    node = (status.st_dev, status.st_ino, 0 if renamed else status.st_ctime_ns)
    return Version(status.st_size, status.st_mtime_ns, "", node)


def _changed(descriptor: int, now: Version, expected: Version) -> bool:
    """Whether an open file, of which ``now`` is the version, is not the one that was expected.

    Another size or time says so. Another inode or ctime does not prove it: some file systems
    number files afresh at each look, and a chmod or a hard link sets the ctime. Then the content
    decides, byte for byte, as late as here; where it was not kept, it counts as changed.
    """
    if now != expected:
        return True
    if now.same_node(expected):
        return False
    return expected.data is None or content(descriptor) != expected.data


def _see_free(folder: Folder, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        folder.stat(name)
        raise ChangedError(APPEARED)


def linked(names: int) -> str:
    """Why a file of several names is left alone."""
    return (
        f"has {names} names (hard links), and only this one would be changed; --hard-links split "
        "makes it a file of its own"
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _explained(verb: str) -> Iterator[None]:
    """Turn the system's errors into a photo's, with the remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise VanishedError("it vanished during the run; run again") from error
    except FileExistsError as error:
        raise ChangedError(APPEARED) from error
    except PermissionError as error:
        raise PhotoError(
            f"cannot be {verb} (no permission); check the permissions of it and its folder"
        ) from error
    except OSError as error:
        if error.errno in LINK_ERRORS:
            raise ChangedError(IS_LINK) from error
        raise PhotoError(
            f"cannot be {verb} ({error.strerror}); check the disk, its free space and its mount"
        ) from error
