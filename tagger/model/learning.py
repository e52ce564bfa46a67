"""From a photo's views to a reference that a pack keeps, and which encoder it is made by."""

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.model.local_features.matching import Bytes, Features, describe
from tagger.model.local_features.references import References, ends, packed
from tagger.model.local_features.sift import VERSION, Floats
from tagger.places.pack import Pack

POINTS = 480  # of a photo, the strongest: as many as a landmark with few photos has in the model


def encoder_of(module: torch.nn.Module, references: References) -> str:
    """What makes references comparable: the network, what they are compared in, local features."""
    digest = hashlib.sha256(f"1 {VERSION}".encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().to(torch.float16).contiguous().numpy().tobytes())
    for array in (references.components, references.codebook):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def placed(references: References, embedding: Floats) -> Floats:
    """The network's embedding [D] as the references' are, float32 [E] of length 1."""
    place = embedding @ references.components.astype(np.float32)
    scaled: Floats = place / (np.linalg.norm(place) + np.float32(1e-9))
    return scaled


def in_bytes(place: Floats) -> NDArray[np.int8]:
    """An embedding in a byte each."""
    most = np.abs(place).max(initial=1e-9)
    whole: NDArray[np.int8] = np.round(place * (127 / most)).astype(np.int8)
    return whole


def encoded(references: References, grey: Bytes) -> tuple[Bytes, Bytes]:
    """Local features of a picture as References keeps them: codes [N, M] and spots [N, 3]."""
    return coded(references, describe(grey))


def coded(references: References, features: Features) -> tuple[Bytes, Bytes]:
    """As :func:`encoded`, of features that are there."""
    descriptors = features.descriptors[:POINTS]
    centres = references.codebook.astype(np.float32)  # [M, 256, wide]
    parts = np.split(descriptors, len(centres), axis=1)
    codes = [
        ((words**2).sum(1) - 2 * part @ words.T).argmin(1)
        for part, words in zip(parts, centres, strict=True)
    ]
    return np.stack(codes, 1).astype(np.uint8), packed(features.places[:POINTS])


def as_references(model: References, pack: Pack) -> References:
    """A pack's references, to be compared with a photo as the model's own are."""
    points: Any = pack.points  # int64, as there may be more than 2**31
    return References(
        model.codebook, pack.codes, pack.spots, points, model.components, pack.embeddings,
        ends(pack.counts), model.others, model.rule,
    )  # fmt: skip
