"""Write the list and the map of the landmarks that the default model names, by country.

python scripts/list_landmarks.py  # docs/landmarks.md and docs/landmarks.svg
"""

import argparse
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from tagger.errors import RunError
from tagger.model import DEFAULT_MODEL, artifact
from tagger.places.landmarks import load_landmarks
from tagger.records import Landmark
from tagger.review.worldmap import VIEW_BOX, land

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, MAP = "landmarks.md", "landmarks.svg"
SHARE = """\
Few photos of a real library show one of them: of 1,828 photos of four travel galleries an earlier
version tagged 68 with the right one, and 15 with a wrong one. [Other sources](sources.md) help
more photos."""
BORDER = "On a border, so no country is written"


def known(labels: Iterable[str], table: dict[str, Landmark]) -> list[Landmark]:
    """The rows of the labels, by country and name.

    Raises:
        RunError: a label has no row, so its photos would get no place.
    """
    labels = list(labels)
    if missing := sorted(set(labels) - table.keys()):
        raise RunError(f"the landmark table lacks {', '.join(missing)}: add them to it")
    return sorted(
        (table[label] for label in labels), key=lambda row: (_plain(row.country), _plain(row.name))
    )


def page(rows: list[Landmark]) -> str:
    """The list as Markdown, one line a landmark, countries by name, borders first."""
    countries = Counter(row.country for row in rows if row.country)
    lines = [
        "# Landmarks that the default model knows",
        "",
        f"{len(rows)} landmarks in {len(countries)} countries. "
        "`python scripts/list_landmarks.py` writes this page and its map.",
        "",
        SHARE,
        "",
        f"![Where the landmarks stand]({MAP})",
    ]
    for country, group in groupby(rows, key=lambda row: row.country):
        members = list(group)
        lines += ["", f"## {country or BORDER} ({len(members)})", ""]
        lines += [_line(row) for row in members]
    return "\n".join(lines) + "\n"


def map_svg(rows: list[Landmark]) -> str:
    """The outline of the land with a dot for each landmark."""
    dots = sorted({(round(10 * (r.longitude + 180)), round(10 * (90 - r.latitude))) for r in rows})
    circles = "\n".join(f'<circle cx="{x}" cy="{y}" r="11"/>' for x, y in dots)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{VIEW_BOX}" width="1200">\n'
        f"<title>{len(rows)} landmarks on a map of the world</title>\n"
        f'<path fill="#cfd8dc" d="{land()}"/>\n'
        f'<g fill="#c62828" fill-opacity="0.75">\n{circles}\n</g>\n</svg>\n'
    )


def _line(row: Landmark) -> str:
    local = f" ({row.local_name})" if row.local_name != row.name else ""
    where = row.city or row.region
    area = "; scenery" if row.extent == "area" else ""
    return f"- {row.name}{local}" + (f", {where}" if where else "") + area


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="a model file")
    parser.add_argument("--out", type=Path, default=DOCS, help="the folder to write to")
    options = parser.parse_args(arguments)
    try:
        rows = known(artifact.load(options.model).manifest.labels, load_landmarks())
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    for name, text in ((PAGE, page(rows)), (MAP, map_svg(rows))):
        (options.out / name).write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(rows)} landmarks: {options.out / PAGE}, {options.out / MAP}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
