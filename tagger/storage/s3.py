"""S3 features that obstore lacks: profiles, names of any form, tags, conditional deletes."""

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from tagger.errors import ChangedError, PhotoError, RefusedError, RunError, VanishedError
from tagger.storage import credentials, endpoint
from tagger.storage.base import APPEARED, CHANGED, Traits
from tagger.storage.bucket_listing import Listed

# Headers that belong to an object, by boto3's names.
_HEADERS = {
    "ContentType": "Content-Type", "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition", "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language", "StorageClass": "Storage-Class",
}  # fmt: skip
# An object's encryption and locks, which every write must repeat.
_ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")
_LOCK = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
# What botocore computes without further packages. S3 itself adds CRC64NVME if none is given.
_CHECKSUMS = ("CRC32", "SHA1", "SHA256")
_BY_DEFAULT = "CRC64NVME"
_NO_LOCKS = (
    "ObjectLockConfigurationNotFoundError", "InvalidRequest", "NotImplemented", "MethodNotAllowed",
)  # fmt: skip
BESIDE = "only a sidecar beside it is safe"
_SIGNED_OUT = (NoCredentialsError, CredentialRetrievalError, SSOError, TokenRetrievalError)
_RESERVED = {header.lower() for header in _HEADERS.values()}


class S3:
    """One bucket, through boto3, which supports profiles, SSO, roles and the AWS settings.

    Raises:
        RunError: the bucket cannot be reached with the credentials there are.
    """

    def __init__(self, bucket: str, attempts: int, server: str = "") -> None:
        self._bucket, self._lockable = bucket, True
        with _startable(f"s3://{bucket}"):
            self.session = boto3.Session()
            if self.session.get_credentials() is None:
                raise RunError(
                    f"s3://{bucket}: no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID "
                    "and AWS_SECRET_ACCESS_KEY"
                )
            retries = {"mode": "standard", "max_attempts": attempts}
            region = self.session.region_name or "us-east-1"
            # Not every S3 server supports checksums that were not asked for.
            config = Config(
                retries=retries, max_pool_connections=64,
                request_checksum_calculation="when_required",
            )  # fmt: skip
            self._client: Any = self.session.client(
                # AWS's own variables are left to boto3: AWS_ENDPOINT_URL_S3 comes before ours.
                "s3", region_name=region, config=config,
                endpoint_url=None if server == os.environ.get(endpoint.VARIABLE, "") else server,
            )  # fmt: skip
            answer = self._client.head_bucket(Bucket=bucket)
        self._lockable = self._may_lock()
        self.region: str = answer.get("BucketRegion") or region
        url = self._client.meta.endpoint_url
        # AWS's own server is left to obstore, which puts the bucket into the host name.
        own = (urlsplit(url).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
        self.endpoint = "" if own else url

    def list(self, prefix: str, recursive: bool) -> Iterator[Listed]:
        """All objects under a prefix, sorted by name, in pages of 1,000."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, **({} if recursive else {"Delimiter": "/"})
        )
        with _explained("listed"):
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Listed(item["Key"], item["Size"], item["ETag"], item["LastModified"])

    def traits(self, path: str) -> Traits:
        """Headers, user metadata, storage class and tags, with the ETag they belong to.

        Raises:
            RefusedError: it has something that could not be written again.
            PhotoError: it cannot be read.
        """
        with _explained("read"):
            tags, head = self._tags(path), self._head(path)
            if named := sorted(_RESERVED & {name.lower() for name in head["Metadata"]}):
                raise RefusedError(
                    f"has user metadata named like a header, which would be lost; rename {named[0]}"
                )
            if "WebsiteRedirectLocation" in head:
                raise RefusedError("has a website redirect, which would be lost; remove that first")
            attributes = {_HEADERS[name]: head[name] for name in _HEADERS if name in head}
            kept = self._protection(path, head)
            return Traits(
                attributes | head["Metadata"], tags, head["ETag"], head.get("VersionId", ""), kept
            )

    def _head(self, path: str) -> dict[str, Any]:
        try:
            head: dict[str, Any] = self._client.head_object(
                Bucket=self._bucket, Key=path, ChecksumMode="ENABLED"
            )
        except ClientError as error:
            if _status(error) == 400:  # unlike the answer to HEAD, that to GET says why
                self._tags(path)
            raise
        return head

    def _protection(self, path: str, head: dict[str, Any]) -> dict[str, Any]:
        """Encryption, lock and checksum, as arguments for the write."""
        if "SSECustomerAlgorithm" in head:
            raise RefusedError(
                f"is encrypted with a key of your own (SSE-C), which would be lost; {BESIDE}"
            )
        kept = {name: head[name] for name in _ENCRYPTION if head.get(name)}
        kept |= self._lock(path, head)
        if isinstance(head.get("Expires"), datetime):
            kept["Expires"] = head["Expires"]
        checksums = [name.removeprefix("Checksum") for name in head if name.startswith("Checksum")]
        for checksum in checksums:
            if checksum not in (*_CHECKSUMS, _BY_DEFAULT, "Type"):
                raise RefusedError(f"has a {checksum} checksum, which would be lost; {BESIDE}")
        supported = [checksum for checksum in checksums if checksum in _CHECKSUMS]
        return kept | ({"ChecksumAlgorithm": supported[0]} if supported else {})

    def _lock(self, path: str, head: dict[str, Any]) -> dict[str, Any]:
        """Retention and legal hold; S3 omits them from HEAD if they may not be read."""
        lock = {name: head[name] for name in head if name.startswith("ObjectLock")}
        if other := sorted(lock.keys() - set(_LOCK)):
            raise RefusedError(
                f"has a lock of a new kind ({other[0]}), which would be lost; {BESIDE}"
            )
        if not lock and self._lockable and head.get("VersionId", "null") != "null":
            for ask in (self._client.get_object_legal_hold, self._client.get_object_retention):
                self._see_unlocked(ask, path)
        until = lock.get("ObjectLockRetainUntilDate")
        if until and until <= datetime.now(
            UTC
        ):  # S3 accepts no date in the past, and it would not hold
            del lock["ObjectLockRetainUntilDate"], lock["ObjectLockMode"]
        return lock

    def _see_unlocked(self, ask: Any, path: str) -> None:
        try:
            answer = ask(Bucket=self._bucket, Key=path)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchObjectLockConfiguration", *_NO_LOCKS):
                return
            if _status(error) == 403:
                raise RefusedError(
                    "its object lock cannot be read and would be lost; allow "
                    "s3:GetObjectRetention and s3:GetObjectLegalHold"
                ) from error
            raise
        if any(answer.get(name) for name in ("LegalHold", "Retention")):
            raise ChangedError("its object lock changed meanwhile; run again")

    def _may_lock(self) -> bool:
        """Whether objects of this bucket may be locked; yes if that cannot be read."""
        try:
            self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            return code not in _NO_LOCKS and _status(error) not in (404, 405, 501)
        return True

    def put(self, path: str, data: bytes, traits: Traits, create: bool) -> str:
        """Write with all traits; a new object is not locked, even if its original is."""
        headers = {name: traits.attributes[header] for name, header in _HEADERS.items()
                   if header in traits.attributes}  # fmt: skip
        own = {name: value for name, value in traits.attributes.items()
               if name not in _HEADERS.values()}  # fmt: skip
        protection = {name: value for name, value in traits.protection.items()
                      if not (create and name in _LOCK)}  # fmt: skip
        condition = {"IfNoneMatch": "*"} if create else {"IfMatch": traits.etag}
        tags = {"Tagging": urlencode(traits.tags)} if traits.tags else {}
        # S3 requires it for locked objects, and checks with it that all bytes arrived.
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        with _explained("written", APPEARED if create else CHANGED):
            done = self._client.put_object(
                Bucket=self._bucket, Key=path, Body=data, Metadata=own,
                ContentMD5=base64.b64encode(digest).decode(),
                **headers, **protection, **condition, **tags,
            )  # fmt: skip
        return str(done["ETag"])

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
        why = {
            404: "no such bucket", 403: "no access",
            400: "not accepted (the credentials may have expired; aws sso login)",
        }.get(_status(error), str(error))  # fmt: skip
        raise RunError(f"{place}: {why}; check the name, AWS_PROFILE and the region") from error
    except BotoCoreError as error:
        raise RunError(f"{place}: {error}; check --endpoint-url and AWS_PROFILE") from error


@contextmanager
def _explained(verb: str, changed: str = CHANGED) -> Iterator[None]:
    """Turn boto3's errors into the photo's, with the remedy."""
    try:
        yield
    except ClientError as error:
        credentials.check_code(error.response["Error"].get("Code", ""), "s3")
        match _status(error):
            case 404:
                raise VanishedError("it vanished during the run; run again") from error
            case 412 | 409:
                raise ChangedError(changed) from error
            case 403:
                raise PhotoError(
                    f"cannot be {verb} (no permission); check the bucket's policy"
                ) from error
        why = f"{_status(error)} {error.response['Error'].get('Message', '')}"
        raise PhotoError(f"cannot be {verb} ({why}); run again later") from error
    except _SIGNED_OUT as error:
        raise credentials.refused(str(error), "s3") from error
    except BotoCoreError as error:
        raise PhotoError(f"cannot be {verb} ({error}); check the network, run again") from error
