"""The exported table of functions, and samples of their arguments, for the tests that loop over
it."""

import hashlib

import attention
import convolutions
import numpy as np
import packing
import pools
import scipy.linalg
import scipy.special
import sparses

import lazulite.core as mx
from lazulite.core import _core

INEXACT = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
ALL = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64") + INEXACT
HALVES = ("float16", "bfloat16")
LIMITS = _core._limits()  # block, chunk, grain ...: the sizes at which the code cuts its work
# Tolerance of a result beside one computed in float64, for functions that are not counted in ulp.
RTOL = {
    "float16": 4e-3,
    "bfloat16": 3e-2,
    "float32": 2e-5,
    "float64": 1e-11,
    "complex64": 4e-5,
    "complex128": 1e-11,
}


def dtype_of(name):
    return mx.bool_ if name == "bool" else getattr(mx, name)


def name_of(dtype):
    return dtype.name


class Sampler:
    """Makes the arguments of a case in a dtype; the same seed gives the same values."""

    def __init__(self, dtype="float64", seed=0, low=-2.0, high=2.0, layout=None):
        self.dtype, self.low, self.high, self.layout = dtype, low, high, layout
        self.rng = np.random.default_rng(seed)
        self.made = []

    def _array(self, values, dtype):
        a = mx.array(values, dtype_of(dtype))
        if self.layout is not None:
            a = self.layout(a)
        return a

    def x(self, *shape):
        v = self.rng.uniform(self.low, self.high, shape)
        if self.dtype.startswith("complex"):
            v = v + 1j * self.rng.uniform(self.low, self.high, shape)
        elif self.dtype == "bool":
            v = v > (self.low + self.high) / 2
        elif self.dtype.startswith("uint"):
            v = np.abs(v * 3).astype(self.dtype)
        elif self.dtype.startswith("int"):
            v = np.round(v * 3).astype(self.dtype)
        return self._array(v, self.dtype)

    def i(self, high, *shape):
        return self._array(self.rng.integers(0, high, shape), "int32")

    def b(self, *shape):
        return self._array(self.rng.uniform(0, 1, shape) < 0.5, "bool")

    def _square(self, shape, make):
        """Of numbers of the dtype, small where it is one of integers; bool: the identity."""
        v = wide(self.x(*shape)) if self.dtype != "bool" else np.zeros(shape)
        v = v % 2 if v.dtype.kind in "iu" else v
        v = make(v) + np.eye(shape[-1]).astype(v.dtype) * (shape[-1] + 4)
        return self._array(v, self.dtype)

    def regular(self, *shape):
        """Square matrices that are far from singular, as their triangles are."""
        return self._square(shape, lambda v: v)

    def pd(self, *shape):
        """Hermitian matrices that are positive definite."""
        return self._square(shape, lambda v: v @ np.conj(np.swapaxes(v, -1, -2)))

    def arguments(self, case):
        scope = {
            "x": self.x,
            "regular": self.regular,
            "pd": self.pd,
            "i": self.i,
            "b": self.b,
            "mx": mx,
            **LIMITS,
            "args": lambda *a, **k: (a, k),
        }
        return eval(f"args({case})", scope)


UNARY_CASES = ["x(2, 3)", "x()", "x(0, 3)", "x(1, 1)", "x(37)"]
UNARY_LARGE = ["x(block + 1)", "x(2, chunk + 1)"]
BINARY_LARGE = [
    "x(2, chunk + 1), x(chunk + 1)",
    "x(tile + 1, 1), x(1, inner + 1)",
    "x(chunk + 1), x()",
]
BINARY_CASES = [
    "x(2, 3), x(2, 3)",
    "x(2, 1), x(3)",
    "x(), x(4)",
    "x(0, 3), x(3)",
    "x(5, 1, 2), x(3, 1)",
    "x(37), x(37)",
]


class Row:
    def __init__(self, row):
        self.name, self.module, self.signature, self.doc = (
            row["name"],
            row["module"],
            row["signature"],
            row["doc"],
        )
        self.elementwise, self.operands = "operands" in row, row.get("operands")
        self.types = row.get("dtypes")
        self.low, self.high = row.get("low", -2.0), row.get("high", 2.0)
        self.ulp = row.get("ulp")
        self.differentiable = row.get("differentiable", True)
        self.cases, self.large = row["cases"], row["large"]
        if self.elementwise:
            self.cases, self.large = (
                (UNARY_CASES, UNARY_LARGE) if row["operands"] == 1 else (BINARY_CASES, BINARY_LARGE)
            )
        self.reference_name = row["reference"]
        self.has_reference = (
            self.reference_name != "-"
        )  # draws have none, nor have bits read as another dtype
        self.same_bits_in_any_layout = row["same_bits_in_any_layout"]

    def definite(self, results):
        """What does not depend on signs (phases) of vectors, of results that do."""
        return DEFINITE[repr(self)](results) if repr(self) in DEFINITE else results

    @property
    def function(self):
        owner = getattr(mx, self.module) if self.module else mx
        return getattr(owner, self.name)

    def __repr__(self):
        return f"{self.module}.{self.name}" if self.module else self.name

    def sampler(self, dtype="float64", seed=0, layout=None):
        low, high = self.low, self.high
        if dtype.startswith("uint") or dtype.startswith("int"):
            low, high = (low, high) if low < 0 else (max(low, 0.4), high)
        return Sampler(dtype, seed, low, high, layout)

    @property
    def reference_ulp(self):
        """How far the reference itself may be off: SciPy's special functions are, somewhat."""
        known = self.reference()
        return 8 if any(known is f for f in vars(scipy.special).values()) else 1

    def reference(self):
        if self.reference_name:
            named = globals().get("_" + self.reference_name)
            rooms = {"convolutions": convolutions, "attention": attention, "packing": packing,
                     "pools": pools, "sparses": sparses}
            return named or eval(self.reference_name, {"np": np, "scipy": scipy, **rooms})
        found = (
            globals().get("_" + self.name)
            or getattr(np, self.name, None)
            or getattr(scipy.special, self.name, None)
        )
        assert found is not None, f"no reference for {self.name}"
        return found


# ---- what NumPy and SciPy spell otherwise --------------------------------------------------------


def _rsqrt(a):
    return 1 / np.sqrt(a)


def _sigmoid(a):
    return scipy.special.expit(a)


_expit = _sigmoid
_lgamma, _i0, _i1 = scipy.special.gammaln, scipy.special.i0, scipy.special.i1


def _reciprocal(a):
    return 1 / a


def _ldexp(a, exponent):
    return np.ldexp(a, np.asarray(exponent).astype(np.int32))


def _sign(a):
    if np.iscomplexobj(a):
        return np.where(a == 0, 0, a / np.where(a == 0, 1, np.abs(a)))
    return a.copy() if a.dtype == bool else np.sign(a)


def _abs(a):
    return np.abs(a)


def _bitwise_left_shift(a, b):
    return np.left_shift(a, b)


def _bitwise_right_shift(a, b):
    return np.right_shift(a, b)


def _subtract(a, b):
    return a ^ b if a.dtype == bool else a - b


def _power(a, b):
    if a.dtype.kind in "iu":
        base, exponent = np.broadcast_arrays(a, b)
        wide = [
            pow(int(p), int(e), 1 << 64) if e >= 0 else 0 for p, e in zip(base.flat, exponent.flat)
        ]
        return np.array(wide, dtype=np.uint64).reshape(base.shape).astype(a.dtype)
    return np.power(a, b)


_pow = _power


def _positive(a):
    return a


def _count_nonzero(a, axis=None):
    return np.count_nonzero(a, axis=axis)


def _argmax(a, axis=None, keepdims=False):
    return np.argmax(a, axis=axis, keepdims=keepdims)


def _argmin(a, axis=None, keepdims=False):
    return np.argmin(a, axis=axis, keepdims=keepdims)


def _put_along_axis(a, i, v, axis):
    out = a.copy()
    np.put_along_axis(out, i, np.broadcast_to(v, i.shape), axis)
    return out


def _scan(f, least=None, widened=False):
    """NumPy's f.accumulate along an axis, from either end, with or without the element itself."""

    def nothing(dtype):
        if f.identity is not None:
            return f.identity
        if dtype.kind in "iu":
            return getattr(np.iinfo(dtype), "min" if least < 0 else "max")
        return {"b": least > 0, "c": complex(least, least)}.get(dtype.kind, least)

    def scan(a, axis=None, reverse=False, inclusive=True, include_initial=False):
        a, axis = (a.ravel(), 0) if axis is None else (a, axis)
        if a.dtype == bool and f is np.add or widened and a.dtype.kind in "bui":
            if a.dtype.itemsize < 4:
                a = a.astype(np.uint32 if a.dtype.kind == "u" else np.int32)
        a = np.flip(a, axis) if reverse else a
        out = f.accumulate(a, axis, a.dtype)
        if f is np.multiply and a.dtype.kind == "c":  # beyond complex64 nothing comes back
            out[np.maximum.accumulate(np.abs(out), axis) > 1e37] = np.inf
        first = np.full_like(out.sum(axis, keepdims=True), nothing(a.dtype), dtype=out.dtype)
        if include_initial or not inclusive:
            out = np.concatenate([first, out], axis)
        if not (include_initial or inclusive):
            out = np.take(out, range(a.shape[axis]), axis)
        return np.flip(out, axis) if reverse else out

    return scan


_cumsum, _cumulative_sum = _scan(np.add), _scan(np.add, widened=True)
_cumprod, _cumulative_prod = _scan(np.multiply), _scan(np.multiply, widened=True)
_cummax, _cummin = _scan(np.maximum, -np.inf), _scan(np.minimum, np.inf)


def _logcumsumexp(a, axis=None, **options):
    with np.errstate(divide="ignore"):
        return np.log(_cumsum(np.exp(a), axis, **options))


def _window(shape, start, axes, size):
    key = [slice(0, n) for n in size]
    for s, a in zip(np.ravel(start), axes):
        key[a] = slice(int(s), int(s) + size[a])
    return tuple(key)


def _dynamic_slice(a, start, axes, size):
    return a[_window(a.shape, start, axes, size)]


def _dynamic_slice_update(a, u, start, axes):
    out = a.copy()
    out[_window(a.shape, start, axes, u.shape)] = u
    return out


def _layer_norm(x, w, b, eps):
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    return y * (1 if w is None else w) + (0 if b is None else b)


def _rms_norm(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * (1 if w is None else w)


def _stack(arrays, axis=0):
    return np.stack(arrays, axis)


def _meshgrid(*arrays, **kwargs):
    return list(np.meshgrid(*arrays, **kwargs))


def _clip(a, low, high):
    return np.clip(a, low, high)


def _linspace(*args):
    return np.linspace(*args)


def _identity(n):
    return np.eye(n)


def _stable_parts(a, kth, axis=-1):
    """What is below the kth element, its equals, what is above: the indices, each in order."""
    if axis is None:
        return _stable_parts(a.reshape(-1), kth, 0)
    pivot = np.take(np.sort(a, axis), [kth], axis)
    side = np.zeros(a.shape, int) + np.where(a == pivot, 1, np.where(a < pivot, 0, 2))
    if a.dtype.kind == "c":
        side = np.argsort(np.argsort(a, axis, kind="stable"), axis)
    return np.argsort(side, axis, kind="stable")


def _stable_argpartition(a, kth, axis=-1):
    return _stable_parts(a, kth, axis)


def _stable_partition(a, kth, axis=-1):
    where = _stable_parts(a, kth, axis)
    return a.reshape(-1)[where] if axis is None else np.take_along_axis(a, where, axis)


def _largest(a, k, axis=-1):
    if axis is None:
        a, axis = a.reshape(-1), 0
    n = a.shape[axis]
    return np.take(np.sort(a, axis), np.arange(n - k, n), axis)


def _distinct(
    a, size, return_index=False, return_inverse=False, return_counts=False, fill_value=None
):
    values, at, which, many = np.unique(a, True, True, True)
    left = max(size - len(values), 0)
    fill = values[0] if fill_value is None else fill_value
    found = [np.r_[values[:size], np.full(left, fill, values.dtype)]]
    found += [np.r_[at[:size], np.full(left, at[0])]] if return_index else []
    found += [which.reshape(a.shape)] if return_inverse else []
    found += [np.r_[many[:size], np.zeros(left, int)]] if return_counts else []
    return tuple(found) if len(found) > 1 else found[0]


def _nonzero_of_size(a, size, fill_value=0):
    rest = max(size - np.count_nonzero(a), 0)
    return tuple(np.r_[n[:size], np.full(rest, fill_value)] for n in np.nonzero(a))


def _argwhere_of_size(a, **size):
    return np.stack(_nonzero_of_size(a, **size), -1)


def _flatnonzero_of_size(a, **size):
    return _nonzero_of_size(a.reshape(-1), **size)[0]


def _where_of_size(condition, *operands, **size):
    return np.where(condition, *operands) if operands else _nonzero_of_size(condition, **size)


def _padded(a, widths, mode="constant", values=0, **options):
    if mode == "constant":
        options["constant_values"] = values
    out = np.pad(a, widths, "constant" if mode == "empty" else mode, **options)
    return out


def _fill_diagonal(a, values, wrap=False):
    out = a.copy()
    if out.size:
        np.fill_diagonal(out, values, wrap)
    return out


def _gather_mm(a, b, lhs_indices=None, rhs_indices=None):
    def stack(x, at):
        flat = x.reshape(-1, *x.shape[-2:])
        return x if at is None else flat[at]

    if lhs_indices is None and rhs_indices is None:
        return a @ b
    return stack(a, lhs_indices) @ stack(b, rhs_indices)


def _segmented_mm(a, b, segments):
    parts = segments.reshape(-1, 2)
    made = [a[:, i:j] @ b[i:j] for i, j in parts]
    return np.stack(made).reshape(*segments.shape[:-1], a.shape[0], b.shape[1])


def _block_masked_mm(a, b, block=64, out=None, lhs=None, rhs=None):
    def masked(x, mask):
        if mask is None:
            return x
        wide = np.repeat(np.repeat(mask, block, -1), block, -2)[..., : x.shape[-2], : x.shape[-1]]
        return (x * wide).astype(x.dtype)

    return masked(masked(a, lhs) @ masked(b, rhs), out)


def _hadamard_product(a, scale=None):
    n = a.shape[-1]
    x = a * (1 / np.sqrt(n) if scale is None else scale)
    apart = 1
    while apart < n:
        pairs = x.reshape(-1, 2, apart)
        x = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1)
        apart *= 2
    return x.reshape(a.shape)


def _class_entropy(logits, targets):
    x = logits * 1.0
    own = np.take_along_axis(x, targets[..., None].astype(int), -1)[..., 0]
    return np.log(np.exp(x).sum(-1)) - own


def _search_rows(ordered, values, side="left"):
    if ordered.ndim == 1:
        return np.searchsorted(ordered, values, side)
    return np.stack([np.searchsorted(s, v, side) for s, v in zip(ordered, values)])

def _counts_of_length(x, weights=None, minlength=0, length=0):
    n = max(length, minlength)
    kept = (x >= 0) & (x < n)
    w = None if weights is None else weights[kept]
    if w is not None and w.dtype.kind == "c":
        return np.bincount(x[kept], w.real, n) + 1j * np.bincount(x[kept], w.imag, n)
    return np.bincount(x[kept], w, n)


def _bin_edges(a, bins=10, range=None):
    return np.histogram_bin_edges(a.astype("float64") if a.dtype == bool else a, bins, range)


def _interpolated(x, xp, fp, *rest, **options):
    return np.interp(x, xp, fp * 1.0, *rest, **options)


def _histogram(a, *rest):
    return np.histogram(a.astype(np.int32) if a.dtype == bool else a, *rest)


def _unwrapped(p, *rest, **options):
    p = p.astype(np.int64) if p.dtype.kind == "u" else p  # NumPy's differences would wrap
    return np.unwrap(p, *rest, **options)


def _fitted(x, y, degree, w=None):
    return np.polyfit(x, y, degree, w=w)


def _covariance(m, *rest):
    return np.cov(m * 1.0, *rest)


def _correlation(m, y=None, rowvar=True):
    """Of what is beyond the first observation: equal ones vary by nothing, not by their mean's
    rounding, which NumPy divides by itself."""

    def beyond_first(v):
        v = np.asarray(v) * 1.0
        return v - v.take([0], -1 if rowvar or v.ndim < 2 else 0) if v.size else v

    return np.corrcoef(beyond_first(m), None if y is None else beyond_first(y), rowvar)


def _svd(a, compute_uv=True, full_matrices=True):
    return np.linalg.svd(a, full_matrices, compute_uv)


def _cholesky_inv(a, upper=False):
    low = np.conj(np.swapaxes(np.triu(a), -1, -2)) if upper else np.tril(a)
    return np.linalg.inv(low @ np.conj(np.swapaxes(low, -1, -2)))


def _lstsq(a, b, rcond=None):
    return list(np.linalg.lstsq(a, b, rcond))


# ---- vectors that are defined up to their signs or phases


def _definite_svd(results):
    if not isinstance(results, (list, tuple)) or len(results) == 1:
        return results
    u, s, vh = results
    return [abs(u), s, abs(vh), (u * s[..., None, :]) @ vh]


def _definite_eigh(results):
    w, v = results
    return [w, abs(v), (v * w[..., None, :]) @ v.conj().swapaxes(-1, -2)]


def _definite_eig(results):
    w, v = results
    return [w * 1.0, abs(v)]


DEFINITE = {
    "linalg.svd": _definite_svd,
    "linalg.eigh": _definite_eigh,
    "linalg.eig": _definite_eig,
}

# ---- loops over the table ------------------------------------------------------------------------

ROWS = [Row(r) for r in _core._table()]
TESTED = [r for r in ROWS if r.cases]
CASES = [(r, c) for r in TESTED for c in r.cases]
LARGE = [(r, c) for r in TESTED for c in r.large]  # past every limit


COMPLEX_UNARY = [r for r in ROWS if r.operands == 1 and "complex64" in r.types]


def complex_ends(dtype):
    """Every pair of parts among zeros, usual, tiny and huge numbers, infinities and nan."""
    tiny, huge = (1e-30, 1e30) if dtype == "complex64" else (1e-300, 1e300)
    parts = [0.0, 1.0, 2.5, tiny, huge, np.inf, -0.0, -1.0, -2.5, -tiny, -huge, -np.inf, np.nan]
    return np.array([complex(re, im) for re in parts for im in parts], dtype)


def ids(entry):
    return repr(entry[0]) + "(" + entry[1] + ")"


def arrays_in(tree):
    """The arrays of nested lists and tuples, in order."""
    if isinstance(tree, mx.array):
        return [tree]
    if isinstance(tree, (list, tuple)):
        return [a for part in tree for a in arrays_in(part)]
    return []


def replaced(tree, values):
    """The tree with its arrays taken from the iterator."""
    if isinstance(tree, mx.array):
        return next(values)
    if isinstance(tree, (list, tuple)):
        return type(tree)(replaced(part, values) for part in tree)
    return tree


def flat_call(row, args, kwargs):
    """The function over its array arguments only, returning a list of arrays."""

    def call(*arrays):
        out = row.function(*replaced(args, iter(arrays)), **kwargs)
        return list(out) if isinstance(out, (list, tuple)) else [out]

    return call


def to_numpy(a):
    return np.array(a.astype(mx.float32)) if a.dtype == mx.bfloat16 else np.array(a)


def wide(a):
    """As NumPy in float64 or complex128; integers and bool as they are."""
    if isinstance(a, mx.array):
        v = to_numpy(a)
        return (
            v.astype(np.complex128 if v.dtype.kind == "c" else np.float64)
            if v.dtype.kind in "fc"
            else v
        )
    if isinstance(a, (list, tuple)):
        return type(a)(wide(p) for p in a)
    return a


def bits(a):
    """dtype, shape and a hash of the elements; every nan is the same."""
    v = np.array(a.view(mx.uint16)) if a.dtype == mx.bfloat16 else np.array(a)
    if a.dtype == mx.bfloat16:
        v[(v & 0x7FFF) > 0x7F80] = 0x7FC0
    elif v.dtype.kind == "c":
        v.real[np.isnan(v.real)] = np.nan
        v.imag[np.isnan(v.imag)] = np.nan
    elif v.dtype.kind == "f":
        v[np.isnan(v)] = np.nan
    return [a.dtype.name, list(a.shape), hashlib.blake2b(v.tobytes(), digest_size=8).hexdigest()]


def limits_of(dtype):
    """Epsilon and the largest number of a floating dtype by name."""
    if dtype == "bfloat16":
        return 2.0**-7, 3.38e38
    kind = {"float16": np.float16, "float32": np.float32, "complex64": np.float32}.get(
        dtype, np.float64
    )
    return float(np.finfo(kind).eps), float(np.finfo(kind).max)


def slack(dtype, wanted, inputs):
    """How far results that `inputs` are folded into may lie from exact ones: a few roundings of
    each, by chance."""
    sizes = (
        [1] + [n for v in inputs for n in v.shape] + [v.size // max(wanted.size, 1) for v in inputs]
    )
    many = float(max(sizes)) ** 0.5
    largest = max(
        [0.0] + [float(np.abs(v).max()) for v in inputs if v.size and v.dtype.kind != "b"]
    )
    return (
        limits_of(dtype)[0] * 16 * many * (np.abs(wanted) + max(largest, 0.1) * max(largest, 1.0))
    )


def as_float64(tree):
    """Integer and bool arrays as float64: what is computed from them is a float."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(as_float64(part) for part in tree)
    return (
        tree.astype(np.float64) if isinstance(tree, np.ndarray) and tree.dtype != np.int32 else tree
    )
