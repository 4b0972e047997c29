"""Files of tokens, read where they lie."""

from __future__ import annotations

import os
from typing import Any, Iterable, Optional, Sequence

import numpy as np
import numpy.typing as npt

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.data._files import Path_, bad, missing
from lazulite.data.datasets import Dataset

__all__ = ["TokenDataset", "load_tokens", "save_tokens"]

_TOKENS = """Expected a .npy file of one axis of integers, or a file of nothing but integers
(uint16 or another dtype=), one for each token, as save_tokens writes it."""


@checked
def load_tokens(path: Any, dtype: Any = np.uint16) -> npt.NDArray[Any]:
    """The tokens of a file, mapped into memory: only what is looked at is read.

    Args:
        path: a ``.npy`` file, or one of bare integers.
        dtype: NumPy's dtype of bare integers.

    Raises:
        FileError: no such file.
        FormatError: a size that is no multiple of a token's, or a .npy file of something else.

    Example:
        >>> import os, tempfile
        >>> from lazulite.data import load_tokens, save_tokens
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "train.bin")
        ...     save_tokens(path, [[1, 2], [3]])
        ...     load_tokens(path).tolist()
        [1, 2, 3]
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        missing("load_tokens", path, _TOKENS)
    if path.endswith(".npy"):
        try:
            found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError, SyntaxError) as error:
            bad("load_tokens", path, f"no .npy file that can be read ({error})", _TOKENS)
        if found.ndim != 1 or found.dtype.kind not in "ui":
            got = f"{found.dtype} of shape {found.shape}"
            bad("load_tokens", path, f"no tokens: got {got}", _TOKENS)
        return found  # type: ignore[no-any-return]
    kind, size = np.dtype(dtype), os.path.getsize(path)
    if kind.kind not in "ui":
        raise TypeError(f"[load_tokens] dtype: got {kind}, expected one of integers")
    if size % kind.itemsize or size == 0:
        bad("load_tokens", path, f"truncated: got {size} bytes, expected tokens of {kind}", _TOKENS)
    return np.memmap(path, kind, "r")


@checked
def save_tokens(path: Any, documents: Iterable[Sequence[int]], dtype: Any = np.uint16) -> None:
    """Write the tokens of documents one after another, as bare integers.

    Args:
        path: the file; it takes its name when it is whole.
        documents: lists or arrays of tokens.
        dtype: of the integers.

    Raises:
        ArrayOverflowError: a token that does not fit (a ValueError, too).
    """
    from lazulite.core._io import Created

    kind = np.dtype(dtype)
    bounds = np.iinfo(kind)
    with Created(path, "save_tokens", "", ()) as out:
        for document in documents:
            tokens = np.asarray(document).reshape(-1)
            if tokens.size == 0:
                continue
            if tokens.dtype.kind not in "ui":
                raise TypeError(f"[save_tokens] got {tokens.dtype}, expected integers")
            if tokens.min() < bounds.min or tokens.max() > bounds.max:
                raise mx.ArrayOverflowError(
                    f"[save_tokens] got tokens {tokens.min()} to {tokens.max()}, "
                    f"expected {kind}: {bounds.min} to {bounds.max}"
                )
            out.write(tokens.astype(kind).tobytes())


class TokenDataset(Dataset):
    """Windows of a long row of tokens, and the same windows one token on: what a model shall say.

    Args:
        tokens: the path of a file, as :func:`load_tokens` takes it, or an array.
        length: tokens in a window.
        stride: from the beginning of a window to that of the next; ``length`` by default.
        dtype: of the integers of a bare file.
        vocabulary_size: where given, each window is checked: a token of another vocabulary would
            index past the end of the embedding.

    Raises:
        ValueError: fewer tokens than one window takes, or sizes that are not positive; when a
            window is asked for, a token of this size or more (a FormatError).

    Example:
        >>> import numpy as np
        >>> from lazulite.data import DataLoader, TokenDataset
        >>> windows = TokenDataset(np.arange(9), length=4)
        >>> for x, y in DataLoader(windows, batch_size=2):
        ...     print(x.tolist(), y.tolist())
        [[0, 1, 2, 3], [4, 5, 6, 7]] [[1, 2, 3, 4], [5, 6, 7, 8]]
    """

    @checked
    def __init__(
        self,
        tokens: Any,
        length: int,
        stride: Optional[int] = None,
        dtype: Any = np.uint16,
        vocabulary_size: Optional[int] = None,
    ) -> None:
        self.path = None
        if isinstance(tokens, (str, os.PathLike)):
            self.path = os.fspath(tokens)
            tokens = load_tokens(tokens, dtype)
        self.tokens = np.asarray(tokens) if not isinstance(tokens, np.memmap) else tokens
        self.length = length
        self.stride = length if stride is None else stride
        self.vocabulary_size = vocabulary_size
        if length < 1 or self.stride < 1:
            raise ValueError(
                f"[TokenDataset] length and stride: got {length} and {self.stride}, expected 1 or more"
            )
        if self.tokens.ndim != 1 or self.tokens.dtype.kind not in "ui":
            got = f"{self.tokens.dtype} of shape {self.tokens.shape}"
            raise ValueError(f"[TokenDataset] tokens: got {got}, expected one axis of integers")
        if len(self.tokens) <= length:
            raise ValueError(
                f"[TokenDataset] too few tokens: got {len(self.tokens)}, "
                f"expected {length + 1} or more for one window"
            )

    def __len__(self) -> int:
        return (len(self.tokens) - self.length - 1) // self.stride + 1

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        window = self._windows([index])[0]
        return window[:-1], window[1:]

    def take(self, indices: Sequence[int]) -> tuple[mx.array, mx.array]:
        """The windows at ``indices``, and the same one token on: two arrays (n, length)."""
        windows = self._windows(indices)
        return mx.asarray(windows[:, :-1].copy()), mx.asarray(windows[:, 1:].copy())

    def _windows(self, indices: Sequence[int]) -> npt.NDArray[Any]:
        found = np.empty((len(indices), self.length + 1), np.int32)
        n = len(self)
        for row, i in zip(found, indices):
            if not -n <= i < n:
                raise IndexError(f"[TokenDataset] got index {i}, expected {-n} to {n - 1}")
            begin = (i % n) * self.stride
            row[:] = self.tokens[begin : begin + self.length + 1]
        if self.vocabulary_size is not None and found.size:
            low, high = int(found.min()), int(found.max())
            if low < 0 or high >= self.vocabulary_size:
                bad(
                    "TokenDataset",
                    self.path or "an array",
                    f"tokens {low} to {high}, expected less than {self.vocabulary_size}",
                )
        return found
