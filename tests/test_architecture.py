"""The one-way flow, read from the imports."""

import ast
import functools
import re
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

FILES = sorted((REPOSITORY / "tagger").rglob("*.py")) + sorted((REPOSITORY / "train").rglob("*.py"))


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """The syntax tree of a file, read once; its module comes first."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Every module a file imports, inside functions too."""
    names = set[str]()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{name.name}" for name in node.names)
    return frozenset(names)


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
    """Names in messages are escaped there; summaries and options contain no names."""
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


# From the ground up: a package imports only what stands before it, or beside it in its own line.
LAYERS = (
    "errors records terminal blob failing system",
    "metadata",
    "imaging",
    "storage",
    "places",
    "model",
    "evidence",
    "ledger",
    "writing",
    "report",
    "run",
    "api",
    "review",
    "cli",
)


def layer(module: str) -> int:
    """The number of the layer that a module of tagger is in; the package itself has none."""
    room = module.split(".")[1]
    return next(number for number, names in enumerate(LAYERS) if room in names.split())


def modules() -> dict[str, set[str]]:
    """Each module of tagger, with the modules of tagger that it imports when it is imported."""
    names = {
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts): path
        for path in FILES
        if path.is_relative_to(REPOSITORY / "tagger")
    }
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    return {name: {used for used in imports(path) if used in names} for name, path in names.items()}


def test_no_package_imports_one_above_it() -> None:
    upward = [
        f"{name} imports {used}"
        for name, uses in modules().items()
        for used in uses
        if "." in name and "." in used and name != "tagger.__main__" and layer(used) > layer(name)
    ]
    assert not upward


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        # A package imports its own modules; that they name the package is not a circle.
        name: {used for used in uses if used != name and not name.startswith(f"{used}.")}
        for name, uses in modules().items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name not in done:
            for used in sorted(graph[name]):
                visit(used, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    ("module", "homes"),
    [
        ("torch", ("tagger/model/", "train/")),
        (
            "PIL",
            (
                "tagger/imaging/decode.py",
                "tagger/imaging/decoders.py",
                "tagger/imaging/thumbnail.py",
                "tagger/imaging/footprint.py",
                "tagger/imaging/libtiff.py",
                "tagger/imaging/preview.py",
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
                "tagger/evidence/cache_file.py",
                "tagger/evidence/listing.py",
                "tagger/evidence/captures_file.py",
                "tagger/evidence/neighbours.py",
                "tagger/evidence/views.py",
                "tagger/evidence/track_source.py",
                "tagger/run/spool.py",
                "tagger/review/",
            ),
        ),
        ("piexif", ("tagger/metadata/",)),
        ("streamlit", ("tagger/review/",)),
        ("timm", ("train/",)),
        ("obstore", ("tagger/storage/bucket.py", "tagger/storage/bucket_store.py")),
        ("boto3", ("tagger/storage/s3.py",)),
        ("ray", ("tagger/run/ray_", "train/packs_on_ray.py")),
        ("pyarrow", ("tagger/run/ray_tasks.py",)),
    ],
)
def test_heavy_or_special_packages_stay_in_their_place(module: str, homes: tuple[str, ...]) -> None:
    assert not [path for path in users(module) if not path.startswith(homes)]


def test_metadata_is_bytes_in_bytes_out() -> None:
    outside = {"os", "pathlib", "tempfile", "torch", "PIL"}
    for path in (REPOSITORY / "tagger" / "metadata").rglob("*.py"):
        assert not outside & imports(path), path


def test_modules_say_what_they_are_in_one_sentence() -> None:
    for path in FILES:
        module = nodes(path)[0]
        assert isinstance(module, ast.Module)
        text = ast.get_docstring(module) or ""
        assert text and "\n" not in text, f"{path}: one sentence on one line"


def test_a_class_name_stands_for_one_thing() -> None:
    homes: dict[str, set[str]] = {}
    for path in (*FILES, *sorted((REPOSITORY / "scripts").rglob("*.py"))):
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, set()).add(str(path.relative_to(REPOSITORY)))
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def test_no_file_has_a_name_made_by_accident() -> None:
    """Such as the repr of an object, written where a path was meant."""
    files = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    assert [name for name in files if not re.fullmatch(r"[\w./+-]+", name)] == []


def test_one_function_makes_an_error_a_status() -> None:
    """No exception handler chooses a status itself; tagger/failing.py does."""
    choosing = {
        str(path.relative_to(REPOSITORY))
        for path in FILES
        for handler in nodes(path)
        if isinstance(handler, ast.ExceptHandler)
        for node in ast.walk(handler)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("Status")
    }
    assert choosing == set()


def test_names_are_nouns() -> None:
    """No variable, attribute, parameter or function is called by a participle that says nothing."""
    others = [path for place in ("scripts", "tests") for path in (REPOSITORY / place).rglob("*.py")]
    called = {
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in (*FILES, *others)
        for node in nodes(path)
        for name in (getattr(node, field, None) for field in ("id", "arg", "attr", "name"))
        if name in ("found", "said", "told")
    }
    assert called == set()
