"""Products of sparse matrices, beside the dense product of the same sizes. NumPy's row is SciPy's;
what a framework has no sparse matrices for is a dense product."""

from cases import Work, case


def few(api, rows, columns, density, block=1, dtype="float32"):
    """Numbers of which so many are not zero, in blocks."""
    m, n = (max(api.n(size), block) // block * block for size in (rows, columns))
    kept = api.values("float64", (m // block, n // block), 0.0, 1.0, seed=9) < density
    return api.values(dtype, (m, n)) * kept.repeat(block, 0).repeat(block, 1)


def product(label, m, k, n, density, dense=False, dtype="float32", turned=False):
    @case("sparse", label, tolerance=1e-3)
    def make(api):
        values = few(api, m, k, density, dtype=dtype)
        s = api.array(values, dtype) if dense else api.sparse(values, dtype)
        x = api.data(dtype, *((n, m) if turned else (k, n)))
        run = api.run((lambda x: x @ s) if turned else (lambda x: s @ x), x)
        return Work(run, (x,))


for percent in (1, 5, 20):
    product(f"{percent} % of 1024 x 1024 by 1024 x 128", 1024, 1024, 128, percent / 100)
product("1024 x 1024 by 1024 x 128, dense", 1024, 1024, 128, 0.05, dense=True)
product("5 % of 1024 x 1024 by 1024 x 128, float64", 1024, 1024, 128, 0.05, dtype="float64")
product("5 % of 1024 x 1024 by a vector", 1024, 1024, 1, 0.05)
product("0.1 % of 4096 x 4096 by a vector", 4096, 4096, 1, 0.001)
product("5 % of 4096 x 4096 by a vector", 4096, 4096, 1, 0.05)
product("5 % of 4096 x 4096 by 4096 x 16", 4096, 4096, 16, 0.05)
product("128 x 1024 by 5 % of 1024 x 1024", 1024, 1024, 128, 0.05, turned=True)


@case("sparse", "1 % of 2048 x 2048 by itself", tolerance=1e-3)
def by_itself(api):
    s = api.sparse(few(api, 2048, 2048, 0.01), "float32")
    x = api.data("float32", 2048, 4)
    return Work(api.run(lambda x: (s @ s) @ x, x), (x,))
