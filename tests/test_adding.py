"""References of photos that the network did not learn, in a file beside the model."""

import csv
import dataclasses
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import COLOURS, SAMPLES, save_colour_model
from PIL import Image
from test_weigh import made

from tagger.errors import RunError
from tagger.model import DEFAULT_MODEL, artifact, packs
from tagger.model.local_features.references import References
from tagger.model.local_features.weigh import Weigher

SLUGS = list(COLOURS)
LIST = Path(__file__).parents[1] / "scripts" / "more_photos.csv"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file with references, five photos of each of three landmarks."""
    monkeypatch.setattr(
        "train.ship.references.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1)
    )
    monkeypatch.chdir(tmp_path)  # the cache of decoded photos
    path = save_colour_model(tmp_path / "colour.pt")
    artifact.add_references(path, made((5, 5, 5), 3))
    return path


def photos_of(folder: Path, slug: str, *names: str) -> None:
    for name in names:
        (folder / slug).mkdir(parents=True, exist_ok=True)
        with Image.open(SAMPLES / f"{name}.jpg") as photo:
            photo.resize((300, 200)).save(folder / slug / f"{name}.jpg")


def test_photos_are_added_and_do_not_count_as_learned(model: Path, tmp_path: Path) -> None:
    from train.__main__ import main

    folder, before = tmp_path / "photos", model.read_bytes()
    photos_of(folder, SLUGS[1], "taj_mahal", "qutub_minar")
    photos_of(folder, SLUGS[2], "eiffel_tower")
    photos_of(folder, "Atomium", "cup_of_tea")  # the model does not know it
    command = ["add", str(model), "--photos", str(folder), "--name", "more"]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert "3 photos in" in done.output and "colour.more.npz" in done.output
    assert model.read_bytes() == before
    joined = artifact.load(model).references
    assert joined is not None
    assert np.diff(joined.landmarks).tolist() == [5, 7, 6]
    assert joined.counts.tolist() == [5, 5, 5]
    assert (np.diff(joined.photos) > 20).all()
    seen, _ = Weigher(joined).first_findings(np.ones(3, np.float32), np.ones(3, np.float32))
    assert seen.counts.tolist() == [5, 5, 5]
    less = artifact.load(model, without=["more"]).references
    assert less is not None and np.diff(less.landmarks).tolist() == [5, 5, 5]
    # Again: the file is made anew, of the model file alone.
    again = (tmp_path / "colour.more.npz").read_bytes()
    CliRunner().invoke(main, command, catch_exceptions=False)
    assert (tmp_path / "colour.more.npz").read_bytes() == again


def test_a_landmark_that_was_never_learned_is_not_named_by_added_photos() -> None:
    known = made((5, 0, 5))
    more = dataclasses.replace(made((0, 4, 2)), learned=np.zeros(3, np.int32))
    assert known.fits(dataclasses.replace(more, codebook=known.codebook))
    weigher = Weigher(known.joined(more))
    assert np.diff(weigher.references.landmarks).tolist() == [5, 4, 7]
    seen, cosines = weigher.first_findings(
        np.full(3, 0.3, np.float32), np.eye(8, dtype=np.float32)[1]
    )
    assert len(cosines) == 16 and seen.alike.argmax() == 1 and seen.best != 1
    assert seen.counts.tolist() == [5, 0, 5]


def test_what_was_learned_is_kept_in_the_file_and_checked() -> None:
    known = dataclasses.replace(made((5, 3)), learned=np.array([5, 0], np.int32))
    assert type(known).from_bytes(known.to_bytes()).counts.tolist() == [5, 0]
    some = np.array([True, False] * 4)
    assert known.of_photos(some).counts.tolist() == [3, 0]
    wrong = dataclasses.replace(known, learned=np.array([5], np.int32))
    with pytest.raises(ValueError, match="do not fit"):
        type(known).from_bytes(wrong.to_bytes())


def test_what_cannot_be_added_to_is_refused(model: Path, tmp_path: Path) -> None:
    from train.ship.adding import added

    photos_of(tmp_path / "photos", "Atomium", "cup_of_tea")
    with pytest.raises(RunError, match="none of its folders is a landmark"):
        added(model, tmp_path / "photos", "more")
    bare = save_colour_model(tmp_path / "bare.pt")
    with pytest.raises(RunError, match="no references"):
        added(bare, tmp_path / "photos", "more")


def test_the_package_names_each_photo_that_its_references_were_added_of() -> None:
    known = artifact.alone(DEFAULT_MODEL)
    more = References.from_bytes(packs.place(DEFAULT_MODEL, "more").read_bytes())
    with LIST.open(encoding="utf-8", newline="") as file:
        listed = Counter(row["slug"] for row in csv.DictReader(file))
    counts = zip(known.manifest.labels, np.diff(more.landmarks).tolist(), strict=True)
    assert {label: count for label, count in counts if count} == listed
    assert not more.counts.any()
    assert known.references is not None and known.references.fits(more)


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_the_photos_are_fetched_from_their_repositories(tmp_path: Path) -> None:
    there = tmp_path / "host" / "someone" / "travels"
    (there / "my pictures").mkdir(parents=True)
    (there / "my pictures" / "eiffel-1.jpg").write_bytes(b"a photo")
    run = ["git", "-C", str(there), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "photos"]):
        subprocess.run([*run, *command], check=True)
    head = subprocess.run([*run, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    commit = head.stdout.strip()
    table = tmp_path / "photos.csv"
    rows = [("someone/travels", commit, "my pictures/eiffel-1.jpg"), ("gone/away", "0" * 40, "x")]
    lines = [f"Eiffel_Tower,{','.join(row)}" for row in rows]
    table.write_text("\n".join(["slug,repository,commit,path", *lines]))
    script = LIST.with_name("fetch_more_photos.py")
    options = ["--host", f"file://{tmp_path / 'host'}", "--table", str(table)]
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "photos"), *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    photo = tmp_path / "photos" / "Eiffel_Tower" / "someone_travels__my_pictures_eiffel_1.jpg"
    assert photo.read_bytes() == b"a photo"
    assert "gone/away: left out" in done.stderr and "someone" not in done.stderr
