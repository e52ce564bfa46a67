"""A listed photo, its version, and what became of it."""

from dataclasses import dataclass, field

from tagger.records.guess import Guess, Landmark, Position
from tagger.records.tag import CameraPosition
from tagger.records.words import Status

# The file behind a path at one moment: device, inode, and ctime in ns (0: not known). A plain tuple
# is made in a tenth of the time of a named one, and each listed photo has one.
Node = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Version:
    """Identity of a photo's content: changes with every write.

    Size, time and a store's ETag are the identity, also from run to run: versions that agree in
    them are equal. Inodes are no part of it. FUSE and exFAT number files afresh at each mount or
    even each look, and so does a restore.

    ``node`` and ``data`` serve the guard of one run, and are neither compared nor stored: another
    node makes the guard compare the content, which ``data`` is where all of it was read.
    """

    size: int
    mtime_ns: int
    etag: str = ""
    node: Node | None = field(default=None, compare=False, repr=False)
    data: bytes | None = field(default=None, compare=False, repr=False)

    def same_node(self, other: "Version") -> bool:
        """Whether the file is the same one and, as far as known, was not touched."""
        if self.node is None or other.node is None:
            return True
        times = self.node[2], other.node[2]
        return self.node[:2] == other.node[:2] and (0 in times or times[0] == times[1])


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed photo: its key (a path as text), its version, or why it cannot be processed.

    ``sidecars`` are the keys of the XMP sidecars that lie beside it, ``takeout`` is that of its
    Google Takeout file, ``movie`` that of a movie of its name; ``fault`` is False where the problem
    is a limit of the tool, which is permanent and needs no attention. ``links``
    counts the file's names; ``shares_stem``: photo.xmp may belong to another photo.
    ``fingerprint`` is of the bytes that were decoded, empty where none were or an ETag says more.
    """

    key: str
    version: Version
    problem: str = ""
    sidecars: tuple[str, ...] = ()
    fault: bool = True
    links: int = 1
    shares_stem: bool = False
    takeout: str = ""
    movie: str = ""
    fingerprint: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one photo: one row of the report.

    ``fresh`` is False where it only repeats what an earlier run found. ``camera`` is where the
    camera was, where another source than the landmark knows; ``placeable`` tells that one does,
    but was not asked to write. ``subject_only`` tells that the camera was too far from the landmark
    to be placed at it. ``answers`` are those of the sources, each in words.
    """

    entry: Entry
    status: Status
    reason: str = ""
    guess: Guess | None = None
    landmark: Landmark | None = None
    fresh: bool = True
    camera: CameraPosition | None = None
    placeable: bool = False
    subject_only: bool = False
    answers: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where the photo is: an absolute path, or a URL."""
        return self.entry.key

    @property
    def place(self) -> Landmark | None:
        """The landmark that was written or would be; None where there is none."""
        return self.landmark

    @property
    def position(self) -> Position | None:
        """The position that was written or would be: the camera's, or else the landmark's."""
        at = self.camera or self.landmark
        return Position(at.latitude, at.longitude) if at else None


@dataclass(frozen=True, slots=True)
class Seen:
    """What an earlier run found for a photo that has not changed since; ``output`` is the run's.

    ``elsewhere``: the photo is known by its content only, from another place.
    """

    status: Status
    guess: Guess | None
    model_sha256: str
    output: str = ""
    fingerprint: bytes = b""
    elsewhere: bool = False
