"""The page and map of the default model's landmarks, against its labels and the landmark table."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tagger.errors import RunError
from tagger.model import DEFAULT_MODEL, artifact
from tagger.places.landmarks import load_landmarks

ROOT = Path(__file__).resolve().parents[1]


def _load_lister() -> ModuleType:
    path = ROOT / "scripts" / "list_landmarks.py"
    spec = importlib.util.spec_from_file_location("list_landmarks", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lister = _load_lister()
TABLE = load_landmarks()


def test_the_committed_page_and_map_are_the_default_models() -> None:
    rows = lister.known(artifact.load(DEFAULT_MODEL).manifest.labels, TABLE)
    for name, text in ((lister.PAGE, lister.page(rows)), (lister.MAP, lister.map_svg(rows))):
        remedy = "run python scripts/list_landmarks.py and commit what it writes"
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, remedy


def test_the_page_is_by_country_and_says_what_is_scenery() -> None:
    rows = lister.known(["eltz_castle", "Eiffel_Tower", "Dead_Sea", "bran_castle"], TABLE)
    assert lister.page(rows).splitlines()[2:] == [
        "4 landmarks in 3 countries. `python scripts/list_landmarks.py` writes this page and its "
        "map.",
        "",
        *lister.SHARE.splitlines(),
        "",
        "![Where the landmarks stand](landmarks.svg)",
        "",
        "## On a border, so no country is written (1)",
        "",
        f"- Dead Sea ({TABLE['Dead_Sea'].local_name}); scenery",
        "",
        "## France (1)",
        "",
        "- Eiffel Tower (Tour Eiffel), Paris",
        "",
        "## Germany (1)",
        "",
        "- Eltz Castle (Burg Eltz), Wierschem",
        "",
        "## Romania (1)",
        "",
        "- Bran Castle (Castelul Bran), Bran",
    ]


def test_the_map_has_a_dot_where_each_stands() -> None:
    drawn = lister.map_svg(lister.known(["Eiffel_Tower", "Sydney_Opera_House"], TABLE))
    assert drawn.count("<circle") == 2
    assert '<circle cx="1823" cy="411" r="11"/>' in drawn


def test_a_label_without_a_row_is_refused() -> None:
    with pytest.raises(RunError, match="lacks Atlantis: add"):
        lister.known(["Eiffel_Tower", "Atlantis"], TABLE)
