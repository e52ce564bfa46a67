import numpy as np
from numpy.typing import NDArray

def matches(
    alike: NDArray[np.float32],
    columns: int,
    starts: NDArray[np.int32],
    ratio: float,
    fewest: int,
    pairs: NDArray[np.int64],
    counts: NDArray[np.int32],
) -> None: ...
def moved_alike(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    kept: NDArray[np.bool_],
    loose: float,
    scales: float,
    close: float,
    firm: float,
    corner: float,
    tried: int,
    fewest: int,
) -> None: ...
