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


def width(size: int) -> int:
    """Bytes of the signs of an embedding of that size: whole words of 64 bits."""
    return 8 * -(-size // 64)


def signs(embeddings: NDArray[np.generic]) -> NDArray[np.uint8]:
    """A bit for each number of embeddings [N, E] that is above 0: uint8 [N, 8 W]."""
    bits = np.packbits(np.greater(embeddings, 0), axis=1)
    return np.pad(bits, ((0, 0), (0, width(embeddings.shape[1]) - bits.shape[1])))
