"""Models of random layers, in random settings, over (batch, steps, size) arrays: trained step by
step, and in every other way that must come to the same.

A program makes `layers`, one in a line, and a `rule` that gives an optimizer. The same bits are
asked of training compiled, of training that goes on from a file, a pickle or a copy; the same
numbers of training in a scan and of two models trained as lanes of one, in float64, running
statistics and random draws included. Gradients are held against finite differences, tangents
against gradients, and examples mapped one by one against the batch.
"""

import copy
import inspect
import pickle
import tempfile
from pathlib import Path

import common
import numpy as np

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as opt
from lazulite.utils import load_state, save_state, tree_flatten

# ---- layers of users -----------------------------------------------------------------------------


class Around(nn.Module):
    """A way around a layer."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def __call__(self, x):
        return x + self.inner(x)


class Checkpointed(Around):
    def __call__(self, x):
        return mx.checkpoint(self.inner)(x)


class First(Around):
    """Of a layer that gives several results."""

    def __call__(self, x):
        return self.inner(x)[0]


class Itself(Around):
    """Of a layer that takes several sequences."""

    def __call__(self, x):
        return self.inner(x, x, x)


class Mapped(Around):
    """Example by example."""

    def __call__(self, x):
        return mx.vmap(lambda one: self.inner(one[None])[0])(x)


class Counting(nn.Module):
    """Takes off what it saw so far, which it keeps in an array and in a list."""

    def __init__(self, size):
        super().__init__()
        self.seen, self.held = mx.zeros((size,)), [mx.array(0.0)]
        self.freeze()

    def __call__(self, x):
        if self.training:
            self.seen = (0.9 * self.seen + mx.stop_gradient(x).mean((0, 1))).astype(self.seen.dtype)
            self.held[0] = self.held[0] + 1
        return x - self.seen


class Looped(nn.Module):
    def __init__(self, size, kind):
        super().__init__()
        self.weight, self.kind = 0.3 * mx.random.normal((size, size)), kind

    def __call__(self, x):
        step = lambda h: mx.tanh(h @ self.weight)
        if self.kind == "scan":
            return mx.scan(lambda h, _: (step(h), None), x, length=3)[0]
        if self.kind == "fori_loop":
            return mx.fori_loop(0, 2, lambda i, h: h + step(h), x)
        return mx.cond(x.sum() > 0, step, lambda h: 2 * h, x)


class Ruled(nn.Module):
    """A function with a rule of its own for gradients."""

    def __init__(self, size):
        super().__init__()
        self.weight = mx.random.normal((size,))

    def __call__(self, x):
        @mx.custom_function
        def f(x, w):
            return mx.sin(x) * w

        @f.vjp
        def rule(primals, cotangent, output):
            x, w = primals
            return cotangent * mx.cos(x) * w, (cotangent * mx.sin(x)).sum((0, 1))

        return f(x, self.weight)


CLASSES = (Around, Checkpointed, First, Itself, Mapped, Counting, Looped, Ruled)

# ---- programs ------------------------------------------------------------------------------------

PLAIN = [
    "nn.Linear(size, size)",
    "nn.Linear(size, size, bias=False)",
    "nn.Sequential(nn.Linear(size, {n}), nn.GELU(), nn.Linear({n}, size))",
    "nn.MLP(size, [{n}, size], nn.gelu, bias={flag})",
    "nn.LayerNorm(size, affine={flag}, bias={flag})",
    "nn.RMSNorm(size)",
    "nn.GroupNorm({divisor}, size, affine={flag}, pytorch_compatible={flag})",
    "nn.InstanceNorm(size, affine={flag})",
    "nn.Conv1d(size, size, {odd}, padding={odd} // 2, groups={divisor}, bias={flag})",
    "nn.Conv1d(size, size, 3, padding={n}, dilation={n})",
    "nn.ConvTranspose1d(size, size, {odd}, padding={odd} // 2, bias={flag})",
    "nn.Sequential(nn.Upsample(2, mode={mode}), nn.Conv1d(size, size, 2, stride=2))",
    "nn.Sequential(nn.Upsample({n}), nn.AvgPool1d({n}))",
    "nn.AvgPool1d(3, 1, 1)",
    "nn.MaxPool1d(3, 1, 1)",
    "nn.RNN(size, size, bias={flag})",
    "nn.GRU(size, size, bias={flag})",
    "First(nn.LSTM(size, size, bias={flag}))",
    "Itself(nn.MultiHeadAttention(size, {divisor}, bias={flag}))",
    "nn.TransformerEncoderLayer(size, {divisor}, {n}, norm_first={flag})",
    "nn.TransformerEncoder(1, size, {divisor}, {n}, checkpoint={flag})",
    "nn.{activation}()",
    "nn.Dropout({share})",
    "Looped(size, {kind})",
    "Ruled(size)",
]
STATE = ["nn.BatchNorm(size, momentum={share}, affine={flag})", "Counting(size)"]
OUTER = ["Around({0})", "Checkpointed({0})", "Mapped({1})", "nn.Sequential({0}, {0})"]
RULES = [
    "opt.SGD({rate}, momentum=0.9, nesterov={flag})",
    "opt.SGD({rate}, weight_decay=0.1)",
    "opt.Adam({rate}, bias_correction={flag})",
    "opt.AdamW({rate}, weight_decay=0.1)",
    "opt.Adamax({rate})",
    "opt.RMSprop({rate})",
    "opt.Adagrad({rate})",
    "opt.AdaDelta({rate})",
    "opt.Lion({rate}, weight_decay=0.1)",
    "opt.Adafactor(warmup_init={flag})",
    "opt.Muon({rate})",
    "opt.LAMB({rate})",
    "opt.MultiOptimizer([opt.SGD({rate}), opt.Adam({rate})], [lambda path, w: 'bias' in path])",
]
RATES = [
    "0.01",
    "opt.cosine_decay(0.05, 5)",
    "opt.exponential_decay(0.05, 0.9)",
    "opt.join_schedules([opt.linear_schedule(0.0, 0.05, 2), opt.step_decay(0.05, 0.5, 2)], [2])",
]


def generate(rng):
    size = rng.choice([1, 2, 3, 4, 6, 8, 17])
    divisors = [d for d in range(1, size + 1) if size % d == 0]

    def filled(text):
        for word, choices in {
            "{n}": [1, 2, 3, 5],
            "{odd}": [1, 3, 5],
            "{divisor}": divisors,
            "{flag}": [True, False],
            "{share}": [0.1, 0.5],
            "{mode}": ["'nearest'", "'linear'", "'cubic'"],
            "{kind}": ["'scan'", "'fori_loop'", "'cond'"],
            "{activation}": ["GELU", "SiLU", "Tanh", "ReLU", "PReLU", "Mish", "Softplus", "ELU"],
            "{rate}": RATES,
        }.items():
            same = word in ("{n}", "{odd}")  # in all places of a layer
            chosen = str(rng.choice(choices))
            while word in text:
                text = text.replace(word, chosen, -1 if same else 1)
                chosen = str(rng.choice(choices))
        return text

    def layer(depth, state=True):
        if depth and rng.random() < 0.25:
            outer = rng.choice(OUTER)
            while "{" in outer:
                outer = outer.replace("{0}", layer(depth - 1, state), 1)
                outer = outer.replace("{1}", layer(depth - 1, False), 1)
            return outer
        return filled(rng.choice(STATE if state and rng.random() < 0.2 else PLAIN))

    lines = [
        f"size, steps, batch = {size}, {rng.choice([1, 2, 3, 5, 8])}, {rng.choice([1, 2, 3, 7])}",
        f"dtype = mx.{rng.choice(['float32'] * 3 + ['float64', 'float16', 'bfloat16'])}",
        f"mx.random.seed({rng.randrange(1000)})",
    ]
    lines += [f"layers.append({layer(2)})" for _ in range(rng.choice([1, 2, 3, 4]))]
    if rng.random() < 0.2:
        lines.append("layers[0].freeze()")
    if rng.random() < 0.2:
        lines.append("layers[-1].eval()")
    return [*lines, f"rule = lambda: {filled(rng.choice(RULES))}"]


# ---- what they mean ------------------------------------------------------------------------------


def made(lines):
    """(model, inputs of some steps, rule, dtype) of a program."""
    scope = {"mx": mx, "nn": nn, "opt": opt, "layers": [], **{c.__name__: c for c in CLASSES}}
    for line in lines:
        exec(line, scope)
    size, layers = scope["size"], scope["layers"]
    model = nn.Sequential(*layers, nn.Linear(size, size))
    xs = mx.random.normal((5, scope["batch"], scope["steps"], size))
    mx.eval(dict(model), xs)
    return model, xs, scope["rule"], scope["dtype"]


def loss_of(model, x):
    return mx.square(model(x)).astype(mx.result_type(x, mx.float32)).mean()


def stepped(model, rule, x):
    loss, gradients = nn.value_and_grad(model, lambda x: loss_of(model, x))(x)
    rule.update(model, gradients)
    return loss


def arrays(*trees):
    """{path: array} of trees."""
    found = {}
    for k, tree in enumerate(trees):
        tree = dict(tree) if isinstance(tree, dict) else tree
        for path, a in tree_flatten(tree):
            if isinstance(a, mx.array):
                found[f"{k}.{path}"] = a
    return found


def unlike(got, wanted, tolerance=0.0):
    """None, or how two results of `arrays` differ."""
    if got.keys() != wanted.keys():
        return f"has {sorted(got.keys() ^ wanted.keys())[:3]} or has not"
    for path, w in wanted.items():
        g = got[path]
        if g.shape != w.shape or g.dtype != w.dtype:
            return f"{path}: {g.dtype}{g.shape}, expected {w.dtype}{w.shape}"
        g, w = (np.array(a.astype(mx.float64) if a.dtype == mx.bfloat16 else a) for a in (g, w))
        if tolerance and w.dtype.kind == "f":
            scale = np.abs(w[np.isfinite(w)]).max(initial=1.0)
            same = np.allclose(g, w, tolerance, tolerance * scale, equal_nan=True)
        else:
            same = np.array_equal(g, w, equal_nan=w.dtype.kind == "f")
        if not same:
            return f"{path}: {g.reshape(-1)[:4]}, expected {w.reshape(-1)[:4]}"
    return None


def check(lines):
    try:
        model, xs, rule, dtype = made(lines)
        loss_of(model, xs[0]).item()
    except (
        NameError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ):
        return None  # no program (it is being shrunk), or a batch of one in training
    try:
        return same_bits(model, xs, rule, dtype) or same_numbers(model, xs)
    except Exception as error:
        return common.raised(error, "the program")


def same_bits(model, xs, rule, dtype):
    start = mx.random.state[0]
    model, xs = copy.deepcopy(model).set_dtype(dtype), xs.astype(dtype)

    def trained(model, rule, xs, step=stepped):
        losses = [step(model, rule, x) for x in xs]
        mx.eval(losses, model, rule.state)
        return losses

    def begun(count=0):
        mx.random.state[0] = start
        one, its = copy.deepcopy(model), rule()
        its.init(one.trainable_parameters())
        return one, its, trained(one, its, xs[:count])

    def end(one, its, losses):
        return arrays(dict(one), its.state, losses, [mx.random.state[0]])

    one, its, _ = begun()
    wanted = end(one, its, trained(one, its, xs))

    one, its, _ = begun()
    state = [one.state, its.state, mx.random.state]
    step = mx.compile(lambda x: stepped(one, its, x), inputs=state, outputs=state)
    found = unlike(end(one, its, trained(one, its, xs, lambda m, r, x: step(x))), wanted)
    if found:
        return common.Failure("compiled training differs", found)

    def through_file(one, its):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "state.safetensors"
            save_state(file, model=one, rule=its)
            mx.random.seed(1)
            other, its, _ = begun()
            mx.random.seed(2)
            load_state(file, model=other, rule=its)
            return other, its

    ways = {"a copy": copy.deepcopy}
    if "<lambda>" not in repr(getattr(its, "filters", "")):
        ways["a pickle"] = lambda both: pickle.loads(pickle.dumps(both))
    ways["a file"] = lambda both: through_file(*both)
    for way, carried in ways.items():
        one, its, losses = begun(2)
        one, its = carried((one, its))
        found = unlike(end(one, its, losses + trained(one, its, xs[2:])), wanted)
        if found:
            return common.Failure(f"training from {way} differs", found)
    return None


def same_numbers(model, xs):
    """In float64, where what is added up in another order is near."""
    start = mx.random.state[0]
    model, xs = copy.deepcopy(model).set_dtype(mx.float64), xs.astype(mx.float64)

    def slid(model, x):
        """A step of plain descent."""
        loss, gradients = nn.value_and_grad(model, lambda x: loss_of(model, x))(x)
        new = {k: v for k, v in tree_flatten(gradients)}
        own = dict(tree_flatten(model.trainable_parameters()))
        model.load_weights([(k, own[k] - 0.01 * g) for k, g in new.items()], strict=False)
        return model, loss

    def afresh():
        mx.random.state[0] = start
        return copy.deepcopy(model)

    one = afresh()
    losses = mx.stack([slid(one, x)[1] for x in xs])
    wanted = arrays(dict(one), [losses, mx.random.state[0]])
    one, losses = mx.scan(slid, afresh(), xs)
    found = unlike(arrays(dict(one), [losses, mx.random.state[0]]), wanted, 1e-7)
    if found:
        return common.Failure("training in a scan differs", found)

    # Two models as lanes of one.
    pair = [afresh(), afresh().apply(lambda a: 0.5 * a)]
    both = afresh()
    stacked = [mx.stack(list(ab)) for ab in zip(*(arrays(dict(m)).values() for m in pair))]
    put(both, iter(stacked))
    both, losses = mx.vmap(slid)(both, xs[:2])
    for k, one in enumerate(pair):
        mx.random.state[0] = start
        one, loss = slid(one, xs[k])
        lane = {path: a[k] for path, a in arrays(dict(both), [losses]).items()}
        found = unlike(lane, arrays(dict(one), [loss]), 1e-7)
        if found:
            return common.Failure("a lane of several models differs", found)

    # Derivatives, in inference: no random numbers, no statistics.
    model = afresh().eval()
    x, move = xs[0], mx.cos(xs[1])
    moves = {k: mx.sin(7 * a + 1) for k, a in tree_flatten(model.trainable_parameters())}
    f = lambda model, x: loss_of(model, x)
    slopes, slope = mx.grad(f, (0, 1))(model, x)
    slopes = dict(tree_flatten(slopes))
    along = float((slope * move).sum()) + sum(float((slopes[k] * moves[k]).sum()) for k in moves)
    tangents = tree(model, moves)
    tangent = float(mx.jvp(f, [model, x], [tangents, move])[1][0])
    if not np.isclose(tangent, along, 1e-8, 1e-9):
        return common.Failure("tangents differ from gradients", f"{tangent} and {along}")

    def at(step):
        other = copy.deepcopy(model)
        own = dict(tree_flatten(other.parameters()))
        moved = [(k, own[k] + step * m) for k, m in moves.items()]
        return float(f(other.load_weights(moved, strict=False), x + step * move))

    def difference(a, b):
        return (at(b) - at(a)) / (b - a)

    near, far = difference(-1e-5, 1e-5), difference(-2e-5, 2e-5)
    bend = difference(-1e-5, 0) - difference(0, 1e-5)  # at a number where two pieces meet
    if abs(bend) < 1e-2 * (1 + abs(near)) and not np.isclose(
        along, near, 1e-5, 1e-6 + 10 * abs(near - far)
    ):
        return common.Failure("gradients are no finite differences", f"{along} and {near}")

    # Example by example. (Branches choose by the whole batch.)
    if "kind" in repr([m.__dict__ for m in model.modules()]) and len(x) > 1:
        return None
    mapped = mx.vmap(lambda one: model(one[None])[0])(x)
    found = unlike({"y": mapped}, {"y": model(x)}, 1e-8)
    return found and common.Failure("mapped examples differ", found)


def put(tree, values):
    """Other arrays in the places of those of a model."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        if isinstance(tree[key], mx.array):
            tree[key] = next(values)
        elif isinstance(tree[key], (dict, list)):
            put(tree[key], values)


def tree(model, moves):
    """Tangents by path as a tree of the model's form."""
    other = copy.deepcopy(model)
    put(other, (0 * a for a in arrays(dict(model)).values()))
    return other.load_weights(list(moves.items()), strict=False).parameters()


def show(lines, kind):
    used = "".join(f"\n\n{inspect.getsource(c)}" for c in CLASSES if c.__name__ in "".join(lines))
    if "(Around)" in used and "class Around" not in used:
        used = f"\n\n{inspect.getsource(Around)}" + used
    return (
        "import lazulite.core as mx\nimport lazulite.nn as nn\nimport lazulite.optimizers as opt\n"
        f"{used}\n\nlayers = []\n" + "\n".join(lines) + "\n"
        "model = nn.Sequential(*layers, nn.Linear(size, size))\n"
        "x = mx.random.normal((batch, steps, size)).astype(dtype)\n"
        f"print(model.set_dtype(dtype)(x))  # {kind}\n"
    )


if __name__ == "__main__":
    common.main(generate, check, show=show, timeout=60.0)
