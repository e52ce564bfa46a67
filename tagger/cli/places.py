"""The commands places list, show, forget and check; no logic."""

import json
from pathlib import Path

import click

from tagger.cli import sharing
from tagger.cli.exits import exits
from tagger.cli.help import Grouped
from tagger.cli.pack_options import opened_pack, pack_option, required
from tagger.errors import RunError
from tagger.terminal import counted, printable, tell


@click.group("places")
def places() -> None:
    """List, check, share or forget places of your own.

    \b
    landmark-tag places list
    """


@click.command("list", cls=Grouped)
@pack_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a place.")
@exits
def list_(pack: Path | None, as_json: bool) -> None:
    """List the places of a pack.

    \b
    landmark-tag places list
    landmark-tag places list --pack chapels.places
    """
    opened = opened_pack(pack)
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
                f"{mark.radius_m:,} m, {counted(count, 'photo')}"
            ))  # fmt: skip
        else:
            tell(printable(f"not {mark.name}: {counted(count, 'photo')}"))


@click.command(cls=Grouped)
@click.argument("name")
@pack_option
@exits
def show(name: str, pack: Path | None) -> None:
    """Show a place and the photos it was learned from.

    \b
    landmark-tag places show "Grandmother's house"
    """
    opened = opened_pack(pack)
    if opened is None:
        raise RunError(
            f"{name}: there is no such place; landmark-tag learn NAME PHOTO... teaches one"
        )
    place = required(opened, name)
    mark = place.landmark
    tell(printable(f"{mark.name} ({mark.slug}): {mark.latitude:.5f}, {mark.longitude:.5f} within "
                   f"{mark.radius_m:,} m"))  # fmt: skip
    if place.licence:
        tell(printable(f"    licence of the photos: {place.licence}"))
    for one in place.references:
        facts = one.facts
        words = (facts.get("path") or facts.get("source") or facts.get("sha256", "")[:12],
                 facts.get("licence", ""), counted(len(one.codes), "point"))  # fmt: skip
        tell(printable("    " + ", ".join(filter(None, words))))


@click.command(cls=Grouped)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@pack_option
@exits
def forget(names: tuple[str, ...], pack: Path | None) -> None:
    """Forget places, and what was said not to be them.

    \b
    landmark-tag places forget "Grandmother's house"
    """
    from tagger.places.own import NOT, editing, own_path

    with editing(pack or own_path(), "", (0, 0), True) as edited:
        for name in names:
            place = edited.find(name) or edited.find(name, named=False)
            if place is None:
                raise RunError(
                    f"{name}: no such place, nothing was forgotten; see landmark-tag places list"
                )
            del edited.places[place.landmark.slug]
            edited.places.pop(NOT + place.landmark.slug, None)
            tell(printable(f"{place.landmark.name}: forgotten"))


@click.command(cls=Grouped)
@pack_option
@exits
def check(pack: Path | None) -> int:
    """Check a pack, and tell which photos are taken for another place.

    \b
    landmark-tag places check
    landmark-tag places check --pack chapels.places
    """
    from tagger.run.learn import confused

    opened = opened_pack(pack)
    if opened is None:
        return 0
    opened.check()
    confusions = confused(opened)
    for photo, place, other in confusions:
        tell(printable(f"{photo}: learned as {place}, more like {other}"))
    few = [opened.landmark(n).name for n in range(len(opened)) if opened.counts[n] < 2]
    for name in few:
        tell(printable(f"{name}: one photo only; learn more of it"))
    whole = f"{counted(len(opened), 'place')}, {counted(len(opened.owners), 'photo')}"
    alike = f"; more like another place: {counted(len(confusions), 'photo')}" if confusions else ""
    tell(f"{whole}: the file is whole{alike}")
    return 1 if confusions else 0


for command in (list_, show, forget, check, sharing.export, sharing.merge, sharing.relearn):
    places.add_command(command)
