import numpy as np
from numpy.typing import NDArray

LAYERS: int
CELLS: int
SAMPLES: int
DIRECTIONS: int
LENGTH: int
SIGMA: float
GIVEN: float

def sift(
    grey: NDArray[np.uint8],
    height: int,
    width: int,
    contrast: float,
    counts: NDArray[np.float32],
    apart: float,
    clipped: float,
    places: NDArray[np.float32],
    descriptors: NDArray[np.float32],
) -> int: ...
