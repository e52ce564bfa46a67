"""Photos in folders of this machine: read, replaced in one step, guarded against changes."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
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
)
from tagger.records import Entry, HardLinks, Version
from tagger.storage.base import APPEARED, CHANGED, NO_PHOTOS, Traits, nothing
from tagger.storage.exclude import excluded, globs
from tagger.storage.local_errors import NO_FILE, explained, linked
from tagger.storage.local_listing import (
    Walk,
    entry_at,
    names_in,
    siblings_of,
    temp_prefix,
    version_of,
)
from tagger.storage.local_writing import (
    Folder,
    Temporary,
    content,
    keep_attributes,
)
from tagger.storage.named_files import no_link
from tagger.storage.skipping import Skipping
from tagger.system import NO_WAIT, moves_open_files, no_reading_ahead, set_times


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
            # By the name as given, and by the path with links resolved.
            for spelled in (Path(os.path.abspath(path)), Path(os.path.realpath(path))):
                self._skipping.check(str(path), spelled.parts, (spelled, *spelled.parents))
        roots = {Path(os.path.realpath(path)) for path in paths}
        # Of a folder and something inside it, the folder alone lists both.
        covered = {root for root in roots if recursive and roots & set(root.parents)}
        self._roots = sorted(roots - covered)
        self._recursive = recursive
        self._exclude = globs(exclude)
        self._hard_links = hard_links
        self._new_mode = 0o666 & ~_umask()  # read once: reading it is not thread-safe
        self._walk = Walk(recursive, self._exclude, self._skipping)

    @property
    def roots(self) -> tuple[str, ...]:
        return tuple(map(str, self._roots))

    def list(self) -> Iterator[Entry]:
        listed: set[str] = set()
        for root in self._roots:
            folder = root.is_dir()
            if excluded(str(root), "" if folder else root.name, self._exclude):
                continue
            if folder:
                listed.add(str(root))
                yield from self._walk.below(root)
            elif str(root.parent) not in listed:
                yield entry_at(str(root), siblings_of(names_in(root.parent)))

    def require_photos(self) -> None:
        """Make sure that no folder is empty, as one that is not mounted would be.

        Excluded photos and skipped folders count as content.

        Raises:
            RunError: there is not.
        """
        for root in self._roots:
            skipping = Skipping(self._skipping.on)
            everything = LocalStorage([root], self._recursive, skipping=skipping).list()
            if next(everything, None) is None and not skipping.folders:
                raise RunError(NO_PHOTOS.format(root))

    def read_head(self, key: str, size: int) -> bytes:
        with explained("read"), open(key, "rb", buffering=0, opener=no_link) as file:
            no_reading_ahead(file.fileno())
            return file.read(size)

    def read_part(self, key: str, start: int, size: int) -> Blob:
        with explained("read"), open(key, "rb", buffering=0, opener=no_link) as file:
            now = os.fstat(file.fileno())
            if not stat.S_ISREG(now.st_mode):
                raise ChangedError(NO_FILE)
            file.seek(start)
            return Blob(file.read(size), version_of(now))

    def read(self, key: str) -> Blob:
        with explained("read"), open(key, "rb", buffering=0, opener=no_link) as file:
            now = os.fstat(file.fileno())
            if not stat.S_ISREG(now.st_mode):
                raise ChangedError(NO_FILE)
            version, data = version_of(now), file.read()
            if version_of(os.fstat(file.fileno())) != version or len(data) != version.size:
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
        with explained("written"), Folder(path.parent, create=expected is None) as folder:
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
        """Write a temporary file, and give it the attributes and the name of ``older``."""
        with Temporary(folder, path.parent, temp_prefix()) as made:
            made.write(pieces(data))
            if older:
                keep_attributes(older[0].fileno(), made.descriptor, made.path)
            else:
                made.set_mode(self._new_mode)
            if mtime_ns is not None:
                now = os.fstat(made.descriptor)
                set_times(made.descriptor, now.st_atime_ns, mtime_ns, made.path)
            os.fsync(made.descriptor)
            written = version_of(os.fstat(made.descriptor), renamed=True)
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
        with explained("removed"), Folder(path.parent) as folder:
            with self._opened(folder, path.name, expected) as original:
                self._guard(folder, path.name, original.fileno(), expected)
            folder.unlink(path.name)
            folder.sync()

    def set_mtime(self, key: str, mtime_ns: int, expected: Version) -> None:
        path = Path(key)
        with (
            explained("written"),
            Folder(path.parent) as folder,
            self._opened(folder, path.name, expected) as file,
        ):
            atime_ns = os.fstat(file.fileno()).st_atime_ns
            set_times(file.fileno(), atime_ns, mtime_ns, key)

    def traits(self, key: str) -> Traits:
        return Traits({}, {})

    @contextlib.contextmanager
    def _opened(self, folder: Folder, name: str, expected: Version) -> Iterator[IO[bytes]]:
        """Open the file of that name, if it is ``expected`` and writable."""
        if not stat.S_ISREG(folder.stat(name).st_mode):  # opening a device can have side effects
            raise ChangedError(CHANGED)
        try:
            file = open(name, "rb", buffering=0, opener=partial(_at_once, folder))  # noqa: SIM115
        except IsADirectoryError as error:
            raise ChangedError(CHANGED) from error
        with file:
            now = os.fstat(file.fileno())
            if not stat.S_ISREG(now.st_mode) or _changed(file.fileno(), version_of(now), expected):
                raise ChangedError(CHANGED)
            if not now.st_mode & 0o222:
                raise PhotoError(
                    "it is write-protected; make it writable (chmod u+w) to have it tagged"
                )
            yield file

    @staticmethod
    def _guard(folder: Folder, name: str, original: int, expected: Version) -> None:
        """Check, as late as possible, that the name still belongs to the open file."""
        now = folder.stat(name)
        if _changed(original, version_of(now), expected) or not folder.holds(name, original):
            raise ChangedError(CHANGED)


def _at_once(folder: Folder, name: str, flags: int) -> int:
    return folder.open(name, flags | NO_WAIT)


def _changed(descriptor: int, now: Version, expected: Version) -> bool:
    """Whether an open file, whose version is ``now``, is not the expected one.

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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
