"""Lists the photos of folders: classes by folder name, negatives with their origin."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import RunError
from tagger.places.landmarks import load_landmarks
from tagger.records import Landmark
from tagger.storage.suffixes import PHOTO_SUFFIXES, suffix
from train.photos.tables import origins_of

NO_LANDMARK = -1
# Reserved kinds: class photos, and those whose class is masked.
STRANGER = "stranger"  # landmarks that are not learned
RESERVED = ("landmark", "unknown", STRANGER)
FEW = "few"  # a folder of classes to learn, so that they are told apart, but not to ship


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo: its class as an index into ``labels`` or NO_LANDMARK, and where it comes from."""

    path: Path
    label: int
    source: str = ""

    @property
    def kind(self) -> str:
        """``landmark``, or the kind of negative: ``near``, ``far`` or its folder's name."""
        return "landmark" if self.label >= 0 else self.source.split("/")[0]


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """One folder of class folders: slugs of places, and photos sorted by path."""

    labels: tuple[str, ...]
    samples: tuple[Sample, ...]


def read_folder(
    directory: Path,
    labels: Sequence[str] | None = None,
    landmarks: Mapping[str, Landmark] | None = None,
    skip: bool = False,
) -> ClassFolder:
    """List ``directory/<class folder>/*``; ``00.Some_Place`` and ``some place`` name some slug.

    Args:
        directory: a folder of class folders, ``DIR/train`` for instance.
        labels: the order of classes to keep to (that of a model); by name when left out.
        landmarks: the table that names are looked up in; landmarks.csv when left out.
        skip: leave classes out that ``labels`` do not name, instead of refusing them.

    Raises:
        RunError: the folder is missing, a class is empty, alone or unknown; with the remedy.
    """
    table = load_landmarks() if landmarks is None else landmarks
    folders = _class_folders(directory, 1 if skip else 2)
    if skip:
        folders = [folder for folder in folders if _known(folder.name, table, labels or ())]
    slugs = {folder: _slug(folder.name, table, directory) for folder in folders}
    order = tuple(labels) if labels is not None else tuple(sorted(slugs.values()))
    twice = {slug for slug in slugs.values() if list(slugs.values()).count(slug) > 1}
    if twice:
        raise RunError(f"{directory}: two folders mean {', '.join(sorted(twice))}; merge them")
    missing = [slug for slug in slugs.values() if slug not in order]
    if missing:
        raise RunError(f"{directory}: the model does not know {', '.join(missing)}; leave them out")
    samples, origin = [], origins_of(directory.parent)
    for folder in folders:
        photos = list(_photos(folder))
        if not photos:
            raise RunError(f"{folder}: no photos in this class; add some or remove the folder")
        for path in photos:
            source = origin.get(path.relative_to(directory.parent).as_posix(), folder.name)
            samples.append(Sample(path, order.index(slugs[folder]), source))
    return ClassFolder(order, tuple(samples))


def read_folders(
    directories: Sequence[Path],
    least: int = 1,
    left_out: Collection[Path] = (),
    landmarks: Mapping[str, Landmark] | None = None,
    wanted: int = 2,
    meant_in: Collection[Path] | None = None,
) -> tuple[ClassFolder, tuple[str, ...]]:
    """One set of classes of several folders of class folders, each read as by ``read_folder``.

    Where a ``manifest.csv`` lies beside a folder, a photo's ``source`` is the collection it names.

    Args:
        directories: ``DIR/train`` for instance; a class may have photos in several.
        least: a class of fewer photos goes behind the others, for it is learned but not shipped. So
            does one that is in folders called FEW only.
        left_out: photos not to take, by their resolved paths.
        landmarks: the table that names are looked up in; landmarks.csv when left out. A folder that
            it does not know is an error, except where the class is too small to ship anyhow.
        wanted: how many classes there have to be: a classifier needs two.
        meant_in: those of the folders whose classes may ship; all but FEW when left out.

    Returns:
        the classes of ``least`` photos and more first, and the names of those classes; samples of
        the smaller ones have labels beyond.
    """
    table = load_landmarks() if landmarks is None else landmarks
    by_slug: dict[str, list[tuple[Path, str]]] = defaultdict(list)
    unknown: dict[str, Path] = {}
    meant: set[str] = set()
    for directory in directories:
        origin = origins_of(directory.parent)
        for folder in _class_folders(directory, max(1, wanted)):
            try:
                slug = _slug(folder.name, table, directory)
            except RunError:
                slug = folder.name
                unknown[slug] = folder
            if directory.name != FEW if meant_in is None else directory in meant_in:
                meant.add(slug)
            photos = list(_photos(folder))
            if not photos:
                raise RunError(f"{folder}: no photos in this class; add some or remove the folder")
            for path in photos:
                if path.resolve() not in left_out:
                    inside = path.relative_to(directory.parent).as_posix()
                    by_slug[slug].append((path, origin.get(inside, folder.name)))
    shipped = tuple(
        sorted(s for s, photos in by_slug.items() if s in meant and len(photos) >= least)
    )
    for slug in shipped:
        if slug in unknown:
            raise RunError(_without_place(unknown[slug]))
    if len(shipped) < wanted:
        raise RunError(f"{directories[0]}: {len(shipped)} classes of {least} photos; give more")
    labels = (*shipped, *sorted(set(by_slug) - set(shipped)))
    samples = [
        Sample(path, label, source)
        for label, slug in enumerate(labels)
        for path, source in by_slug[slug]
    ]
    return ClassFolder(labels, tuple(samples)), shipped


def learned_folders(places: Iterable[Path]) -> list[Path]:
    """The folders of class folders to learn from below each of some places."""
    return [
        folder
        for place in places
        for folder in (place / "train", place / FEW)
        if folder.name == "train" or folder.is_dir()
    ]


def read_negatives(
    directory: Path, part: str = "", left_out: Collection[Path] = ()
) -> tuple[Sample, ...]:
    """List photos that show no landmark, in folders of any depth.

    ``source`` is the kind (first folder below, ``near`` for instance) and, where a ``manifest.csv``
    with the columns ``file`` and ``source repo`` lies in ``directory``, the collection.

    Args:
        directory: the folder of negatives.
        part: ``train`` or ``test``: that folder below ``directory``, or all of ``directory`` where
            it is not parted so.
        left_out: photos not to take, by their resolved paths.

    Raises:
        RunError: the folder, the part of it or photos are missing, or a kind has a reserved name.
    """
    if not directory.is_dir():
        raise RunError(f"{directory}: no such folder; give the folder of photos without landmarks")
    root = directory / part
    if not root.is_dir():
        # All of a parted folder would mix photos that were trained on with those to measure on.
        if any((directory / name).is_dir() for name in ("train", "test")):
            raise RunError(f"{root}: no such folder beside train or test; put photos there")
        root = directory
    origin = origins_of(directory)
    samples = []
    for path in _photos(root):
        if path.resolve() in left_out:
            continue
        kind = path.relative_to(root).parts[0] if path.parent != root else root.name
        if kind in RESERVED:
            raise RunError(f"{root}: no kind of negatives can be called {kind}; rename the folder")
        collection = origin.get(path.relative_to(directory).as_posix(), "")
        samples.append(Sample(path, NO_LANDMARK, f"{kind}/{collection}"))
    if not samples:
        raise RunError(f"{root}: no photos in it; give a folder of photos without landmarks")
    return tuple(samples)


def _class_folders(directory: Path, least: int = 2) -> list[Path]:
    if not directory.is_dir():
        raise RunError(f"{directory}: no such folder; --data DIR must hold train/<class>/*.jpg")
    folders = sorted(
        path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if len(folders) < least:
        raise RunError(f"{directory}: {len(folders)} class folders; a classifier needs two or more")
    return folders


def _slug(folder: str, table: Mapping[str, Landmark], directory: Path) -> str:
    """The slug that a folder's name stands for, ignoring its leading number."""
    wanted = {_plain(folder), _plain(re.sub(r"^\d+[.\s_-]+", "", folder))}
    for slug, landmark in table.items():
        if {_plain(slug), _plain(landmark.name), _plain(landmark.local_name)} & wanted:
            return slug
    raise RunError(_without_place(directory / folder))


def _without_place(folder: Path) -> str:
    return (
        f"{folder}: not known where that is; give a table with a row for it (folder, latitude, "
        "longitude) as --places FILE or as places.csv beside train, or rename the folder"
    )


def _known(folder: str, table: Mapping[str, Landmark], labels: Sequence[str]) -> bool:
    try:
        return _slug(folder, table, Path()) in labels
    except RunError:
        return False


def _plain(name: str) -> str:
    """Letters and digits only, no case, no accents."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in letters if character.isalnum())


def _photos(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if suffix(path.name) in PHOTO_SUFFIXES and not path.name.startswith("."):
            yield path


def count_by_label(samples: Iterable[Sample]) -> dict[int, int]:
    """How many photos each label has."""
    counts: dict[int, int] = defaultdict(int)
    for sample in samples:
        counts[sample.label] += 1
    return dict(counts)
