"""Commands that train: the network from scratch, the transferred one, that for thumbnails."""

import time
from pathlib import Path

import click

from train.cli.options import (
    DATA,
    FOLDER,
    LANDMARKS,
    NEGATIVES,
    PLACES,
    made,
    run_folder,
    several_folders,
)


@click.command()
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
    from train.photos.split import gather
    from train.photos.tables import read_known
    from train.ship.ship import ship

    start, run = time.monotonic(), run_folder(out)
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


@click.command()
@several_folders
@click.option("--out", type=FOLDER, default=Path("runs/transfer.pt"), show_default=True)
@click.option("--backbone", default="lite2", show_default=True, help="lite0..2, resnet50 or timm.")
@click.option(
    "--weights", type=FOLDER, help="Weights to start from: a timm state dict, or a run's best.pt."
)
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
    from train.photos.split import gather
    from train.photos.tables import read_known, read_left_out
    from train.ship.references import add_references
    from train.ship.ship import ship

    start, run = time.monotonic(), run_folder(out)
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


@click.command()
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

    made(out.parent)
    start, net = time.monotonic(), make(data, negatives, out, minutes, seed)
    shares = ", ".join(f"{name} {value:.1%}" for name, value in net.metrics.items())
    click.echo(f"{out}: {shares}, after {(time.monotonic() - start) / 60:.0f} min")


@click.command()
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
    made(out)
    from train.photos.split import gather
    from train.photos.tables import read_known
    from train.rejection import unseen as experiment
    from train.rejection.compare import save

    known = read_known([data], places)
    material = gather(data, negatives, seed, known=known)
    if classes > len(material.labels) - 2:
        raise click.BadParameter("leave two classes or more to learn", param_hint="--classes")
    rows = experiment.measure(material, out, classes, epochs, seed)
    save(rows, out / "unseen.csv")
    click.echo((out / "unseen.csv").read_text(encoding="utf-8"))


def _finish(out: Path, size: int, start: float) -> None:
    from train.measure import plots

    run = out.with_suffix("")
    plots.curves(run / "metrics.csv", run / "curves.png")
    minutes = (time.monotonic() - start) / 60
    click.echo(f"{out}: {size / 1e6:.1f} MB, after {minutes:.0f} min")
