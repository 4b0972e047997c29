"""Batches of a dataset, in an order that can be had again, made ahead by threads."""

from __future__ import annotations

import sys
from itertools import islice
from operator import index
from typing import Any, Callable, Iterable, Iterator, Optional

import numpy as np

from lazulite._arguments import checked
from lazulite.data._order import permutation
from lazulite.data.collate import collate
from lazulite.data.datasets import batch_at, samples_at
from lazulite.data.workers import Ahead

__all__ = ["DataLoader"]

_VERSION = 1


class DataLoader:
    """Batches of a dataset; each ``for`` loop over it is an epoch.

    The order of an epoch depends on ``seed`` and on the number of the epoch alone.
    :meth:`state_dict` says how far the loop is; a loader made in the same way that loads it goes on
    with the next batch, and with the epochs after it as they would have been.

    Args:
        dataset: anything with ``__len__`` and ``__getitem__``, or with ``__iter__`` alone.
        batch_size: samples in a batch; None gives samples one by one, as they are.
        shuffle: whether each epoch has an order of its own.
        sampler: places in the order wanted, instead of ``shuffle``; iterated once an epoch.
        batch_sampler: lists of places, one for each batch.
        num_workers: threads that work ahead of the loop; 0 makes each batch when it is asked for.
        collate_fn: makes a batch of a list of samples; :func:`lazulite.data.collate` by default.
        drop_last: leave out a last batch of fewer samples.
        prefetch_factor: batches that each thread may be ahead.
        seed: of the order.
        pad_value: arrays of unequal sizes are filled up with it.
        pin_memory, persistent_workers: for PyTorch's programs; threads share the memory as it is.

    Raises:
        ValueError: options that exclude each other, or sizes that are not positive.
        TypeError: ``len`` of a loader whose dataset does not know its length.

    Example:
        >>> import numpy as np
        >>> from lazulite.data import ArrayDataset, DataLoader
        >>> loader = DataLoader(ArrayDataset(np.arange(5)), batch_size=2, num_workers=1)
        >>> for batch in loader:
        ...     state = loader.state_dict()
        ...     print(batch)
        ...     break
        array([0, 1], dtype=int64)
        >>> later = DataLoader(ArrayDataset(np.arange(5)), batch_size=2)
        >>> later.load_state_dict(state)
        >>> list(later)
        [array([2, 3], dtype=int64), array([4], dtype=int64)]
    """

    @checked
    def __init__(
        self,
        dataset: Any,
        batch_size: Optional[int] = 1,
        shuffle: bool = False,
        sampler: Optional[Any] = None,
        batch_sampler: Optional[Any] = None,
        num_workers: int = 0,
        collate_fn: Optional[Callable[[list[Any]], Any]] = None,
        drop_last: bool = False,
        *,
        prefetch_factor: int = 2,
        seed: int = 0,
        pad_value: Optional[float] = None,
        pin_memory: bool = False,
        persistent_workers: bool = False,
    ) -> None:
        self._by_place = _is_by_place(dataset)
        self._check(dataset, batch_size, shuffle, sampler, batch_sampler)
        for name, value, least in (
            ("batch_size", 1 if batch_size is None else batch_size, 1),
            ("num_workers", num_workers, 0),
            ("prefetch_factor", prefetch_factor, 1),
        ):
            if value < least:
                raise ValueError(f"[DataLoader] {name}: got {value}, expected {least} or more")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.drop_last = drop_last
        self.prefetch_factor = prefetch_factor
        self.seed = seed
        self.pad_value = pad_value
        self.collate_fn = collate_fn
        self.epoch = 0  # that runs, or is next
        self._position = 0  # batches of it that were given
        self._resume = False  # the next loop goes on in this epoch
        self._started = False
        self._dataset_state: Any = None
        self._run = 0  # tells a loop that another one has begun

    def _check(
        self, dataset: Any, batch_size: Any, shuffle: bool, sampler: Any, batch_sampler: Any
    ) -> None:
        if not self._by_place and not hasattr(dataset, "__iter__"):
            raise TypeError(
                f"[DataLoader] dataset: got {type(dataset).__name__}, expected an object with "
                "__getitem__ and __len__, or with __iter__"
            )
        if not self._by_place and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "[DataLoader] no order can be chosen: got a dataset without __getitem__, "
                "expected no shuffle, sampler or batch_sampler with it"
            )
        if sampler is not None and shuffle:
            raise ValueError("[DataLoader] got shuffle and a sampler, expected one of them")
        if batch_sampler is not None and (
            shuffle or sampler is not None or batch_size not in (1, None)
        ):
            raise ValueError(
                "[DataLoader] batch_sampler: expected no batch_size, shuffle or sampler with it"
            )

    def __len__(self) -> int:
        """How many batches an epoch has."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        n = len(self.dataset if self.sampler is None else self.sampler)
        size = self.batch_size or 1
        return n // size if self.drop_last else -(-n // size)

    # Where the loop is

    def state_dict(self) -> dict[str, Any]:
        """How far the loop is, as numbers: after the batch that it was given last."""
        state = {
            "version": _VERSION,
            "epoch": self.epoch,
            "position": self._position,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "samples": len(self.dataset) if self._by_place else None,
        }
        if self._dataset_state is not None:
            state["dataset"] = self._dataset_state
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another loader was: with the next loop, at the batch after its last one.

        Raises:
            ValueError: not the state of a loader, or of one with another seed, batch size or
                number of samples, whose order was another.
        """
        if not isinstance(state, dict) or state.get("version") != _VERSION:
            raise ValueError(f"[DataLoader] state: got {state!r:.80}, expected one of state_dict()")
        mine = self.state_dict()
        for name in ("seed", "batch_size", "samples"):
            if state.get(name) != mine[name]:
                raise ValueError(
                    f"[DataLoader] {name} differs: got a state of {state.get(name)!r} for a loader "
                    f"of {mine[name]!r}, expected the same"
                )
        epoch, position = state.get("epoch"), state.get("position")
        if not all(type(n) is int and n >= 0 for n in (epoch, position)):
            raise ValueError(f"[DataLoader] state: got epoch {epoch!r} and position {position!r}")
        self.epoch, self._position = int(state["epoch"]), int(state["position"])
        self._dataset_state = state.get("dataset")
        self._resume, self._started = True, False
        self._run += 1

    # The loop

    def __iter__(self) -> Iterator[Any]:
        if not self._resume:
            self.epoch += self._started
            self._position, self._dataset_state = 0, None
        self._resume, self._started = False, True
        self._run += 1
        begin = self._position
        return self._epoch(
            self._run, self._places(begin) if self._by_place else self._pulled(begin)
        )

    def _epoch(self, run: int, tasks: Iterator[tuple[Any, Any]]) -> Iterator[Any]:
        if self.num_workers:
            ahead = self.num_workers * self.prefetch_factor
            batches: Iterator[Any] = Ahead(tasks, self._make, self.num_workers, ahead)
        else:
            batches = map(self._make, tasks)
        try:
            for batch, state in batches:
                if run == self._run:
                    self._position += 1
                    self._dataset_state = state
                yield batch
        finally:
            if isinstance(batches, Ahead):
                batches.close()
        if run == self._run:  # the state says now that the next epoch begins
            self.epoch, self._position, self._started = self.epoch + 1, 0, False
            self._dataset_state = None

    def _make(self, task: tuple[Any, Any]) -> tuple[Any, Any]:
        try:
            return self._made(task)
        except StopIteration as error:  # which would end the epoch as if it were over
            raise RuntimeError(
                f"[DataLoader] {type(self.dataset).__name__} or collate_fn: got a StopIteration for "
                "samples that are there, expected samples or another exception"
            ) from error

    def _made(self, task: tuple[Any, Any]) -> tuple[Any, Any]:
        """The batch of a task: (places, None), or (samples, state of the dataset after them)."""
        work, state = task
        if not self._by_place:
            return (work if self.batch_size is None else self._collate(work)), state
        if self.batch_sampler is None and self.batch_size is None:
            return self.dataset[work], None
        if self.collate_fn is None and self.pad_value is None:
            batch = batch_at(self.dataset, work)
            if batch is not None:
                return batch, None
        return self._collate(samples_at(self.dataset, work)), None

    def _collate(self, samples: list[Any]) -> Any:
        if self.collate_fn is not None:
            return self.collate_fn(samples)
        return collate(samples, pad_value=self.pad_value)

    def _places(self, begin: int) -> Iterator[tuple[Any, Any]]:
        """The places of each batch of this epoch, from batch ``begin`` on."""
        for chosen in (self.sampler, self.batch_sampler):
            if chosen is not None and hasattr(chosen, "set_epoch"):
                chosen.set_epoch(self.epoch)
        if self.batch_sampler is not None:
            return ((list(b), None) for b in islice(self.batch_sampler, begin, None))
        size = self.batch_size or 1
        if self.sampler is None:
            n = len(self.dataset)
            order: Any = permutation(n, self.seed, self.epoch) if self.shuffle else range(n)
            ends = range(begin * size, n, size)
            chunks: Iterable[Any] = (order[at : at + size] for at in ends)
        else:
            chunks = _chunks(islice(iter(self.sampler), begin * size, None), size)
        return (
            (_as_ints(c)[0] if self.batch_size is None else _as_ints(c), None)
            for c in chunks
            if len(c) == size or not self.drop_last
        )

    def _pulled(self, begin: int) -> Iterator[tuple[Any, Any]]:
        """The samples of each batch of a dataset that is iterated."""
        dataset, size = self.dataset, self.batch_size or 1
        if hasattr(dataset, "set_epoch"):
            dataset.set_epoch(self.epoch)
        stateful = hasattr(dataset, "state_dict") and hasattr(dataset, "load_state_dict")
        if stateful and self._dataset_state is not None:
            if self._dataset_state["ended"]:
                return
            dataset.load_state_dict(self._dataset_state["state"])
            begin = 0
        samples = islice(iter(dataset), begin * size, None)
        for chunk in _chunks(samples, size):
            whole = len(chunk) == size
            if whole or not self.drop_last:
                state = {"state": dataset.state_dict(), "ended": not whole} if stateful else None
                yield (chunk[0] if self.batch_size is None else chunk), state


def _is_by_place(dataset: Any) -> bool:
    """Datasets of PyTorch and Hugging Face that are iterated have a __getitem__ that only
    raises."""
    torch: Any = sys.modules.get("torch.utils.data")
    if torch is not None and isinstance(dataset, torch.IterableDataset):
        return False
    sized = hasattr(dataset, "__len__") or not hasattr(dataset, "__iter__")
    return getattr(dataset, "__getitem__", None) is not None and sized


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _as_ints(places: Any) -> list[int]:
    if isinstance(places, np.ndarray):
        return places.tolist()  # type: ignore[no-any-return]
    try:
        return [index(i) for i in places]
    except TypeError:
        raise TypeError(
            f"[DataLoader] sampler: got {list(places)!r:.60}, expected places, which are integers"
        ) from None
