"""What each operating system does in its own way: locks, links, owners, attributes, processes."""

# The Windows branches are tested by simulation (tests/test_windows.py), on no real machine yet.

import contextlib
import errno
import os
import socket
import stat
import sys
import time
from typing import IO

# Whoever may write in a folder may put a link in the place of any file in it, at any moment. What
# is done by path would then be done to the link's target, with the rights of whoever runs us. So
# names are looked up in open folders without following links, and owner, mode, times and extended
# attributes are set on open files. Windows has no such calls, and links there need an
# administrator: paths are used instead.
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # for a pipe that somebody writes into
_USED = {os.open, os.stat, os.rename, os.unlink, os.link, os.mkdir}
BY_DESCRIPTOR = (
    hasattr(os, "O_NOFOLLOW")
    and os.supports_dir_fd >= _USED
    and {os.utime, os.chmod, os.chown} <= os.supports_fd
    and os.link in os.supports_follow_symlinks
)
# The names in a folder's path need no right to be listed where O_PATH is known.
FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | NO_LINK
# What O_NOFOLLOW raises of a link: ELOOP, EMLINK on FreeBSD.
LINK_ERRORS = frozenset({errno.ELOOP, errno.EMLINK})
# Windows locks bytes against reading too: this one lies behind all that is ever written.
_LOCKED_BYTE = 1 << 30
_ASKED_AGAIN_S = 0.05


def no_reading_ahead(descriptor: int) -> None:
    """Of an open file only what is asked for is to be read, where the system can be told so."""
    if sys.platform != "win32" and hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)


def lock(file: IO[str] | IO[bytes], wait: bool) -> bool:
    """Take the lock on a file that was just opened; False where another process has it.

    The system drops it when the file is closed or the process dies.
    """
    if sys.platform == "win32":
        return _lock_byte(file.fileno(), wait)
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    return True


def _lock_byte(descriptor: int, wait: bool) -> bool:
    """The lock of Windows; its own way to wait ends in an error after 10 seconds."""
    import msvcrt

    locking, at_once = vars(msvcrt)["locking"], vars(msvcrt)["LK_NBLCK"]
    while True:
        here = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            locking(descriptor, at_once, 1)
        except PermissionError:
            if not wait:
                return False
        else:
            return True
        finally:
            os.lseek(descriptor, here, os.SEEK_SET)
        time.sleep(_ASKED_AGAIN_S)


def moves_open_files() -> bool:
    """Whether a file may be renamed, replaced or removed while somebody has it open."""
    return sys.platform != "win32"


def keep_owner(before: os.stat_result, made: int) -> None:
    """Give an open file its owner and group; on Windows it has those of the folder.

    Raises:
        PermissionError: they are another's, who alone may give it away.
    """
    now = os.fstat(made)
    if hasattr(os, "fchown") and (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        os.fchown(made, before.st_uid, before.st_gid)


def keep_xattrs(original: int, made: int) -> None:
    """Give an open file the extended attributes of another, where the system has such.

    Raises:
        OSError: one that is the user's cannot be kept.
    """
    if not hasattr(os, "listxattr"):
        return
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = os.listxattr(original)
    for name in names:
        # Only user.* and ACLs are ours to carry over; the system gives security labels.
        theirs = not name.startswith(("user.", "system.posix_acl"))
        with contextlib.suppress(OSError) if theirs else contextlib.nullcontext():
            os.setxattr(made, name, os.getxattr(original, name))


def set_mode(descriptor: int, mode: int, path: str) -> None:
    """Set an open file's mode; by path where the system knows no other way."""
    os.chmod(descriptor if BY_DESCRIPTOR else path, stat.S_IMODE(mode))


def set_times(descriptor: int, atime_ns: int, mtime_ns: int, path: str) -> None:
    """Set an open file's times; by path where the system knows no other way."""
    os.utime(descriptor if BY_DESCRIPTOR else path, ns=(atime_ns, mtime_ns))


def is_gone(process: int) -> bool:
    """Whether a process of this machine has certainly ended."""
    if sys.platform == "win32":  # where to ask like this would end it
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # another user's
    return False


def share_address(probe: socket.socket) -> None:
    """Let a port be taken that another program has just left; on Windows it would be shared."""
    if sys.platform != "win32":
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
