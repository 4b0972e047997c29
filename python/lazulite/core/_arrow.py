"""Arrays as PyArrow's, for `pyarrow.array`."""

from __future__ import annotations

from . import _core
from ._core import array


def arrow_array(a: array, type=None):
    """A column of numbers, over the memory of the array where that lies row by row; of several axes
    a column of tensors, along the first one. Arrow has no bfloat16: its values are float32."""
    import numpy
    import pyarrow

    if a.ndim == 0:
        raise ValueError("[__arrow_array__] a 0-d array: expected one axis or more")
    shown = numpy.asarray(a.astype(_core.float32) if a.dtype == _core.bfloat16 else a)
    if a.ndim == 1:
        return pyarrow.array(shown, type=type)
    made = pyarrow.FixedShapeTensorArray.from_numpy_ndarray(numpy.ascontiguousarray(shown))
    return made if type is None else made.cast(type)
