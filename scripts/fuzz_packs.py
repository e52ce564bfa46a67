"""Fuzzes what reads packs: damaged headers and arrays, also such whose checksum is right again.

    python scripts/fuzz_packs.py [--seconds 300] [--seed 0]

Each input is a small pack with a few changes: bytes, numbers of an array, its type or shape, the
header's JSON, a place's or photo's JSON, the file's length. Half of them get the checksum that fits
the changed arrays, as an attacker would write it. A pack that is opened is used as a run uses it:
every place, every reference, a search, local features. It is also opened as bytes and compared as
the photos of a model's landmarks, and one in twenty is put into a model file, which is loaded.
Anything but a refusal with the file's name is a find: it stops the run and is kept.
"""

import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from conftest import save_colour_model  # noqa: E402
from test_packs import SIZES, place  # noqa: E402

from tagger.errors import RunError  # noqa: E402
from tagger.model import artifact, landmark_photos  # noqa: E402
from tagger.model.local_features.references import RULE, References, ends  # noqa: E402
from tagger.places import arrays  # noqa: E402
from tagger.places.embeddings import unit  # noqa: E402
from tagger.places.known import KnownPlaces  # noqa: E402
from tagger.places.opening import open_pack  # noqa: E402
from tagger.places.pack_writing import write_pack  # noqa: E402
from tagger.places.search import PackSearch  # noqa: E402
from train.ship import rewriting  # noqa: E402

LABELS = ("barn", "mill", "house")
PLACES = (place("Barn", 1, 2), place("Mill", 3))
# What photos of a model's landmarks are compared by, without photos.
MODEL = References(
    np.zeros((SIZES[1], 256, 128 // SIZES[1]), np.float16), np.zeros((0, SIZES[1]), np.uint8),
    np.zeros((0, 3), np.uint8), ends([]), np.ones((3, SIZES[0]), np.int8),
    np.zeros((0, SIZES[0]), np.int8), ends([0] * len(LABELS)), np.ones((2, SIZES[0]), np.int8),
    np.zeros((2, RULE), np.float32),
)  # fmt: skip
LOADED = 20  # one in so many is put into a model file

NUMBERS = (0, 1, -1, 7, 127, 255, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63))
WORDS: tuple[Any, ...] = (
    "",
    "\0",
    "\x1b[31m",
    "‮",
    "a" * 5000,
    "../../etc",
    "é" * 3000,
    None,
    [],
    {},
    1e308,
)
STRANGE: tuple[Any, ...] = (
    float("nan"),
    float("inf"),
    -91,
    181,
    10**30,
    True,
    "12",
    None,
    [],
    {},
    "\ud800",
)


def changed_array(some: random.Random, array: Any) -> Any:
    """An array with a few other numbers, another type, length or shape."""
    array = array.copy()
    match some.randrange(5):
        case 0 | 1 if array.size and array.dtype.kind in "iu":
            for _ in range(some.randint(1, 3)):
                limits = np.iinfo(array.dtype)
                value = some.choice(NUMBERS)
                array.reshape(-1)[some.randrange(array.size)] = min(
                    max(value, limits.min), limits.max
                )
            return array
        case 2:
            kinds = ("u1", "i1", "i4", "i8", "f4", "f2")
            return array.astype(some.choice(kinds))
        case 3:
            return array[: some.randint(0, len(array))]
        case _:
            return np.concatenate([array, array[: some.randint(0, 3)]])


def changed_row(some: random.Random, held: dict[str, Any], kind: str) -> None:
    """A place or photo that says something else, its spans made right again."""
    begin = held[f"{kind}_begin"].tolist()
    rows = [held[kind][a:b].tobytes() for a, b in pairwise(begin)]
    number = some.randrange(len(rows))
    facts = json.loads(rows[number])
    key = some.choice([*facts, "named", "radius_m", "slug", "__class__"])
    facts[key] = some.choice(STRANGE if some.random() < 0.5 else WORDS)
    rows[number] = some.choice(
        (json.dumps(facts).encode("utf-8", "surrogatepass"), b"[" * 4000, b"{}")
    )
    held[kind] = np.frombuffer(b"".join(rows), np.uint8)
    held[f"{kind}_begin"] = np.cumsum([0, *map(len, rows)], dtype=np.int64)


def changed_header(some: random.Random, data: bytes) -> bytes:
    """The file with other JSON before its arrays."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    name = some.choice([*header])
    entry = header[name]
    match some.randrange(4):
        case 0:
            del header[name]
        case 1 if name != "__metadata__":
            part = some.choice(("shape", "data_offsets"))
            entry[part] = [
                some.choice((*NUMBERS, 1.5, "2", None)) for _ in range(some.randint(0, 3))
            ]
        case 2 if name != "__metadata__":
            entry["dtype"] = some.choice(("U8", "I8", "F32", "I64", "BF16", "", None, []))
        case _:
            header[some.choice(("x", name))] = some.choice((*WORDS, entry))
    text = json.dumps(header).encode()
    size = some.choice((len(text), len(text), some.choice([abs(n) for n in NUMBERS[:-1]])))
    return min(size, 2**63).to_bytes(8, "little") + text + data[8 + length :]


def changed_bytes(some: random.Random, data: bytes) -> bytes:
    """Some bytes are others, gone, or doubled."""
    whole = bytearray(data)
    for _ in range(some.randint(1, 4)):
        at = some.randrange(len(whole))
        match some.randrange(3):
            case 0:
                whole[at] = some.randrange(256)
            case 1:
                del whole[at : at + some.randint(1, 64)]
            case _:
                whole[at:at] = whole[at : at + some.randint(1, 64)]
        if not whole:
            break
    return bytes(whole)


def made(some: random.Random, folder: Path, whole: bytes, encoder: str) -> Path:
    """A pack with a few changes."""
    path = folder / "a.places"
    path.write_bytes(whole)
    if some.random() < 0.5:
        held: dict[str, Any] = dict(arrays.read(path).arrays)
        if some.random() < 0.4:
            changed_row(some, held, some.choice(("places", "photos")))
        for _ in range(some.randint(0, 2)):
            name = some.choice([*held])
            held[name] = changed_array(some, held[name])
        facts = {"format": "landmark-tag-places/1", "encoder": encoder, "private": "no"}
        facts["learned"] = some.choice(("yes", "no"))
        if some.random() < 0.1:
            facts[some.choice([*facts])] = str(some.choice(WORDS))
        arrays.write(path, facts, held)
    else:
        change = some.choice((changed_header, changed_bytes))
        path.write_bytes(change(some, whole))
    return path


def compared(path: Path, encoder: str) -> None:
    """Compare a pack as the photos of a model's landmarks, if it passes for that."""
    pack = open_pack(path, path.read_bytes())
    if not landmark_photos.misfit(pack, MODEL, encoder, LABELS):
        known = landmark_photos.joined(MODEL, [pack], LABELS)
        known.check()
        assert len(known.embeddings) == len(pack.owners)


def in_model(path: Path, model: Path) -> None:
    """Load a model file with that pack in it."""
    before = model.read_bytes()
    try:
        artifact.rewrite(model, {artifact.PHOTOS: path.read_bytes()})
        assert artifact.load(model).references
    except RunError as error:
        assert str(model) in str(error), error
    finally:
        model.write_bytes(before)


def used(path: Path, encoder: str) -> str:
    """Open a pack and use all of it; the refusal's first words, or that it was accepted."""
    try:
        pack = open_pack(path)
        pack.check()
        known = KnownPlaces([pack], {})
        for number in range(len(pack)):
            pack.place(number)
            mark = known.get(pack.slug(number))
            assert mark is None or -90 <= mark.latitude <= 90
        query = unit(np.ones((1, pack.embeddings.shape[1]), np.float32))[0]
        for exact in (20_000, 0):
            rows, cosines = PackSearch(pack, exact=exact).nearest(query, 5)
            assert len(rows) == len(cosines) and all(0 <= row < len(pack.owners) for row in rows)
        for row in range(len(pack.owners)):
            one = pack.reference(row)
            assert len(one.codes) == len(one.spots)
        compared(path, encoder)
    except RunError as error:
        assert str(path) in str(error), error
        reason = str(error).rpartition("used: ")[2].partition(";")[0]
        return re.sub(r"'.*'|-?[\d.]+|\[.*\]|place N: .*is not on", "N", reason)[:60]
    return "accepted"


@click.command()
@click.option("--seconds", default=300.0, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(seconds: float, seed: int) -> None:
    """Try changed packs for some time; exit code 1 on a find."""
    some, seen = random.Random(seed), Counter[str]()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="fuzz-packs-", dir=memory))
    model, start = save_colour_model(folder / "a.pt", labels=LABELS), folder / "seed.places"
    rewriting.add_references(model, MODEL, PLACES)
    encoder = artifact.load(model).encoder
    write_pack(start, encoder, PLACES, SIZES, private=False, learned="yes")
    whole, slowest, end = start.read_bytes(), 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        path = made(some, folder, whole, encoder)
        begun = time.process_time()
        try:
            seen[used(path, encoder)] += 1
            if some.randrange(LOADED) == 0:
                in_model(path, model)
        except Exception as error:
            kept = path.replace(folder / "find.places")
            click.echo(f"{kept}: {type(error).__name__}: {error}", err=True)
            raise
        slowest = max(slowest, time.process_time() - begun)
    click.echo(f"{seen.total():,} packs, {seen['accepted']:,} accepted, slowest {slowest:.3f} s")
    for reason, count in seen.most_common():
        click.echo(f"{count:9,}  {reason}")


if __name__ == "__main__":
    main()
