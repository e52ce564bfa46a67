"""The photos taken around one, where no run kept an index (a dry run keeps none): the report's."""

import os
from functools import lru_cache

from tagger import metadata
from tagger.evidence.estimate import Neighbour
from tagger.evidence.neighbours import around
from tagger.evidence.sources import Sources
from tagger.metadata.capture import Capture, capture
from tagger.review.sheet import Sheet
from tagger.review.trusted_root import BucketRoot, Root, really_inside
from tagger.storage.suffixes import LISTED_SUFFIXES, is_raw, suffix

# Rows of the report before and after that are opened: photos are listed folder by folder, and most
# cameras name them in order of time.
ROWS = 100


def neighbours_in_report(sheet: Sheet, row: int, root: Root) -> tuple[Neighbour, ...]:
    """Photos with a position around a row's photo, in order of time.

    Args:
        sheet: the report.
        row: the photo's.
        root: photos elsewhere are not opened; of a bucket none is, as each would be a request.
    """
    if isinstance(root, BucketRoot):
        return ()
    sources = Sources()
    try:
        for other in range(max(0, row - ROWS), min(len(sheet.rows), row + ROWS + 1)):
            path = sheet.photo(other)
            if suffix(path) in LISTED_SUFFIXES and not is_raw(path) and really_inside(path, root):
                try:
                    status = os.stat(path)
                    sources.note(_capture(path, status.st_size, status.st_mtime_ns), "")
                except OSError:  # moved or deleted since the run
                    continue
        sources.captures.flush()
        return around(sources.captures, sheet.photo(row))
    finally:
        sources.close()


@lru_cache(maxsize=2000)
def _capture(path: str, size: int, mtime_ns: int) -> Capture:
    """The facts of one version of a photo: the page is drawn again at every click."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        head = file.read(metadata.HEAD_BYTES)
    return capture(path, head, len(head) == size)
