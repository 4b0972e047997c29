"""The loader: orders, batches, workers, and going on where another process was."""

import gc
import json
import sys
import threading
import types

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.data import (
    ArrayDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TokenDataset,
    random_split,
)


class Squares(Dataset):
    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if not 0 <= index < self.n:
            raise IndexError(index)
        return index * index


class Count(IterableDataset):
    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


class Stateful(Count):
    """Knows where it is."""

    def __init__(self, n=10):
        super().__init__(n)
        self.at = 0
        self.pulled = 0

    def __iter__(self):
        while self.at < self.n:
            self.at += 1
            self.pulled += 1
            yield self.at - 1
        self.at = 0

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]


def lists(batches):
    return [b.tolist() for b in batches]


FORMS = {
    "by place": lambda **k: DataLoader(Squares(23), 4, shuffle=True, seed=3, **k),
    "arrays": lambda **k: DataLoader(ArrayDataset(np.arange(23)), 4, shuffle=True, **k),
    "a part of arrays": lambda **k: DataLoader(
        Subset(ArrayDataset(np.arange(30)), range(3, 26)), 4, shuffle=True, drop_last=True, **k
    ),
    "iterated": lambda **k: DataLoader(Count(23), 4, **k),
    "iterated, with a state": lambda **k: DataLoader(Stateful(23), 4, **k),
    "a list": lambda **k: DataLoader(list(range(23)), 4, drop_last=True, **k),
    "a sampler": lambda **k: DataLoader(Squares(23), 4, sampler=[5, 1, 2, 22, 9, 9], **k),
    "a batch sampler": lambda **k: DataLoader(
        Squares(23), batch_sampler=[[1, 2], [3], [4, 5, 6]], **k
    ),
    "tokens": lambda **k: DataLoader(
        TokenDataset(np.arange(93), 4),
        4,
        collate_fn=lambda s: mx.array(np.stack([x for x, _ in s])),
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("workers", [1, 3])
def test_threads_change_nothing(form, workers):
    alone, together = FORMS[form](), FORMS[form](num_workers=workers)
    for _ in range(3):
        assert lists(alone) == lists(together)
    assert len(alone) == len(lists(alone)) if form[:4] != "iter" else True


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("after", [0, 1, 3, 5, 6, 11])
def test_a_loader_goes_on_where_another_was(form, workers, after):
    """The state that is kept after each batch, as the text of a file, gives all that follows."""
    first, seen, state = FORMS[form](num_workers=workers), [], None
    for _ in range(6):
        for batch in first:
            seen.append(batch.tolist())
            if len(seen) == after:
                state = json.dumps(first.state_dict())
    if after == 0:
        state = json.dumps(FORMS[form]().state_dict())
    later, rest = FORMS[form](num_workers=workers), []
    later.load_state_dict(json.loads(state))
    while later.epoch < 6:
        rest += lists(later)
    assert seen[after:] == rest


def test_a_state_that_is_kept_between_epochs_begins_the_next_one():
    loader = FORMS["by place"]()
    first = lists(loader)
    state = loader.state_dict()
    assert (state["epoch"], state["position"]) == (1, 0)
    second = lists(loader)
    assert first != second and sorted(sum(first, [])) == sorted(sum(second, []))
    later = FORMS["by place"]()
    later.load_state_dict(state)
    assert lists(later) == second


def test_a_loop_that_was_left_is_followed_by_the_next_epoch():
    loader, whole = FORMS["by place"](num_workers=1), FORMS["by place"]()
    epochs = [lists(whole) for _ in range(3)]
    for batch in loader:
        break
    assert loader.epoch == 0 and lists(loader) == epochs[1]
    assert lists(loader) == epochs[2]


def test_a_dataset_that_knows_where_it_is_is_not_read_again():
    loader = DataLoader(Stateful(100), 10)
    for i, batch in enumerate(loader):
        if i == 6:
            break
    later = DataLoader(Stateful(100), 10)
    later.load_state_dict(loader.state_dict())
    assert lists(later)[0] == list(range(70, 80)) and later.dataset.pulled == 30


def test_orders_depend_on_seed_and_epoch_alone():
    def order(seed, epoch):
        loader = DataLoader(range(50), 50, shuffle=True, seed=seed)
        loader.epoch = epoch
        return lists(loader)[0]

    orders = [order(s, e) for s in (0, 1, 2**40, -1) for e in (0, 1)]
    assert len(set(map(tuple, orders))) == 8 and orders[0] == order(0, 0)
    assert all(sorted(o) == list(range(50)) for o in orders)
    # Stored numbers: the order is that of Philox's bits on any machine and with any NumPy.
    assert DataLoader(range(8), 8, shuffle=True).__iter__().__next__().tolist() == ORDER_OF_8


ORDER_OF_8 = [0, 2, 1, 5, 4, 3, 6, 7]


def test_sizes_are_known():
    assert len(DataLoader(range(10), 3)) == 4 and len(DataLoader(range(10), 3, drop_last=True)) == 3
    assert len(DataLoader(range(10), None)) == 10
    assert [len(b) for b in DataLoader(range(10), 3)] == [3, 3, 3, 1]
    with pytest.raises(TypeError):
        len(DataLoader(Count(3), 2))


def test_samples_come_one_by_one_without_a_batch_size():
    assert list(DataLoader(Squares(4), None)) == [0, 1, 4, 9]
    assert list(DataLoader(Count(3), None, num_workers=1)) == [0, 1, 2]


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_an_error_comes_at_its_place_and_ends_the_loop(workers):
    class Bad(Squares):
        def __getitem__(self, index):
            if index == 5:
                raise KeyError("five")
            return index

    loop = iter(DataLoader(Bad(), 2, num_workers=workers))
    assert lists([next(loop), next(loop)]) == [[0, 1], [2, 3]]
    with pytest.raises(KeyError, match="five"):
        next(loop)
    assert list(loop) == []


def test_an_error_of_an_iterated_dataset_comes_after_what_was_whole():
    class Bad(IterableDataset):
        def __iter__(self):
            yield from range(4)
            raise OSError("the disk")

    loop = iter(DataLoader(Bad(), 2, num_workers=2))
    assert lists([next(loop), next(loop)]) == [[0, 1], [2, 3]]
    with pytest.raises(OSError, match="the disk"):
        next(loop)


def test_workers_are_ahead_by_what_was_asked_and_no_more():
    made, enough = [], threading.Event()

    class Watched(Squares):
        def __getitem__(self, index):
            made.append(index)
            if len(made) == 3:
                enough.set()
            return index

    loop = iter(DataLoader(Watched(100), num_workers=1, prefetch_factor=2))
    next(loop)
    assert enough.wait(60), "the thread works while nobody asks"
    for _ in range(5):
        next(loop)
    assert 6 <= len(made) <= 9
    loop.close()


def test_threads_end_with_the_loop():
    def running():
        return [t for t in threading.enumerate() if t.name.startswith("lazulite data")]

    loader = DataLoader(Squares(1000), num_workers=3)
    for batch in loader:
        break
    loop = iter(loader)
    next(loop)
    del loop, batch
    gc.collect()
    for thread in running():
        thread.join(60)
    assert running() == []


def test_a_state_of_another_order_is_refused():
    state = DataLoader(range(10), 2, seed=1).state_dict()
    for other in (
        DataLoader(range(10), 2),
        DataLoader(range(10), 3, seed=1),
        DataLoader(range(9), 2, seed=1),
    ):
        with pytest.raises(ValueError, match="differs"):
            other.load_state_dict(state)
    loader = DataLoader(range(10), 2, seed=1)
    for bad in ({}, [], None, {**state, "position": -1}, {**state, "epoch": "x"}):
        with pytest.raises(ValueError):
            loader.load_state_dict(bad)


def test_options_that_exclude_each_other_are_refused():
    for options in (
        {"shuffle": True, "sampler": [1]},
        {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_size": 0},
        {"num_workers": -1},
        {"prefetch_factor": 0},
    ):
        with pytest.raises(ValueError):
            DataLoader(range(3), **options)
    with pytest.raises(ValueError, match="__getitem__"):
        DataLoader(Count(), shuffle=True)
    with pytest.raises(TypeError, match="DataLoader"):
        DataLoader(3)
    with pytest.raises(TypeError, match="batch_size"):
        DataLoader(range(3), "2")


def test_parts_of_a_dataset_are_chosen_at_random():
    parts = random_split(range(10), [7, 3], seed=1)
    assert sorted(sum(map(list, parts), [])) == list(range(10))
    assert [len(p) for p in random_split(range(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    assert list(parts[0]) == list(random_split(range(10), [7, 3], seed=1)[0])
    for bad in ([5, 4], [0.5, 0.6], [11, -1], [9.5, 0.5]):
        with pytest.raises(ValueError):
            random_split(range(10), bad)


def test_datasets_that_fetch_several_at_once_are_asked_once_a_batch():
    asked = []

    class Column:  # as Hugging Face's
        def __len__(self):
            return 6

        def __getitem__(self, i):
            raise AssertionError("one by one")

        def __getitems__(self, indices):
            asked.append(indices)
            return [{"x": np.float32(i)} for i in indices]

        def take(self, n):
            raise AssertionError("of another meaning than ours")

    batches = list(DataLoader(Column(), 4))
    assert asked == [[0, 1, 2, 3], [4, 5]] and batches[1]["x"].tolist() == [4, 5]


def test_batches_of_arrays_are_gathered_by_name_and_by_place():
    data = ArrayDataset(x=np.arange(12).reshape(6, 2), y=np.arange(6.0))
    batch = next(iter(DataLoader(data, 4, shuffle=True)))
    assert batch["x"].shape == (4, 2) and batch["y"].dtype == mx.float32
    assert (np.array(batch["x"])[:, 0] == 2 * np.array(batch["y"])).all()
    for bad in ((), (np.arange(3), np.arange(4)), (np.float32(1),)):
        with pytest.raises(ValueError):
            ArrayDataset(*bad)
    with pytest.raises(ValueError):
        ArrayDataset(np.arange(3), x=np.arange(3))


def test_datasets_that_are_iterated_are_known_whatever_else_they_have(monkeypatch):
    """PyTorch's and Hugging Face's have a __getitem__ that only raises, some also a length."""

    class Base:
        def __getitem__(self, index):
            raise NotImplementedError

        def __iter__(self):
            return iter(range(5))

    class Sized(Base):
        def __len__(self):
            return 5

    assert lists(DataLoader(Base(), 2)) == [[0, 1], [2, 3], [4]]
    torch = types.SimpleNamespace(IterableDataset=Base)
    monkeypatch.setitem(sys.modules, "torch.utils.data", torch)
    loader = DataLoader(Sized(), 2)
    assert lists(loader) == [[0, 1], [2, 3], [4]] and len(loader) == 3


@pytest.mark.parametrize("size", [None, 1, 2])
def test_places_are_integers_of_any_kind(size):
    for places in ([1, 0], np.array([1, 0]), mx.array([1, 0]), (np.int8(1), np.uint64(0))):
        batches = list(DataLoader([10, 20], size, sampler=places))
        found = batches if size is None else [x for batch in batches for x in batch.tolist()]
        assert found == [20, 10]
    for places in ([1.0, 0.5], ["1"], [None]):
        with pytest.raises(TypeError, match=r"^\[DataLoader\] sampler: got .*expected places"):
            list(DataLoader([10, 20], size, sampler=places))
