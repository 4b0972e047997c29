"""Cases that run.py makes from the table of functions: no list of functions stands here."""

import math
import re

from cases import CASES, Input, Work, case, formula

MILLION = 10**6


def register(rows):
    for row in rows:
        label = f"{row['name']}, {row['label']}"
        if row["kind"] == "elementwise":
            one = Input(row["dtype"], MILLION, low=row["low"], high=row["high"])
            f = lambda m, *a, name=row["name"]: getattr(m, name)(*a)  # noqa: E731
            formula(
                "elementwise", label, f, *[one] * row["operands"], tolerance=tolerance(row["dtype"])
            )
        elif f"functions: {label}" not in CASES:
            sample(label, row)


def tolerance(dtype):
    return {"float16": 1e-2, "bfloat16": 6e-2}.get(dtype)


def sample(label, row):
    """A call of the table's large samples, with limits so large that about 1e6 elements go in."""

    @case("functions", label, judged=False)
    def make(api):
        limits, seeds = dict(row["limits"]), iter(range(100))
        if api.small:
            limits = {k: max(2, n // 256) for k, n in limits.items()}
        inputs = []

        def x(*shape):
            shape = tuple(int(n) for n in shape)
            values = api.values("float32", shape, row["low"], row["high"], next(seeds))
            inputs.append(api.array(values, "float32"))
            return inputs[-1]

        def i(high, *shape):
            inputs.append(api.array(api.values("int32", shape, 0, high, next(seeds)), "int32"))
            return inputs[-1]

        def b(*shape):
            inputs.append(api.array(api.values("bool", shape, seed=next(seeds)), "bool"))
            return inputs[-1]

        scope = {"x": x, "i": i, "b": b, "args": lambda *a, **k: (a, k), **limits}
        args, kwargs = eval(f"args({row['case']})", scope)
        owner = api.lib
        for part in row["module"].split(".") if row["module"] else ():
            owner = getattr(owner, part)
        f = getattr(owner, row["name"])
        flat = list(inputs)

        def call(*arrays):
            given = iter(arrays)
            places = {id(a): next(given) for a in flat}
            return f(*put(args, places), **kwargs)

        return Work(api.run(call, *flat), flat)


def put(tree, places):
    if isinstance(tree, (list, tuple)):
        return type(tree)(put(part, places) for part in tree)
    return places.get(id(tree), tree)


def elements(case, limits):
    """How many elements the arrays of a case of the table hold together."""
    total = [0]

    def x(*shape):
        total[0] += math.prod(shape)

    scope = {"x": x, "i": lambda high, *shape: x(*shape), "b": x, "args": lambda *a, **k: a}
    eval(f"args({case})", {**scope, **limits})
    return total[0]


def from_table(table, limits, numpy):
    """Rows for `register`: each elementwise function in float32 (or the first dtype that it has),
    the cheapest and the dearest kind in every dtype, and a large sample of every other function.
    Another name of the same function is left out, as NumPy knows it, and so is what has one of
    several right answers (by a stable order: cases.sort has it)."""
    rows, seen = [], {}
    for r in table:
        known = getattr(numpy, r["name"], None)
        if known is not None and seen.setdefault(id(known), r["name"]) != r["name"]:
            continue
        about = {
            "name": r["name"],
            "module": r["module"],
            "low": r.get("low", -2.0),
            "high": r.get("high", 2.0),
        }
        if "operands" in r:
            dtypes = ["float32"] if "float32" in r["dtypes"] else r["dtypes"][-1:]
            if r["name"] in ("add", "exp"):
                dtypes = r["dtypes"]
            for dtype in dtypes:
                low, high = about["low"], about["high"]
                if dtype[:4] in ("int3", "int6", "int8", "int1", "uint"):
                    low, high = (0 if dtype[0] == "u" else low * 3), high * 3
                rows.append(
                    {
                        **about,
                        "kind": "elementwise",
                        "operands": r["operands"],
                        "dtype": dtype,
                        "label": f"1e6 {dtype}",
                        "low": low,
                        "high": high,
                    }
                )
            continue
        for text in r["large"][:1]:
            if "mx." in text or ").T" in text or r["module"] not in ("", "fast"):
                continue
            if "stable" in r["reference"]:
                continue
            scale = 1
            while scale < 64:
                size = elements(text, {k: v * scale for k, v in limits.items()})
                if size == 0 or size >= MILLION:
                    break
                scale *= 2
            scaled = {k: v * scale for k, v in limits.items()}
            rows.append(
                {
                    **about,
                    "kind": "sample",
                    "case": text,
                    "limits": scaled,
                    "label": shown(text, scaled),
                }
            )
    return rows


def shown(text, limits):
    """The case with numbers in the place of limits, where they are plain."""

    def number(match):
        try:
            return str(eval(match[0], dict(limits)))
        except (NameError, SyntaxError):
            return match[0]

    return re.sub(r"(?:\d+ \* )?\b(?:" + "|".join(limits) + r")\b(?: \+ \d+)?", number, text)
