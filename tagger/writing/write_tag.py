"""Re-read, tag, verify, record, write: the only way a tag gets into a photo or its sidecar."""

import time
from dataclasses import dataclass

from tagger import metadata
from tagger.blob import Blob, Content, fingerprint
from tagger.errors import ChangedError, RefusedError, UnsupportedError, VanishedError
from tagger.imaging.room import MOST
from tagger.metadata import exif_values
from tagger.metadata.formats.detect import Head
from tagger.metadata.reading import state_of
from tagger.records import Entry, GpsState, HardLinks, SidecarMode, SidecarName, Tag
from tagger.storage.base import CHANGED, Storage
from tagger.storage.local_errors import linked
from tagger.storage.raw_file import RawFile
from tagger.storage.suffixes import is_raw
from tagger.storage.urls import bucket_of
from tagger.writing import sidecars
from tagger.writing.copies import Output
from tagger.writing.recorded import Recorder, replace
from tagger.writing.sidecars import Sidecar

RAW = "camera raw is never written; its sidecar is"
LET_SIDECAR = "without --sidecar never it gets a sidecar"


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Whether tags go into photos or sidecars, what sidecars are called, and what else is kept.

    ``new_mtime`` gives what is written the time of writing instead of the one it had.
    """

    sidecar: SidecarMode = SidecarMode.AUTO
    sidecar_name: SidecarName = SidecarName.FULL
    hard_links: HardLinks = HardLinks.SKIP
    new_mtime: bool = False


def see_unlinked(entry: Entry, options: WriteOptions, output: Output | None = None) -> None:
    """See that no other name of the photo would be left behind with the old bytes.

    Raises:
        UnsupportedError: one would.
    """
    into = output is None and options.sidecar is not SidecarMode.ALWAYS and not is_raw(entry.key)
    if into and entry.links > 1 and options.hard_links is HardLinks.SKIP:
        raise UnsupportedError(f"{linked(entry.links)}, --sidecar always leaves it as it is")


def write_tag(
    storage: Storage,
    recorder: Recorder,
    entry: Entry,
    tag: Tag,
    options: WriteOptions,
    output: Output | None = None,
) -> str:
    """Write ``tag`` for one photo: into it, or into its sidecar where that is refused.

    With an ``output`` the photo stays as it is, and what would be written goes there. What this
    very run wrote before, without being able to report it, is taken as written: it can be tried
    again.

    Returns:
        where it went, for the report's reason column; empty when into the photo.

    Raises:
        ChangedError: the photo is not the one that was processed; it is left as it is.
        PhotoError: reading, tagging or writing failed; the photo is as it was.
    """
    see_unlinked(entry, options, output)
    mtime_ns = time.time_ns() if options.new_mtime else None
    return _Writing(storage, recorder, entry, tag, options, output, mtime_ns).write()


@dataclass(frozen=True, slots=True)
class _Writing:
    """One photo, its tag, and how and where this run writes."""

    storage: Storage
    recorder: Recorder
    entry: Entry
    tag: Tag
    options: WriteOptions
    output: Output | None
    mtime_ns: int | None

    def write(self) -> str:
        """See :func:`write_tag`."""
        exif_values.check(self.tag)  # no sidecar takes what fails this
        run_id, mode = self.tag.provenance.run_id, self.options.sidecar
        raw = is_raw(self.entry.key)
        blob, digest = self._of_raw() if raw else (self.storage.read(self.entry.key), None)
        photo = Head(blob.data, whole=True)
        ours, problem = False, _not_as_seen(blob, photo, self.entry, digest)
        if problem:
            ours = tagged_by(blob.data, run_id)
            if not ours:
                raise ChangedError(problem)
        beside = sidecars.own(self.storage, self.entry)
        for data in (sidecar.blob.data for sidecar in beside):
            if metadata.has_sidecar_gps(data) and not tagged_by(data, run_id):
                raise ChangedError("its sidecar has GPS now; both are left as they are")
        why = "in a sidecar"
        if mode is not SidecarMode.ALWAYS:
            try:
                if raw:
                    raise RefusedError(RAW)
                return self._into_photo(blob, photo)
            except RefusedError as error:
                if ours:
                    raise
                if mode is SidecarMode.NEVER:
                    raise RefusedError(f"{error}; {LET_SIDECAR}") from error
                why = f"in a sidecar: {error}"
        self._into_sidecar(blob, beside)
        return why

    def _of_raw(self) -> tuple[Blob, bytes]:
        """A raw file's metadata in place of its bytes, and its fingerprint; all for a copy."""
        file, whole = RawFile(self.storage, self.entry.key), self.output is not None
        if whole and file.version.size > MOST:
            raise UnsupportedError(
                f"is larger than {MOST // 1_000_000} MB and is not copied; leave --output out"
            )
        digest = fingerprint(file) if self.entry.fingerprint else b""
        return Blob(file.exif(), file.version), digest

    def _into_photo(self, blob: Blob, photo: Head) -> str:
        """Embed the tag, in the photo or in its copy; gives where."""
        tagged = metadata.spliced(photo, self.tag)
        key = self.entry.key
        if self.output is None:
            replace(self.storage, self.recorder, key, blob, tagged, mtime_ns=self.mtime_ns)
            return ""
        return f"as {self._copy(self.output, key, blob, tagged, _older(self.output, key, tagged))}"

    def _into_sidecar(self, photo: Blob, beside: list[Sidecar]) -> None:
        """Create the photo's sidecar, or merge into the one it has; both go to an ``output``."""
        key, before, extension = sidecars.target(self.entry, beside, self.options.sidecar_name)
        after = metadata.sidecar(before.data if before else None, self.tag, extension)
        if self.output is not None:
            # A file that may not be replaced stops both, so that no tag lies beside another photo.
            # The photo's copy carries no tag, but its sidecar does; photo.xmp may be another's.
            older = _older(self.output, key, after)
            known = older is not None and key[:-4] == self.entry.key
            if is_raw(self.entry.key):
                seen, photo = photo.version, self.storage.read(self.entry.key)
                if photo.version != seen:
                    raise ChangedError(CHANGED)
            copy = _older(self.output, self.entry.key, photo.data, known)
            self._copy(self.output, self.entry.key, photo, photo.data, copy)
            self._copy(self.output, key, before, after, older)
            return
        try:
            replace(self.storage, self.recorder, key, before, after, mtime_ns=self.mtime_ns)
        except ChangedError:
            now = self.storage.read(key).data
            ours = tagged_by(now, self.tag.provenance.run_id)
            if not ours or metadata.sidecar(now, self.tag) != now:
                raise

    def _copy(
        self, output: Output, key: str, before: Blob | None, after: Content, older: Blob | None
    ) -> str:
        """Create what ``key`` would become at the output, or renew the older copy; its key."""
        to = output.key(key)
        traits = self.storage.traits(key) if before else None
        if traits and bucket_of(to) != bucket_of(key):  # which has its own keys and rules
            traits = traits._replace(protection={})
        replace(output.storage, self.recorder, to, older, after, traits)
        return to


def _not_as_seen(blob: Blob, photo: Head, entry: Entry, digest: bytes | None) -> str:
    """Why the photo is not the one that was processed; empty if it is.

    ``digest`` is its fingerprint, where ``blob`` does not hold all of it.
    """
    if _another(blob, entry, digest):
        return "it changed since it was checked and is left as it is; run again"
    reading = state_of(photo)
    if reading is None or reading.state is not GpsState.EMPTY:
        return "it has GPS now and is left as it is"
    return ""


def _another(blob: Blob, entry: Entry, digest: bytes | None) -> bool:
    """Whether the bytes may not be those that were processed.

    Size, time and ETag must be the same. What was decoded, now or by the earlier run whose guess
    is used, must have had the same head and tail. Where nothing was decoded only the inode (with
    its ctime) can tell, and another one counts as a change.
    """
    if blob.version != entry.version:
        return True
    if entry.fingerprint:
        return (digest or blob.fingerprint()) != entry.fingerprint
    return not blob.version.same_node(entry.version)


def tagged_by(data: bytes, run_id: str) -> bool:
    """Whether these bytes, of a photo (its head is enough) or sidecar, carry a tag of that run."""
    if not run_id or run_id.encode() not in data:  # spares most photos the parsing
        return False
    provenance = metadata.provenance(data)
    return provenance is not None and provenance.run_id == run_id


def _older(output: Output, key: str, after: Content, known: bool = False) -> Blob | None:
    """The copy of ``key`` that is to become ``after``, if there is one.

    Raises:
        ChangedError: it is not ``known`` to be ours, and carries no tag of ours.
    """
    to = output.key(key)
    try:
        older = output.storage.read(to)
    except VanishedError:
        return None
    if not known and older.data != bytes(after) and metadata.provenance(older.data) is None:
        raise ChangedError(f"{to} exists and was not written by landmark-tag; move it away")
    return older
