"""Writes docs/functions.md from what the package says of itself: signature, meaning and example of
every function.

    python tools/make_function_index.py            writes the page
    python tools/make_function_index.py --check    fails when the page is not what it would write
"""

import inspect
import re
import sys
import textwrap
from pathlib import Path

import lazulite.core as mx
import lazulite.data as data
import lazulite.nn as nn
import lazulite.optimizers as optim
import lazulite.sparse as sparse
import lazulite.utils as utils
from lazulite.core import _core, _elsewhere, _fast

PAGE = Path(__file__).resolve().parent.parent / "docs" / "functions.md"

HEAD = """# All functions

Made from the table of functions by `tools/make_function_index.py`. The examples are run by the tests.

`mx` is `lazulite.core`. Where there is `stream=`, it names the stream or device that computes the result. `array | scalar` means that
numbers are taken too; they have the dtype of their company.
"""


HEADING = re.compile(
    r"^(Args|Returns|Raises|Example|Examples|Attributes|Parameters|Note|References):{1,2}$"
)


def as_list(lines):
    """The indented lines under `Args:` as a list, an item for each name."""
    items = []
    for line in textwrap.dedent("\n".join(lines)).splitlines():
        name = re.match(r"([\w*, ]+): (.*)", line)
        if name:
            items.append(f"* `{name[1]}`: {name[2]}")
        elif items and line.strip():
            items[-1] += " " + line.strip()
        elif line.strip():
            items.append(line)
    return items


def formulas(text):
    """`.. math::` and `:math:` as Markdown writes them."""
    def block(found):
        body = (found[1].strip() + "\n" + textwrap.dedent(found[2]).strip()).strip()
        return (
            "\n```math\n"
            + (f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}" if "&" in body else body)
            + "\n```\n\n"
        )

    text = re.sub(r"^\.\. math::(.*)\n((?:\n| +.*(?:\n|$))*)", block, text + "\n", flags=re.M)
    return re.sub(r":math:`([^`]*)`", r"$`\1`$", text)


def as_markdown(doc):
    """(meaning, example) of a docstring: sections become lists, markup of other tools becomes
    code."""
    meaning, example, section, held = [], [], "", []

    def close():
        if section:
            meaning.extend(
                ["", section + ":", "", *as_list(held), ""]
                if section in ("Args", "Raises", "Attributes")
                else ["", section + ":", *textwrap.dedent("\n".join(held)).splitlines()]
            )
        held.clear()

    for line in inspect.cleandoc(doc or "").splitlines():
        heading = HEADING.match(line)
        if heading or (section and line and not line.startswith(" ")):
            close()
            section = heading[1] if heading else ""
            if heading:
                continue
        if example or line.lstrip().startswith(">>>"):
            if example and line and not line.startswith(" ") and section.startswith("Example"):
                section = ""
            example.append(line)
        else:
            (held if section else meaning).append(line)
    if not section.startswith("Example"):
        close()
    text = formulas(re.sub(r"(?<!`)``(?!`)", "`", "\n".join(meaning)))
    text = re.sub(r":\w+:`~?\.?([^`]*)`", r"`\1`", text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return text, textwrap.dedent("\n".join(example)).strip()


def with_values(example):
    """Examples that show shapes alone show their values here."""
    found = re.fullmatch(r">>> (.*)\.shape\n\(2,\)", example)
    return f">>> {found[1]}\n{eval(found[1], {'mx': mx})!r}" if found else example


class Entry:
    """One function or class: where it stands, how it is called, what it says of itself."""

    def __init__(self, prefix, name, signature, doc):
        self.prefix, self.name, self.signature = prefix, name, signature
        self.meaning, self.example = as_markdown(doc)
        self.anchor = re.sub(r"[^\w-]", "", self.title.lower())

    @property
    def title(self):
        return self.prefix + self.name

    def text(self):
        example = f"\n\n```pycon\n{with_values(self.example)}\n```" if self.example else ""
        return f"### {self.title}\n\n`{self.signature}`\n\n{self.meaning}{example}\n"


def shown(annotation):
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(lazulite\.core|mx|typing)\.", "", text)


class Named:
    """A default that is a function, shown by its name."""

    def __init__(self, function):
        self.name = function.__name__

    def __repr__(self):
        return self.name


def call_of(name, value):
    """name(parameters) of a Python function or class, without annotations."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return name
    bare = [
        (
            p.replace(
                annotation=p.empty, default=Named(p.default) if callable(p.default) else p.default
            )
            if p.default is not p.empty
            else p.replace(annotation=p.empty)
        )
        for p in signature.parameters.values()
    ]
    result = signature.return_annotation
    tail = (
        ""
        if inspect.isclass(value) or result in (signature.empty, None, "None")
        else f" -> {shown(result)}"
    )
    text = f"{name}{signature.replace(parameters=bare, return_annotation=signature.empty)}{tail}"
    return re.sub(r"<(?:class|function|built-in function) '?([\w.]+)[^>]*>", r"\1", text)


def rows(module, prefix):
    for row in _core._table():
        if row["module"] == module and not row["name"].startswith("_"):
            yield Entry(
                prefix, row["name"], f"{row['signature']} -> {row['types'][-1]}", row["doc"]
            )


def members(module, prefix, names=None):
    """What a module defines in Python, or re-exports under `names`."""
    for name, value in [(n, getattr(module, n)) for n in dir(module)]:
        if name.startswith("_") or (names is not None and name not in names):
            continue
        ours = getattr(value, "__module__", None) or ""
        if names is None and not ours.startswith(module.__name__):
            continue
        if inspect.isclass(value) or inspect.isfunction(value) or (names and callable(value)):
            yield Entry(prefix, name, call_of(name, value), inspect.getdoc(value))


def sections():
    core = {e.name: e for e in rows("", "mx.")}
    for name in ("eval", "async_eval"):
        core[name] = Entry("mx.", name, f"{name}(*args) -> None", getattr(mx, name).__doc__)
    for entry in members(mx, "mx."):
        if entry.name in core and entry.name == "quantize":  # of arrays and of models
            core[entry.name].meaning = entry.meaning
        core.setdefault(entry.name, entry)
    yield "Arrays and functions", core.values()
    yield "Random numbers", rows("random", "mx.random.")
    kernels = [n for n in vars(_elsewhere) if n.endswith("_kernel")]
    yield "Fused functions", [
        *rows("fast", "mx.fast."),
        *members(_elsewhere, "mx.fast.", kernels),
        *members(_fast, "mx.fast."),
    ]
    yield "Fourier transforms", rows("fft", "mx.fft.")
    yield "Linear algebra", rows("linalg", "mx.linalg.")
    yield "Sparse matrices", [
        *rows("sparse", "mx.sparse."),
        *members(sparse, "mx.sparse.", set(sparse.__all__) - set(vars(_core.sparse))),
    ]
    yield "Methods of arrays", rows("array", "array.")
    layers = [e for e in members(nn, "nn.", set(nn.__all__)) if e.name not in ("init", "losses")]
    yield "Networks", layers
    quantized = members(nn.quantization, "nn.quantization.", set(nn.quantization.__all__))
    yield "Networks in few bits", [e for e in quantized if e.name not in nn.__all__]
    yield "Losses", members(nn.losses, "nn.losses.")
    yield "Initialisers", members(nn.init, "nn.init.")
    yield "Optimizers and schedules", members(optim, "optim.", set(optim.__all__))
    yield "Trees, and the state of a run", members(utils, "lazulite.utils.", set(utils.__all__))
    yield "Data", members(data, "lazulite.data.", set(data.__all__))
    yield "Several processes", members(mx.distributed, "mx.distributed.")


def text():
    out, bodies, anchors = [HEAD], [], {}
    for title, entries in sections():
        entries = sorted(entries, key=lambda e: e.name.lower())
        for entry in entries:  # headings that differ in case alone are numbered
            anchors[entry.anchor] = again = anchors.get(entry.anchor, -1) + 1
            entry.anchor += f"-{again}" if again else ""
        out.append(f"**{title}**: " + ", ".join(f"[{e.name}](#{e.anchor})" for e in entries) + "\n")
        bodies.append(f"## {title}\n")
        if title.startswith("Methods"):
            names = sorted({row["name"] for row in _core._table() if row["method"]})
            bodies.append(
                "These functions are methods too, with the array as first argument: "
                + ", ".join(f"`{n}`" for n in names)
                + ".\n"
            )
        bodies += [e.text() for e in entries]
    return "\n".join(out + bodies)


if __name__ == "__main__":
    wanted = text()
    if "--check" in sys.argv:
        sys.exit(
            0
            if PAGE.exists() and PAGE.read_text() == wanted
            else "the function index is out of date: run tools/make_function_index.py"
        )
    PAGE.write_text(wanted)
