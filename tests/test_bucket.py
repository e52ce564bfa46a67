"""Buckets: the contract on S3 and on obstore alone, and what only an object store does."""

import secrets
from collections.abc import Iterator

import obstore
import pytest
import s3
from obstore.store import MemoryStore
from storage_contract import Shelf, StorageContract

from tagger import bucket as bucket_module
from tagger.bucket import BucketStorage, Generic


@pytest.fixture(scope="module")
def server() -> Iterator[s3.Server]:
    with s3.running() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in s3.ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def bucket(server: s3.Server) -> s3.Bucket:
    bucket = s3.Bucket(server.client(), f"bucket-{secrets.token_hex(4)}")
    bucket.client.create_bucket(Bucket=bucket.name)
    return bucket


class TestS3(StorageContract):
    @pytest.fixture
    def shelf(self, bucket: s3.Bucket) -> Shelf:
        return Shelf(
            BucketStorage([bucket.url]), lambda name: f"{bucket.url}/{name}",
            bucket.put, bucket.get, bucket.names, keeps_times=False,
        )  # fmt: skip


class TestObstoreAlone(StorageContract):
    """The way that Google's and Azure's buckets take, on a store in memory."""

    @pytest.fixture
    def shelf(self, monkeypatch: pytest.MonkeyPatch) -> Shelf:
        store = MemoryStore()
        monkeypatch.setattr(bucket_module, "connect", lambda root, url: (store, Generic(store)))

        def get(name: str) -> bytes | None:
            return bytes(store.get(name).bytes()) if name in names() else None

        def names() -> list[str]:
            return [item["path"] for item in obstore.list(store).collect()]

        return Shelf(
            BucketStorage(["gs://photos"]), "gs://photos/{}".format,
            lambda name, data: store.put(name, data) and None, get, names, keeps_times=False,
        )  # fmt: skip
