"""How many copies of photos the source library finds, and how often it is wrong about others.

    python scripts/measure_library.py PHOTOS... [--most 400]

All photos are put into an index, each with a position of its own, 100 km from the next. Then
copies of some are looked for (resized, cropped by a fifth, saved at quality 60, as a messenger
sends them), and all others that the index holds: these must be found nowhere.
"""

import argparse
import io
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps

from tagger.errors import PhotoError
from tagger.evidence.library import LibrarySource
from tagger.model.lazy import LazyClassifier
from tagger.places.distance import distance_m
from tagger.storage.suffixes import PHOTO_SUFFIXES

APART = 1.0  # degrees of latitude, 111 km


def place(number: int) -> tuple[float, float]:
    return number % 160 - 80.0, number // 160 * 2 - 170.0


def saved(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def copies(data: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Copies of a photo, as messengers and editors make them."""
    with Image.open(io.BytesIO(data)) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=400, help="photos of each folder")
    parser.add_argument("--copied", type=int, default=150, help="photos that copies are made of")
    options = parser.parse_args()
    chance = random.Random(0)
    source = LibrarySource(LazyClassifier(), None, 1000.0)
    held: list[bytes] = []
    for folder in options.photos:
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
        for path in chance.sample(found, min(options.most, len(found))):
            data = path.read_bytes()
            try:
                seen = source.look(data)
            except PhotoError:
                continue
            source.index.add(str(len(held)), "", seen, place(len(held)), 1e6 * len(held))
            held.append(data)
    source.index.ready()
    twice = set[int]()
    for number in range(len(held)):
        kept = source.index.view(str(number))
        estimate = source.estimate_of(str(number), kept) if kept else None
        if estimate is not None:
            twice.add(number)
            print(f"{number}: {estimate.words} {estimate.refused}")
    print(f"{len(held)} photos in the index, of which {len(twice)} are in it twice (see above)")
    right, wrong, total = Counter[str](), Counter[str](), Counter[str]()
    once = [number for number in range(len(held)) if number not in twice]
    for number in chance.sample(once, min(options.copied, len(once))):
        for kind, data in copies(held[number], chance):
            estimate = source.estimate_of("", source.look(data))
            total[kind] += 1
            if estimate is None or estimate.refused:
                continue
            if distance_m((estimate.latitude, estimate.longitude), place(number)) < 1:
                right[kind] += 1
            else:
                wrong[kind] += 1
                print("wrong:", number, estimate.words)
    for kind, count in total.items():
        print(f"{kind:32} {right[kind] / count:6.1%} found, {wrong[kind]} wrong, of {count}")


if __name__ == "__main__":
    main()
