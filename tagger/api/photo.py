"""What a photo's own metadata says: :func:`read`."""

import os
from dataclasses import dataclass

from tagger import metadata
from tagger.api.paths import place_of
from tagger.errors import PhotoError
from tagger.metadata.capture import Capture, capture
from tagger.records import (
    GpsState,
    Provenance,
)
from tagger.storage.opening import storage_at
from tagger.storage.raw_file import RawFile
from tagger.storage.suffixes import is_raw


@dataclass(frozen=True, slots=True)
class Photo:
    """What a photo's own metadata says; sidecars are not read.

    Attributes:
        path: absolute path or URL.
        gps_state: only ``GpsState.EMPTY`` is ever tagged.
        reason: why it is in that state; empty where there is no position.
        position: latitude and longitude in degrees (WGS-84), the camera's or else the subject's.
        capture: when and with which camera it was taken.
        provenance: who tagged it, if it was this tool.
    """

    path: str
    gps_state: GpsState
    reason: str
    position: tuple[float, float] | None
    capture: Capture
    provenance: Provenance | None


def read(path: str | os.PathLike[str]) -> Photo:
    """Read a photo's location metadata; nothing is decoded and no model is loaded.

    Raises:
        PhotoError: it cannot be read; the message names it.
        RunError: a URL names no bucket that can be reached.
    """
    place = place_of(path)
    try:
        storage = storage_at(place)
        raw = is_raw(place)
        data = RawFile(storage, place).exif() if raw else storage.read(place).data
    except PhotoError as error:
        raise type(error)(f"{place}: {error}") from error
    reading = metadata.gps_state(data, whole=True)
    assert reading is not None  # all bytes settle it
    return Photo(
        place, reading.state, reading.reason, metadata.position(data),
        capture(place, data, whole=True), metadata.provenance(data),
    )  # fmt: skip
