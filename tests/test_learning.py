"""Learning places: from photos to a tag, and how learned places go through undo and apply."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import SAMPLES
from PIL import Image
from raw_photos import MAKERS

import tagger
from tagger import metadata
from tagger.cli.main import main
from tagger.errors import RunError
from tagger.model.classifier import Classifier
from tagger.model.contender import (
    DOUBT,
    NUMBERS,
    Contender,
    against,
    confidence,
    shipped_rule,
)
from tagger.model.learned import LearnedGuess, merged
from tagger.model.local_features.weigh import Findings
from tagger.places.landmarks import load_landmarks
from tagger.places.opening import open_pack
from tagger.places.own import known_places, new_landmark
from tagger.places.pack import PackPlace
from tagger.places.pack_writing import write_pack
from tagger.records import Candidate as Named
from tagger.records import Guess, Landmark, Position
from tagger.review.decision import Decision, Verdict
from tagger.review.session import Review
from tagger.review.teaching import own_names, own_pack, teach, teachable
from tagger.run import lesson_photos
from train.packs import merged as merged_packs

AT = "52.62000,4.65000"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def mine(tmp_path: Path) -> Path:
    return tmp_path / "data" / "landmark-tag" / "mine.places"


def landmark_tag(*words: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def views(folder: Path, count: int, first: int = 0, name: str = "windmills.jpg") -> list[Path]:
    """Cut-outs of a photo, as if taken from several spots."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with Image.open(SAMPLES / name) as picture:
        wide, high = picture.size
        for number in range(first, first + count):
            by = 0.02 * (1 + number)
            box = (by * wide, by * high / 2, (1 - by / 2) * wide, (1 - by) * high)
            made.append(folder / f"view{number}.jpg")
            cut = picture.convert("RGB").crop(tuple(map(round, box)))  # type: ignore[arg-type]
            cut.save(made[-1], quality=88 - number)
    return made


def rows_of(report: Path) -> dict[str, dict[str, str]]:
    with report.open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).name: row for row in csv.DictReader(file)}


def test_a_place_is_learned_tagged_and_undone(tmp_path: Path) -> None:
    output = landmark_tag("learn", "Our windmill", "--at", AT, *views(tmp_path / "known", 3))
    assert "Our windmill: 3 photos learned; 52.62000, 4.65000 within 100 m" in output
    library, report = tmp_path / "library", tmp_path / "report.csv"
    photo = views(library, 1, first=4)[0]
    (library / "tea.jpg").write_bytes((SAMPLES / "cup_of_tea.jpg").read_bytes())
    before = photo.read_bytes()
    landmark_tag(library, "--report", report, "--quiet")
    rows = rows_of(report)
    assert (rows["view4.jpg"]["status"], rows["tea.jpg"]["status"]) == ("tagged", "no_landmark")
    assert rows["view4.jpg"]["landmark"] == "Our windmill"
    assert rows["view4.jpg"]["reason"].endswith("; place of the pack mine")
    assert metadata.position(photo.read_bytes()) == pytest.approx((52.62, 4.65), abs=1e-5)
    landmark_tag("undo", "last")
    assert photo.read_bytes() == before


def test_a_run_can_leave_own_places_out(tmp_path: Path) -> None:
    landmark_tag("learn", "Our windmill", "--at", AT, *views(tmp_path / "known", 3))
    library, report = tmp_path / "library", tmp_path / "report.csv"
    views(library, 1, first=4)
    landmark_tag(library, "--report", report, "--dry-run", "--no-own-places", "-q")
    assert rows_of(report)["view4.jpg"]["status"] != "would_tag"


def test_a_report_with_a_learned_place_is_applied(tmp_path: Path) -> None:
    landmark_tag("learn", "Our windmill", "--at", AT, *views(tmp_path / "known", 3))
    library, report = tmp_path / "library", tmp_path / "report.csv"
    photo = views(library, 1, first=4)[0]
    landmark_tag(library, "--report", report, "--dry-run", "-q")
    assert rows_of(report)["view4.jpg"]["status"] == "would_tag"
    landmark_tag("apply", report)
    assert metadata.position(photo.read_bytes()) == pytest.approx((52.62, 4.65), abs=1e-5)
    assert b"Our windmill" in photo.read_bytes()


def test_an_unchanged_photo_is_looked_at_again_once_a_place_is_learned(tmp_path: Path) -> None:
    library, report = tmp_path / "library", tmp_path / "report.csv"
    photo = views(library, 1, first=4)[0]
    landmark_tag(library, "--report", report, "-q")
    assert metadata.position(photo.read_bytes()) is None
    landmark_tag("learn", "Our windmill", "--at", AT, *views(tmp_path / "known", 3))
    landmark_tag(library, "--report", report, "-q")
    assert rows_of(report)["view4.jpg"]["status"] == "tagged"


def test_what_is_said_not_to_be_the_place_is_remembered(tmp_path: Path) -> None:
    landmark_tag("learn", "Our windmill", "--at", AT, *views(tmp_path / "known", 2))
    library, report = tmp_path / "library", tmp_path / "report.csv"
    wrong = views(library, 1, first=4)
    output = landmark_tag("learn", "--not", "Our windmill", *wrong)
    assert "what is not it" in output
    landmark_tag(library, "--report", report, "--dry-run", "-q")
    assert rows_of(report)["view4.jpg"]["status"] != "would_tag"
    assert "not Our windmill: 1 photo" in landmark_tag("places", "list")


def test_the_position_comes_from_photos_that_carry_one(tmp_path: Path) -> None:
    photos = views(tmp_path, 2)
    output = landmark_tag("learn", "Mill", photos[0], code=2)
    assert "none of its photos carries GPS; say where it is with --at LAT,LON" in output
    output = landmark_tag("learn", "Tower", SAMPLES / "eiffel_tower_with_gps.jpg", photos[0])
    assert "Tower: 2 photos learned; 48.8" in output


def test_photos_of_one_place_must_not_lie_far_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = views(tmp_path, 2)
    positions = iter([Position(48.1, 11.5), Position(48.2, 11.5)] * 2)
    monkeypatch.setattr("tagger.metadata.position", lambda data: next(positions))
    output = landmark_tag("learn", "Mill", *photos, code=2)
    assert "lie up to 5,560 m from their middle" in output
    assert not mine(tmp_path).exists()
    output = landmark_tag("learn", "Mill", "--at", "48.1,11.5", *photos)
    assert "within 100 m; its photos lie up to 11,120 m apart" in output


def test_a_table_may_name_its_separator_as_spreadsheets_do(tmp_path: Path) -> None:
    views(tmp_path / "places" / "mill", 2)
    (tmp_path / "places" / "places.csv").write_bytes(
        b"\xef\xbb\xbfsep=;\r\nfolder;name;latitude;longitude\r\nmill;Big, old mill;52.62;4.65\r\n"
    )
    landmark_tag("learn", "--from", tmp_path / "places")
    (one,) = [json.loads(line) for line in landmark_tag("places", "list", "--json").splitlines()]
    assert (one["name"], one["photos"]) == ("Big, old mill", 2)


def test_folders_with_a_table_are_learned(tmp_path: Path) -> None:
    views(tmp_path / "places" / "mill", 2)
    views(tmp_path / "places" / "tea", 1, name="cup_of_tea.jpg")
    (tmp_path / "places" / "places.csv").write_text(
        "folder,name,latitude,longitude,radius_m,city\nmill,Big mill,52.62,4.65,80,Schermerhorn\n"
        "tea,Tea room,48.1,11.5,,\n",
        encoding="utf-8",
    )
    landmark_tag("learn", "--from", tmp_path / "places")
    shown = [json.loads(line) for line in landmark_tag("places", "list", "--json").splitlines()]
    assert [(one["name"], one["photos"], one["radius_m"]) for one in shown] == [
        ("Big mill", 2, 80), ("Tea room", 1, 100),
    ]  # fmt: skip
    assert open_pack(mine(tmp_path)).landmark(0).city == "Schermerhorn"


def test_photos_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    output = landmark_tag(
        "learn", "Mill", "--at", AT, *views(tmp_path, 1), tmp_path / "bad.jpg", tmp_path / "no.jpg",
        code=1,
    )  # fmt: skip
    assert "bad.jpg" in output and "no.jpg" in output and "Mill: 1 photo learned" in output
    output = landmark_tag("learn", "Barn", "--at", AT, tmp_path / "bad.jpg", code=2)
    assert "none of its photos can be read" in output


def test_places_are_shown_checked_and_forgotten(tmp_path: Path) -> None:
    photos = views(tmp_path / "known", 2)
    landmark_tag("learn", "Mill", "--at", AT, *photos)
    again = landmark_tag("learn", "Mill", *photos)
    assert "Mill: 0 photos learned, 2 known before" in again
    assert "view0.jpg" in landmark_tag("places", "show", "mill")
    assert "the file is whole" in landmark_tag("places", "check")
    landmark_tag("places", "forget", "Mill")
    assert landmark_tag("places", "list") == ""
    assert "no such place" in landmark_tag("places", "forget", "Mill", code=2)


def test_check_tells_which_photos_are_taken_for_another_place(tmp_path: Path) -> None:
    mill = views(tmp_path / "a", 3)
    tea = views(tmp_path / "b", 2, name="cup_of_tea.jpg")
    landmark_tag("learn", "Mill", "--at", AT, mill[0], mill[1], tea[0])
    landmark_tag("learn", "Tea", "--at", "48.1,11.5", tea[1], mill[2])
    output = landmark_tag("places", "check", code=1)
    assert "learned as Mill, more like Tea" in output


def test_private_places_leave_only_after_a_question(tmp_path: Path) -> None:
    landmark_tag("learn", "Mill", "--at", AT, *views(tmp_path / "known", 1))
    out = tmp_path / "out.places"
    assert "the places are private; add --yes" in landmark_tag("places", "export", out, code=2)
    assert not out.exists()
    landmark_tag("places", "export", out, "--yes")
    assert b"known" not in out.read_bytes()  # no path of a photo
    assert not open_pack(out).private
    landmark_tag("places", "merge", out, "--pack", tmp_path / "two.places")
    assert len(open_pack(tmp_path / "two.places")) == 1


def test_whoever_exports_private_places_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, known = tmp_path / "out.places", [PackPlace(new_landmark("Mill", 52.6, 4.6, 60), ())]
    mine(tmp_path).parent.mkdir(parents=True)
    write_pack(mine(tmp_path), "e", known, (64, 16), private=True)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True)
    words = ["places", "export", str(out)]
    answer = CliRunner().invoke(main, words, input="n\n")
    assert answer.exit_code == 2 and "1 private place will be in" in answer.output
    assert "Mill. Export" in answer.output and not out.exists()
    assert CliRunner().invoke(main, words, input="y\n").exit_code == 0
    assert not open_pack(out).private


def test_a_private_pack_stays_private_when_it_is_merged(tmp_path: Path) -> None:
    one, two = tmp_path / "one.places", tmp_path / "two.places"
    landmark_tag("learn", "Mill", "--at", AT, "--pack", one, *views(tmp_path, 1))
    landmark_tag("learn", "Barn", "--at", AT, "--pack", two, "--shared", *views(tmp_path, 1))
    assert not open_pack(two).private
    landmark_tag("places", "merge", one, "--pack", two)
    assert open_pack(two).private


def test_a_pack_of_another_model_is_refused_with_the_remedy(tmp_path: Path) -> None:
    landmark_tag("learn", "Mill", "--at", AT, *views(tmp_path / "known", 2))
    pack, other = open_pack(mine(tmp_path)), tmp_path / "other.places"
    write_pack(other, "0" * 64, pack.places(), (256, 16), private=True)
    library = tmp_path / "library"
    views(library, 1, first=4)
    words = library, "--dry-run", "--report", tmp_path / "r.csv"
    output = landmark_tag(*words, "--pack", other, code=2)
    assert "learned with another model" in output and "places relearn" in output
    mine(tmp_path).write_bytes(other.read_bytes())
    output = landmark_tag(*words)  # nobody named it: it is left out
    assert "places left out" in output
    landmark_tag("places", "relearn")
    assert open_pack(mine(tmp_path)).encoder == pack.encoder
    assert "would be tagged" in landmark_tag(*words)


def test_what_photos_are_gone_of_is_kept_each_time(tmp_path: Path) -> None:
    """A disk that is not mounted today must not cost what the next relearn would need."""
    known = views(tmp_path / "known", 3)
    landmark_tag("learn", "Mill", "--at", AT, *known)
    packs = [mine(tmp_path).read_bytes()]
    for photo in known[:2]:
        photo.unlink()
        assert "1 photo gone" in landmark_tag("places", "relearn", code=1)
        packs.append(mine(tmp_path).read_bytes())
    assert mine(tmp_path).with_name("mine.places.before").read_bytes() == packs[1]
    assert mine(tmp_path).with_name("mine.places.before-2").read_bytes() == packs[0]
    known[2].unlink()
    mine(tmp_path).with_name("mine.places.before-3").mkdir()  # not free
    blocked = mine(tmp_path).with_name("mine.places.before-4")
    landmark_tag("places", "relearn", code=1)
    assert blocked.read_bytes() == packs[1] and len(open_pack(mine(tmp_path))) == 0


def test_a_damaged_pack_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    pack = tmp_path / "bad.places"
    pack.write_bytes(b"\0" * 100)
    output = landmark_tag(
        SAMPLES, "--dry-run", "--report", tmp_path / "r.csv", "--pack", pack, code=2
    )
    assert "bad.places: not a pack that can be used" in output


def seen(best: float = -5.0) -> Findings:
    none = np.zeros(1, np.int64)
    alike = np.zeros(1, np.float32)
    return Findings(np.array([best], np.float32), alike, 0.38, none, none, alike + 1, 0 * alike)


def sure(
    alike: float, rival: float, spots: int, count: int, common: float = 0.49, wide: bool = False
) -> float:
    """The confidence for a reference as similar to the shipped landmarks as the median one."""
    near = min(4, count)
    one = Contender(0, 0, (alike,) * near, (spots,) * near, rival, 0, count, 1.0, common, wide)
    evidence = one.evidence(seen())
    assert evidence.shape == (NUMBERS,)
    return confidence(one, evidence, shipped_rule(), 1)


def test_more_evidence_is_more_confidence() -> None:
    likeness = [sure(alike, 0.2, 4, 3) for alike in (0.2, 0.4, 0.6, 0.8)]
    apart = [sure(0.6, rival, 4, 3) for rival in (0.6, 0.4, 0.2)]
    local = [sure(0.5, 0.3, spots, 3) for spots in (0, 4, 8, 16)]
    for rising in (likeness, apart, local):
        assert rising == sorted(rising)
    assert sure(0.45, 0.43, 0, 10) < 0.2  # unknown is the default answer
    assert sure(0.8, 0.3, 16, 3) > 0.9


def test_what_looks_like_many_things_needs_more_evidence() -> None:
    """A reference that resembles a shipped landmark, or is of a wide place, counts for less."""
    plain = sure(0.6, 0.3, 6, 3)
    assert sure(0.6, 0.3, 6, 3, common=0.6) < plain
    assert sure(0.6, 0.3, 6, 3, wide=True) < plain
    assert DOUBT > 0


def guess(slug: str, sure: float) -> Guess:
    return Guess((Named(slug, sure), Named("Taj_Mahal", 0.0)), 1 - sure)


@pytest.mark.parametrize(("shipped", "learned"), [(0.9, 0.9), (0.0, 0.9), (0.9, 0.0), (0.5, 0.7)])
def test_a_learned_place_and_a_landmark_are_one_guess(shipped: float, learned: float) -> None:
    mark = new_landmark("Mill", 52.6, 4.6, 60)
    both = merged(
        guess("Eiffel_Tower", shipped), LearnedGuess("mine/mill", mark, learned), load_landmarks()
    )
    total = sum(one.confidence for one in both.candidates) + both.none
    assert total == pytest.approx(1, abs=1e-6)
    sure = {one.slug: one.confidence for one in both.candidates}
    assert sure["mine/mill"] <= learned and sure["Eiffel_Tower"] <= shipped
    if shipped == learned:
        assert both.best.confidence < 0.5  # they contradict each other
    if 0 in (shipped, learned):
        assert both.best.confidence == pytest.approx(0.9)


def test_a_learned_place_at_a_landmark_does_not_contradict_it() -> None:
    tower = load_landmarks()["Eiffel_Tower"]
    mark = new_landmark("Eiffel Tower", tower.latitude, tower.longitude, 60)
    both = merged(
        guess("Eiffel_Tower", 0.8), LearnedGuess("mine/tower", mark, 0.9), load_landmarks()
    )
    assert both.best == Named("mine/tower", 0.9)
    both = merged(
        guess("Eiffel_Tower", 0.9), LearnedGuess("mine/tower", mark, 0.8), load_landmarks()
    )
    assert both.best == Named("Eiffel_Tower", 0.9)


def test_photos_that_are_not_a_place_take_confidence_away() -> None:
    both = merged(
        guess("Eiffel_Tower", 0.8), LearnedGuess("mine/not:x", None, 0.9), load_landmarks()
    )
    assert both.best.slug == "Eiffel_Tower" and both.best.confidence < 0.5


def test_what_is_not_one_landmark_may_be_another() -> None:
    """Whoever rejects a wrong guess must not lose the photos of what is really shown."""
    table, first = load_landmarks(), guess("Eiffel_Tower", 0.8)
    for refused, left in (("space_needle", 0.8), ("eiffel_tower", 0.3)):
        both = merged(first, LearnedGuess(f"mine/not:{refused}", None, 0.9, 3.0), table)
        assert (both.best.confidence == 0.8) == (left == 0.8)
        assert both.best.confidence <= left


def test_what_is_not_a_place_of_ones_own_is_forgotten_by_its_name(tmp_path: Path) -> None:
    landmark_tag("learn", "--not", "Mill", *views(tmp_path / "known", 1))
    assert "not Mill: 1 photo" in landmark_tag("places", "list")
    landmark_tag("places", "forget", "Mill")
    assert len(open_pack(mine(tmp_path))) == 0


def test_a_review_teaches_places_and_what_is_not_one(tmp_path: Path) -> None:
    library, report = tmp_path / "library", tmp_path / "report.csv"
    photos = views(library, 3)
    landmark_tag(library, "--report", report, "--dry-run", "-q")
    with report.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    rows[3][1], rows[3][2] = "unsure", "Eiffel Tower"
    with report.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    review = Review(report, load_landmarks())
    review.decide([0, 1], Decision(Verdict.PLACE, "", 52.62, 4.65, "Our windmill"))
    review.decide([2], Decision(Verdict.REJECT))
    taught = teachable(review, library)
    assert [(one.lesson.name, len(one.lesson.photos), one.wrong) for one in taught] == [
        ("Our windmill", 2, False), ("Eiffel Tower", 1, True),
    ]  # fmt: skip
    assert teachable(review, tmp_path / "elsewhere") == []  # only photos below the root
    classifier = Classifier(device="cpu")
    assert teach(taught, classifier) == 3
    assert teach(taught, classifier) == 0  # nothing twice
    pack = open_pack(mine(tmp_path))
    assert [pack.named(number) for number in range(len(pack))] == [False, True]
    assert known_places()["mine/our_windmill"].latitude == 52.62
    assert photos[0].exists()


def test_one_name_for_two_places_moves_no_photo(tmp_path: Path) -> None:
    """A name given to two places far apart is refused, in the review and in the pack."""
    library, report = tmp_path / "library", tmp_path / "report.csv"
    views(library, 3)
    landmark_tag(library, "--report", report, "--dry-run", "-q")
    review = Review(report, load_landmarks())
    review.decide([0], Decision(Verdict.PLACE, "", 52.62, 4.65, "Mill"))
    review.decide([1], Decision(Verdict.PLACE, "", 52.621, 4.65, "Mill"))
    review.decide([2], Decision(Verdict.PLACE, "", 40.0, 20.0, "mill"))
    taught = teachable(review, library)
    assert [(one.lesson.name, len(one.lesson.photos)) for one in taught] == [
        ("Mill", 2),
        ("mill", 1),
    ]
    classifier = Classifier(device="cpu")
    with pytest.raises(RunError, match="Mill: another place of that name lies 1,825 km away"):
        teach(taught, classifier)
    assert own_pack() is None
    assert teach(taught[:1], classifier) == 2
    with pytest.raises(RunError, match="Mill: another place of that name"):
        teach(taught[1:], classifier)
    pack = own_pack()
    assert pack
    ((mark, count),), refused = own_names(pack)
    assert (mark.name, mark.latitude, count, refused) == ("Mill", 52.62, 2, [])


def test_a_name_for_two_places_is_refused_wherever_it_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the photos of the first place would be tagged with the position of the second."""
    first, second = views(tmp_path / "first", 1), views(tmp_path / "second", 1, first=2)
    landmark_tag("learn", "Chapel", "--at", AT, *first)
    before = mine(tmp_path).read_bytes()
    elsewhere = "hapel: another place of that name lies 1,825 km away; give one of them another"
    assert elsewhere in landmark_tag("learn", "chapel", "--at", "40,20", *second, code=2)
    monkeypatch.setattr("tagger.metadata.position", lambda data: Position(40.0, 20.0))
    output = landmark_tag("learn", "Chapel", *second, code=2)
    assert "its photos lie up to 1,825,038 m from where it is known" in output
    other = tmp_path / "other.places"
    landmark_tag("learn", "chapel", "--pack", other, *second)
    assert elsewhere in landmark_tag("places", "merge", other, code=2)
    with pytest.raises(RunError, match=elsewhere):
        merged_packs([mine(tmp_path), other], tmp_path / "both.places", 9, 9)
    assert mine(tmp_path).read_bytes() == before
    # Nearer, it is the same place, seen more precisely.
    landmark_tag("learn", "Chapel", "--at", "52.625,4.65", *second)
    assert known_places()["mine/chapel"].latitude == 52.625


def test_folders_that_cannot_be_learned_are_named_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "places"
    (folder / "a_barn").mkdir(parents=True)
    (folder / "a_barn" / "empty.jpg").touch()
    views(folder / "b_tea", 1, name="cup_of_tea.jpg")
    output = landmark_tag("learn", "--from", folder, code=1)
    assert "pack:" not in output and not mine(tmp_path).exists()
    views(folder / "mill", 2)
    (folder / "places.csv").write_text("folder,latitude,longitude\nmill,52.62,4.65\n")
    lines = landmark_tag("learn", "--from", folder, code=1).splitlines()
    assert lines[0].startswith("mill: 2 photos learned") and lines[1].startswith("pack: ")
    assert lines[2].startswith("not learned: a_barn: a barn: none of its photos can be read: ")
    assert "empty.jpg: the file is empty" in lines[2]
    assert lines[3].startswith("not learned: b_tea: b tea: none of its photos carries GPS; say")
    assert len(lines) == 4 and "mill: " in landmark_tag("places", "list")


def test_one_name_in_two_folders_or_two_rows_of_one_folder_are_refused(tmp_path: Path) -> None:
    views(tmp_path / "places" / "a", 1)
    views(tmp_path / "places" / "b", 1, first=2)
    table = tmp_path / "places" / "places.csv"
    table.write_text(
        "folder,name,latitude,longitude\na,Church,52.62,4.65\nb,Church,40,20\n", encoding="utf-8"
    )
    output = landmark_tag("learn", "--from", tmp_path / "places", code=2)
    assert "Church: another place of that name lies 1,825 km away" in output
    table.write_text(
        "folder,name,latitude,longitude\na,Church,52.62,4.65\na,Mill,40,20\n", encoding="utf-8"
    )
    output = landmark_tag("learn", "--from", tmp_path / "places", code=2)
    assert "places.csv: two rows are of a; leave one of them out" in output
    assert not mine(tmp_path).exists()


def test_a_position_far_from_the_photos_own_is_asked_about(tmp_path: Path) -> None:
    photo = SAMPLES / "eiffel_tower_with_gps.jpg"
    output = landmark_tag("learn", "Tower", "--at", "2.29448,48.85826", photo)
    assert "Tower: GPS of its photos is up to 6,803 km" in output and "is that right?" in output
    assert "is that right?" not in landmark_tag("learn", "Spire", "--at", "48.86,2.29", photo)


def test_a_photo_of_a_landmark_elsewhere_is_asked_about(tmp_path: Path) -> None:
    """Else all photos of that landmark would be tagged as the place."""
    photos = views(tmp_path / "munich", 1), views(tmp_path / "paris", 1, name="eiffel_tower.jpg")
    output = landmark_tag("learn", "Munich", "--at", "48.137,11.575", *photos[0], *photos[1])
    assert "paris/view0.jpg: looks like Eiffel Tower, 688 km from there; is it a photo" in output
    assert output.count("looks like") == 1 and "Munich: 2 photos learned" in output
    assert "looks like" not in landmark_tag("learn", "Mast", "--at", "48.86,2.29", *photos[1])


def test_places_are_learned_from_camera_raw(tmp_path: Path) -> None:
    """By the preview that is classified, and with the position in the raw file."""
    jpeg = tmp_path / "photo.jpg"
    shown = Image.open(SAMPLES / "windmills.jpg").convert("RGB").resize((900, 600))
    shown.save(jpeg, quality=95)
    raws = [tmp_path / f"photo.{maker}" for maker in MAKERS]
    for raw, make in zip(raws, MAKERS.values(), strict=True):
        raw.write_bytes(make(jpeg.read_bytes(), (52.62, 4.65)))
    seen = lesson_photos.read([jpeg, *raws], Classifier(device="cpu"), "", asked=False)
    assert seen.problems == []
    assert seen.positions == [pytest.approx((52.62, 4.65), abs=1e-5)] * len(raws)
    first, *others = seen.references
    assert len(others) == len(raws)
    assert all(np.array_equal(first.embedding, other.embedding) for other in others)


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    link = tmp_path / "link.jpg"
    link.symlink_to(views(tmp_path / "known", 1)[0])
    output = landmark_tag("learn", "Mill", "--at", AT, pipe, tmp_path, link, code=1)
    assert "pipe.jpg: is not a file, though named like a photo" in output
    # By all its names the photo is one.
    assert "Mill: 1 photo learned, 2 known before" in output


@pytest.mark.parametrize("words", [("learn", "Mill", "a.jpg"), ("places", "forget", "Mill")])
def test_an_empty_name_of_a_pack_is_refused(words: tuple[str, ...]) -> None:
    assert "it names no file (is a variable unset?)" in landmark_tag(*words, "--pack", "", code=2)


def test_a_name_that_starts_like_a_formula_is_rejected_as_it_is(tmp_path: Path) -> None:
    library, report = tmp_path / "library", tmp_path / "report.csv"
    views(library, 1)
    landmark_tag(library, "--report", report, "--dry-run", "-q")
    with report.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    rows[1][1], rows[1][2] = "unsure", "''t Hof"
    with report.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    review = Review(report, load_landmarks())
    review.decide([0], Decision(Verdict.REJECT))
    assert [one.lesson.name for one in teachable(review, library)] == ["'t Hof"]


def test_python_learns_into_the_own_pack_and_tag_reads_it(tmp_path: Path) -> None:
    learned = tagger.learn("Our windmill", views(tmp_path / "known", 3), at=(52.62, 4.65))
    assert (learned.landmark.name, learned.new, learned.problems) == ("Our windmill", 3, ())
    library = tmp_path / "library"
    views(library, 1, first=4)
    for own, named in ((True, "Our windmill"), (False, "")):
        with tagger.tag(library, own_places=own) as run:
            (outcome,) = run
        place = outcome.place
        assert bool(place and place.name == named) == own
    with pytest.raises(RunError, match="Barn: give photos of the place"):
        tagger.learn("Barn", [], at=(1, 2))
    with pytest.raises(RunError, match=r"Barn: not a place .* is not on Earth"):
        tagger.learn("Barn", views(tmp_path / "barn", 1), at=(91, 2))


def test_likeness_to_a_learned_place_speaks_against_a_landmark_elsewhere() -> None:
    mill, eiffel = new_landmark("Mill", 52.6, 4.6, 60), load_landmarks()["Eiffel_Tower"]
    beside = new_landmark("Beside", eiffel.latitude, eiffel.longitude, 60)

    def left(mark: Landmark | None, contrary: float) -> float:
        learned = LearnedGuess("mine/x", mark, 0.1, contrary)
        both = merged(guess("Eiffel_Tower", 0.8), learned, load_landmarks())
        assert sum(one.confidence for one in both.candidates) + both.none == pytest.approx(1)
        return next(one.confidence for one in both.candidates if one.slug == "Eiffel_Tower")

    assert left(mill, 3.0) < 0.2 < 0.7 < left(mill, 0.0)
    assert left(None, 3.0) < 0.2  # what is known not to be a place does too
    assert left(beside, 3.0) == left(beside, 0.0)  # there it is no contradiction


def test_chance_likeness_grows_with_the_number_of_references() -> None:
    assert against(0.1, 100) == 0
    assert against(0.5, 100) > against(0.5, 10_000) > against(0.5, 1_000_000) == 0
    assert against(0.3, 3) == against(0.3, 50)  # so few are no measure
