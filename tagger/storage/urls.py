"""Paths and URLs: which bucket a target names, if any."""

from tagger.errors import (
    RunError,
)

SCHEMES = ("s3", "gs", "az")


def bucket_of(target: str) -> str:
    """The ``scheme://bucket`` of a URL; empty for a path.

    Raises:
        RunError: the scheme is not known, or no bucket is named.
    """
    scheme, separator, rest = target.partition("://")
    if not separator:
        return ""
    if scheme not in SCHEMES:
        raise RunError(
            f"{target}: {scheme}:// is not supported; give a folder, a file, or a bucket as "
            f"{', '.join(SCHEMES)}"
        )
    bucket = rest.partition("/")[0]
    if not bucket:
        raise RunError(f"{target}: names no bucket; give {scheme}://bucket/folder")
    return f"{scheme}://{bucket}"
