"""Re-read, tag, verify, record, write: the only way a tag gets into a photo or its sidecar."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tagger import metadata
from tagger.blob import Blob, Content, Digest
from tagger.errors import (
    ChangedError,
    PhotoError,
    RefusedError,
    UnsupportedError,
    VanishedError,
)
from tagger.ledger.fingerprint import fingerprint
from tagger.records import Entry, GpsState, HardLinks, SidecarMode, SidecarName, Tag, Version
from tagger.storage.base import Storage, Traits
from tagger.storage.local import linked
from tagger.storage.urls import bucket_of
from tagger.writing import sidecars
from tagger.writing.copies import Output
from tagger.writing.sidecars import Target


class Recorder(Protocol):
    """Remembers a write before it happens, so that it can be undone whenever it is cut short."""

    def intend(self, key: str, before: Blob | None, after: Content | None) -> Callable[[], int]:
        """Begin to note that ``key`` is about to become ``after`` (None: be removed).

        The function given is called before that happens: it returns once the change is noted
        durably, and gives its number.
        """
        ...

    def settle(self, change: int, version: Version | None) -> None:
        """The write is done; ``version`` is what the store made of it (None: it is gone)."""
        ...

    def drop(self, change: int) -> None:
        """The write did not happen."""
        ...


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
    into = output is None and options.sidecar is not SidecarMode.ALWAYS
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
    very run wrote before, and could not tell, is taken as written: it can be tried again.

    Returns:
        where it went, for the report's reason column; empty when into the photo.

    Raises:
        ChangedError: the photo is not what was looked at; it is left as it is.
        PhotoError: reading, tagging or writing failed; the photo is as it was.
    """
    see_unlinked(entry, options, output)
    blob, run_id = storage.read(entry.key), tag.provenance.run_id
    mtime_ns = time.time_ns() if options.new_mtime else None
    if output is None and options.sidecar is not SidecarMode.ALWAYS:
        blob = blob._replace(digest=Digest(blob.data))
    ours, problem = False, _not_as_seen(blob, entry)
    if problem:
        ours = tagged_by(blob.data, run_id)
        if not ours:
            raise ChangedError(problem)
    beside = sidecars.own(storage, entry)
    for data in (sidecar.blob.data for sidecar in beside):
        if metadata.has_sidecar_gps(data) and not tagged_by(data, run_id):
            raise ChangedError("its sidecar has GPS now; both are left as they are")
    if options.sidecar is not SidecarMode.ALWAYS:
        try:
            tagged = metadata.spliced(blob.data, tag)
            if output is None:
                _replace(storage, recorder, entry.key, blob, tagged, mtime_ns=mtime_ns)
                return ""
            older = _older(output, entry.key, tagged)
            return f"as {_copy(storage, recorder, entry.key, blob, tagged, output, older)}"
        except RefusedError as error:
            if ours or options.sidecar is SidecarMode.NEVER:
                raise
            why = f"in a sidecar: {error}"
    else:
        why = "in a sidecar"
    target = sidecars.target(entry, beside, options.sidecar_name)
    _write_sidecar(storage, recorder, entry, blob, tag, target, output, mtime_ns)
    return why


def _not_as_seen(blob: Blob, entry: Entry) -> str:
    """Why the photo is not the one without GPS that was looked at; empty where it is."""
    if _another(blob, entry):
        return "it changed since it was checked and is left as it is; run again"
    reading = metadata.gps_state(blob.data, whole=True)
    if reading is None or reading.state is not GpsState.EMPTY:
        return "it has GPS now and is left as it is"
    return ""


def _another(blob: Blob, entry: Entry) -> bool:
    """Whether what was read is not what was looked at, or not surely.

    Size, time and ETag must be the same. What was decoded, now or by the earlier run whose guess
    is used, must have had the same head and tail. Where nothing was decoded only the inode (with
    its ctime) can tell, and another one counts as a change.
    """
    if blob.version != entry.version:
        return True
    if entry.fingerprint:
        return fingerprint(blob.data) != entry.fingerprint
    return not blob.version.same_node(entry.version)


def tagged_by(data: bytes, run_id: str) -> bool:
    """Whether these bytes, of a photo (its head is enough) or sidecar, carry a tag of that run."""
    if not run_id or run_id.encode() not in data:  # spares most photos the parsing
        return False
    found = metadata.provenance(data)
    return found is not None and found.run_id == run_id


def _write_sidecar(
    storage: Storage,
    recorder: Recorder,
    entry: Entry,
    photo: Blob,
    tag: Tag,
    target: Target,
    output: Output | None,
    mtime_ns: int | None,
) -> None:
    """Create the photo's sidecar, or merge into the one it has; both go to an ``output``."""
    key, before, extension = target
    after = metadata.sidecar(before.data if before else None, tag, extension)
    if output is not None:
        # A file that may not be replaced stops both, so that no tag lies beside another photo. The
        # photo's copy carries no tag, but its sidecar does; photo.xmp may be another photo's.
        older = _older(output, key, after)
        known = older is not None and key[:-4] == entry.key
        copy = _older(output, entry.key, photo.data, known)
        _copy(storage, recorder, entry.key, photo, photo.data, output, copy)
        _copy(storage, recorder, key, before, after, output, older)
        return
    try:
        _replace(storage, recorder, key, before, after, mtime_ns=mtime_ns)
    except ChangedError:
        now = storage.read(key).data
        if not tagged_by(now, tag.provenance.run_id) or metadata.sidecar(now, tag) != now:
            raise


def _copy(
    storage: Storage,
    recorder: Recorder,
    key: str,
    before: Blob | None,
    after: Content,
    output: Output,
    older: Blob | None,
) -> str:
    """Create what ``key`` would become at the output, or renew the older copy; gives its key."""
    to = output.key(key)
    traits = storage.traits(key) if before else None
    if traits and bucket_of(to) != bucket_of(key):  # which has its own keys and rules
        traits = traits._replace(protection={})
    _replace(output.storage, recorder, to, older, after, traits)
    return to


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


def _replace(
    storage: Storage,
    recorder: Recorder,
    key: str,
    before: Blob | None,
    after: Content | None,
    traits: Traits | None = None,
    mtime_ns: int | None = None,
) -> None:
    """Note, write, settle; ``before`` None creates the file, ``after`` None removes it."""
    if before is not None and before.data == after:
        return
    noted, changes = recorder.intend(key, before, after), list[int]()

    def note() -> None:
        changes.append(noted())

    version = None
    try:
        if after is not None:
            expected = before.version if before else None
            version = storage.write(key, after, expected, traits, note, mtime_ns)
        elif before is not None:
            note()
            storage.delete(key, before.version)
    except PhotoError:
        for change in changes:
            recorder.drop(change)
        raise
    for change in changes:
        recorder.settle(change, version)
