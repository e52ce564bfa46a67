"""Runs a photo from the browser through the stages of a run, in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tagger import __version__, metadata
from tagger.blob import Blob, Content
from tagger.errors import RefusedError
from tagger.evidence.decide import decide
from tagger.records import Acceptance, Coords, Entry, Outcome, Provenance, Tag, Version
from tagger.run.inspect import check_and_decode
from tagger.run.settle import decide_and_write_guess
from tagger.run.stages import Classify, Settings
from tagger.storage.base import Traits, nothing
from tagger.storage.suffixes import is_raw
from tagger.writing.write_tag import RAW


class Uploaded:
    """A Storage of one photo that is never written."""

    def __init__(self, name: str, data: bytes) -> None:
        self.entry = Entry(name, Version(len(data), 0))
        self._data = data

    @property
    def roots(self) -> tuple[str, ...]:
        return (self.entry.key,)

    def list(self) -> Iterator[Entry]:
        yield self.entry

    def read_head(self, key: str, size: int) -> bytes:
        return self._data[:size]

    def read_part(self, key: str, start: int, size: int) -> Blob:
        return Blob(self._data[start : start + size], self.entry.version)

    def read(self, key: str) -> Blob:
        return Blob(self._data, self.entry.version)

    def traits(self, key: str) -> Traits:
        return Traits({}, {})

    def write(
        self,
        key: str,
        data: Content,
        expected: Version | None,
        traits: Traits | None = None,
        ready: Callable[[], None] = nothing,
        mtime_ns: int | None = None,
    ) -> Version:
        raise RefusedError("an uploaded photo is not written")

    def delete(self, key: str, expected: Version) -> None:
        raise RefusedError("an uploaded photo is not removed")

    def set_mtime(self, key: str, mtime_ns: int, expected: Version) -> None:
        raise RefusedError("an uploaded photo is not written")


@dataclass(frozen=True, slots=True)
class Tagged:
    """What to download: the photo with its place, or the sidecar it gets instead, and why."""

    name: str
    data: bytes
    why: str = ""


def attempt(name: str, data: bytes, classifier: Classify, min_conf: float) -> Outcome:
    """The outcome that ``landmark-tag --dry-run`` gives the photo."""
    storage = Uploaded(name, data)
    decoded = check_and_decode(storage, storage.entry, classifier.image_size, classifier.resize)
    if decoded.outcome is not None or decoded.views is None:
        assert decoded.outcome is not None
        return decoded.outcome
    (guess,) = classifier.classify([decoded.views])
    return decide_and_write_guess(
        storage, classifier, None, Settings("trial", min_conf), storage.entry, guess
    )


def rule(outcome: Outcome, min_conf: float) -> Acceptance | None:
    """The rule that decided, if there was a guess."""
    return decide(outcome.guess, min_conf) if outcome.guess else None


def tagged(outcome: Outcome, data: bytes, model_sha256: str) -> Tagged | None:
    """The photo with the place in it, None where it gets none."""
    if outcome.landmark is None or outcome.guess is None:
        return None
    provenance = Provenance(
        "landmark-tag", __version__, model_sha256, outcome.guess.best.confidence, "trial"
    )
    tag = Tag(outcome.landmark, Coords.BOTH, provenance)
    try:
        if is_raw(outcome.entry.key):
            raise RefusedError(RAW)
        return Tagged(outcome.entry.key, metadata.tagged(data, tag))
    except RefusedError as error:
        why = f"goes into a sidecar: {error}"
        return Tagged(f"{outcome.entry.key}.xmp", metadata.sidecar(None, tag), why)
