"""Datasets that fail, and loops that are left."""

import threading
import time

import numpy as np
import pytest

from lazulite.data import ArrayDataset, DataLoader


class Failing:
    """Raises for one of its samples."""

    def __init__(self, error, at=5, size=12):
        self.error, self.at, self.size = error, at, size

    def __len__(self):
        return self.size

    def __getitem__(self, i):
        if i == self.at:
            raise self.error
        return np.float32(i)


class Stream(Failing):
    __getitem__ = None

    def __iter__(self):
        return (Failing.__getitem__(self, i) for i in range(self.size))


def taken(loader):
    found = []
    try:
        for batch in loader:
            found += batch.tolist()
    except BaseException as error:
        return found, error
    return found, None


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("error", [ValueError("bad"), KeyError("k"), StopIteration("over"),
                                   KeyboardInterrupt(), GeneratorExit(), SystemExit(2)])
def test_an_error_of_a_sample_is_raised_where_it_would_come(workers, error):
    loader = DataLoader(Failing(error), batch_size=2, num_workers=workers)
    found, raised = taken(loader)
    assert found == [0, 1, 2, 3]
    if isinstance(error, StopIteration):
        assert isinstance(raised, RuntimeError) and raised.__cause__ is error
        assert "[DataLoader] Failing" in str(raised)
    else:
        assert raised is error
    found, raised = taken(loader)  # the next epoch begins anew
    assert found == [0, 1, 2, 3] and raised is not None


@pytest.mark.parametrize("workers", [0, 2])
def test_so_is_one_of_collate_and_of_a_stream(workers):
    def collate(samples):
        if samples[0] == 4:
            raise StopIteration
        return np.array(samples)

    loader = DataLoader(list(range(8)), batch_size=2, num_workers=workers, collate_fn=collate)
    found, raised = taken(loader)
    assert found == [0, 1, 2, 3] and isinstance(raised, RuntimeError)
    stream = DataLoader(Stream(ValueError("bad")), batch_size=2, num_workers=workers)
    found, raised = taken(stream)
    assert found == [0, 1, 2, 3] and isinstance(raised, ValueError)


def workers():
    return [t for t in threading.enumerate() if t.name.startswith("lazulite data worker")]


@pytest.mark.parametrize("leave", ["break", "raise", "forget", "interrupt"])
def test_threads_end_where_a_loop_is_left(leave):
    before = len(workers())
    loader = DataLoader(ArrayDataset(np.arange(100)), batch_size=2, num_workers=3)

    def loop():
        for i, batch in enumerate(loader):
            if i == 3 and leave == "break":
                break
            if i == 3 and leave == "raise":
                raise ValueError
            if i == 3 and leave == "interrupt":
                raise KeyboardInterrupt

    if leave == "forget":
        found = iter(loader)
        next(found)
        del found
    elif leave == "break":
        loop()
    else:
        with pytest.raises((ValueError, KeyboardInterrupt)):
            loop()
    end = time.monotonic() + 20
    while len(workers()) > before and time.monotonic() < end:
        time.sleep(0.01)
    assert len(workers()) == before
    state = loader.state_dict()
    assert state["position"] == (1 if leave == "forget" else 4)
    again = DataLoader(ArrayDataset(np.arange(100)), batch_size=2)
    again.load_state_dict(state)
    assert next(iter(again)).tolist()[0] == 2 * state["position"]
