"""``python -m train``: make the two models, measure a model file, look at training photos."""

import sys
import warnings

import click

from tagger.errors import TaggerError
from train.cli.measuring import evaluate, show_data
from train.cli.model_file import add, extend, part, references, slim, write_places
from train.cli.packing import pack
from train.cli.training import scratch, thumbnail, transfer, unseen


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores when left out.")
def main(threads: int | None) -> None:
    """Make model files for landmark-tag, and measure them."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about odd data beside a picture
    if threads:
        import torch

        torch.set_num_threads(threads)


for command in (
    scratch, transfer, thumbnail, unseen, references, add, extend, slim, write_places, part,
    evaluate, show_data, pack,
):  # fmt: skip
    main.add_command(command)


if __name__ == "__main__":
    try:
        main()
    except TaggerError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
