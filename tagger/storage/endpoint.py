"""Which server ``s3://`` means: AWS, or another one that speaks S3 (MinIO, R2, Ceph)."""

import os

VARIABLE = "AWS_ENDPOINT_URL"  # AWS's own name for it
_chosen = ""


def choose(url: str) -> None:
    """For entry points: the server of storages opened from now on; empty for AWS's own setting.

    A storage keeps the server that it was opened with, wherever it is sent.
    """
    global _chosen
    _chosen = url


def current() -> str:
    """The server that was chosen, or AWS's own setting; empty for AWS."""
    return _chosen or os.environ.get(VARIABLE, "")
