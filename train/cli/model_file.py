"""Commands that change a finished model file: its references, places and landmarks."""

from pathlib import Path

import click

from tagger.errors import RunError
from tagger.terminal import counted
from train.cli.options import FOLDER, model_file, several_folders

MORE = "Folder that holds train/<class>/* which MODEL has not learned. Several do."
POINTS = "Local features kept of a further photo, at most."


@click.command()
@click.argument("model", type=FOLDER)
@several_folders
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
    from train.photos.split import gather
    from train.photos.tables import read_known, read_left_out
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


@click.command("places")
@click.argument("model", type=FOLDER)
@click.option("--places", type=FOLDER, required=True, help="CSV: slug, latitude, longitude ...")
def write_places(model: Path, places: Path) -> None:
    """Write into MODEL where its classes are, or correct that; nothing is trained.

    Classes that the table does not name stay where they were.
    """
    from tagger.model import artifact
    from tagger.places.table import read_places
    from train.ship import rewriting

    loaded, given = artifact.alone(model), read_places(places)
    labels = loaded.manifest.labels
    strange = [slug for slug in given if slug not in labels]
    if strange:
        raise RunError(
            f"--places {places}: {', '.join(strange[:3])} is no class of {model}; its classes are "
            f"{', '.join(labels[:5])}{' ...' if len(labels) > 5 else ''}"
        )
    rewriting.add_places(model, {**loaded.places, **given}.values())
    click.echo(f"{model}: {counted(len(given), 'place')} written")


@click.command()
@click.argument("model", type=FOLDER)
@click.option("--source", required=True, help="Text in the names of the collections to part.")
@click.option("--name", required=True, help="MODEL's photos of these go to MODEL.NAME.places.")
def part(model: Path, source: str, name: str) -> None:
    """Move photos of some collections with another licence to a pack beside MODEL."""
    from tagger.model import packs
    from train.ship.parting import parted

    count, size = parted(model, source, name)
    file = packs.place(model, name)
    click.echo(f"{counted(count, 'photo')} now in {file}, {size / 1e6:.1f} MB")


@click.command()
@click.argument("model", type=FOLDER)
@click.option("--photos", type=FOLDER, required=True, help="A folder for each landmark.")
@click.option("--name", required=True, help="The references go to MODEL.NAME.places.")
@click.option("--learned", is_flag=True, help="MODEL was trained on these photos, too.")
def add(model: Path, photos: Path, name: str, learned: bool) -> None:
    """Add references of more photos in a pack beside MODEL; nothing is trained."""
    from tagger.model import packs
    from train.ship.adding import added

    count, size = added(model, photos, name, learned)
    file = packs.place(model, name)
    click.echo(f"{counted(count, 'photo')} in {file}, {size / 1e6:.1f} MB")


@click.command()
@click.argument("model", type=FOLDER)
@click.option("--more", type=FOLDER, required=True, multiple=True, help=MORE)
@several_folders
@click.option("--out", type=FOLDER, required=True, help="The model file to write; MODEL is fine.")
@click.option("--name", default="", help="References of --more go to OUT.NAME.places.")
@click.option("--points", type=click.IntRange(1), default=380, show_default=True, help=POINTS)
@click.option("--looser", default=0.0, show_default=True, help="Logits that the rule gives back.")
@click.option("--weigh", is_flag=True, help="Fit the rule on --more first: some thousand photos.")
@click.option("--seed", default=0, show_default=True, help="Of the random views of the photos.")
def extend(
    model: Path,
    more: tuple[Path, ...],
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    places: Path | None,
    leave_out: tuple[Path, ...],
    min_photos: int,
    out: Path,
    name: str,
    points: int,
    looser: float,
    weigh: bool,
    seed: int,
) -> None:
    """Teach MODEL further photos and landmarks in minutes; its network stays as it is.

    --data are photos that MODEL learned, for comparison: of as many landmarks as there are.
    """
    from tagger.model import artifact
    from train.photos.tables import read_known, read_left_out
    from train.ship.extending import extended

    model_file(out)
    left_out = read_left_out(leave_out, (*more, *data, *negatives))
    table = read_known((*more, *data), places, artifact.alone(model).places)
    learned = extended(
        model, more, data, negatives, out,
        name=name, points=points, looser=looser, weigh=weigh, least=min_photos, left_out=left_out,
        known=table, seed=seed,
    )  # fmt: skip
    click.echo(
        f"{out}: {counted(len(learned.landmarks), 'new landmark')}; "
        f"{counted(learned.photos, 'photo')} learned, {learned.references} of them kept for "
        f"comparison; {out.stat().st_size / 1e6:.1f} MB"
    )


@click.command()
@click.argument("model", type=FOLDER)
def slim(model: Path) -> None:
    """Make MODEL and the packs beside it smaller: fewer points of landmarks with many photos."""
    from train.ship.slimming import slimmed

    click.echo(f"{model}: {slimmed(model) / 1e6:.1f} MB less")
