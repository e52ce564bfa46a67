"""All sources of a run but the landmarks: what each says of a photo, out of one index."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tagger.evidence.captures import Captures
from tagger.evidence.captures_file import index_beside
from tagger.evidence.clocks import DAY, HOUR, stated
from tagger.evidence.estimate import Estimate, PositionSource
from tagger.evidence.limits import Limits
from tagger.evidence.pair_source import PairSource
from tagger.evidence.takeout import TakeoutSource
from tagger.evidence.time_source import TimeSource
from tagger.evidence.track_source import Tracks, TrackSource
from tagger.evidence.tracks.reading import read_tracks
from tagger.evidence.zones import ahead_at, aheads_at
from tagger.metadata.capture import Capture

if TYPE_CHECKING:  # they load torch
    from tagger.evidence.library import Describer, LibrarySource
    from tagger.evidence.views import ViewsIndex

AMBIGUOUS = 9.5 * HOUR  # a clock further ahead of UTC may as well be behind it, a day off


class Sources:
    """The sources pair, time, track and takeout over the photos that were noted.

    Args:
        index: the file of the index; None for a temporary one.
        limits: what an estimate may rest on.
        tracks: the points of --track, if any.
        pairs: photos of one shot tell each other's position, and are decided together.
        library, views: the photos by what they look like, and the index of that, where that
            source is wanted.

    Attributes:
        pair: the source pair.
    """

    def __init__(
        self,
        index: Path | None = None,
        limits: Limits | None = None,
        tracks: Tracks | None = None,
        pairs: bool = True,
        library: "LibrarySource | None" = None,
        views: "ViewsIndex | None" = None,
    ) -> None:
        self.captures, self._tracks, self.pairs = Captures(index), tracks, pairs
        self.library, self.views = library, views
        if library is not None:
            library.saw = self.captures.note_same_views
        self.pair = PairSource(self.captures)
        limits = limits or Limits()
        self._sources: list[PositionSource] = [
            TakeoutSource(),
            TimeSource(self.captures, limits),
        ]
        if tracks is not None:
            self._sources.append(TrackSource(tracks, self.captures, limits))

    @classmethod
    def beside(
        cls,
        ledger: Path | None,
        limits: Limits | None = None,
        tracks: Sequence[Path] = (),
        say: Callable[[str], None] = lambda _: None,
        pairs: bool = True,
        model: "Describer | None" = None,
    ) -> Self:
        """The sources whose index lies beside a ledger, if there is one.

        Args:
            ledger: its file; None keeps the index in a temporary file.
            limits: what an estimate may rest on.
            tracks: files and folders of tracks.
            say: called with a sentence for each file in a folder that is no track.
            pairs: photos of one shot belong together.
            model: looks at the photos for the source library; None where that is not wanted.

        Raises:
            RunError: a track cannot be read, or the index cannot be used.
        """
        index = index_beside(ledger) if ledger else None
        library = views = None
        with ExitStack() as opened:  # closed again if a later one cannot be used
            if model is not None:
                from tagger.evidence.library import LibrarySource, comparable
                from tagger.evidence.views import ViewsIndex, views_beside

                comparable(model)
                views = ViewsIndex(views_beside(ledger) if ledger else None, model.encoder)
                opened.callback(views.close)
                library = LibrarySource(model, views, (limits or Limits()).max_radius_m)
            points = Tracks(read_tracks(tracks, say)) if tracks else None
            if points is not None:
                opened.callback(points.close)
            sources = cls(index, limits, points, pairs, library, views)
            opened.pop_all()
        return sources

    def note(self, photo: Capture, stamp: str) -> None:
        """Add a photo to the index; a position that we wrote is no evidence of anything."""
        carried = photo.position is not None and not photo.ours
        if photo.ours:
            photo = replace(photo, position=None)
        if photo.position is None and photo.beside and photo.beside.position:
            photo = replace(photo, position=photo.beside.position)
        ahead = known = stated(photo)
        if known is None and photo.position and photo.local is not None:
            # In the hour that comes twice nothing tells which one it was.
            here = aheads_at(photo.position, photo.local)
            known = here[0] if len(here) == 1 else None
        if (
            ahead is not None
            and photo.offset is None
            and abs(ahead) > AMBIGUOUS
            and photo.position
            and photo.local is not None
        ):
            # UTC+13 or UTC-11? The receiver's date may be a day off, the place is not.
            zone = ahead_at(photo.position, photo.local)
            ahead = known = ahead + round(((zone or ahead) - ahead) / DAY) * DAY
        utc = None if known is None or photo.local is None else photo.local - known
        self.captures.add(photo, stamp, ahead, utc, carried)

    def estimates(self, key: str) -> Sequence[Estimate]:
        """What each source says of a photo that was noted and has no position.

        Where a photo of the same shot states it, nobody else is asked.
        """
        photo = self.captures.get(key)
        if photo is None:
            return ()
        if self.pairs and (stated := self.pair.estimate(photo)):
            return (stated,)
        answers = (source.estimate(photo) for source in self._sources)
        return tuple(estimate for estimate in answers if estimate is not None)

    def close(self) -> None:
        """Let go of the index and the tracks."""
        self.captures.close()
        if self.views is not None:
            self.views.close()
        if self._tracks is not None:
            self._tracks.close()
