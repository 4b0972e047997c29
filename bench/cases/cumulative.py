"""Scans: of one long vector, along rows, along columns."""

from cases import F, Input, formula

MIDDLE = (1024, 4096)
LONG = (10**7,)


def scan(name, label, shape, axis, tolerance=1e-4):
    low, high = (0.999, 1.001) if name == "cumprod" else (-1.0, 1.0)
    formula(
        "cumulative",
        f"{name} {label} float32",
        lambda m, x: getattr(m, name)(x, axis=axis),
        F(*shape, low=low, high=high),
        tolerance=tolerance,
    )


for label, shape, axis in (
    ("of 1e7", LONG, 0),
    ("of rows, 1024 x 4096", MIDDLE, 1),
    ("of columns, 1024 x 4096", MIDDLE, 0),
):
    scan("cumsum", label, shape, axis, 1e-2)
    scan("cumprod", label, shape, axis, 1e-2)
    scan("cummax", label, shape, axis)
    scan("logcumsumexp", label, shape, axis)
scan("cumsum", "of rows of 8, 1e6 x 8", (10**6, 8), 1)
for length in (3, 24):
    scan("cumsum", f"of rows of {length}, 200000 / {length} x {length}", (200_000 // length, length), 1)
scan("cumsum", "of columns, 1e6 x 3", (10**6, 3), 0, 1e-2)
formula(
    "cumulative",
    "cumsum of rows of 5, 40000 x 5 int16",
    lambda m, x: m.cumsum(x, axis=1),
    Input("int16", 40_000, 5, low=-8, high=8),
)
for dtype in ("float64", "int32", "bfloat16"):
    formula(
        "cumulative",
        f"cumsum of rows, 1024 x 4096 {dtype}",
        lambda m, x: m.cumsum(x, axis=1),
        Input(dtype, *MIDDLE, low=-8, high=8),
        tolerance=0.5,
    )
