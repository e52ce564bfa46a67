"""A model file is a program: its code is checked before any of it runs."""

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from conftest import ByColour, save_colour_model

from tagger.errors import RunError
from tagger.imaging.decode import Resize
from tagger.model import DEFAULT_MODEL, artifact, operators

MANIFEST = artifact.Manifest(("Taj_Mahal", "Eiffel_Tower"), 8, Resize.CROP, 4, "evil")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")


class Mapping(torch.nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.from_file(self.path, shared=True, size=16, dtype=torch.uint8)
        y.copy_(torch.full((16,), 33, dtype=torch.uint8))
        return torch.full((x.shape[0], 2), 0.4) + y[0] * 0.0, torch.zeros(x.shape[0], 4)


class Saving(Mapping):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        torch.save(x, self.path)
        return torch.full((x.shape[0], 2), 0.4), torch.zeros(x.shape[0], 4)


class Printing(Mapping):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        print(self.path)
        return torch.full((x.shape[0], 2), 0.4), torch.zeros(x.shape[0], 4)


class WhileLoading(Mapping):
    """Writes when it is loaded, before its forward pass."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((x.shape[0], 2), 0.4), torch.zeros(x.shape[0], 4)

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path, self.training = state
        torch.from_file(self.path, shared=True, size=16, dtype=torch.uint8).fill_(33)


def written(module: torch.nn.Module) -> bytes:
    buffer = io.BytesIO()
    extra = {artifact.MANIFEST: json.dumps(asdict(MANIFEST)).encode()}
    torch.jit.save(torch.jit.script(module.eval()), buffer, _extra_files=extra)
    return buffer.getvalue()


def edited(data: bytes, old: str, new: str) -> bytes:
    """The model file with other code in it."""
    buffer, changed = io.BytesIO(), 0
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(buffer, "w") as after:
        for info in before.infolist():
            record = before.read(info)
            if info.filename.endswith(".py"):
                changed += record.count(old.encode())
                record = record.replace(old.encode(), new.encode())
            after.writestr(info.filename, record)
    assert changed
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Mapping, "aten::from_file"),
        (Saving, "aten::save"),
        (Printing, "calls print"),
        (WhileLoading, "__setstate__|__getstate__|from_file"),
    ],
)
def test_a_model_that_opens_files_is_refused_before_anything_runs(
    module: type[Mapping], reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious content precious content")
    data = written(module(str(victim)))
    (tmp_path / "evil.pt").write_bytes(data)
    capfd.readouterr()
    with pytest.raises(RunError, match=rf"({reason}).*nothing in it was run"):
        artifact.load(tmp_path / "evil.pt")
    assert victim.read_bytes() == b"precious content precious content"
    assert str(victim) not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("torch.save(pictures, 'x')", "aten::save"),
        ("pictures.save('x')", "aten::save"),
        ("(pictures).save('x')", "aten::save"),
        ("torch.tensor_from_file('x')", "tensor_from_file"),
        ("ops.aten.save(pictures, 'x')", "aten::save"),
        ("ops.prim.Print('x')", "prim::Print"),
        ("ops.image.read_file('x')", "image::read_file"),
        ("ops.prim", "calls prim"),
        ("torch", "passes torch on"),
        ("getattr(pictures, 'save')", "aten::save"),
        ("getattr(torch, 'save')", "aten::save|passes torch"),
        ("getattr(pictures, self.kind)", "getattr"),
        ("[x for x in pictures]", "ListComp"),
        ("(lambda: pictures)()", "calls what|Lambda"),
        ("__torch__.torch.classes.x.Y()", "uses the class torch.classes"),
        ("fork(pictures)", "calls fork"),
        ("hasattr(pictures, 'x')", "calls hasattr"),
        ("pictures  # torch", "comments"),
        ("u'x'", "comments or strings"),
        ("'''x'''", "plain text"),
        ("'\N{MULTIPLICATION SIGN}'", "plain text"),
        ("pictures(", "cannot be read"),
    ],
)
def test_no_way_of_naming_an_operator_is_overlooked(code: str, reason: str) -> None:
    line = "    scale = self.scale\n"
    data = edited(written(ByColour()), line, f"{line}    x = {code}\n")
    with pytest.raises(operators.ForbiddenError, match=reason):
        operators.check(data)


def test_what_runs_while_code_is_read_is_judged_too() -> None:
    data = edited(written(ByColour()), "Tensor) ->", "Tensor, y: int=torch.save(1, 'x')) ->")
    with pytest.raises(operators.ForbiddenError, match="aten::save"):
        operators.check(data)


def test_a_name_keeps_its_meaning() -> None:
    line = "    scale = self.scale\n"
    for code in ("int = fork\n    int(3)", "torch = ops", "f = fork\n    f(3)"):
        data = edited(written(ByColour()), line, f"{line}    {code}\n")
        with pytest.raises(operators.ForbiddenError, match=r"another meaning|calls f|passes"):
            operators.check(data)


@pytest.mark.parametrize("name", ["archive/model.json", "archive/bytecode.pkl", "archive/Data.pkl"])
def test_records_that_no_model_has_are_refused(name: str) -> None:
    buffer = io.BytesIO(written(ByColour()))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(archive.namelist()[0].split("/")[0] + name.removeprefix("archive"), b"{}")
    with pytest.raises(operators.ForbiddenError, match=r"does not belong in a model|two records"):
        operators.check(buffer.getvalue())


@pytest.mark.parametrize("module", [b"posix\nsystem\n", b"__torch__.torch.classes.a\nB\n"])
def test_a_pickle_that_makes_other_objects_is_refused(module: bytes) -> None:
    with pytest.raises(operators.ForbiddenError, match="makes an object of"):
        operators._check_pickle(b"\x80\x02c" + module + b"(tR.")


@pytest.mark.parametrize("name", ["default.pt", "scratch.pt"])
def test_the_models_that_ship_pass(name: str) -> None:
    operators.check(DEFAULT_MODEL.with_name(name).read_bytes())


def test_a_model_that_only_computes_passes(tmp_path: Path) -> None:
    operators.check(save_colour_model(tmp_path / "colour.pt").read_bytes())
