"""What --exclude skips: names, paths below PATH, and absolute paths or URLs."""

import fnmatch
import os
from collections.abc import Sequence

from tagger.storage.urls import is_url


def globs(exclude: Sequence[str]) -> tuple[str, ...]:
    """The values of --exclude in the form :func:`excluded` takes: ``./private/`` is ``private``."""
    patterns: list[str] = []
    for glob in exclude:
        plain = glob.removeprefix("./").rstrip("/" + os.sep)
        if _absolute(plain):
            # Keys contain no links.
            real = plain if is_url(plain) else os.path.realpath(plain)
            patterns += [real, f"{real}/*"]
        elif plain:
            patterns += [plain, plain.removeprefix("**/")]
    return tuple(patterns)


def excluded(key: str, relative: str, exclude: Sequence[str]) -> bool:
    """Whether one of the :func:`globs` matches: a name, a path below PATH, or an absolute one."""
    below = (os.path.basename(relative), relative)
    return any(
        fnmatch.fnmatch(text, glob)
        for glob in exclude
        for text in ((key,) if _absolute(glob) else below)
    )


def _absolute(glob: str) -> bool:
    return os.path.isabs(glob) or is_url(glob)
