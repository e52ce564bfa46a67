"""Packs that are edited: the user's own one, and any other file, by one process at a time."""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import platformdirs

from tagger.errors import RunError
from tagger.places.distance import distance_m
from tagger.places.in_model import model_bytes, places_in
from tagger.places.known import KnownPlaces
from tagger.places.landmarks import load_landmarks
from tagger.places.opening import open_pack
from tagger.places.pack import SUFFIX, Pack, PackPlace, PlaceReference, foreign
from tagger.places.pack_writing import write_pack
from tagger.records import Landmark
from tagger.storage.named_files import no_link
from tagger.system import lock

NOT = "not:"  # begins the slug of photos that do not show a place
FARTHEST_M = 2_000  # that photos of one place lie apart, unless a radius says more


def own_path() -> Path:
    """The pack of this user, for example ~/.local/share/landmark-tag/mine.places."""
    return platformdirs.user_data_path("landmark-tag", appauthor=False) / f"mine{SUFFIX}"


def opened(paths: tuple[Path, ...], own: bool) -> list[Pack]:
    """The packs of a run: the user's own where there is one and ``own``, and those named.

    Raises:
        RunError: one cannot be used, or two have the same name.
    """
    mine = own_path()
    chosen = [mine] if own and mine.exists() and mine not in paths else []
    packs = [open_pack(path) for path in (*chosen, *paths)]
    names = [pack.name for pack in packs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise RunError(f"--pack: two packs are called {', '.join(twice)}; rename one of the files")
    return packs


def known_places(packs: tuple[Path, ...] = (), model: Path | None = None) -> dict[str, Landmark]:
    """All places that a report may name.

    Args:
        packs: files whose places are known too.
        model: a model file that may bring places.

    Returns:
        the landmarks, the user's own places where their pack can be read, and those, by slug.

    Raises:
        RunError: one of these files cannot be used.
    """
    try:
        places = opened(packs, own=True)
    except RunError:
        places = opened(packs, own=False)
    brought = places_in(model_bytes(model), str(model)) if model else {}
    return dict(KnownPlaces(places, {**load_landmarks(), **brought}))


class Editing:
    """The places of a pack by slug, to be changed; ``private`` is the pack's flag."""

    def __init__(self, pack: Pack | None, private: bool) -> None:
        self.places = {place.landmark.slug: place for place in pack.places()} if pack else {}
        self.private = pack.private if pack else private

    def add(self, place: PackPlace) -> int:
        """Add a place, or photos to the one of that slug; how many were not known yet.

        Raises:
            RunError: the one of that slug is another place.
        """
        slug = place.landmark.slug
        before = self.places.get(slug)
        if before and place.named:
            see_one_place(before.landmark, place.landmark)
        references = list(before.references) if before else []
        known, count = set(map(_identity, references)), len(references)
        for one in place.references:
            if (identity := _identity(one)) not in known:
                references.append(one)
                known.add(identity)
        self.places[slug] = replace(place, references=tuple(references))
        return len(references) - count

    def find(self, name: str, named: bool = True) -> PackPlace | None:
        """The place of that name or slug, or if not ``named`` what is not it."""
        places = (one for one in self.places.values() if one.named is named)
        return next((one for one in places if is_called(one.landmark, name)), None)


def _identity(photo: PlaceReference) -> str | bytes:
    """What tells a photo from others: its SHA-256, or what is kept of it."""
    return photo.facts.get("sha256") or photo.embedding.tobytes() + photo.codes.tobytes()


@contextmanager
def editing(
    path: Path, encoder: str, sizes: tuple[int, int], private: bool, anew: bool = False
) -> Iterator[Editing]:
    """Change a pack: one process at a time, written in one step at the end of the block.

    A new pack without places is not written.

    Args:
        path: the file, which need not be there yet.
        encoder: that all references have to be of; empty for whatever the pack has.
        sizes: see :func:`write_pack`.
        private: of a new pack.
        anew: all references will be made again, by ``encoder``.

    Raises:
        RunError: it cannot be used or written, or is of another encoder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        gate = open(path.with_name(f"{path.name}.lock"), "ab", opener=no_link)  # noqa: SIM115
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); choose another place with --pack"
        ) from error
    with gate:
        lock(gate, wait=True)
        pack = open_pack(path) if path.exists() else None
        if pack and encoder and pack.encoder != encoder and not anew:
            raise foreign(pack)
        if pack and not anew:
            sizes = pack.embeddings.shape[1], pack.codes.shape[1]
        edited = Editing(pack, private)
        yield edited
        made_by = encoder or (pack.encoder if pack else "")
        if pack or edited.places:
            write_pack(path, made_by, edited.places.values(), sizes, edited.private)


def far_apart_m(one: Landmark, other: Landmark) -> float:
    """Metres between two places that lie too far apart to be the same, else 0."""
    away = distance_m((one.latitude, one.longitude), (other.latitude, other.longitude))
    return away if away > max(FARTHEST_M, one.radius_m, other.radius_m) else 0.0


def see_one_place(known: Landmark, other: Landmark) -> None:
    """Make sure that two places of one name are the same: else the photos of one would move.

    Raises:
        RunError: they lie too far apart.
    """
    if away := far_apart_m(known, other):
        raise RunError(
            f"{other.name}: another place of that name lies {away / 1000:,.0f} km away; give one "
            "of them another name, leave one out, or forget the known one (places forget NAME)"
        )


def new_landmark(name: str, latitude: float, longitude: float, radius_m: int) -> Landmark:
    return Landmark(
        slug_of(name), name, name, latitude, longitude, radius_m, "", "", "", "", "", "point", ""
    )


def is_called(place: Landmark, name: str) -> bool:
    """Whether that is the place's name or slug, the pack's own name before it left out."""
    return slug_of(name) in (place.slug.rpartition("/")[2], slug_of(place.name))


def slug_of(name: str) -> str:
    """A name as a slug: small letters of any language, digits, and _ between them."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    letters = "".join(letter if letter.isalnum() else " " for letter in plain)
    return "_".join(letters.split())
