"""Batches of samples: what becomes an array, what is filled up, what is refused."""

from typing import NamedTuple

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.data import DataLoader, collate, pad


class Pair(NamedTuple):
    x: int
    y: str


def test_leaves_become_arrays_and_forms_stay():
    batch = collate([Pair(1, "a"), Pair(2, "b")])
    assert isinstance(batch, Pair) and batch.x.tolist() == [1, 2] and batch.y == ["a", "b"]
    nested = [{"a": [np.ones((2, 3)), (1.5, None)]}] * 4
    batch = collate(nested)
    assert batch["a"][0].shape == (4, 2, 3) and batch["a"][1][0].tolist() == [1.5] * 4
    assert batch["a"][1][1] == [None] * 4 and isinstance(batch["a"][1], tuple)


@pytest.mark.parametrize(
    "sample, dtype",
    [
        (1, mx.int32),
        (True, mx.bool_),
        (1.5, mx.float32),
        (1j, mx.complex64),
        (np.int64(1), mx.int64),
        (np.uint8(1), mx.uint8),
        (np.float16(1), mx.float16),
        (np.zeros(2, np.int16), mx.int16),
        (np.zeros(2), mx.float32),
        (mx.zeros(2, mx.bfloat16), mx.bfloat16),
    ],
)
def test_dtypes_are_those_that_array_gives(sample, dtype):
    assert collate([sample, sample]).dtype == dtype


def test_arrays_of_ours_are_stacked_and_computed():
    batch = collate([mx.arange(3) * 2, mx.arange(3) + 1])
    assert batch.tolist() == [[0, 2, 4], [1, 2, 3]]


def test_unequal_sizes_are_filled_up_where_a_value_is_given():
    rows = [np.array([1, 2, 3]), np.array([4])]
    with pytest.raises(ValueError, match="pad_value"):
        collate(rows)
    assert collate(rows, pad_value=-1).tolist() == [[1, 2, 3], [4, -1, -1]]
    assert collate(rows, pad_value=0, side="left").tolist() == [[1, 2, 3], [0, 0, 4]]
    assert collate(rows, pad_value=0, to_multiple=4).shape == (2, 4)
    texts = [{"ids": [1, 2, 3], "label": 1}, {"ids": [4], "label": 0}]
    batch = next(iter(DataLoader(texts, 2, pad_value=0)))
    assert batch["ids"].tolist() == [[1, 2, 3], [4, 0, 0]] and batch["label"].tolist() == [1, 0]
    with pytest.raises(ValueError, match="pad_value"):
        collate([[1, 2], [3]])
    planes = [np.ones((2, 3)), np.ones((3, 1))]
    assert collate(planes, pad_value=0).sum().item() == 9


@pytest.mark.parametrize("dtype", [
    np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64,
    np.float16, np.float32,
])
def test_a_value_that_the_dtype_does_not_have_is_refused(dtype):
    """Never wrapped, cut off, or made True."""
    rows, whole = [np.ones(3, dtype), np.ones(1, dtype)], np.dtype(dtype).kind in "biu"
    for value in (0, 1, 0.0, 1.0, -1, 2, -100, 255, 256, 2**40, 2**63, 0.5, -0.5, np.nan, np.inf):
        array = np.array(value)
        with np.errstate(all="ignore"):
            fits = not whole or (value == value and array.astype(dtype) == array)
        if whole and abs(value) >= 2**63:  # beyond exact floats, and the ends of the dtypes
            fits = dtype is np.uint64 and value == 2**63
        if fits:
            for batch in (pad(rows, value)[0], collate(rows, pad_value=value)):
                assert np.array(batch).dtype == dtype
                with np.errstate(over="ignore"):
                    wanted = np.array([value, value]).astype(dtype)
                np.testing.assert_array_equal(np.array(batch)[1, 1:], wanted)
        else:
            for call in (lambda: pad(rows, value), lambda: collate(rows, pad_value=value)):
                with pytest.raises(ValueError, match=r"^\[pad\] value: got .*expected a number"):
                    call()


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_sequences_of_nothing_do_not_decide_the_dtype(empty):
    """Texts without tokens: places in a table of floats would be none."""
    rows = [[1, 2], [3], [4, 5, 6]]
    rows[empty] = []
    assert pad(rows)[0].dtype == collate(rows, pad_value=0).dtype == mx.int32
    loader = DataLoader([{"ids": row} for row in rows], 3, pad_value=0)
    assert next(iter(loader))["ids"].dtype == mx.int32
    typed = [np.array(row, np.int16) for row in rows]
    typed[empty] = np.array([], np.float32)  # an array has a dtype, of whatever size
    assert pad(typed)[0].dtype == mx.float32
    assert pad([[], []])[0].dtype == mx.float32


def test_pad_says_how_long_each_was():
    batch, lengths = pad([np.ones((2, 2)), np.ones((5, 2))], value=7, to_multiple=4)
    assert batch.shape == (2, 8, 2) and lengths.tolist() == [2, 5]
    assert batch[0, 2:].tolist() == [[7, 7]] * 6
    assert pad([[1]], length=3)[0].tolist() == [[1, 0, 0]]
    for bad in ({"sequences": []}, {"sequences": [1]}, {"sequences": [[1], [[1]]]}):
        with pytest.raises(ValueError):
            pad(**bad)
    for bad in ({"side": "middle"}, {"to_multiple": 0}, {"length": 1}):
        with pytest.raises(ValueError):
            pad([[1, 2]], **bad)


def test_what_is_no_sample_is_refused():
    with pytest.raises(TypeError, match="collate_fn"):
        collate([object()])
    for bad in ([], [{"a": 1}, {"b": 1}], [(1, 2), (1,)], [(1,), 2]):
        with pytest.raises(ValueError):
            collate(bad)
