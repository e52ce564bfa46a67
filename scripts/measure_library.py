"""How many copies of photos the source library finds, and how often it is wrong about others.

    python scripts/measure_library.py PHOTOS... [--most 300] [--copied 300]

All photos are put into an index, each with a position of its own, 111 km from the next. Then copies
of some are looked for (resized, a fifth cut off, saved at quality 60, as a messenger sends them,
all of that at once), and all photos that the index holds, without themselves: these must be found
nowhere.

Two kinds of photos are told apart before anything is looked for, by the pixels of the originals
alone: those that the folders hold twice, which have two positions here and must be refused, and
empty pictures. The figures are given with and without them.
"""

import argparse
import io
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tagger.errors import PhotoError
from tagger.evidence.estimate import Estimate
from tagger.evidence.kept_view import KeptView
from tagger.evidence.library import LibrarySource
from tagger.evidence.views import ViewsIndex
from tagger.imaging.decode import to_views
from tagger.model.lazy import LazyClassifier
from tagger.places.distance import distance_m
from tagger.storage.suffixes import PHOTO_SUFFIXES

# Two pictures are the same where the grey values of EDGE x EDGE pixels correlate so. A picture is
# empty where fewer pixels than this differ from their neighbours by STEP, of 256 to the edge.
SAME, EDGE = 0.95, 32
EMPTY, STEP, FINE = 0.01, 8, 256


@dataclass(frozen=True)
class Original:
    """A photo of the folders: its bytes, and what its pixels say."""

    path: Path
    data: bytes
    grey: np.ndarray
    empty: bool


def place(number: int) -> tuple[float, float]:
    return number % 160 - 80.0, number // 160 * 2 - 170.0


def upright(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


def original(path: Path) -> Original:
    data = path.read_bytes()
    picture = upright(data).convert("L")
    whole = np.asarray(picture.resize((EDGE, EDGE), Image.Resampling.BOX), np.float32).ravel()
    grey = whole - whole.mean()
    size = np.linalg.norm(grey)
    scale = FINE / min(picture.size)
    fine = picture.resize([max(8, round(edge * scale)) for edge in picture.size])
    steps = np.hypot(*np.gradient(np.asarray(fine, np.float32)))
    return Original(path, data, grey / size if size else grey, (steps > STEP).mean() < EMPTY)


def held_twice(photos: Sequence[Original]) -> set[int]:
    """Photos whose picture is that of another one, pixel by pixel."""
    greys = np.stack([photo.grey for photo in photos])
    alike = greys @ greys.T
    np.fill_diagonal(alike, 0)
    return set(np.flatnonzero(alike.max(1) >= SAME).tolist())


def saved(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def copies(data: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Copies of a photo, as messengers and editors make them."""
    picture = upright(data)
    width, height = picture.size
    for edge in (1600, 800):
        smaller = picture.copy()
        smaller.thumbnail((min(edge, max(width, height) * 3 // 4),) * 2)
        yield f"at most {edge} px", saved(smaller, 85)
    left, top = (round(0.2 * edge * chance.random()) for edge in (width, height))
    cut = picture.crop((left, top, left + round(0.8 * width), top + round(0.8 * height)))
    yield "a fifth of each edge cut off", saved(cut, 85)
    side = picture.crop((0, 0, width, round(0.8 * height)))
    yield "a fifth cut off below", saved(side, 85)
    yield "quality 60", saved(picture, 60)
    sent = picture.copy()
    sent.thumbnail((1280, 1280))
    yield "as a messenger sends it", saved(sent, 70)
    cut.thumbnail((min(800, max(cut.size) * 3 // 4),) * 2)
    yield "cut, smaller and quality 60", saved(cut, 60)


class Tally:
    """Of each kind of copy: how many, found, and wrong."""

    def __init__(self) -> None:
        self.total, self.right, self.wrong = Counter[str](), Counter[str](), Counter[str]()

    def add(self, kind: str, estimate: Estimate | None, number: int) -> bool:
        """Whether the copy is found."""
        self.total[kind] += 1
        if estimate is None or estimate.refused:
            return False
        right = distance_m((estimate.latitude, estimate.longitude), place(number)) < 1
        self.right[kind] += right
        self.wrong[kind] += not right
        return right

    def tell(self, name: str) -> None:
        print(f"\n{name}")
        for kind, count in self.total.items():
            right, wrong = self.right[kind] / count, self.wrong[kind]
            print(f"{kind:30} {right:6.1%} found, {wrong} wrong, of {count}")


def look(source: LibrarySource, data: bytes, key: str = "") -> KeptView | None:
    try:
        described = source.describe([to_views(data, *source.sizes)])[0]
    except PhotoError:
        return None
    return source.kept(key, "", described)


def gathered(folders: Sequence[Path], most: int, chance: random.Random) -> list[Original]:
    photos = []
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
        for path in chance.sample(paths, min(most, len(paths))):
            try:
                photos.append(original(path))
            except (OSError, ValueError, SyntaxError):  # Pillow cannot read it
                continue
    return photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=300, help="photos of each folder")
    parser.add_argument("--copied", type=int, default=300, help="photos that copies are made of")
    options = parser.parse_args()
    chance = random.Random(0)
    model = LazyClassifier()
    index = ViewsIndex(None, model.encoder)
    source = LibrarySource(model, index, 1000.0)
    photos = gathered(options.photos, options.most, chance)
    held = dict[int, KeptView]()
    for number, photo in enumerate(photos):
        if seen := look(source, photo.data, str(number)):
            held[number] = replace(seen, position=place(number), taken=1e6 * number)
            index.add(held[number])
    index.ready()
    twice = held_twice(photos) & held.keys()
    empty = {number for number in held if photos[number].empty} - twice
    print(f"{len(held)} photos in the index; {len(twice)} are in it twice, {len(empty)} are empty")
    strangers = 0
    for number in sorted(held.keys() - twice):
        estimate, _ = source.compared(held[number])
        if estimate:
            refused = f" (refused: {estimate.refused})" if estimate.refused else ""
            print(f"a stranger: {photos[number].path}: {estimate.words}{refused}")
            strangers += not estimate.refused
    print(f"photos that are in it once, found elsewhere: {strangers} of {len(held) - len(twice)}")
    every, distinct = Tally(), Tally()
    for number in chance.sample(sorted(held), min(options.copied, len(held))):
        for kind, data in copies(photos[number].data, chance):
            seen = look(source, data)
            estimate = source.compared(seen)[0] if seen else None
            every.add(kind, estimate, number)
            if number not in twice | empty and not distinct.add(kind, estimate, number):
                reason = estimate.refused or estimate.words if estimate else "nothing"
                print(f"missed: {photos[number].path}, {kind}: {reason}")
    distinct.tell("Photos that are in the index once, and not empty")
    every.tell("All photos")


if __name__ == "__main__":
    main()
