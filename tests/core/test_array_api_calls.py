"""Functions of the array API standard, called as it says with random arguments: NumPy, whose
namespace is conforming too, gives the same dtypes, shapes and values, or refuses them as well."""

import numpy as np
import pytest

import lazulite.core as mx

INTEGERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
FLOATS, COMPLEX = ["float32", "float64"], ["complex64", "complex128"]
REAL, NUMERIC = INTEGERS + FLOATS, INTEGERS + FLOATS + COMPLEX
ALL = ["bool", *NUMERIC]
# Numbers of the standard's lists of special values, and some that are not special.
ENDS = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -3.0, 1e-30, -1e30, np.inf, -np.inf, np.nan, 1.5, 2.5]
# Where indices are asked for, ours are those of the reference (uint32), or int32.
INDICES = "argmax argmin argsort searchsorted nonzero count_nonzero unique_all unique_counts"
INDICES = {*INDICES.split(), "unique_inverse", "linalg.matrix_rank"}
REFUSALS = (ValueError, TypeError, IndexError, OverflowError)


class Dice:
    """Random arguments."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def of(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def int(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def shape(self, least=0, most=3):
        return tuple(self.of([0, 1, 1, 2, 3, 4, 5]) for _ in range(self.int(least, most)))

    def some(self, dtypes, shape=None, least=0, small=False):
        """An array; of inexact dtypes also of ends of ranges, in one of three. Of any strides."""
        shape = self.shape(least) if shape is None else shape
        dtype = self.of(dtypes) if isinstance(dtypes, (list, tuple)) else dtypes
        if dtype == "bool":
            v = self.rng.random(shape) < 0.5
        elif dtype in INTEGERS:
            info = np.iinfo(dtype)
            if small or self.int(0, 2):
                v = self.rng.integers(max(info.min, -4), 5, shape)
            else:
                v = self.rng.integers(info.min, info.max, shape, dtype, endpoint=True)
        else:
            v = self.rng.normal(size=shape) * 3
            if dtype in COMPLEX:
                v = v + 1j * self.rng.normal(size=shape)
            if not small and self.int(0, 2) == 0 and v.size:
                places = self.rng.random(shape) < 0.4
                v = np.where(places, self.rng.choice(ENDS, shape), v)
        v = np.asarray(v).astype(dtype)
        if self.int(0, 3) == 0 and v.ndim > 1:
            v = np.ascontiguousarray(v.T).T
        if self.int(0, 3) == 0 and v.ndim:
            v = np.ascontiguousarray(v[::-1])[::-1]
        return v

    def axis(self, ndim):
        return self.int(-ndim, ndim - 1)

    def axes(self, ndim, none=True):
        """An axis, several, or None."""
        kind = self.int(0, 3)
        if (kind == 0 and none) or ndim == 0:
            return None
        if kind == 1:
            return self.axis(ndim)
        chosen = self.rng.permutation(ndim)[: self.int(1, ndim)]
        return tuple(int(a) - ndim * self.int(0, 1) for a in chosen)

    def maybe(self, **options):
        return {k: v for k, v in options.items() if self.int(0, 1)}

    def pair(self, shape):
        """A shape that broadcasts with it."""
        cut = self.int(0, len(shape))
        return tuple(n if self.int(0, 2) else 1 for n in shape[cut:])


def reduction(dtypes, **more):
    def make(d):
        x = d.some(dtypes)
        options = {k: v(d) for k, v in more.items() if d.int(0, 1)}
        return [x], {**options, **d.maybe(axis=d.axes(x.ndim), keepdims=True)}

    return make


def extremum(dtypes):
    def make(d):
        x = d.some(dtypes, d.shape(1), small=True)
        axis = None if d.int(0, 2) == 0 else d.axis(x.ndim)
        return [x], {"axis": axis, **d.maybe(keepdims=True)}

    return make


def along(dtypes, **more):
    """One axis, which may be left out where there is but one."""

    def make(d):
        x = d.some(dtypes, d.shape(1))
        options = {k: v(d) for k, v in more.items() if d.int(0, 1)}
        if x.ndim > 1 or d.int(0, 1):
            options["axis"] = d.axis(x.ndim)
        return [x], options

    return make


def unary(dtypes):
    return lambda d: ([d.some(dtypes)], {})


def binary(dtypes):
    def make(d):
        dtype, shape = d.of(dtypes), d.shape()
        x, y = d.some(dtype, shape), d.some(dtype, d.pair(shape))
        if d.int(0, 3) == 0:
            number = {"b": True, "i": 2, "u": 2, "f": 1.5, "c": 1 + 2j}[x.dtype.kind]
            return ([x, number] if d.int(0, 1) else [number, x]), {}
        return ([x, y] if d.int(0, 1) else [y, x]), {}

    return make


def shifts(d):
    dtype, shape = d.of(INTEGERS), d.shape()
    y = d.rng.integers(0, 8, d.pair(shape)).astype(dtype)
    return [d.some(dtype, shape), y], {}


def matrices(d, dtypes=FLOATS + COMPLEX, square=False, low=0):
    m, n = d.int(low, 5), d.int(low, 5)
    batch = d.shape(0, 1)
    return d.some(dtypes, (*batch, m, m if square else n), small=True)


def _arange(d):
    start, stop, step = (d.of([0, 1, 2, 5, -3, 10]) for _ in range(3))
    step = step or 1
    if d.int(0, 1):
        start, stop, step = start + 0.5, float(stop), step * 0.25
    dtype = d.of(FLOATS if isinstance(start, float) else REAL[:4] + FLOATS)
    args = d.of([[start], [start, stop], [start, stop, step]])
    return args, {"dtype": dtype}


def _linspace(d):
    options = {"dtype": d.of(FLOATS), **d.maybe(endpoint=False)}
    return [d.int(-5, 5), d.int(-5, 9) + 0.5], {"num": d.int(0, 9), **options}


def _concat(d):
    dtype, shape = d.of(ALL), list(d.shape(1))
    axis = d.axis(len(shape))
    parts = []
    for _ in range(d.int(1, 3)):
        shape[axis] = d.int(0, 3)
        parts.append(d.some(dtype, tuple(shape)))
    if d.int(0, 3) == 0:
        return [[d.some(dtype) for _ in range(d.int(1, 3))]], {"axis": None}
    return [parts], {"axis": axis}


def _stack(d):
    shape, dtype = d.shape(), d.of(ALL)
    return [[d.some(dtype, shape) for _ in range(d.int(1, 3))]], d.maybe(
        axis=d.axis(len(shape) + 1)
    )


def _expand_dims(d):
    x = d.some(ALL)
    if d.int(0, 1):
        return [x], {"axis": d.axis(x.ndim + 1)}
    n = d.int(1, 3)
    axes = d.rng.permutation(x.ndim + n)[:n]
    return [x], {"axis": tuple(int(a) - (x.ndim + n) * d.int(0, 1) for a in axes)}


def _squeeze(d):
    x = d.some(ALL, tuple(d.of([1, 1, 1, 2, 0]) for _ in range(d.int(1, 4))))
    ones = [k - x.ndim * d.int(0, 1) for k, n in enumerate(x.shape) if n == 1 or d.int(0, 9) == 0]
    axes = d.of([tuple(ones), tuple(ones[:1]), ones[0] if ones else ()])
    return [x], {"axis": axes}


def _permute_dims(d):
    x = d.some(ALL)
    return [x, tuple(int(a) for a in d.rng.permutation(x.ndim))], {}


def _moveaxis(d):
    x = d.some(ALL, d.shape(1))
    n = d.int(1, x.ndim)
    source, to = (tuple(int(a) for a in d.rng.permutation(x.ndim)[:n]) for _ in range(2))
    return ([x, source[0], to[0]] if n == 1 and d.int(0, 1) else [x, source, to]), {}


def _reshape(d):
    x = d.some(ALL)
    shape = [int(n) for n in d.rng.permutation(x.shape)] if x.ndim else [1]
    if shape and x.size and d.int(0, 1):
        shape[d.int(0, len(shape) - 1)] = -1
    return [x, tuple(shape)], {}


def _roll(d):
    x = d.some(ALL, d.shape(1))
    kind = d.int(0, 2)
    if kind == 0:
        return [x, d.int(-7, 7)], {}
    if kind == 1:
        return [x, d.int(-7, 7)], {"axis": d.axis(x.ndim)}
    axes = tuple(int(a) for a in d.rng.permutation(x.ndim)[: d.int(1, x.ndim)])
    return [x, tuple(d.int(-7, 7) for _ in axes)], {"axis": axes}


def _repeat(d):
    x = d.some(ALL, d.shape(1))
    axis = d.axis(x.ndim)
    options = d.of([{}, {"axis": axis}])
    n = x.shape[axis] if options else x.size
    counts = d.of([d.int(0, 3), d.rng.integers(0, 3, n).astype(d.of(["int32", "int64"]))])
    return [x, counts], options


def _broadcast_to(d):
    shape = d.shape()
    return [d.some(ALL, d.pair(shape)), shape], {}


def _clip(d):
    dtype, shape = d.of(REAL), d.shape()
    low, high = d.some(dtype, d.pair(shape), small=True), d.some(dtype, d.pair(shape), small=True)
    return [d.some(dtype, shape)], d.maybe(min=low, max=np.maximum(high, low.max(initial=0)))


def _take(d):
    x = d.some(ALL, tuple(max(n, 1) for n in d.shape(1)))
    axis = d.axis(x.ndim)
    n = x.shape[axis]
    at = d.rng.integers(-n, n, d.int(0, 5)).astype(d.of(["int32", "int64"]))
    return [x, at], {"axis": axis}


def _take_along_axis(d):
    x = d.some(ALL, tuple(max(n, 1) for n in d.shape(1)))
    axis = d.axis(x.ndim)
    shape = list(x.shape)
    shape[axis] = d.int(0, 4)
    at = d.rng.integers(-x.shape[axis], x.shape[axis], shape).astype(d.of(["int32", "int64"]))
    return [x, at], {"axis": axis}


def _searchsorted(d):
    dtype = d.of(REAL)
    x = np.sort(d.some(dtype, (d.int(1, 9),), small=True))
    order = d.rng.permutation(x.size)
    options = d.maybe(side=d.of(["left", "right"]))
    if d.int(0, 1):
        options["sorter"] = np.argsort(x[order], stable=True)
        x = x[order]
    return [x, d.some(dtype, small=True)], options


def _where(d):
    shape, dtype = d.shape(), d.of(ALL)
    x, y = d.some(dtype, d.pair(shape)), d.some(dtype, d.pair(shape))
    if d.int(0, 3) == 0:
        y = {"b": True, "i": 2, "u": 2, "f": 1.5, "c": 1 + 2j}[x.dtype.kind]
    return [d.some("bool", shape), x, y], {}


def _isin(d):
    dtype = d.of(INTEGERS)
    return [d.some(dtype, small=True), d.some(dtype, small=True)], d.maybe(invert=True)


def _diff(d):
    x = d.some(NUMERIC, d.shape(1), small=True)
    axis = d.axis(x.ndim)
    shape = list(x.shape)
    shape[axis] = d.int(0, 2)
    ends = {k: d.some(str(x.dtype), tuple(shape), small=True) for k in ("prepend", "append")}
    return [x], {"axis": axis, **d.maybe(n=d.int(0, 3), **ends)}


def _cumulative(dtypes):
    def make(d):
        args, options = along(dtypes, include_initial=lambda d: True)(d)
        if args[0].dtype.itemsize < 4:  # the default is the standard's, NumPy's is wider
            options["dtype"] = d.of(["int64", "float64"])
        return args, options

    return make


def _matmul(d):
    dtype, k = d.of(NUMERIC), d.int(0, 4)
    batch = d.shape(0, 2)
    x = d.some(dtype, (*batch, d.int(0, 4), k), small=True)
    y = d.some(dtype, (*d.pair(batch), k, d.int(0, 4)), small=True)
    kind = d.int(0, 3)
    if kind == 0:
        return [d.some(dtype, (k,), small=True), y], {}
    return ([x, d.some(dtype, (k,), small=True)] if kind == 1 else [x, y]), {}


def _tensordot(d):
    dtype, shape = d.of(NUMERIC), d.shape(1)
    n = d.int(0, len(shape))
    order = [int(a) for a in d.rng.permutation(len(shape))]
    x = d.some(dtype, shape, small=True)
    if d.int(0, 1):
        y = d.some(dtype, (*shape[len(shape) - n :], *d.shape(0, 1)), small=True)
        return [x, y], {"axes": n}
    y = d.some(dtype, tuple(shape[a] for a in order), small=True)
    return [x, y], {"axes": (tuple(order[:n]), tuple(range(n)))}


def _vecdot(d):
    dtype, shape = d.of(NUMERIC), d.shape(1)
    x = d.some(dtype, shape, small=True)
    return [x, d.some(dtype, shape, small=True)], d.maybe(axis=d.int(-len(shape), -1))


def _cross(d):
    dtype, shape = d.of(NUMERIC), list(d.shape(1))
    axis = d.int(-len(shape), -1)
    shape[axis] = 3
    return [d.some(dtype, tuple(shape), small=True) for _ in range(2)], {"axis": axis}


def _solve(d):
    dtype, n, batch = d.of(FLOATS + COMPLEX), d.int(0, 4), d.shape(0, 1)
    a = d.some(dtype, (*batch, n, n), small=True) + 9 * np.eye(n, dtype=dtype)
    b = (n,) if d.int(0, 1) else (*batch, n, d.int(0, 3))
    return [a, d.some(dtype, b, small=True)], {}


def _regular(d):
    a = matrices(d, square=True)
    return [(a + 9 * np.eye(a.shape[-1])).astype(a.dtype)], {}


def _positive(d):
    [a], _ = _regular(d)
    return [a @ np.conj(np.swapaxes(a, -1, -2))], d.maybe(upper=True)


def _vector_norm(d):
    x = d.some(FLOATS + COMPLEX, d.shape(1), small=True)
    orders = [1, 2, 3, 0.5, 0, -1, np.inf, -np.inf]
    if x.size == 0:
        orders = orders[:4]
    return [x], d.maybe(axis=d.axes(x.ndim), keepdims=True, ord=d.of(orders))


def _matrix_norm(d):
    a = matrices(d, low=1)
    orders = ["fro", "nuc", 1, 2, -1, -2, np.inf, -np.inf]
    return [a], d.maybe(keepdims=True, ord=d.of(orders))


def _matrix_power(d):
    [a], _ = _regular(d)
    return [a, d.int(-2, 5)], {}


def _diagonal(d):
    return [matrices(d, NUMERIC)], d.maybe(offset=d.int(-6, 6))


def _trace(d):
    x = matrices(d, ["int32", "int64", *FLOATS, *COMPLEX])
    return [x], {"dtype": str(x.dtype), **d.maybe(offset=d.int(-6, 6))}


def _fft(real=False, hermitian=False):
    def make(d):
        x = d.some(FLOATS if real else COMPLEX, tuple(max(n, 2) for n in d.shape(1)), small=True)
        options = {"axis": d.axis(x.ndim), **d.maybe(norm=d.of(["backward", "ortho", "forward"]))}
        return [x], {**options, **d.maybe(n=d.int(2, 9))}

    return make


def _fftn(real=False):
    def make(d):
        x = d.some(FLOATS if real else COMPLEX, tuple(max(n, 2) for n in d.shape(1)), small=True)
        axes = tuple(int(a) for a in d.rng.permutation(x.ndim)[: d.int(1, x.ndim)])
        options = d.maybe(
            norm=d.of(["backward", "ortho", "forward"]), s=[d.int(2, 6) for _ in axes]
        )
        return [x], {"axes": axes, **options}

    return make


def _frequencies(d):
    return [d.int(1, 9)], {"dtype": d.of(FLOATS), **d.maybe(d=d.of([0.1, 2.0]))}


def _shifted(d):
    x = d.some(FLOATS + COMPLEX, d.shape(1))
    return [x], d.maybe(axes=d.axes(x.ndim))


def _triangle(d):
    return [matrices(d, ALL)], d.maybe(k=d.int(-5, 5))


def _full(d):
    dtype = d.of(ALL)
    value = {"b": True, "i": 3, "u": 3, "f": 2.5, "c": 1 + 2j}[np.dtype(dtype).kind]
    return [d.shape(), value], {"dtype": dtype}


def _eye(d):
    return [d.int(0, 4), d.of([None, d.int(0, 5)])], {"dtype": d.of(ALL), **d.maybe(k=d.int(-5, 5))}


def _meshgrid(d):
    dtype = d.of(NUMERIC)
    return [d.some(dtype, (d.int(1, 4),)) for _ in range(d.int(1, 3))], d.maybe(
        indexing=d.of(["xy", "ij"])
    )


CALLS = {
    **dict.fromkeys("positive negative square sign".split(), unary(["int32", *FLOATS, *COMPLEX])),
    **dict.fromkeys("ceil floor trunc round".split(), unary(REAL)),
    **dict.fromkeys("isfinite isinf isnan".split(), unary(NUMERIC)),
    **dict.fromkeys("conj real imag".split(), unary(COMPLEX)),
    "signbit": unary(FLOATS),
    "logical_not": unary("bool"),
    "bitwise_invert": unary(["bool", *INTEGERS]),
    **dict.fromkeys("add subtract multiply".split(), binary(["int32", "uint8", *FLOATS])),
    **dict.fromkeys("divide".split(), binary(FLOATS)),
    **dict.fromkeys("copysign nextafter hypot atan2 logaddexp".split(), binary(FLOATS)),
    **dict.fromkeys("maximum minimum".split(), binary(REAL)),
    **dict.fromkeys("floor_divide remainder pow".split(), binary(FLOATS)),
    **dict.fromkeys("equal not_equal".split(), binary(ALL)),
    **dict.fromkeys("less less_equal greater greater_equal".split(), binary(REAL)),
    **dict.fromkeys("logical_and logical_or logical_xor".split(), binary(["bool"])),
    **dict.fromkeys("bitwise_and bitwise_or bitwise_xor".split(), binary(["bool", *INTEGERS])),
    **dict.fromkeys("bitwise_left_shift bitwise_right_shift".split(), shifts),
    **dict.fromkeys("all any".split(), reduction(ALL)),
    "count_nonzero": reduction(ALL),
    **dict.fromkeys("argmax argmin".split(), extremum(REAL)),
    **dict.fromkeys("max min".split(), extremum(REAL)),
    "sum": reduction(["int64", *FLOATS, *COMPLEX]),
    "prod": reduction(["int64", *FLOATS]),
    "mean": reduction(FLOATS + COMPLEX),
    **dict.fromkeys(["std", "var"], reduction(FLOATS, correction=lambda d: d.of([0, 1, 0.5]))),
    **dict.fromkeys(["cumulative_sum", "cumulative_prod"], _cumulative(["int8", "int64", *FLOATS])),
    "diff": _diff,
    "sort": along(REAL),
    "arange": _arange,
    "linspace": _linspace,
    "eye": _eye,
    "full": _full,
    **dict.fromkeys(["ones", "zeros"], lambda d: ([d.shape()], {"dtype": d.of(ALL)})),
    **dict.fromkeys(
        ["ones_like", "zeros_like"], lambda d: ([d.some(ALL)], d.maybe(dtype=d.of(ALL)))
    ),
    **dict.fromkeys(["tril", "triu"], _triangle),
    "meshgrid": _meshgrid,
    "astype": lambda d: ([d.some(INTEGERS, small=True), d.of(NUMERIC)], {}),
    "broadcast_to": _broadcast_to,
    "concat": _concat,
    "stack": _stack,
    "unstack": along(ALL),
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "permute_dims": _permute_dims,
    "moveaxis": _moveaxis,
    "flip": lambda d: (lambda x: ([x], d.maybe(axis=d.axes(x.ndim))))(d.some(ALL)),
    "reshape": _reshape,
    "roll": _roll,
    "repeat": _repeat,
    "tile": lambda d: ([d.some(ALL), tuple(d.int(0, 3) for _ in range(d.int(0, 3)))], {}),
    "clip": _clip,
    "take": _take,
    "take_along_axis": _take_along_axis,
    "searchsorted": _searchsorted,
    "where": _where,
    "isin": _isin,
    "nonzero": lambda d: ([d.some(ALL, d.shape(1))], {}),
    **dict.fromkeys("unique_values unique_counts unique_inverse unique_all".split(), unary(REAL)),
    "matmul": _matmul,
    "matrix_transpose": lambda d: ([matrices(d, ALL)], {}),
    "tensordot": _tensordot,
    "vecdot": _vecdot,
    "linalg.cross": _cross,
    "linalg.cholesky": _positive,
    **dict.fromkeys(["linalg.det", "linalg.inv"], _regular),
    "linalg.slogdet": _regular,
    "linalg.solve": _solve,
    "linalg.diagonal": _diagonal,
    "linalg.trace": _trace,
    "linalg.matrix_power": _matrix_power,
    "linalg.matrix_norm": _matrix_norm,
    "linalg.vector_norm": _vector_norm,
    "linalg.matrix_rank": lambda d: ([matrices(d, low=1)], d.maybe(rtol=1e-3)),
    "linalg.pinv": lambda d: (_regular(d)[0], d.maybe(rtol=1e-6)),
    "linalg.svdvals": lambda d: ([matrices(d)], {}),
    "linalg.outer": lambda d: ([d.some("float64", (d.int(0, 5),)) for _ in range(2)], {}),
    **dict.fromkeys(["fft.fft", "fft.ifft"], _fft()),
    **dict.fromkeys(["fft.rfft", "fft.ihfft"], _fft(real=True)),
    **dict.fromkeys(["fft.irfft", "fft.hfft"], _fft()),
    **dict.fromkeys(["fft.fftn", "fft.ifftn"], _fftn()),
    "fft.rfftn": _fftn(real=True),
    "fft.irfftn": _fftn(),
    **dict.fromkeys(["fft.fftfreq", "fft.rfftfreq"], _frequencies),
    **dict.fromkeys(["fft.fftshift", "fft.ifftshift"], _shifted),
}
COUNT = 60


# Where NumPy's functions are not yet those of the standard.


def _floor_divide_of(a, b):  # nan where an infinity is divided
    with np.errstate(all="ignore"):
        return np.where(np.isinf(a) & np.isfinite(b), np.divide(a, b), np.floor_divide(a, b))


def _frequencies_of(f):
    return lambda n, d=1.0, dtype=None: f(n, d).astype(dtype)


STANDARD = {
    "floor_divide": _floor_divide_of,
    "unique_values": lambda x: np.sort(np.unique_values(x)),
    "fft.fftfreq": _frequencies_of(np.fft.fftfreq),
    "fft.rfftfreq": _frequencies_of(np.fft.rfftfreq),
}


def named(namespace, name):
    for part in name.split("."):
        namespace = getattr(namespace, part)
    return namespace


def converted(value, make):
    if isinstance(value, (np.ndarray, np.generic)):
        return make(value)
    if isinstance(value, list):
        return [converted(v, make) for v in value]
    return value


def to_ours(v):
    v = np.asarray(v)
    return mx.array(np.ascontiguousarray(v), getattr(mx, v.dtype.name)).reshape(v.shape)


def outcome(namespace, name, args, options, make, dtype_of):
    options = dict(options)
    if "dtype" in options:
        options["dtype"] = dtype_of(options["dtype"])
    if name == "astype":
        args = [args[0], dtype_of(args[1])]
    args = [converted(a, make) for a in args]
    options = {k: converted(v, make) for k, v in options.items()}
    function = STANDARD.get(name) if namespace is np else None
    try:
        found = (function or named(namespace, name))(*args, **options)
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        return [np.array(f) for f in found], None
    except REFUSALS as error:
        return None, error


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CALLS)
def test_calls_give_what_numpy_gives(name):
    refused = 0
    for seed in range(COUNT):
        args, options = CALLS[name](Dice(seed))
        what = f"{name}, seed {seed}: {args} {options}"
        with np.errstate(all="ignore"):
            wanted, no = outcome(np, name, args, options, lambda v: v, np.dtype)
        got, error = outcome(mx, name, args, options, to_ours, lambda t: getattr(mx, t))
        if no is not None:
            refused += 1
            assert error is not None, f"{what}: NumPy says {no!r}"
            continue
        assert error is None, f"{what}: {error!r}"
        assert len(got) == len(wanted), what
        for g, w in zip(got, wanted):
            assert g.shape == w.shape, (what, g, w)
            if name in INDICES and w.dtype.kind in "iu":
                assert g.dtype.kind in "iu"
            else:
                assert g.dtype == w.dtype, (what, g.dtype, w.dtype)
            if w.dtype.kind in "fc":
                single = w.dtype in (np.float32, np.complex64)
                scale = np.abs(w[np.isfinite(w)]).max(initial=1)
                limit = (2e-5 if single else 1e-10) * float(scale)
                rtol = 2e-5 if single else 1e-10
                np.testing.assert_allclose(g, w, rtol=rtol, atol=limit, err_msg=what)
            else:
                np.testing.assert_array_equal(g, w, err_msg=what)
    assert refused < COUNT / 2
