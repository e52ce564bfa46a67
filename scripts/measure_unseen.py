"""How well photos are tagged whose repositories gave nothing to learn from.

    python scripts/fetch_more_photos.py DIR --table scripts/unseen_photos.csv
    python scripts/measure_unseen.py DIR --seen DATA/test

DIR has a folder of photos for each place, known or not. The photos of known landmarks are compared
with those in --seen, of repositories that were learned from, of the same landmarks: how many fewer
are tagged right? Both weigh each landmark as often as DIR has photos of it. Intervals are 95 %, by
bootstrap over repositories. Copies of photos that were learned, or of each other, are left out.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from tagger.errors import PhotoError
from tagger.evidence.decide import MIN_CONF
from tagger.imaging.decode import to_views
from tagger.model import DEFAULT_MODEL, artifact
from tagger.model.classifier import Classifier
from tagger.places.embeddings import unit
from tagger.places.landmarks import load_landmarks
from tagger.storage.suffixes import PHOTO_SUFFIXES
from tagger.terminal import counted

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from train.measure.where import beside

COPY = 0.94  # cosine to a photo that was learned, or to another one, from which it is left out
DRAWS, TOGETHER = 2000, 32


@dataclass(frozen=True)
class Asked:
    """A photo, the place it shows, and what it is tagged: the place, one beside it, or another."""

    slug: str
    repository: str
    known: bool
    tagged: bool
    right: bool

    @property
    def wrong(self) -> bool:
        return self.tagged and not self.right


def repository_of(name: str) -> str:
    """The repository in a name that ``fetch_more_photos.py`` gave.

    >>> repository_of("owner_site__images_Hampi.jpg")
    'owner_site'
    """
    return name.partition("__")[0]


def asked(
    folder: Path, classifier: Classifier, learned: np.ndarray | None = None
) -> Iterator[Asked]:
    """All photos in the folders of a folder, in order of their names.

    Without copies of each other and of photos whose embeddings [P, E] are ``learned``, if given.
    """
    table = load_landmarks()
    paths = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in PHOTO_SUFFIXES)
    for start in range(0, len(paths), TOGETHER):
        some = paths[start : start + TOGETHER]
        pairs = []
        for path in some:
            try:
                view = to_views(path.read_bytes(), classifier.image_size, classifier.resize)
                pairs.append((path, view))
            except PhotoError as error:
                click.echo(f"{path}: left out ({error})", err=True)
        both = classifier.references_and_guesses([view for _, view in pairs])
        for (path, _), (reference, guess) in zip(pairs, both, strict=True):
            place = unit(reference.embedding[None])
            if learned is not None:
                if (learned @ place[0]).max() >= COPY:
                    continue
                learned = np.concatenate([learned, place])
            slug, best = path.parent.name, guess.candidates[0] if guess.candidates else None
            tagged = bool(best and best.confidence >= MIN_CONF)
            right = bool(best and tagged and best.slug == slug)
            if best and tagged and not right and slug in table:
                right = bool(beside([table[slug], table[best.slug]])[0, 1])
            known_place = slug in classifier.landmarks
            yield Asked(slug, repository_of(path.name), known_place, tagged, right)


def lost(unseen: Sequence[Asked], seen: Sequence[Asked], seed: int = 0) -> np.ndarray:
    """Shares tagged right [3, 3] of unseen, of seen photos and the difference, each with interval.

    Landmarks that ``seen`` has no photo of do not count.
    """
    by_landmark = defaultdict(list)
    for photo in seen:
        by_landmark[photo.slug].append(photo.right)
    common = [photo for photo in unseen if photo.slug in by_landmark]
    shares = np.array([(one.right, np.mean(by_landmark[one.slug])) for one in common], float)
    shares = np.column_stack([shares, shares[:, 1] - shares[:, 0]])
    middle, low, high = drawn(shares, [one.repository for one in common], seed)
    return np.column_stack([middle, low, high])


def drawn(values: np.ndarray, groups: Sequence[str], seed: int = 0) -> np.ndarray:
    """The means of [N, K] numbers, and their 95 % intervals by bootstrap over groups: [3, K]."""
    names, own = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, own, values)
    counts = np.bincount(own)
    chosen = np.random.default_rng(seed).integers(0, len(names), (DRAWS, len(names)))
    means = sums[chosen].sum(1) / counts[chosen].sum(1)[:, None]
    return np.vstack([values.mean(0), np.quantile(means, [0.025, 0.975], axis=0)])


def described(photos: Sequence[Asked], of: str) -> str:
    places, homes = {p.slug for p in photos}, {p.repository for p in photos}
    values = np.array([(photo.right, photo.wrong) for photo in photos], float)
    shares = drawn(values, [photo.repository for photo in photos]) * 100
    return (
        f"{of}: {counted(len(photos), 'photo')}, {counted(len(places), 'place')}, "
        f"{len(homes)} {'repository' if len(homes) == 1 else 'repositories'}; "
        f"tagged right {shares[0, 0]:.1f} % ({shares[1, 0]:.1f} to {shares[2, 0]:.1f}), "
        f"wrong {sum(photo.wrong for photo in photos)} = "
        f"{shares[0, 1]:.1f} % ({shares[1, 1]:.1f} to {shares[2, 1]:.1f})"
    )


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--seen", type=click.Path(path_type=Path, exists=True), multiple=True)
@click.option("--model", default=DEFAULT_MODEL, type=click.Path(path_type=Path, exists=True))
def main(folder: Path, seen: tuple[Path, ...], model: Path) -> None:
    classifier = Classifier(model, "cpu")
    references = artifact.load(model).references
    if references is None:
        raise click.UsageError(f"--model {model}: has no references; use one made by transfer")
    photos = list(asked(folder, classifier, unit(references.embeddings)))
    known = [photo for photo in photos if photo.known]
    others = [photo for photo in photos if not photo.known]
    for some, what in ((known, "known landmarks"), (others, "places that it does not know")):
        if some:
            click.echo(described(some, what))
    before = [one for place in seen for one in asked(place, classifier)]
    common = {photo.slug for photo in before} & {photo.slug for photo in known}
    if common:
        rows = lost(known, before) * 100
        count = sum(photo.slug in common for photo in known)
        click.echo(f"landmarks of which --seen has photos: {len(common)}, photos: {count}")
        for name, row in zip(("unseen repositories", "learned", "lost"), rows, strict=True):
            click.echo(f"  {name}: {row[0]:.1f} ({row[1]:.1f} to {row[2]:.1f})")


if __name__ == "__main__":
    main()
