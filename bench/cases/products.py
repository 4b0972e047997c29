"""Products of matrices, by size, dtype and layout, and with what follows them."""

from cases import F, Input, Work, case, formula

TOLERANCE = {"float16": 2e-2, "bfloat16": 5e-2}


def product(label, dtype, m, k, n, f=None, room="products", more=()):
    formula(
        room,
        f"{label} {dtype}",
        f or (lambda lib, a, b: a @ b),
        Input(dtype, m, k),
        Input(dtype, k, n),
        *more,
        tolerance=TOLERANCE.get(dtype, 1e-3),
        flops=lambda api: 2 * api.n(m) * api.n(k) * api.n(n) * (4 if "complex" in dtype else 1),
        without=("numpy",) if dtype in TOLERANCE else (),  # of scalar loops: minutes
    )


for size in (64, 256, 1024, 2048):
    product(f"{size}^3", "float32", size, size, size)
for dtype in ("float64", "float16", "bfloat16"):
    product("256^3", dtype, 256, 256, 256)
    product("1024^3", dtype, 1024, 1024, 1024)
for dtype in ("complex64", "complex128"):
    product("512^3", dtype, 512, 512, 512)
for dtype in ("float32", "bfloat16", "float16"):
    product("matrix 4096 x 4096 by vector,", dtype, 4096, 4096, 1)
    product("vector by matrix 4096 x 4096,", dtype, 1, 4096, 4096)
    product("32 x 1024 by 1024 x 1024,", dtype, 32, 1024, 1024)
    product("16 x 4096 by 4096 x 4096,", dtype, 16, 4096, 4096)
    product("16 x 4096 by 4096 x 4096, x @ w.T,", dtype, 16, 4096, 4096, lambda m, a, b: a @ b.T)
product("2048^3", "bfloat16", 2048, 2048, 2048)
for dtype in ("float32", "bfloat16"):
    product("8192 x 64 by 64 x 64,", dtype, 8192, 64, 64)
product("64 x 8192 by 8192 x 64,", "float32", 64, 8192, 64)
product("a @ b.T, 1024^3", "float32", 1024, 1024, 1024, lambda m, a, b: a @ b.T)
product("a.T @ b, 1024^3", "float32", 1024, 1024, 1024, lambda m, a, b: a.T @ b)
product("points, 300000 x 3 by 3 x 3,", "float32", 300_000, 3, 3)
product("points, 300000 x 4 by 4 x 4,", "float32", 300_000, 4, 4)
product("colours to grey, 1000000 x 3 by 3,", "float32", 1_000_000, 3, 1)
product("1000000 x 8 by 8,", "float32", 1_000_000, 8, 1)
product("points, 300000 x 3 by 3 x 24,", "float32", 300_000, 3, 24)
product("gradient of points, 3 x 300000 by 300000 x 3,", "float32", 3, 300_000, 3)
product("points side by side, 3 x 3 by (300000 x 3).T,", "float32", 3, 3, 300_000,
        lambda m, a, b: a @ b.reshape((-1, 3)).T)
for size in (3, 4, 8):
    formula(
        "products",
        f"100000 products of {size}^3 float32",
        lambda m, a, b: a @ b,
        F(100_000, size, size),
        F(100_000, size, size),
    )
formula(
    "products",
    "100000 matrices 3 x 3 by vectors, einsum float32",
    lambda m, a, b: m.einsum("nij,nj->ni", a, b),
    F(100_000, 3, 3),
    F(100_000, 3),
)


def addmm_relu(m, a, b, c):
    if hasattr(m.api, "torch") or hasattr(m.api, "mx"):
        return m.relu(m.addmm(c, a, b))
    return m.relu(a @ b + c)


product(
    "relu(addmm), 256 x 1024 by 1024 x 1024,",
    "float32",
    256,
    1024,
    1024,
    addmm_relu,
    more=(F(1024),),
)
product(
    "relu(addmm), 2048 x 256 by 256 x 256,", "float32", 2048, 256, 256, addmm_relu, more=(F(256),)
)
formula(
    "products",
    "64 products of 128^3 float32",
    lambda m, a, b: a @ b,
    F(64, 128, 128),
    F(64, 128, 128),
    tolerance=1e-3,
    flops=lambda api: 2 * api.n(64) * api.n(128) ** 3,
)
formula(
    "products",
    "products of heads, 8 x 4 x 256 x 64 float32",
    lambda m, a, b: a @ m.swapaxes(b, -1, -2),
    F(8, 4, 256, 64),
    F(8, 4, 256, 64),
    tolerance=1e-3,
    flops=lambda api: 2 * 32 * api.n(256) ** 2 * 64,
)
formula(
    "products",
    "256^3 int32",
    lambda m, a, b: a @ b,
    Input("int32", 256, 256, low=-9, high=9),
    Input("int32", 256, 256, low=-9, high=9),
    flops=lambda api: 2 * api.n(256) ** 3,
)


# ---- packed weights: others multiply by dense ones of the dtype, but for MLX


def packed(bits, rows, dtype):
    @case(
        "products",
        f"{rows} rows by {bits}-bit weights 11008 x 4096, {dtype}",
        tolerance={"bfloat16": 2e-2}.get(dtype, 1e-3),
        flops=lambda api: 2 * rows * api.n(11008) * api.n(4096),
    )
    def make(api):
        if dtype == "bfloat16" and type(api).__name__ == "Numpy":
            return None
        codes = api.values("int32", (api.n(11008), api.n(4096)), 0, 2**bits)
        codes[:, ::64], codes[:, 1::64] = 0, 2**bits - 1  # so that each group has both ends
        weights = api.packed(codes / 2.0 ** (bits - 1) - 1, dtype, 64, bits)
        x = api.data(dtype, rows, 4096)
        run = api.run(lambda x: api.packed_product(x, weights, 64, bits), x)
        return Work(run, (x, *weights))


for bits, rows, dtype in (
    (4, 1, "float32"),
    (4, 1, "bfloat16"),
    (8, 1, "float32"),
    (3, 1, "float32"),
    (4, 8, "float32"),
    (4, 16, "float32"),
    (4, 24, "float32"),
    (8, 16, "float32"),
    (4, 128, "float32"),
    (4, 128, "bfloat16"),
):
    packed(bits, rows, dtype)


def of_int8(m, k, n):
    @case("products", f"{m} x {k} by {k} x {n} int8", flops=lambda a: 2 * a.n(m) * a.n(k) * a.n(n))
    def make(api):
        a, b = (
            api.data("int8", *s, low=-128, high=128, seed=i) for i, s in ((0, (m, k)), (1, (n, k)))
        )
        return Work(api.run(api.int8_product, a, b), (a, b))


for int8_sizes in (
    (256, 256, 256),
    (1024, 1024, 1024),
    (4096, 64, 64),
    (512, 512, 2048),
    (1, 4096, 4096),
    (8, 4096, 4096),
    (17, 4096, 4096),
    (128, 4096, 4096),
):
    of_int8(*int8_sizes)
