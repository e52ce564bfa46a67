"""The seam to where photos live: the Storage protocol, the local folder, the scheme table."""

import contextlib
import functools
import os
import socket
import stat
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from tagger.digest import Digest
from tagger.errors import ChangedError, PhotoError, RunError, VanishedError
from tagger.excluding import excluded, globs
from tagger.records import Entry, Version
from tagger.spliced import Content, pieces

PHOTO_SUFFIXES = frozenset(".jpg .jpeg .jpe .jfif .png .tif .tiff .webp .heic .heif .avif".split())
# Listed so that they show up in the report; they cannot be decoded without a raw developer.
RAW_SUFFIXES = frozenset(
    ".dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .x3f .3fr .iiq".split()
)
LISTED_SUFFIXES = PHOTO_SUFFIXES | RAW_SUFFIXES
# Folders that hold copies, thumbnails or deleted photos: Synology, QNAP, Windows, macOS, ext4.
SKIPPED_FOLDERS = frozenset(
    "@eaDir #recycle #snapshot @Recycle @Recently-Snapshot $RECYCLE.BIN lost+found __MACOSX".split()
) | {"System Volume Information"}
SCHEMES = ("s3", "gs", "az")
CHANGED = "it changed since it was read and is left as it is; run again"
TEMP_PREFIX = ".landmark-tag-"


class Blob(NamedTuple):
    """A photo's bytes, the version they are of, and their SHA-256 where it is being taken."""

    data: bytes
    version: Version
    digest: Digest | None = None


class Traits(NamedTuple):
    """What a store keeps with a photo beside its bytes, and the version that goes with.

    ``attributes`` are headers such as Content-Type, and the user's own metadata.
    """

    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    etag: str = ""
    version: str = ""


def nothing() -> None:
    """What is called where nothing is to be done."""


class Storage(Protocol):
    """Where photos live. A key names a photo; versions guard every write.

    Methods raise PhotoError with a reason where one photo cannot be read or written, and
    ChangedError where it is not the version that was expected.
    """

    def list(self) -> Iterator[Entry]:
        """Every photo once, in an order that is the same from run to run."""
        ...

    def read_head(self, key: str, size: int) -> bytes:
        """The first ``size`` bytes, fewer where the photo is shorter."""
        ...

    def read(self, key: str) -> Blob:
        """All bytes and the version they are of."""
        ...

    def write(
        self,
        key: str,
        data: Content,
        expected: Version | None,
        traits: Traits | None = None,
        ready: Callable[[], None] = nothing,
    ) -> Version:
        """Replace the photo in one step if it still is ``expected`` (None: create it).

        A photo that is replaced keeps its traits, one that is created takes ``traits``. ``ready``
        is called before anything of the photo changes, as late as the store can; what it raises
        stops the write. Where it raises, the photo is as it was, as far as the store can tell.
        """
        ...

    def traits(self, key: str) -> Traits:
        """What to create a copy of the photo with."""
        ...

    def delete(self, key: str, expected: Version) -> None:
        """Remove it if it still is ``expected``."""
        ...

    def set_mtime(self, key: str, mtime_ns: int) -> None:
        """Give a file its time back, where the store keeps times that can be set."""
        ...


def open_storage(
    targets: Sequence[str],
    *,
    recursive: bool = True,
    exclude: Sequence[str] = (),
    since: datetime | None = None,
) -> Storage:
    """The storage that the targets live in; ``since`` leaves older objects of a bucket out.

    Raises:
        RunError: a target is empty, does not exist or cannot be reached, or its scheme is not
            known.
    """
    if "" in targets:  # which would be the folder we are in
        raise RunError("PATH is empty; is a variable unset?")
    roots = {bucket_of(target) for target in targets}
    if len(roots) > 1:
        raise RunError(f"{', '.join(targets)}: give photos of one bucket, or of this machine")
    if roots == {""} or not roots:
        if since:
            raise RunError("--since: leaves out older objects of a bucket; PATH is none")
        return LocalStorage([Path(target) for target in targets], recursive, exclude)
    try:
        from tagger.bucket import BucketStorage
    except ModuleNotFoundError as error:
        raise RunError(
            f"{targets[0]}: buckets need {error.name}; pip install 'landmark-tag[bucket]'"
        ) from error
    return BucketStorage(targets, recursive, exclude, since)


def storage_at(key: str) -> Storage:
    """The storage that a key, out of a report or the ledger, lives in."""
    return _storage_of(bucket_of(key))


@functools.cache
def _storage_of(bucket: str) -> Storage:
    return open_storage([bucket] if bucket else [])


def bucket_of(target: str) -> str:
    """The ``scheme://bucket`` of a URL; empty for a path.

    Raises:
        RunError: the scheme is not known, or no bucket is named.
    """
    scheme, separator, rest = target.partition("://")
    if not separator:
        return ""
    if scheme not in SCHEMES:
        raise RunError(
            f"{target}: {scheme}:// is not supported; give a folder, a file, or a bucket as "
            f"{', '.join(SCHEMES)}"
        )
    bucket = rest.partition("/")[0]
    if not bucket:
        raise RunError(f"{target}: names no bucket; give {scheme}://bucket/folder")
    return f"{scheme}://{bucket}"


class LocalStorage:
    """Folders and files of this machine; keys are absolute paths as text.

    Names that are not UTF-8 are kept through surrogate escapes (PEP 383).
    """

    def __init__(
        self, paths: Sequence[Path] = (), recursive: bool = True, exclude: Sequence[str] = ()
    ) -> None:
        for path in paths:
            try:
                path.stat()
            except (FileNotFoundError, NotADirectoryError, ValueError) as error:
                raise RunError(f"{path}: no such file or folder; check the PATH") from error
            except OSError as error:
                raise RunError(
                    f"{path}: cannot be looked at ({error.strerror}); check the PATH, and the "
                    "permissions of the folders it is in"
                ) from error
        roots = {Path(os.path.realpath(path)) for path in paths}
        # A folder and something inside it: the folder alone already lists it.
        covered = {root for root in roots if recursive and roots & set(root.parents)}
        self._roots = sorted(roots - covered)
        self._recursive = recursive
        self._exclude = globs(exclude)
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
                yield self._entry(str(root), _names(root.parent))

    def read_head(self, key: str, size: int) -> bytes:
        with _explained("read"), open(key, "rb", buffering=0) as file:
            return file.read(size)

    def read(self, key: str) -> Blob:
        with _explained("read"), open(key, "rb", buffering=0) as file:
            version = _version(os.fstat(file.fileno()))
            data = file.read()
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
    ) -> Version:
        path = Path(key)
        with _explained("written"):
            if expected is None:
                path.parent.mkdir(parents=True, exist_ok=True)
            before = self._guard(path, expected)
            prefix = f"{TEMP_PREFIX}{self._host:08x}-{os.getpid()}-"
            descriptor, temp = tempfile.mkstemp(suffix=".tmp", prefix=prefix, dir=path.parent)
            try:
                with open(descriptor, "wb") as file:
                    file.writelines(pieces(data))
                    file.flush()
                    if before is not None:
                        _keep_attributes(path, before, temp)
                    else:
                        os.chmod(temp, self._new_mode)
                    os.fsync(file.fileno())
                    written = _version(os.fstat(file.fileno()), renamed=True)
                ready()
                if expected is None:
                    _take_name(temp, path)
                else:
                    self._guard(path, expected)
                    os.replace(temp, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temp)
                raise
            _sync_folder(path.parent)
            return written

    def delete(self, key: str, expected: Version) -> None:
        path = Path(key)
        with _explained("removed"):
            self._guard(path, expected)
            path.unlink()
            _sync_folder(path.parent)

    def set_mtime(self, key: str, mtime_ns: int) -> None:
        with _explained("written"):
            os.utime(key, ns=(os.stat(key).st_atime_ns, mtime_ns))

    def traits(self, key: str) -> Traits:
        return Traits({}, {})

    @staticmethod
    def _guard(path: Path, expected: Version | None) -> os.stat_result | None:
        if expected is None:
            if os.path.lexists(path):
                raise ChangedError("a file of that name appeared meanwhile; run again")
            return None
        now = os.lstat(path)
        if not stat.S_ISREG(now.st_mode) or _changed(path, _version(now), expected):
            raise ChangedError(CHANGED)
        if not now.st_mode & 0o222:
            raise PhotoError(
                "it is write-protected; make it writable (chmod u+w) to have it tagged"
            )
        return now

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
            beside = {item.name for item in items if item.name[-4:].lower() == ".xmp"}
            folders = []
            for item in items:
                if item.name.startswith(TEMP_PREFIX):
                    self._sweep(item.path)
                if self._skipped(item, root):
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

    def _skipped(self, item: os.DirEntry[str], root: Path) -> bool:
        if item.name.startswith(".") or item.name in SKIPPED_FOLDERS:
            return True
        if not self._exclude:
            return False
        return excluded(item.path, os.path.relpath(item.path, root), self._exclude)

    @staticmethod
    def _entry(path: str, beside: set[str]) -> Entry:
        """The photo at ``path``; ``beside`` are the names of its folder's sidecars."""
        sidecars: tuple[str, ...] = ()
        if beside:
            folder, name = os.path.split(path)
            spelled = (n for new in sidecar_names(name) for n in (new, new[:-4] + ".XMP"))
            sidecars = tuple(os.path.join(folder, n) for n in spelled if n in beside)
        try:
            now = os.stat(path)
        except OSError as error:
            return Entry(path, Version(0, 0), f"cannot be read ({error.strerror}); run again")
        # Opening a pipe or a device of that name could wait for ever.
        problem = "" if stat.S_ISREG(now.st_mode) else "is not a file, though named like a photo"
        return Entry(path, _version(now), problem, sidecars)

    def _sweep(self, path: str) -> None:
        """Remove a temporary file whose writer is gone: killed, or a day old."""
        host, _, pid = os.path.basename(path).removeprefix(TEMP_PREFIX).partition("-")
        with contextlib.suppress(OSError, ValueError):
            stale = time.time() - os.stat(path).st_mtime > 86_400
            if host == f"{self._host:08x}" and os.name == "posix" and not stale:
                try:
                    os.kill(int(pid.partition("-")[0]), 0)
                except ProcessLookupError:
                    stale = True
            if stale:
                os.unlink(path)


def sidecar_names(name: str) -> tuple[str, str]:
    """The two names a photo's XMP sidecar goes by: photo.jpg.xmp first, then photo.xmp."""
    return f"{name}.xmp", f"{os.path.splitext(name)[0]}.xmp"


def is_sidecar(key: str) -> bool:
    """Whether a key names an XMP sidecar rather than a photo."""
    return suffix(key) == ".xmp"


def suffix(name: str) -> str:
    """A name's suffix in small letters, with its dot."""
    return os.path.splitext(name)[1].lower()


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _version(status: os.stat_result, renamed: bool = False) -> Version:
    """The version of a file; one that is ``renamed`` next gets another ctime by that."""
    node = (status.st_dev, status.st_ino, 0 if renamed else status.st_ctime_ns)
    return Version(status.st_size, status.st_mtime_ns, "", node)


def _changed(path: Path, now: Version, expected: Version) -> bool:
    """Whether the file at ``path`` is not the one that was expected.

    Another size or time says so. Another inode or ctime does not prove it: some file systems
    number files afresh at each look, and a chmod or a hard link sets the ctime. Then the content
    decides, byte for byte, as late as here; where it was not kept, it counts as changed.
    """
    if now != expected:
        return True
    if now.same_node(expected):
        return False
    return expected.data is None or path.read_bytes() != expected.data


def _keep_attributes(path: Path, before: os.stat_result, temp: str) -> None:
    """Mode, owner, extended attributes (ACLs among them) and times."""
    made = os.stat(temp)
    if (before.st_uid, before.st_gid) != (made.st_uid, made.st_gid):
        try:
            os.chown(temp, before.st_uid, before.st_gid)
        except PermissionError as error:
            raise PhotoError(
                "it belongs to another user or group, which would be lost; run as its owner"
            ) from error
    if hasattr(os, "listxattr"):
        for name in _xattrs(path):
            # Only user.* and ACLs are ours to carry over; the system gives security labels.
            theirs = not name.startswith(("user.", "system.posix_acl"))
            with contextlib.suppress(OSError) if theirs else contextlib.nullcontext():
                os.setxattr(temp, name, os.getxattr(path, name))
    os.chmod(temp, stat.S_IMODE(before.st_mode))
    os.utime(temp, ns=(before.st_atime_ns, before.st_mtime_ns))


def _xattrs(path: Path) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:
        return []


def _take_name(temp: str, path: Path) -> None:
    """Name a new file; a link fails where the name is taken, which a rename would not."""
    try:
        os.link(temp, path)
    except FileExistsError:
        raise
    except OSError:  # FAT, exFAT and some network shares know no links
        os.rename(temp, path)
    else:
        os.unlink(temp)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; where a folder cannot be opened (Windows), the system does it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _explained(verb: str) -> Iterator[None]:
    """Turn the system's errors into a photo's, with the remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise VanishedError("it vanished while the run was on; run again") from error
    except FileExistsError as error:
        raise ChangedError("a file of that name appeared meanwhile; run again") from error
    except PermissionError as error:
        raise PhotoError(
            f"cannot be {verb} (no permission); check the permissions of it and its folder"
        ) from error
    except OSError as error:
        raise PhotoError(
            f"cannot be {verb} ({error.strerror}); check the disk, its free space and its mount"
        ) from error
