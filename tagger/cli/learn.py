"""The command learn; no logic."""

from pathlib import Path

import click

from tagger.cli import options
from tagger.cli.exits import exits
from tagger.cli.help import Grouped
from tagger.cli.pack_options import classifier_of, pack_option
from tagger.errors import LessonError, RunError
from tagger.terminal import counted, printable, tell


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
@pack_option
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
    from tagger.places.own import FARTHEST_M, own_path
    from tagger.run import learn as learning
    from tagger.run.lessons import Lesson, in_folders, photos_at

    if bool(folder) == bool(name):
        raise RunError("learn: give a NAME and photos, or --from DIR; see learn --help")
    if folder:
        lessons = in_folders(folder)
    else:
        there = photos_at(photos)
        if not there:
            raise RunError(f"learn {name}: give photos of the place, two to five of them")
        lessons = [Lesson(name or "", there, at, radius)]
    where, failed, learned = pack or own_path(), 0, 0
    refused = list[tuple[str, LessonError]]()

    def refuse(lesson: Lesson, error: LessonError) -> None:
        assert folder is not None
        refused.append((lesson.photos[0].relative_to(folder).parts[0], error))

    classifier = classifier_of(model)
    for one in learning.learn(
        lessons, where, classifier, licence=licence, private=not shared, wrong=wrong,
        refused=refuse if folder else None,
    ):  # fmt: skip
        learned += 1
        failed += len(one.problems)
        for problem in one.problems:
            tell(f"not learned: {problem}", err=True)
        mark = one.landmark
        if one.away_m > max(FARTHEST_M, mark.radius_m):
            away = f"{one.away_m / 1000:,.0f} km from {mark.latitude:.5f}, {mark.longitude:.5f}"
            tell(printable(f"{mark.name}: GPS of its photos is up to {away}; is that right?"),
                 err=True)  # fmt: skip
        for photo, shown, metres in one.elsewhere:
            away = f"{metres / 1000:,.0f} km from there; is it a photo of {mark.name}?"
            tell(printable(f"{photo}: looks like {shown}, {away}"), err=True)
        apart = "" if one.apart_m is None else f"; its photos lie up to {one.apart_m:,.0f} m apart"
        known = f", {one.known} known before" if one.known else ""
        place = "what is not it" if wrong else (
            f"{mark.latitude:.5f}, {mark.longitude:.5f} within {mark.radius_m:,} m"
        )  # fmt: skip
        tell(printable(f"{mark.name}: {counted(one.new, 'photo')} learned{known}; {place}{apart}"))
    if learned:
        tell(f"pack: {where}")
    for name, error in refused:
        tell(printable(f"not learned: {name}: {error}"), err=True)
    return 1 if failed or refused else 0


COMMANDS = (learn,)
