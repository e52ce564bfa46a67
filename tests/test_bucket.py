"""Buckets: the storage contract on S3 and on obstore alone, and what only object stores do."""

import sys
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
import s3
from hypothesis import example, given
from hypothesis import strategies as st
from obstore.store import MemoryStore
from storage_contract import Shelf, StorageContract

from tagger.blob import Blob
from tagger.errors import ChangedError, PhotoError, RunError, UnsupportedError
from tagger.imaging.decode import Resize
from tagger.records import Status
from tagger.run.inspect import check_and_decode
from tagger.storage import bucket as bucket_module
from tagger.storage import bucket_store
from tagger.storage.bucket import BucketStorage
from tagger.storage.bucket_listing import Listed, paired
from tagger.storage.bucket_store import Generic, connect
from tagger.storage.opening import open_storage
from tagger.storage.siblings import Siblings, is_beside, is_shared
from tagger.storage.suffixes import LISTED_SUFFIXES, suffix

KEPT: dict[str, Any] = {
    "ContentType": "image/jpeg", "CacheControl": "max-age=9", "ContentDisposition": "inline",
    "ContentLanguage": "de", "Metadata": {"who": "me"}, "StorageClass": "STANDARD_IA",
}  # fmt: skip


class TestS3(StorageContract):
    @pytest.fixture
    def shelf(self, bucket: s3.Bucket) -> Shelf:
        return Shelf(
            BucketStorage([bucket.url]), lambda name: f"{bucket.url}/{name}",
            bucket.put, bucket.get, bucket.names, keeps_times=False,
        )  # fmt: skip


class TestObstoreAlone(StorageContract):
    """The code path of Google's and Azure's buckets, on a store in memory."""

    @pytest.fixture
    def shelf(self, monkeypatch: pytest.MonkeyPatch) -> Shelf:
        store = MemoryStore()
        monkeypatch.setattr(bucket_module, "connect", lambda root, url: (store, Generic(store)))

        def get(name: str) -> bytes | None:
            return bytes(store.get(name).bytes()) if name in names() else None

        def names() -> list[str]:
            return [item["path"] for item in obstore.list(store).collect()]

        def put(name: str, data: bytes) -> None:
            store.put(name, data)

        return Shelf(
            BucketStorage(["gs://photos"]), "gs://photos/{}".format,
            put, get, names, keeps_times=False,
        )  # fmt: skip


def traits_of(bucket: s3.Bucket, key: str) -> tuple[dict[str, Any], dict[str, str]]:
    head = bucket.client.head_object(Bucket=bucket.name, Key=key)
    tags = bucket.client.get_object_tagging(Bucket=bucket.name, Key=key)["TagSet"]
    return {name: head[name] for name in KEPT}, {tag["Key"]: tag["Value"] for tag in tags}


def test_a_write_keeps_headers_metadata_storage_class_and_tags(bucket: s3.Bucket) -> None:
    bucket.put("a.jpg", b"old", Tagging="album=india&year=2019", **KEPT)
    before = traits_of(bucket, "a.jpg")
    storage = open_storage([bucket.url])
    storage.write(f"{bucket.url}/a.jpg", b"new", storage.read(f"{bucket.url}/a.jpg").version)
    assert bucket.get("a.jpg") == b"new"
    assert traits_of(bucket, "a.jpg") == before and len(before[1]) == 2


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ({"Metadata": {"who": "me", "content-type": "text/x"}}, "rename content-type"),
        ({"Metadata": {"Storage-Class": "GLACIER"}}, "rename storage-class"),
        ({"WebsiteRedirectLocation": "/b.jpg"}, "website redirect"),
    ],
)
def test_what_could_not_be_kept_stops_a_write(
    bucket: s3.Bucket, lost: dict[str, Any], message: str
) -> None:
    bucket.put("a.jpg", b"old", **lost)
    storage, key = open_storage([bucket.url]), f"{bucket.url}/a.jpg"
    with pytest.raises(PhotoError, match=message):
        storage.write(key, b"new", storage.read(key).version)
    with pytest.raises(PhotoError, match=message):  # which a copy is created with
        storage.traits(key)
    assert bucket.get("a.jpg") == b"old"


@pytest.mark.parametrize("archive", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_photo_is_unsupported_and_says_what_to_do(
    bucket: s3.Bucket, archive: str
) -> None:
    bucket.put("a.jpg", b"photo", StorageClass=archive)
    storage, key = open_storage([bucket.url]), f"{bucket.url}/a.jpg"
    for use in (lambda: storage.read(key), lambda: storage.read_head(key, 9)):
        with pytest.raises(UnsupportedError, match="restore it first"):
            use()
    (entry,) = storage.list()
    outcome = check_and_decode(storage, entry, 32, Resize.CROP).outcome
    assert outcome and outcome.status is Status.UNSUPPORTED  # of which no run ends with 1


def test_a_new_sidecar_says_what_it_is(bucket: s3.Bucket) -> None:
    open_storage([bucket.url]).write(f"{bucket.url}/a.jpg.xmp", b"<x/>", None)
    head = bucket.client.head_object(Bucket=bucket.name, Key="a.jpg.xmp")
    assert head["ContentType"] == "application/rdf+xml"


def test_a_photo_replaced_between_the_last_look_and_the_write_stays(
    bucket: s3.Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("a.jpg", b"old")
    storage = BucketStorage([bucket.url])
    version = storage.read(f"{bucket.url}/a.jpg").version
    looked = storage.traits(f"{bucket.url}/a.jpg")
    monkeypatch.setattr(storage, "traits", lambda key: looked)
    bucket.put("a.jpg", b"a newer upload")
    with pytest.raises(ChangedError, match="changed since"):
        storage.write(f"{bucket.url}/a.jpg", b"tagged", version)
    assert bucket.get("a.jpg") == b"a newer upload"


@pytest.mark.parametrize("create", [True, False])
def test_a_write_whose_answer_was_lost_is_known_to_have_happened(
    bucket: s3.Bucket, s3_server: s3.Server, create: bool
) -> None:
    storage, key = BucketStorage([bucket.url]), f"{bucket.url}/a.jpg"
    if not create:
        bucket.put("a.jpg", b"old")
    expected = None if create else storage.read(key).version
    s3_server.asked()
    s3_server.fail(0, after=1)
    version = storage.write(key, b"new", expected)
    s3_server.fail(0)
    puts = [request["status"] for request in s3_server.asked() if request["method"] == "PUT"]
    assert puts == [200, 412] and version == storage.read(key).version
    assert bucket.get("a.jpg") == b"new"


def test_throttled_requests_are_repeated_and_then_a_photos_failure(
    bucket: s3.Bucket, s3_server: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("a.jpg", b"photo")
    storage, key = BucketStorage([bucket.url]), f"{bucket.url}/a.jpg"
    s3_server.fail(0.5)
    assert all(storage.read_head(key, 9) == b"photo" for _ in range(2))
    s3_server.fail(0)
    monkeypatch.setattr(bucket_store, "ATTEMPTS", 1)
    connect.cache_clear()
    storage = BucketStorage([bucket.url])
    version = storage.read(key).version
    s3_server.fail(1)
    for use in (
        lambda: storage.read(key), lambda: storage.read_head(key, 9),
        lambda: storage.write(key, b"new", version), lambda: storage.delete(key, version),
        lambda: storage.write(f"{key}.xmp", b"new", None),
    ):  # fmt: skip
        with pytest.raises(PhotoError, match="503 "):
            use()
    (entry,) = storage.list()
    assert entry.problem.startswith("folder cannot be listed (503")
    s3_server.fail(0)
    connect.cache_clear()
    assert bucket.contents() == {"a.jpg": b"photo"}


NAMES = ["a b.jpg", "c#d%20e.jpg", "größe.jpg", "e\u0301.jpg", "x+y&z?.jpg", "back\\slash.jpg"]


def test_names_of_any_form_are_read_or_refused_one_by_one(bucket: s3.Bucket) -> None:
    odd = ["double//slash.jpg", "./dot.jpg", "up/../dots.jpg"]
    for name in (*NAMES, *odd):
        bucket.put(name, name.encode())
    storage = open_storage([bucket.url])
    entries = {entry.key.removeprefix(f"{bucket.url}/"): entry for entry in storage.list()}
    # A name that starts with a dot is hidden, as on a disk.
    assert set(entries) == {*NAMES, "double//slash.jpg"}
    for name in NAMES:
        assert storage.read(entries[name].key) == Blob(name.encode(), entries[name].version)
    assert "rename it" in entries["double//slash.jpg"].problem
    with pytest.raises(PhotoError, match="rename it"):
        storage.read(f"{bucket.url}/{odd[0]}")


def listed(bucket: s3.Bucket, *targets: str, **options: Any) -> list[str]:
    storage = open_storage([f"{bucket.url}/{target}" for target in targets], **options)
    return [entry.key.removeprefix(f"{bucket.url}/") for entry in storage.list()]


def test_targets_are_folders_and_photos_each_looked_at_once(bucket: s3.Bucket) -> None:
    for name in ("p/a.jpg", "p/a.xmp", "p/q/b.jpg", "p/.hidden.jpg", "p/@eaDir/c.jpg", "pq/d.jpg",
                 "p/raw/e.jpg"):  # fmt: skip
        bucket.put(name, b"x")
    below = ["p/a.jpg", "p/q/b.jpg", "p/raw/e.jpg"]
    assert listed(bucket, "p") == listed(bucket, "p/") == below
    assert listed(bucket, "p", "p/q", "p/a.jpg") == below
    assert listed(bucket, "") == [*below, "pq/d.jpg"]
    assert listed(bucket, "p", recursive=False) == ["p/a.jpg"]
    assert listed(bucket, "p", "p/q", "p/a.jpg", recursive=False) == ["p/a.jpg", "p/q/b.jpg"]
    assert listed(bucket, "p", exclude=["raw", "q/*"]) == ["p/a.jpg"]
    for glob in ("raw/", "./raw", "**/raw", "**/p/raw", f"{bucket.url}/p/raw/", "**/raw/*.jpg"):
        assert listed(bucket, "", exclude=[glob, "pq"]) == below[:2], glob
    assert listed(bucket, "p/a.jpg", "p/q/b.jpg", exclude=["a.*"]) == ["p/q/b.jpg"]
    assert listed(bucket, "nothing") == []
    (entry,) = open_storage([f"{bucket.url}/p/a.jpg"]).list()
    assert entry.sidecars == (f"{bucket.url}/p/a.xmp",)
    with pytest.raises(RunError, match="no such photo"):
        listed(bucket, "p/other.jpg")


def test_since_leaves_older_photos_out(bucket: s3.Bucket) -> None:
    bucket.put("old.jpg", b"x")
    time.sleep(1.1)  # times in buckets are whole seconds
    since = datetime.now(UTC).replace(microsecond=0)
    bucket.put("new.jpg", b"x")
    assert listed(bucket, "", since=since) == ["new.jpg"]
    assert listed(bucket, "", since=since + timedelta(days=1)) == []
    with pytest.raises(RunError, match="--since"):
        open_storage(["."], since=since)


def test_a_bucket_with_versions_gets_another_version(bucket: s3.Bucket) -> None:
    status = {"Status": "Enabled"}
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=status)
    bucket.put("a.jpg", b"old")
    storage, key = open_storage([bucket.url]), f"{bucket.url}/a.jpg"
    version = storage.write(key, b"new", storage.read(key).version)
    storage.delete(key, version)
    bucket.put("a.jpg", b"again")
    versions = bucket.client.list_object_versions(Bucket=bucket.name)
    assert len(versions["Versions"]) == 3 and len(versions["DeleteMarkers"]) == 1


def test_a_profile_names_credentials_and_server(
    bucket: s3.Bucket, s3_server: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("a.jpg", b"photo")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(RunError, match="no AWS credentials"):
        open_storage([bucket.url])
    config.write_text(
        "[profile photos]\naws_access_key_id = x\naws_secret_access_key = y\n"
        f"endpoint_url = {s3_server.url}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("AWS_PROFILE", "photos")
    connect.cache_clear()
    assert open_storage([bucket.url]).read(f"{bucket.url}/a.jpg").data == b"photo"
    connect.cache_clear()


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["s3://no-such-bucket/x"], "no such bucket"),
        (["s3:///x"], "names no bucket"),
        (["https://example.org/x"], "not supported; give"),
        (["s3://one/x", "s3://two/x"], "of one bucket"),
        (["s3://one/x", "."], "of one bucket"),
    ],
)
def test_a_run_that_cannot_start_says_why(
    bucket: s3.Bucket, targets: list[str], message: str
) -> None:
    with pytest.raises(RunError, match=message):
        open_storage(targets)


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tagger.storage.bucket")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(RunError, match=r"need obstore; pip install 'landmark-tag\[bucket\]'"):
        open_storage(["s3://bucket/x"])


def listed_as(name: str) -> Listed:
    return Listed(name, 1, "", datetime.now(UTC))


def test_a_sidecar_is_found_however_its_suffix_is_spelled() -> None:
    names = ["A.JPG", "A.XMP", "b.jpg", "b.jpg.XMP", "c.XMP", "c.d/c.jpg", "c.jpg", "c/c.jpg"]
    sidecars = [["A.XMP"], ["b.jpg.XMP"], [], ["c.XMP"], []]
    assert [pair.sidecars for pair in paired(map(listed_as, names))] == sidecars


def test_a_sidecar_that_sorts_before_its_photo_is_listed_as_on_a_disk(
    bucket: s3.Bucket, tmp_path: Path
) -> None:
    names = ("a.XMP", "a.jpg", "a.jpg.XMP", "a.jpg.xmp", "a.JPG.xmp", "a.xmp", "b.XMP", "b.jpg",
             "B.JPG", "B.jpg.xmp")  # fmt: skip
    for name in names:
        bucket.put(name, b"x")
        (tmp_path / name).write_bytes(b"x")
    for root in (bucket.url, str(tmp_path)):
        sidecars = [
            [key.removeprefix(f"{root}/") for key in entry.sidecars]
            for entry in sorted(open_storage([root]).list(), key=lambda entry: entry.key.lower())
        ]
        assert sidecars == [
            ["a.jpg.xmp", "a.jpg.XMP", "a.JPG.xmp", "a.xmp", "a.XMP"],
            ["B.jpg.xmp"],
            ["b.XMP"],
        ]
    (entry,) = open_storage([f"{bucket.url}/b.jpg"]).list()
    assert entry.sidecars == (f"{bucket.url}/b.XMP",)


PARTS = [*"abz/-~é.", ".jpg", ".xmp", ".XMP", ".JPG", ".png"]


@given(st.sets(st.builds("".join, st.lists(st.sampled_from(PARTS)))))
@example({"a.XMP", "a.b/a.jpg", "a.b/a.XMP", "a.jpg", "a.jpg.XMP"})
@example({"/a.png", "a.JPG"})
def test_sidecars_are_found_wherever_they_sort(names: set[str]) -> None:
    listed = list(paired(map(listed_as, sorted(names))))
    pairs = {photo.listed.path: set(photo.sidecars) for photo in listed}
    photos = {name for name in names if suffix(name) in LISTED_SUFFIXES}
    assert pairs == {name: {n for n in names if is_beside(n, name)} for name in photos}
    for photo in listed:
        folder, slash, name = photo.listed.path.rpartition("/")
        here = [
            n.removeprefix(f"{folder}{slash}")
            for n in photos
            if n.rpartition("/")[:2] == (folder, slash)
        ]
        assert is_shared(photo.listed.path, photo.sharing) is Siblings(here, ()).share_stem(name)


def test_sidecars_that_wait_for_a_photo_are_let_go_with_their_name() -> None:
    tracemalloc.start()
    try:
        assert not list(paired(listed_as(f"{number:05}.XMP") for number in range(10_000)))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_an_unordered_listing_stops_the_run() -> None:
    with pytest.raises(RunError, match="in order"):
        list(paired(map(listed_as, ["b.jpg", "a.jpg"])))
