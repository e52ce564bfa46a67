"""Removing: take out the tags that say they are ours, and no others."""

from collections.abc import Iterator
from dataclasses import dataclass

from tagger import metadata
from tagger.blob import Blob
from tagger.errors import (
    PhotoError,
    RunError,
    VanishedError,
)
from tagger.storage.base import Storage
from tagger.storage.suffixes import RAW_SUFFIXES, is_sidecar, suffix
from tagger.writing.recorded import Recorder, replace


@dataclass(frozen=True, slots=True)
class Removed:
    """A photo or sidecar that carried our tag; ``problem`` says why it still does."""

    key: str
    problem: str = ""


def remove(storage: Storage, recorder: Recorder | None) -> Iterator[Removed]:
    """Every tag of ours in what ``storage`` lists; photos without one are passed over.

    Without a recorder nothing is written: what comes out is what would be removed.
    """
    for entry in storage.list():
        if entry.problem and not entry.fault:
            continue  # a link out of the folder
        if entry.problem:
            yield Removed(entry.key, entry.problem)
            continue
        raw = suffix(entry.key) in RAW_SUFFIXES  # never written, and large
        for key in (*(() if raw else (entry.key,)), *entry.sidecars):
            try:
                if remove_tag(storage, recorder, key, storage.read(key)):
                    yield Removed(key)
            except VanishedError:
                # Two photos of one name share a sidecar; it may be removed with the first of them.
                if key not in entry.sidecars:
                    yield Removed(key, "it vanished during the run; run again")
            except RunError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a photo does, the run continues
                known = isinstance(error, PhotoError)
                yield Removed(key, str(error) if known else f"unexpected {error!r}; please report")


def remove_tag(storage: Storage, recorder: Recorder | None, key: str, blob: Blob) -> bool:
    """Take our tag out of a photo or sidecar read as ``blob``; False where it carries none.

    Without a recorder it is only tried.

    Raises:
        ChangedError: the file is not what was read; it is left as it is.
        PhotoError: the tag was edited since, or writing failed; the file is as it was.
    """
    if metadata.provenance(blob.data) is None:
        return False
    strip = metadata.stripped_sidecar if is_sidecar(key) else metadata.stripped
    without = strip(blob.data)
    if recorder is not None:
        replace(storage, recorder, key, blob, without)
    return True
