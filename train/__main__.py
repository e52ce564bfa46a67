"""``python -m train``: make the two models, measure a model file, look at training photos."""

import json
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

import click

from tagger.errors import RunError, TaggerError
from tagger.terminal import counted

FOLDER = click.Path(path_type=Path)
NEGATIVES = "Folder of photos without landmarks, any nesting; DIR/train and DIR/test if there."
LANDMARKS = "Folder of photos of landmarks, any nesting; DIR/train if there."
DATA = "Folder that holds train/<class>/* and test/<class>/*."
LEAVE_OUT = "CSV of photos not to take: a column file (with split, slug) or negative."
STRANGERS = "Folder of photos of landmarks that MODEL never learned, any nesting."
PLACES = "CSV of where classes are: folder, latitude, longitude ...; default: DIR/places.csv."
PICTURED = 60  # most classes that a confusion matrix has room for
LEAST = "A landmark of fewer photos is learned, but not shipped."


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores when left out.")
def main(threads: int | None) -> None:
    """Make model files for landmark-tag, and measure them."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about odd data beside a picture
    if threads:
        import torch

        torch.set_num_threads(threads)


@main.command()
@click.option("--data", type=FOLDER, required=True, help=DATA)
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--places", type=FOLDER, help=PLACES)
@click.option("--out", type=FOLDER, default=Path("runs/scratch.pt"), show_default=True)
@click.option("--epochs", type=click.IntRange(1), help="Default: the recipe's.")
@click.option("--seed", default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of a stopped run.")
def scratch(
    data: Path,
    negatives: tuple[Path, ...],
    places: Path | None,
    out: Path,
    epochs: int | None,
    seed: int,
    resume: bool,
) -> None:
    """Train the CNN from random weights; OUT is the model file, OUT without .pt the run."""
    from train.networks import scratch as model
    from train.photos.folders import read_known
    from train.photos.split import gather
    from train.ship.ship import ship

    start, run = time.monotonic(), _run_folder(out)
    known = read_known([data], places)
    material = gather(data, negatives, seed, known=known)
    chosen = model.recipe(epochs, seed) if epochs else model.recipe(seed=seed)
    network = model.train_scratch(material, chosen, run, resume=resume)
    _finish(
        out,
        ship(network, material, "scratch", model.SIZE, model.RESIZE, out,
             recipe=str(chosen), run=run),
        start,
    )  # fmt: skip


@main.command()
@click.option("--data", type=FOLDER, required=True, multiple=True, help=DATA + " Several do.")
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--places", type=FOLDER, help=PLACES)
@click.option("--leave-out", type=FOLDER, multiple=True, help=LEAVE_OUT)
@click.option("--min-photos", type=click.IntRange(1), default=4, show_default=True, help=LEAST)
@click.option("--out", type=FOLDER, default=Path("runs/transfer.pt"), show_default=True)
@click.option("--backbone", default="lite2", show_default=True, help="lite0..2, resnet50 or timm.")
@click.option("--weights", type=FOLDER, help="Pretrained weights (a timm state dict).")
@click.option("--epochs", type=click.IntRange(1), help="Default: the recipe's.")
@click.option("--whole", is_flag=True, help="Train once more, on the validation photos, too.")
@click.option("--seed", default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of a stopped run.")
def transfer(
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    places: Path | None,
    leave_out: tuple[Path, ...],
    min_photos: int,
    out: Path,
    backbone: str,
    weights: Path | None,
    epochs: int | None,
    whole: bool,
    seed: int,
    resume: bool,
) -> None:
    """Fine-tune a pretrained network; OUT is the model file, OUT without .pt the run.

    With --whole the confidence rules of a first network, fitted on validation photos that it did
    not see, are given to a second one that learns from all photos.
    """
    from train.networks import finetune, pretrained
    from train.photos.folders import read_known, read_left_out
    from train.photos.split import gather
    from train.ship.references import add_references
    from train.ship.ship import ship

    start, run = time.monotonic(), _run_folder(out)
    left_out = read_left_out(leave_out, (*data, *negatives))
    known = read_known(data, places)
    material = gather(data, negatives, seed, least=min_photos, left_out=left_out, known=known)
    first = run / "first.pt" if whole else out
    for file in (first, out) if whole else (out,):
        like = first if whole and file == out else None
        photos = material.whole() if like else material
        folder = run / "whole" if like else run
        network = pretrained.transfer(backbone, photos.columns, weights, finetune.DROPOUT)
        recipe = finetune.recipe(network, epochs or finetune.EPOCHS, seed)
        finetune.train_transfer(network, photos, recipe, folder, resume=resume)
        ship(network, photos, backbone, finetune.SIZE, finetune.RESIZE, file,
             recipe=str(recipe), run=folder, like=like, weighed=True)  # fmt: skip
        neck = network.margin.neck.weight.detach().T.contiguous().cpu().numpy()
        size = add_references(file, photos, neck, like)
    _finish(out, size, start)


@main.command()
@click.option("--data", type=FOLDER, required=True, multiple=True, help=LANDMARKS)
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--out", type=FOLDER, default=Path("runs/transfer.thumbnail.pt"), show_default=True)
@click.option("--minutes", default=20.0, show_default=True, help="How long to train.")
@click.option("--seed", default=0, show_default=True)
def thumbnail(
    data: tuple[Path, ...], negatives: tuple[Path, ...], out: Path, minutes: float, seed: int
) -> None:
    """Train the small network that classifies thumbnails first; OUT belongs beside a model file.

    NAME.thumbnail.pt is used with NAME.pt. It tells photos of landmarks, those of DIR and others,
    from photos of ordinary things; negatives of the kind near count as neither.
    """
    from train.ship.thumbnail import make

    _made(out.parent)
    start, made = time.monotonic(), make(data, negatives, out, minutes, seed)
    shares = ", ".join(f"{name} {value:.1%}" for name, value in made.metrics.items())
    click.echo(f"{out}: {shares}, after {(time.monotonic() - start) / 60:.0f} minutes")


@main.command()
@click.argument("model", type=FOLDER)
@click.option("--data", type=FOLDER, required=True, multiple=True, help=DATA + " Several do.")
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--places", type=FOLDER, help=PLACES)
@click.option("--leave-out", type=FOLDER, multiple=True, help=LEAVE_OUT)
@click.option("--min-photos", type=click.IntRange(1), default=4, show_default=True, help=LEAST)
@click.option("--seed", default=0, show_default=True, help="That of the model's training.")
def references(
    model: Path,
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    places: Path | None,
    leave_out: tuple[Path, ...],
    min_photos: int,
    seed: int,
) -> None:
    """Put references of the photos to learn from into MODEL, as transfer does at its end."""
    from tagger.model import artifact
    from train.photos.folders import read_known, read_left_out
    from train.photos.split import gather
    from train.ship.references import add_references

    left_out = read_left_out(leave_out, (*data, *negatives))
    loaded = artifact.alone(model)
    table = read_known(data, places, loaded.places)
    material = gather(data, negatives, seed, least=min_photos, left_out=left_out, known=table)
    if material.labels != loaded.manifest.labels:
        raise RunError(
            f"{model}: knows other landmarks than {data[0]}; give the data it learned from"
        )
    known = loaded.references
    size = add_references(model, material, known.components.astype("float32") if known else None)
    click.echo(f"{model}: {size / 1e6:.1f} MB")


@main.command("places")
@click.argument("model", type=FOLDER)
@click.option("--places", type=FOLDER, required=True, help="CSV: slug, latitude, longitude ...")
def write_places(model: Path, places: Path) -> None:
    """Write into MODEL where its classes are, or correct that; nothing is trained.

    Classes that the table does not name stay where they were.
    """
    from tagger.model import artifact
    from tagger.places.table import read_places

    loaded, given = artifact.alone(model), read_places(places)
    labels = loaded.manifest.labels
    strange = [slug for slug in given if slug not in labels]
    if strange:
        raise RunError(
            f"--places {places}: {', '.join(strange[:3])} is no class of {model}; its classes are "
            f"{', '.join(labels[:5])}{' ...' if len(labels) > 5 else ''}"
        )
    artifact.add_places(model, {**loaded.places, **given}.values())
    click.echo(f"{model}: {counted(len(given), 'place')} written")


@main.command()
@click.argument("model", type=FOLDER)
@click.option("--source", required=True, help="Text in the names of the collections to part.")
@click.option("--name", required=True, help="MODEL's references of these go to MODEL.NAME.npz.")
@click.option("--data", type=FOLDER, required=True, multiple=True, help=DATA + " Several do.")
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--places", type=FOLDER, help=PLACES)
@click.option("--leave-out", type=FOLDER, multiple=True, help=LEAVE_OUT)
@click.option("--min-photos", type=click.IntRange(1), default=4, show_default=True, help=LEAST)
@click.option("--whole", is_flag=True, help="MODEL was made so.")
@click.option("--seed", default=0, show_default=True, help="That of the model's training.")
def part(
    model: Path,
    source: str,
    name: str,
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    places: Path | None,
    leave_out: tuple[Path, ...],
    min_photos: int,
    whole: bool,
    seed: int,
) -> None:
    """Move references of some collections with another licence to a file beside MODEL."""
    from tagger.model import artifact
    from train.photos.folders import read_known, read_left_out
    from train.photos.split import gather
    from train.ship.parting import parted

    left_out = read_left_out(leave_out, (*data, *negatives))
    table = read_known(data, places, artifact.alone(model).places)
    material = gather(data, negatives, seed, least=min_photos, left_out=left_out, known=table)
    count, size = parted(model, material.whole() if whole else material, source, name)
    click.echo(
        f"{counted(count, 'photo')} now in {model.with_suffix(f'.{name}.npz')}, {size / 1e6:.1f} MB"
    )


@main.command()
@click.option("--data", type=FOLDER, required=True, help=DATA)
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--places", type=FOLDER, help=PLACES)
@click.option("--out", type=FOLDER, default=Path("runs/unseen"), show_default=True)
@click.option("--classes", type=click.IntRange(1), default=12, show_default=True, help="Left out.")
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seed", default=0, show_default=True)
def unseen(
    data: Path,
    negatives: tuple[Path, ...],
    places: Path | None,
    out: Path,
    classes: int,
    epochs: int,
    seed: int,
) -> None:
    """Train without some classes and measure how photos of those are classified; see STEEPER."""
    _made(out)
    from train.photos.folders import read_known
    from train.photos.split import gather
    from train.rejection import unseen as experiment
    from train.rejection.compare import save

    known = read_known([data], places)
    material = gather(data, negatives, seed, known=known)
    if classes > len(material.labels) - 2:
        raise click.BadParameter("leave two classes or more to learn", param_hint="--classes")
    rows = experiment.measure(material, out, classes, epochs, seed)
    save(rows, out / "unseen.csv")
    click.echo((out / "unseen.csv").read_text(encoding="utf-8"))


@main.command()
@click.argument("model", type=FOLDER)
@click.option("--data", type=FOLDER, required=True, multiple=True, help=DATA + " Several do.")
@click.option("--negatives", type=FOLDER, multiple=True, help=NEGATIVES)
@click.option("--strangers", type=FOLDER, multiple=True, help=STRANGERS)
@click.option("--leave-out", type=FOLDER, multiple=True, help=LEAVE_OUT)
@click.option("--part", default="test", show_default=True, help="Which folder of DATA.")
@click.option("--out", type=FOLDER, help="Folder for report.json and plots.")
@click.option("--device", default="auto", show_default=True)
@click.option("--card", type=FOLDER, help="Model card whose tables to fill.")
@click.option("--comparison", type=FOLDER, help="rejection.csv of the run, for the card.")
def evaluate(
    model: Path,
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    strangers: tuple[Path, ...],
    leave_out: tuple[Path, ...],
    part: str,
    out: Path | None,
    device: str,
    card: Path | None,
    comparison: Path | None,
) -> None:
    """Measure a model file on photos it never saw."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise click.BadParameter("give one of auto, cpu, cuda, cuda:1", param_hint="--device")
    if out:
        _made(out)
    from train.measure.evaluate import as_json, save_classes, table
    from train.measure.evaluate import evaluate as measure
    from train.photos.folders import read_left_out
    from train.rejection.compare import save

    left_out = read_left_out(leave_out, (*data, *negatives))
    result = measure(model, data, negatives, part, device, left_out=left_out, strangers=strangers)
    click.echo(table(result.report))
    if out:
        from train.measure import plots

        report = json.dumps(as_json(result.report), indent=1)
        (out / "report.json").write_text(report, encoding="utf-8")
        if result.report.confused:
            save(result.report.confused, out / "confused.csv")
        save_classes(result.report, out / "landmarks.csv")
        if len(result.labels) <= PICTURED:
            plots.confusion(result.answers, result.labels, out / "confusion.png")
        plots.worst(result.answers, result.samples, result.labels, out / "worst.png")
        if negatives:
            plots.reliability(result.answers, out / "reliability.png")
            plots.risk_coverage(result.answers, out / "risk_coverage.png")
        click.echo(f"report.json, tables and plots are in {out}")
    if card:
        from train.measure.card import fill

        fill(card, result.name, result.report, comparison)


@main.command()
@click.option("--photos", type=FOLDER, help="Folder with a folder of photos for each place.")
@click.option("--places", type=FOLDER, help="CSV: folder or landmark_id, latitude, longitude ...")
@click.option("--gld", type=FOLDER, help="Google Landmarks v2's train.csv; --photos is its train.")
@click.option("--pack", "packs", type=FOLDER, multiple=True, help="Pack to take in; repeatable.")
@click.option("--out", type=FOLDER, required=True, help="The pack to write.")
@click.option("--best", type=click.IntRange(1), default=25, show_default=True, help="Photos kept.")
@click.option(
    "--points", type=click.IntRange(1), default=480, show_default=True, help="Of a photo."
)
@click.option("--licence", default="", help="Of the photos.")
@click.option("--model", type=FOLDER, help="Model file; default: the one that ships.")
@click.option("--landmarks", is_flag=True, help="Take in the landmarks of the model, too.")
@click.option("--device", default="auto", show_default=True)
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--ray-address", default="auto", show_default=True, help="HOST:PORT, auto or local.")
@click.option("--ray-gpus-per-worker", type=float, default=0.0, show_default=True, help="A share.")
def pack(
    photos: Path | None,
    places: Path | None,
    gld: Path | None,
    packs: tuple[Path, ...],
    out: Path,
    best: int,
    points: int,
    licence: str,
    model: Path | None,
    landmarks: bool,
    device: str,
    engine: str,
    ray_address: str,
    ray_gpus_per_worker: float,
) -> None:
    """Make a pack of places from photos and other packs, with the best photos of each place.

    A stopped run keeps what it has learned in OUT.parts, and the same command resumes from there.
    """
    from tqdm import tqdm

    from tagger.model import DEFAULT_MODEL
    from tagger.model.classifier import Classifier
    from train import packs as packing

    if bool(photos) != bool(places) or not (photos or packs or landmarks):
        raise click.UsageError("give --photos and --places, --pack, --landmarks, or all of them")
    folder, made = out.with_suffix(".parts"), list[Path]()
    if landmarks:
        made.append(packing.landmarks(model or DEFAULT_MODEL, folder))
    if photos and places:
        classifier = Classifier(model or DEFAULT_MODEL, "cpu" if engine == "ray" else device)
        parts = packing.plan(packing.lessons(photos, places, gld), classifier.encoder, folder)
        if engine == "ray":
            from tagger.run.ray_engine import Cluster
            from train.packs_on_ray import build_all

            build_all(parts, model, licence, Cluster(ray_address, ray_gpus_per_worker))
        for part in tqdm(parts, "places", unit=f"{packing.PART} places"):
            packing.build(part, classifier, licence)
        made += [part.path for part in parts]
    count, kept = packing.merged((*made, *packs), out, best, points)
    held = f"{counted(count, 'place')}, {counted(kept, 'photo')}"
    click.echo(f"{out}: {held}, {out.stat().st_size / 1e6:.1f} MB")


@main.command("show-data")
@click.argument("directory", type=FOLDER)
@click.option("--negatives", type=FOLDER, multiple=True, help=NEGATIVES)
@click.option("--out", type=FOLDER, default=Path("runs/data"), show_default=True)
@click.option("--seed", default=0, show_default=True)
def show_data(directory: Path, negatives: tuple[Path, ...], out: Path, seed: int) -> None:
    """Draw class counts, a contact sheet, and what augmentation does to a photo."""
    from train.measure import show_data
    from train.networks import scratch
    from train.photos.folders import read_folder, read_negatives

    folder = read_folder(directory / "train")
    others = [sample for place in negatives for sample in read_negatives(place, "train")]
    samples = (*folder.samples, *others)
    _made(out)
    show_data.class_counts(samples, folder.labels, out / "counts.png")
    show_data.contact_sheet(samples, folder.labels, out / "contact_sheet.png", seed)
    few = samples[:: max(1, len(samples) // 6)][:6]
    show_data.augmented(few, scratch.recipe(seed=seed), out / "augmented.png")
    click.echo(f"counts.png, contact_sheet.png and augmented.png are in {out}")


def _run_folder(out: Path) -> Path:
    """The folder of the run for the model file ``out``, created before hours of training."""
    if out.suffix != ".pt" or out.is_dir():
        raise RunError(f"--out {out}: not the name of a model file; end it in .pt")
    _made(out.parent)
    return _made(out.with_suffix(""))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise RunError(
            f"--out: {folder} cannot be written to ({error.strerror}); give another place"
        ) from error
    return folder


def _finish(out: Path, size: int, start: float) -> None:
    from train.measure import plots

    run = out.with_suffix("")
    plots.curves(run / "metrics.csv", run / "curves.png")
    minutes = (time.monotonic() - start) / 60
    click.echo(f"{out}: {size / 1e6:.1f} MB, after {minutes:.0f} minutes")


if __name__ == "__main__":
    try:
        main()
    except TaggerError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
