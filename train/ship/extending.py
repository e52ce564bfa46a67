"""Teaches a finished model further photos, of landmarks it knows and of new ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from tagger.errors import RunError
from tagger.model import artifact, landmark_photos
from tagger.model.artifact import Artifact, Manifest
from tagger.model.local_features.matching import products
from tagger.model.local_features.references import References
from tagger.model.local_features.sift import Floats
from tagger.model.local_features.weigh import Weigher, areas
from tagger.places.embeddings import in_bytes, unit
from tagger.places.landmarks import load_landmarks
from tagger.places.pack import PackPlace
from tagger.records import Landmark
from train.measure.evaluate import answer, answer_alone
from train.measure.metrics import Answers
from train.networks.columns import LastLayer, refitted
from train.photos.arrays import load_photos
from train.photos.folders import (
    NO_LANDMARK,
    Sample,
    learned_folders,
    read_folders,
    read_negatives,
)
from train.photos.pixel_cache import CACHE
from train.photos.views import views
from train.recipe import Recipe
from train.rejection.calibrate import doubts
from train.rejection.scores import Exact
from train.ship import rewriting, weighing
from train.ship.references import by_landmark, like

VIEWS = 5  # random ones of each photo, besides the whole
SURE = 0.95  # confidence from which a photo of a known landmark is no further reference
# Cosine from which a photo of other things shows a new landmark: the network learned many of them
# as something else, and they would speak against it.
SAME = 0.72
# Photos of other things are compared with where the network gives a landmark so much probability,
# and none of them is so much alike.
POSSIBLE, AGAIN = 0.05, 0.95
UNKNOWN = "not stated"  # licence of a new landmark's photos
ENOUGH = 100  # photos of known landmarks, and of anything else, that a rule can be fitted on


@dataclass(frozen=True, slots=True)
class Extension:
    """What was learned: new landmarks, how many photos, and how many of these are references."""

    landmarks: tuple[str, ...]
    photos: int
    references: int


@dataclass(frozen=True, slots=True)
class _Material:
    """All photos, with labels as the new model has them, which of them it is to learn, and which
    of these were given as further ones; slugs of the new landmarks.
    """

    samples: tuple[Sample, ...]
    further: frozenset[Path]
    given: frozenset[Path]
    new: tuple[str, ...]


def extended(
    path: Path,
    more: Sequence[Path],
    data: Sequence[Path],
    negatives: Sequence[Path],
    out: Path,
    *,
    name: str = "",
    points: int = 380,
    looser: float = 0.0,
    weigh: bool = False,
    least: int = 4,
    left_out: Collection[Path] = (),
    known: Mapping[str, Landmark] | None = None,
    seed: int = 0,
    cache: Path = CACHE,
) -> Extension:
    """Write a model file that has learned further photos, with the packs beside ``path``.

    The trunk stays, and with it all embeddings that photos were compared by. Columns of the head
    are fitted on a few views of each photo, in minutes on a CPU. The rule stays, too, if it is not
    to be fitted anew.

    Args:
        path: a model file of ``python -m train transfer``.
        more: folders that hold train/<class>/* which the model has not learned, and perhaps
            few/<class>/*, which are not to be known.
        data: such folders which it has learned: what the further photos are told apart from.
        negatives: folders of photos without landmarks.
        out: the file to write; it may be ``path``.
        name: references of ``more`` go to the pack of this name beside ``out``, behind those that
            are there; into the file when left out.
        points: local features kept of a photo, at most.
        looser: logits that the rule gives back. The more photos of other things there are to
            compare with, the stricter it is.
        weigh: fit the rule anew on the photos of ``more``, which the model did not learn: before
            they are, by what it says of them. Some thousand of several collections are needed.
        least: a class of fewer photos teaches what the others are not.
        left_out: photos not to take, by their resolved paths.
        known: the places that classes may be; those of landmarks.csv when left out.
        seed: of the views.
        cache: where decoded photos are kept.

    Raises:
        RunError: there is nothing to learn, a class has no place, the model is of another kind, or
            the photos are too few for ``weigh``.
    """
    loaded = artifact.alone(path)
    module: Any = loaded.module
    if not all(hasattr(module, part) for part in ("weight", "bias", "evidence", "doubt")):
        raise RunError(
            f"{path}: has no head to extend; use a file made by python -m train transfer"
        )
    table = load_landmarks() if known is None else known
    material = _gathered(loaded, more, data, negatives, least, left_out, table)
    answers, embedded, samples = answer_alone(artifact.alone(path), material.samples, "cpu", cache)
    plain, labels = torch.from_numpy(embedded), torch.tensor([one.label for one in samples])
    first, further = len(loaded.manifest.labels), torch.tensor(
        [one.path in material.further for one in samples]
    )  # fmt: skip
    rows = {
        label: torch.nonzero((labels == label) & further)[:, 0]
        for label in range(first + len(material.new))
        if bool(((labels == label) & further).any()) or label >= first
    }
    if not all(map(len, rows.values())):
        raise RunError(f"{more[0]}: the photos of a class cannot be read; copy them again")
    whole, fitted = artifact.load(path), None
    if weigh:
        unseen = [n for n, one in enumerate(samples) if _within(one.path, more)]
        fitted = _rule(whole, answers, embedded, samples, np.array(unseen), first)
    fast = artifact.prepare(artifact.alone(path).module, torch.device("cpu"), torch.float32)
    shown = {label: plain[own] for label, own in rows.items()}
    seen = {
        label: torch.cat(
            [shown[label], _views(fast, loaded.manifest, [samples[i] for i in own], seed, cache)]
        )
        for label, own in tqdm(rows.items(), "views", unit="landmark")
    }
    learned, others = (labels >= 0) & ~further, labels == NO_LANDMARK
    head = refitted(
        LastLayer(module.weight(), module.bias(), first),
        shown,
        seen,
        (plain[learned], labels[learned]),
        plain[others],
    )
    change = _change(module, head, [shown[n] for n in shown if n >= first], loaded, table, material)

    landmarks = {slug: table[slug] for slug in material.new}
    if loaded.references is None:
        rewriting.add_landmarks(path, out, landmarks, change, None, ())
        return Extension(material.new, int(further.sum()), 0)
    places = {**loaded.known, **landmarks}
    useful = _useful(whole, samples, further.numpy(), first, cache)
    given = [i for i in useful if name and samples[i].path in material.given]
    own = [i for i in useful if i not in given]
    inside, beside = (
        _photos(whole, samples, embedded, some, places, points) for some in (own, given)
    )
    closeness = head(plain[others]).softmax(1)[:, : head.classes].amax(1).numpy()
    references = _compared(
        loaded.references,
        [place for place in (*inside, *beside) if place.landmark.slug in landmarks],
        embedded[others.numpy()][closeness > POSSIBLE],
    )
    rule = references.rule.copy() if fitted is None else fitted
    rule[:, 0] += looser
    references = replace(references, rule=rule)
    rewriting.add_landmarks(path, out, landmarks, change, references, inside, {name: beside})
    return Extension(material.new, int(further.sum()), len(useful))


def _gathered(
    loaded: Artifact,
    more: Sequence[Path],
    data: Sequence[Path],
    negatives: Sequence[Path],
    least: int,
    left_out: Collection[Path],
    table: Mapping[str, Landmark],
) -> _Material:
    meant = [place / "train" for place in more]
    folders = learned_folders((*more, *data))
    folder, shipped = read_folders(folders, least, left_out, table, wanted=0, meant_in=meant)
    old = loaded.manifest.labels
    new = tuple(slug for slug in shipped if slug not in old)
    number = {slug: n for n, slug in enumerate((*old, *new))}
    samples = [
        replace(one, label=number.get(folder.labels[one.label], NO_LANDMARK))
        for one in folder.samples
    ]
    given = frozenset(one.path for one in samples if one.label >= 0 and _within(one.path, more))
    further = given | {one.path for one in samples if one.label >= len(old)}
    if not further:
        raise RunError(
            f"{more[0]}: neither photos of a landmark that the model knows nor {least} of another; "
            "give more photos, or a lower --min-photos"
        )
    for place in negatives:
        samples += read_negatives(place, "train", left_out)
    return _Material(tuple(samples), further, given, new)


def _within(path: Path, folders: Sequence[Path]) -> bool:
    parents = path.resolve().parents
    return any(folder.resolve() in parents for folder in folders)


def _rule(
    whole: Artifact,
    answers: Answers,
    embedded: Floats,
    samples: Sequence[Sample],
    unseen: NDArray[np.int64],
    first: int,
) -> Floats:
    """The rule fitted on photos that the model does not know, copies of its references left out."""
    if whole.references is None:
        raise RunError("--weigh: MODEL has no references to weigh; leave --weigh out")
    weigher = Weigher(whole.references, areas([place.extent for place in whole.known.values()]))
    references = unit(whole.references.embeddings)
    likest = [products(references, one[None]).max() for one in weigher.placed(embedded[unseen])]
    fit = unseen[np.array(likest) < AGAIN]
    known = (answers.labels[fit] >= 0) & (answers.labels[fit] < first)
    if min(known.sum(), (~known).sum()) < ENOUGH:
        raise RunError(
            f"--weigh: {known.sum()} photos of known landmarks and {(~known).sum()} of anything "
            f"else are too few to fit a rule; give {ENOUGH} of each with --more, or leave it out"
        )
    kinds = np.where(known, "landmark", "other")
    return weighing.fitted(
        weigher,
        replace(answers.take(fit), kinds=kinds),
        embedded[fit],
        [samples[i] for i in fit],
        whole.manifest.image_size,
        strict=False,
    )


def _views(
    module: Any, manifest: Manifest, samples: Sequence[Sample], seed: int, cache: Path
) -> Tensor:
    """Embeddings [V * N, D] of VIEWS random views of each photo."""
    size = manifest.image_size
    photos, _ = load_photos(samples, len(manifest.labels) + 1, size, manifest.resize, cache)
    recipe = Recipe(1, 0.0, ((1.0, size),), size, crop=0.4, magnitude=0.3)
    chance = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(VIEWS):
        for some in photos.pixels.split(16):
            seen = views(some, size, recipe, chance).mul_(255).round_().byte()
            with torch.inference_mode():
                parts.append(module(seen)[1])
    return torch.cat(parts).clone()


def _change(
    module: Any,
    head: LastLayer,
    shown: Sequence[Tensor],
    loaded: Artifact,
    table: Mapping[str, Landmark],
    material: _Material,
) -> Any:
    """What gives the network that head, and the evidence of its new landmarks."""
    means, doubt = module.evidence.means(), module.doubt()
    if shown:
        new = torch.stack([photos.mean(0) for photos in shown]) - module.evidence.centre()
        means = torch.cat([means, F.normalize(new @ module.evidence.whiten(), dim=1)])
        asked = doubts([table[slug].extent for slug in material.new])
        # Where there are references, their rule takes the doubt of areas off.
        doubt = torch.cat([doubt, torch.zeros_like(asked) if loaded.references else asked])

    def change(network: Any) -> None:
        for part, values, short in (
            (network.weight, head.weight, True),
            (network.bias, head.bias, False),
            (network.evidence.means, means, False),
            (network.doubt, doubt, False),
        ):
            kept = Exact(values, short)
            part.mantissa, part.exponent = kept.mantissa, kept.exponent
        network.classes = head.classes

    return change


def _useful(
    whole: Artifact, samples: Sequence[Sample], further: NDArray[np.bool_], first: int, cache: Path
) -> list[int]:
    """Which photos become references: those of new landmarks, and those the model was unsure of."""
    old = [i for i in np.flatnonzero(further).tolist() if samples[i].label < first]
    useful = [i for i in np.flatnonzero(further).tolist() if samples[i].label >= first]
    if old:
        answers, _ = answer(whole, tuple(samples[i] for i in old), "cpu", cache)
        sure = answers.right & (answers.confidence >= SURE)
        useful += [i for i, known in zip(old, sure.tolist(), strict=True) if not known]
    return useful


def _photos(
    whole: Artifact,
    samples: Sequence[Sample],
    embeddings: Floats,
    useful: Sequence[int],
    places: Mapping[str, Landmark],
    points: int,
) -> list[PackPlace]:
    """All landmarks, those of photos ``useful`` with these as references."""
    known = whole.references
    assert known
    if not useful:
        return []
    own = [samples[i] for i in useful]
    have = [*np.diff(known.landmarks).tolist(), *[0] * (len(places) - len(known.landmarks) + 1)]
    order, landmarks = by_landmark(own, len(places), whole.manifest.image_size, have)
    kept = [[one.strongest(points) for one in landmark] for landmark in landmarks]
    further = like(known, kept, embeddings[np.array(useful)[order]])
    sources = [own[photo].source for photo in order.tolist()]
    photographed = landmark_photos.places(further, places.values(), sources=sources)
    return [
        place if place.landmark.slug in whole.known else replace(place, licence=UNKNOWN)
        for place in photographed
    ]


def _compared(known: References, added: Sequence[PackPlace], others: Floats) -> References:
    """With these photos [O, D] of other things, and without those that show a new landmark."""
    before = unit(known.others)
    kept = np.ones(len(before), bool)
    if added:
        photos = unit(np.stack([one.embedding for place in added for one in place.references]))
        kept = (before @ photos.T).max(1) < SAME
    more = in_bytes(unit(others @ known.components.astype(np.float32)))
    new = (unit(more) @ before.T).max(1, initial=-1) < AGAIN
    return replace(known, others=np.concatenate([known.others[kept], more[new]]))
