"""The server that ``s3://`` stands for: AWS, or another S3 server (MinIO, R2, Ceph)."""

import os

VARIABLE = "AWS_ENDPOINT_URL"  # AWS's own name for it


def server(chosen: str) -> str:
    """The server from the run's settings, else from AWS's own variable; empty for AWS."""
    return chosen or os.environ.get(VARIABLE, "")
