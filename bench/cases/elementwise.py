"""One pass over memory: fused chains, broadcasts, transposed reads, halves. Every elementwise row
of the table, and two of them in every dtype, are in rows.py."""

from cases import D, F, Input, formula

TEN = 10_000_000


def gelu(m, x):
    return x * 0.5 * (1 + m.erf(x * 0.7071067811865476))


def mul_add(m, x, y, z):
    return x * y + z


formula("elementwise", "x * y + z, 1e7 float32", mul_add, F(TEN), F(TEN), F(TEN))
formula("elementwise", "x * y + z, 1e6 float32", mul_add, F(10**6), F(10**6), F(10**6))
formula("elementwise", "x * y + z, 1e4 float32", mul_add, F(10**4), F(10**4), F(10**4))
formula("elementwise", "x * y + z, 1e6 float64", mul_add, D(10**6), D(10**6), D(10**6))
for half in ("bfloat16", "float16"):
    one = Input(half, 10**6)
    formula("elementwise", f"x * y + z, 1e6 {half}", mul_add, one, one, one)
    ten = Input(half, TEN)
    formula("elementwise", f"x * y + z, 1e7 {half}", mul_add, ten, ten, ten)
formula("elementwise", "exp, 1e7 float32", lambda m, x: m.exp(x), F(TEN))
formula("elementwise", "gelu (erf), 1e7 float32", gelu, F(TEN))
formula("elementwise", "gelu (erf), 1e7 bfloat16", gelu, Input("bfloat16", TEN), tolerance=5e-2)
formula("elementwise", "x + 1, 1e7 float32", lambda m, x: x + 1, F(TEN))
formula("elementwise", "x ** 2 + x ** 3, 1e6 float32", lambda m, x: x**2 + x**3, F(10**6))
formula("elementwise", "abs(x) ** 0.5, 1e6 float32", lambda m, x: abs(x) ** 0.5, F(10**6))
formula(
    "elementwise",
    "a + b.T, 4096 x 4096 float32",
    lambda m, a, b: a + b.T,
    F(4096, 4096),
    F(4096, 4096),
)
formula(
    "elementwise",
    "a + b.T, 2048 x 2048 float64",
    lambda m, a, b: a + b.T,
    D(2048, 2048),
    D(2048, 2048),
)
formula(
    "elementwise",
    "a.T copied, 4096 x 4096 float32",
    lambda m, a: m.api.contiguous(a.T),
    F(4096, 4096),
)
formula(
    "elementwise",
    "a + b.T, 2048 x 2048 int8",
    lambda m, a, b: a + b.T,
    Input("int8", 2048, 2048, low=-50, high=50),
    Input("int8", 2048, 2048, low=-50, high=50),
)
formula(
    "elementwise",
    "matrix + row, 2048 x 2048 float32",
    lambda m, a, b: a + b,
    F(2048, 2048),
    F(2048),
)
formula(
    "elementwise",
    "matrix * column, 2048 x 2048 float32",
    lambda m, a, b: a * b,
    F(2048, 2048),
    F(2048, 1),
)
for width in (3, 8, 30):
    formula(
        "elementwise",
        f"column * short rows, 1e5 x {width} float32",
        lambda m, a, b: a * b,
        F(10**5, 1),
        F(1, width),
    )
    formula(
        "elementwise",
        f"short rows + row, 1e5 x {width} float32",
        lambda m, a, b: a + b,
        F(10**5, width),
        F(width),
    )
formula(
    "elementwise",
    "neighbours in rows, x[:, :-1] + x[:, 1:], 1000 x 1000 float32",
    lambda m, x: x[:, :-1] + x[:, 1:],
    F(1000, 1000),
)
formula("elementwise", "tril, 1000 x 1000 float32", lambda m, x: m.tril(x), F(1000, 1000))
for whole in ("uint8", "int8", "int32", "int64"):
    x = Input(whole, 10**6, low=0 if whole[0] == "u" else -100, high=100)
    divisors = Input(whole, 10**6, low=1, high=100)
    formula("elementwise", f"x // y, 1e6 {whole}", lambda m, x, y: x // y, x, divisors)
    formula("elementwise", f"x % y, 1e6 {whole}", lambda m, x, y: x % y, x, divisors)
    formula("elementwise", f"x // 7, 1e6 {whole}", lambda m, x: x // 7, x)
    formula("elementwise", f"x % 7, 1e6 {whole}", lambda m, x: x % 7, x)
formula("elementwise", "outer sum, 2048 x 2048 float32", lambda m, a, b: a + b, F(2048, 1), F(2048))
formula("elementwise", "every other element, 1e7 float32", lambda m, a: a[::2] * 2.0, F(TEN))
formula("elementwise", "reversed, 1e7 float32", lambda m, a: m.flip(a, (0,)) + 1.0, F(TEN))
formula(
    "elementwise",
    "where(a > b, a, b * 2), 1e6 float32",
    lambda m, a, b: m.where(a > b, a, b * 2.0),
    F(10**6),
    F(10**6),
)
formula(
    "elementwise",
    "20 cheap ops in a chain, 1e6 float32",
    lambda m, a, b: twenty(a, b),
    F(10**6),
    F(10**6),
    compiled=True,
)
formula(
    "elementwise",
    "20 cheap ops in a chain, 1e7 float32",
    lambda m, a, b: twenty(a, b),
    F(TEN),
    F(TEN),
    compiled=True,
)


def twenty(a, b):
    for _ in range(5):
        a = (a * b + 0.5) * a - b
    return a


for to in ("float64", "float16", "bfloat16", "int32", "bool"):
    formula(
        "elementwise",
        f"astype float32 to {to}, 1e6",
        lambda m, x, to=to: m.api.cast(x, to),
        F(10**6, low=-100.0, high=100.0),
    )
formula(
    "elementwise",
    "astype bfloat16 to float32, 1e6",
    lambda m, x: m.api.cast(x, "float32"),
    Input("bfloat16", 10**6),
)
