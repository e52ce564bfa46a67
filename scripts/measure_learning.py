"""How well places are recognised that were learned from a few photos, by number of photos.

    python scripts/measure_learning.py --places DIR --others far=DIR --others near=DIR
    python scripts/measure_learning.py --model HELD_OUT.pt --places DIR ... --folds 5
    python scripts/measure_learning.py --model HELD_OUT.pt --places DIR ... --fit learned.json

DIR of --places has a folder of photos for each place, named by its slug in landmarks.csv, by a row
of places.csv in DIR, or by any name; the network must not have learned them. A tag is wrong that
lies further off than the place's radius and 300 m, wherever the place is known. In each draw K
photos of most places that have more are learned as ``landmark-tag learn`` learns them, into one
pack; some of the other photos are classified as in a run. Photos of places that are not learned in
a draw count as unknown. Of a place with more than 30 photos, 20 are there to be learned and 24 to
be asked. --folds judges each place by a rule that was fitted on other places and other photos;
--fit writes the rule of tagger/model/learned.py. With --cache a second call looks at no photo
again.
"""

import json
import pickle
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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
from tagger.model.contender import Contender, against, confidence, shipped_rule
from tagger.model.learned import LEAST, LearnedGuess, LearnedPlaces, merged
from tagger.model.local_features.matching import Features, describe
from tagger.model.local_features.references import ENOUGH, TOGETHER, References
from tagger.model.local_features.weigh import Findings
from tagger.places.distance import distance_m
from tagger.places.landmarks import load_landmarks
from tagger.places.opening import open_pack
from tagger.places.own import new_landmark
from tagger.places.pack import Pack, PackPlace, PlaceReference
from tagger.places.pack_writing import write_pack
from tagger.places.table import RADIUS_M, TABLE, read_places
from tagger.records import Guess, Landmark
from tagger.run.lessons import photos_in

STRICT = 2.25  # logits that a fitted rule is made stricter by: a wrong place is worse than none
PULL = 0.3  # scikit-learn's C
# The mix that is fitted on; of each, every number of learned photos has the same share.
SHARES = {"own": 1.0, "unknown": 0.25, "far": 0.25, "near": 0.3, "landmarks": 0.1}
# Numbers of the evidence that must not speak against a place: likeness, spots and votes.
RISING = (1, 2, 5, 7, 8, 9, 11, 13, 14)
OTHERS = ("unknown", "far", "near", "landmarks")
LARGE, LEARNED, ASKED = 30, 20, 24  # of a place of more photos than the first
EACH, UNKNOWN = 8, 60  # photos asked in a draw: of a place that is learned, of those that are not
LEFT_OUT = {"large": 0.2, "small": 0.4}  # chance that a place is not learned in a draw
DRAWN = "drawn/"  # begins the slugs of a draw's pack
NEAR_M = 300  # beyond a place's radius: so far off a position is not wrong
SPARE = 0.5  # of LEAST: how far below photos are compared too, as a rule of a fold may ask it


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPhoto:
    """A photo with all that is known of it before places are learned."""

    kind: str
    group: str  # the folder of places it comes from
    place: str
    reference: PlaceReference
    features: Features
    embedding: NDArray[np.float32]
    seen: Findings
    guess: Guess
    verified: bool  # whether the guess was found again spot by spot
    spots: dict[int, int] = field(default_factory=dict)  # found again in photos, by their number


@dataclass(frozen=True, slots=True)
class Step:
    """The place that was judged before or after photos are compared, and the evidence for it."""

    contender: Contender
    evidence: NDArray[np.float32]
    slug: str
    landmark: Landmark
    right: bool


@dataclass(frozen=True, slots=True)
class DrawnPhoto:
    """What can be said of one photo in one draw; ``steps`` are two where it was compared."""

    kind: str
    photo: PreparedPhoto
    number: int
    count: int
    references: int  # of the draw's pack
    slug: str  # that would be right, if any
    steps: tuple[Step, ...]


class Remembered:
    """A pack's references, which compare a pair of photos but once in all draws."""

    def __init__(self, references: References, numbers: Sequence[int]) -> None:
        self._references, self._numbers = references, numbers

    def of(self, photo: PreparedPhoto) -> Callable[[Sequence[int], Features], NDArray[np.int64]]:
        """As :meth:`References.supports`, of that photo."""

        def supports(rows: Sequence[int], features: Features) -> NDArray[np.int64]:
            counts: list[int] = []
            for begin in range(0, len(rows), TOGETHER):
                part = rows[begin : begin + TOGETHER]
                new = [row for row in part if self._numbers[row] not in photo.spots]
                for row in new:
                    one = int(self._references.supports([row], features)[0])
                    photo.spots[self._numbers[row]] = one
                counts += [photo.spots[self._numbers[row]] for row in part]
                if max(counts[begin:]) >= ENOUGH:
                    break
            return np.array(counts + [0] * (len(rows) - len(counts)), np.int64)

        return supports


@click.command()
@click.option("--model", type=Path, default=DEFAULT_MODEL)
@click.option("--places", type=Path, multiple=True, required=True)
@click.option("--others", multiple=True, help="far=DIR, near=DIR or landmarks=DIR")
@click.option("--learned", default="3,5,10", show_default=True)
@click.option("--draws", default=20, show_default=True)
@click.option("--some", default=60, show_default=True, help="Photos of each of --others in a draw.")
@click.option("--min-conf", default=0.6, show_default=True)
@click.option("--folds", default=0, help="Judge each place by a rule fitted without it.")
@click.option("--fit", type=Path)
@click.option("--cache", type=Path)
@click.option("--rows", "kept", type=Path, help="Where the draws are kept; none is drawn again.")
@click.option("--also", type=Path, multiple=True, help="Draws of other calls to fit rules on, too.")
@click.option("--seed", default=0)
def main(
    model: Path, places: tuple[Path, ...], others: tuple[str, ...], learned: str, draws: int,
    some: int, min_conf: float, folds: int, fit: Path | None, cache: Path | None,
    kept: Path | None, also: tuple[Path, ...], seed: int,
) -> None:  # fmt: skip
    """Print the table."""
    counts = sorted(map(int, learned.split(",")))
    known = {**load_landmarks()}
    for folder in places:
        if (folder / TABLE).exists():
            known |= read_places(folder / TABLE)
    if kept and kept.exists():
        rows = pickle.loads(kept.read_bytes())  # our own file, of the call before
    else:
        rows = drawn(model, places, others, known, counts, draws, some, cache, seed)
    if kept:
        kept.write_bytes(pickle.dumps([replace(row, photo=slim(row.photo)) for row in rows]))
    more = [row for path in also for row in pickle.loads(path.read_bytes())]
    rules = [shipped_rule()] * len(rows)
    if folds:
        fold = [fold_of(row.photo, row.number, folds) for row in [*rows, *more]]
        fitted_on = [
            rule_of([row for row, own in zip([*rows, *more], fold, strict=True) if own != k])
            for k in range(folds)
        ]
        rules = [fitted_on[k] for k in fold[: len(rows)]]
    named = [tagged(row, rule, min_conf) for row, rule in zip(rows, rules, strict=True)]
    heads = (
        "learned", "places", "photos", "right", "as another learned place", "as a shipped landmark",
        "wrong in all", *OTHERS, "shipped tags kept",
    )  # fmt: skip
    click.echo("| " + " | ".join(heads) + " |")
    click.echo("|---" * len(heads) + "|")
    for group in ("", *(folder.name for folder in places)):
        for count in counts:
            chosen = [i for i, row in enumerate(rows) if row.count == count]
            chosen = [i for i in chosen if group in ("", rows[i].photo.group)]
            of_both = [rows[i] for i in chosen], [named[i] for i in chosen]
            line(*of_both, group or "all", count, min_conf, known)
    if fit:
        rule = rule_of([*rows, *more]).astype(np.float64).round(4).tolist()
        facts = json.loads(fit.read_text(encoding="utf-8")) if fit.exists() else {}
        fit.write_text(json.dumps(facts | {"rule": rule}, indent=1) + "\n", encoding="utf-8")


def drawn(
    model: Path, places: Sequence[Path], others: Sequence[str], known: Mapping[str, Landmark],
    counts: Sequence[int], draws: int, some: int, cache: Path | None, seed: int,
) -> list[DrawnPhoto]:  # fmt: skip
    """The photos of all draws, judged."""
    classifier = Classifier(model, "cpu")
    if cache and cache.exists():
        photos = pickle.loads(cache.read_bytes())  # our own file, of the call before
    else:
        photos = list(prepared(classifier, places, others))
    rows: list[DrawnPhoto] = []
    for number in range(draws):
        for count in counts:
            chance = np.random.default_rng((seed, number, count))
            rows += draw(classifier, photos, known, count, some, chance)
        click.echo(f"draw {number + 1} of {draws}", err=True)
    if cache:
        cache.write_bytes(pickle.dumps(photos))
    return rows


def slim(photo: PreparedPhoto) -> PreparedPhoto:
    """Without what only draws need."""
    none = np.zeros((0, 3), np.float32)
    reference = PlaceReference(photo.reference.embedding, *np.zeros((2, 0, 0), np.uint8))
    return replace(photo, features=Features(none, none), reference=reference, spots={})


def prepared(
    classifier: Classifier, places: Sequence[Path], others: Sequence[str]
) -> Iterator[PreparedPhoto]:
    """Each photo that can be read, as the network and local features see it."""
    todo = [
        ("own", folder.name, place.name, path)
        for folder in places
        for place in sorted(one for one in folder.iterdir() if one.is_dir())
        for path in photos_in(place)
    ]
    for kind, _, folder_ in (word.partition("=") for word in others):
        todo += [(kind, "", "", path) for path in photos_in(Path(folder_))]
    weigher: Any = classifier._weigher

    def look(one: tuple[str, str, str, Path]) -> PreparedPhoto | None:
        torch.set_num_threads(1)
        try:
            views = to_views(one[3].read_bytes(), classifier.image_size, classifier.resize)
        except PhotoError:
            return None
        probabilities, embeddings = classifier._infer([views])
        network, embedding = probabilities.numpy()[0], embeddings.numpy()[0]
        first = weigher.first_findings(network, embedding)
        _, verified = weigher.judged(network, embedding, views.grey, first)
        return PreparedPhoto(
            *one[:3], classifier.references([views])[0], describe(views.grey),
            weigher.placed(embedding[None])[0], first[0], classifier.classify([views])[0], verified,
        )  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        yield from (photo for photo in pool.map(look, todo) if photo)


def draw(
    classifier: Classifier, photos: Sequence[PreparedPhoto], known: Mapping[str, Landmark],
    count: int, some: int, chance: np.random.Generator,
) -> Iterator[DrawnPhoto]:  # fmt: skip
    """Learn ``count`` photos of most places that have more, and judge others."""
    by_place, asked = defaultdict(list), []
    for number, photo in enumerate(photos):
        if photo.kind == "own":
            by_place[photo.place].append(number)
    learned: list[PackPlace] = []
    unknown: list[int] = []
    numbers: list[int] = []
    same = np.random.default_rng(1)  # in all draws
    for name, own in sorted(by_place.items()):
        large, order = len(own) > LARGE, same.permutation(own)
        taken = chance.permutation(order[:LEARNED] if large else order)
        rest = order[LEARNED : LEARNED + ASKED] if large else taken[count:]
        if len(own) <= count or chance.random() < LEFT_OUT["large" if large else "small"]:
            unknown += [] if large else list(own)
            continue
        numbers += taken[:count].tolist()
        references = tuple(photos[number].reference for number in taken[:count])
        learned.append(PackPlace(mark_of(name, len(learned), known), references))
        asked += chance.permutation(rest)[:EACH].tolist()
    asked += chance.permutation(unknown)[:UNKNOWN].astype(int).tolist()
    for kind in OTHERS:
        of_kind = [number for number, photo in enumerate(photos) if photo.kind == kind]
        asked += chance.permutation(of_kind)[:some].astype(int).tolist()
    made_by, *sizes = classifier.made_by()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.places"
        write_pack(path, made_by, learned, (sizes[0], sizes[1]), private=True)
        pack = open_pack(path)
        row_of = {one.landmark.slug: begin for begin, one in enumerate(learned)}
        inside = [
            numbers[row_of[pack.slug(place).removeprefix(DRAWN)] * count + nth]
            for place in range(len(pack))
            for nth in range(count)
        ]
        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(judging(classifier, photos, pack, inside, count), asked)


def mark_of(name: str, number: int, known: Mapping[str, Landmark]) -> Landmark:
    """The place of a folder; where it is not known, far from each other one."""
    place = known.get(name)
    if place:
        return new_landmark(name, place.latitude, place.longitude, place.radius_m)
    return new_landmark(name, -70 - number / 100, float(number % 360 - 180), RADIUS_M)


def by_slug(known: Mapping[str, Landmark]) -> dict[str, Landmark]:
    """The places as guesses name them: by their own slugs, and by those of places drawn."""
    drawn = {DRAWN + new_landmark(name, 0, 0, 1).slug: place for name, place in known.items()}
    return {**known, **drawn}


def astray(photo: PreparedPhoto, slug: str, places: Mapping[str, Landmark]) -> bool:
    """Whether the place of that slug is too far from what the photo shows, as far as is known."""
    own, place = places.get(photo.place), places.get(slug)
    if not own or not place:
        return True
    away = distance_m((own.latitude, own.longitude), (place.latitude, place.longitude))
    return away > own.radius_m + NEAR_M


def judging(
    classifier: Classifier, photos: Sequence[PreparedPhoto], pack: Pack, inside: Sequence[int],
    count: int,
) -> Callable[[int], DrawnPhoto]:  # fmt: skip
    """What judges a photo by the places of a pack, which holds the photos ``inside``."""
    shipped = [classifier.landmarks[label] for label in classifier._labels]
    judges = LearnedPlaces([pack], classifier._comparable(), shipped)
    remembered = Remembered(judges._references[0], inside)
    known = {pack.slug(number) for number in range(len(pack))}

    def one(number: int) -> DrawnPhoto:
        torch.set_num_threads(1)
        photo = photos[number]
        slug = f"{DRAWN}{new_landmark(photo.place, 0, 0, 1).slug}" if photo.place else ""
        kind = "unknown" if photo.kind == "own" and slug not in known else photo.kind

        def step(contender: Contender) -> Step:
            named, place = pack.slug(contender.number), pack.landmark(contender.number)
            return Step(contender, contender.evidence(photo.seen), named, place, named == slug)

        first = judges.likest(photo.embedding, photo.seen)
        assert first
        steps = [step(first)]
        if confidence(first, steps[0].evidence, shipped_rule(), 0) >= SPARE * LEAST:
            supports = remembered.of(photo)
            again = judges.compared(photo.embedding, photo.seen, photo.features, [supports])
            steps.append(step(again))
        return DrawnPhoto(kind, photo, number, count, len(inside), slug, tuple(steps))

    return one


def tagged(row: DrawnPhoto, rule: NDArray[np.float32], least: float) -> str:
    """The slug of what a photo is tagged with, learned or shipped, or nothing."""
    step = row.steps[0]
    sure = confidence(step.contender, step.evidence, rule, 0)
    if sure >= LEAST and len(row.steps) > 1:
        step = row.steps[1]
        sure = confidence(step.contender, step.evidence, rule, 1)
    contrary = 0.0 if row.photo.verified else against(step.contender.alike[0], row.references)
    learned = LearnedGuess(step.slug, step.landmark, sure, contrary)
    best = merged(row.photo.guess, learned, load_landmarks()).best
    return best.slug if best.confidence >= least else ""


def fold_of(photo: PreparedPhoto, number: int, folds: int) -> int:
    """All photos of a place, and all draws of a photo, are in one fold."""
    return zlib.crc32((photo.place or str(number)).encode()) % folds


def line(
    rows: Sequence[DrawnPhoto], named: Sequence[str], group: str, count: int, min_conf: float,
    known: Mapping[str, Landmark],
) -> None:  # fmt: skip
    """One line of the table, in per cent.

    Wrong is a photo of a learned place that is tagged as another one or as a shipped landmark, too
    far off. Of photos that show no learned place, those are counted that are tagged as one, too far
    off; of photos of shipped landmarks that are tagged without learning, those that keep their tag.
    Intervals are 95 %, by bootstrap over places for photos of places, else over photos.
    """
    own = [i for i, row in enumerate(rows) if row.kind == "own"]
    if not own:
        return

    def share(chosen: Sequence[int], hit: Sequence[bool]) -> str:
        if not chosen:
            return ""
        units = defaultdict(list)
        for i, one in zip(chosen, hit, strict=True):
            units[rows[i].photo.place or str(rows[i].number)].append(one)
        pairs = np.array([(sum(ones), len(ones)) for ones in units.values()])
        picks = np.random.default_rng(0).integers(0, len(pairs), (1000, len(pairs)))
        sums = pairs[picks].sum(1)
        low, high = np.percentile(100 * sums[:, 0] / sums[:, 1], [2.5, 97.5])
        mean = 100 * np.mean(hit)
        return f"{mean:.2f} ({low:.1f} to {high:.1f}; {sum(hit)} of {len(hit)})"

    places = len({rows[i].photo.place for i in own})
    off = [bool(slug) and slug != row.slug for row, slug in zip(rows, named, strict=True)]
    marks = by_slug(known)
    off = [off[i] and astray(rows[i].photo, named[i], marks) for i in range(len(rows))]
    cells = [
        share(own, [named[i] == rows[i].slug for i in own]),
        share(own, [off[i] and named[i].startswith(DRAWN) for i in own]),
        share(own, [off[i] and not named[i].startswith(DRAWN) for i in own]),
        share(own, [off[i] for i in own]),
    ]
    for kind in OTHERS:
        of_kind = [i for i, row in enumerate(rows) if row.kind == kind]
        cells.append(share(of_kind, [off[i] and named[i].startswith(DRAWN) for i in of_kind]))
    bests = [row.photo.guess.best for row in rows]
    of_kind = [i for i, row in enumerate(rows) if row.kind == "landmarks"]
    tagged_alone = [i for i in of_kind if bests[i].confidence >= min_conf]
    cells.append(share(tagged_alone, [named[i] == bests[i].slug for i in tagged_alone]))
    click.echo(f"| {count} | {group}: {places} | {len(own)} | " + " | ".join(cells) + " |")


def rule_of(rows: Sequence[DrawnPhoto]) -> NDArray[np.float32]:
    """Both logistic regressions, on a mix of which own photos are half."""
    last = [row for row in rows if len(row.steps) > 1]
    if not any(row.steps[1].right for row in last) or all(row.steps[1].right for row in last):
        raise click.ClickException("too few places to fit a rule; give more of them or more draws")
    first = fitted([(row, row.steps[0]) for row in rows])
    second = fitted([(row, row.steps[1]) for row in last])
    second[0] -= STRICT
    return np.stack([first, second]).astype(np.float32)


def fitted(judged: Sequence[tuple[DrawnPhoto, Step]]) -> NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression

    evidence = np.stack([step.evidence for _, step in judged])[:, 1:].astype(np.float64)
    kinds = np.array([row.kind for row, _ in judged])
    counts = np.array([row.count for row, _ in judged])
    right = np.array([row.kind == "own" and step.right for row, step in judged])
    weights = np.zeros(len(judged))
    for kind, share in SHARES.items():
        for count in np.unique(counts):
            of_both = (kinds == kind) & (counts == count)
            weights[of_both] = share / max(1, int(of_both.sum()))
    weights *= len(judged) / weights.sum()
    mean, spread = evidence.mean(0), evidence.std(0) + 1e-6
    free = evidence.std(0) > 0
    while True:
        model = LogisticRegression(C=PULL, max_iter=1000)
        model.fit((evidence - mean)[:, free] / spread[free], right, sample_weight=weights)
        slopes = np.zeros(len(mean))
        slopes[free] = model.coef_[0] / spread[free]
        falling = np.isin(np.arange(1, len(mean) + 1), RISING) & (slopes < 0)
        if not falling.any():
            break
        free &= ~falling
    return np.array([model.intercept_[0] - slopes @ mean, *slopes])


if __name__ == "__main__":
    main()
