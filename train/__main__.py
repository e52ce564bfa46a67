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

FOLDER = click.Path(path_type=Path)
NEGATIVES = "Folder of photos without landmarks, any nesting; DIR/train and DIR/test if there."
LANDMARKS = "Folder of photos of landmarks, any nesting; DIR/train if there."
DATA = "Folder that holds train/<class>/* and test/<class>/*."


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores when left out.")
def main(threads: int | None) -> None:
    """Make model files for landmark-tag, and measure them."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd extras beside a picture
    if threads:
        import torch

        torch.set_num_threads(threads)


@main.command()
@click.option("--data", type=FOLDER, required=True, help=DATA)
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--out", type=FOLDER, default=Path("runs/scratch.pt"), show_default=True)
@click.option("--epochs", type=click.IntRange(1), help="Default: the recipe's.")
@click.option("--seed", default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of a stopped run.")
def scratch(
    data: Path, negatives: tuple[Path, ...], out: Path, epochs: int | None, seed: int, resume: bool
) -> None:
    """Train the CNN from random weights; OUT is the model file, OUT without .pt the run."""
    from train.networks import scratch as model
    from train.photos.split import gather
    from train.ship.ship import ship

    start, run = time.monotonic(), _run_folder(out)
    material = gather(data, negatives, seed)
    chosen = model.recipe(epochs, seed) if epochs else model.recipe(seed=seed)
    network = model.train_scratch(material, chosen, run, resume=resume)
    _finish(
        out,
        ship(network, material, "scratch", model.SIZE, model.RESIZE, out,
             recipe=str(chosen), run=run),
        start,
    )  # fmt: skip


@main.command()
@click.option("--data", type=FOLDER, required=True, help=DATA)
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--out", type=FOLDER, default=Path("runs/transfer.pt"), show_default=True)
@click.option("--backbone", default="lite2", show_default=True, help="lite0..2, resnet50 or timm.")
@click.option("--weights", type=FOLDER, help="Pretrained weights (a timm state dict).")
@click.option("--epochs", type=click.IntRange(1), help="Default: the recipe's.")
@click.option("--seed", default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of a stopped run.")
def transfer(
    data: Path,
    negatives: tuple[Path, ...],
    out: Path,
    backbone: str,
    weights: Path | None,
    epochs: int | None,
    seed: int,
    resume: bool,
) -> None:
    """Fine-tune a pretrained network; OUT is the model file, OUT without .pt the run."""
    from train.networks import finetune, pretrained
    from train.photos.split import gather
    from train.ship.references import add_references
    from train.ship.ship import ship

    start, run = time.monotonic(), _run_folder(out)
    material = gather(data, negatives, seed)
    network = pretrained.transfer(backbone, len(material.labels) + 1, weights, finetune.DROPOUT)
    recipe = finetune.recipe(network, epochs or finetune.EPOCHS, seed)
    finetune.train_transfer(network, material, recipe, run, resume=resume)
    ship(network, material, backbone, finetune.SIZE, finetune.RESIZE, out,
         recipe=str(recipe), run=run)  # fmt: skip
    _finish(out, add_references(out, material), start)


@main.command()
@click.option("--data", type=FOLDER, required=True, multiple=True, help=LANDMARKS)
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--out", type=FOLDER, default=Path("runs/transfer.thumbnail.pt"), show_default=True)
@click.option("--minutes", default=20.0, show_default=True, help="How long to train.")
@click.option("--seed", default=0, show_default=True)
def thumbnail(
    data: tuple[Path, ...], negatives: tuple[Path, ...], out: Path, minutes: float, seed: int
) -> None:
    """Train the small network that looks at thumbnails first; OUT belongs beside a model file.

    NAME.thumbnail.pt is used with NAME.pt. It tells photos of landmarks, those of DIR and others,
    from photos of ordinary things; negatives of the kind near count as neither.
    """
    from train.ship.thumbnail import make

    _made(out.parent)
    start, found = time.monotonic(), make(data, negatives, out, minutes, seed)
    shares = ", ".join(f"{name} {value:.1%}" for name, value in found.metrics.items())
    click.echo(f"{out}: {shares}, after {(time.monotonic() - start) / 60:.0f} minutes")


@main.command()
@click.argument("model", type=FOLDER)
@click.option("--data", type=FOLDER, required=True, help=DATA)
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--seed", default=0, show_default=True, help="That of the model's training.")
def references(model: Path, data: Path, negatives: tuple[Path, ...], seed: int) -> None:
    """Put local features of the photos to learn from into MODEL, as transfer does at its end."""
    from tagger.model import artifact
    from train.photos.split import gather
    from train.ship.references import add_references

    labels, material = artifact.load(model).manifest.labels, gather(data, negatives, seed)
    if material.labels != labels:
        raise RunError(f"{model}: knows other landmarks than {data}; give the data it learned from")
    size = add_references(model, material)
    click.echo(f"{model}: {size / 1e6:.1f} MB")


@main.command()
@click.option("--data", type=FOLDER, required=True, help=DATA)
@click.option("--negatives", type=FOLDER, required=True, multiple=True, help=NEGATIVES)
@click.option("--out", type=FOLDER, default=Path("runs/unseen"), show_default=True)
@click.option("--classes", type=click.IntRange(1), default=12, show_default=True, help="Left out.")
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seed", default=0, show_default=True)
def unseen(
    data: Path, negatives: tuple[Path, ...], out: Path, classes: int, epochs: int, seed: int
) -> None:
    """Train without some classes and measure what photos of those pass for; see STEEPER."""
    _made(out)
    from train.photos.split import gather
    from train.rejection import unseen as experiment
    from train.rejection.compare import save

    material = gather(data, negatives, seed)
    if classes > len(material.labels) - 2:
        raise click.BadParameter("leave two classes or more to learn", param_hint="--classes")
    rows = experiment.measure(material, out, classes, epochs, seed)
    save(rows, out / "unseen.csv")
    click.echo((out / "unseen.csv").read_text(encoding="utf-8"))


@main.command()
@click.argument("model", type=FOLDER)
@click.option("--data", type=FOLDER, required=True, help=DATA)
@click.option("--negatives", type=FOLDER, multiple=True, help=NEGATIVES)
@click.option("--part", default="test", show_default=True, help="Which folder of DATA.")
@click.option("--out", type=FOLDER, help="Folder for report.json and plots.")
@click.option("--device", default="auto", show_default=True)
@click.option("--card", type=FOLDER, help="Model card whose tables to fill.")
@click.option("--comparison", type=FOLDER, help="rejection.csv of the run, for the card.")
def evaluate(
    model: Path,
    data: Path,
    negatives: tuple[Path, ...],
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
    from train.measure.evaluate import as_json, table
    from train.measure.evaluate import evaluate as measure

    result = measure(model, data, negatives, part, device)
    click.echo(table(result.report))
    if out:
        from train.measure import plots

        report = json.dumps(as_json(result.report), indent=1)
        (out / "report.json").write_text(report, encoding="utf-8")
        plots.confusion(result.answers, result.labels, out / "confusion.png")
        plots.worst(result.answers, result.samples, result.labels, out / "worst.png")
        if negatives:
            plots.reliability(result.answers, out / "reliability.png")
            plots.risk_coverage(result.answers, out / "risk_coverage.png")
        click.echo(f"report.json and plots are in {out}")
    if card:
        from train.measure.card import fill

        fill(card, result.name, result.report, comparison)


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
    """The folder of the run that ends in the model file ``out``, made before hours go into it."""
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
