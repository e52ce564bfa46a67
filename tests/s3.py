"""A bucket on moto's server, which runs in its own process, seen through boto3."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip


@dataclass
class Server:
    """The server, and the requests it received."""

    url: str
    process: int

    def asked(self) -> list[dict[str, Any]]:
        """The requests since this was last called."""
        with urllib.request.urlopen(f"{self.url}/-/requests") as answer:
            noted: list[dict[str, Any]] = json.load(answer)
        return noted

    def fail(self, instead: float, after: float = 0.0, only: str = "") -> None:
        """Answer these shares of the requests with 503: instead of doing them, or (PUT) afterwards.

        ``only`` spares keys that do not contain it.
        """
        body = json.dumps([instead, after, only]).encode()
        request = urllib.request.Request(f"{self.url}/-/faults", body, method="PUT")
        urllib.request.urlopen(request).close()

    def expire(self, after: int = 0) -> None:
        """Answer as if the token had expired, after this many more requests; -1 ends that."""
        request = urllib.request.Request(
            f"{self.url}/-/expired", json.dumps(after).encode(), method="PUT"
        )
        urllib.request.urlopen(request).close()

    def client(self) -> Any:
        """A boto3 client that does not give up when throttled."""
        patient = Config(retries={"mode": "standard", "max_attempts": 12})
        return boto3.client("s3", endpoint_url=self.url, config=patient)


@dataclass
class Bucket:
    """One bucket, seen through boto3."""

    client: Any
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, data: bytes, **traits: Any) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data, **traits)

    def get(self, key: str) -> bytes | None:
        try:
            data: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None
        return data

    def names(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def contents(self) -> dict[str, bytes | None]:
        return {name: self.get(name) for name in self.names()}


@contextmanager
def running() -> Iterator[Server]:
    """The server, for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("s3_server.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(port)],
        env=os.environ | ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        server = Server(f"http://127.0.0.1:{port}", process.pid)
        for _ in range(300):
            try:
                server.asked()
                break
            except OSError:
                assert process.poll() is None, "moto's server did not start"
                time.sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait()
