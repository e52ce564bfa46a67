"""Unknown landmarks: leave classes out of training, and see how their photos are classified."""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tagger.evidence.decide import MIN_CONF
from train.measure.metrics import Answers, area, tagged, tagged_right
from train.networks import finetune, pretrained
from train.photos.arrays import load_photos
from train.photos.folders import NO_LANDMARK, Sample
from train.photos.pixel_cache import CACHE
from train.photos.split import Material
from train.rejection.calibrate import (
    EmbeddedPhotos,
    calibrate_rule,
    doubts,
    mix_weights,
    see,
    with_unknown,
)
from train.rejection.compare import RULES
from train.rejection.scores import Evidence, Shipped, fit_shape

# Small and short: this tests the rule and makes no model to ship.
SIZES = ((0.5, 176), (1.0, 208))
EVALUATED = 232  # a network may look at photos a tenth larger than those it learned from
MOST = 80  # photos of each class to learn from


@dataclass(frozen=True, slots=True)
class RuleRow:
    """How one rule fares on photos of landmarks left out (``unseen``), at MIN_CONF where no other.

    ``loss`` is the cross-entropy of known or not, in nats, on a mix of half known landmarks and
    otherwise unseen, near and far alike; ``mended`` that of the best ``steeper``, ``stricter``.
    """

    rule: str
    auroc_unseen: float
    auroc_near: float
    recall: float
    unseen_tagged: float
    loss: float
    mended: float
    steeper: float
    stricter: float


def leave_out(material: Material, count: int, seed: int) -> tuple[Material, tuple[Sample, ...]]:
    """Material of all but ``count`` classes drawn at random, and the photos of those classes."""
    chance = random.Random(seed)
    gone = set(chance.sample(range(len(material.labels)), count))
    kept = [label for label in range(len(material.labels)) if label not in gone]
    number = {label: place for place, label in enumerate(kept)} | {NO_LANDMARK: NO_LANDMARK}

    def known(samples: tuple[Sample, ...], most: int) -> tuple[Sample, ...]:
        taken = dict.fromkeys(number, 0)
        chosen = []
        for sample in chance.sample(samples, len(samples)):
            if sample.label in number and taken[sample.label] < most:
                taken[sample.label] += sample.label != NO_LANDMARK
                chosen.append(replace(sample, label=number[sample.label]))
        return tuple(chosen)

    everything = material.train + material.valid
    unseen = tuple(Sample(s.path, NO_LANDMARK, "unseen/") for s in everything if s.label in gone)
    labels = tuple(material.labels[label] for label in kept)
    valid = known(material.valid, len(material.valid))
    return Material(labels, known(material.train, MOST), valid, places=material.places), unseen


def measure(
    material: Material,
    out: Path,
    classes: int = 12,
    epochs: int = 5,
    seed: int = 0,
    cache: Path = CACHE,
) -> list[RuleRow]:
    """Train without ``classes`` classes, calibrate as for shipping, and judge each rule."""
    part, strangers = leave_out(material, classes, seed)
    columns = len(part.labels) + 1
    network = pretrained.transfer("lite2", columns, None, finetune.DROPOUT)
    recipe = finetune.recipe(network, epochs, seed)
    recipe = replace(recipe, sizes=SIZES, eval_size=EVALUATED)
    finetune.train_transfer(network, part, recipe, out, cache=cache)

    def seen(samples: tuple[Sample, ...]) -> EmbeddedPhotos:
        return see(network, *load_photos(samples, columns, EVALUATED, finetune.RESIZE, cache))

    train, valid, unseen = seen(part.train), seen(part.valid), seen(strangers)
    shape = fit_shape(train.embeddings, train.labels, columns - 1)
    test = EmbeddedPhotos(
        torch.cat([valid.embeddings, unseen.embeddings]),
        torch.cat([valid.labels, unseen.labels]),
        valid.kinds + unseen.kinds,
    )
    with torch.no_grad():
        head = Shipped(network.head, columns - 1)
        logits, photos = with_unknown(head(valid.embeddings), valid)
        tested = head(test.embeddings)
    doubt = doubts(part.extents)
    evidence = Evidence(shape)(tested, test.embeddings)
    rows = []
    for names in RULES:
        rule = calibrate_rule(shape, logits, photos, doubt, names, steeper=1, stricter=0)
        best = (tested[:, :-1] / rule.temperature).softmax(1)
        score = evidence @ rule.weights + rule.bias - rule.doubt[best.argmax(1)]
        rows.append(judge(", ".join(names), score, best, test))
    return rows


def judge(name: str, score: Tensor, best: Tensor, test: EmbeddedPhotos) -> RuleRow:
    """One row: ``score`` float32 [N] in logits, ``best`` float32 [N, C] the classes' softmax."""
    probabilities = (score.sigmoid()[:, None] * best).double().numpy()
    answers = Answers(probabilities, test.labels.numpy(), np.array(test.kinds))
    known = torch.from_numpy(answers.kinds == "landmark")
    weights = mix_weights(test)

    def loss(steeper: float, stricter: float) -> float:
        losses = F.binary_cross_entropy_with_logits(
            steeper * score - stricter, known.float(), reduction="none"
        )
        return float((losses * weights).sum())

    def auroc(kind: str) -> float:
        sure = answers.confidence
        return area(sure[answers.kinds == "landmark"], sure[answers.kinds == kind])

    mended, steeper, stricter = min(
        (loss(a, b), a, b) for a in np.arange(0.5, 2.05, 0.1) for b in np.arange(-1, 2.05, 0.1)
    )
    return RuleRow(
        name,
        auroc("unseen"),
        auroc("near"),
        tagged_right(MIN_CONF)(answers),
        tagged("unseen", MIN_CONF)(answers),
        loss(1, 0),
        mended,
        float(steeper),
        float(stricter),
    )
