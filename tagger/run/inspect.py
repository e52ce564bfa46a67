"""What a photo is: its GPS state by the first bytes, its pixels where it has none."""

from collections.abc import Callable
from dataclasses import replace

from tagger import metadata
from tagger.blob import fingerprint
from tagger.errors import RunError, UnsupportedError
from tagger.failing import outcome_of
from tagger.imaging import decode, thumbnail
from tagger.imaging.room import MOST, ROOM
from tagger.metadata.formats.detect import Head
from tagger.metadata.reading import state_of
from tagger.model.thumbnail_net import ThumbnailNet
from tagger.records import (
    Entry,
    GpsState,
    Guess,
    Outcome,
    Status,
)
from tagger.run.stages import WorkItem
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.storage.raw_file import RawFile
from tagger.storage.suffixes import is_raw
from tagger.writing import sidecars
from tagger.writing.write_tag import tagged_by

# Of 163 camera JPEGs 39 in 40 have all that comes before the picture in so many bytes.
FIRST_BYTES = 40_960
# What is read of a photo's beginning: more only if need be. On a disk, too, fewer bytes are faster.
HEAD_SIZES = (FIRST_BYTES, metadata.HEAD_BYTES)
# A photo is read whole, and has to be decoded in what is left of this.
MOST_BYTES = MOST


def check(
    storage: Storage,
    entry: Entry,
    note: Callable[[Head, Outcome | None], None] | None = None,
    run_id: str = "",
) -> Outcome | None:
    """The photo's outcome if its first bytes settle it; ``note`` is called with both."""
    try:
        return _without_decoding(storage, entry, run_id, whole=False, note=note)[0]
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a photo does, the run continues
        return outcome_of(entry, error)


def check_and_decode(
    storage: Storage,
    entry: Entry,
    size: int,
    resize: decode.Resize,
    run_id: str = "",
    moved: Callable[[Entry], WorkItem | None] = lambda entry: None,
    opened: bool = False,
    data: bytes = b"",
    net: ThumbnailNet | None = None,
) -> WorkItem:
    """GPS check on the head bytes, then decode: everything that can be done to a photo alone.

    ``moved`` may know the photo from another place; then it is not decoded again. If it was
    ``opened`` already, its head is not read again, nor the rest if that is ``data``. If ``net``
    finds nothing known in its thumbnail, it is not read any further, or if it was ``opened``
    already, not decoded. A photo without a thumbnail is checked by ``net`` once it is decoded.

    A tag of this very run does not count: its writer was lost before it could report, so the photo
    takes the same way again.
    """
    try:
        if is_raw(entry.key):
            return _check_and_decode_raw(storage, entry, size, resize, run_id, moved)
        with ROOM.file(entry.version.size):
            outcome, head = None, None
            if not opened:
                outcome, head = _without_decoding(storage, entry, run_id)
            if outcome is not None:
                return WorkItem(entry, outcome)
            if known := moved(entry):
                return known
            settled = by_thumbnail(storage, entry, head, net) if net and head else None
            if net and settled:
                return WorkItem(entry, guess=nothing_known(net))
            if head is None or not head.whole:
                head = Head(data or storage.read(entry.key).data, whole=True)
            if opened:
                if outcome := _by_all(entry, head, run_id):
                    return WorkItem(entry, outcome)
                if net and (settled := by_thumbnail(storage, entry, head, net)):
                    return WorkItem(entry, guess=nothing_known(net))
            if not entry.version.etag:
                entry = replace(entry, fingerprint=fingerprint(head.data))
            picture = decode.upright_of(head, decode.edge_of_views(size))
            if net and settled is None and net.settles_decoded(picture):
                return WorkItem(entry, guess=nothing_known(net))
            return WorkItem(entry, views=decode.views_of_upright(picture, size, resize))
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a photo does, the run continues
        return WorkItem(entry, outcome_of(entry, error))


def by_thumbnail(storage: Storage, entry: Entry, head: Head, net: ThumbnailNet) -> bool | None:
    """Whether the photo's own thumbnail surely shows nothing known; None without a thumbnail."""
    picture = thumbnail_of(storage, entry, head)
    remote = not isinstance(storage, LocalStorage)
    return net.settles([picture], thrifty=remote)[0] if picture else None


def thumbnail_of(storage: Storage, entry: Entry, head: Head) -> decode.Picture | None:
    """The thumbnail that a photo may be settled by.

    Photos whose position may lie beyond these bytes are read whole first.
    """
    if state_of(head) is None:
        return None
    return thumbnail.read(head.data, lambda size: storage.read_head(entry.key, size))


def nothing_known(net: ThumbnailNet) -> Guess:
    """The guess for a photo that was checked in the size of a thumbnail only."""
    return Guess((), 1.0, net.sha256)


def _check_and_decode_raw(
    storage: Storage,
    entry: Entry,
    size: int,
    resize: decode.Resize,
    run_id: str,
    moved: Callable[[Entry], WorkItem | None],
) -> WorkItem:
    """As :func:`check_and_decode`, by the metadata and the preview of a camera raw file."""
    if outcome := _of_problem(entry):
        return WorkItem(entry, outcome)
    file = RawFile(storage, entry.key)
    head = Head(file.exif(), whole=True)
    if outcome := _by_gps(storage, entry, state_of(head), head, run_id):
        return WorkItem(entry, outcome)
    if known := moved(entry):
        return known
    data = file.picture()
    if outcome := _by_all(entry, Head(data, whole=True), run_id):
        return WorkItem(entry, outcome)
    if not entry.version.etag:
        entry = replace(entry, fingerprint=fingerprint(file))
    return WorkItem(entry, views=decode.to_views(data, size, resize))


def _of_problem(entry: Entry) -> Outcome | None:
    if not entry.problem:
        return None
    return Outcome(entry, Status.FAILED if entry.fault else Status.UNSUPPORTED, entry.problem)


def _without_decoding(
    storage: Storage,
    entry: Entry,
    run_id: str = "",
    whole: bool = True,
    note: Callable[[Head, Outcome | None], None] | None = None,
) -> tuple[Outcome | None, Head | None]:
    """What settles the photo, and what was read of it: all, if need be and ``whole``."""
    if outcome := _of_problem(entry):
        return outcome, None
    if is_raw(entry.key):
        head = Head(RawFile(storage, entry.key).exif(), whole=True)
        outcome = _by_gps(storage, entry, state_of(head), head, run_id)
        if note:
            note(head, outcome)
        return outcome, head
    if entry.version.size > MOST_BYTES:
        limit = f"is larger than {MOST_BYTES // 1_000_000} MB"
        raise UnsupportedError(f"{limit}, more than is read here; export a JPEG, or exclude it")
    head, reading = _read(storage, entry)
    if reading is None and whole:
        head = Head(storage.read(entry.key).data, whole=True)
        reading = state_of(head)
    outcome = _by_gps(storage, entry, reading, head, run_id)
    if note:
        note(head, outcome)
    if reading is not None and outcome is None:
        decode.see_decoder(head)
    return outcome, head


def _read(storage: Storage, entry: Entry) -> tuple[Head, metadata.GpsReading | None]:
    """A photo's first bytes, and what they say of its position."""
    for size in HEAD_SIZES:
        head = read_head(storage, entry, size)
        reading = state_of(head)
        if reading is not None:
            break
    return head, reading


def read_head(storage: Storage, entry: Entry, size: int) -> Head:
    """A photo's first ``size`` bytes."""
    data = storage.read_head(entry.key, size)
    return Head(data, whole=len(data) < size)


def _by_all(entry: Entry, photo: Head, run_id: str) -> Outcome | None:
    """As :func:`_by_gps`, by the whole file; its sidecars were asked before."""
    return _of_reading(entry, state_of(photo), photo, run_id)


def _by_gps(
    storage: Storage, entry: Entry, reading: metadata.GpsReading | None, head: Head, run_id: str
) -> Outcome | None:
    """The outcome of a photo that is not to be tagged because of the GPS data it has."""
    if reading is None:
        return None
    if outcome := _of_reading(entry, reading, head, run_id):
        return outcome
    for sidecar in sidecars.own(storage, entry):
        data = sidecar.blob.data
        if metadata.has_sidecar_gps(data) and not tagged_by(data, run_id):
            return Outcome(entry, Status.HAS_GPS, "in its sidecar")
    return None


def _of_reading(
    entry: Entry, reading: metadata.GpsReading | None, head: Head, run_id: str
) -> Outcome | None:
    if reading is None:
        return None
    match reading.state:
        case GpsState.VALID | GpsState.VOID if not tagged_by(head.data, run_id):
            return Outcome(entry, Status.HAS_GPS, reading.reason)
        case GpsState.MALFORMED:
            return Outcome(entry, Status.UNSUPPORTED, f"left alone: {reading.reason}")
    return None
