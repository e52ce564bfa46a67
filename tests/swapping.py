"""An attacker who may write in a folder and acts at one chosen system call."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CALLS = (
    "open", "stat", "lstat", "fstat", "chmod", "fchmod", "chown", "fchown", "utime", "listxattr",
    "getxattr", "setxattr", "fsync", "replace", "rename", "link", "unlink", "mkdir", "close",
    "ftruncate", "truncate",
)  # fmt: skip
_XATTR = "user.theirs"


class Foreign:
    """A file outside the folder, and everything about it that must not change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"theirs")
        path.chmod(0o600)
        with contextlib.suppress(OSError, AttributeError):
            os.setxattr(path, _XATTR, b"1")
        os.utime(path, ns=(1, 1_400_000_000_000_000_000))
        self.before = self.now()

    def now(self) -> tuple[object, ...]:
        status = os.lstat(self.path)
        xattrs = sorted(os.listxattr(self.path)) if hasattr(os, "listxattr") else []
        return (
            self.path.read_bytes(), status.st_mode, status.st_uid, status.st_gid,
            status.st_mtime_ns, xattrs,
        )  # fmt: skip


def stepping_in(
    patch: pytest.MonkeyPatch, number: int, swap: Callable[[], None]
) -> Callable[[], int]:
    """Call ``swap`` once, before the system call of that number; yields the count so far."""
    count, busy = 0, False

    def hooked(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count, busy
            if not busy:
                busy = True
                try:
                    if count == number:
                        swap()
                    count += 1
                finally:
                    busy = False
            return real(*arguments, **named)

        return call

    for name in CALLS:
        if hasattr(os, name):
            patch.setattr(os, name, hooked(getattr(os, name)))
    return lambda: count
