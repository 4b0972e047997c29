"""From samples to a batch."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Union

import numpy as np
import numpy.typing as npt

import lazulite.core as mx
from lazulite._arguments import checked

__all__ = ["collate", "pad"]

_NUMBERS = (bool, int, float, complex)
_AS_THEY_ARE = (str, bytes, type(None))


@checked
def pad(
    sequences: Sequence[Any],
    value: float = 0,
    to_multiple: int = 1,
    side: str = "right",
    length: Optional[int] = None,
) -> tuple[mx.array, mx.array]:
    """Arrays of unequal sizes as one array, filled up with ``value``, and how long each was.

    Args:
        sequences: arrays of equal dtype and number of axes, or lists of numbers.
        value: what fills up.
        to_multiple: the size of the first axis becomes a multiple of it, so that batches have few
            different shapes.
        side: ``"right"`` fills up behind, ``"left"`` before.
        length: the size of the first axis, instead of the largest one there is.

    Returns:
        The batch, and the sizes of the first axes as int32.

    Raises:
        ValueError: no sequence, numbers of axes that differ, one longer than ``length``, or a value
            that the dtype does not have, such as -1 for uint8.

    Example:
        >>> from lazulite.data import pad
        >>> pad([[1, 2, 3], [4]], value=-1)
        (array([[1, 2, 3],
               [4, -1, -1]], dtype=int32), array([3, 1], dtype=int32))
    """
    arrays = [_as_numpy(s) for s in sequences]
    if not arrays or any(a.ndim != arrays[0].ndim or a.ndim == 0 for a in arrays):
        found = sorted({a.ndim for a in arrays})
        raise ValueError(f"[pad] sequences: got axes {found}, expected one number of axes, 1 or more")
    if side not in ("left", "right"):
        raise ValueError(f"[pad] side: got {side!r}, expected 'left' or 'right'")
    if to_multiple < 1:
        raise ValueError(f"[pad] to_multiple: got {to_multiple}, expected 1 or more")
    shape = [max(sizes) for sizes in zip(*(a.shape for a in arrays))]
    if length is not None:
        if shape[0] > length:
            raise ValueError(f"[pad] length: got a sequence of {shape[0]}, expected {length} or less")
        shape[0] = length
    shape[0] = -(-shape[0] // to_multiple) * to_multiple
    # Lists of nothing are float32 alone, and whatever the others are beside them.
    counted = [a for a, s in zip(arrays, sequences) if a.size or hasattr(s, "dtype")] or arrays
    kind = np.result_type(*(a.dtype for a in counted))
    if kind.kind in "biu":
        least, most = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
        if not least <= value <= most or value != int(value):
            raise ValueError(f"[pad] value: got {value} for {kind}, expected a number that it has")
    with np.errstate(over="ignore"):  # too large for a half: infinity
        out = np.full((len(arrays), *shape), value, kind)
    for row, a in zip(out, arrays):
        begin = shape[0] - a.shape[0] if side == "left" else 0
        row[(slice(begin, begin + a.shape[0]), *map(slice, a.shape[1:]))] = a
    return mx.asarray(out), mx.array([a.shape[0] for a in arrays], mx.int32)


def collate(
    samples: Sequence[Any],
    *,
    pad_value: Optional[Union[int, float]] = None,
    to_multiple: int = 1,
    side: str = "right",
) -> Any:
    """A batch of samples: what is a leaf in each becomes one array of all.

    Numbers become a vector, arrays (NumPy's, ours, PyTorch's) are stacked, dicts, tuples and lists
    are batched entry by entry, strings, bytes and None come as a list.

    Args:
        samples: samples of one form.
        pad_value: where given, arrays of unequal sizes are filled up with it, and lists of numbers
            are sequences.
        to_multiple: see :func:`pad`.
        side: see :func:`pad`.

    Raises:
        ValueError: no samples, forms or shapes that differ.
        TypeError: a sample holds something else.

    Example:
        >>> from lazulite.data import collate
        >>> collate([{"x": 1.5, "name": "a"}, {"x": 2.5, "name": "b"}])
        {'x': array([1.5, 2.5], dtype=float32), 'name': ['a', 'b']}
        >>> collate([[1, 2], [3]], pad_value=0)
        array([[1, 2],
               [3, 0]], dtype=int32)
    """
    if len(samples) == 0:
        raise ValueError("[collate] samples: got none, expected one or more")
    first = samples[0]

    def inside(items: Sequence[Any]) -> Any:
        return collate(items, pad_value=pad_value, to_multiple=to_multiple, side=side)

    if isinstance(first, _AS_THEY_ARE):
        return list(samples)
    if isinstance(first, _NUMBERS):
        return mx.array(list(samples))
    if isinstance(first, dict):
        names = list(first)
        if any(not isinstance(s, dict) or set(s) != set(names) for s in samples):
            raise ValueError(f"[collate] keys differ: expected {names} in every sample")
        return {name: inside([s[name] for s in samples]) for name in names}
    if isinstance(first, (list, tuple)):
        if pad_value is not None and _is_sequence_of_numbers(samples):
            return pad(samples, pad_value, to_multiple, side)[0]
        if any(not isinstance(s, (list, tuple)) or len(s) != len(first) for s in samples):
            raise ValueError(
                f"[collate] lengths differ: expected {len(first)} entries in every sample; "
                "sequences of unequal lengths need pad_value="
            )
        batch = [inside(list(entry)) for entry in zip(*samples)]
        if isinstance(first, tuple):
            named = hasattr(first, "_fields")
            return type(first)(*batch) if named else tuple(batch)
        return batch
    return _stacked(samples, pad_value, to_multiple, side)


def _stacked(
    samples: Sequence[Any], pad_value: Optional[float], to_multiple: int, side: str
) -> mx.array:
    if all(isinstance(s, mx.array) for s in samples):
        if len({tuple(s.shape) for s in samples}) == 1 and (pad_value is None or to_multiple == 1):
            batch: mx.array = mx.stack(list(samples))
            mx.eval(batch)  # here, so that the step does not wait for it
            return batch
    arrays = [_as_numpy(s) for s in samples]
    ragged = len({a.shape for a in arrays}) > 1
    if pad_value is not None and (ragged or to_multiple > 1) and arrays[0].ndim:
        return pad(arrays, pad_value, to_multiple, side)[0]
    if ragged:
        shapes = list(dict.fromkeys(a.shape for a in arrays))
        raise ValueError(
            f"[collate] shapes differ: got {', '.join(map(str, shapes[:4]))}, expected one shape; "
            "pad_value= fills up"
        )
    batch = mx.asarray(np.stack(arrays))
    return batch


def _is_sequence_of_numbers(samples: Sequence[Any]) -> bool:
    return all(isinstance(s, (list, tuple)) for s in samples) and all(
        isinstance(x, (*_NUMBERS, np.generic)) for s in samples for x in s
    )


def _as_numpy(value: Any) -> npt.NDArray[Any]:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (list, tuple, range)) or hasattr(value, "__dlpack__"):
        return np.asarray(mx.asarray(value))  # whose dtypes are ours: int32 of ints that fit
    if isinstance(value, (np.generic, *_NUMBERS)) or hasattr(value, "__array__"):
        return np.asarray(value)
    raise TypeError(
        f"[collate] a sample holds a {type(value).__name__}: expected arrays, numbers, strings, "
        "or dicts, lists and tuples of them; give collate_fn= for others"
    )
