"""Which server ``s3://`` means: AWS, or another one that speaks S3 (MinIO, R2, Ceph)."""

import os

VARIABLE = "AWS_ENDPOINT_URL"  # AWS's own name for it


def server(chosen: str) -> str:
    """The server that a run's settings name, or AWS's own setting; empty for AWS."""
    return chosen or os.environ.get(VARIABLE, "")
