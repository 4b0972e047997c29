"""The frameworks as one interface. Cases are written against `m`, a namespace under NumPy's names
(`Api.lib`), and against the few things here that NumPy has no name for.

What a framework lacks raises in the case, and is a gap in the table.
"""

import copy
import math

import numpy as np

INEXACT = {"float16", "bfloat16", "float32", "float64", "complex64", "complex128"}


class Missing(Exception):
    """A framework has no such thing: a gap, not a failure."""


def rounded(values, dtype):
    """float64 values as the nearest of `dtype`, still in float64 (or complex128)."""
    if dtype == "bfloat16":
        bits = values.astype(np.float32).view(np.uint32)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        return bits.view(np.float32).astype(np.float64)
    return values.astype(dtype).astype(np.result_type(values, np.float64))


def batch_norm(m, x, w, b, mean, var, training):
    """Of the last axis: by the statistics of the batch, or those that are given."""
    if training:
        axes = tuple(range(x.ndim - 1))
        mean = m.mean(x, axis=axes)
        var = m.mean(m.square(x - mean), axis=axes)
    return (x - mean) * m.rsqrt(var + 1e-5) * w + b


class Api:
    """What frameworks share. `small` shrinks every size for a check of values alone."""

    compiles = False  # has a compile of its own
    lazy = False  # records: eval is something to time
    exact = False  # holds everything in float64
    borrowed = ()  # rooms in which it would be another framework

    def __init__(self, small=False):
        self.small = small

    def n(self, size):
        """The size of an axis, small where only values are checked."""
        return math.isqrt(size) if self.small and size > 64 else size

    def count(self, rounds):
        """How often something is done, seldom where only values are checked."""
        return min(rounds, 3) if self.small else rounds

    # -- values: the same in all frameworks, exact in their dtype

    def values(self, dtype, shape, low=-1.0, high=1.0, seed=0):
        rng = np.random.default_rng([seed, *shape])
        if dtype == "bool":
            return rng.random(shape) < 0.5
        if dtype in INEXACT:
            v = rng.uniform(low, high, shape)
            if dtype.startswith("complex"):
                v = v + 1j * rng.uniform(low, high, shape)
            return rounded(v, dtype)
        return rng.integers(int(low), max(int(high), int(low) + 1), shape).astype(dtype)

    def data(self, dtype, *shape, low=-1.0, high=1.0, seed=0):
        shape = tuple(self.n(s) for s in shape)
        return self.array(self.values(dtype, shape, low, high, seed), dtype)

    def indices(self, high, *shape, seed=1):
        shape = tuple(self.n(s) for s in shape)
        return self.array(self.values("int32", shape, 0, self.n(high), seed), "int32")

    def packed(self, values, dtype, group, bits):
        """A matrix that codes of a few bits hold exactly: dense where there is nothing for that."""
        return (self.array(values, dtype),)

    def packed_product(self, x, packed, group, bits):
        return x @ packed[0].T

    def sparse(self, values, dtype):
        """A matrix of few numbers that are not zero: dense where there is nothing for that."""
        return self.array(values, dtype)

    def int8_product(self, a, b):
        """Of whole numbers: as floats where there is nothing for them."""
        return self.cast(a, "float32") @ self.cast(b, "float32").T

    def int8_conv2d(self, x, w, stride, padding):
        return self.conv2d(self.cast(x, "float32"), self.cast(w, "float32"), stride, padding)

    def int8_layer(self, kind, weight):
        """A layer of these weights, "conv" or "linear", that multiplies int8; of floats where there
        is none."""
        if kind == "conv":
            return lambda x: self.conv2d(x, weight, 1, 1)
        return lambda x: x @ weight.T

    # -- running

    def run(self, f, *args):
        """A thunk that computes f(*args) as a user of the framework would for one function."""
        return lambda: self.wait(f(*args))

    def compiled(self, f, *args):
        """The same of a whole program, which the framework may compile."""
        return self.run(f, *args)

    def wait(self, out):
        return out

    def update(self, x, key, value):
        """x with x[key] = value, as a new array; x may be changed if the caller made it."""
        x[key] = value
        return x

    def versions(self):
        return self.lib.__version__


class Namespace:
    """A module whose functions stand under NumPy's names: `names` are those spelt otherwise."""

    def __init__(self, *modules, **names):
        self._modules = modules
        self.__dict__.update(names)

    def __getattr__(self, name):
        for module in self._modules:
            found = getattr(module, name, None)
            if found is not None:
                return found
        raise Missing(name)


class Numpy(Api):
    def __init__(self, small=False):
        super().__init__(small)
        try:
            import scipy.special as special

            modules, more = (np, special), {"lgamma": special.gammaln}
        except ImportError:
            modules, more = (np,), {}
        self.lib = Namespace(
            *modules,
            sigmoid=lambda x: 1 / (1 + np.exp(-x)),
            rsqrt=lambda x: 1 / np.sqrt(x),
            softmax=self._softmax,
            relu=lambda x: np.maximum(x, 0),
            put_along_axis=self._put_along_axis,
            fill_diagonal=self._fill_diagonal,
            cummax=lambda x, axis: np.maximum.accumulate(x, axis),
            logcumsumexp=lambda x, axis: np.logaddexp.accumulate(x, axis),
            **more,
        )

    @staticmethod
    def _softmax(x, axis=-1):
        e = np.exp(x - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    @staticmethod
    def _put_along_axis(x, i, v, axis):
        x = x.copy()
        np.put_along_axis(x, i, np.broadcast_to(v, i.shape), axis)
        return x

    @staticmethod
    def _fill_diagonal(x, v):
        x = x.copy()
        np.fill_diagonal(x, v)
        return x

    def dtype(self, name):
        if name == "bfloat16":
            raise Missing(name)
        return np.dtype(name)

    def sparse(self, values, dtype):
        """SciPy's, where it is there."""
        try:
            from scipy.sparse import csr_array
        except ImportError:
            return super().sparse(values, dtype)
        return csr_array(self.array(values, dtype))

    def array(self, values, dtype):
        return np.ascontiguousarray(values, dtype=self.dtype(dtype))

    def to_numpy(self, x):
        return np.asarray(x)

    def scatter_add(self, x, i, v):
        x = x.copy()
        np.add.at(x, i, v)
        return x

    def scatter_max(self, x, i, v):
        x = x.copy()
        np.maximum.at(x, i, v)
        return x

    def scatter_set(self, x, i, v):
        x = x.copy()
        x[i] = v
        return x

    def set_functional(self, x, key, value):
        return self.update(x.copy(), key, value)

    def contiguous(self, x):
        return x.copy()

    def cast(self, x, dtype):
        return x.astype(self.dtype(dtype))

    def split(self, x, parts, axis):
        return np.split(x, parts, axis)

    def conv2d(self, x, w, stride=1, padding=0, groups=1):
        """Tap by tap: as the others', of channels last."""
        x = np.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
        down, across = [(n - k) // stride + 1 for n, k in zip(x.shape[1:3], w.shape[1:3])]
        out = 0
        for i in range(w.shape[1]):
            for j in range(w.shape[2]):
                seen = x[
                    :,
                    i : i + (down - 1) * stride + 1 : stride,
                    j : j + (across - 1) * stride + 1 : stride,
                ]
                seen = seen.reshape(*seen.shape[:3], groups, -1)
                tap = w[:, i, j].reshape(groups, w.shape[0] // groups, -1)
                out = out + np.einsum("nhwgc,goc->nhwgo", seen, tap, optimize=True)
        return out.reshape(*out.shape[:3], -1)

    def batch_norm(self, x, w, b, mean, var, training):
        return batch_norm(self.lib, x, w, b, mean, var, training)

    def attention(self, q, k, v, scale, causal=False):
        """softmax(scale q k^T) v; neighbouring heads of q share one of k and v."""
        group = q.shape[1] // k.shape[1]
        k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
        scores = scale * (q @ np.swapaxes(k, -1, -2))
        if causal:
            scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
        return self._softmax(scores) @ v

    def pool2d(self, kind, x, size, stride, padding):
        """As the others', of channels last; what stands around the input is never the largest."""
        fill = -np.inf if kind == "max" else 0
        wide = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
        x = np.pad(x, wide, constant_values=fill)
        down, across = [(n - size) // stride + 1 for n in x.shape[1:3]]
        seen = [
            x[
                :,
                i : i + (down - 1) * stride + 1 : stride,
                j : j + (across - 1) * stride + 1 : stride,
            ]
            for i in range(size)
            for j in range(size)
        ]
        out = seen[0]
        for more in seen[1:]:
            out = np.maximum(out, more) if kind == "max" else out + more
        return out if kind == "max" else out / (size * size)

    def upsample2d(self, x, mode):
        """Twice as large along both axes; linear: centres lie on each other."""
        for axis in (1, 2):
            x = np.repeat(x, 2, axis)
            if mode == "linear":
                first, last = np.take(x, [0], axis), np.take(x, [-1], axis)
                wide = np.concatenate([first, x, last], axis)
                before = np.take(wide, np.arange(0, wide.shape[axis] - 2), axis)
                behind = np.take(wide, np.arange(2, wide.shape[axis]), axis)
                even = np.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(4)])
                x = 0.75 * x + 0.25 * np.where(even % 2 == 0, before, behind)
        return x


class Reference(Numpy):
    """NumPy in float64 and complex128: what results are compared with."""

    exact = True

    def dtype(self, name):
        if name in INEXACT:
            return np.dtype("complex128" if name.startswith("complex") else "float64")
        return np.dtype(name)


class Mx(Api):
    """MLX's style: Lazulite and MLX."""

    compiles = lazy = True

    def __init__(self, module, small=False):
        super().__init__(small)
        self.mx = module
        self.lib = Namespace(module, relu=lambda x: module.maximum(x, 0))

    def versions(self):
        return self.mx.__version__

    def dtype(self, name):
        found = getattr(self.mx, name + "_" if name == "bool" else name, None)
        if found is None:
            raise Missing(name)
        return found

    def array(self, values, dtype):
        a = self.mx.array(np.ascontiguousarray(values), self.dtype(dtype))
        self.mx.eval(a)
        return a

    def to_numpy(self, x):
        if not isinstance(x, self.mx.array):
            return np.asarray(x)
        return np.array(x.astype(self.mx.float32) if x.dtype == self.mx.bfloat16 else x)

    def wait(self, out):
        self.mx.eval(out)
        return out

    def compiled(self, f, *args):
        g = self.mx.compile(f)
        return lambda: self.wait(g(*args))

    def jit(self, f):
        return self.mx.compile(f)

    def scatter_add(self, x, i, v):
        return x.at[i].add(v)

    def scatter_max(self, x, i, v):
        return x.at[i].maximum(v)

    def scatter_set(self, x, i, v):
        return self.update(copy.copy(x), i, v)

    def set_functional(self, x, key, value):
        return self.update(copy.copy(x), key, value)

    def contiguous(self, x):
        return self.mx.contiguous(x)

    def cast(self, x, dtype):
        return x.astype(self.dtype(dtype))

    def split(self, x, parts, axis):
        return self.mx.split(x, parts, axis)

    def conv2d(self, x, w, stride=1, padding=0, groups=1):
        return self.mx.conv2d(x, w, stride, padding, 1, groups)

    def attention(self, q, k, v, scale, causal=False):
        mask = "causal" if causal else None
        return self.mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)

    def _nn(self):
        import importlib

        return importlib.import_module(self.mx.__name__.partition(".")[0] + ".nn")

    def batch_norm(self, x, w, b, mean, var, training):
        """The framework's layer; running statistics that it follows are let go."""
        layer = self._nn().BatchNorm(w.shape[0])
        layer.weight, layer.bias, layer.running_mean, layer.running_var = w, b, mean, var
        return layer.train(training)(x)

    def pool2d(self, kind, x, size, stride, padding):
        kinds = {"max": self._nn().MaxPool2d, "avg": self._nn().AvgPool2d}
        return kinds[kind](size, stride, padding)(x)

    def upsample2d(self, x, mode):
        return self._nn().Upsample(2, mode)(x)

    def sparse(self, values, dtype):
        if not hasattr(self.mx, "sparse"):
            return super().sparse(values, dtype)
        s = self.mx.sparse.from_dense(self.array(values, dtype))
        self.mx.eval(s)
        return s

    def packed(self, values, dtype, group, bits):
        packed = self.mx.quantize(self.array(values, dtype), group, bits)
        self.mx.eval(packed)
        return packed

    def packed_product(self, x, packed, group, bits):
        return self.mx.quantized_matmul(x, *packed, group_size=group, bits=bits)

    def int8_product(self, a, b):
        if hasattr(self.mx, "int8_matmul"):
            return self.mx.int8_matmul(a, b.T)
        return super().int8_product(a, b)

    def int8_conv2d(self, x, w, stride, padding):
        if hasattr(self.mx, "int8_conv"):
            return self.mx.int8_conv(x, w, stride=stride, padding=padding)
        return super().int8_conv2d(x, w, stride, padding)

    def int8_layer(self, kind, weight):
        nn = self._nn()
        if not hasattr(nn, "quantization"):
            return super().int8_layer(kind, weight)
        if kind == "conv":
            layer = nn.Conv2d(weight.shape[-1], weight.shape[0], 3, padding=1, bias=False)
        else:
            layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight = weight
        layer = self.mx.quantize(layer, {"method": "dynamic"})
        self.mx.eval(layer.parameters())
        return layer

    def value_and_grad(self, f):
        return self.mx.value_and_grad(f)

    def scan(self, step, carry, xs):
        if hasattr(self.mx, "scan"):
            return self.mx.scan(step, carry, xs)
        ys = []  # MLX has none: written out
        for k in range(xs.shape[0]):
            carry, y = step(carry, xs[k])
            ys.append(y)
        return carry, self.mx.stack(ys)


class Jax(Api):
    compiles = True

    def __init__(self, small=False):
        super().__init__(small)
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax = jax
        self.lib = Namespace(
            jax.numpy,
            jax.nn,
            jax.scipy.special,
            rsqrt=jax.lax.rsqrt,
            cummax=jax.lax.cummax,
            logcumsumexp=jax.lax.cumlogsumexp,
        )

    def versions(self):
        return self.jax.__version__

    def dtype(self, name):
        return self.jax.numpy.dtype(name)

    def array(self, values, dtype):
        return self.jax.numpy.asarray(values, self.dtype(dtype)).block_until_ready()

    def to_numpy(self, x):
        x = np.asarray(x)
        return x.astype(np.float32) if x.dtype.name == "bfloat16" else x

    def wait(self, out):
        return self.jax.block_until_ready(out)

    def jit(self, f):
        return self.jax.jit(f)

    def run(self, f, *args):
        g = self.jax.jit(f)
        return lambda: self.wait(g(*args))

    compiled = run

    def update(self, x, key, value):
        return x.at[key].set(value)

    scatter_set = set_functional = update

    def scatter_add(self, x, i, v):
        return x.at[i].add(v)

    def scatter_max(self, x, i, v):
        return x.at[i].max(v)

    def contiguous(self, x):
        return x.copy()

    def cast(self, x, dtype):
        return x.astype(self.dtype(dtype))

    def split(self, x, parts, axis):
        return self.lib.split(x, parts, axis)

    def conv2d(self, x, w, stride=1, padding=0, groups=1):
        return self.jax.lax.conv_general_dilated(
            x,
            w,
            (stride, stride),
            [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "OHWI", "NHWC"),
            feature_group_count=groups,
        )

    def batch_norm(self, x, w, b, mean, var, training):
        return batch_norm(self.lib, x, w, b, mean, var, training)

    def attention(self, q, k, v, scale, causal=False):
        q, k, v = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
        out = self.jax.nn.dot_product_attention(q, k, v, scale=scale, is_causal=causal)
        return out.transpose(0, 2, 1, 3)

    def pool2d(self, kind, x, size, stride, padding):
        lax = self.jax.lax
        begin, join = (-float("inf"), lax.max) if kind == "max" else (0.0, lax.add)
        wide = ((0, 0), (padding, padding), (padding, padding), (0, 0))
        out = lax.reduce_window(x, begin, join, (1, size, size, 1), (1, stride, stride, 1), wide)
        return out if kind == "max" else out / (size * size)

    def upsample2d(self, x, mode):
        b, h, w, c = x.shape
        return self.jax.image.resize(x, (b, 2 * h, 2 * w, c), mode)

    def value_and_grad(self, f):
        return self.jax.value_and_grad(f)

    def scan(self, step, carry, xs):
        return self.jax.lax.scan(step, carry, xs)


class Torch(Api):
    def __init__(self, small=False):
        super().__init__(small)
        import torch

        self.torch = torch
        torch.set_grad_enabled(False)
        self.lib = Namespace(
            torch,
            torch.special,
            power=torch.pow,
            equal=torch.eq,
            left_shift=torch.bitwise_left_shift,
            right_shift=torch.bitwise_right_shift,
            invert=torch.bitwise_not,
            max=self._extreme(torch.max, torch.amax),
            median=lambda x, axis: torch.median(x, axis).values,
            min=self._extreme(torch.min, torch.amin),
            var=lambda x, axis=None: torch.var(x, dim=axis, correction=0),
            std=lambda x, axis=None: torch.std(x, dim=axis, correction=0),
            transpose=lambda x, axes=None: x.permute(axes or tuple(range(x.ndim))[::-1]),
            softmax=lambda x, axis=-1: torch.softmax(x, axis),
            take=lambda x, i, axis=None: (
                torch.take(x, i.long()) if axis is None else x.index_select(axis, i)
            ),
            take_along_axis=lambda x, i, axis: torch.take_along_dim(x, i.long(), axis),
            maximum=self._with_numbers(torch.maximum),
            minimum=self._with_numbers(torch.minimum),
            cummax=lambda x, axis: torch.cummax(x, axis)[0],
            logcumsumexp=lambda x, axis: torch.logcumsumexp(x, axis),
        )

    def _extreme(self, whole, along):
        return lambda x, axis=None, **kw: whole(x) if axis is None else along(x, axis, **kw)

    def _with_numbers(self, f):
        def call(a, b):
            b = b if self.torch.is_tensor(b) else self.torch.tensor(b, dtype=a.dtype)
            return f(a, b)

        return call

    def versions(self):
        return self.torch.__version__

    def dtype(self, name):
        return getattr(self.torch, name)

    def sparse(self, values, dtype):
        import warnings

        with warnings.catch_warnings():  # that its sparse tensors are in beta
            warnings.simplefilter("ignore")
            return self.array(values, dtype).to_sparse_csr()

    def array(self, values, dtype):
        if dtype.startswith("uint") and dtype != "uint8":
            values = values.astype(dtype)
        return self.torch.from_numpy(np.array(values)).to(self.dtype(dtype))

    def to_numpy(self, x):
        if not self.torch.is_tensor(x):
            return np.asarray(x)
        x = x.detach()
        return (x.float() if x.dtype == self.torch.bfloat16 else x).resolve_conj().numpy()

    def jit(self, f):
        return self.torch.compile(f)

    def set_functional(self, x, key, value):
        return self.update(x.clone(), key, value)

    def scatter_add(self, x, i, v):
        return x.index_add(0, i, v)

    def scatter_max(self, x, i, v):
        return x.index_reduce(0, i, v, "amax")

    def scatter_set(self, x, i, v):
        return self.update(x.clone(), i.long(), v)

    def contiguous(self, x):
        return x.clone(memory_format=self.torch.contiguous_format)

    def cast(self, x, dtype):
        return x.to(self.dtype(dtype))

    def split(self, x, parts, axis):
        return self.torch.chunk(x, parts, axis)

    def conv2d(self, x, w, stride=1, padding=0, groups=1):
        """Channels last in memory, which its kernels take as they are."""
        x, w = x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2)
        out = self.torch.nn.functional.conv2d(x, w, None, stride, padding, 1, groups)
        return out.permute(0, 2, 3, 1)

    def batch_norm(self, x, w, b, mean, var, training):
        f, x = self.torch.nn.functional.batch_norm, x.permute(0, 3, 1, 2)
        known = (None, None) if training else (mean, var)
        return f(x, *known, w, b, training).permute(0, 2, 3, 1)

    def attention(self, q, k, v, scale, causal=False):
        return self.torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )

    def pool2d(self, kind, x, size, stride, padding):
        nn = self.torch.nn.functional
        pool = nn.max_pool2d if kind == "max" else nn.avg_pool2d
        return pool(x.permute(0, 3, 1, 2), size, stride, padding).permute(0, 2, 3, 1)

    def upsample2d(self, x, mode):
        named = {"linear": "bilinear"}.get(mode, mode)
        out = self.torch.nn.functional.interpolate(x.permute(0, 3, 1, 2), None, 2, named)
        return out.permute(0, 2, 3, 1)

    def int8_product(self, a, b):
        return self.torch._int_mm(a, b.T)

    def value_and_grad(self, f):
        """As the others': of the first argument, a list of arrays."""

        def call(params, *rest):
            with self.torch.enable_grad():
                leaves = [p.detach().requires_grad_() for p in params]
                loss = f(leaves, *rest)
            found = self.torch.autograd.grad(loss, leaves, allow_unused=True)
            unused = self.torch.zeros_like  # statistics that a batch does not ask for
            return loss.detach(), [unused(p) if g is None else g for p, g in zip(leaves, found)]

        return call

    def scan(self, step, carry, xs):
        ys = []
        for k in range(xs.shape[0]):
            carry, y = step(carry, xs[k])
            ys.append(y)
        return carry, self.torch.stack(ys)


class Symbol:
    """A node of a numexpr expression; numbers beside float32 are float32, as everywhere else."""

    def __init__(self, api, node):
        self.api, self.node = api, node

    def __getattr__(self, name):
        raise Missing(name)


def _operators():
    def plain(name):
        def call(self, other=None):
            args = () if other is None else (self.api.node(other),)
            return Symbol(self.api, getattr(self.node, name)(*args))

        return call

    names = "add radd sub rsub mul rmul truediv rtruediv pow neg lt le gt ge eq ne and or xor"
    for name in names.split():
        setattr(Symbol, f"__{name}__", plain(f"__{name}__"))
    Symbol.__hash__ = object.__hash__


_operators()


class Numexpr(Api):
    """Elementwise functions only: whatever cannot be written as one expression is missing."""

    borrowed = ("dispatch",)  # its arrays are NumPy's

    def __init__(self, small=False):
        super().__init__(small)
        import numexpr
        from numexpr import expressions

        self.numexpr, self.expressions = numexpr, expressions
        numexpr.set_num_threads(numexpr.detect_number_of_threads())
        self.single = False

        def function(f):
            return lambda *a: Symbol(self, f(*(self.node(x) for x in a)))

        operators = {
            "add": "__add__",
            "subtract": "__sub__",
            "multiply": "__mul__",
            "divide": "__truediv__",
            "power": "__pow__",
            "less": "__lt__",
            "greater": "__gt__",
            "negative": "__neg__",
        }
        names = {k: function(f) for k, f in expressions.functions.items()}
        names.update({k: getattr(Symbol, v) for k, v in operators.items()})
        names["square"] = lambda x: x * x
        names["rsqrt"] = lambda x: 1.0 / names["sqrt"](x)
        self.lib = Namespace(**names)

    def versions(self):
        return self.numexpr.__version__

    def node(self, x):
        if isinstance(x, Symbol):
            return x.node
        if isinstance(x, (int, float)) and not isinstance(x, bool):
            return self.expressions.ConstantNode(np.float32(x) if self.single else x)
        raise Missing("an array in an expression")

    def dtype(self, name):
        if name not in ("bool", "int32", "int64", "float32", "float64", "complex128"):
            raise Missing(name)
        return np.dtype(name)

    def array(self, values, dtype):
        return np.ascontiguousarray(values, dtype=self.dtype(dtype))

    def to_numpy(self, x):
        return np.asarray(x)

    def run(self, f, *args):
        kinds = {"float32": float, "float64": np.float64, "int32": np.int32, "int64": np.int64}
        kinds.update(bool=bool, complex128=complex)
        self.single = any(a.dtype == np.float32 for a in args)
        names = [f"x{i}" for i in range(len(args))]
        out = f(
            *(
                Symbol(self, self.expressions.VariableNode(n, k))
                for n, k in zip(names, (self.expressions.getKind(a.dtype.type(0)) for a in args))
            )
        )
        if not isinstance(out, Symbol):
            raise Missing("several results")
        signature = [(n, kinds[a.dtype.name]) for n, a in zip(names, args)]
        g = self.numexpr.NumExpr(out.node, signature)
        return lambda: g(*args)

    compiled = run


def framework(name, small=False):
    if name == "lazulite":
        import lazulite.core as mx

        return Mx(mx, small)
    if name == "mlx":
        import mlx.core as mx

        return Mx(mx, small)
    known = {"torch": Torch, "jax": Jax, "numpy": Numpy, "numexpr": Numexpr}
    known["reference"] = Reference
    return known[name](small)
