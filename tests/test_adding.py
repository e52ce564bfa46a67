"""References of more photos, in a file beside the model."""

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
from test_weigh import beside, made, only, pack_of

from tagger.errors import RunError
from tagger.model import DEFAULT_MODEL, artifact, landmark_photos, packs
from tagger.model.local_features.weigh import Weigher
from tagger.places.opening import open_pack

SLUGS = list(COLOURS)
LIST = Path(__file__).parents[1] / "scripts" / "more_photos.csv"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file with references, five photos of each of three landmarks."""
    monkeypatch.setattr(
        "train.ship.references.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1)
    )
    monkeypatch.chdir(tmp_path)  # the cache of decoded photos
    from train.ship.rewriting import add_references

    path = save_colour_model(tmp_path / "colour.pt")
    add_references(path, made((5, 5, 5), 3))
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
    assert "3 photos in" in done.output and "colour.more.places" in done.output
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
    file = tmp_path / "colour.more.places"
    assert file.stat().st_mode == model.stat().st_mode
    again = file.read_bytes()
    CliRunner().invoke(main, command, catch_exceptions=False)
    assert file.read_bytes() == again


def test_photos_that_the_network_learned_too_count(model: Path, tmp_path: Path) -> None:
    from train.__main__ import main

    photos_of(tmp_path / "photos", SLUGS[1], "taj_mahal", "qutub_minar")
    command = ["add", str(model), "--photos", str(tmp_path / "photos"), "--name", "more"]
    CliRunner().invoke(main, [*command, "--learned"], catch_exceptions=False)
    joined = artifact.load(model).references
    assert joined is not None and joined.counts.tolist() == [5, 7, 5]


def test_the_more_photos_a_landmark_has_the_fewer_points_are_kept_of_each() -> None:
    from train.ship.references import KEPT, shared

    photo = [SAMPLES / "taj_mahal.jpg"]
    few, many = (len(shared(photo, more, 256)[0].counts) for more in (0, 10**6))
    assert few > many == KEPT[-1][1]


def test_a_landmark_that_was_never_learned_is_not_named_by_added_photos(tmp_path: Path) -> None:
    known = made((5, 0, 5))
    more = open_pack(pack_of(tmp_path / "a.more.places", made((0, 4, 2)), tuple(SLUGS), "no"))
    weigher = Weigher(landmark_photos.joined(known, [more], SLUGS))
    assert np.diff(weigher.references.landmarks).tolist() == [5, 4, 7]
    seen, cosines = weigher.first_findings(
        np.full(3, 0.3, np.float32), np.eye(8, dtype=np.float32)[1]
    )
    assert len(cosines) == 16 and seen.alike.argmax() == 1 and seen.best != 1
    assert seen.counts.tolist() == [5, 0, 5]


def test_what_was_learned_is_kept_in_the_pack_and_checked(model: Path) -> None:
    known = made((5, 5, 5), 3)
    some = known.owners == 1
    assert open_pack(beside(model, "a", only(known, some))).learned == "yes"
    assert open_pack(beside(model, "b", only(known, some), "no")).learned == "no"
    whole = artifact.load(model).references
    assert whole and whole.counts.tolist() == [5, 10, 5]
    assert np.diff(whole.landmarks).tolist() == [5, 15, 5]
    wrong = dataclasses.replace(known, learned=np.array([5], np.int32))
    with pytest.raises(ValueError, match="do not fit"):
        wrong.check()


def test_what_cannot_be_added_to_is_refused(model: Path, tmp_path: Path) -> None:
    from train.ship.adding import added

    photos_of(tmp_path / "photos", "Atomium", "cup_of_tea")
    with pytest.raises(RunError, match="none of its folders is a landmark"):
        added(model, tmp_path / "photos", "more")
    bare = save_colour_model(tmp_path / "bare.pt")
    with pytest.raises(RunError, match="no references"):
        added(bare, tmp_path / "photos", "more")


def test_the_package_names_each_photo_that_its_references_were_added_of() -> None:
    more, known = open_pack(packs.place(DEFAULT_MODEL, "more")), artifact.alone(DEFAULT_MODEL)
    with LIST.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    listed = Counter(row["slug"] for row in rows if row["reference"] == "yes")
    assert dict(zip(landmark_photos.slugs(more), more.counts.tolist(), strict=True)) == listed
    assert more.learned == "yes" and more.encoder == known.encoder


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
    lines = [f"Eiffel_Tower,{','.join(row)}," for row in rows]
    lines.append(f"Eiffel_Tower,someone/else,{'0' * 40},x,no")  # it is no reference
    table.write_text("\n".join(["slug,repository,commit,path,reference", *lines]))
    script = LIST.with_name("fetch_more_photos.py")
    options = ["--host", f"file://{tmp_path / 'host'}", "--table", str(table)]
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "photos"), *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    photo = tmp_path / "photos" / "Eiffel_Tower" / "someone_travels__my_pictures_eiffel_1.jpg"
    assert photo.read_bytes() == b"a photo"
    assert "gone/away: left out" in done.stderr and "someone" not in done.stderr
