"""Create and replace files through open descriptors, so that no planted link is followed."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tagger import system
from tagger.errors import PhotoError
from tagger.system import LINK_ERRORS, NO_LINK, NO_WAIT

_OF_SYSTEM = ("/dev", "/dev/fd", "/proc/self/fd")  # where standard output is a link
SWAPPED = (
    "its temporary file was replaced by another program while it was written; see who else writes "
    "in the folder"
)


class Folder:
    """An open folder: operations use names in it, wherever its path leads by now.

    No part of its path may be a link: paths of photos have none when they are listed.

    Raises:
        OSError: it is not there, may not be entered, or (ELOOP) a part of its path is a link.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        self._path, self._descriptor = path.absolute(), None
        if not system.BY_DESCRIPTOR:
            if create:
                path.mkdir(parents=True, exist_ok=True)
            return
        root, *names = self._path.parts
        self._descriptor = os.open(root, system.FOLDER)
        try:
            for name in names:
                below = _entered(self._descriptor, name, create)
                os.close(self._descriptor)
                self._descriptor = below
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _at(self, name: str) -> str:
        return name if self._descriptor is not None else str(self._path / name)

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open the file itself; a link of that name is refused."""
        return os.open(self._at(name), flags | NO_LINK, mode, dir_fd=self._descriptor)

    def stat(self, name: str) -> os.stat_result:
        """The status of the name, of the link itself if it is one."""
        if self._descriptor is None:
            return os.lstat(self._at(name))
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)

    def holds(self, name: str, descriptor: int) -> bool:
        """Whether the name still belongs to the open file.

        Some file systems number their files afresh, now and then or at each look: then a file
        of this one name, with the same content byte for byte, is taken for the open one.
        """
        try:
            for _ in range(3):  # both are read at the same time
                if os.path.samestat(self.stat(name), os.fstat(descriptor)):
                    return True
            # Windows numbers differently by name and by descriptor.
            return self._descriptor is None or self._equals(name, descriptor)
        except FileNotFoundError:
            return False

    def _equals(self, name: str, descriptor: int) -> bool:
        """Whether the name belongs to a file with no other name and the content of the open one."""
        try:
            other = self.open(name, os.O_RDONLY | NO_WAIT)
        except OSError as error:
            if error.errno in LINK_ERRORS:
                return False
            raise
        try:
            now = os.fstat(other)
            alone = stat.S_ISREG(now.st_mode) and now.st_nlink <= os.fstat(descriptor).st_nlink
            return alone and content(other) == content(descriptor)
        finally:
            os.close(other)

    def replace(self, temp: str, name: str) -> None:
        os.replace(
            self._at(temp), self._at(name),
            src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor,
        )  # fmt: skip

    def take(self, temp: str, name: str) -> None:
        """Name a new file; unlike a rename, a hard link fails if the name is taken."""
        here: Any = {"src_dir_fd": self._descriptor, "dst_dir_fd": self._descriptor}
        follow: Any = {"follow_symlinks": False} if system.BY_DESCRIPTOR else {}
        try:
            os.link(self._at(temp), self._at(name), **here, **follow)
        except FileExistsError:
            raise
        except OSError as error:  # FAT, exFAT and some network shares have no hard links
            with contextlib.suppress(FileNotFoundError):
                self.stat(name)
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
            self.replace(temp, name)
        else:
            self.unlink(temp)

    def unlink(self, name: str) -> None:
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def sync(self) -> None:
        """Make a rename durable; where folders cannot be opened (Windows), the system does it."""
        with contextlib.suppress(OSError):
            here = "." if self._descriptor is not None else self._path
            descriptor = os.open(here, os.O_RDONLY, dir_fd=self._descriptor)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


class Temporary:
    """A new file beside the one it will replace; removed if it does not."""

    def __init__(self, folder: Folder, place: Path, prefix: str, mode: int = 0o600) -> None:
        self._folder, self._name = folder, f"{prefix}{secrets.token_hex(8)}.tmp"
        self.path = str(place / self._name)  # for systems that cannot set attributes on descriptors
        self.descriptor = folder.open(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def write(self, pieces: Iterable[bytes | memoryview]) -> None:
        with open(self.descriptor, "wb", closefd=False) as file:
            file.writelines(pieces)

    def set_mode(self, mode: int) -> None:
        system.set_mode(self.descriptor, mode, self.path)

    def become(self, name: str, new: bool) -> None:
        """Take the name of the file it replaces, or (``new``) a free one.

        Raises:
            PhotoError: another program put something else in its place.
        """
        take = self._folder.take if new else self._folder.replace
        if not system.BY_DESCRIPTOR:
            self._close()  # Windows cannot rename open files
            take(self._name, name)
            return
        if not self._folder.holds(self._name, self.descriptor):
            raise PhotoError(SWAPPED)
        take(self._name, name)
        if not self._folder.holds(name, self.descriptor):
            raise PhotoError(SWAPPED)

    def _close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ours = self.descriptor < 0 or self._folder.holds(self._name, self.descriptor)
        self._close()
        if error is not None and ours:
            with contextlib.suppress(OSError):
                self._folder.unlink(self._name)


def keep_attributes(original: int, made: int, path: str) -> None:
    """Give an open file, at ``path``, the owner, extended attributes, mode and times of another.

    Raises:
        PhotoError: the owner cannot be kept.
    """
    before = os.fstat(original)
    try:
        system.keep_owner(before, made)
    except PermissionError as error:
        raise PhotoError(
            "it belongs to another user or group, which would be lost; run as its owner"
        ) from error
    system.keep_xattrs(original, made)
    system.set_mode(made, before.st_mode, path)
    system.set_times(made, before.st_atime_ns, before.st_mtime_ns, path)


def no_link(path: str, flags: int) -> int:
    """An ``opener`` for :func:`open` that refuses a link (ELOOP) and never waits for a pipe."""
    return os.open(path, flags | NO_LINK | NO_WAIT, 0o666)


def named(path: str, flags: int) -> int:
    """An ``opener`` for a file that the user names: refuses links other than the system's own."""
    if os.path.dirname(path) in _OF_SYSTEM:
        return os.open(path, flags, 0o666)
    try:
        descriptor = os.open(path, flags | NO_LINK, 0o666)
    except OSError as error:
        if error.errno not in LINK_ERRORS:
            raise
        raise OSError(error.errno, "it is a link, which is not followed", path) from error
    now = os.fstat(descriptor)
    if stat.S_ISREG(now.st_mode) and now.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EMLINK, "it is a hard link to another file", path)
    return descriptor


def emptied(path: str, flags: int) -> int:
    """An ``opener`` like :func:`named` for writing from the start: a new file, a device, a pipe."""
    flags &= ~os.O_TRUNC
    with contextlib.suppress(FileExistsError):
        return named(path, flags | os.O_CREAT | os.O_EXCL)
    descriptor = named(path, flags & ~os.O_CREAT)
    now = os.fstat(descriptor)
    if stat.S_ISREG(now.st_mode) and now.st_size:
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, "another file of that name appeared", path)
    return descriptor


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file that the user names in one step; it keeps its mode, a link is replaced.

    Raises:
        OSError: it cannot be written; it is as it was.
    """
    place = Path(os.path.realpath(path.parent))
    with Folder(place) as folder, Temporary(folder, place, f".{path.name}.", 0o666) as made:
        made.write([data])
        with contextlib.suppress(FileNotFoundError):
            older = folder.stat(path.name).st_mode
            if stat.S_ISREG(older):
                made.set_mode(stat.S_IMODE(older) & 0o777)
        os.fsync(made.descriptor)
        try:
            made.become(path.name, new=False)
        except PhotoError as error:
            raise OSError(errno.EBUSY, "another program writes there", str(path)) from error
        folder.sync()


@contextlib.contextmanager
def unswapped(path: Path) -> Iterator[None]:
    """For a library that opens a file by path: check that no link leads it elsewhere.

    Nothing may be written in the block yet, and no lock be taken.

    Raises:
        OSError: the file cannot be made, or a link is in its place.
    """
    try:
        made = os.lstat(path)  # not opened: closing a file drops this process's locks on it
    except FileNotFoundError:
        descriptor = named(str(path), os.O_RDWR | os.O_CREAT | os.O_EXCL)
        made = os.fstat(descriptor)
        os.close(descriptor)
    if not stat.S_ISREG(made.st_mode):
        raise OSError(errno.ELOOP, "it is a link, which is not followed", str(path))
    yield
    if system.BY_DESCRIPTOR and not _still(path, made):
        raise OSError(errno.ELOOP, "another file took its place", str(path))


def _still(path: Path, made: os.stat_result) -> bool:
    """Whether a file that must not be opened is the one seen before, even if renumbered.

    A file system that numbers a file otherwise at each look proves nothing by numbers; there, it
    must be no link and have no other name.
    """
    now, again = os.lstat(path), os.lstat(path)
    if os.path.samestat(now, made) or os.path.samestat(now, again):
        return os.path.samestat(now, made)
    return stat.S_ISREG(again.st_mode) and again.st_nlink == 1


def content(descriptor: int) -> bytes:
    """The whole content of an open file, whatever its position."""
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()


def _entered(above: int, name: str, create: bool) -> int:
    try:
        return os.open(name, system.FOLDER, dir_fd=above)
    except FileNotFoundError:
        if not create:
            raise
    except NotADirectoryError as error:  # which a link is to O_DIRECTORY
        if stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from error
        raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=above)
    return os.open(name, system.FOLDER, dir_fd=above)
