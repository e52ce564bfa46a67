"""Fetch the photos that ``default.more.places`` was made of, each from its public repository.

    scripts/fetch_more_photos.py DIR
    python -m train add tagger/model/default.pt --photos DIR --name more --learned

scripts/more_photos.csv says for each photo which landmark it shows, its repository, commit and
path, and whether the pack has it as a reference; the others only taught the network's last layer,
and --all fetches these, too. What is gone from GitHub is named and left out. Hardly any of them
states a licence.
"""

import csv
import re
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import click

LIST = Path(__file__).with_name("more_photos.csv")
LONGEST = 60  # characters of a path that stay in the photo's name


def name_of(repository: str, path: str) -> str:
    """What the photo is called below its landmark's folder."""
    return f"{repository.replace('/', '_')}__{re.sub('[^A-Za-z0-9.]+', '_', path)[-LONGEST:]}"


def git(place: str, *command: str) -> bytes:
    done = subprocess.run(["git", "-C", place, *command], capture_output=True, check=True)
    return done.stdout


@click.command(help=__doc__)
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--host", default="https://github.com", show_default=True)
@click.option("--table", default=LIST, type=click.Path(path_type=Path, exists=True))
@click.option("--all", "every", is_flag=True, help="Photos that are no reference, too.")
def main(directory: Path, host: str, table: Path, every: bool) -> None:
    wanted = defaultdict(list)
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row.get("reference") == "no" and not every:
                continue
            wanted[row["repository"], row["commit"]].append((row["slug"], row["path"]))
    for (repository, commit), photos in wanted.items():
        with tempfile.TemporaryDirectory() as place:
            try:
                git(place, "init", "--quiet")
                git(place, "remote", "add", "origin", f"{host}/{repository}")
                # Only what is asked for: some repositories hold hundreds of megabytes.
                git(place, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", commit)
                for slug, path in photos:
                    photo = git(place, "show", f"{commit}:{path}")
                    (directory / slug).mkdir(parents=True, exist_ok=True)
                    (directory / slug / name_of(repository, path)).write_bytes(photo)
            except subprocess.CalledProcessError as error:
                reason = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
                click.echo(f"{repository}: left out ({' '.join(reason)})", err=True)


if __name__ == "__main__":
    main()
