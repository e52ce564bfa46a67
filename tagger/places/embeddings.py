"""Embeddings as they are compared and kept: of length 1, or in a byte for each number."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def unit(rows: NDArray[np.generic]) -> Floats:
    """Rows [N, E] of length 1."""
    values = rows.astype(np.float32)
    scaled: Floats = values / (np.linalg.norm(values, axis=1, keepdims=True) + 1e-9)
    return scaled


def in_bytes(values: NDArray[np.floating]) -> NDArray[np.int8]:
    """Whole numbers in proportion to these, up to 127."""
    most = np.abs(values).max(initial=1e-9)
    whole: NDArray[np.int8] = np.round(values * (127 / most)).astype(np.int8)
    return whole
