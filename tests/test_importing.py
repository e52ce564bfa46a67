"""Importing changes no global state; only entry points and loaded models do."""

import ast
import subprocess
import sys

import pytest
from conftest import REPOSITORY

STATE = """
import os, signal, sys, warnings
import cv2, numpy, torch
from PIL import Image, ImageFile
Image.init()
cv2.setNumThreads(2)
torch.set_num_threads(2)
def state():
    return {
        "pixels": Image.MAX_IMAGE_PIXELS, "truncated": ImageFile.LOAD_TRUNCATED_IMAGES,
        "openers": sorted(Image.OPEN), "filters": list(warnings.filters),
        "cv2": cv2.getNumThreads(),
        "torch": torch.get_num_threads(), "grad": torch.is_grad_enabled(), "path": list(sys.path),
        "environment": dict(os.environ), "folder": os.getcwd(), "numpy": numpy.geterr(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "recursion": sys.getrecursionlimit(), "hook": sys.excepthook, "out": sys.stdout,
    }
before = state()
IMPORTS
after = state()
changed = [(name, before[name], after[name]) for name in before if before[name] != after[name]]
assert not changed, changed
"""
NEEDS_EXTRAS = (
    "tagger.review",
    "tagger.run.ray_",
    "tagger.storage.bucket",
    "tagger.storage.s3",
    "train.packs_on_ray",
)


def module_names(package: str) -> list[str]:
    paths = sorted((REPOSITORY / package).rglob("*.py"))
    names = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in paths]
    return [
        name.removesuffix(".__init__")
        for name in names
        if not name.endswith("__main__") and not name.startswith(NEEDS_EXTRAS)
    ]


@pytest.mark.parametrize("package", ["tagger", "train"])
def test_importing_every_module_changes_nothing(package: str) -> None:
    if package == "train":
        pytest.importorskip("timm")
        pytest.importorskip("matplotlib")
    imports = "\n".join(f"import {name}" for name in module_names(package))
    # What third-party packages do when they are first imported is theirs.
    first = sorted({"torchvision", "timm", "matplotlib.pyplot", "sklearn.metrics", "pandas"})
    theirs = "".join(f"import {name}\n" for name in first) if package == "train" else ""
    theirs += "try:\n    import pillow_heif, ijson, fitdecode\nexcept ImportError:\n    pass\n"
    done = subprocess.run(
        [sys.executable, "-c", theirs + STATE.replace("IMPORTS", imports)],
        capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_no_module_sets_an_environment_variable_or_a_limit_of_pillow() -> None:
    """The one exception is a hint to OpenMP before torch starts it, in the model's loading."""
    setting = set()
    for path in sorted((REPOSITORY / "tagger").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                text = ast.unparse(target)
                if text.startswith("os.environ[") or text.endswith("MAX_IMAGE_PIXELS"):
                    setting.add(str(path.relative_to(REPOSITORY)))
    assert setting == set()
