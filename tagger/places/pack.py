"""A pack: places and reference photos of them in one file, bound to the encoder that made them."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import RunError
from tagger.places import arrays
from tagger.places.arrays import Array, Arrays, ArraysError
from tagger.places.table import TEXTS, place_of
from tagger.records import Landmark

FORMAT = "landmark-tag-places/1"
SUFFIX = ".places"
# Bytes up to which all of a pack is compared with its checksum when it is opened, in 0.2 s.
CHECKED = 256_000_000
READ = 5000  # places up to which each one is read when a pack is opened
MOST = 4096  # characters of one place's or photo's facts


@dataclass(frozen=True, slots=True)
class PlaceReference:
    """A photo of a place, as the encoder sees it.

    Attributes:
        embedding: int8 [E], in any unit.
        codes, spots: uint8 [N, M] and [N, 3], its local features as References keeps them.
        facts: what is known of the photo: licence, source, sha256, and for the own pack its path.
    """

    embedding: NDArray[np.int8]
    codes: NDArray[np.uint8]
    spots: NDArray[np.uint8]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PackPlace:
    """A place of a pack with its photos.

    ``named`` is False for photos of which a person said that they do not show the place of that
    name: they are known, so that nothing like them is taken for it, and never named.
    """

    landmark: Landmark
    references: tuple[PlaceReference, ...]
    licence: str = ""
    named: bool = True


class Pack:
    """A pack that is open: its arrays are mapped, its places are read when they are asked for.

    Attributes:
        path, name: the file, and its name without suffix.
        encoder: what made the references, see :func:`tagger.model.artifact.encoder`.
        private: whether it must not leave this machine unasked.
        content: SHA-256 of its arrays, in hex.
        owners: int32 [R], the place of each reference.
        embeddings: int8 [R, E].
        points: int64 [R + 1], where each reference's codes and spots begin.
        codes, spots: uint8 [N, M] and [N, 3].
        bits: uint8 [R, 8 W], the signs of the embeddings, see :mod:`tagger.places.search`.
    """

    def __init__(self, path: Path, held: Arrays) -> None:
        self.path, self.name = path, path.stem
        self.encoder, self.content = held.facts["encoder"], held.facts[arrays.CONTENT]
        self.private = held.facts.get("private") != "no"
        self.owners: NDArray[np.int32] = held.arrays["owners"]
        self.embeddings: NDArray[np.int8] = held.arrays["embeddings"]
        self.points: NDArray[np.int64] = held.arrays["points"]
        self.codes: NDArray[np.uint8] = held.arrays["codes"]
        self.spots: NDArray[np.uint8] = held.arrays["spots"]
        self.bits: NDArray[np.uint8] = held.arrays["bits"]
        self._rows = {"places": held.arrays["places"], "photos": held.arrays["photos"]}
        self._begin = {name: held.arrays[f"{name}_begin"] for name in self._rows}
        self.counts = np.bincount(self.owners, minlength=len(self)).astype(np.int64)

    def __len__(self) -> int:
        return len(self._begin["places"]) - 1

    def slug(self, number: int) -> str:
        """How reports and ledger name a place: the pack and the place."""
        return f"{self.name}/{self._place(number)['slug']}"

    def named(self, number: int) -> bool:
        return self._place(number).get("named", True) is not False

    def landmark(self, number: int) -> Landmark:
        """A place, without its photos.

        Raises:
            RunError: what the pack says of it is not a place.
        """
        facts = self._place(number)
        try:
            return place_of(facts, f"{self.name}/{facts['slug']}")
        except (KeyError, ValueError, TypeError) as error:
            raise self._damaged(f"place {number + 1}: {error}") from error

    def find(self, slug: str) -> int | None:
        """The number of the place of that slug (without the pack's name)."""
        number = bisect_left(range(len(self)), slug, key=lambda n: str(self._place(n)["slug"]))
        found = number < len(self) and self._place(number)["slug"] == slug
        return number if found else None

    def place(self, number: int) -> PackPlace:
        """A place with copies of its references."""
        facts = self._place(number)
        found = np.flatnonzero(self.owners == number)
        return PackPlace(
            replace(self.landmark(number), slug=str(facts["slug"])),
            tuple(self.reference(row) for row in found.tolist()),
            str(facts.get("licence", "")),
            self.named(number),
        )

    def reference(self, row: int) -> PlaceReference:
        start, end = self.points[row : row + 2]
        return PlaceReference(
            self.embeddings[row].copy(), self.codes[start:end].copy(),
            self.spots[start:end].copy(), self.photo(row),
        )  # fmt: skip

    def photo(self, row: int) -> dict[str, str]:
        """What is known of a reference's photo."""
        return {key: str(value) for key, value in self._row("photos", row).items()}

    def places(self) -> Iterator[PackPlace]:
        """All places with their references, sorted by slug."""
        order = np.argsort(self.owners, kind="stable")
        ends = np.concatenate([[0], np.cumsum(self.counts)])
        for number in range(len(self)):
            rows = order[ends[number] : ends[number + 1]].tolist()
            facts = self._place(number)
            yield PackPlace(
                replace(self.landmark(number), slug=str(facts["slug"])),
                tuple(map(self.reference, rows)), str(facts.get("licence", "")), self.named(number),
            )  # fmt: skip

    def check(self) -> None:
        """Compare all of it with its checksum, and read every place and photo.

        Raises:
            RunError: it is damaged.
        """
        if arrays.digest(self.path) != self.content:
            raise self._damaged("its checksum is another")
        slugs = []
        for number in range(len(self)):
            self.landmark(number)
            slugs.append(self._place(number)["slug"])
        if sorted(set(slugs)) != slugs:
            raise self._damaged("its places are not in order")
        for row in range(len(self.owners)):
            self.photo(row)

    def _place(self, number: int) -> dict[str, Any]:
        facts = self._row("places", number)
        if not isinstance(facts.get("slug"), str):
            raise self._damaged(f"place {number + 1} has no slug")
        return facts

    def _row(self, kind: str, number: int) -> dict[str, Any]:
        start, end = self._begin[kind][number : number + 2].tolist()
        try:
            facts = json.loads(self._rows[kind][start:end].tobytes()) if end - start <= MOST else 0
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"row {number + 1} of its {kind} cannot be read") from error
        if not isinstance(facts, dict):
            raise self._damaged(f"row {number + 1} of its {kind} cannot be read")
        return facts

    def _damaged(self, how: str) -> RunError:
        return refusal(self.path, how)


def refusal(path: Path, how: str) -> RunError:
    return RunError(f"{path}: not a pack that can be used: {how}; copy it anew or leave it out")


def foreign(pack: Pack) -> RunError:
    return RunError(
        f"{pack.path}: its photos were learned with another model than the one in use; learn them "
        "again (landmark-tag places relearn), or get the pack made for this model"
    )


def open_pack(path: Path) -> Pack:
    """Map a pack and check it; of one larger than CHECKED its checksum is left to ``check``.

    Raises:
        RunError: it cannot be read, or is not a whole pack; why, and the remedy.
    """
    try:
        held = arrays.read(path)
        _fits(held)
        if path.stat().st_size <= CHECKED and arrays.digest(path) != held.facts[arrays.CONTENT]:
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


def write_pack(
    path: Path, encoder: str, places: Iterable[PackPlace], sizes: tuple[int, int], private: bool
) -> None:
    """Write a pack that fits into memory; :mod:`train.packs` writes the others.

    Args:
        path: where to; what is there is replaced in one step.
        encoder: see :class:`Pack`.
        places: in any order, no slug twice.
        sizes: E and M, where there are no references to tell.
        private: see :class:`Pack`.

    Raises:
        RunError: it cannot be written, or a place is none.
    """
    chosen = sorted(places, key=lambda place: place.landmark.slug)
    rows = [reference for place in chosen for reference in place.references]
    facts = [place_facts(place) for place in chosen]
    photos = [packed_facts(dict(row.facts)) for row in rows]
    counts = [len(place.references) for place in chosen]
    own = np.repeat(np.arange(len(chosen), dtype=np.int32), counts)
    empty = np.zeros((0, sizes[0]), np.int8)
    embeddings = np.stack([row.embedding for row in rows]) if rows else empty
    held: dict[str, Array] = {
        "owners": own,
        "embeddings": embeddings,
        "bits": signs(embeddings),
        "points": begins([len(row.codes) for row in rows]),
        "codes": np.concatenate(
            [np.zeros((0, sizes[1]), np.uint8), *(row.codes for row in rows)]),
        "spots": np.concatenate([np.zeros((0, 3), np.uint8), *(row.spots for row in rows)]),
        "places": joined(facts), "places_begin": begins(list(map(len, facts))),
        "photos": joined(photos), "photos_begin": begins(list(map(len, photos))),
    }  # fmt: skip
    save(path, encoder, private, held)


def save(path: Path, encoder: str, private: bool, held: Mapping[str, Any], **more: Any) -> None:
    """Write a pack's arrays; see :func:`tagger.places.arrays.write`.

    Raises:
        RunError: it cannot be written.
    """
    facts = {"format": FORMAT, "encoder": encoder, "private": "yes" if private else "no"}
    try:
        arrays.write(path, facts, held, **more)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); choose another place"
        ) from error


def place_facts(place: PackPlace) -> bytes:
    """The row of a place."""
    mark = place.landmark
    words = {
        name: text
        for name in TEXTS
        if (text := place.licence if name == "licence" else getattr(mark, name))
    }
    facts: dict[str, Any] = {
        **words, "latitude": mark.latitude, "longitude": mark.longitude, "radius_m": mark.radius_m,
    }  # fmt: skip
    if not place.named:
        facts["named"] = False
    try:
        place_of(facts, mark.slug)
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{mark.name or mark.slug}: not a place ({error}); correct it") from error
    return packed_facts(facts)


def packed_facts(facts: Mapping[str, Any]) -> bytes:
    data = json.dumps(facts, ensure_ascii=False).encode()
    if len(data) > MOST:
        raise RunError(f"{data[:60].decode(errors='replace')}...: too many words about one photo")
    return data


def width(size: int) -> int:
    """Bytes of the signs of an embedding of that size: whole words of 64 bits."""
    return 8 * -(-size // 64)


def signs(embeddings: NDArray[np.generic]) -> NDArray[np.uint8]:
    """A bit for each number of embeddings [N, E] that is above 0: uint8 [N, 8 W]."""
    bits = np.packbits(np.greater(embeddings, 0), axis=1)
    return np.pad(bits, ((0, 0), (0, width(embeddings.shape[1]) - bits.shape[1])))


def begins(counts: Sequence[int]) -> NDArray[np.int64]:
    """Where spans of these lengths begin and end."""
    return np.cumsum([0, *counts], dtype=np.int64)


def joined(rows: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(rows), np.uint8)
