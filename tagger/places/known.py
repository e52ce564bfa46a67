"""All places that a run can name: the landmarks that ship and those of packs, by slug."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from tagger.places.landmarks import load_landmarks
from tagger.places.pack import Pack
from tagger.records import Landmark


class KnownPlaces(Mapping[str, Landmark]):
    """Shipped landmarks by slug; a pack's by ``pack/slug``, read when they are asked for."""

    def __init__(self, packs: Sequence[Pack] = (), shipped: Mapping[str, Landmark] | None = None):
        self._shipped = load_landmarks() if shipped is None else shipped
        self._packs = {pack.name: pack for pack in packs}

    def __getitem__(self, slug: str) -> Landmark:
        if slug in self._shipped:
            return self._shipped[slug]
        name, _, own = slug.partition("/")
        pack = self._packs.get(name)
        number = pack.find(own) if pack else None
        if pack is None or number is None or not pack.named(number):
            raise KeyError(slug)
        return pack.landmark(number)

    def __iter__(self) -> Iterator[str]:
        yield from self._shipped
        for pack in self._packs.values():
            yield from (pack.slug(n) for n in range(len(pack)) if pack.named(n))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Names(Mapping[str, str]):
    """The name of each place by slug."""

    def __init__(self, places: Mapping[str, Landmark]) -> None:
        self._places = places

    def __getitem__(self, slug: str) -> str:
        return self._places[slug].name

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def pack_of(slug: str) -> str:
    """The pack that a place's slug names, or nothing for a landmark that ships."""
    return slug.partition("/")[0] if "/" in slug else ""


def with_packs(sha256: str, packs: Sequence[Pack]) -> str:
    """What tells guesses apart that are made with other packs: the model's SHA-256 and theirs."""
    if not packs:
        return sha256
    whole = hashlib.sha256(sha256.encode())
    for pack in sorted(packs, key=lambda one: one.name):
        whole.update(f"{pack.name} {pack.content}".encode())
    return whole.hexdigest()
