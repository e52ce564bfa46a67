"""Packs of places: the format, what is refused, editing, and search."""

import json
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import COLOURS, photo
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.errors import RunError
from tagger.imaging.decode import Resize, Views
from tagger.places import arrays, own
from tagger.places.embeddings import signs, unit
from tagger.places.known import KnownPlaces, Names, with_packs
from tagger.places.opening import open_pack
from tagger.places.own import editing, known_places, new_landmark, opened, slug_of
from tagger.places.pack import Pack, PackPlace, PlaceReference
from tagger.places.pack_writing import write_pack
from tagger.places.search import PackSearch
from tagger.run.learn import relearned

SIZES = (64, 16)


def reference(seed: int, points: int = 5, **facts: str) -> PlaceReference:
    some = np.random.default_rng(seed)
    return PlaceReference(
        some.integers(-127, 128, SIZES[0]).astype(np.int8),
        some.integers(0, 256, (points, SIZES[1])).astype(np.uint8),
        some.integers(0, 256, (points, 3)).astype(np.uint8),
        {"sha256": f"{seed:064x}", **facts},
    )


def place(name: str, *seeds: int, named: bool = True) -> PackPlace:
    mark = new_landmark(name, 48.1, 11.5, 60)
    return PackPlace(mark, tuple(reference(seed) for seed in seeds), "CC0-1.0", named)


def write(path: Path, *places: PackPlace, encoder: str = "e", private: bool = True) -> Path:
    write_pack(path, encoder, places, SIZES, private)
    return path


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write(tmp_path / "home.places", place("Oma's house", 1, 2), place("Barn", 3))


def test_what_was_written_is_read(pack: Path) -> None:
    loaded = open_pack(pack)
    assert (loaded.name, loaded.encoder, loaded.private, len(loaded)) == ("home", "e", True, 2)
    assert [one.landmark.name for one in loaded.places()] == ["Barn", "Oma's house"]
    again = loaded.place(1)
    assert again.licence == "CC0-1.0"
    assert [one.facts for one in again.references] == [
        {"sha256": f"{1:064x}"}, {"sha256": f"{2:064x}"},
    ]  # fmt: skip
    np.testing.assert_array_equal(again.references[1].codes, reference(2).codes)
    np.testing.assert_array_equal(again.references[1].embedding, reference(2).embedding)
    loaded.check()


def test_the_library_of_the_format_reads_it(pack: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    held = library.load_file(pack)
    np.testing.assert_array_equal(held["owners"], [0, 1, 1])


def test_arrays_are_mapped_and_cannot_be_written(pack: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        open_pack(pack).embeddings[0, 0] = 1


def test_an_empty_pack_can_be_had(tmp_path: Path) -> None:
    assert len(open_pack(write(tmp_path / "none.places"))) == 0


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_pack_with_any_byte_changed_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    whole = bytearray(write(folder / "a.places", place("Barn", 1, 2)).read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    changed = folder / "b.places"
    changed.write_bytes(whole)
    try:
        loaded = open_pack(changed)
    except RunError as error:
        assert str(changed) in str(error)
    else:  # a fact of the header, or the space behind it
        assert [one.landmark.name for one in loaded.places()] == ["Barn"]
        assert at < 8 + int.from_bytes(whole[:8], "little")


@settings(deadline=None, max_examples=100)
@given(share=st.floats(0, 0.999))
def test_a_pack_that_is_cut_off_is_refused(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = write(folder / "a.places", place("Barn", 1, 2)).read_bytes()
    (folder / "b.places").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(RunError, match=r"b\.places: not a pack that can be used"):
        open_pack(folder / "b.places")


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "a.places"
    path.write_bytes(data)
    with pytest.raises(RunError, match="not a pack"):
        open_pack(path)


def hostile(path: Path, **changes: Any) -> Path:
    """A pack of these arrays with a valid checksum."""
    held = {**arrays.read(write(path, place("Barn", 1, 2))).arrays, **changes}
    facts = {"format": "landmark-tag-places/1", "encoder": "e", "private": "no"}
    arrays.write(path, facts, held)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"owners": np.array([0, 7], np.int32)},
        {"owners": np.array([-1, 0], np.int32)},
        {"owners": np.array([0], np.int32)},
        {"points": np.array([0, 5, 11], np.int64)},
        {"points": np.array([0, -5, 10], np.int64)},
        {"points": np.array([0, 9, 5], np.int64)},
        {"spots": np.zeros((10, 2), np.uint8)},
        {"spots": np.zeros((9, 3), np.uint8)},
        {"bits": np.zeros((2, 4), np.uint8)},
        {"embeddings": np.zeros((2, 64), np.uint8)},
        {"photos_begin": np.array([0, 1, 10**9], np.int64)},
        {"places_begin": np.zeros(0, np.int64)},
    ],
)
def test_numbers_that_lead_out_of_an_array_are_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(RunError, match="not a pack that can be used"):
        open_pack(hostile(tmp_path / "bad.places", **changes))


@pytest.mark.parametrize(
    "row",
    [
        {"slug": "barn", "name": "Barn", "latitude": 91, "longitude": 0, "radius_m": 5},
        {"slug": "barn", "name": "Barn", "latitude": float("nan"), "longitude": 0, "radius_m": 5},
        {"slug": "barn", "name": "Barn", "latitude": 1, "longitude": 0, "radius_m": 10**9},
        {"slug": "barn", "name": "B\x1b[31m", "latitude": 1, "longitude": 0, "radius_m": 5},
        {"slug": "barn", "name": "", "latitude": 1, "longitude": 0, "radius_m": 5},
        {"slug": 5, "name": "Barn", "latitude": 1, "longitude": 0, "radius_m": 5},
        ["barn"],
        {"slug": "barn", "name": "B" * 5000, "latitude": 1, "longitude": 0, "radius_m": 5},
    ],
)
def test_a_place_that_is_none_is_refused(tmp_path: Path, row: Any) -> None:
    data = json.dumps(row).encode()
    held = {
        "places": np.frombuffer(data, np.uint8),
        "places_begin": np.array([0, len(data)], np.int64),
    }
    with pytest.raises(RunError, match="not a pack that can be used"):
        open_pack(hostile(tmp_path / "bad.places", **held))


def test_a_header_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    header = b"[" * 500_000
    path = tmp_path / "deep.places"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(RunError, match="not a pack"):
        open_pack(path)


def test_another_safetensors_file_is_refused(tmp_path: Path) -> None:
    arrays.write(tmp_path / "w.places", {}, {"weights": np.zeros((2, 2), np.float32)})
    with pytest.raises(RunError, match="it is not a pack of landmark-tag"):
        open_pack(tmp_path / "w.places")


def test_a_later_format_is_named(tmp_path: Path) -> None:
    held = arrays.read(write(tmp_path / "a.places", place("Barn", 1))).arrays
    arrays.write(tmp_path / "b.places", {"format": "landmark-tag-places/9", "encoder": "e"}, held)
    with pytest.raises(RunError, match=r"landmark-tag-places/9.*this version reads"):
        open_pack(tmp_path / "b.places")


def test_editing_adds_photos_once(pack: Path) -> None:
    with editing(pack, "e", SIZES, private=False) as edited:
        assert edited.add(place("Barn", 3, 4)) == 1
        assert edited.private  # as it was
    assert [len(one.references) for one in open_pack(pack).places()] == [2, 2]


def test_photos_without_a_checksum_are_added_once_too(pack: Path) -> None:
    """As packs have them that python -m train made: else photos of some would be left out."""
    chapel = place("Chapel", 5, 6, 6)
    bare = tuple(replace(one, facts={}) for one in chapel.references)
    with editing(pack, "e", SIZES, private=False) as edited:
        assert edited.add(replace(chapel, references=bare[:1])) == 1
        assert edited.add(replace(chapel, references=bare)) == 1
        assert edited.add(replace(chapel, references=bare)) == 0


def test_a_pack_of_another_encoder_is_not_added_to(pack: Path) -> None:
    before = pack.read_bytes()
    with (
        pytest.raises(RunError, match="learned with another model"),
        editing(pack, "f", SIZES, private=True),
    ):
        raise AssertionError("must not be entered")
    assert pack.read_bytes() == before


def test_an_edit_that_fails_leaves_the_pack_as_it_was(pack: Path) -> None:
    before = pack.read_bytes()
    with pytest.raises(ZeroDivisionError), editing(pack, "e", SIZES, private=True) as edited:
        edited.places.clear()
        raise ZeroDivisionError
    assert pack.read_bytes() == before
    assert sorted(one.name for one in pack.parent.iterdir()) == ["home.places", "home.places.lock"]


def _add(path: Path, number: int) -> None:
    with editing(path, "e", SIZES, private=True) as edited:
        edited.add(place(f"Place {number}", 100 + number))


def processes() -> Any:
    """Processes forked from one that has imported this module once, which takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    path, context = tmp_path / "mine.places", processes()
    workers = [context.Process(target=_add, args=(path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(open_pack(path)) == 4


class Slow:
    """A learner with another encoder, which takes half a second for a photo."""

    image_size, resize, encoder = 32, Resize.CROP, "later"

    def made_by(self) -> tuple[str, int, int]:
        return self.encoder, *SIZES

    def references(self, photos: Sequence[Views]) -> list[PlaceReference]:
        time.sleep(0.5)
        return [replace(reference(7), facts={}) for _ in photos]


def _relearn(path: Path, begun: Any) -> None:
    slow: Any = Slow()
    for place, problems in relearned(path, slow):
        assert place.references and not problems
        begun.set()


def test_a_pack_is_learned_again_by_one_process_at_a_time(tmp_path: Path) -> None:
    """A place added meanwhile by another process waits, then is refused: its encoder differs."""
    path, context = tmp_path / "mine.places", processes()
    photos = [tmp_path / f"{number}.jpg" for number in range(2)]
    for one in photos:
        one.write_bytes(photo(COLOURS["Taj_Mahal"]))
    known = [reference(number, path=str(one)) for number, one in enumerate(photos)]
    mark = new_landmark("Mill", 48.1, 11.5, 60)
    write(path, PackPlace(mark, tuple(known)), replace(place("Barn"), references=tuple(known)))
    begun = context.Event()
    worker = context.Process(target=_relearn, args=(path, begun))
    worker.start()
    assert begun.wait(600)  # one of two places is learned
    with (
        pytest.raises(RunError, match="learned with another model"),
        editing(path, "e", SIZES, private=True) as edited,
    ):
        edited.add(place("Chapel", 9))
    with editing(path, "later", SIZES, private=True) as edited:
        edited.add(place("Chapel", 9))
    worker.join()
    loaded = open_pack(path)
    assert loaded.encoder == "later"
    assert [one.landmark.name for one in loaded.places()] == ["Barn", "Chapel", "Mill"]
    assert not path.with_name("mine.places.before").exists()


def test_known_places_are_those_of_packs_too(pack: Path) -> None:
    loaded = open_pack(pack)
    known = KnownPlaces([loaded])
    assert known["home/oma_s_house"].name == "Oma's house"
    assert known["Eiffel_Tower"].country_code == "FR"
    assert Names(known).get("home/barn") == "Barn"
    assert [known.get(slug) for slug in ("home/none", "none/barn", "barn")] == [None] * 3
    assert {"home/barn", "Eiffel_Tower"} <= set(known)


def test_apply_and_review_know_the_places_of_packs(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "own_path", lambda: write(tmp_path / "mine.places", place("Mill", 9)))
    known = known_places((pack,))
    assert {"home/barn", "mine/mill", "Eiffel_Tower"} <= set(known)
    own.own_path().write_bytes(b"damaged")
    assert "Eiffel_Tower" in known_places()
    bad = tmp_path / "bad.places"
    bad.write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"bad\.places: not a pack"):
        known_places((bad,))
    with pytest.raises(RunError, match=r"--model .*none\.pt: cannot be read"):
        known_places((), tmp_path / "none.pt")


def test_what_is_not_a_place_is_never_named(tmp_path: Path) -> None:
    no = place("Barn", 5, named=False)
    no = replace(no, landmark=replace(no.landmark, slug="not:barn"))
    loaded = open_pack(write(tmp_path / "home.places", place("Barn", 1), no))
    assert "home/not:barn" not in KnownPlaces([loaded])
    assert [loaded.named(number) for number in range(2)] == [True, False]


def test_guesses_with_other_packs_are_told_apart(pack: Path, tmp_path: Path) -> None:
    one, other = open_pack(pack), open_pack(write(tmp_path / "other.places", place("Mill", 9)))
    assert with_packs("m", []) == "m"
    names = {with_packs("m", packs) for packs in ([one], [other], [one, other])}
    assert len(names) == 3
    assert with_packs("m", [one, other]) == with_packs("m", [other, one])


def test_packs_of_one_name_are_refused(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "own_path", lambda: tmp_path / "none.places")
    (tmp_path / "b").mkdir()
    other = write(tmp_path / "b" / "home.places", place("Mill", 9))
    with pytest.raises(RunError, match="two packs are called home"):
        opened((pack, other), own=True)


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Oma's house", "oma_s_house"), ("  Große  Kirche ", "grosse_kirche"), ("北京", "北京"),
     ("../etc", "etc"), ("!!", "")],
)  # fmt: skip
def test_slugs(name: str, slug: str) -> None:
    assert slug_of(name) == slug


def many(count: int) -> Pack:
    some = np.random.default_rng(0)
    pack = object.__new__(Pack)
    pack.embeddings = some.normal(0, 40, (count, 256)).clip(-127, 127).astype(np.int8)
    pack.bits, pack.owners = signs(pack.embeddings), np.zeros(count, np.int32)
    return pack


def test_the_search_by_signs_finds_what_exact_search_finds() -> None:
    pack = many(5000)
    places = unit(pack.embeddings[:50] + np.random.default_rng(1).normal(0, 30, (50, 256)))
    exact, signed = PackSearch(pack), PackSearch(pack, exact=0, compared=1000)
    shared = [
        len(set(exact.nearest(one, 24)[0]) & set(signed.nearest(one, 24)[0])) for one in places
    ]
    assert np.mean(shared) / 24 > 0.9
    assert all(exact.nearest(one, 1)[0][0] == n for n, one in enumerate(places))
    assert all(signed.nearest(one, 1)[0][0] == n for n, one in enumerate(places))


def test_rows_of_fewest_differing_bits_are_those_of_numpy() -> None:
    from tagger.places import _bits

    some = np.random.default_rng(2)
    rows, query = some.integers(0, 256, (1000, 16), np.uint8), some.integers(0, 256, 16, np.uint8)
    differing = np.bitwise_count(rows ^ query).sum(1)
    for count in (1, 10, 999, 1000, 2000):
        nearest = np.full(count, -1, np.int32)
        held = _bits.nearest(rows, query, nearest)
        assert held == min(count, 1000)
        chosen = nearest[:held]
        assert len(set(chosen.tolist())) == held
        assert sorted(differing[chosen]) == sorted(differing)[:held]
    with pytest.raises(ValueError, match="whole words"):
        _bits.nearest(rows, query[:7], np.zeros(1, np.int32))
