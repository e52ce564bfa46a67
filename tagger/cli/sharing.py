"""The commands places export, merge and relearn; no logic."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from tagger.cli import options
from tagger.cli.exits import exits
from tagger.cli.help import Grouped
from tagger.cli.pack_options import FILE, classifier_of, opened_pack, pack_option, required
from tagger.errors import RunError
from tagger.terminal import counted, printable, tell


@click.command(cls=Grouped)
@click.argument("out", type=FILE)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@pack_option
@click.option("--yes", is_flag=True, allow_from_autoenv=False, help="Export private places too.")
@exits
def export(out: Path, names: tuple[str, ...], pack: Path | None, yes: bool) -> None:
    """Write places to a pack that others may have.

    \b
    landmark-tag places export chapels.places "Chapel of St Anne"
    landmark-tag places export chapels.places

    Paths of photos, and what is not a place, stay here. Private places leave only after a question.
    """
    from tagger.places.pack_writing import write_pack

    opened = opened_pack(pack)
    if opened is None:
        return
    if out.exists():
        raise RunError(f"{out}: exists; choose another name")
    chosen = [place for place in opened.places() if place.named]
    if names:
        chosen = [required(opened, name) for name in names]
    if opened.private and not yes:
        listed = ", ".join(place.landmark.name for place in chosen[:10])
        count = counted(len(chosen), "private place")
        question = f"{count} will be in {out}: {listed}. Export?"
        if not sys.stdin.isatty() or not click.confirm(printable(question)):
            raise RunError(f"{out}: not written: the places are private; add --yes to export them")
    clean = [
        replace(place, references=tuple(
            replace(one, facts={k: v for k, v in one.facts.items() if k != "path"})
            for one in place.references
        ))
        for place in chosen
    ]  # fmt: skip
    sizes = opened.embeddings.shape[1], opened.codes.shape[1]
    write_pack(out, opened.encoder, clean, sizes, private=False)
    tell(f"{out}: {counted(len(clean), 'place')}")


@click.command(cls=Grouped)
@click.argument("packs", metavar="FILE...", nargs=-1, required=True, type=FILE)
@pack_option
@exits
def merge(packs: tuple[Path, ...], pack: Path | None) -> None:
    """Add the places of other packs to yours, or to --pack.

    \b
    landmark-tag places merge chapels.places
    """
    from tagger.places.opening import open_pack
    from tagger.places.own import editing, own_path

    others = [open_pack(path) for path in packs]
    if len({one.encoder for one in others}) > 1:
        raise RunError(
            "places merge: the packs were made by different models; learn one of them again with "
            "landmark-tag places relearn"
        )
    first = others[0]
    sizes = first.embeddings.shape[1], first.codes.shape[1]
    with editing(pack or own_path(), first.encoder, sizes, first.private) as edited:
        edited.private = edited.private or any(one.private for one in others)
        for other in others:
            count = sum(edited.add(place) for place in other.places())
            tell(f"{other.path}: {counted(len(other), 'place')}, {counted(count, 'new photo')}")


@click.command(cls=Grouped)
@pack_option
@options.model("Model file to learn with; default: the one that ships.")
@exits
def relearn(pack: Path | None, model: Path | None) -> int:
    """Learn all places again with another model, from the photos where they were.

    \b
    landmark-tag places relearn
    """
    from tagger.run.learn import before, relearned

    opened = opened_pack(pack)
    if opened is None:
        return 0
    kept = lost = 0
    for place, problems in relearned(opened.path, classifier_of(model)):
        lost += len(problems)
        kept += bool(place.references)
        for problem in problems:
            tell(printable(f"{place.landmark.name}: {problem}"), err=True)
    if lost:
        tell(f"the pack as it was is kept as {before(opened.path)}", err=True)
    gone = f"; {counted(lost, 'photo')} gone" if lost else ""
    tell(f"{opened.path}: {counted(kept, 'place')} learned again{gone}")
    return 1 if lost else 0
