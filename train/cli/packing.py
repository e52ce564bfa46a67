"""The command that makes a pack of places."""

from pathlib import Path

import click

from tagger.terminal import counted
from train.cli.options import FOLDER


@click.command()
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
            from tagger.run.ray_connection import Cluster
            from train.packs_on_ray import build_all

            build_all(parts, model, licence, Cluster(ray_address, ray_gpus_per_worker))
        for part in tqdm(parts, "places", unit=f"{packing.PART} places"):
            packing.build(part, classifier, licence)
        made += [part.path for part in parts]
    count, kept = packing.merged((*made, *packs), out, best, points)
    held = f"{counted(count, 'place')}, {counted(kept, 'photo')}"
    click.echo(f"{out}: {held}, {out.stat().st_size / 1e6:.1f} MB")
