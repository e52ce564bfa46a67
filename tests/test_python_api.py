"""The public Python interface: lazy, typed, and documented by snippets that run."""

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import COLOURS, REPOSITORY, SAMPLES, photo
from PIL import Image

import tagger
from tagger import api

PAGE = REPOSITORY / "docs" / "python-api.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture
def _in_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the sample photos to work in, and a state folder of one's own."""
    for path in SAMPLES.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))


def loaded_by(code: str) -> set[str]:
    """The packages that a fresh Python has loaded after the code."""
    heavy = "torch", "numpy", "PIL", "pandas", "cv2", "sqlite3", "click"
    show = f"; import sys; print(*(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code + show],
        capture_output=True, text=True, check=True, cwd=REPOSITORY,
    )  # fmt: skip
    return set(done.stdout.split())


def test_importing_loads_nothing_heavy() -> None:
    assert loaded_by("import tagger; tagger.__all__, dir(tagger)") == set()


def test_reading_and_a_dry_list_load_no_torch() -> None:
    code = "import tagger; tagger.read('sample_photos/eiffel_tower.jpg'); tagger.tag, tagger.undo"
    assert not loaded_by(code) & {"torch", "pandas", "cv2"}


def test_the_face_hands_on_what_the_interface_lists() -> None:
    assert sorted(tagger.__all__) == sorted(api.__all__)
    for name in tagger.__all__:
        assert getattr(tagger, name) is getattr(api, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tagger.nothing  # noqa: B018


def test_type_checkers_know_every_name() -> None:
    source = (REPOSITORY / "tagger" / "__init__.py").read_text(encoding="utf-8")
    (imported,) = re.findall(r"from tagger\.api import \(([^)]*)\)", source)
    assert sorted(re.findall(r"\w+", imported)) == sorted(tagger.__all__)


@pytest.mark.usefixtures("_in_samples")
def test_the_snippets_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in Path().glob("*.*")}
    names: dict[str, Any] = {}
    for snippet in SNIPPETS:
        exec(compile(snippet, str(PAGE), "exec"), names)
    shown = capsys.readouterr().out
    assert "Eiffel_Tower 0.9" in shown or "Eiffel_Tower 1.0" in shown
    assert "valid (48.86" in shown and "Taj Mahal 27.1" in shown
    assert names["tagged"] >= 5 and f"{names['tagged']} of {names['tagged']} restored" in shown
    assert "no_such_photo.jpg: it vanished" in shown
    assert "Our windmill 1\nmills/our_windmill 52.62" in shown
    assert "place of the pack mills" in shown
    photos = (path for path in Path().glob("*.*") if not path.name.startswith("mills."))
    assert {path.name: path.read_bytes() for path in photos} == before


def test_every_public_function_and_model_has_an_example() -> None:
    code = "\n".join(SNIPPETS)
    used = set(re.findall(r"tagger\.(\w+)", code))
    functions = {name for name in tagger.__all__ if name.islower()}
    assert functions <= used
    assert "model.predict(" in code and "to_pandas()" in code


@pytest.fixture(scope="module")
def model(colour_model: Path) -> tagger.Model:
    return tagger.load_model(colour_model, "cpu")


def test_paths_bytes_and_pictures_are_guessed_alike(model: tagger.Model, tmp_path: Path) -> None:
    data = photo(COLOURS["Eiffel_Tower"])
    (tmp_path / "a.jpg").write_bytes(data)
    picture = Image.open(io.BytesIO(data))
    path = tmp_path / "a.jpg"
    guesses = list(model.predict(path, str(path), data, picture, batch_size=2))
    assert [guess.best.slug for guess in guesses] == ["Eiffel_Tower"] * 4
    assert guesses[0] == guesses[1] == guesses[2]
    assert guesses[3].best.confidence == pytest.approx(guesses[0].best.confidence, abs=0.01)
    assert model.places["Eiffel_Tower"].city == "Paris"


def test_a_picture_is_turned_upright(model: tagger.Model) -> None:
    """The top third is red, the rest grey: only the orientation tells which way is up."""
    image = Image.new("RGB", (60, 30), (120, 120, 120))
    image.paste((255, 0, 0), (0, 0, 20, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    by_bytes, by_picture = model.predict(buffer.getvalue(), Image.open(buffer))
    assert by_bytes == by_picture


def test_a_photo_that_cannot_be_read_is_named(model: tagger.Model, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo at all")
    for place in (tmp_path / "bad.jpg", tmp_path / "none.jpg"):
        with pytest.raises(tagger.PhotoError, match=place.name):
            list(model.predict(place))


def outcomes(run: tagger.Run) -> dict[str, tagger.Outcome]:
    return {Path(outcome.path).name: outcome for outcome in run}


def test_tag_is_dry_unless_asked(library: Path, colour_model: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in library.rglob("*.*")}
    ledger = tmp_path / "ledger.db"
    with tagger.tag(library, model=colour_model, ledger=ledger) as run:
        by_name = outcomes(run)
    assert run.dry_run and by_name["a_taj.jpg"].status is tagger.Status.WOULD_TAG
    assert by_name["a_taj.jpg"].place and by_name["a_taj.jpg"].place.name == "Taj Mahal"
    assert by_name["b_grey.jpg"].place is None and by_name["b_grey.jpg"].reason
    assert {path: path.read_bytes() for path in library.rglob("*.*")} == before
    assert not ledger.exists()


def test_tag_and_undo(library: Path, colour_model: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in library.rglob("*.*")}
    ledger = tmp_path / "ledger.db"
    with tagger.tag([library], dry_run=False, model=colour_model, ledger=ledger) as run:
        by_name = outcomes(run)
    assert by_name["a_taj.jpg"].status is tagger.Status.TAGGED
    written = tagger.read(library / "a_taj.jpg")
    assert written.gps_state is tagger.GpsState.VALID
    assert written.provenance and written.provenance.run_id == run.id
    with tagger.tag(library, dry_run=False, model=colour_model, ledger=ledger) as again:
        assert not outcomes(again)["a_taj.jpg"].fresh  # the first run was noted
    assert len(tagger.undo(run.id, dry_run=True, ledger=ledger)) == 3
    assert [item.result for item in tagger.undo(run.id, ledger=ledger)] == ["restored"] * 3
    assert {path: path.read_bytes() for path in library.rglob("*.*")} == before
    with pytest.raises(tagger.RunError, match="no run has the id"):
        tagger.undo("nothing", ledger=ledger)


def test_a_run_that_is_left_early_ends_there(
    library: Path, colour_model: Path, tmp_path: Path
) -> None:
    options: Any = {"dry_run": False, "model": colour_model, "ledger": tmp_path / "ledger.db"}
    with tagger.tag(library, **options) as run:
        for outcome in run:
            assert outcome.status is tagger.Status.TAGGED
            break
    with pytest.raises(StopIteration):
        next(iter(run))
    assert {item.result for item in tagger.undo(run.id, ledger=options["ledger"])} == {"restored"}
    with tagger.tag(library, **options) as run:  # the lock is free again
        assert outcomes(run)["a_taj.jpg"].status is tagger.Status.TAGGED


def test_a_run_as_a_table(library: Path, colour_model: Path) -> None:
    with tagger.tag(library, model=colour_model) as run:
        table = run.to_pandas()
    assert list(table.columns[:3]) == ["path", "status", "landmark"]
    assert list(table.status).count("would_tag") == 3 and len(table) == 4
    with (
        tagger.tag(library, model=colour_model) as run,
        pytest.raises(RuntimeError, match="instead of iterating"),
    ):
        next(iter(run))
        run.to_pandas()


def test_other_sources_take_part(library: Path, colour_model: Path) -> None:
    options: Any = {"model": colour_model, "max_radius": 500.0}
    with tagger.tag(library, sources=("landmark", "time"), **options) as run:
        outcome = outcomes(run)["a_taj.jpg"]
    assert outcome.position == pytest.approx((27.175, 78.042), abs=0.01)
    with pytest.raises(ValueError, match="moon"), tagger.tag(library, sources=["moon"]):
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [({"min_conf": 2.0}, "--min-conf"), ({"model": "nothing.pt"}, "nothing.pt")],
)
def test_a_run_that_cannot_start_says_why(
    library: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(tagger.RunError, match=message), tagger.tag(library, **options):
        pass
