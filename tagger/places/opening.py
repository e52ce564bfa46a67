"""Opens a pack: maps it, and checks each number that could lead out of it."""

from pathlib import Path

import numpy as np

from tagger.errors import RunError
from tagger.places import arrays
from tagger.places.arrays import Array, Arrays, ArraysError
from tagger.places.embeddings import width
from tagger.places.pack import FORMAT, Pack, refusal

# Bytes up to which all of a pack is compared with its checksum when it is opened, in 0.2 s.
CHECKED = 256_000_000
READ = 5000  # places up to which each one is read when a pack is opened


def open_pack(path: Path, data: bytes | None = None) -> Pack:
    """Map a pack and check it; of one larger than CHECKED its checksum is left to ``check``.

    Args:
        path: where it is.
        data: its bytes, where they have been read, or are part of another file; of them the pack
            is a view.

    Raises:
        RunError: it cannot be read, or is not a whole pack; why, and the remedy.
    """
    try:
        source: Path | bytes = path if data is None else data
        size = path.stat().st_size if data is None else len(data)
        held = arrays.read(source)
        _fits(held)
        if size <= CHECKED and arrays.digest(source) != held.facts[arrays.CONTENT]:
            raise ArraysError("damaged: its checksum is another")
    except ArraysError as error:
        raise refusal(path, str(error)) from error
    except OSError as error:
        raise RunError(
            f"{path}: cannot be read ({error.strerror}); give the path of a pack"
        ) from error
    pack = Pack(path, held)
    if len(pack) <= READ:
        for number in range(len(pack)):
            pack.landmark(number)
    return pack


def _fits(held: Arrays) -> None:
    """See that facts and arrays are those of a pack, and that no number leads out of an array."""
    form = held.facts.get("format", "")
    if form != FORMAT:
        was = f"its format is {form[:40]!r}" if form else "it is not a pack of landmark-tag"
        raise ArraysError(f"{was}, this version reads {FORMAT!r}")
    if not held.facts.get("encoder") or not held.facts.get(arrays.CONTENT):
        raise ArraysError("it does not say which encoder made it")
    a = held.arrays
    kinds = {
        "owners": ("i4", 1), "embeddings": ("i1", 2), "points": ("i8", 1), "codes": ("u1", 2),
        "spots": ("u1", 2), "bits": ("u1", 2), "places": ("u1", 1), "photos": ("u1", 1),
        "places_begin": ("i8", 1), "photos_begin": ("i8", 1),
    }  # fmt: skip
    for name, (kind, dimensions) in kinds.items():
        if name not in a or a[name].dtype != np.dtype(kind) or a[name].ndim != dimensions:
            raise ArraysError(f"its array {name!r} is missing, or of another kind")
    references, places = len(a["owners"]), len(a["places_begin"]) - 1
    fits = (
        len(a["embeddings"]) == references
        and len(a["codes"]) == len(a["spots"])
        and a["spots"].shape[1] == 3
        and _spans(a["points"], references, len(a["codes"]))
        and _spans(a["photos_begin"], references, len(a["photos"]))
        and _spans(a["places_begin"], places, len(a["places"]))
        and a["bits"].shape == (references, width(a["embeddings"].shape[1]))
        and (not references or (a["owners"].min() >= 0 and a["owners"].max() < places))
    )
    if not fits:
        raise ArraysError("its arrays do not fit together")


def _spans(begin: Array, count: int, end: int) -> bool:
    """Whether they cut ``end`` things into ``count`` spans."""
    whole = len(begin) == count + 1 > 0 and begin[0] == 0 and begin[-1] == end
    return bool(whole and (np.diff(begin) >= 0).all())
