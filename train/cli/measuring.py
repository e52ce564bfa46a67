"""Commands that measure a model file and show the photos to learn from."""

import json
import re
from pathlib import Path

import click

from train.cli.options import DATA, FOLDER, LEAVE_OUT, NEGATIVES, STRANGERS, made

PICTURED = 60  # most classes that a confusion matrix has room for


@click.command()
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
        made(out)
    from train.measure.evaluate import as_json, save_classes, table
    from train.measure.evaluate import evaluate as measure
    from train.photos.tables import read_left_out
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


@click.command("show-data")
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
    made(out)
    show_data.class_counts(samples, folder.labels, out / "counts.png")
    show_data.contact_sheet(samples, folder.labels, out / "contact_sheet.png", seed)
    few = samples[:: max(1, len(samples) // 6)][:6]
    show_data.augmented(few, scratch.recipe(seed=seed), out / "augmented.png")
    click.echo(f"counts.png, contact_sheet.png and augmented.png are in {out}")
