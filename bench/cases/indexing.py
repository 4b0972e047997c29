"""Gathers, scatters, slices and what moves elements."""

from cases import F, I, Input, formula

MILLION = 10**6
room = "indexing"

formula(
    room,
    "take of 1e6 from 1e6 float32",
    lambda m, x, i: m.take(x, i),
    F(MILLION),
    I(MILLION, MILLION),
)
formula(
    room,
    "rows of an embedding, 65536 of 10000 x 128 float32",
    lambda m, x, i: x[i],
    F(10000, 128),
    I(10000, 65536),
)
formula(
    room,
    "columns by index, 1024 x 1024 of 1024 x 4096 float32",
    lambda m, x, i: m.take(x, i, axis=1),
    F(1024, 4096),
    I(4096, 1024),
)
formula(
    room,
    "elements by two indices, 1e6 of 1000 x 1000 float32",
    lambda m, x, i, j: x[i, j],
    F(1000, 1000),
    I(1000, MILLION),
    I(1000, MILLION),
)
for axis, label, rows in ((1, "rows", 4096), (0, "columns", 1024)):
    formula(
        room,
        f"take_along_axis of {label}, 1024 x 4096 float32",
        lambda m, x, i, axis=axis: m.take_along_axis(x, i, axis=axis),
        F(1024, 4096),
        I(rows, 1024, 4096),
    )


def window(m, x, v):
    edge = (x.shape[0] - v.shape[0]) // 2
    return m.api.set_functional(
        x, (slice(edge, edge + v.shape[0]), slice(edge, edge + v.shape[1])), v
    )


formula(
    room,
    "a window written, functional, 1024 of 2048 squared float32",
    window,
    F(2048, 2048),
    F(1024, 1024),
)


def first_rows(m, x, v):
    return m.api.set_functional(x, slice(0, v.shape[0]), v)


def every_other(m, x, v):
    return m.api.set_functional(x, (slice(None), slice(0, 2 * v.shape[1], 2)), v)


formula(
    room,
    "rows written, functional, 1024 of 4096 x 1024 float32",
    first_rows,
    F(4096, 1024),
    F(1024, 1024),
)
formula(
    room, "one row written, functional, 1024 x 1024 float32", first_rows, F(1024, 1024), F(1, 1024)
)
formula(
    room,
    "every other column written, functional, 1024 x 1024 float32",
    every_other,
    F(1024, 1024),
    F(1024, 256),
)
formula(
    room,
    "scatter-add of 1e6 into 1e5 float32",
    lambda m, x, i, v: m.api.scatter_add(x, i, v),
    F(10**5),
    I(10**5, MILLION),
    F(MILLION),
)
formula(
    room,
    "scatter-add of rows, 65536 into 10000 x 128 float32",
    lambda m, x, i, v: m.api.scatter_add(x, i, v),
    F(10000, 128),
    I(10000, 65536),
    F(65536, 128),
    tolerance=1e-3,
)
formula(
    room,
    "scatter-add of rows, 100000 into 1000 x 16 float32",
    lambda m, x, i, v: m.api.scatter_add(x, i, v),
    F(1000, 16),
    I(1000, 100_000),
    F(100_000, 16),
    tolerance=1e-3,
)
formula(
    room,
    "largest by index, 1e6 into 1000 float32",
    lambda m, x, i, v: m.api.scatter_max(x, i, v),
    F(1000),
    I(1000, MILLION),
    F(MILLION),
)
formula(
    room,
    "elements written by index, 1e4 into 1e6 float32",
    lambda m, x, i: m.api.scatter_set(x, i, 2.0),
    F(MILLION),
    I(MILLION, 10**4),
)
formula(
    room,
    "slice with steps, 1024 x 4096 float32",
    lambda m, x: m.api.contiguous(x[::2, 1::2]),
    F(1024, 4096),
)
formula(
    room,
    "concatenate rows, 2 of 1024 x 2048 float32",
    lambda m, x, y: m.concatenate([x, y], axis=0),
    F(1024, 2048),
    F(1024, 2048),
)
formula(
    room,
    "concatenate columns, 2 of 1024 x 2048 float32",
    lambda m, x, y: m.concatenate([x, y], axis=1),
    F(1024, 2048),
    F(1024, 2048),
)
formula(
    room,
    "stack of 4, last axis, 1e6 float32",
    lambda m, a, b, c, d: m.stack([a, b, c, d], axis=-1),
    *[F(MILLION)] * 4,
)
formula(
    room,
    "transpose (2, 0, 1) of 64 x 256 x 256 float32",
    lambda m, x: m.api.contiguous(m.transpose(x, (2, 0, 1))),
    F(64, 256, 256),
)
formula(
    room,
    "transpose (0, 2, 1, 3) of 8 x 256 x 8 x 64 float32",
    lambda m, x: m.api.contiguous(m.transpose(x, (0, 2, 1, 3))),
    F(8, 256, 8, 64),
)
# Axes of a few elements.
formula(
    room,
    "short axis, pixels from planes, 32 x 3 x 1024 float32",
    lambda m, x, y: m.transpose(x, (0, 2, 1)) + y,
    F(32, 3, 1024),
    F(32, 1024, 3),
)
formula(
    room,
    "short axis, reversed, 3 x 300 x 100 x 5 float32",
    lambda m, x: m.api.contiguous(m.flip(x, (3,))),
    F(3, 300, 100, 5),
)
formula(
    room,
    "short axis, 2 of 4 columns by index, 100000 x 4 float32",
    lambda m, x, i: m.take(x, i, axis=1),
    F(100_000, 4),
    I(4, 2),
)
formula(
    room,
    "short axis, columns put before and behind, 100000 x 2 float32",
    lambda m, x: m.pad(x, ((0, 0), (1, 2))),
    F(100_000, 2),
)
formula(
    room,
    "short rows side by side, 3 of 32000 x 33 float32",
    lambda m, x, y, z: m.concatenate([x, y, z], axis=1),
    *[F(32_000, 33)] * 3,
)
formula(
    room,
    "reversed columns, 1024 x 4096 float32",
    lambda m, x: m.api.contiguous(m.flip(x, (1,))),
    F(1024, 4096),
)
formula(room, "roll of columns, 1024 x 4096 float32", lambda m, x: m.roll(x, 5, 1), F(1024, 4096))
formula(
    room,
    "where by a mask and a number, 1024 x 4096 float32",
    lambda m, c, x: m.where(c, x, 0.0),
    Input("bool", 1024, 4096),
    F(1024, 4096),
)


def elements_at_mask(m, x):
    return x[x > 0.2]  # the mask is made, too


formula(
    room,
    "elements at a mask over two axes, 1024 x 1024 float32",
    elements_at_mask,
    F(1024, 1024),
    without=("jax",),
)
formula(
    room,
    "places of a mask, 1024 x 1024 float32",
    lambda m, x: m.argwhere(x > 0.2),
    F(1024, 1024),
    without=("jax",),
)
for count in (64, 1024):
    label = f"a sum of {count} numbers, evaluated"
    formula("dispatch", label, lambda m, x, y: x + y, F(count), F(count))

formula(
    room,
    "a middle axis by index, 500 of 64 x 1000 x 16 float32",
    lambda m, x, i: m.take(x, i, axis=1),
    F(64, 1000, 16),
    I(1000, 500),
)
for size, label in ((100, "100"), (MILLION, "1e6")):
    formula(room, f"bincount of {label}, 10 numbers", lambda m, i: m.bincount(i), I(10, size))
    formula(
        room,
        f"bincount of {label} with weights, 100 numbers float32",
        lambda m, i, w: m.bincount(i, w),
        I(100, size),
        F(size),
        tolerance=1e-2,
    )
for size, label in ((100, "100"), (MILLION, "1e6")):
    formula(
        room,
        f"interp of {label} among 11 float32",
        lambda m, x, y: m.interp(x, m.linspace(-0.9, 0.9, 11), y),
        F(size),
        F(11),
        tolerance=1e-4,
    )


def turned_pairs(m, x, c, s):
    even, odd = x[..., ::2], x[..., 1::2]
    return m.stack([even * c - odd * s, even * s + odd * c], -1).reshape(x.shape)


def turned_halves(m, x, c, s):
    half = x.shape[-1] // 2
    other = m.concatenate([-x[..., half:], x[..., :half]], -1)
    return x * c + other * s


for name, f, width in (("pairs", turned_pairs, 32), ("halves", turned_halves, 64)):
    formula(
        room,
        f"{name} turned by angles, 8 x 128 x 8 x 64 float32",
        f,
        F(8, 128, 8, 64),
        F(128, 1, width),
        F(128, 1, width),
        compiled=True,
    )
