"""The commands on places of one's own: learn, and places list, show, forget, check; no logic."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli import options
from tagger.cli.exits import exits
from tagger.cli.help import Grouped
from tagger.errors import RunError
from tagger.terminal import printable, tell

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier
    from tagger.places.pack import Pack, PackPlace

FILE = click.Path(dir_okay=False, path_type=Path)
Command = Callable[..., Any]


def run_options(command: Command) -> Command:
    """What tagging takes: the packs of a run."""
    for option in (
        options.packs("Also name the places of this pack; repeatable."),
        click.option(
            "--own-places/--no-own-places", default=True,
            help="Also name the places that you taught with learn (default).",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


_pack = click.option(
    "--pack", type=FILE, default=None, metavar="FILE", allow_from_autoenv=False,
    help="The pack; default: your own, in the data folder.",
)  # fmt: skip


def _point(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        latitude, longitude = map(float, text.split(","))
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise ValueError
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no position; write 48.13743,11.57549") from error
    return latitude, longitude


@click.command(cls=Grouped)
@click.argument("name", required=False)
@click.argument("photos", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--at", metavar="LAT,LON", callback=_point, allow_from_autoenv=False,
    help="Where the place is, in degrees; default: where the photos with GPS were taken.",
)  # fmt: skip
@click.option(
    "--radius", type=click.IntRange(1, 200_000), metavar="METRES", allow_from_autoenv=False,
    help="How far from there a photo may be taken; default: 100, or as far as the photos' GPS.",
)  # fmt: skip
@click.option(
    "--from", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR", allow_from_autoenv=False,
    help="Learn each folder in DIR as a place; places.csv in it says where they are.",
)  # fmt: skip
@click.option(
    "--not", "wrong", is_flag=True, allow_from_autoenv=False,
    help="The photos do NOT show the place: remember that.",
)  # fmt: skip
@click.option(
    "--licence", default="", metavar="TEXT", allow_from_autoenv=False,
    help="Licence of the photos, kept in the pack.",
)  # fmt: skip
@click.option(
    "--shared", is_flag=True, allow_from_autoenv=False,
    help="A new pack is not private: it may be exported without a question.",
)  # fmt: skip
@_pack
@options.model("Model file whose network is to recognise the place; default: the one that ships.")
@exits
def learn(
    name: str | None, photos: tuple[Path, ...], at: tuple[float, float] | None, radius: int | None,
    folder: Path | None, wrong: bool, licence: str, shared: bool, pack: Path | None,
    model: Path | None,
) -> int:  # fmt: skip
    """Learn a place from a few photos: seconds, no training.

    \b
    landmark-tag learn "Grandmother's house" --at 48.13743,11.57549 garden.jpg door.jpg
    landmark-tag learn "Grandmother's house" with-gps-1.jpg with-gps-2.jpg
    landmark-tag learn --from places

    Two to five photos are enough, ten are better. Without --at the place is where those of the
    photos that carry GPS were taken. Nothing leaves this machine.
    """
    from tagger.places.own import own_path
    from tagger.run import learn as learning

    if bool(folder) == bool(name):
        raise RunError("learn: give a NAME and photos, or --from DIR; see learn --help")
    if folder:
        lessons = learning.in_folders(folder)
    else:
        found: list[Path] = []
        for path in photos:
            found += learning.photos_in(path) if path.is_dir() else [path]
        if not found:
            raise RunError(f"learn {name}: give photos of the place, two to five of them")
        lessons = [learning.Lesson(name or "", tuple(found), at, radius)]
    where, failed = pack or own_path(), 0
    classifier = _classifier(model)
    for one in learning.learn(
        lessons, where, classifier, licence=licence, private=not shared, wrong=wrong
    ):
        failed += len(one.problems)
        for problem in one.problems:
            tell(f"not learned: {problem}", err=True)
        mark = one.landmark
        apart = "" if one.apart_m is None else f"; its photos lie up to {one.apart_m:,.0f} m apart"
        known = f", {one.known} known before" if one.known else ""
        place = "what is not it" if wrong else (
            f"{mark.latitude:.5f}, {mark.longitude:.5f} within {mark.radius_m:,} m"
        )  # fmt: skip
        tell(printable(f"{mark.name}: {one.new} photos learned{known}; {place}{apart}"))
    tell(f"pack: {where}")
    return 1 if failed else 0


@click.group("places")
def places() -> None:
    """List, check, share or forget places of your own.

    \b
    landmark-tag places list
    """


@click.command("list", cls=Grouped)
@_pack
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a place.")
@exits
def list_(pack: Path | None, as_json: bool) -> None:
    """List the places of a pack.

    \b
    landmark-tag places list
    landmark-tag places list --pack chapels.places
    """
    opened = _opened(pack)
    if opened is None:
        return
    for number in range(len(opened)):
        mark, count = opened.landmark(number), int(opened.counts[number])
        named = opened.named(number)
        if as_json:
            tell(json.dumps({
                "name": mark.name, "slug": mark.slug, "latitude": mark.latitude,
                "longitude": mark.longitude, "radius_m": mark.radius_m, "photos": count,
                "named": named,
            }, ensure_ascii=True))  # fmt: skip
        elif named:
            tell(printable(
                f"{mark.name}: {mark.latitude:.5f}, {mark.longitude:.5f} within "
                f"{mark.radius_m:,} m, {count} photos"
            ))  # fmt: skip
        else:
            tell(printable(f"not {mark.name}: {count} photos"))


@click.command(cls=Grouped)
@click.argument("name")
@_pack
@exits
def show(name: str, pack: Path | None) -> None:
    """Show a place and the photos it was learned from.

    \b
    landmark-tag places show "Grandmother's house"
    """
    opened = _opened(pack)
    if opened is None:
        raise RunError(f"{name}: there is no such place")
    place = _required(opened, name)
    mark = place.landmark
    tell(printable(f"{mark.name} ({mark.slug}): {mark.latitude:.5f}, {mark.longitude:.5f} within "
                   f"{mark.radius_m:,} m"))  # fmt: skip
    for one in place.references:
        facts = one.facts
        words = (facts.get("path") or facts.get("source") or facts.get("sha256", "")[:12],
                 facts.get("licence", ""), f"{len(one.codes)} points")  # fmt: skip
        tell(printable("    " + ", ".join(filter(None, words))))


@click.command(cls=Grouped)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_pack
@exits
def forget(names: tuple[str, ...], pack: Path | None) -> None:
    """Forget places, and what was said not to be them.

    \b
    landmark-tag places forget "Grandmother's house"
    """
    from tagger.places.own import NOT, editing, own_path

    with editing(pack or own_path(), "", (0, 0), True) as edited:
        for name in names:
            place = edited.find(name)
            if place is None:
                raise RunError(f"{name}: there is no such place; nothing was forgotten")
            del edited.places[place.landmark.slug]
            edited.places.pop(NOT + place.landmark.slug, None)
            tell(printable(f"{place.landmark.name}: forgotten"))


@click.command(cls=Grouped)
@_pack
@exits
def check(pack: Path | None) -> int:
    """Check a pack, and tell which photos are taken for another place.

    \b
    landmark-tag places check
    landmark-tag places check --pack chapels.places
    """
    from tagger.run.learn import confused

    opened = _opened(pack)
    if opened is None:
        return 0
    opened.check()
    found = confused(opened)
    for photo, place, other in found:
        tell(printable(f"{photo}: learned as {place}, more like {other}"))
    few = [opened.landmark(n).name for n in range(len(opened)) if opened.counts[n] < 2]
    for name in few:
        tell(printable(f"{name}: one photo only; learn more of it"))
    tell(f"{len(opened)} places, {len(opened.owners)} photos: the file is whole, "
         f"{len(found)} photos are more like another place")  # fmt: skip
    return 1 if found else 0


@click.command(cls=Grouped)
@click.argument("out", type=FILE)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@_pack
@click.option("--yes", is_flag=True, allow_from_autoenv=False, help="Export private places too.")
@exits
def export(out: Path, names: tuple[str, ...], pack: Path | None, yes: bool) -> None:
    """Write places to a pack that others may have.

    \b
    landmark-tag places export chapels.places "Chapel of St Anne"
    landmark-tag places export chapels.places

    Paths of photos, and what is not a place, stay here. Private places leave only after a question.
    """
    from tagger.places.pack import write_pack

    opened = _opened(pack)
    if opened is None:
        return
    if out.exists():
        raise RunError(f"{out}: exists; choose another name")
    chosen = [place for place in opened.places() if place.named]
    if names:
        chosen = [_required(opened, name) for name in names]
    if opened.private and not yes:
        listed = ", ".join(place.landmark.name for place in chosen[:10])
        question = f"{len(chosen)} private places will be in {out}: {listed}. Export them?"
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
    tell(f"{out}: {len(clean)} places")


@click.command(cls=Grouped)
@click.argument("packs", metavar="FILE...", nargs=-1, required=True, type=FILE)
@_pack
@exits
def merge(packs: tuple[Path, ...], pack: Path | None) -> None:
    """Add the places of other packs to yours, or to --pack.

    \b
    landmark-tag places merge chapels.places
    """
    from tagger.places.own import editing, own_path
    from tagger.places.pack import open_pack

    others = [open_pack(path) for path in packs]
    if len({one.encoder for one in others}) > 1:
        raise RunError("places merge: the packs were made by different models")
    first = others[0]
    sizes = first.embeddings.shape[1], first.codes.shape[1]
    with editing(pack or own_path(), first.encoder, sizes, first.private) as edited:
        edited.private = edited.private or any(one.private for one in others)
        for other in others:
            count = sum(edited.add(place) for place in other.places())
            tell(f"{other.path}: {len(other)} places, {count} new photos")


@click.command(cls=Grouped)
@_pack
@options.model("Model file to learn with; default: the one that ships.")
@exits
def relearn(pack: Path | None, model: Path | None) -> int:
    """Learn all places again with another model, from the photos where they were.

    \b
    landmark-tag places relearn
    """
    from tagger.places.pack import write_pack
    from tagger.run.learn import relearned

    opened = _opened(pack)
    if opened is None:
        return 0
    classifier = _classifier(model)
    encoder, *sizes = classifier.made_by()
    kept, lost = [], 0
    for place, problems in relearned(opened, classifier):
        lost += len(problems)
        for problem in problems:
            tell(printable(f"{place.landmark.name}: {problem}"), err=True)
        if place.references:
            kept.append(place)
    if lost:
        aside = opened.path.with_name(f"{opened.path.name}.before")
        aside.write_bytes(opened.path.read_bytes())
        tell(f"the pack as it was is kept as {aside}", err=True)
    write_pack(opened.path, encoder, kept, (sizes[0], sizes[1]), opened.private)
    tell(f"{opened.path}: {len(kept)} places learned again, {lost} photos are gone")
    return 1 if lost else 0


def _classifier(model: Path | None) -> "Classifier":
    from tagger.model import DEFAULT_MODEL
    from tagger.model.lazy import LazyClassifier

    return LazyClassifier(model or DEFAULT_MODEL, "cpu").load()


def _opened(path: Path | None) -> "Pack | None":
    from tagger.places.own import own_path
    from tagger.places.pack import open_pack

    if path is None and not own_path().exists():
        tell("no places of your own yet; landmark-tag learn NAME PHOTO... teaches one")
        return None
    return open_pack(path or own_path())


def _required(pack: "Pack", name: str) -> "PackPlace":
    from tagger.places.own import is_called

    for number in range(len(pack)):
        if pack.named(number) and is_called(pack.landmark(number), name):
            return pack.place(number)
    raise RunError(
        f"{name}: there is no such place in {pack.path}; landmark-tag places list shows them"
    )


for command in (list_, show, forget, check, export, merge, relearn):
    places.add_command(command)
COMMANDS = (learn,)
