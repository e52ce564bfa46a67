"""Local features: points that moved alike are matched; references in a file are checked."""

import dataclasses
import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from conftest import COLOURS, SAMPLES, photo, save_colour_model
from PIL import Image

from tagger.errors import RunError
from tagger.imaging.decode import Resize, Views, to_views
from tagger.model import artifact
from tagger.model.classifier import Classifier
from tagger.model.local_features import references as module_of_references
from tagger.model.local_features.matching import (
    FEWEST,
    RATIO,
    Features,
    describe,
    matches,
    moved_alike,
    spots,
)
from tagger.model.local_features.references import RULE, References, packed, unpacked
from tagger.model.local_features.sift import LENGTH, POINTS, sift

if TYPE_CHECKING:  # each process of the fast tests would import what these need for seconds
    from train.ship.references import Shared

# Of both steps: what the network says, and, in the second, the spots above four.
RULES = np.zeros((2, RULE), np.float32)
RULES[:, 1] = 1.0
RULES[1, [0, 8]] = -1.5, 3.0


def grey(name: str, change: str = "") -> np.ndarray:
    """A sample photo as local features are computed from it, cropped or darkened before."""
    with Image.open(SAMPLES / f"{name}.jpg") as opened:
        picture: Image.Image = opened
        wide, high = picture.size
        if change == "cut":
            picture = picture.crop((wide // 10, high // 10, wide * 9 // 10, high * 9 // 10))
        elif change == "dark":
            picture = picture.point(lambda value: value * 0.6)
        elif change == "small":
            picture = picture.resize((wide * 2 // 3, high * 2 // 3))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=80)
    return to_views(buffer.getvalue(), 256, Resize.SQUASH).grey


def shared(name: str) -> "Shared":
    from train.ship.references import Shared

    points = describe(grey(name))
    return Shared(points, np.ones(len(points.places), np.int64)).strongest(180)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width), np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        *map(grey, ("taj_mahal", "cup_of_tea", "louvre")),
        *(noise(*size) for size in ((12, 700), (61, 90), (8, 8), (1, 300), (33, 35))),
        np.full((240, 320), 7, np.uint8),
    ],
    ids=lambda picture: "x".join(map(str, picture.shape)),
)
def test_points_lie_in_the_picture_and_their_descriptors_have_length_1(picture: np.ndarray) -> None:
    places, described = sift(picture)
    assert places.shape == (len(described), 3) and described.shape[1] == LENGTH
    assert places.dtype == described.dtype == np.float32 and len(places) <= POINTS
    high, wide = picture.shape
    assert (places[:, :2] >= 0).all() and (places[:, :2] < (wide, high)).all()
    np.testing.assert_allclose(np.linalg.norm(described, axis=1), 1, atol=1e-3)
    assert len(np.unique(places, axis=0)) == len(places)  # one of several directions


def test_a_point_of_a_photo_on_its_side_is_described_otherwise() -> None:
    """Photos are upright, so features need not match when turned."""
    picture = grey("taj_mahal")
    places, described = sift(picture)
    turned_places, turned = sift(np.ascontiguousarray(np.rot90(picture)))
    back = np.stack([picture.shape[1] - 1 - turned_places[:, 1], turned_places[:, 0]], 1)
    apart = np.abs(places[:, None, :2] - back[None]).max(2)
    same = apart.argmin(1)[apart.min(1) < 0.5]
    alike = (described[apart.min(1) < 0.5] * turned[same]).sum(1)
    assert len(same) > 100 and np.median(alike) < 0.9


@pytest.mark.parametrize("name", ["taj_mahal", "cup_of_tea"])
def test_points_are_described_as_opencv_describes_them_upright(name: str) -> None:
    """OpenCV's directions go the other way round."""
    picture = grey(name)
    places, ours = sift(picture)
    theirs = cv2.SIFT.create()
    points = []
    for point in cv2.SIFT.create(contrastThreshold=0.02).detect(picture, None):
        point.angle = 0.0
        points.append(point)
    kept, raw = theirs.compute(picture, points)
    known = {(*point.pt, point.size): row for point, row in zip(kept, raw, strict=True)}
    assert len(places) > 100
    turned = ours.reshape(-1, 16, 8)[:, :, -np.arange(8) % 8].reshape(-1, 128)
    rows = np.stack([known[x, y, size] for x, y, size in places.tolist()])
    alike = (turned * np.sqrt(rows / rows.sum(1, keepdims=True))).sum(1)
    assert np.median(alike) > 0.99 and alike.min() > 0.75


@pytest.fixture(scope="module")
def references() -> References:
    """References of three landmarks, one photo each; the third shows too little to be matched."""
    from train.ship.references import Shared, gathered

    flat = Shared(
        Features(np.zeros((0, 3), np.float32), np.zeros((0, 128), np.float32)),
        np.zeros(0, np.int64),
    )
    photos = [[shared("taj_mahal")], [shared("eiffel_tower")], [flat]]
    known = gathered(photos, np.eye(3, dtype=np.float32), np.zeros((0, 3), np.float32))
    return dataclasses.replace(known, rule=RULES)


@pytest.mark.parametrize("change", ["", "cut", "dark", "small"])
def test_a_photo_is_found_again_however_it_was_taken(references: References, change: str) -> None:
    features = describe(grey("taj_mahal", change))
    assert references.supports([0], features)[0] >= 8
    assert references.supports([1], features)[0] < 5  # another landmark
    assert references.supports([2], features)[0] == 0


@pytest.mark.parametrize("name", ["cup_of_tea", "statue_of_liberty", "sydney_opera_house"])
def test_another_photo_is_not(references: References, name: str) -> None:
    features = describe(grey(name))
    assert max(references.supports([landmark], features)[0] for landmark in range(3)) < 5


def test_a_picture_without_points_is_supported_by_nothing(references: References) -> None:
    for picture in (np.full((200, 300), 128, np.uint8), np.zeros((1, 1), np.uint8)):
        features = describe(picture)
        assert features.places.shape == (0, 3) and features.descriptors.shape == (0, 128)
        assert references.supports([0], features)[0] == 0


def test_matches_moved_alike_are_told_from_the_rest() -> None:
    chance = np.random.default_rng(0)
    before = np.hstack([chance.uniform(0, 300, (30, 2)), chance.uniform(2, 20, (30, 1))])
    move = np.array([[0.7, 0.05], [-0.04, 0.65]])
    after = np.hstack([before[:, :2] @ move + (20, 40), before[:, 2:] * 0.7])
    after[20:] = np.hstack([chance.uniform(0, 300, (10, 2)), chance.uniform(2, 20, (10, 1))])
    kept = moved_alike(before.astype(np.float32), after.astype(np.float32))
    assert kept[:20].all() and kept[20:].sum() <= 1
    assert not moved_alike(before[::-1].astype(np.float32), after.astype(np.float32)).sum() > 5


@pytest.mark.parametrize("count", [10, 60])
def test_an_affine_map_among_noise_is_found(count: int) -> None:
    for seed in range(10):
        chance = np.random.default_rng(seed)
        before = np.hstack([chance.uniform(0, 320, (count, 2)), chance.uniform(2, 20, (count, 1))])
        scale, slant = chance.uniform(0.6, 1.5), chance.normal(0, 0.03, (2, 2))
        after = before * scale
        after[:, :2] += before[:, :2] @ slant + chance.normal(20, 0.5, (count, 2))
        noisy = np.hstack([chance.uniform(0, 320, (count, 2)), chance.uniform(2, 20, (count, 1))])
        kept = moved_alike(
            np.vstack([before, before]).astype(np.float32),
            np.vstack([after, noisy]).astype(np.float32),
        )
        assert kept[:count].mean() > 0.6 and kept[count:].mean() < 0.4


def test_matches_are_nearest_both_ways_and_clearly() -> None:
    known, changed = describe(grey("taj_mahal")), describe(grey("taj_mahal", "cut"))
    starts = np.array([0, 0, 2, 150, len(known.places)], np.int32)  # photos with few points, too
    pairs = [set(map(tuple, rows.tolist())) for rows in matches(known, starts, changed)]
    alike = known.descriptors @ changed.descriptors.T
    for number, (start, end) in enumerate(itertools.pairwise(starts.tolist())):
        clear = set()
        for row in range(start, end):
            second, first = np.sort(alike[row])[-2:]
            if 1 - first < RATIO * (1 - second):
                clear.add((row, int(alike[row].argmax())))
        if len(clear) >= FEWEST:
            clear = {(r, c) for r, c in clear if start + int(alike[start:end, c].argmax()) == r}
        assert pairs[number] == clear
    assert len(pairs) == 4 and max(map(len, pairs)) > 20


def test_matches_of_one_spot_count_once() -> None:
    assert spots(np.array([(10, 10, 3), (11, 9, 6), (50, 10, 3)], np.float32)) == 2
    assert spots(np.zeros((0, 3), np.float32)) == 0


def test_places_fit_in_bytes() -> None:
    places = np.array([(0, 0, 1), (509, 300, 2.5), (123, 77, 90)], np.float32)
    again = unpacked(packed(places))
    assert np.abs(again - places)[:, :2].max() <= 1
    assert np.abs(np.log2(again[:, 2] / places[:, 2])).max() <= 1 / 16


def test_a_model_file_keeps_its_references(tmp_path: Path, references: References) -> None:
    from train.ship import rewriting

    path = save_colour_model(tmp_path / "colour.pt")
    bare = artifact.load(path)
    rewriting.add_references(path, references)
    loaded = artifact.load(path)
    assert bare.references is None and loaded.references is not None
    assert loaded.manifest == bare.manifest
    assert loaded.references.counts.tolist() == references.counts.tolist()
    references = dataclasses.replace(references, learned=loaded.references.counts)
    for field in dataclasses.fields(References):
        one, other = (getattr(known, field.name) for known in (loaded.references, references))
        np.testing.assert_array_equal(one, other)
        assert np.asarray(one).dtype == np.asarray(other).dtype
    rewriting.add_references(path, references)  # again: the ones before are replaced
    assert artifact.load(path).sha256 == loaded.sha256


def test_points_that_are_described_in_another_way_are_refused(
    tmp_path: Path, references: References, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.ship import rewriting

    path = save_colour_model(tmp_path / "colour.pt")
    rewriting.add_references(path, references)
    monkeypatch.setattr(module_of_references, "VERSION", 99)
    with pytest.raises(RunError, match=r"not valid .*another way.*train"):
        artifact.load(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"codes": np.zeros((5, 16), np.uint8)}, "do not fit together"),
        ({"places": np.zeros((1, 3), np.float32)}, "do not fit together"),
        ({"rule": np.full((2, 12), np.nan, np.float32)}, "do not fit together"),
        ({"others": np.zeros((3, 2), np.int8)}, "do not fit together"),
        ({"photos": np.array([0, 9**9], np.int32)}, "do not fit together"),
        ({"landmarks": np.array([0, 2, 1, 3], np.int32)}, "do not fit together"),
        ({"embeddings": np.zeros((3, 2), np.int8)}, "do not fit together"),
    ],
)
def test_references_that_do_not_fit_are_refused(
    tmp_path: Path, references: References, change: dict[str, np.ndarray], reason: str
) -> None:
    from train.ship import rewriting

    path = save_colour_model(tmp_path / "colour.pt")
    before = path.read_bytes()
    with pytest.raises(RunError, match=f"--model .*references are not valid .*{reason}"):
        rewriting.add_references(path, dataclasses.replace(references, **change))
    assert path.read_bytes() == before


def test_references_of_other_landmarks_are_refused(tmp_path: Path, references: References) -> None:
    from train.ship import rewriting

    path = save_colour_model(tmp_path / "colour.pt")
    fewer = dataclasses.replace(
        references, landmarks=references.landmarks[:-1],
        photos=references.photos[:-1], embeddings=references.embeddings[:-1],
    )  # fmt: skip
    with pytest.raises(RunError, match="references of 2 landmarks, not of its labels"):
        rewriting.add_references(path, fewer)
    other = dataclasses.replace(references, components=np.zeros((9, 3), np.int8))
    with pytest.raises(RunError, match="references are for embeddings of 9 numbers"):
        rewriting.add_references(path, other)


def test_the_classifier_weighs_what_it_sees(tmp_path: Path, references: References) -> None:
    from train.ship import rewriting

    path = save_colour_model(tmp_path / "colour.pt")
    square = np.full((3, 32, 32), 128, np.uint8)
    square[0] += 14  # a little red: the Taj Mahal, not surely
    views = [Views(square, grey(name)) for name in ("taj_mahal", "cup_of_tea")]
    alone = [guess.best for guess in Classifier(path, "cpu").classify(views)]
    assert alone[0] == alone[1] and 0.1 < alone[0].confidence < 0.9
    rewriting.add_references(path, references)
    seen, other = Classifier(path, "cpu").classify(views)
    assert seen.best.slug == "Taj_Mahal" and seen.best.confidence > 0.95
    assert other.candidates[0].confidence < alone[0].confidence
    assert sum(c.confidence for c in seen.candidates) + seen.none == pytest.approx(1)


def test_photos_are_no_larger_than_points_can_be_kept() -> None:
    for size in ((4000, 100), (64, 48), (1000, 1000)):
        views = to_views(photo(COLOURS["Taj_Mahal"], size), 256, Resize.SQUASH)
        assert views.grey.ndim == 2 and max(views.grey.shape) <= 510
        assert min(views.grey.shape) <= 240 and views.square.shape == (3, 256, 256)


def tinted(name: str, number: int, channel: int | None) -> bytes:
    """A sample photo, cropped slightly differently each time, in grey or in a single colour."""
    with Image.open(SAMPLES / f"{name}.jpg") as opened:
        picture: Image.Image = opened
        wide, high = picture.size
        box = (4 * number, 3 * number, wide - 5 * number, high - 2 * number)
        value = picture.crop(box).convert("L")
    dim = value.point(lambda v: v // 2)
    bands = [value if channel in (band, None) else dim for band in range(3)]
    buffer = io.BytesIO()
    Image.merge("RGB", bands).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_references_are_made_of_photos_to_learn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.photos.folders import NO_LANDMARK, Sample
    from train.photos.split import Material
    from train.ship.references import add_references

    names = ("taj_mahal", "eiffel_tower", "qutub_minar")
    samples: list[Sample] = []
    for label, name in enumerate((*names, "cup_of_tea", "windmills")):
        channel = label if label < 3 else None
        for number in range(4):
            path = tmp_path / f"{name}{number}.jpg"
            path.write_bytes(tinted(name, number, channel))
            samples.append(Sample(path, label if label < 3 else NO_LANDMARK, "far/"))
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    broken = Sample(tmp_path / "broken.jpg", 0)
    material = Material(tuple(COLOURS), (*samples[::2], broken), tuple(samples[1::2]))
    model = save_colour_model(tmp_path / "colour.pt")
    monkeypatch.setattr("train.ship.references.CORES", 1)  # each process imports for seconds
    size = add_references(model, material, cache=tmp_path / "cache")
    known = artifact.load(model).references
    assert known is not None and size == model.stat().st_size
    assert list(np.diff(known.landmarks)) == [2, 2, 2]  # two photos each; the broken one is none
    assert len(known.others) == 4  # the photos of none that were learned
    assert known.rule.shape == (2, RULE) and known.rule.any(1).all()
    for landmark, name in enumerate(names):
        features = describe(grey(name))
        counts = known.supports(list(range(6)), features).reshape(3, 2).max(1)
        assert counts[landmark] >= 8 and sorted(counts)[1] < 5


def test_photos_that_show_no_points_leave_the_model_file_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.photos.folders import Sample
    from train.photos.split import Material
    from train.ship.references import add_references

    monkeypatch.setattr(
        "train.ship.references.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1)
    )
    for label, colour in enumerate(COLOURS.values()):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{label}.jpg")
    samples = tuple(Sample(tmp_path / f"{label}.jpg", label) for label in range(3))
    model = save_colour_model(tmp_path / "colour.pt")
    before = model.read_bytes()
    material = Material(tuple(COLOURS), samples, samples)
    assert add_references(model, material, cache=tmp_path / "cache") == len(before)
    assert model.read_bytes() == before
    assert "without local features: the photos show too few" in caplog.text


def test_references_for_a_model_of_other_landmarks_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.__main__ import main
    from train.photos.split import Material

    model = save_colour_model(tmp_path / "colour.pt")
    monkeypatch.setattr(
        "train.photos.split.gather", lambda *_, **__: Material(("Taj_Mahal", "Ajanta"), (), ())
    )
    with pytest.raises(RunError, match=r"colour.pt: knows other landmarks than .*data it learned"):
        options = [f"--data={tmp_path}", f"--negatives={tmp_path}"]
        main(["references", str(model), *options], standalone_mode=False)
