"""Many landmarks with few photos: folders read together, balance, margins, similar views."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import photo
from PIL import Image
from torch.nn import functional as F

from tagger.errors import RunError
from tagger.places.landmarks import load_landmarks
from train.fit.optimise import epoch_order
from train.measure.groups import Pair, PhotoGroup, by_group, by_references, groupings, worst_pairs
from train.measure.metrics import Answers, tagged_right, tagged_wrong
from train.measure.where import beside, continent
from train.networks.margin import WIDTH, Joint, Margin
from train.photos.arrays import one_hot
from train.photos.folders import (
    NO_LANDMARK,
    STRANGER,
    Sample,
    read_folder,
    read_folders,
    read_negatives,
)
from train.photos.split import gather
from train.photos.tables import read_left_out
from train.photos.views import Draw, _recompressed, views
from train.recipe import Recipe

RECIPE = Recipe(epochs=1, lr=1e-3, sizes=((1.0, 64),), eval_size=64, crop=0.3, magnitude=0.4)


def fill(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    for number in range(count):
        red, green, blue = (int(value) for value in chance.integers(0, 255, 3))
        (folder / f"{number}.jpg").write_bytes(photo((red, green, blue)))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one", tmp_path / "other"
    fill(one / "train" / "00.Taj_Mahal", 12, 0)
    fill(one / "train" / "Eiffel_Tower", 12, 1)
    fill(other / "train" / "Taj_Mahal", 3, 2)
    fill(other / "train" / "Qutub_Minar", 3, 3)
    fill(other / "few" / "somewhere_else", 2, 4)
    fill(other / "few" / "another_place", 1, 5)
    with (other / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["split", "slug", "file", "source_repo"])
        rows.writerow(["train", "Taj_Mahal", "0.jpg", "someone/castles"])
    fill(tmp_path / "no" / "near", 12, 6)
    return one, other


def test_folders_are_one_set_of_classes(folders: tuple[Path, Path]) -> None:
    places = [folder / "train" for folder in folders]
    read, shipped = read_folders(places, least=4)
    assert shipped == ("Eiffel_Tower", "Taj_Mahal")
    assert read.labels == (*shipped, "Qutub_Minar")
    counts = [sum(sample.label == label for sample in read.samples) for label in range(3)]
    assert counts == [12, 15, 3]
    assert {s.source for s in read.samples if s.label == 1} >= {"someone/castles", "Taj_Mahal"}


def test_a_class_that_would_ship_needs_a_place(folders: tuple[Path, Path]) -> None:
    fill(folders[1] / "train" / "nobody_knows_where", 2, 7)
    with pytest.raises(RunError, match=r"nobody_knows_where: not known where that is"):
        read_folders([folder / "train" for folder in folders], least=2)


def test_a_class_in_few_alone_does_not_ship_however_many_photos_it_has(
    folders: tuple[Path, Path],
) -> None:
    fill(folders[1] / "few" / "Petronas_Towers", 9, 7)
    fill(folders[1] / "few" / "Taj_Mahal", 9, 8)
    read, shipped = read_folders([folders[0] / "train", folders[1] / "few"], least=2)
    assert shipped == ("Eiffel_Tower", "Taj_Mahal")
    assert read.labels == (*shipped, "Petronas_Towers", "another_place", "somewhere_else")
    assert sum(sample.label == 1 for sample in read.samples) == 21


def test_photos_that_lists_name_are_left_out(folders: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = tmp_path / "suspects.csv", tmp_path / "doubtful.csv"
    first.write_text("negative,looks_like\nnear/3.jpg,Taj_Mahal\n")
    second.write_text("split,slug,file\ntrain,Qutub_Minar,1.jpg\n")
    gone = read_left_out([first, second], [*folders, tmp_path / "no"])
    assert sorted(path.name for path in gone) == ["1.jpg", "3.jpg"]
    assert len(read_negatives(tmp_path / "no", left_out=gone)) == 11
    samples = read_folders([folder / "train" for folder in folders], 1, gone)[0].samples
    assert len(samples) == 29 and not {sample.path.resolve() for sample in samples} & gone
    (tmp_path / "odd.csv").write_text("name\na.jpg\n")
    with pytest.raises(RunError, match=r"odd\.csv: cannot be read; give a CSV file with a column"):
        read_left_out([tmp_path / "odd.csv"], [tmp_path])


def test_classes_of_few_photos_are_learned_or_strangers(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    material = gather(folders, [tmp_path / "no"], cache=cache, least=4)
    assert material.labels == ("Eiffel_Tower", "Taj_Mahal")
    assert material.beside == ("Qutub_Minar", "another_place", "somewhere_else")
    assert material.columns == 6
    strange = [sample for sample in material.valid if sample.kind == STRANGER]
    assert len(strange) == len(material.strangers) > 0
    assert {sample.label for sample in strange} == {NO_LANDMARK}
    learned = {sample.label for sample in material.train}
    assert learned >= {NO_LANDMARK, 0, 1} and not learned & {s.label for s in material.strangers}
    whole = material.whole()
    assert {sample.label for sample in whole.train} == {NO_LANDMARK, *range(5)}
    assert len({sample.path for sample in whole.train}) == len(whole.train) == 45


def test_an_epoch_is_balanced_between_classes_and_other_photos() -> None:
    labels = torch.cat([torch.zeros(900), torch.ones(100), torch.full((1000,), 2.0)]).long()
    order = epoch_order(F.one_hot(labels, 3).float(), 0.5, torch.Generator().manual_seed(0), 0.18)
    drawn = labels[order].bincount(minlength=3) / len(labels)
    assert drawn[2] == pytest.approx(0.18, abs=0.03)
    assert drawn[0] / drawn[1] == pytest.approx(3, rel=0.25)


def test_a_margin_asks_for_more_of_a_class_of_few_photos() -> None:
    joint = Joint(torch.tensor([4.0, 64.0]))
    assert joint.margins[0] == pytest.approx(2 * float(joint.margins[1]))
    targets = one_hot(torch.tensor([0, 1, -1]), 3)
    output = torch.cat([torch.zeros(3, 3), torch.tensor([[0.4, 0.3], [0.3, 0.4], [0.1, 0.1]])], 1)
    few, many, none = (joint(output[[n]], targets[[n]]) for n in range(3))
    assert few > many + 0.5
    assert joint(output[:, :3], targets) == pytest.approx(float(np.log(3)))  # in evaluation
    near = output[[2]].clone()
    near[0, 3] = 0.9  # a photo of no landmark that is like one
    assert joint(near, targets[[2]]) > none + 1


def test_prototypes_begin_at_their_classes() -> None:
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    features = 4 * F.one_hot(labels, 3).float() @ torch.randn(3, 40) + torch.randn(60, 40)
    margin = Margin(40, 2)
    margin.begin(features, one_hot(torch.where(labels == 2, -1, labels), 3))
    cosines = margin(features)
    assert cosines.shape == (60, 2) and margin.neck.weight.shape == (WIDTH, 40)
    assert (cosines[labels < 2].argmax(1) == labels[labels < 2]).float().mean() > 0.95


def test_views_are_drawn_from_the_seed_alone() -> None:
    pixels = torch.randint(0, 256, (24, 3, 80, 80), dtype=torch.uint8)
    one, same, other = (
        views(pixels, 64, RECIPE, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert one.shape == (24, 3, 64, 64) and one.dtype == torch.float32
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert float(one.min()) >= 0 and float(one.max()) <= 1 and bool(one.isfinite().all())
    assert float((one - one.mean((2, 3), keepdim=True)).abs().mean()) > 0.05


def test_recompressed_looks_like_jpeg(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 1, 64)
    wave = 0.5 + 0.4 * torch.sin(torch.arange(64) * 0.9)
    plain = torch.stack(
        [ramp[None] * wave[:, None], ramp[:, None] * wave[None], ramp.expand(64, 64)]
    )
    draw = Draw(torch.Generator().manual_seed(0), torch.device("cpu"))
    draw.__class__ = type("Coarse", (Draw,), {"__call__": lambda *_: torch.full((1,), 30.0)})
    ours = _recompressed(plain[None], draw)[0]
    picture = Image.fromarray((plain * 255).byte().permute(1, 2, 0).numpy())
    picture.save(tmp_path / "a.jpg", quality=30)
    theirs = torch.from_numpy(np.array(Image.open(tmp_path / "a.jpg"))).permute(2, 0, 1) / 255
    assert float((ours - theirs).abs().mean()) < 0.4 * float((plain - theirs).abs().mean())


def test_figures_by_group_and_the_worst_pairs() -> None:
    chances = np.array([[0.9, 0.1], [0.3, 0.4], [0.8, 0.1], [0.1, 0.7], [0.9, 0.0]])
    labels = np.array([0, 0, 1, 1, NO_LANDMARK])
    answers = Answers(chances, labels, np.array(["landmark"] * 4 + ["far"]))
    sources = ["a", "b", "a", "b", "c"]
    one, other = by_group(answers, sources, 200)
    assert one == PhotoGroup("a", 2, 0.5, 0.5, 0.5, (0.0, 1.0))
    assert other == PhotoGroup("b", 2, 0.5, 0.5, 0.0, (0.0, 1.0))
    names = by_references(labels, np.array([3, 25]))
    assert names == [" 1 to 7", " 1 to 7", "20 and more", "20 and more", ""]
    pairs = worst_pairs(answers, ("x", "y"))
    assert pairs == [Pair("y", "x", 1, 1, 0.8), Pair("x", "y", 1, 0, 0.4)]
    assert worst_pairs(answers, ("x", "y"), 1) == pairs[:1]


def test_a_neighbour_within_the_radius_and_300_metres_is_no_wrong_place() -> None:
    places = load_landmarks()
    labels = ("great_sphinx", "pyramids_of_giza", "Eiffel_Tower")
    known = beside([places[label] for label in labels])
    assert known.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    chances = np.array([[0.1, 0.8, 0.0], [0.1, 0.0, 0.8], [0.0, 0.9, 0.0], [0.0, 0.9, 0.0]])
    kinds = np.array(["landmark"] * 3 + ["far"])
    answers = Answers(chances, np.array([0, 0, 1, NO_LANDMARK]), kinds, known)
    assert answers.right.tolist() == [False, False, True, False]
    assert answers.placed.tolist() == [True, False, True, False]
    assert tagged_right(0.6)(answers) == pytest.approx(2 / 3)
    assert tagged_wrong(0.6)(answers) == pytest.approx(1 / 3)
    (group,) = by_group(answers, ["a"] * 4, 10)
    assert (group.top1, group.tagged_right) == pytest.approx((1 / 3, 2 / 3))
    assert worst_pairs(answers, labels) == [Pair("great_sphinx", "Eiffel_Tower", 1, 1, 0.8)]


def test_each_landmark_has_a_continent() -> None:
    places = load_landmarks()
    continents = {slug: continent(place) for slug, place in places.items()}
    chosen = [
        continents[slug] for slug in ("Eiffel_Tower", "Taj_Mahal", "Machu_Picchu", "Dead_Sea")
    ]
    assert chosen == ["Europe", "Asia", "South America", "on a border"]


def test_photos_are_grouped_by_where_they_come_from(folders: tuple[Path, Path]) -> None:
    labels = ("Eiffel_Tower", "Qutub_Minar", "Taj_Mahal")
    parts = [read_folder(folder / "train", labels, skip=True).samples for folder in folders]
    samples = (*parts[0][::23], parts[1][0], parts[1][3], Sample(Path("a"), NO_LANDMARK))
    groups = groupings(samples, labels, folders, load_landmarks(), np.array([12, 3, 15]))
    assert groups["source"][:4] == ["one", "one", "other", "someone/castles"]
    assert groups["country"] == ["India", "France", "India", "India", ""]
    assert groups["continent"] == ["Asia", "Europe", "Asia", "Asia", ""]
    assert groups["photos to learn from"] == [
        "one,  8 to 19", "one,  8 to 19", "other,  1 to 7", "other, landmarks of one", "",
    ]  # fmt: skip
