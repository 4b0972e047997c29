"""Orders of samples that are the same on every machine."""

from typing import Any

import numpy as np
import numpy.typing as npt


def permutation(n: int, seed: int, epoch: int) -> npt.NDArray[Any]:
    """A random order of ``n`` places: of Philox's bits, which no version of NumPy changes."""
    mask = (1 << 64) - 1
    bits = np.random.Philox(key=np.array([seed & mask, epoch & mask], np.uint64))
    return np.argsort(bits.random_raw(n), kind="stable")
