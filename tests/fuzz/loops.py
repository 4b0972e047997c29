"""Nests of scan, while_loop, fori_loop and cond beside the same program unrolled in Python, plain,
compiled, mapped and differentiated. Inner results lie in memory in all ways; sizes pass the borders
of blocks, chunks and tiles.
"""

import functions

import common
import lazulite.core as mx

# ---- unrolled ------------------------------------------------------------------------------------


def unrolled_scan(f, init, xs, reverse=False):
    made = []
    for i in reversed(range(xs.shape[0])) if reverse else range(xs.shape[0]):
        init, y = f(init, xs[i])
        made.append(y)
    return init, mx.stack(made[::-1] if reverse else made)


def unrolled_fori(low, high, body, value):
    for i in range(low, high):
        value = body(mx.array(i), value)
    return value


def unrolled_while(test, body, value):
    while test(value).item():
        value = body(value)
    return value


def unrolled_cond(flag, yes, no, *operands):
    return (yes if flag.item() else no)(*operands)


LOOPS = {"scan": mx.scan, "fori": mx.fori_loop, "loop": mx.while_loop, "cond": mx.cond}
UNROLLED = {
    "scan": unrolled_scan,
    "fori": unrolled_fori,
    "loop": unrolled_while,
    "cond": unrolled_cond,
}


# ---- making --------------------------------------------------------------------------------------


class Maker:
    """Expressions of (n, n) arrays over names in scope."""

    def __init__(self, rng):
        self.rng = rng
        self.n = rng.choice([1, 2, 3, 3, 4, 5, 8, 23, 23, 65, 65, 91, 182])
        self.deep = 3 if self.n < 60 else 2
        self.products = rng.random() < 0.4
        self.names = 0

    def fresh(self, letter):
        self.names += 1
        return f"{letter}{self.names}"

    def leaf(self, scope):
        return self.rng.choice(scope)

    def flag(self, scope):
        a, b = self.leaf(scope), self.leaf(scope)
        return self.rng.choice(
            [
                f"({a}[0, 0] > 0.1)",
                f"({a}.sum() > 0.05)",
                f"({a}[0, 0] > {b}[0, -1])",
                f"({a}.mean() < 0.1)",
            ]
        )

    def expression(self, scope, depth):
        """An (n, n) array."""
        r, n = self.rng, self.n
        e = lambda: self.expression(scope, depth - 1)
        if depth <= 0 or r.random() < 0.1:
            return self.leaf(scope)
        kind = r.random()
        if kind < 0.28:
            return r.choice(
                [
                    lambda: f"({e()} + {e()})",
                    lambda: f"({e()} * {e()})",
                    lambda: f"mx.tanh({e()})",
                    lambda: f"mx.sin({e()})",
                    lambda: f"({e()} * 0.5)",
                    lambda: f"({e()} - {e()} * {e()})",
                    lambda: f"mx.maximum({e()}, {e()})",
                    lambda: f"mx.where({self.leaf(scope)} > 0.1, {e()}, {e()})",
                ]
            )()
        if kind < 0.55:
            ways = [
                lambda: f"{e()}.T",
                lambda: f"{e()}[::-1]",
                lambda: f"{e()}[:, ::-1]",
                lambda: f"mx.broadcast_to(mx.mean({e()}, 0), ({n}, {n}))",
                lambda: f"mx.broadcast_to({e()}[0], ({n}, {n}))",
                lambda: f"mx.broadcast_to({e()}[:, :1], ({n}, {n}))",
                lambda: f"mx.concatenate([{e()}, {e()}])[{n // 2}:{n // 2 + n}]",
                lambda: f"mx.stack([{e()}, {e()}], 2)[:, :, 1]",
                lambda: f"{e()}.reshape(-1)[::-1].reshape({n}, {n})",
                lambda: f"mx.full(({n}, {n}), 0.25, {self.leaf(scope)}.dtype)",
                lambda: f"{e()}.at[0].add({e()}[-1])",
                lambda: f"{e()}.at[:, 0].set({self.leaf(scope)}[0])",
                lambda: f"mx.broadcast_to({e()}.sum() * 0.1, ({n}, {n}))",
                lambda: f"{e()}.T.reshape({n}, {n})",
            ]
            if self.products:
                ways += [lambda: f"({e()} @ {e()} * {1 / n!r})"] * 3
            return r.choice(ways)()
        return self.loop(scope, depth)

    def loop(self, scope, depth):
        r = self.rng
        kind = r.choice(["cond", "cond", "fori", "loop", "scan", "scan", "pair", "rows"])
        inner = depth - 1
        start = self.expression(scope, min(inner, 1))
        if kind == "cond":
            u, v = self.fresh("u"), self.fresh("u")
            return f"cond({self.flag(scope)}, lambda {u}: {self.expression(scope + [u, u], inner)}, lambda {v}: {self.expression(scope + [v, v], inner)}, {start})"
        if kind == "fori":
            i, u = self.fresh("i"), self.fresh("u")
            body = self.expression(scope + [u, u, f"({u} * ({i} + 1))"], inner)
            return f"fori(0, {r.choice([0, 1, 2, 3])}, lambda {i}, {u}: mx.tanh({body}), {start})"
        if kind == "loop":
            s = self.fresh("s")
            return f"loop(lambda {s}: {s}[0] < {r.choice([0, 1, 3])}, lambda {s}: ({s}[0] + 1, {self.expression(scope + [f'{s}[1]'] * 2, inner)}), (mx.array(0), {start}))[1]"
        c, x = self.fresh("c"), self.fresh("x")
        steps = r.choice([1, 2, 3, 4])
        rows = "mx.stack([" + ", ".join(self.expression(scope, 1) for _ in range(steps)) + "])"
        reverse = ", reverse=True" if r.random() < 0.3 else ""
        if kind == "pair":
            now = scope + [f"{c}[0]", f"{c}[1]", x]
            body = f"(({self.expression(now, inner)}, {self.expression(now, inner)}), {self.expression(now, inner)})"
            made = f"scan(lambda {c}, {x}: {body}, ({start}, {self.leaf(scope)}), {rows}{reverse})"
            return r.choice([f"{made}[0][0]", f"{made}[0][1]", f"{made}[1][{r.randrange(steps)}]"])
        now = scope + [c, c, x]
        made = f"scan(lambda {c}, {x}: ({self.expression(now, inner)}, {self.expression(now, inner)}), {start}, {rows}{reverse})"
        return (
            f"{made}[0]"
            if kind == "scan"
            else r.choice([f"{made}[1][{r.randrange(steps)}]", f"{made}[1].mean(0)"])
        )

    def make(self):
        r = self.rng
        dtype = "float64" if self.products or r.random() < 0.6 else "float32"
        count = r.choice([1, 2, 2, 3])
        lines = [f'v{k} = array({k}, ({self.n}, {self.n}), "{dtype}")' for k in range(count)]
        scope = [f"v{k}" for k in range(count)]
        for k in range(count, count + r.choice([1, 1, 2])):
            lines.append(f"v{k} = {self.loop(scope, self.deep)}")
            scope.append(f"v{k}")
        return lines


def generate(rng):
    return functions.within(1500, lambda: Maker(rng).make())


# ---- checking ------------------------------------------------------------------------------------


def check(lines):
    try:
        plain, inputs = functions.as_function(lines, UNROLLED)
        wanted = plain(*inputs)
        mx.eval(wanted)
    except Exception:
        return None  # no program (it is being shrunk)
    program, _ = functions.as_function(lines, LOOPS)
    return functions.attempt(lambda: compare(lines, plain, program, inputs, wanted))


def compare(lines, plain, program, inputs, wanted):
    text = "\n".join(lines)
    exact, wide = " @ " not in text, inputs[0].dtype == mx.float64
    tolerance = 1e-9 if wide else 2e-3

    def differs(way, got, expected, bits=False):
        said = functions.unlike(got, expected, bits, tolerance)
        return said and common.Failure(way, said)

    found = differs("loops differ from the unrolled program", program(*inputs), wanted, exact)
    found = found or differs("compiled loops differ", mx.compile(program)(*inputs), wanted, exact)
    axes = [None if k % 2 and len(inputs) > 1 else k % 3 for k in range(len(inputs))]
    batches = [
        a if x is None else mx.stack([a * s for s in (1.0, -0.5, 0.7)], x).astype(a.dtype)
        for a, x in zip(inputs, axes)
    ]
    found = found or differs(
        "mapped loops differ",
        mx.vmap(program, tuple(axes))(*batches),
        functions.stacked_lanes(plain, 3, batches, axes),
        False,
    )
    if found or not wide:
        return found
    tangents = functions.like(inputs, 50)
    found = differs(
        "tangents of loops differ",
        mx.jvp(program, inputs, tangents)[1],
        mx.jvp(plain, inputs, tangents)[1],
    )
    if found or "loop(" in text.replace("fori(", ""):
        return found
    total, unrolled = functions.weighted(program), functions.weighted(plain)
    every = tuple(range(len(inputs)))

    def gradient(f):
        def run(*args):
            out = mx.grad(f, argnums=every)(*args)
            return list(out) if isinstance(out, tuple) else [out]
        return run

    expected = gradient(unrolled)(*inputs)
    first = gradient(total)(*inputs)
    found = differs("gradients of loops differ", first, expected)
    found = found or differs(
        "gradients change from run to run", gradient(total)(*inputs), first, True
    )
    found = found or differs(
        "compiled gradients of loops differ", mx.compile(gradient(total))(*inputs), expected
    )
    found = found or differs(
        "gradients of checkpointed loops differ", gradient(mx.checkpoint(total))(*inputs), expected
    )
    found = found or differs(
        "mapped gradients of loops differ",
        mx.vmap(gradient(total), tuple(axes))(*batches),
        functions.stacked_lanes(gradient(unrolled), 3, batches, axes),
    )
    found = found or differs(
        "gradients of mapped loops differ",
        gradient(functions.weighted(mx.vmap(program, tuple(axes))))(*batches),
        gradient(functions.weighted(lambda *b: functions.stacked_lanes(plain, 3, b, axes)))(
            *batches
        ),
    )
    if found or inputs[0].size > 600:
        return found
    tolerance = 1e-7
    second = lambda f: gradient(functions.weighted(gradient(f)))(*inputs)
    found = differs("second derivatives of loops differ", second(total), second(unrolled))
    return found or differs(
        "tangents of gradients of loops differ",
        mx.jvp(gradient(total), inputs, tangents)[1],
        mx.jvp(gradient(unrolled), inputs, tangents)[1],
    )


if __name__ == "__main__":
    show = functions.shown(LOOPS)
    common.main(generate, check, simplify=functions.simplify, show=show, timeout=60.0)
