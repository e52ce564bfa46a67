"""A place as users name it: a path of this machine, or the URL of a bucket."""

import os
from dataclasses import dataclass

from tagger.errors import RunError

_MARK = "://"  # what distinguishes a URL from a path


def is_url(place: str) -> bool:
    """Whether a target, a photo's key or a glob is a URL rather than a path."""
    return _MARK in place


@dataclass(frozen=True, slots=True)
class Location:
    """A target, a photo's key or a report's place.

    >>> Location("s3://photos/trip/a.jpg").bucket
    's3://photos'
    >>> Location("/home/ann/a.jpg").bucket
    ''
    """

    text: str

    @property
    def scheme(self) -> str:
        """``s3`` of ``s3://bucket``; empty for a path."""
        return self.text.partition(_MARK)[0] if is_url(self.text) else ""

    @property
    def bucket(self) -> str:
        """The ``scheme://bucket`` of a URL; empty for a path.

        Raises:
            RunError: the URL names no bucket.
        """
        if not is_url(self.text):
            return ""
        name = self.text.partition(_MARK)[2].partition("/")[0]
        if not name:
            raise RunError(f"{self.text}: names no bucket; give {self.scheme}://bucket/folder")
        return f"{self.scheme}://{name}"

    @property
    def separator(self) -> str:
        """The separator between folders."""
        return "/" if is_url(self.text) else os.sep

    @property
    def folder(self) -> str:
        """All but the last part."""
        return self.text.rpartition("/")[0] if is_url(self.text) else os.path.dirname(self.text)

    def absolute(self) -> str:
        """The path or URL that keys begin with: links resolved, no separator at the end."""
        return self.text.rstrip("/") if self.bucket else os.path.realpath(self.text)


def bucket_of(place: str) -> str:
    """See :attr:`Location.bucket`."""
    return Location(place).bucket


def absolute(place: str) -> str:
    """See :meth:`Location.absolute`."""
    return Location(place).absolute()
