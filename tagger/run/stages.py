"""What the stages share: their settings, a photo on its way, and what they need of others."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from tagger.errors import RunError
from tagger.evidence.decide import MIN_CONF
from tagger.evidence.estimate import Estimate
from tagger.imaging import decode
from tagger.records import (
    Coords,
    Entry,
    Guess,
    Landmark,
    Outcome,
    Seen,
    Source,
)
from tagger.writing.recorded import Recorder
from tagger.writing.write_tag import WriteOptions

# Of --min-conf: the network for thumbnails lets pass what the classifier gives more.
THUMBNAILS_FROM = 0.5


class Memory(Recorder, Protocol):
    """What the pipeline needs of the ledger."""

    def recall(self, entry: Entry) -> Seen | None:
        """The earlier result for exactly this version of the photo, if any."""
        ...


@runtime_checkable
class Finder(Protocol):
    """A memory that knows photos by their content too."""

    def moved(self, entry: Entry) -> Seen | None:
        """The earlier result for this photo under another name or in another folder, if any."""
        ...


class ModelFacts(Protocol):
    """Model facts available before the weights are loaded."""

    @property
    def landmarks(self) -> Mapping[str, Landmark]: ...

    @property
    def sha256(self) -> str: ...


class Classify(ModelFacts, Protocol):
    """What the pipeline needs of a classifier."""

    lanes: int

    @property
    def image_size(self) -> int: ...

    @property
    def resize(self) -> decode.Resize: ...

    def possible(
        self, pictures: Sequence[decode.Picture], closely: bool = False
    ) -> list[float]: ...

    def classify(self, photos: Sequence[decode.Views]) -> list[Guess]: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run does, validated by the command line; everything a stage may depend on."""

    run_id: str
    min_conf: float = MIN_CONF
    coords: Coords = Coords.BOTH
    batch_size: int = 16
    workers: int = 2
    rescan: bool = False
    write: WriteOptions = field(default_factory=WriteOptions)
    writers: int = 1
    output: str = ""
    endpoint_url: str = ""  # the server of s3://; empty for AWS's own setting
    sources: tuple[Source, ...] = (Source.LANDMARK,)
    thorough: bool = False

    @property
    def by_thumbnails(self) -> bool:
        """Whether a thumbnail may settle a photo: not below the confidence that it was made for.

        Nor if photos are compared with the library: any of them may be a copy.
        """
        compared = Source.LIBRARY in self.sources
        return not (self.thorough or compared) and self.min_conf >= THUMBNAILS_FROM

    def __post_init__(self) -> None:
        if not 0 <= self.min_conf <= 1:  # not-a-number too
            raise RunError(f"--min-conf {self.min_conf}: give a probability from 0 to 1")
        if self.coords is Coords.SUBJECT and Source.LANDMARK not in self.sources:
            raise RunError(
                f"--coords subject: {', '.join(self.sources)} tell where the camera was, not what "
                "the photo shows; add landmark to --from, or use --coords both"
            )


class Shot(NamedTuple):
    """Photos of one shot that are decided together: the first one's key, and how many they are."""

    first: str
    photos: int


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A photo after the first stages: settled, or decoded for the classifier, or with a guess.

    ``fresh`` is False if the guess is an earlier run's; ``estimates`` are the positions that other
    sources give. ``opened``: its head was read and settled nothing; ``data`` is the whole photo if
    that was all of it and is kept. ``passed``: its thumbnail was checked, and may show something
    known.

    ``shot``: the photos it is decided with; if the guess that counts is another photo's, it is
    ``shown``, and ``shown_by`` is that photo's name.
    """

    entry: Entry
    outcome: Outcome | None = None
    views: decode.Views | None = None
    guess: Guess | None = None
    fresh: bool = True
    estimates: tuple[Estimate, ...] = ()
    opened: bool = False
    data: bytes = b""
    passed: bool = False
    shot: Shot | None = None
    shown: Guess | None = None
    shown_by: str = ""


def stamp(entry: Entry) -> str:
    """What must be unchanged for a photo's row in the index to be valid."""
    version = entry.version
    beside = f"{len(entry.sidecars)} {os.path.basename(entry.takeout)}"
    if entry.movie:
        beside += f" {os.path.basename(entry.movie)}"
    return f"{version.size} {version.mtime_ns} {version.etag} {beside}"
