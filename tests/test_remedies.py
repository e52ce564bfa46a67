"""Every error message says what to do about it, after what is wrong; read from the source."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import REPOSITORY

FILES = sorted((REPOSITORY / "tagger").rglob("*.py"))
SPLIT = re.compile(r"[;:,(]\s?")
# What a remedy begins with, as a clause behind the first ';' or ':' of the message.
VERBS = frozenset(
    "add allow check choose close copy correct delete empty exclude export give install keep learn "
    "leave make mend merge move name open pick pip put re-save rename reinstall remove repair "
    "restore run save say scale see set shorten sign start tag try type undo unpack unset update "
    "use wait write".split()
)
OTHERS = (
    "--", "landmark-tag ", "python -m ", "please report", "only a sidecar", "a sidecar is",
    "its sidecar is", "without --",
)  # fmt: skip
ADD_IT = frozenset({"BeyondError", "UnreadableError"})  # errors that add the remedy themselves
# Messages without a remedy in the source, by what the source says, and why they need none there.
NEED_NONE = {
    # nothing is left to do
    "RefusedError(NOT_OURS)": "there is no tag to remove",
    "RefusedError('its sidecar carries a GPS position; left alone')": "it has a position",
    "RefusedError(f'{reading_now.reason}; left alone')": "it has a position, or says what to mend",
    "ChangedError('its sidecar has GPS now; both are left as they are')": "it has a position",
    "'it has GPS now and is left as it is'": "it has a position",
    # the message says what is right
    "ConfigError(f'{path}: {key} must be {example}')": "it says what to write",
    # what is filled in has the remedy, or is one
    "ConfigError(f'{path}: unknown option {key}; {remedy}')": "a remedy is filled in",
    "RunError(f'{self.path}: cannot be used ({error}); {remedy}')": "a remedy is filled in",
    "RunError(f'--model {name}: {check}; {remedy}')": "a remedy is filled in",
    "CredentialsError(f'{scheme}://: {why}; {_REMEDY[scheme]}, and run again: what was done is "
    "kept')": "each store has its own",
    "RunError(f'--track {place}: {error}')": "TrackError's, which are checked here",
    "ChangedError(f'its folder is gone ({error})')": "open_storage's, which are checked here",
    "RunError(f'--report {place}: {error}; the report is left at {path}')": "the store's",
    "LessonError(f\"{lesson.name}: none of its photos can be read: "
    "{'; '.join(problems)}\")": "each",
    "UnsupportedError(f'{linked(entry.links)}, --sidecar always leaves it as it is')": "linked's",
    "GpsReading(GpsState.MALFORMED, f'names a position in XMP, but {error}')": "the parser's",
    "PhotoError('exists and is not a landmark-tag report')": "local_file adds it",
    # other messages carried on
    "click.BadParameter(message, context, option, error.param_hint)": "Click's, with more words",
    "click.UsageError(printable(text), error.ctx)": "Click's",
    "RefusedError(header.problem)": "RefusedError's",
    "RefusedError(before.problem or after.problem)": "RefusedError's",
    "RefusedError(error.problem, 'apply takes --no-skip')": "an option, named",
    "RunError(self.problem)": "the sheet's",
    "RunError(str(getattr(cause, 'cause', cause)))": "a worker's",
    "PhotoError(str(error))": "open_storage's",
    "PhotoError(problem)": "problem_of's, which is checked here",
    "ChangedError(problem)": "_not_as_seen's, which is checked here",
    "ChangedError(changed)": "CHANGED or APPEARED",
    "UnsupportedError(linked(names))": "linked's, which is checked here",
    "GpsReading(GpsState.MALFORMED, str(error))": "RefusedError's",
    # never shown
    "RefusedError('no decoder')": "the photo is decoded in full instead",
    "RefusedError('an uploaded photo is not written')": "the Try page writes nothing",
    "RefusedError('an uploaded photo is not removed')": "the Try page writes nothing",
}  # fmt: skip


class Message(NamedTuple):
    """One message in the source: where, in which code, and its text as far as that says it."""

    where: str
    code: str
    text: str


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def error_names() -> frozenset[str]:
    """The names of all errors whose text a user sees."""
    names = {"TaggerError", "TrackError", "ClickException", "BadParameter", "UsageError"}
    classes = [
        (node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases})
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    ]
    for _ in range(3):
        names |= {name for name, bases in classes if bases & names}
    return frozenset(names - ADD_IT)


def constant(name: str, path: Path) -> str | None:
    """The text that a module calls ``name``, its own or imported."""
    for node in tree(path).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=own)], value=value) if own == name:
                return text_of(value, path)
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("tagger"):
                there = REPOSITORY / (module.replace(".", "/") + ".py")
                if there.exists() and name in [one.name for one in names if one.asname is None]:
                    return constant(name, there)
    return None


def text_of(node: ast.expr, path: Path) -> str | None:
    """The text of an expression, with … for what is filled in; None if it is not in the source."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(text_of(one, path) or "…" for one in values)
        case ast.FormattedValue(value=value):
            return text_of(value, path)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{text_of(left, path) or '…'}{text_of(right, path) or '…'}"
        case ast.Name(id=name):
            return constant(name, path)
        case ast.Call(func=ast.Attribute(value=template, attr="format")):
            return text_of(template, path)
    return None


def shown_by(node: ast.AST) -> list[ast.expr]:
    """The texts of a node: of an error, of a state or outcome of a photo, of a reason returned."""
    match node:
        case ast.Call(func=func, args=[first, *rest]) if (
            ast.unparse(func).rpartition(".")[2] in error_names()
        ):
            match rest:
                case [ast.Constant(value=str(remedy))]:  # given apart
                    return [
                        ast.BinOp(first, ast.Add(), ast.Constant(f"; {remedy}"), lineno=node.lineno)
                    ]
            return [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
        case ast.Call(func=ast.Name(id="GpsReading"), args=[state, text]) if (
            ast.unparse(state) == "GpsState.MALFORMED"
        ):
            return [text]
        case ast.FunctionDef(name="linked" | "problem_of" | "_not_as_seen"):
            returns = [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]
            return [one for one in returns if one and ast.unparse(one) != "''"]
    return []


def messages(path: Path) -> Iterator[Message]:
    for node in ast.walk(tree(path)):
        for text in shown_by(node):
            where = f"{path.relative_to(REPOSITORY).as_posix()}:{text.lineno}"
            code = ast.unparse(node if isinstance(node, ast.Call) else text)
            yield Message(where, code, text_of(text, path) or "")


def has_remedy(text: str) -> bool:
    _, mark, rest = text.replace("://", "").partition("; ")
    if not mark:
        _, mark, rest = text.partition(": ")
    return any(
        clause.startswith(OTHERS) or re.split(r"[\s.]", clause)[0] in VERBS
        for clause in SPLIT.split(rest)
    )


ALL = [message for path in FILES for message in messages(path)]


def test_the_messages_are_found() -> None:
    assert len(ALL) > 350
    assert {message.where.split("/")[1] for message in ALL} >= {
        "cli", "evidence", "imaging", "ledger", "metadata", "model", "places", "report", "review",
        "run", "storage", "writing",
    }  # fmt: skip


def test_every_message_has_a_remedy() -> None:
    without = [
        f"{where} {code}"
        for where, code, text in ALL
        if code not in NEED_NONE and not has_remedy(text)
    ]
    assert without == []


def test_no_exception_is_out_of_date() -> None:
    assert NEED_NONE.keys() - {message.code for message in ALL} == set()


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("its PNG chunks do not parse; re-save a copy", True),
        ("…: cannot be read (…); check the path", True),
        ("--min-conf …: give a probability from 0 to 1", True),
        ("…: lies outside …; nothing was written", False),
        ("is signed; any change breaks the seal", False),
        ("check the path, it is gone", False),
        ("", False),
    ],
)
def test_a_remedy_is_told_from_other_words(text: str, has: bool) -> None:
    assert has_remedy(text) is has
