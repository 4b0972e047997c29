"""Sets of samples: by place (:class:`Dataset`) or one after another (:class:`IterableDataset`)."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Optional, Sequence, Union

import numpy as np

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.data._order import permutation

__all__ = ["ArrayDataset", "Dataset", "IterableDataset", "MappedDataset", "Subset", "random_split"]


class Dataset:
    """Samples by place: a subclass gives ``__len__`` and ``__getitem__``.

    Any object with these two will do for a :class:`DataLoader`: a list, a dataset of PyTorch or of
    Hugging Face. A subclass may also give ``__getitems__(indices)``, which returns a list of
    samples, or ``take(indices)``, which returns a batch.

    Example:
        >>> from lazulite.data import Dataset
        >>> class Squares(Dataset):
        ...     def __len__(self):
        ...         return 4
        ...     def __getitem__(self, index):
        ...         return index * index
        >>> list(Squares().map(lambda x: x + 1))
        [1, 2, 5, 10]
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def map(self, function: Callable[[Any], Any]) -> MappedDataset:
        """The samples passed through ``function``, each when it is asked for."""
        return MappedDataset(self, function)


class IterableDataset:
    """Samples one after another: a subclass gives ``__iter__``, and ``__len__`` where it is known.

    A loader that resumes takes and drops what was seen before. A subclass that gives ``state_dict``
    and ``load_state_dict`` goes there at once.

    Example:
        >>> from lazulite.data import DataLoader, IterableDataset
        >>> class Count(IterableDataset):
        ...     def __iter__(self):
        ...         return iter(range(5))
        >>> [batch.tolist() for batch in DataLoader(Count(), batch_size=2)]
        [[0, 1], [2, 3], [4]]
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")


class ArrayDataset(Dataset):
    """Rows of arrays that lie in memory: of several, tuples of rows; of named ones, dicts.

    Batches are gathered by NumPy without a copy of each row, and without holding up other threads.

    Args:
        arrays: arrays of equal length (NumPy's, ours, or any that NumPy reads).
        named: the same by name.

    Raises:
        ValueError: no array, arrays and names at once, or lengths that differ.
        IndexError: when called with a place that is not there.

    Example:
        >>> import numpy as np
        >>> from lazulite.data import ArrayDataset
        >>> rows = ArrayDataset(np.zeros((5, 2)), np.arange(5))
        >>> len(rows), rows[3][1].item()
        (5, 3)
        >>> rows.take([4, 0])[1]
        array([4, 0], dtype=int64)
    """

    def __init__(self, *arrays: Any, **named: Any) -> None:
        if bool(arrays) == bool(named):
            raise ValueError(
                "[ArrayDataset] arrays or names: "
                f"got {len(arrays)} arrays and {len(named)} names, expected one kind of them"
            )
        self.arrays: Any = (
            {name: np.asarray(a) for name, a in named.items()}
            if named
            else tuple(np.asarray(a) for a in arrays)
        )
        lengths = {name: a.shape[0] if a.ndim else None for name, a in self._items()}
        if len(set(lengths.values())) != 1 or None in lengths.values():
            raise ValueError(f"[ArrayDataset] lengths: got {lengths}, expected equal ones")
        self._length = int(next(a for _, a in self._items()).shape[0])
        self._single = len(arrays) == 1

    def _items(self) -> list[tuple[Any, Any]]:
        named = isinstance(self.arrays, dict)
        return list(self.arrays.items() if named else enumerate(self.arrays))

    def _each(self, function: Callable[[Any], Any]) -> Any:
        if isinstance(self.arrays, dict):
            return {name: function(a) for name, a in self.arrays.items()}
        found = tuple(function(a) for a in self.arrays)
        return found[0] if self._single else found

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        return self._each(lambda a: a[index])

    def take(self, indices: Sequence[int]) -> Any:
        """The rows at ``indices`` as arrays of ours: a batch."""
        return self._each(lambda a: mx.asarray(np.take(a, indices, axis=0)))

    def __repr__(self) -> str:
        shapes = ", ".join(
            (f"{name}: " if isinstance(name, str) else "") + f"{a.dtype}{a.shape}"
            for name, a in self._items()
        )
        return f"ArrayDataset({shapes})"


class MappedDataset(Dataset):
    """The samples of another dataset, passed through a function: see :meth:`Dataset.map`.

    Example:
        >>> from lazulite.data import MappedDataset
        >>> list(MappedDataset([1, 2], lambda x: -x))
        [-1, -2]
    """

    @checked
    def __init__(self, dataset: Any, function: Callable[[Any], Any]) -> None:
        self.dataset = dataset
        self.function = function

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.function(self.dataset[index])

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        return [self.function(sample) for sample in samples_at(self.dataset, indices)]


class Subset(Dataset):
    """The samples of another dataset at chosen places.

    Example:
        >>> from lazulite.data import Subset
        >>> list(Subset(["a", "b", "c"], [2, 0]))
        ['c', 'a']
    """

    @checked
    def __init__(self, dataset: Any, indices: Any) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, np.int64).reshape(-1)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        return samples_at(self.dataset, self.indices[list(indices)].tolist())


@checked
def random_split(dataset: Any, lengths: Sequence[Any], seed: int = 0) -> list[Subset]:
    """Parts of a dataset, chosen at random: the same ones for the same seed.

    Args:
        dataset: what to divide.
        lengths: how many samples each part has, or fractions that add up to 1; what rounding
            leaves goes to the first parts, one each.
        seed: of the order.

    Raises:
        ValueError: the lengths do not add up to that of the dataset, or to 1.

    Example:
        >>> from lazulite.data import random_split
        >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
        [8, 2]
    """
    total, sizes = len(dataset), [float(n) for n in lengths]
    if abs(sum(sizes) - 1) < 1e-6 and all(0 <= n <= 1 for n in sizes):
        counts = [int(n * total) for n in sizes]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        counts = [int(n) for n in sizes]
        if sum(counts) != total or any(n < 0 or n != c for n, c in zip(sizes, counts)):
            raise ValueError(
                f"[random_split] lengths: got {list(lengths)} for {total} samples, "
                f"expected whole numbers that add up to {total}, or fractions that add up to 1"
            )
    order = permutation(total, seed, 0)
    ends = np.cumsum(counts)
    return [Subset(dataset, order[end - n : end]) for n, end in zip(counts, ends)]


def batch_at(dataset: Any, indices: Sequence[int]) -> Any:
    """The batch at places, of a dataset of ours that makes batches itself; else None."""
    while isinstance(dataset, Subset):
        dataset, indices = dataset.dataset, dataset.indices[list(indices)].tolist()
    if not isinstance(dataset, Dataset) or not hasattr(dataset, "take"):
        return None
    return dataset.take(indices)


def samples_at(dataset: Any, indices: Sequence[int]) -> list[Any]:
    """The samples at places, all at once where the dataset can."""
    several: Optional[Callable[[Any], Any]] = getattr(dataset, "__getitems__", None)
    if several is None:
        return [dataset[i] for i in indices]
    found: Union[list[Any], Any] = several(list(indices))
    return list(found)
