"""Options from a TOML file and LANDMARK_TAG_* variables; config show prints them."""

import copy
import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import platformdirs
from click.core import ParameterSource

from tagger.cli.help import Grouped
from tagger.terminal import printable, tell

PREFIX = "LANDMARK_TAG"
_FILE = "landmark-tag.config"  # in the context's meta: the file that was read
MOST_BYTES = 1 << 20  # of a file of options
_HOW_TO = "landmark-tag config show lists all options"


class ConfigError(click.ClickException):
    """The file cannot be used; the message names it, the key and the remedy."""

    exit_code = 2


def default_path() -> Path:
    """The file of this user, for example ~/.config/landmark-tag/config.toml."""
    return platformdirs.user_config_path("landmark-tag", appauthor=False) / "config.toml"


def configurable(command: click.Command, tag: click.Command) -> click.Command:
    """Let the file and the environment set what the command shares with ``tag``.

    An option whose ``allow_from_autoenv`` is False is for the command line alone.
    """

    def read(context: click.Context, _: click.Parameter, chosen: Path | None) -> None:
        path = chosen or default_path()
        values = None if context.resilient_parsing else load(path, settable(tag))
        if values is None:
            return
        context.default_map = {
            option.name: values[option.name]
            for option in settable(command)
            if option.name in values
        }
        context.meta[_FILE] = path

    command.context_settings = {**command.context_settings, "auto_envvar_prefix": PREFIX}
    added: click.Command = click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        default=None,
        is_eager=True,
        expose_value=False,
        callback=read,
        help="TOML file of options; default: config.toml in the configuration folder.",
    )(command)
    return added


def settable(command: click.Command) -> list[click.Option]:
    """The options of a command that a file or a variable may set."""
    return [
        option
        for option in command.params
        if isinstance(option, click.Option)
        and option.allow_from_autoenv
        and not {"--config", "--help"} & set(option.opts)
    ]


def load(path: Path, options: Sequence[click.Option]) -> dict[str, Any] | None:
    """Values by parameter name; None where there is no such file.

    Raises:
        ConfigError: it cannot be read, is not TOML, has an unknown option, or a value of a
            wrong type.
    """
    try:
        table = tomllib.loads(_bytes(path).decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); check its permissions, or give another "
            "file to --config"
        ) from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are such
        raise ConfigError(f"{path}: is not TOML ({error}); correct it") from error
    known = {key_of(option): option for option in options}
    values = {}
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0.75)
            remedy = f"write {near[0]}" if near else f"remove it; {_HOW_TO}"
            raise ConfigError(f"{path}: unknown option {key}; {remedy}")
        kinds, example = _kind(known[key])
        texts = value if isinstance(value, list) else []
        if type(value) not in kinds or not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"{path}: {key} must be {example}")
        # No shell expands it here.
        plain = os.path.expanduser(value) if isinstance(value, str) else value
        values[known[key].name or key] = plain
    return values


def _bytes(path: Path) -> bytes:
    """The file; or a device or a shell's pipe, as far as they go on."""
    from tagger.storage.named_files import piped, too_large

    with open(path, "rb", opener=piped) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise too_large(path, MOST_BYTES)
    return data


def key_of(option: click.Option) -> str:
    """What an option is called in the file: its long name without dashes before it."""
    return max(option.opts, key=len).removeprefix("--")


def _kind(option: click.Option) -> tuple[tuple[type, ...], str]:
    """The TOML types of an option's values, and how to write one."""
    if option.is_flag:
        return (bool,), "true or false"
    if option.multiple:
        return (list,), 'a list of texts: ["one", "two"]'
    if isinstance(option.type, click.IntRange):
        return (int,), "a whole number, without quotes"
    if isinstance(option.type, click.FloatRange):
        return (int, float), "a number, without quotes"
    return (str,), "a text in quotes"


@contextmanager
def sources_named() -> Iterator[None]:
    """Name the origin of a bad value that is not from the command line."""
    try:
        yield
    except click.BadParameter as error:
        context, option = error.ctx, error.param
        if not (context and isinstance(option, click.Option) and option.name):
            raise
        match context.get_parameter_source(option.name):
            case ParameterSource.ENVIRONMENT:
                where = f"the variable {_variable(option)}"
            case ParameterSource.DEFAULT_MAP:
                where = f"{key_of(option)} in {context.meta[_FILE]}"
            case _:
                raise
        message = f"{error.message.removesuffix('.')}; correct {where}"
        raise click.BadParameter(message, context, option, error.param_hint) from error


@contextmanager
def names_escaped() -> Iterator[None]:
    """Names in a usage error are escaped: * may have put them on the command line."""
    try:
        yield
    except click.UsageError as error:
        text = error.format_message()
        is_help = error.ctx is not None and text == error.ctx.get_help()
        if text.isprintable() or is_help:
            raise
        raise click.UsageError(printable(text), error.ctx) from error
    except click.ClickException as error:
        kind = ConfigError if error.exit_code == ConfigError.exit_code else click.ClickException
        raise kind(printable(error.message)) from error


def warn_of_unknown(commands: click.Group) -> None:
    """Warn of each unknown LANDMARK_TAG_* variable, with the most similar known one."""
    known = {
        f"{PREFIX}_{(option.name or '').upper()}"
        for command in commands.commands.values()
        for option in command.params
        if isinstance(option, click.Option)
    }
    for name in sorted(os.environ):
        if name.replace("_", "").startswith(PREFIX.replace("_", "")) and name not in known:
            ends = {one.removeprefix(PREFIX).replace("_", ""): one for one in known}
            end = name.replace("_", "").removeprefix(PREFIX.replace("_", ""))
            near = difflib.get_close_matches(end, ends, 1, 0.75)
            remedy = f"did you mean {ends[near[0]]}?" if near else f"unset it; {_HOW_TO}"
            tell(f"landmark-tag: warning: unknown variable {name}; {remedy}", err=True)


def group(tag: click.Command) -> click.Group:
    """``landmark-tag config show``."""

    @click.group("config")
    def config() -> None:
        """Show the options in force.

        \b
        landmark-tag config show
        """

    @click.command(cls=Grouped)
    @click.pass_context
    def show(context: click.Context, /, **values: Any) -> None:
        """Print each option, its value, and where the value comes from.

        \b
        landmark-tag config show
        landmark-tag config show > ~/.config/landmark-tag/config.toml

        The output is a configuration file itself. Options given here are checked as when tagging.
        """
        none = f"{default_path()} (there is no such file)"
        click.echo(f"# {context.meta.get(_FILE, none)}")
        for option in options:
            name = option.name or ""
            source = {
                ParameterSource.COMMANDLINE: "command line",
                ParameterSource.ENVIRONMENT: f"variable {_variable(option)}",
                ParameterSource.DEFAULT_MAP: "this file",
            }.get(context.get_parameter_source(name) or ParameterSource.DEFAULT, "default")
            tell(f"{_line(option, values[name]):<28}  # {source}")

    options = [_as_written(option) for option in settable(tag)]
    show.params += options
    config.add_command(configurable(show, tag))
    return config


def _as_written(option: click.Option) -> click.Option:
    """The option for show: checked as for tagging, but 2h stays 2h."""
    shown, check = copy.copy(option), option.callback
    shown.expose_value = True
    if check:
        shown.callback = lambda context, it, value: (check(context, it, value), value)[1]
    return shown


def _line(option: click.Option, value: Any) -> str:
    """An option as a line of the file; one that has no value is a comment."""
    if value is None or value == "":
        unset = option.show_default if isinstance(option.show_default, str) else "not set"
        return f"# {key_of(option)}: {unset}"
    if isinstance(value, bool | int | float):
        return f"{key_of(option)} = {json.dumps(value)}"
    plain = [str(item) for item in value] if isinstance(value, tuple) else str(value)
    return f"{key_of(option)} = {json.dumps(plain, ensure_ascii=False)}"


def _variable(option: click.Option) -> str:
    """The variable that sets an option, of its possible names."""
    own = f"{PREFIX}_{(option.name or '').upper()}"
    others = option.envvar or ()
    names = [own, *([others] if isinstance(others, str) else others)]
    return next((name for name in names if os.environ.get(name)), own)
