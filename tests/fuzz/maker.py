"""Makes random programs of statements over the exported table; see programs.py."""

import ast
import copy
import inspect
import re
import warnings

import common
import numpy as np

import lazulite.core as mx
import table

# Not of every matrix there are factors, nor a distance between nearly singular ones' results.
ROWS = {(r.module, r.name): r for r in table.TESTED if r.module != "linalg"}
BLOCK, TREE, CHUNK, TILE, INNER = (
    table.LIMITS[n] for n in ("block", "tree", "chunk", "tile", "inner")
)
MOST = 300_000  # elements of one array
DTYPES = table.ALL


def array(dtype, shape, seed, low=-2.0, high=2.0):
    rng = np.random.default_rng(seed)
    v = rng.uniform(low, high, shape)
    if dtype.startswith("complex"):
        v = v + 1j * rng.uniform(low, high, shape)
    elif dtype == "bool":
        v = v > (low + high) / 2
    elif "int" in dtype:
        v = np.round(np.abs(v * 3) if dtype[0] == "u" else v * 3).astype(dtype)
    return mx.array(v, getattr(mx, dtype.replace("bool", "bool_")))


def indices(high, shape, seed):
    return mx.array(np.random.default_rng(seed).integers(0, high, shape), mx.int32)


warnings.simplefilter("ignore")  # of NumPy, about nan
# The methods of at[] by NumPy's function; it divides integers to floats.
METHODS = [m for m in dir(mx.zeros(1).at[0]) if m[0] != "_" and m not in ("set", "divide")]
UPDATES = {m: getattr(np, m) for m in METHODS}
SCOPE = {"mx": mx, "np": np, "array": array, "indices": indices}
HEADER = common.HEADER + "".join("\n\n" + inspect.getsource(f) for f in (array, indices)) + "\n\n"


# ---- making --------------------------------------------------------------------------------------


class Maker:
    """Makes a program; the statements are recorded as they come, on zeros, for shapes and dtypes.
    Nothing is evaluated."""

    def __init__(self, rng):
        self.rng = rng
        self.lines, self.arrays, self.count = [], {}, 0
        self.written = {}  # keys by name
        self.dtypes = rng.sample(DTYPES, rng.choice([1, 2, 3]))
        if rng.random() < 0.7:
            self.dtypes[0] = rng.choice(
                ["float32", "float32", "float16", "bfloat16", "float64", "complex64"]
            )
        small = [0, 1, 1, 2, 3, 4, 5, 7, 17]
        kind = rng.random()
        self.sizes = small
        if kind < 0.35:
            self.sizes = small + [BLOCK - 1, BLOCK, BLOCK + 1, 64, 65, 127]
        elif kind < 0.5:
            self.sizes = small[1:] + [CHUNK + 1, 2 * CHUNK + 3, TREE + 1, TREE - 1, 3 * TREE + 5]
        elif kind < 0.6:
            self.sizes = [1, 2, INNER + 1, TILE // 2 + 4, TILE + 1]

    def name(self):
        self.count += 1
        return f"v{self.count - 1}"

    def shape(self):
        for _ in range(9):
            shape = tuple(
                self.rng.choice(self.sizes)
                for _ in range(self.rng.choice([0, 1, 1, 2, 2, 2, 3, 4]))
            )
            if np.prod(shape, dtype=object) <= MOST:
                return shape
        return (self.rng.choice(self.sizes),)

    def record(self, line, value):
        """Keeps an assignment whose recorded value is known."""
        self.lines.append(line)
        self.arrays[line.split(" ", 1)[0]] = value

    def fresh(self, dtype, shape, low=-2.0, high=2.0):
        name = self.name()
        domain = "" if (low, high) == (-2.0, 2.0) else f", {low}, {high}"
        self.record(
            f'{name} = array("{dtype}", {shape}, {self.rng.randrange(1000)}{domain})',
            mx.zeros(shape, table.dtype_of(dtype)),
        )
        return name

    def attempt(self, text):
        """The value of an expression on what is recorded, or None when it is refused or too
        large."""
        common.trying([*self.lines, f"v{self.count} = {text}"])
        try:
            value = eval(text, {**SCOPE, **self.arrays})
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        parts = table.arrays_in(value)
        return value if all(p.size <= MOST for p in parts) else None

    # ---- operands

    def operand(self, shape, dtype, row=None):
        """An expression of this shape and dtype: a name, a view of one, or a new array."""
        shape = tuple(shape)
        low, high = (row.low, row.high) if row else (-2.0, 2.0)
        if "int" in dtype and low >= 0:
            low = max(low, 0.4)
        usual = [n for n, a in self.arrays.items() if table.name_of(a.dtype) == dtype]
        size = int(np.prod(shape))
        found = [n for n in usual if self.arrays[n].shape == shape]
        candidates = list(found)
        for n in usual:
            a = self.arrays[n]
            if a.shape != shape and a.size == size and self.rng.random() < 0.5:
                candidates.append(f"{n}.reshape({shape})")
            if a.ndim == len(shape) == 2 and a.shape == shape[::-1]:
                candidates.append(f"{n}.T")
            if (
                a.ndim == len(shape)
                and a.shape != shape
                and all(p >= q for p, q in zip(a.shape, shape))
            ):
                candidates.append(
                    n + "[" + ", ".join(self.part(p, q) for p, q in zip(a.shape, shape)) + "]"
                    if shape
                    else n
                )
            if (
                self.rng.random() < 0.3
                and a.ndim <= len(shape)
                and all(p in (1, q) for p, q in zip(a.shape[::-1], shape[::-1]))
            ):
                candidates.append(f"mx.broadcast_to({n}, {shape})")
        if candidates and self.rng.random() < 0.85:
            chosen = self.rng.choice(candidates)
            if (low, high) != (-2.0, 2.0) and dtype not in ("bool", "complex64", "complex128"):
                name = self.name()
                bounds = (
                    (low, high) if "int" not in dtype else (int(np.ceil(low * 3)), int(high * 3))
                )
                text = f"mx.clip({chosen}, {bounds[0]}, {bounds[1]})"
                value = self.attempt(text)
                if value is None or table.name_of(value.dtype) != dtype:
                    return self.fresh(dtype, shape, low, high)
                self.record(f"{name} = {text}", value)
                return name
            return chosen
        if shape and self.rng.random() < 0.3:  # a strided or reversed operand
            axis = self.rng.randrange(len(shape))
            step = self.rng.choice([2, -1, -2])
            grown = tuple(n * abs(step) if k == axis else n for k, n in enumerate(shape))
            key = ", ".join(f"::{step}" if k == axis else ":" for k in range(len(shape)))
            return f"{self.fresh(dtype, grown, low, high)}[{key}]"
        return self.fresh(dtype, shape, low, high)

    def part(self, have, want):
        if have == want:
            return self.rng.choice([":", ":", "::-1"]) if have else ":"
        start = self.rng.randint(0, have - want)
        if want and start == 0 and have // want >= 2 and self.rng.random() < 0.5:
            step = have // want
            return f":{(want - 1) * step + 1}:{step}"
        return f"{start}:{start + want}"

    def existing(self, *, least=0):
        names = [n for n, a in self.arrays.items() if a.ndim >= least]
        return self.rng.choice(names) if names else None

    # ---- statements

    def call(self):
        """A row of the table, by one of its cases with other sizes."""
        row = self.rng.choice(list(ROWS.values()))
        if row.elementwise:
            return self.elementwise(row)
        case = self.rng.choice(row.cases)
        dtype = self.rng.choice(list(row.types) if row.types else self.dtypes)
        tree = ast.parse(f"args({case})", mode="eval").body
        made = [
            n
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in "xib"
        ]
        axes = {
            c.value
            for m in made
            for c in m.args[m.func.id == "i" :]
            if isinstance(c, ast.Constant) and c.value >= 2
        }
        if row.module == "sparse":  # numbers in a pattern are the sizes of its operands
            axes = set()
        for _ in range(4):
            changed = {n: self.rng.choice(self.sizes) for n in axes if self.rng.random() < 0.6}
            everywhere = self.rng.random() < 0.4
            before = len(self.lines), dict(self.arrays), self.count
            text = self.case_text(row, tree, axes, changed, everywhere, dtype)
            value = text and self.attempt(text)
            if text and value is not None and table.arrays_in(value):
                self.result(text, value)
                return
            del self.lines[before[0] :]
            self.arrays, self.count = before[1], before[2]
            dtype = self.rng.choice(list(row.types) if row.types else ["float32", *self.dtypes])

    def case_text(self, row, tree, axes, changed, everywhere, dtype):
        maker = self

        class Fill(ast.NodeTransformer):
            """Puts operands in the places of x(...), i(...) and b(...), and the new sizes where the
            old ones stood."""

            def visit_Call(self, node):
                kind = node.func.id if isinstance(node.func, ast.Name) else ""
                if kind not in ("x", "i", "b"):
                    return self.generic_visit(node)
                shape = tuple(changed.get(c.value, c.value) for c in node.args)
                if kind == "i":
                    high, shape = shape[0], shape[1:]
                    if any(changed.get(n, n) != n for n in axes):
                        high = min(changed.get(n, n) for n in axes)  # in range on any axis
                if np.prod(shape, dtype=object) > MOST or (kind == "i" and high == 0):
                    raise ValueError
                if kind == "i":
                    name = maker.name()
                    maker.record(
                        f"{name} = indices({high}, {shape}, {maker.rng.randrange(1000)})",
                        mx.zeros(shape, mx.int32),
                    )
                    return ast.Name(name)
                return ast.parse(
                    maker.operand(shape, "bool" if kind == "b" else dtype, row), mode="eval"
                ).body

            def visit_Constant(self, node):
                return (
                    ast.Constant(changed.get(node.value, node.value))
                    if everywhere and type(node.value) is int
                    else node
                )

        try:
            call = Fill().visit(copy.deepcopy(tree))
        except ValueError:
            return None
        call.func = ast.parse(
            f"mx.{row.module + '.' if row.module else ''}{row.name}", mode="eval"
        ).body
        return ast.unparse(call)

    def elementwise(self, row):
        of_ours = [d for d in self.dtypes if d in row.types]
        dtype = self.rng.choice(of_ours or list(row.types))
        parts = re.findall(r"x\(", row.cases[0])
        base = (
            self.rng.choice([a.shape for a in self.arrays.values()] or [()])
            if self.rng.random() < 0.7
            else self.shape()
        )
        operands = []
        for k in range(len(parts)):
            shape = base
            if k and self.rng.random() < 0.3:  # broadcasts
                shape = tuple(1 if self.rng.random() < 0.5 else n for n in base)[
                    self.rng.randrange(len(base) + 1) :
                ]
            other = self.rng.choice(of_ours) if of_ours and self.rng.random() < 0.2 else dtype
            operands.append(self.operand(shape, other, row))
        if len(operands) == 2 and self.rng.random() < 0.15:
            operands[self.rng.randrange(2)] = self.rng.choice(
                ["2", "3"] if "int" in dtype else ["1.5", "2"] if dtype != "bool" else ["True"]
            )
        text = f"mx.{row.name}({', '.join(operands)})"
        value = self.attempt(text)
        if value is not None:
            self.result(text, value)

    def result(self, text, value):
        name = self.name()
        if isinstance(value, (list, tuple)):
            k = self.rng.randrange(len(value))
            text, value = f"{text}[{k}]", value[k]
        if isinstance(value, mx.array):
            self.record(f"{name} = {text}", value)

    def key(self, a, *, writing=False):
        """An index of NumPy's for an array, as text."""
        parts = []
        gathered = False
        for n in a.shape[: self.rng.randint(1, a.ndim)]:
            kind = self.rng.random()
            if kind < 0.2 and n:
                parts.append(str(self.rng.randint(-n, n - 1)))
            elif kind < 0.45 and n and not gathered:
                gathered = True
                shape = self.rng.choice([(1,), (2,), (3, 2), (min(n, 40),), (0,)])
                name = self.name()
                self.record(
                    f"{name} = indices({n}, {shape}, {self.rng.randrange(1000)})",
                    mx.zeros(shape, mx.int32),
                )
                parts.append(name)
            elif kind < 0.9:
                start, stop = sorted((self.rng.randint(0, n), self.rng.randint(0, n)))
                step = self.rng.choice(["", "", "2", "-1", "3", "-2"])
                parts.append(
                    f"{stop if stop < n else ''}:{start or ''}:{step}"
                    if step.startswith("-")
                    else f"{start or ''}:{stop if stop < n else ''}:{step}"
                )
            else:
                parts.append(":")
        if self.rng.random() < 0.15 and not writing:
            parts.insert(self.rng.randint(0, len(parts)), "None")
        if self.rng.random() < 0.2 and len(parts) < a.ndim:
            parts.insert(0, "...")
        return ", ".join(parts)

    def read(self):
        n = self.existing(least=1)
        if n is None:
            return
        text = self.rng.choice([f"{n}[{self.key(self.arrays[n])}]", f"{n}.T", f"{n}[...]"])
        # What was just written there, by an index that is not deleted since.
        again = [
            key
            for key in self.written.get(n, ())
            if all(name in self.arrays for name in re.findall(r"\bv\d+\b", key))
        ]
        if again and self.rng.random() < 0.5:
            text = f"{n}[{self.rng.choice(again)}]"
        value = self.attempt(text)
        if value is not None:
            self.result(text, value)

    def write(self):
        n = self.existing(least=1)
        if n is None:
            return
        a = self.arrays[n]
        key = self.key(a, writing=True)
        place = self.attempt(f"{n}[{key}]")
        if place is None:
            return
        dtype = table.name_of(a.dtype)
        shape = place.shape
        if self.rng.random() < 0.3:
            shape = tuple(1 if self.rng.random() < 0.5 else k for k in shape)
        same = [m for m, b in self.arrays.items() if b.shape == shape and b.dtype == a.dtype]
        value = self.rng.choice(
            ["1", n if n in same else "1", self.operand(shape, dtype), self.operand(shape, dtype)]
        )
        if self.rng.random() < 0.3 and place.shape == a.shape:  # of itself, in another order
            value = f"{n}[{', '.join([self.rng.choice(['::-1', ':']) for _ in a.shape])}]"
        kind = self.rng.random()
        if kind < 0.5:
            line = f"{n}[{key}] = {value}"
        elif kind < 0.65 and dtype != "bool":
            line = f"{n}[{key}] {self.rng.choice(['+=', '*='])} {value}"
        else:
            method = self.rng.choice([*UPDATES, "set"])
            if dtype == "bool":
                method = "set"
            text = f"{n}.at[{key}].{method}({value})"
            made = self.attempt(text)
            if made is not None:
                self.result(text, made)
            return
        try:
            scope = {
                **SCOPE,
                **{m: mx.zeros(b.shape, b.dtype) if m == n else b for m, b in self.arrays.items()},
            }
            common.trying([*self.lines, line])
            exec(line, scope)
        except (ValueError, TypeError, IndexError):
            return
        if scope[n].size <= MOST:
            self.lines.append(line)
            self.written.setdefault(n, []).append(key)

    def write_mask(self):
        n = self.existing(least=1)
        if n is None:
            return
        a = self.arrays[n]
        axes = self.rng.randint(1, a.ndim)
        mask = self.operand(a.shape[:axes], "bool")
        inner = a.shape[axes:]
        value = self.rng.choice(
            [
                "1",
                (
                    self.operand(inner, table.name_of(a.dtype))
                    if axes < a.ndim or inner == ()
                    else "1"
                ),
            ]
        )
        self.lines.append(f"{n}[{mask}] = {value}")

    def in_place(self):
        n = self.existing()
        if n is None:
            return
        a = self.arrays[n]
        dtype = table.name_of(a.dtype)
        if dtype == "bool":
            return
        shape = tuple(1 if self.rng.random() < 0.2 else k for k in a.shape)
        value = self.rng.choice(["1", n, self.operand(shape, dtype), self.operand(shape, dtype)])
        self.lines.append(f"{n} {self.rng.choice(['+=', '-=', '*='])} {value}")

    def rename(self):
        n = self.existing()
        if n:
            name = self.name()
            self.record(f"{name} = {n}", self.arrays[n])

    def evaluate(self):
        names = self.rng.sample(list(self.arrays), min(len(self.arrays), self.rng.randint(1, 3)))
        if names:
            self.lines.append(
                self.rng.choice(
                    [
                        f"mx.eval({', '.join(names)})",
                        f"mx.async_eval({', '.join(names)})",
                        f"np.asarray({names[0]}.astype(mx.float32))",
                    ]
                )
            )

    def delete(self):
        if len(self.arrays) > 3:
            n = self.existing()
            del self.arrays[n]
            self.lines.append(f"del {n}")

    def make(self):
        kinds = (
            [self.call] * 10
            + [self.read] * 2
            + [self.write] * 3
            + [self.write_mask]
            + [self.in_place] * 2
            + [self.rename, self.delete]
        )
        evaluates = self.rng.random() < 0.6
        for _ in range(self.rng.choice([3, 6, 12, 20])):
            self.rng.choice(kinds)()
            if evaluates and self.rng.random() < 0.15:
                self.evaluate()
        return self.lines


def generate(rng):
    return Maker(rng).make()
