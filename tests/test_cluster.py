"""The same run on a Ray cluster of two nodes, one of which dies in the middle."""

import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import s3
from click.testing import CliRunner
from conftest import COLOURS, REPOSITORY, SAMPLES, photo
from PIL import Image
from places import tag
from raw_photos import cr2, preview
from ray.cluster_utils import Cluster
from test_learning import views
from walk_photos import photo as taken

import tagger
from tagger import metadata
from tagger.cli.main import main
from tagger.ledger.ledger import Ledger
from tagger.metadata.capture import Capture
from tagger.model import DEFAULT_MODEL
from tagger.places.opening import open_pack
from train.__main__ import main as train

RUN_ID = "20261125T000000Z-000000"
GUARD = 900  # seconds until what hangs is given up, not what a slow machine may take
# A command whose run is called so, and which cuts its photos into blocks of 8, or few would do.
PINNED = f"""
import tagger.ledger.ledger, tagger.run.ray_engine
tagger.ledger.ledger.new_run_id = lambda: {RUN_ID!r}
tagger.run.ray_engine.BLOCK = 8
from tagger.cli.main import main
main()
"""
# A node that no longer answers is given up after three requests, one every 3 s.
PROMPT = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes; the second has its own access key, by which the server tells them apart."""
    small: dict[str, Any] = {"object_store_memory": 150_000_000, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.ENVIRONMENT.items():
            patch.setenv(name, value)
        # Ray's own is 15: beside the other tests its workers would wait until those have ended.
        patch.setenv("RAY_worker_niceness", "0")
        nodes = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": PROMPT} | small
        )
        patch.setenv("AWS_ACCESS_KEY_ID", "second")
        nodes.add_node(num_cpus=1, **small)
    yield nodes
    nodes.shutdown()


def kill(cluster: Cluster) -> None:
    """Kill the second node with everything on it, as when its power is cut."""
    (node,) = cluster.worker_nodes
    table = subprocess.run(["ps", "-eo", "ppid=,pid="], capture_output=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in table.splitlines()]
    dying = [info.process.pid for group in node.all_processes.values() for info in group]
    for process in dying:  # grows by the children of each
        dying += [child for parent, child in pairs if parent == process]
    for process in dying:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


TAGGED = 65  # of the 132 photos that upload() makes


def upload(bucket: s3.Bucket, count: int = 128) -> dict[str, bytes]:
    """Upload photos of all sorts, half of which show a landmark, and a few awkward ones."""
    taj, grey = photo(COLOURS["Taj_Mahal"]), photo((120, 120, 120))
    kinds = (taj, metadata.tagged(grey, tag()), photo(COLOURS["Eiffel_Tower"]), grey)
    uploaded = {f"in/{i % 3}/{i:04d}.jpg": kinds[i % 4] for i in range(count)}
    uploaded |= {
        "in/1/broken.jpg": taj[:300], "in/1/raw.nef": taj,
        "in/1/b.png": photo((220, 30, 30), format="PNG"),
        "in/2/rated.jpg": taj, "in/2/rated.jpg.xmp": metadata.sidecar(None, tag()),
    }  # fmt: skip
    for key, data in uploaded.items():
        bucket.put(key, data, Metadata={"owner": key})
    return uploaded


def keys(notes: list[dict[str, Any]], **wanted: object) -> set[str]:
    return {note["key"] for note in notes if wanted.items() <= note.items()}


def command(bucket: s3.Bucket, model: Path, folder: Path, *words: str) -> list[str]:
    folder.mkdir()
    return [
        sys.executable, "-c", PINNED, f"{bucket.url}/in", "--model", str(model), "--ledger",
        str(folder / "ledger.db"), "--report", str(folder / "report.csv"), *words,
    ]  # fmt: skip


def on_one_machine(line: list[str]) -> None:
    """The command without a cluster, in this process: another would import torch first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagger.ledger.ledger.new_run_id", lambda: RUN_ID)
        result = CliRunner().invoke(main, line[3:])
    assert result.exit_code == 0, result.output


def started(
    server: s3.Server, line: list[str], nodes: Cluster, **until: object
) -> tuple[subprocess.Popen[bytes], list[dict[str, Any]]]:
    """The command on the cluster, once four photos were written so; and what was asked till then.

    Most writes are done but unconfirmed: their writers are about to try again.
    """
    server.fail(0, after=0.7)
    server.asked()
    words = ["--engine", "ray", "--ray-address", nodes.address]
    run, asked = subprocess.Popen([*line, *words], cwd=REPOSITORY), list[dict[str, Any]]()
    while run.poll() is None and len(keys(asked, lost=True, **until)) < 4:
        time.sleep(0.02)
        asked += server.asked()
    assert run.poll() is None, "it had ended before the moment came"
    return run, asked


def test_a_run_that_is_stopped_reports_what_it_wrote(
    bucket: s3.Bucket, s3_server: s3.Server, colour_model: Path, tmp_path: Path, cluster: Cluster
) -> None:
    count = 512  # more than the nodes have in hand at once
    before = upload(bucket, count)
    line = command(bucket, colour_model, tmp_path / "run")
    run, _ = started(s3_server, line, cluster)
    run.terminate()
    s3_server.fail(0)
    assert run.wait(GUARD) == 130
    with (tmp_path / "run" / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row["status"] for row in csv.DictReader(file)}
    changed = {f"{bucket.url}/{key}" for key in before if bucket.get(key) != before[key]}
    assert {path for path, status in rows.items() if status == "tagged"} == changed
    assert 4 <= len(changed) <= count // 2 and len(rows) < count + 4


def test_photos_of_one_shot_are_decided_as_on_one_machine(
    bucket: s3.Bucket, colour_model: Path, tmp_path: Path, cluster: Cluster
) -> None:
    """More than a block of raw files of which only the JPEG shows something."""
    before = {}
    for n in range(12):
        taken = f"2024:05:{n + 1:02d} 12:00:00\0".encode()
        before[f"in/{n:02d}.cr2"] = cr2(preview((120, 120, 120)), taken=taken)
        before[f"in/{n:02d}.jpg"] = photo(COLOURS["Taj_Mahal"])
    for key, data in before.items():
        bucket.put(key, data)
    here, there = tmp_path / "here", tmp_path / "there"
    on_one_machine(command(bucket, colour_model, here))
    wanted = bucket.contents()
    assert sum(key.endswith(".cr2.xmp") for key in wanted) == 12
    for key in wanted.keys() - before.keys():
        bucket.client.delete_object(Bucket=bucket.name, Key=key)
    for key, data in before.items():
        bucket.put(key, data)
    line = command(bucket, colour_model, there)
    words = ["--engine", "ray", "--ray-address", cluster.address]
    subprocess.run([*line, *words], check=True, cwd=REPOSITORY)
    assert bucket.contents() == wanted
    assert (there / "report.csv").read_bytes() == (here / "report.csv").read_bytes()


def test_sources_of_a_position_say_the_same_as_on_one_machine(
    bucket: s3.Bucket, colour_model: Path, tmp_path: Path, cluster: Cluster
) -> None:
    """Photos with GPS in one block, those that they place in others."""
    paris = (48.85826, 2.2945)
    before = {
        f"in/{n:02d}.jpg": taken(
            Capture(
                "", 1_714_564_800.0 + 60 * n, 0.0, position=paris if n < 3 else None, camera="X"
            )
        )
        for n in range(24)
    }
    for key, data in before.items():
        bucket.put(key, data)
    here, there = tmp_path / "here", tmp_path / "there"
    on_one_machine([*command(bucket, colour_model, here), "--from", "all"])
    wanted = bucket.contents()
    assert sum(wanted[key] != data for key, data in before.items()) >= 5
    for key, data in before.items():
        bucket.put(key, data)
    line = [*command(bucket, colour_model, there), "--from", "all"]
    words = ["--engine", "ray", "--ray-address", cluster.address]
    subprocess.run([*line, *words], check=True, cwd=REPOSITORY)
    assert bucket.contents() == wanted
    assert (there / "report.csv").read_bytes() == (here / "report.csv").read_bytes()


def all_sources(folder: Path) -> dict[str, bytes]:
    """Photos for each source to place; those that are compared lie in other blocks than copies."""
    names = sorted(path.stem for path in SAMPLES.glob("*.jpg"))
    files = {}
    for number, name in enumerate(names):
        with Image.open(SAMPLES / f"{name}.jpg") as opened:
            picture = opened.convert("RGB")
        when = Capture("", NOON + 86_400.0 * number, 0.0, camera="X")
        stated = replace(when, position=(10.0 + number, 20.0), camera="Phone")
        files[f"a/{name}.jpg"] = jpeg(picture, exif=exif_of(stated))
        files[f"b/IMG-2024-WA{number:04d}.jpg"] = jpeg(picture.resize((320, 240)), quality=70)
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    for seconds in (0, 40, 80, 120):  # between two of a phone's photos: time
        position = (30.0, 31.0) if seconds in (0, 120) else None
        camera = "Phone" if position else "X"
        one = Capture("", NOON - 20 * 86_400 + seconds, CAIRO, position=position, camera=camera)
        files[f"b/time{seconds:03d}.jpg"] = jpeg(grey, exif=exif_of(one))
    walked = Capture("", NOON - 40 * 86_400, 0.0, camera="X")
    files["b/track.jpg"] = jpeg(grey, exif=exif_of(walked))
    files["b/stated.jpg"] = jpeg(grey)
    files["b/stated.jpg.json"] = b'{"geoData": {"latitude": 36.1125, "longitude": -115.1}}'
    points = "".join(
        f'<trkpt lat="51.5" lon="-0.{number}"><time>{at}</time></trkpt>'
        for number, at in enumerate(("2024-03-22T11:59:30Z", "2024-03-22T12:00:30Z"))
    )
    (folder / "walk.gpx").write_text(
        '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1"><trk><trkseg>'
        f"{points}</trkseg></trk></gpx>"
    )
    return files


NOON = 1_714_564_800.0  # 2024-05-01
CAIRO = 7200.0  # ahead of UTC, in April


def jpeg(picture: Image.Image, quality: int = 88, exif: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def exif_of(one: Capture) -> bytes:
    with Image.open(io.BytesIO(taken(one))) as opened:
        exif: bytes = opened.info["exif"]
    return exif


def rows_of(folder: Path, root: str) -> dict[str, dict[str, str]]:
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:  # a disk and a bucket state the version of a photo each in its own way
        del row["mtime_ns"], row["etag"]
    return {row.pop("path").removeprefix(root): row for row in rows}


@pytest.mark.parametrize("dry", [False, True])
def test_all_sources_say_the_same_in_a_folder_a_bucket_and_on_a_cluster(
    bucket: s3.Bucket, tmp_path: Path, cluster: Cluster, dry: bool
) -> None:
    photos = all_sources(tmp_path)
    words = ["--from", "all", "--track", str(tmp_path / "walk.gpx")] + ["--dry-run"] * dry
    there = bucket.url
    for name, data in photos.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    reported, written = {}, {}
    for kind in ("folder", "bucket", "cluster"):
        for name, data in photos.items():
            bucket.put(f"in/{name}", data)
        line = command(bucket, DEFAULT_MODEL, tmp_path / kind, *words)
        if kind == "folder":
            line[line.index(f"{there}/in")] = str(tmp_path / "in")
        if kind == "cluster":
            line += ["--engine", "ray", "--ray-address", cluster.address]
            subprocess.run(line, check=True, cwd=REPOSITORY)
        else:
            on_one_machine(line)
        root = str(tmp_path) if kind == "folder" else there
        reported[kind] = rows_of(tmp_path / kind, f"{root}/in/")
        written[kind] = bucket.contents()
    by_source = Counter(row["source"] for row in reported["folder"].values())
    assert by_source["library"] >= 10
    assert {"time", "track", "takeout"} <= by_source.keys()
    assert reported["bucket"] == reported["folder"]
    assert reported["cluster"] == reported["bucket"]
    assert written["cluster"] == written["bucket"]
    for name in photos if not dry else ():
        data = (tmp_path / "in" / name).read_bytes()
        assert data == written["bucket"][f"in/{name}"], name


def test_packs_and_own_places_say_the_same_as_on_one_machine(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One place in the user's own pack, one in a pack whose file has another suffix."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    pack, tea = tmp_path / "rooms.pack", "cup_of_tea.jpg"
    tagger.learn("Our windmill", views(tmp_path / "mill", 3), at=(52.62, 4.65))
    tagger.learn("Tea", views(tmp_path / "tea", 3, name=tea), at=(48.1, 11.5), pack=pack)
    library = tmp_path / "library"
    photos = [*views(library / "a", 2, 4), *views(library / "b", 2, 4, tea)]
    (library / "c.jpg").write_bytes(photo((120, 120, 120)))
    for number, path in enumerate(photos):
        os.utime(path, ns=(10**18, 10**18 + number))
    before = {path: path.read_bytes() for path in photos}
    reports: list[str] = []
    written: list[list[bytes]] = []
    for words in ([], ["--engine", "ray", "--ray-address", cluster.address]):
        out = tmp_path / f"run{len(reports)}"
        out.mkdir()
        line = [sys.executable, "-c", PINNED, str(library), "--ledger", str(out / "ledger.db"),
                "--report", str(out / "report.csv"), "--pack", str(pack), *words]  # fmt: skip
        if words:
            subprocess.run(line, check=True, cwd=REPOSITORY)
        else:
            on_one_machine(line)
        reports.append((out / "report.csv").read_text(encoding="utf-8"))
        written.append([path.read_bytes() for path in photos])
        undo = ["undo", RUN_ID, "--ledger", str(out / "ledger.db")]
        assert CliRunner().invoke(main, undo).exit_code == 0
        assert {path: path.read_bytes() for path in photos} == before
        for number, path in enumerate(photos):
            os.utime(path, ns=(10**18, 10**18 + number))
    assert "; place of the pack mine" in reports[0] and "; place of the pack rooms" in reports[0]
    assert reports[1] == reports[0]
    assert written[1] == written[0]


def test_a_big_pack_is_built_as_on_one_machine(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part for each place; one part is left from a run that was stopped."""
    code = "import train.packs; train.packs.PART = 1; from train.__main__ import main; main()"
    table = ["folder,latitude,longitude"]
    for n, name in enumerate(("windmills.jpg", "cup_of_tea.jpg", "taj_mahal.jpg")):
        views(tmp_path / "photos" / f"place{n}", 2, name=name)
        table.append(f"place{n},{n},0")
    (tmp_path / "places.csv").write_text("\n".join(table), encoding="utf-8")
    words = ["pack", f"--photos={tmp_path / 'photos'}", f"--places={tmp_path / 'places.csv'}"]
    here, there = tmp_path / "here.places", tmp_path / "there.places"
    monkeypatch.setattr("train.packs.PART", 1)
    train([*words, f"--out={here}", "--device=cpu"], standalone_mode=False)
    parts = sorted((tmp_path / "here.parts").glob("*.places"))
    (tmp_path / "there.parts").mkdir()
    shutil.copy(parts[1], tmp_path / "there.parts")
    on_ray = ["--engine=ray", f"--ray-address={cluster.address}"]
    line = [sys.executable, "-c", code, *words, f"--out={there}", *on_ray]
    subprocess.run(line, check=True, cwd=REPOSITORY)
    assert len(list((tmp_path / "there.parts").glob("*.places"))) == 3
    assert len(open_pack(there)) == 3 and open_pack(there).content == open_pack(here).content


def test_a_node_that_dies_takes_no_photo_with_it(
    bucket: s3.Bucket, s3_server: s3.Server, colour_model: Path, tmp_path: Path, cluster: Cluster
) -> None:
    """Report and objects are those of the local engine, byte for byte."""
    before = upload(bucket)
    here, there = tmp_path / "here", tmp_path / "there"
    on_one_machine(command(bucket, colour_model, here))
    wanted = bucket.contents()
    assert sum(wanted[key] != data for key, data in before.items()) == TAGGED
    upload(bucket)

    line = command(bucket, colour_model, there)
    run, asked = started(s3_server, line, cluster, who="second")
    kill(cluster)
    asked += s3_server.asked()
    s3_server.fail(0)
    assert run.wait(GUARD) == 0
    repeated = keys(asked, who="second", method="PUT") & keys(s3_server.asked(), who="key")
    assert repeated, "no photo was written by a task that had to be repeated"

    assert bucket.contents() == wanted
    assert (there / "report.csv").read_bytes() == (here / "report.csv").read_bytes()
    with Ledger.open(there / "ledger.db") as book:
        changes = {change.key for change in book.changes(RUN_ID)}
    assert len(changes) == TAGGED

    undo = ["undo", RUN_ID, "--ledger", str(there / "ledger.db")]
    assert CliRunner().invoke(main, undo).exit_code == 0
    assert bucket.contents() == before


def test_what_is_missing_for_a_cluster_is_named(
    library: Path, colour_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def output(*words: str) -> str:
        fixed = ["--model", str(colour_model), "--report", str(tmp_path / "r.csv"), "--dry-run"]
        result = CliRunner().invoke(main, [str(library), *fixed, "--engine", "ray", *words])
        assert result.exit_code == 2
        return result.output

    assert "with --ray-address auto" in output("--ray-address", "ray://head:10001")
    assert "--ray-address 127.0.0.1:9: no cluster" in output("--ray-address", "127.0.0.1:9")
    assert "--ray-gpus-per-worker" in output("--device", "cuda")
    monkeypatch.delitem(sys.modules, "tagger.run.ray_engine")
    monkeypatch.delattr("tagger.run.ray_engine")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'landmark-tag[cluster]'" in output()
