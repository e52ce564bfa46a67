"""What S3 needs beside obstore: profiles, names of any form, tags, conditional deletes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tagger.errors import ChangedError, PhotoError, RefusedError, RunError, VanishedError
from tagger.listing import Found
from tagger.storage import CHANGED, Traits

# Headers that go with an object, by the names boto3 has for them.
_HEADERS = {
    "ContentType": "Content-Type", "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition", "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language", "StorageClass": "Storage-Class",
}  # fmt: skip
_RESERVED = {header.lower() for header in _HEADERS.values()}


class S3:
    """One bucket, through boto3: it knows profiles, SSO and roles, and follows the AWS settings.

    Raises:
        RunError: the bucket cannot be reached with the credentials there are.
    """

    def __init__(self, bucket: str, attempts: int) -> None:
        self._bucket = bucket
        with _startable(f"s3://{bucket}"):
            self.session = boto3.Session()
            if self.session.get_credentials() is None:
                raise RunError(
                    f"s3://{bucket}: no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID "
                    "and AWS_SECRET_ACCESS_KEY"
                )
            retries = {"mode": "standard", "max_attempts": attempts}
            region = self.session.region_name or "us-east-1"
            config = Config(retries=retries, max_pool_connections=64)
            self._client: Any = self.session.client("s3", region_name=region, config=config)
            answer = self._client.head_bucket(Bucket=bucket)
        self.region: str = answer.get("BucketRegion") or region
        url = self._client.meta.endpoint_url
        # AWS's own is left to obstore, which puts the bucket into the host's name.
        own = (urlsplit(url).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
        self.endpoint = "" if own else url

    def list(self, prefix: str, recursive: bool) -> Iterator[Found]:
        """What lies under a prefix, in order, a page of 1,000 at a time."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, **({} if recursive else {"Delimiter": "/"})
        )
        with _explained("listed"):
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Found(item["Key"], item["Size"], item["ETag"], item["LastModified"])

    def traits(self, path: str) -> Traits:
        """Headers, user metadata, storage class and tags, with the ETag they go with.

        Raises:
            RefusedError: it has something that obstore could not write again.
            PhotoError: it cannot be read.
        """
        with _explained("read"):
            head = self._client.head_object(Bucket=self._bucket, Key=path)
            if named := sorted(_RESERVED & {name.lower() for name in head["Metadata"]}):
                raise RefusedError(
                    f"has user metadata named like a header, which would be lost; rename {named[0]}"
                )
            if "WebsiteRedirectLocation" in head:
                raise RefusedError("has a website redirect, which would be lost; remove that first")
            attributes = {_HEADERS[name]: head[name] for name in _HEADERS if name in head}
            return Traits(attributes | head["Metadata"], self._tags(path), head["ETag"])

    def _tags(self, path: str) -> dict[str, str]:
        try:
            answer = self._client.get_object_tagging(Bucket=self._bucket, Key=path)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NotImplemented", "NoSuchTagSet"):
                return {}  # stores without tags, Cloudflare R2 among them
            if _status(error) == 403:
                raise PhotoError(
                    "its tags cannot be read and would be lost; allow s3:GetObjectTagging"
                ) from error
            raise
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def delete(self, path: str, etag: str) -> None:
        """Delete an object if it still has this ETag (with its quotes)."""
        with _explained("removed"):
            self._client.delete_object(Bucket=self._bucket, Key=path, IfMatch=etag)


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


@contextmanager
def _startable(place: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        why = {404: "no such bucket", 403: "no access"}.get(_status(error), str(error))
        raise RunError(f"{place}: {why}; check the name, AWS_PROFILE and the region") from error
    except BotoCoreError as error:
        raise RunError(f"{place}: {error}; check --endpoint-url and AWS_PROFILE") from error


@contextmanager
def _explained(verb: str) -> Iterator[None]:
    """Turn boto3's errors into a photo's, with the remedy."""
    try:
        yield
    except ClientError as error:
        match _status(error):
            case 404:
                raise VanishedError("it vanished while the run was on; run again") from error
            case 412 | 409:
                raise ChangedError(CHANGED) from error
            case 403:
                raise PhotoError(
                    f"cannot be {verb} (no permission); check the bucket's policy"
                ) from error
        why = f"{_status(error)} {error.response['Error'].get('Message', '')}"
        raise PhotoError(f"cannot be {verb} ({why}); run again later") from error
    except BotoCoreError as error:
        raise PhotoError(f"cannot be {verb} ({error}); check the network, run again") from error
