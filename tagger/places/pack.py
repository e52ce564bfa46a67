"""A pack: places and reference photos of them in one file, bound to the encoder that made them."""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import RunError
from tagger.places import arrays
from tagger.places.arrays import Arrays
from tagger.places.table import place_of
from tagger.records import Landmark

FORMAT = "landmark-tag-places/1"
SUFFIX = ".places"
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
        encoder: what made the references, see :func:`tagger.model.learning.encoder_of`.
        private: whether it must not leave this machine unasked.
        learned: of photos of a model's landmarks, ``yes`` if its network learned them, or ``no``;
            of other packs nothing.
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
        self.learned = held.facts.get("learned", "")
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
        exists = number < len(self) and self._place(number)["slug"] == slug
        return number if exists else None

    def place(self, number: int) -> PackPlace:
        """A place with copies of its references."""
        facts = self._place(number)
        rows = np.flatnonzero(self.owners == number)
        return PackPlace(
            replace(self.landmark(number), slug=str(facts["slug"])),
            tuple(self.reference(row) for row in rows.tolist()),
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
