"""FORMAT of a model file: TorchScript with a manifest inside; the only user of torch.jit."""

import contextlib
import functools
import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from tagger.errors import RunError
from tagger.imaging.decode import Resize
from tagger.model import landmark_photos, operators, packs
from tagger.model.fused import fuse_clips
from tagger.model.learning import encoder_of
from tagger.model.local_features.references import DAMAGED, References
from tagger.places.in_model import model_bytes, places_in
from tagger.places.landmarks import load_landmarks
from tagger.places.opening import open_pack
from tagger.places.pack import Pack
from tagger.places.table import TABLE, to_csv
from tagger.records import Landmark

FORMAT = "landmark-tag/1"
MANIFEST, REFERENCES, PHOTOS = "manifest.json", "references.npz", "landmarks.places"
# What a network raises that does not take what it is given; the last where its code says so.
REFUSING = (RuntimeError, ValueError, TypeError, torch.jit.Error)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model file says of itself.

    Attributes:
        labels: slugs of places in the order of the output's columns, C of them.
        image_size: edge S of the input, uint8 [N, 3, S, S].
        resize: how a photo becomes that square.
        embedding_size: D of the second output, float32 [N, D].
        name: what the model is called, "lite2" for instance.
        metrics: figures measured on photos that training did not see, by name.
        provenance: data, code and recipe it comes from.
        encoder: that of the model it was extended from, whose references stay comparable; see
            ``train.ship.extending``. Where it says nothing, it is computed.
    """

    labels: tuple[str, ...]
    image_size: int
    resize: Resize
    embedding_size: int
    name: str
    metrics: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    format: str = FORMAT
    encoder: str = ""

    def to_bytes(self) -> bytes:
        """As it lies in a model file."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Artifact:
    """A loaded model file: the module, its manifest, and the SHA-256 of the file in hex.

    ``module(uint8 [N, 3, S, S])`` gives float32 ``(probabilities [N, C], embedding [N, D])``.
    A row of probabilities sums to 1 at most; what is missing is the probability of no landmark.
    Where there are ``references``, local features are evidence beside what the module says, and
    ``encoder`` says what makes photos comparable with them.
    ``places`` are those that the file brings itself, by slug; all others are in landmarks.csv.
    """

    module: torch.jit.ScriptModule
    manifest: Manifest
    sha256: str
    references: References | None = None
    places: Mapping[str, Landmark] = field(default_factory=dict)
    encoder: str = ""

    @property
    def known(self) -> dict[str, Landmark]:
        """The place of each label, the file's own before those of landmarks.csv.

        Raises:
            RunError: the place of one is not known.
        """
        table = {**load_landmarks(), **self.places}
        unknown = [label for label in self.manifest.labels if label not in table]
        if unknown:
            raise RunError(
                f"--model: {self.manifest.name} does not say where {', '.join(unknown[:3])} is; "
                "write the places into the file: python -m train places MODEL --places places.csv"
            )
        return {label: table[label] for label in self.manifest.labels}


@contextlib.contextmanager
def _torchscript() -> Iterator[None]:
    """Without torch's notice that TorchScript is deprecated; the format is the project's choice."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit")
        yield


def save(
    module: torch.nn.Module, manifest: Manifest, path: Path, places: Iterable[Landmark] = ()
) -> None:
    """Script ``module`` and write it with its manifest; what is written is loaded as a check.

    Args:
        module: see :class:`Artifact`.
        manifest: what the file says of itself.
        path: where to.
        places: those of its labels that landmarks.csv does not have, or has elsewhere.
    """
    own = list(places)
    extra = {
        MANIFEST: manifest.to_bytes(),
        **({TABLE: to_csv(own)} if own else {}),
    }
    with _torchscript():
        _write(path, torch.jit.script(module.eval()), extra)


def rewrite(
    path: Path,
    files: Mapping[str, bytes],
    out: Path | None = None,
    change: Callable[[torch.jit.ScriptModule], None] | None = None,
) -> None:
    """Write a model file that was checked again, with other files in it.

    Args:
        path: the model file.
        files: what to replace, by name; the others stay as they are.
        out: where to write it; over ``path`` when left out.
        change: what to do to the network, in the precision it is kept in; nothing when left out.
    """
    extra: dict[str, Any] = dict.fromkeys((MANIFEST, REFERENCES, PHOTOS, TABLE), b"")
    with _torchscript():
        load: Any = torch.jit.load
        module = load(str(path), map_location="cpu", _extra_files=extra)
        if change:
            change(module)
        kept = {name: data for name, data in {**extra, **files}.items() if data}
        _write(out or path, module, kept)


def _write(path: Path, module: torch.jit.ScriptModule, files: Mapping[str, bytes]) -> None:
    buffer = io.BytesIO()
    torch.jit.save(module, buffer, _extra_files=dict(files))
    _checked(buffer.getvalue(), str(path))
    path.write_bytes(buffer.getvalue())


def load(path: Path, without: Collection[str] = ()) -> Artifact:
    """Read a model file onto the CPU and check all of it, one forward pass included.

    Beside ``default.pt`` there may be packs of more photos, ``default.castles.places`` for
    instance: photos whose licence is another, or that were added later. They are taken in, but for
    those named in ``without``; their bytes then count in the SHA-256.

    Raises:
        RunError: which check failed, with the remedy.
    """
    return _whole(*apart(path, without))


def alone(path: Path) -> Artifact:
    """The model file without what lies beside it; see :func:`load`."""
    return _whole(*_checked(model_bytes(path), str(path)))


def apart(path: Path, without: Collection[str] = ()) -> tuple[Artifact, tuple[Pack, ...]]:
    """As :func:`load`, with the packs of photos by themselves, not among the references."""
    loaded, own = _checked(model_bytes(path), str(path))
    taken = packs.read(path, without)
    more = tuple(_beside(packs.place(path, name), data, loaded) for name, data in taken.items())
    sha256 = packs.identity_with(loaded.sha256, taken)
    return replace(loaded, sha256=sha256), (*own, *more)


def _beside(file: Path, data: bytes, loaded: Artifact) -> Pack:
    pack, labels = open_pack(file, data), loaded.manifest.labels
    if loaded.references is None:
        raise RunError(f"{file}: made for another model file; delete or rename it")
    problem = landmark_photos.misfit(pack, loaded.references, loaded.encoder, labels)
    if problem:
        raise RunError(f"{file}: {problem}; delete or rename it")
    return pack


def _whole(loaded: Artifact, photos: Sequence[Pack]) -> Artifact:
    if loaded.references is None:
        return loaded
    every = landmark_photos.joined(loaded.references, photos, loaded.manifest.labels)
    return replace(loaded, references=every)


def prepare(
    module: torch.jit.ScriptModule, device: torch.device, dtype: torch.dtype
) -> torch.jit.ScriptModule:
    """The module frozen for inference on ``device`` in ``dtype``, channels last."""
    with _torchscript():
        moved = module.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)
        frozen: torch.jit.ScriptModule = torch.jit.freeze(moved.eval())
        # Convolutions of oneDNN with weights packed once: EfficientNet-Lite is a tenth faster, a
        # sixth with train.networks.fold.half_turned. Layers that oneDNN does not take are
        # converted to and fro: EfficientNet-B0 is 1.4 times slower. ReLU6 marks the networks
        # made to do without.
        simple = any(part.original_name == "ReLU6" for part in module.modules())
        if simple and device.type == "cpu" and dtype == torch.float32:
            frozen = torch.jit.optimize_for_inference(frozen)
        elif simple and device.type == "cpu":  # the above does nothing for bfloat16
            fuse_clips(frozen)
    return frozen


def refusal(name: str, check: str) -> RunError:
    """What is wrong with a model file, with the remedy."""
    remedy = "use a file made by python -m train, or leave --model out"
    return RunError(f"--model {name}: {check}; {remedy}")


def strange(references: References, manifest: Manifest) -> str:
    """Why references cannot be those of a model, or nothing."""
    count = len(references.landmarks) - 1
    if count != len(manifest.labels):
        return f"it has references of {count} landmarks, not of its labels"
    if len(references.components) != manifest.embedding_size:
        return f"its references are for embeddings of {len(references.components)} numbers"
    return ""


def _checked(data: bytes, name: str) -> tuple[Artifact, tuple[Pack, ...]]:
    """A model file's bytes, and the pack of photos in it, if there is one, as a view."""
    refuse = functools.partial(refusal, name)
    extra: dict[str, Any] = {MANIFEST: "", REFERENCES: b"", PHOTOS: b""}
    try:
        # torch does not compare checksums when it reads weights.
        damaged = zipfile.ZipFile(io.BytesIO(data)).testzip()
    except zipfile.BadZipFile as error:
        raise refuse("not a TorchScript file, or damaged") from error
    if damaged:
        raise refuse(f"damaged or tampered with ({damaged} has another checksum)")
    try:
        operators.check(data)
    except operators.ForbiddenError as error:
        raise refuse(
            f"{error}, which no classifier needs; nothing in it was run. A model file is a program "
            "(TorchScript): it may compute, not open files, but a hostile one can still name wrong "
            "places or never end, so take models from people you trust"
        ) from error
    except RuntimeError as error:
        raise refuse("not a TorchScript file, or damaged") from error
    try:
        with _torchscript():
            load: Any = torch.jit.load
            module = load(io.BytesIO(data), map_location="cpu", _extra_files=extra)
    except (RuntimeError, ValueError, OSError) as error:
        raise refuse("not a TorchScript file, or damaged") from error
    if not extra[MANIFEST]:
        raise refuse("a TorchScript file without a landmark-tag manifest")
    try:
        fields = json.loads(extra[MANIFEST])
        fields["labels"] = tuple(fields["labels"])
        fields["resize"] = Resize(fields["resize"])
        manifest = Manifest(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise refuse(f"its manifest is not valid ({error})") from error
    if manifest.format != FORMAT:
        raise refuse(f"its format is {manifest.format!r}, this version reads {FORMAT!r}")
    if not manifest.labels or len(set(manifest.labels)) != len(manifest.labels):
        raise refuse("its manifest lists no labels, or one of them twice")
    labels, known = manifest.labels, None
    if extra[REFERENCES]:
        try:
            known = References.from_bytes(extra[REFERENCES], len(labels))
        except DAMAGED as error:
            raise refuse(f"its references are not valid ({error})") from error
        problem = strange(known, manifest)
        if problem:
            raise refuse(problem)
    places = places_in(data, name)
    # Files hold half precision to be small; a CPU takes 20 times as long for a pass in it.
    module.eval().float()
    problem = _probe(module, manifest)
    if problem:
        raise refuse(problem)
    encoder = manifest.encoder or (encoder_of(module, known) if known else "")
    inside: tuple[Pack, ...] = ()
    if extra[PHOTOS]:
        pack = open_pack(Path(name, PHOTOS), extra[PHOTOS])
        problem = (
            landmark_photos.misfit(pack, known, encoder, labels)
            if known
            else "comparable with nothing"
        )
        if problem:
            raise refuse(f"its pack of photos is {problem}")
        inside = (pack,)
    digest = hashlib.sha256(data).hexdigest()
    return Artifact(module, manifest, digest, known, places, encoder), inside


def _probe(module: torch.jit.ScriptModule, manifest: Manifest) -> str:
    """One forward pass on a grey picture; what is wrong with the answer, or nothing."""
    size = manifest.image_size
    grey = torch.full((1, 3, size, size), 128, dtype=torch.uint8)
    try:
        with torch.inference_mode():
            probabilities, embedding = module(grey)
    except REFUSING as error:
        return f"its forward pass fails ({str(error).splitlines()[-1]})"
    if tuple(probabilities.shape) != (1, len(manifest.labels)):
        return f"it gives {tuple(probabilities.shape)} for {len(manifest.labels)} labels"
    if tuple(embedding.shape) != (1, manifest.embedding_size):
        return f"its embedding is {tuple(embedding.shape)}, not [1, {manifest.embedding_size}]"
    total = float(probabilities.sum())
    if not (bool((probabilities >= 0).all()) and 0 <= total <= 1.001):
        return "its output is not probabilities (negative, not a number, or a sum above 1)"
    return ""
