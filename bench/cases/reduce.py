"""Reductions: whole, along rows, along columns, of views and of expressions."""

from cases import D, F, Input, formula

BIG = (4096, 4096)
MIDDLE = (1024, 4096)

for axis, label in ((None, "all"), (1, "rows"), (0, "columns")):
    formula(
        "reduce",
        f"sum of {label}, 4096 x 4096 float32",
        lambda m, x, axis=axis: m.sum(x, axis=axis),
        F(*BIG),
    )
    formula(
        "reduce",
        f"max of {label}, 4096 x 4096 float32",
        lambda m, x, axis=axis: m.max(x, axis=axis),
        F(*BIG),
    )
    formula(
        "reduce",
        f"var of {label}, 1024 x 4096 float32",
        lambda m, x, axis=axis: m.var(x, axis=axis),
        F(*MIDDLE),
    )
    formula(
        "reduce",
        f"sum of {label}, 1024 x 4096 bfloat16",
        lambda m, x, axis=axis: m.sum(x, axis=axis),
        Input("bfloat16", *MIDDLE),
        tolerance=0.5,
    )
for dtype in ("float64", "int32", "float16", "complex64"):
    formula(
        "reduce",
        f"sum of rows, 1024 x 4096 {dtype}",
        lambda m, x: m.sum(x, axis=1),
        Input(dtype, *MIDDLE, low=-8, high=8),
        tolerance=0.1,
    )
formula(
    "reduce",
    "sum of the middle axis, 64 x 256 x 256 float32",
    lambda m, x: m.sum(x, axis=1),
    F(64, 256, 256),
)
formula("reduce", "sum of rows of 8, 1e6 x 8 float32", lambda m, x: m.sum(x, axis=1), F(10**6, 8))
for dtype in ("uint8", "bool", "int16", "complex64"):
    name = "any" if dtype == "bool" else "sum" if dtype == "complex64" else "max"
    formula(
        "reduce",
        f"{name} of rows of 24, 32768 x 24 {dtype}",
        lambda m, x, name=name: getattr(m, name)(x, axis=1),
        Input(dtype, 32768, 24, low=0, high=2 if dtype == "bool" else 8),
    )
formula("reduce", "mean of rows, 1024 x 4096 float32", lambda m, x: m.mean(x, axis=1), F(*MIDDLE))
formula("reduce", "std of rows, 1024 x 4096 float32", lambda m, x: m.std(x, axis=1), F(*MIDDLE))


def distances(m, x, y):
    d = m.abs(x - y)
    return d / m.sum(d, axis=1).reshape((-1, 1))


formula(
    "reduce",
    "distances of 4096 numbers by their sums, float32",
    distances,
    F(4096, 1),
    F(1, 4096),
    tolerance=1e-4,
)
formula("reduce", "var of 1e7 float32", lambda m, x: m.var(x), F(10**7))
formula(
    "reduce",
    "prod of rows, 1024 x 4096 float32",
    lambda m, x: m.prod(x, axis=1),
    F(*MIDDLE, low=0.999, high=1.001),
)
formula(
    "reduce",
    "logsumexp of rows, 1024 x 4096 float32",
    lambda m, x: m.logsumexp(x, axis=1),
    F(*MIDDLE),
)
formula(
    "reduce", "argmax of rows, 1024 x 4096 float32", lambda m, x: m.argmax(x, axis=1), F(*MIDDLE)
)
formula(
    "reduce", "argmax of columns, 1024 x 4096 float32", lambda m, x: m.argmax(x, axis=0), F(*MIDDLE)
)
formula(
    "reduce",
    "argmax of rows of 10, 65536 x 10 float32",
    lambda m, x: m.argmax(x, axis=1),
    F(65536, 10),
)
formula("reduce", "argmax of 1e7 float32", lambda m, x: m.argmax(x), F(10**7))
formula(
    "reduce", "any of rows, 1024 x 4096 bool", lambda m, x: m.any(x, axis=1), Input("bool", *MIDDLE)
)
formula("reduce", "sum of x * y, 1e7 float32", lambda m, x, y: m.sum(x * y), F(10**7), F(10**7))
formula(
    "reduce",
    "sum of squared differences of rows, 1024 x 4096 float32",
    lambda m, x, y: m.sum((x - y) * (x - y), axis=1),
    F(*MIDDLE),
    F(*MIDDLE),
)
formula(
    "reduce",
    "sum of rows of a transposed view, 2048 x 2048 float32",
    lambda m, x: m.sum(x.T, axis=1),
    F(2048, 2048),
)
for few in (8, 33):
    formula(
        "reduce",
        f"sum of columns of {few} rows, {few} x 12000 float32",
        lambda m, x: m.sum(x, axis=0),
        F(few, 12_000),
    )
formula(
    "reduce",
    "sum over an axis of one, 3 x 1 x 200000 float32",
    lambda m, x: m.sum(x, axis=1),
    F(3, 1, 200_000),
)
formula(
    "reduce",
    "sum of every other column, 1024 x 4096 float32",
    lambda m, x: m.sum(x[:, ::2], axis=1),
    F(*MIDDLE),
)
formula(
    "reduce",
    "mean and var of rows together, 1024 x 4096 float32",
    lambda m, x: (m.mean(x, axis=1), m.var(x, axis=1)),
    F(*MIDDLE),
)
formula("reduce", "sum of 1e4 float32", lambda m, x: m.sum(x), F(10**4))
formula("reduce", "sum of 1e6 float64", lambda m, x: m.sum(x), D(10**6))
for length in (33, 100):
    formula(
        "reduce",
        f"max of rows of {length}, 40000 x {length} float32",
        lambda m, x: m.max(x, axis=1),
        F(40_000, length),
    )
for length in (3, 64):
    formula(
        "reduce",
        f"squared distances of pairs, 500 x 500 x {length} float32",
        lambda m, x, y: m.sum((x.reshape((-1, 1, x.shape[1])) - y) ** 2, axis=-1),
        F(500, length),
        F(500, length),
    )
formula(
    "reduce",
    "distances of pairs along axes, 500 x 500 x 64 float32",
    lambda m, x, y: m.sum(m.abs(x.reshape((-1, 1, x.shape[1])) - y), axis=-1),
    F(500, 64),
    F(500, 64),
)
formula(
    "reduce",
    "largest product of pairs, 300 x 300 x 64 float32",
    lambda m, x, y: m.max(x.reshape((-1, 1, x.shape[1])) * y, axis=-1),
    F(300, 64),
    F(300, 64),
)

for side in (10, 1000):
    formula("reduce", f"trace, {side} x {side} float32", lambda m, x: m.trace(x), F(side, side))

for rows, length in ((80_000, 3), (24_000, 10), (10_000, 24)):
    formula(
        "reduce",
        f"argmax of rows of {length}, {rows} x {length} float32",
        lambda m, x: m.argmax(x, axis=1),
        F(rows, length),
    )
    for name in ("logsumexp", "softmax", "var"):
        formula(
            "reduce",
            f"{name} of rows of {length}, {rows} x {length} float32",
            lambda m, x, name=name: getattr(m, name)(x, axis=1),
            F(rows, length),
        )
for shape in ((20_000, 5, 2), (5_000, 5, 7)):
    for name in ("max", "sum"):
        formula(
            "reduce",
            f"{name} of small planes, {' x '.join(map(str, shape))} float32",
            lambda m, x, name=name: getattr(m, name)(x, axis=1),
            F(*shape),
        )
for length in (5, 15):  # odd: PyTorch gives the lower of two in the middle
    formula(
        "reduce",
        f"median of rows of {length}, 30000 x {length} float32",
        lambda m, x: m.median(x, axis=1),
        F(30_000, length),
    )
formula(
    "reduce",
    "max of rows of 24, 33333 x 24 float32",
    lambda m, x: m.max(x, axis=1),
    F(33_333, 24),
)
formula(
    "reduce",
    "max of rows of 40, 20000 x 40 uint8",
    lambda m, x: m.max(x, axis=1),
    Input("uint8", 20_000, 40, low=0, high=8),
)
for shape in ((100_000, 3), (1000, 10)):
    formula(
        "reduce",
        f"std of columns, {shape[0]} x {shape[1]} float32",
        lambda m, x: m.std(x, axis=0),
        F(*shape),
    )
