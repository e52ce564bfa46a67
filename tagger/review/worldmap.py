"""The bundled outline of the world's land, and the script that draws places on it."""

import json
from functools import cache
from pathlib import Path

_ASSETS = Path(__file__).with_name("assets")
# x = 10 * (longitude + 180), y = 10 * (90 - latitude); from 84 degrees north to 58 south.
VIEW_BOX = "0 60 3600 1420"


@cache
def land() -> str:
    """The outline as the ``d`` of an SVG path; its source is named in land.json."""
    path: str = json.loads((_ASSETS / "land.json").read_text(encoding="utf-8"))["path"]
    return path


@cache
def asset(name: str) -> str:
    """A script or style sheet of the folder assets."""
    return (_ASSETS / name).read_text(encoding="utf-8")
