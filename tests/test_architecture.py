"""The one-way flow, read from the imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY

FILES = sorted((REPOSITORY / "tagger").rglob("*.py")) + sorted((REPOSITORY / "train").rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def users(*modules: str) -> set[str]:
    """The files that import one of the modules or something in it."""
    return {
        str(path.relative_to(REPOSITORY))
        for path in FILES
        for name in imports(path)
        if any(name == module or name.startswith(f"{module}.") for module in modules)
    }


def test_tagger_never_imports_train() -> None:
    assert not [path for path in users("train") if path.startswith("tagger/")]


def test_nothing_imports_the_command_line() -> None:
    assert users("tagger.cli.main") == {"tagger/__main__.py"}


def test_one_function_tells_the_terminal() -> None:
    """Names in messages are escaped there; a summary and options that are shown have none."""
    plain = {
        str(path.relative_to(REPOSITORY))
        for path in sorted((REPOSITORY / "tagger").rglob("*.py"))
        if "click.echo(" in path.read_text(encoding="utf-8")
    }
    assert plain == {"tagger/cli/main.py", "tagger/cli/config.py", "tagger/terminal.py"}


def test_only_the_artefact_names_torch_jit() -> None:
    named = {
        str(path.relative_to(REPOSITORY))
        for path in FILES
        if "torch.jit." in path.read_text(encoding="utf-8")
    }
    assert named == {"tagger/model/artifact.py"}


@pytest.mark.parametrize(
    ("module", "homes"),
    [
        ("torch", ("tagger/model/", "train/")),
        (
            "PIL",
            (
                "tagger/imaging/decode.py",
                "tagger/imaging/decoders.py",
                "tagger/imaging/footprint.py",
                "tagger/imaging/libtiff.py",
                "tagger/review/",
                "train/",
            ),
        ),
        (
            "sqlite3",
            (
                "tagger/ledger/schema.py",
                "tagger/ledger/ledger.py",
                "tagger/ledger/recorder.py",
                "tagger/review/",
            ),
        ),
        ("piexif", ("tagger/metadata/",)),
        ("streamlit", ("tagger/review/",)),
        ("timm", ("train/",)),
        ("obstore", ("tagger/storage/bucket.py",)),
        ("boto3", ("tagger/storage/s3.py",)),
        ("ray", ("tagger/run/ray_engine.py",)),
        ("pyarrow", ("tagger/run/ray_engine.py",)),
    ],
)
def test_heavy_or_special_packages_stay_in_their_place(module: str, homes: tuple[str, ...]) -> None:
    assert not [path for path in users(module) if not path.startswith(homes)]


def test_metadata_is_bytes_in_bytes_out() -> None:
    outside = {"os", "pathlib", "tempfile", "torch", "PIL", "tagger.storage.local"}
    for path in (REPOSITORY / "tagger" / "metadata").glob("*.py"):
        assert not outside & set(imports(path)), path


def test_modules_say_what_they_are_in_one_sentence() -> None:
    for path in FILES:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert text and "\n" not in text, f"{path}: one sentence on one line"
