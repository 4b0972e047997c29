"""What compile costs: tracing, calls that are kept, loops that are not unrolled."""

import warnings

from cases import Work, case

TIMES = 100


def ten_ops(m):
    """A function of four 4 x 4 arrays with ten ops."""

    def f(a, b, c, d):
        x = a + b
        y = m.exp(x) * c
        z = m.tanh(y - d)
        w = z * z + x
        return m.sum(w * m.tanh(w))

    return f


def arguments(api):
    return [api.data("float32", 4, 4, seed=k) for k in range(4)]


def reference(api, f):
    return Work(lambda: None, outputs=lambda: f(*arguments(api)))


@case("compile", "trace and first call of 10 ops")
def first_call(api):
    f, args = ten_ops(api.lib), arguments(api)
    if api.exact:
        return reference(api, f)
    if api.name not in ("lazulite", "mlx", "jax"):
        return None

    def run():
        return api.wait(api.jit(lambda a, b, c, d: f(a, b, c, d))(*args))

    return Work(run)


def cached(name, wait):
    @case("compile", name)
    def make(api):
        f, args = ten_ops(api.lib), arguments(api)
        if api.exact:
            return reference(api, f)
        if not hasattr(api, "jit") or (api.small and api.name == "torch"):
            return None
        g = api.jit(f)

        def run():
            for _ in range(TIMES):
                out = g(*args)
                if wait:
                    api.wait(out)
            return out

        def outputs():
            return api.wait(g(*args))

        outputs()
        return Work(run, outputs=outputs, count=TIMES)


cached("cached call of 10 ops, not waited for", False)
cached("cached call of 10 ops, evaluated", True)


@case("compile", "cached call of 10 ops, 1000 x 1000 float32")
def cached_large(api):
    args = [api.data("float32", 1000, 1000, seed=k) for k in range(4)]
    return Work(api.compiled(ten_ops(api.lib), *args), args)


@case("compile", "eight chains side by side, 32 x 64 float32")
def chains(api):
    m = api.lib
    x = api.data("float32", 32, 64)
    weights = [api.data("float32", 64, 64, seed=k) for k in range(8)]

    def f(x, *weights):
        total = 0
        for w in weights:
            y = x
            for _ in range(3):
                y = m.softmax(y @ w, axis=-1)
            total = total + y
        return total

    return Work(api.compiled(f, x, *weights), [x, *weights])


@case("compile", "cached call with 1000 entries")
def full_cache(api):
    x = api.data("float32", 4, 4)
    if api.exact:
        return Work(lambda: None, outputs=lambda: x * 2)
    entries = api.count(1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if api.name == "jax":
            f = api.jax.jit(lambda x, n: x * n, static_argnums=1)
        elif api.name == "lazulite":  # MLX runs a compiler for each
            f = api.mx.compile(lambda x, n: x * n, cache_size=1000)
        else:
            return None
        for n in range(entries):
            api.wait(f(x, n))

    def run():
        for _ in range(TIMES):
            out = f(x, 2)
        return out

    return Work(run, outputs=lambda: api.wait(f(x, 2)), count=TIMES)


def loop(name, rounds, shape):
    @case("compile", name, tolerance=1e-3)
    def make(api):
        m, x = api.lib, api.data("float32", *shape)
        times = api.count(rounds)

        def body(i, v):
            return m.sin(v) * 2 + 1

        def plain(v):
            for i in range(times):
                v = body(i, v)
            return v

        if api.exact:
            return Work(lambda: None, outputs=lambda: plain(x) if times < 9 else [])
        if api.name == "jax":
            return Work(
                api.run(lambda v: api.jax.lax.fori_loop(0, times, body, v), x),
                [x],
                None if times < 9 else lambda: [],
            )
        if api.name == "lazulite":
            return Work(
                api.compiled(lambda v: api.mx.fori_loop(0, times, body, v), x),
                [x],
                None if times < 9 else lambda: [],
            )  # chaotic: no two agree after 30 rounds
        return None


loop("fori_loop, 1000 rounds of sin(x) * 2 + 1, 100 elements", 1000, (100,))
loop("fori_loop, 100 rounds of sin(x) * 2 + 1, 1e5 elements", 100, (10**5,))
