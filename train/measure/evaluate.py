"""A model file against photos it never saw: all figures, as a table, as JSON and as plots."""

import csv
import math
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tagger.evidence.decide import MIN_CONF
from tagger.imaging.decode import to_views
from tagger.model import artifact
from tagger.model.artifact import Artifact
from tagger.model.devices import fast_dtype, pick_device
from tagger.model.local_features.sift import Floats
from tagger.model.local_features.weigh import Weigher, areas
from train.measure.groups import Pair, PhotoGroup, as_text, by_group, groupings, worst_pairs
from train.measure.metrics import Answers, figures, intervals
from train.measure.where import beside
from train.photos.folders import STRANGER, Sample, read_folder, read_negatives
from train.photos.pixel_cache import CACHE, load_pixels
from train.photos.tables import read_known


@dataclass(frozen=True, slots=True)
class Report:
    """Everything measured: figures with 95 % intervals, and the results of each class and group;
    ``groups`` by their criterion.
    """

    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    classes: dict[str, dict[str, float]]
    photos: dict[str, int]
    groups: dict[str, list[PhotoGroup]] = field(default_factory=dict)
    confused: list[Pair] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A report and what it rests on, for the plots; ``name`` is the model's own."""

    name: str
    report: Report
    answers: Answers
    samples: tuple[Sample, ...]
    labels: tuple[str, ...]


def evaluate(
    model: Path,
    data: Path | Sequence[Path],
    negatives: Iterable[Path] = (),
    part: str = "test",
    device: str = "auto",
    cache: Path = CACHE,
    draws: int = 1000,
    left_out: Collection[Path] = (),
    strangers: Iterable[Path] = (),
) -> Evaluation:
    """Run a model file as in production (bfloat16 on a CPU that supports it) and measure it.

    Args:
        model: a model file.
        data: ``data/part`` holds class folders; their order is the model's. One or several.
        negatives: folders of photos without landmarks, of each ``part`` where it is parted.
        draws: bootstrap draws of each interval.
        left_out: photos not to take, by their resolved paths.
        strangers: folders of photos of landmarks that the model never learned.
    """
    loaded = artifact.load(model)
    places = loaded.known
    labels = loaded.manifest.labels
    folders = [data] if isinstance(data, Path) else data
    known = read_known(folders, own=loaded.places)
    samples = tuple(
        sample
        for place in folders
        for sample in read_folder(place / part, labels, known, skip=True).samples
        if sample.path.resolve() not in left_out
    )
    for place in negatives:
        samples += read_negatives(place, part, left_out)
    for place in strangers:
        samples += tuple(
            replace(sample, source=f"{STRANGER}/{sample.source}")
            for sample in read_negatives(place, part, left_out)
        )
    answers, kept = answer(loaded, samples, device, cache)
    answers = replace(answers, beside=beside([places[label] for label in labels]))
    kinds = sorted(set(answers.kinds) - {"landmark"})
    wanted = figures(kinds)
    counts = loaded.references.counts.astype(np.int64) if loaded.references else None
    names = groupings(kept, labels, folders, places, counts)
    report = Report(
        {name: figure(answers) for name, figure in wanted.items()},
        intervals(wanted, answers, draws),
        per_class(answers, labels, counts),
        {kind: int((answers.kinds == kind).sum()) for kind in ["landmark", *kinds]},
        {name: by_group(answers, group, draws) for name, group in names.items()},
        worst_pairs(answers, labels),
    )
    return Evaluation(loaded.manifest.name, report, answers, kept, labels)


def answer(
    loaded: Artifact, samples: tuple[Sample, ...], device: str = "auto", cache: Path = CACHE
) -> tuple[Answers, tuple[Sample, ...]]:
    """The model's answers, and the photos that could be read, in the same order."""
    answers, embeddings, kept = answer_alone(loaded, samples, device, cache)
    if loaded.references:
        probabilities = _weighed(loaded, answers.probabilities, embeddings, kept)
        answers = replace(answers, probabilities=probabilities)
    return answers, kept


def answer_alone(
    loaded: Artifact, samples: Sequence[Sample], device: str = "auto", cache: Path = CACHE
) -> tuple[Answers, Floats, tuple[Sample, ...]]:
    """The network's answers and embeddings [N, D] of the photos that could be read, and these."""
    pixels = load_pixels(samples, loaded.manifest.image_size, loaded.manifest.resize, cache)
    where = pick_device(device)
    module = artifact.prepare(loaded.module, where, fast_dtype(where))
    probabilities, embeddings = _run(module, pixels.images, where)
    kinds = np.array([sample.kind for sample in pixels.samples])
    return Answers(probabilities, pixels.labels, kinds), embeddings, pixels.samples


def _weighed(
    loaded: Artifact, probabilities: np.ndarray, embeddings: Floats, samples: tuple[Sample, ...]
) -> np.ndarray:
    """The probabilities [N, C] with the evidence of local features, as the classifier does."""
    known, manifest = loaded.references, loaded.manifest
    assert known
    extents = [place.extent for place in loaded.known.values()]
    weigher = Weigher(known, areas(extents))

    def one(row: np.ndarray, embedding: Floats, sample: Sample) -> np.ndarray:
        grey = to_views(sample.path.read_bytes(), manifest.image_size, manifest.resize).grey
        return weigher.weighed(row.astype(np.float32), embedding, grey)

    with ThreadPoolExecutor(initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return np.stack(list(pool.map(one, probabilities, embeddings, samples)))


def per_class(
    answers: Answers, labels: tuple[str, ...], counts: NDArray[np.int64] | None = None
) -> dict[str, dict[str, float]]:
    """By slug: reference photos, photos, share recognised, share tagged right, and wrong tags of
    this name.
    """
    accepted = answers.confidence >= MIN_CONF
    rows = {}
    for index, label in enumerate(labels):
        own = answers.labels == index
        wrong = accepted & ~answers.placed & (answers.best == index)
        rows[label] = {
            "references": float("nan") if counts is None else float(counts[index]),
            "photos": float(own.sum()),
            "top1": _mean(answers.right[own]),
            "tagged_right": _mean((answers.placed & accepted)[own]),
            "wrong_tags": float(wrong.sum()),
        }
    return rows


def save_classes(report: Report, path: Path) -> None:
    """By landmark as CSV; shares without photos are left empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for number, (slug, row) in enumerate(report.classes.items()):
            if not number:
                writer.writerow(["landmark", *row])
            writer.writerow([slug, *("" if math.isnan(v) else f"{v:.4g}" for v in row.values())])


def table(report: Report) -> str:
    """Figures and intervals as text, one a line."""
    counts = ", ".join(f"{count} {kind}" for kind, count in report.photos.items())
    lines = [f"photos: {counts}", f"{'figure':<26}{'value':>9}  95 % interval"]
    for name, value in report.figures.items():
        low, high = report.intervals[name]
        lines.append(f"{name:<26}{value:>9.4f}  {low:.4f} to {high:.4f}")
    for name, groups in report.groups.items():
        lines += ["", f"by {name}", as_text(groups)]
    return "\n".join(lines)


def _mean(rows: NDArray[np.bool_]) -> float:
    return float(rows.mean()) if len(rows) else float("nan")


def as_json(report: Report) -> dict[str, object]:
    return asdict(report)


def _run(
    module: nn.Module, images: np.ndarray, device: torch.device, batch: int = 16
) -> tuple[np.ndarray, Floats]:
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            pictures = torch.from_numpy(np.array(images[start : start + batch])).to(device)
            scores, embeddings = module(pictures.contiguous(memory_format=torch.channels_last))
            parts.append((scores.double().cpu().numpy(), embeddings.float().cpu().numpy()))
    probabilities, embeddings = zip(*parts, strict=True)
    return np.concatenate(probabilities), np.concatenate(embeddings)
