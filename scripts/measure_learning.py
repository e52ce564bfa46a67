"""How well places are recognised that were learned from a few photos, by number of photos.

    python scripts/measure_learning.py --places DIR --others far=DIR --others near=DIR
    python scripts/measure_learning.py --model HELD_OUT.pt --places DIR ... --fit learned.json

DIR of --places has a folder of photos for each place; the network must not have learned them. In
each draw K photos of each place are learned as ``landmark-tag learn`` learns them, into a pack; the
other photos are classified as in a run. Photos of places that are not learned in a draw (half of
those with too few photos) count as unknown. --fit writes the rule of tagger/model/learned.py.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from tagger.errors import PhotoError
from tagger.imaging.decode import to_views
from tagger.model import DEFAULT_MODEL
from tagger.model.classifier import Classifier
from tagger.model.learned import LEAST, LearnedPlaces, merged
from tagger.model.local_features.matching import Features, describe
from tagger.model.local_features.weigh import Findings
from tagger.places.opening import open_pack
from tagger.places.own import new_landmark
from tagger.places.pack import PackPlace, PlaceReference
from tagger.places.pack_writing import write_pack
from tagger.records import Guess
from tagger.run.learn import photos_in

STRICT = 1.5  # logits by which a fitted rule is made stricter: a wrong place is worse than none
PULL = 0.3  # scikit-learn's C
SHARES = {"own": 1.0, "unknown": 0.25, "far": 0.25, "near": 0.3}  # of the mix that is fitted on
KINDS = ("unknown", "far", "near")


@dataclass(frozen=True, slots=True)
class PreparedPhoto:
    """A photo with everything known about it before places are learned."""

    kind: str
    place: str
    reference: PlaceReference
    features: Features
    embedding: NDArray[np.float32]
    seen: Findings
    guess: Guess


@dataclass(frozen=True, slots=True)
class DrawnPhoto:
    """The result for one photo in one draw; evidence and correctness before and after comparing."""

    kind: str
    place: str
    count: int
    confidence: float  # that of the learned place, 0 if the best guess is none
    right: bool
    evidence: tuple[NDArray[np.float32], NDArray[np.float32]]
    found: tuple[bool, bool]


@click.command()
@click.option("--model", type=Path, default=DEFAULT_MODEL)
@click.option("--places", type=Path, multiple=True, required=True)
@click.option("--others", multiple=True, help="far=DIR or near=DIR")
@click.option("--learned", default="3,5,10", show_default=True)
@click.option("--draws", default=20, show_default=True)
@click.option("--most", default=400, show_default=True, help="Photos of each of --others.")
@click.option("--min-conf", default=0.6, show_default=True)
@click.option("--fit", type=Path)
def main(
    model: Path, places: tuple[Path, ...], others: tuple[str, ...], learned: str, draws: int,
    most: int, min_conf: float, fit: Path | None,
) -> None:  # fmt: skip
    """Print the table."""
    classifier, some = Classifier(model, "cpu"), np.random.default_rng(0)
    photos = [
        photo
        for folder in places
        for place in sorted(one for one in folder.iterdir() if one.is_dir())
        for photo in looked(classifier, photos_in(place), "own", place.name)
    ]
    for kind, _, folder_ in (word.partition("=") for word in others):
        found = photos_in(Path(folder_))
        chosen = [found[i] for i in some.permutation(len(found))[:most]]
        photos += looked(classifier, chosen, kind, "")
    rows = [
        row
        for count in map(int, learned.split(","))
        for _ in range(draws)
        for row in draw(classifier, photos, count, some)
    ]
    click.echo("| learned | photos | right | wrong place | " + " | ".join(KINDS) + " |")
    click.echo("|---|---|---|---|---|---|---|")
    for count in sorted({row.count for row in rows}):
        click.echo(line([row for row in rows if row.count == count], count, min_conf))
    if fit:
        rule = [fitted(rows, step).round(4).tolist() for step in (0, 1)]
        fit.write_text(json.dumps({"rule": rule}, indent=1) + "\n", encoding="utf-8")


def looked(
    classifier: Classifier, paths: Sequence[Path], kind: str, place: str
) -> Iterator[PreparedPhoto]:
    """Each readable photo, with its embedding and local features."""
    weigher: Any = classifier._weigher
    for path in paths:
        try:
            views = to_views(path.read_bytes(), classifier.image_size, classifier.resize)
        except PhotoError:
            continue
        found, embeddings = classifier._look([views])
        row, embedding = found.numpy()[0], embeddings.numpy()[0]
        yield PreparedPhoto(
            kind, place, classifier.references([views])[0], describe(views.grey),
            weigher.placed(embeddings.numpy())[0], weigher.look(row, embedding)[0],
            classifier.classify([views])[0],
        )  # fmt: skip


def draw(
    classifier: Classifier, photos: Sequence[PreparedPhoto], count: int, some: np.random.Generator
) -> Iterator[DrawnPhoto]:
    """Learn ``count`` photos of each place that has more, and classify the others."""
    by_place = defaultdict(list)
    for photo in photos:
        if photo.kind == "own":
            by_place[photo.place].append(photo)
    learned, asked = [], [photo for photo in photos if photo.kind != "own"]
    for number, (name, own) in enumerate(sorted(by_place.items())):
        order = [own[i] for i in some.permutation(len(own))]
        if len(own) <= count or some.random() < 0.2:
            asked += order
            continue
        # Far from each other and from all landmarks, so that none is taken for another's spot.
        mark = new_landmark(name, -70 - number / 100, float(number % 360 - 180), 50)
        learned.append(PackPlace(mark, tuple(one.reference for one in order[:count])))
        asked += order[count:]
    known = {one.landmark.slug for one in learned}
    made_by, *sizes = classifier.made_by()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.places"
        write_pack(path, made_by, learned, (sizes[0], sizes[1]), private=True)
        pack = open_pack(path)
        shipped = [classifier.landmarks[label] for label in classifier._labels]
        judge = LearnedPlaces([pack], classifier._comparable(), shipped)

        def one(photo: PreparedPhoto) -> DrawnPhoto:
            torch.set_num_threads(1)
            slug = f"drawn/{new_landmark(photo.place, 0, 0, 1).slug}" if photo.place else ""
            kind = "unknown" if photo.kind == "own" and slug[6:] not in known else photo.kind
            first = judge.likest(photo.embedding, photo.seen)
            assert first
            near = judge._confidence(first, photo.seen, 0) >= LEAST
            again = judge.compared(photo.embedding, photo.seen, photo.features) if near else first
            judged = judge.judged(photo.embedding, photo.seen, lambda: photo.features)
            assert judged
            best = merged(photo.guess, judged, classifier.landmarks).best
            sure = best.confidence if best.slug.startswith("drawn/") else 0.0
            names = [pack.slug(candidate.number) == slug for candidate in (first, again)]
            return DrawnPhoto(
                kind, photo.place, count, sure, best.slug == slug,
                (first.evidence(photo.seen), again.evidence(photo.seen)), (names[0], names[1]),
            )  # fmt: skip

        with ThreadPoolExecutor() as pool:
            yield from pool.map(one, asked)


def line(rows: Sequence[DrawnPhoto], count: int, least: float) -> str:
    """One line of the table, in per cent; for photos of no learned place, the share tagged."""

    def share(chosen: Sequence[DrawnPhoto], is_so: Callable[[DrawnPhoto], bool]) -> str:
        hits = sum(row.confidence >= least and is_so(row) for row in chosen)
        return f"{100 * hits / len(chosen):.2f} ({hits} of {len(chosen)})" if chosen else ""

    own = [row for row in rows if row.kind == "own"]
    cells = [share(own, lambda row: row.right), share(own, lambda row: not row.right)]
    cells += [share([row for row in rows if row.kind == kind], lambda _: True) for kind in KINDS]
    return f"| {count} | {len(own)} | " + " | ".join(cells) + " |"


def fitted(rows: Sequence[DrawnPhoto], step: int) -> NDArray[np.float64]:
    """Logistic regression on a mix of which own photos are half."""
    from sklearn.linear_model import LogisticRegression

    evidence = np.stack([row.evidence[step] for row in rows])[:, 1:].astype(np.float64)
    kinds = np.array([row.kind for row in rows])
    right = np.array([row.kind == "own" and row.found[step] for row in rows])
    weights = np.zeros(len(rows))
    for kind, share in SHARES.items():
        weights[kinds == kind] = share / max(1, int((kinds == kind).sum()))
    mean, spread = evidence.mean(0), evidence.std(0) + 1e-6
    model = LogisticRegression(C=PULL, max_iter=1000)
    model.fit((evidence - mean) / spread, right, sample_weight=weights * len(rows))
    slopes = model.coef_[0] / spread
    strict = STRICT if step else 0.0
    return np.array([model.intercept_[0] - slopes @ mean - strict, *slopes])


if __name__ == "__main__":
    main()
