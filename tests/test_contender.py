"""Which learned place a photo may show, and the evidence for it."""

from pathlib import Path

import numpy as np
import pytest

from tagger.model.contender import WIDE_M, Contender
from tagger.model.learned import COMPARED, LearnedPlaces
from tagger.model.local_features.matching import Features
from tagger.model.local_features.references import References, ends
from tagger.model.local_features.sift import Floats
from tagger.model.local_features.weigh import Findings
from tagger.places.opening import open_pack
from tagger.places.own import new_landmark
from tagger.places.pack import PackPlace, PlaceReference
from tagger.places.pack_writing import write_pack

SHIPPED = [new_landmark("Tower", 10, 10, 100), new_landmark("Bridge", 20, 20, 100)]
NOTHING = Features(np.zeros((0, 3), np.float32), np.zeros((0, 128), np.float32))
E, PARTS = 8, 16


def along(**shares: float) -> Floats:
    """An embedding of length 1 by its share of each of the directions a to h."""
    made = np.array([shares.get(letter, 0.0) for letter in "abcdefgh"], np.float32)
    return made / np.linalg.norm(made)


def bytes_of(*embeddings: Floats) -> np.ndarray:
    return np.round(127 * np.stack(embeddings)).astype(np.int8)


def shipped_references() -> References:
    """A photo of the tower in direction a, and one of the bridge in direction b."""
    return References(
        np.zeros((PARTS, 256, 128 // PARTS), np.float16), np.zeros((0, PARTS), np.uint8),
        np.zeros((0, 3), np.uint8), ends([0, 0]), np.eye(E, dtype=np.int8),
        bytes_of(along(a=1), along(b=1)), ends([1, 1]), bytes_of(along(h=1)),
        np.zeros((2, 12), np.float32),
    )  # fmt: skip


def judge(folder: Path, *places: tuple[str, float, int, list[Floats]]) -> LearnedPlaces:
    """Places by name, latitude and longitude alike, radius, and embeddings of their photos."""
    learned = []
    for name, at, radius, embeddings in places:
        references = tuple(
            PlaceReference(one, np.zeros((0, PARTS), np.uint8), np.zeros((0, 3), np.uint8), {})
            for one in bytes_of(*embeddings)
        )
        learned.append(PackPlace(new_landmark(name, at, at, radius), references))
    write_pack(folder / "some.places", "e", learned, (E, PARTS), private=True)
    return LearnedPlaces([open_pack(folder / "some.places")], shipped_references(), SHIPPED)


def seen() -> Findings:
    none = np.zeros(2, np.int64)
    alike = np.zeros(2, np.float32)
    return Findings(np.full(2, -5, np.float32), alike, 0.1, none, none, alike + 1, 0 * alike)


def likest(judges: LearnedPlaces, photo: Floats) -> Contender:
    contender = judges.likest(photo, seen())
    assert contender
    return contender


def test_votes_are_the_share_of_the_likest_photos(tmp_path: Path) -> None:
    mill = [along(c=1), along(c=1, d=0.1), along(c=1, d=0.9)]
    barn = [along(c=1, d=0.5), along(e=1), along(f=1)]
    judges = judge(tmp_path, ("Mill", 50, 100, mill), ("Barn", 60, 100, barn))
    one = likest(judges, along(c=1))
    assert judges.packs[0].slug(one.number).endswith("mill")
    assert one.votes == pytest.approx(2 / 3)  # the barn's is the third
    assert one.rival == pytest.approx(along(c=1) @ along(c=1, d=0.5), abs=0.01)


def test_a_photo_like_a_shipped_landmark_is_common_but_not_at_its_spot(tmp_path: Path) -> None:
    photo = along(a=0.8, c=0.6)
    elsewhere = likest(judge(tmp_path, ("Copy", 50, 100, [photo])), photo)
    assert elsewhere.common == pytest.approx(0.8, abs=0.01)
    there = likest(judge(tmp_path, ("My tower", 10, 100, [photo])), photo)
    assert there.common == pytest.approx(0, abs=0.01)


def test_a_place_is_wide_by_its_radius(tmp_path: Path) -> None:
    for radius, wide in ((WIDE_M - 1, False), (WIDE_M, True)):
        place = "Bay", 50.0, radius, [along(c=1)]
        assert likest(judge(tmp_path, place), along(c=1)).wide is wide


def test_no_more_are_compared_than_is_worth_it(tmp_path: Path) -> None:
    asked: list[int] = []

    def supports(rows: object, _: Features) -> np.ndarray:
        assert isinstance(rows, list)
        asked.append(len(rows))
        return np.full(len(rows), 7, np.int64)

    places = [(f"House {i}", 30.0 + i, 100, [along(c=1, d=i / 9)] * 4) for i in range(5)]
    one = judge(tmp_path, *places).compared(along(c=1), seen(), NOTHING, [supports])
    assert asked == [COMPARED]
    assert one.spots == (7, 7, 7, 7) and one.rival_spots == 7
