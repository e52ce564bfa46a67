"""From a photo's views to a reference that a pack keeps, and which encoder it is made by."""

import hashlib
from typing import Any

import numpy as np
import torch

from tagger.model.local_features.matching import Bytes, Features, describe
from tagger.model.local_features.references import References, ends, packed
from tagger.model.local_features.sift import VERSION
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


def encoded(references: References, grey: Bytes) -> tuple[Bytes, Bytes]:
    """Local features of a picture as References keeps them: codes [N, M] and spots [N, 3]."""
    return coded(references, describe(grey))


def coded(references: References, features: Features) -> tuple[Bytes, Bytes]:
    """As :func:`encoded`, of features that are there."""
    codes = references.quantiser.codes(features.descriptors[:POINTS])
    return codes, packed(features.places[:POINTS])


def as_references(model: References, pack: Pack) -> References:
    """A pack's references, to be compared with a photo as the model's own are."""
    points: Any = pack.points  # int64, as there may be more than 2**31
    return References(
        model.codebook, pack.codes, pack.spots, points, model.components, pack.embeddings,
        ends(pack.counts), model.others, model.rule,
    )  # fmt: skip
