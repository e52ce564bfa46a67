"""Files that users name (reports, ledgers, packs): opened and replaced without following links."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tagger import system
from tagger.errors import PhotoError
from tagger.storage.local_writing import Folder, Temporary
from tagger.system import LINK_ERRORS, NO_LINK, NO_WAIT

_OF_SYSTEM = ("/dev", "/dev/fd", "/proc/self/fd")  # where standard output is a link


def no_link(path: str, flags: int) -> int:
    """An ``opener`` for :func:`open` that refuses a link (ELOOP) and never waits for a pipe."""
    return os.open(path, flags | NO_LINK | NO_WAIT, 0o666)


def regular(path: str, flags: int) -> int:
    """An ``opener`` for a file that is read whole: not a device without end, nor a pipe."""
    descriptor = os.open(path, flags | NO_WAIT)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    return descriptor


def piped(path: str, flags: int) -> int:
    """An ``opener`` for what is read up to a limit; of pipes, only a shell's: ``<(...)``."""
    if os.path.dirname(path) not in _OF_SYSTEM and stat.S_ISFIFO(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "it is a pipe, in which nothing may ever come", path)
    return os.open(path, flags)


def read_regular(path: Path, most: int) -> bytes:
    """All of a regular file of at most ``most`` bytes.

    Raises:
        OSError: it cannot be read, is larger, or no regular file.
    """
    with open(path, "rb", opener=regular) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise too_large(path, most)
        return file.read()


def too_large(path: Path, most: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {most >> 20:,} MB", str(path))


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
