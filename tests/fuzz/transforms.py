"""Random programs under grad, vjp, jvp, vmap, checkpoint, compile, custom_function, scan,
fori_loop, cond and their nests, and second derivatives.

A program is straight-line code in float64 with transforms inside. What these mean is known:
checkpoint, compile and a custom function are the function itself, vmap is a loop over lanes, loops
are unrolled.
Outside, tangents are held against finite differences, cotangents against tangents (<w, J t> = <J'
w, t>), batches against loops, second derivatives against each other.
"""

import functions
import loops
import numpy as np

import common
import lazulite.core as mx

# ---- what transforms mean ------------------------------------------------------------------------


def ruled(f):
    """A custom function whose rules are written by hand: what its ops would give."""
    g = mx.custom_function(f)

    @g.vjp
    def back(primals, cotangent, output):
        primals = primals if isinstance(primals, tuple) else (primals,)
        return (
            tuple(mx.vjp(f, list(primals), [cotangent])[1])
            if len(primals) > 1
            else mx.vjp(f, list(primals), [cotangent])[1][0]
        )

    @g.jvp
    def forward(primals, tangents):
        many = isinstance(primals, tuple)
        return mx.jvp(
            f, list(primals) if many else [primals], list(tangents) if many else [tangents]
        )[1][0]

    return g


def lanes_alone(f):
    """A custom function whose own vmap rule is vmap."""
    g = mx.custom_function(f)

    @g.vmap
    def batch(inputs, axes):
        many = isinstance(axes, (list, tuple)) and len(axes) > 1
        at = axes if many or not isinstance(axes, (list, tuple)) else axes[0]
        if not many:
            return mx.vmap(f, in_axes=at)(inputs), 0
        return mx.vmap(f, in_axes=tuple(axes))(*inputs), 0

    return g


MOST_LANES = 4096  # of a nest: each is a program, whose gradients take some 0.1 ms
nests = [1]


def looped(f, in_axes=0, out_axes=0):
    """vmap, one lane after the other; ValueError, which is no program, for too many in a nest."""
    def run(*args):
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
        lanes = next(a.shape[x] for a, x in zip(args, axes) if x is not None)
        if nests[-1] * lanes > MOST_LANES:
            raise ValueError("too many lanes")
        nests.append(nests[-1] * max(lanes, 1))
        try:
            made = [
                f(*[a if x is None else mx.take(a, k, axis=x) for a, x in zip(args, axes)])
                for k in range(lanes)
            ]
        finally:
            nests.pop()
        return mx.stack(made, out_axes)
    return run


def derivative(f):
    """Of a function of one array, in a fixed direction."""
    def run(a):
        return mx.jvp(f, [a], [functions.array(77, a.shape)])[1][0]
    return run


def slope(f):
    return lambda a: mx.grad(lambda b: (f(b) * functions.array(78, f(b).shape)).sum())(a)


OURS = {
    "vmap": mx.vmap,
    "ckpt": mx.checkpoint,
    "comp": mx.compile,
    "ruled": ruled,
    "alone": lanes_alone,
    "along": derivative,
    "slope": slope,
    **loops.LOOPS,
}
PLAIN = {
    "vmap": looped,
    "ckpt": lambda f: f,
    "comp": lambda f: f,
    "ruled": lambda f: f,
    "alone": lambda f: f,
    "along": derivative,
    "slope": slope,
    **loops.UNROLLED,
}


# ---- making --------------------------------------------------------------------------------------


class Maker:
    """Expressions with their shapes; all functions are smooth, so that differences say what
    derivatives are."""

    def __init__(self, rng):
        self.rng = rng
        self.count = 0
        self.large = rng.random() < 0.1

    def size(self):
        return (
            self.rng.choice([511, 513, 700])
            if self.large and self.rng.random() < 0.5
            else self.rng.choice([1, 2, 3, 3, 4, 5])
        )

    def of_shape(self, shape, scope, depth):
        """An expression of that shape."""
        r = self.rng
        same = [n for n, s in scope if s == shape]
        if same and (depth <= 0 or r.random() < 0.25):
            return r.choice(same)
        if depth <= 0:
            name, s = r.choice(scope)
            return f"mx.broadcast_to({name}.mean(), {shape})"
        e = lambda s=shape: self.of_shape(s, scope, depth - 1)
        n = len(shape)
        ways = [
            lambda: f"mx.tanh({e()})",
            lambda: f"mx.sin({e()})",
            lambda: f"({e()} * {e()})",
            lambda: f"({e()} + {e()})",
            lambda: f"({e()} - {e()})",
            lambda: f"({e()} / (1.5 + mx.cos({e()})))",
            lambda: f"mx.exp(-mx.square({e()}))",
            lambda: f"mx.sigmoid({e()})",
            lambda: f"mx.logaddexp({e()}, {e()})",
            lambda: f"mx.power(1.5 + mx.tanh({e()}), {e()})",
            lambda: f"(mx.stop_gradient(mx.ones({shape}, mx.float64)) * {e()})",
            lambda: f"mx.arctan2({e()}, 2.0 + mx.sin({e()}))",
            lambda: f"(mx.stack([{e()}, {e()}]).{r.choice(['mean', 'sum'])}(0))",
            lambda: f"mx.log1p(mx.square({e()}))",
            lambda: f"mx.sqrt(0.5 + mx.square({e()}))",
        ]
        if n:
            axis = r.randrange(n)
            size = shape[axis]
            rest = shape[:axis] + shape[axis + 1 :]
            turned = shape[::-1]
            key = ", ".join([":"] * axis + ["::-1"])
            places = [r.randrange(size) for _ in range(size)]
            ways += [
                lambda: f"{e()}[{key}]",
                lambda: f"{e(turned)}.T",
                lambda: f"mx.broadcast_to(mx.expand_dims({e(rest)}, {axis}), {shape})",
                lambda: f"mx.concatenate([{e()}, {e()}], {axis})[{', '.join([':'] * axis + [f'{size // 2}:{size // 2 + size}'])}]",
                lambda: f"mx.take({e()}, mx.array({places}), axis={axis})",
                lambda: f"mx.softmax({e()}, axis={axis})",
                lambda: f"{e()}.at[{', '.join([':'] * axis + [str(places[0])])}].{r.choice(['add', 'set', 'multiply'])}({e(rest)})",
                lambda: f"{e()}.at[{', '.join([':'] * axis + [f'mx.array({places})'])}].{r.choice(['add', 'set'])}({e()})",
                lambda: f"({e()} - mx.logsumexp({e()}, axis={axis}, keepdims=True))",
                lambda: f"mx.roll({e()}, 1, {axis})",
                lambda: f"(mx.prod({e((3,) + shape)}, axis=0))",
                lambda: f"{e((int(np.prod(shape)),))}.reshape({shape})",
                lambda: (
                    f"mx.stack([{', '.join(e(rest) for _ in range(min(size, 3)))}], {axis})"
                    if size <= 3
                    else e()
                ),
                lambda: f"mx.where(mx.arange({shape[-1]}) % 2 == 0, {e()}, {e()})",
            ]
        if n == 2:
            k = r.choice([1, 2, 3])
            ways += [lambda: f"({e((shape[0], k))} @ {e((k, shape[1]))})"] * 2
        if n <= 1:
            more = r.choice([2, 3])
            ways += [
                lambda: f"{e(shape + (more,))}.sum({n})",
                lambda: f"{e(shape + (more,))}.mean({n})",
                lambda: f"{e((more,) + shape)}[{r.randrange(more)}]",
            ]
        ways += [lambda: self.transformed(shape, scope, depth)] * 8
        return r.choice(ways)()

    def transformed(self, shape, scope, depth):
        r = self.rng
        self.count += 1
        u, w = f"u{self.count}", f"w{self.count}"
        e = lambda s: self.of_shape(s, scope, depth - 1)
        kind = r.choice(
            ["ckpt", "comp", "ruled", "alone", "vmap", "vmap", "vmap2", "along", "slope", "two"]
            + ["scan", "scan", "fori", "cond"]
        )
        if kind == "cond":
            flag = f"({r.choice(scope)[0]}.sum() > {r.choice([-0.3, 0.2, 0.4])})"
            given = r.choice([shape, (2,)])
            yes = self.of_shape(shape, scope + [(u, given)] * 2, depth - 1)
            no = self.of_shape(shape, scope + [(w, given)] * 2, depth - 1)
            return f"cond({flag}, lambda {u}: {yes}, lambda {w}: {no}, {e(given)})"
        if kind == "fori":
            inner = self.of_shape(shape, scope + [(u, shape)] * 2, depth - 1)
            return f"fori(0, {r.choice([0, 1, 3])}, lambda {w}, {u}: mx.tanh({inner} + {w}), {e(shape)})"
        if kind == "scan":
            given, steps = r.choice([shape, (2,), ()]), r.choice([1, 2, 3])
            inside = scope + [(u, shape), (w, given)] * 2
            next, row = (self.of_shape(shape, inside, depth - 1) for _ in range(2))
            end = r.choice(["[0]", f"[1][{r.randrange(steps)}]", "[1].mean(0)"])
            back = r.choice(["", ", reverse=True"])
            return f"scan(lambda {u}, {w}: (mx.tanh({next}), {row}), {e(shape)}, {e((steps,) + given)}{back}){end}"
        if kind in ("along", "slope"):
            inner = self.of_shape(
                shape if kind == "along" else r.choice([(), shape]),
                scope + [(u, shape)] * 2,
                depth - 1,
            )
            return f"{kind}(lambda {u}: {inner})({e(shape)})"
        if kind.startswith("vmap") and shape:
            out = r.randrange(len(shape))
            lane = shape[:out] + shape[out + 1 :]
            size = shape[out]
            given = r.choice([lane, (2,), ()])
            at = r.randrange(len(given) + 1)
            whole = given[:at] + (size,) + given[at:]
            if kind == "vmap":
                inner = self.of_shape(lane, scope + [(u, given)] * 2, depth - 1)
                return f"vmap(lambda {u}: {inner}, {at}, {out})({e(whole)})"
            other = r.choice([lane, (2,)])
            inner = self.of_shape(lane, scope + [(u, given), (w, other)] * 2, depth - 1)
            return f"vmap(lambda {u}, {w}: {inner}, ({at}, None), {out})({e(whole)}, {e(other)})"
        wrap = (
            kind
            if kind in ("ckpt", "comp", "ruled", "alone")
            else r.choice(["ckpt", "ruled", "alone"])
        )
        # A rule gives cotangents to arguments alone, and knows captured arrays only as they were
        # when it was made.
        outer = [] if wrap in ("ruled", "alone") else scope
        given, other = r.choice([shape, (3,)]), r.choice([shape, (2,)])
        if kind == "two":
            inner = self.of_shape(shape, outer + [(u, given), (w, other)], depth - 1)
            return f"{wrap}(lambda {u}, {w}: {inner})({e(given)}, {e(other)})"
        return f"{wrap}(lambda {u}: {self.of_shape(shape, outer + [(u, given)], depth - 1)})({e(given)})"

    def make(self):
        r = self.rng
        lines, scope = [], []
        for k in range(r.choice([1, 2, 2, 3])):
            shape = tuple(self.size() for _ in range(r.choice([0, 1, 1, 2, 2])))
            lines.append(f"v{k} = array({k}, {shape})")
            scope.append((f"v{k}", shape))
        for k in range(len(scope), len(scope) + r.choice([1, 1, 2, 3])):
            shape = r.choice([(), (self.size(),), (2, 3), (3, self.size()), scope[0][1]])
            lines.append(f"v{k} = {self.of_shape(shape, scope, r.choice([2, 3, 3]))}")
            scope.append((f"v{k}", shape))
            if r.random() < 0.15 and shape and shape[0]:
                # On an object of its own: what passes values on may give the very object that it
                # got.
                lines.append(f"v{k} = own(v{k}); v{k}[0] = mx.sin(v{k}[-1])")
        return lines


def generate(rng):
    return functions.within(1200, lambda: Maker(rng).make())


# ---- checking ------------------------------------------------------------------------------------


def check(lines):
    try:
        plain, inputs = functions.as_function(lines, PLAIN)
        wanted = plain(*inputs)
        mx.eval(wanted)
        if not all(
            np.isfinite(np.array(w)).all() and np.abs(np.array(w)).max(initial=0) < 1e3
            for w in wanted
        ):
            return None
    except (
        NameError,
        SyntaxError,
        ValueError,
        TypeError,
        IndexError,
        StopIteration,
        AttributeError,
    ):
        return None  # no program (it is being shrunk)
    program, _ = functions.as_function(lines, OURS)
    return functions.attempt(lambda: compare(program, plain, inputs, wanted))


def dot(a, b):
    return float(sum(np.vdot(np.array(x), np.array(y)).real for x, y in zip(a, b)))


def compare(program, plain, inputs, wanted):
    def differs(way, got, expected, bits=False, tolerance=1e-8):
        said = functions.unlike(got, expected, bits, tolerance)
        return said and common.Failure(way, said)

    def apart(way, a, b, size, tolerance):
        if not np.isfinite([a, b, size]).all() or abs(a - b) <= tolerance * max(
            1.0, abs(a), abs(b), size
        ):
            return None
        return common.Failure(way, f"{a!r} and {b!r}")

    found = differs("transforms inside change the values", program(*inputs), wanted)
    found = found or differs(
        "compiled values differ", mx.compile(program)(*inputs), program(*inputs)
    )
    if found:
        return found
    # Derivatives: of the program with its transforms, against the plain one and against
    # differences.
    tangents = functions.like(inputs, 50)
    moved = mx.jvp(program, inputs, tangents)[1]
    found = differs(
        "tangents differ from those of the plain program", moved, mx.jvp(plain, inputs, tangents)[1]
    )
    if found:
        return found
    weights = functions.like(wanted, 70)

    def difference(step):
        ahead = plain(*[a + step * t for a, t in zip(inputs, tangents)])
        behind = plain(*[a - step * t for a, t in zip(inputs, tangents)])
        return dot(weights, [(a - b) * (0.5 / step) for a, b in zip(ahead, behind)])

    along, near, far = dot(weights, moved), difference(1e-5), difference(2e-5)
    # How far the two differences are apart says how much they can be trusted.
    size = sum(np.abs(np.array(m)).sum() for m in moved) + 1e5 * abs(near - far)
    found = apart("tangents are no finite differences", along, near, size, 1e-5)
    grads = mx.vjp(program, inputs, weights)[1]
    found = found or apart(
        "cotangents do not fit tangents", along, dot(grads, tangents), size, 1e-9
    )
    if found:
        return found
    every = tuple(range(len(inputs)))

    def gradient(f):
        def run(*args):
            out = mx.grad(functions.weighted(f), argnums=every)(*args)
            return list(out) if isinstance(out, tuple) else [out]
        return run

    expected = gradient(plain)(*inputs)
    for way, f in {
        "": gradient(program),
        "compiled ": mx.compile(gradient(program)),
        "checkpointed ": gradient(mx.checkpoint(program)),
        "compiled inner ": gradient(mx.compile(program)),
    }.items():
        found = found or differs(f"{way}gradients differ", f(*inputs), expected)
    # Batches.
    axes = [
        None if len(inputs) > 1 and k == len(inputs) // 2 else min(k, a.ndim)
        for k, a in enumerate(inputs)
    ]
    batches = [
        a if x is None else mx.stack([a * s for s in (1.0, -0.5, 0.7)], x)
        for a, x in zip(inputs, axes)
    ]
    for way, f, g in (
        ("mapped values", program, plain),
        ("mapped gradients", gradient(program), gradient(plain)),
    ):
        found = found or differs(
            f"{way} differ",
            mx.vmap(f, tuple(axes))(*batches),
            functions.stacked_lanes(g, 3, batches, axes),
        )
    mapped = mx.vmap(program, tuple(axes))
    lanes = lambda *b: functions.stacked_lanes(plain, 3, b, axes)
    found = found or differs(
        "gradients of mapped programs differ", gradient(mapped)(*batches), gradient(lanes)(*batches)
    )
    if found or sum(a.size for a in inputs) > 200:
        return found
    # Second derivatives: forward over reverse, reverse over reverse, and both of the plain program.
    forward = mx.jvp(gradient(program), inputs, tangents)[1]
    found = differs(
        "tangents of gradients differ",
        forward,
        mx.jvp(gradient(plain), inputs, tangents)[1],
        tolerance=1e-7,
    )
    back = mx.vjp(gradient(program), inputs, tangents)[1]
    return found or differs("second derivatives are not symmetric", back, forward, tolerance=1e-7)


if __name__ == "__main__":
    show = functions.shown(OURS)
    common.main(generate, check, simplify=functions.simplify, show=show, timeout=60.0)
