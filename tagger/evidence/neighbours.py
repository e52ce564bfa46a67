"""The photos taken shortly before and after one, for a person to see; the index stays as it is."""

import sqlite3
from pathlib import Path

from tagger.errors import RunError
from tagger.evidence.captures import By, Captures
from tagger.evidence.captures_file import index_beside
from tagger.evidence.estimate import Neighbour
from tagger.evidence.one_name import Placed
from tagger.metadata.capture import Capture

GAP_SECONDS = 12 * 3600.0
EACH_WAY = 3


def neighbours(ledger: Path, key: str) -> tuple[Neighbour, ...]:
    """Photos with a position around the photo ``key``, in order of time.

    Args:
        ledger: the file beside which the index lies.
        key: the photo.

    Returns:
        a few each way; none where there is no index, or where it does not know the photo.
    """
    index = index_beside(ledger)
    if not index.is_file():
        return ()
    try:
        captures = Captures(index, read_only=True)
    except RunError:
        return ()
    try:
        return around(captures, key)
    except sqlite3.DatabaseError:
        # It is of another version, or damaged: the next run makes it anew.
        return ()
    finally:
        captures.close()


def around(captures: Captures, key: str) -> tuple[Neighbour, ...]:
    """As :func:`neighbours`, of an open index."""
    photo = captures.get(key)
    if photo is None or photo.local is None:
        return ()
    return _around(captures, photo, photo.local)


def _around(captures: Captures, photo: Capture, local: float) -> tuple[Neighbour, ...]:
    nearby: list[Neighbour] = []
    looks = [(By.CAMERA, local)] if photo.camera else []
    ahead = photo.offset  # the index keeps there what is known of the clock
    looks.append((By.WALL, local) if ahead is None else (By.UTC, local - ahead))
    for by, moment in looks:
        before, after = captures.around(by, moment, GAP_SECONDS, photo.camera)
        nearby += [_neighbour(row, by, moment) for row in (*before, *after)]
    nearby = sorted(
        (one for one in nearby if one.key != photo.key), key=lambda one: abs(one.seconds)
    )
    earlier = [one for one in nearby if one.seconds < 0][:EACH_WAY]
    later = [one for one in nearby if one.seconds >= 0][:EACH_WAY]
    return (*earlier[::-1], *later)


def _neighbour(row: Placed, by: By, moment: float) -> Neighbour:
    at = row.utc if by is By.UTC else row.local
    assert at is not None, "it was looked up by this time"
    key = row.key.decode("utf-8", "surrogateescape")
    return Neighbour(key, at - moment, row.latitude, row.longitude)
