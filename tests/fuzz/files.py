"""Files: valid ones of every format, of which bytes, numbers and words are changed.

`load` gives arrays or raises `FormatError`, within a second, without a huge block of memory, and
the same from a path as from bytes; so does the evaluation of what it gives, where it does not say
that a file is damaged. What loads is the same when it is cast on the way, and comes back when it is
saved. `--collect SECONDS` prints the shortest program for each thing that was ever said of a file,
which tests/core/test_damaged_files.py keeps.
"""

import io
import json
import os
import re
import resource
import struct
import sys
import tempfile
import time

import common
import numpy as np

import lazulite.core as mx

SANITIZED = "ASAN_OPTIONS" in os.environ
LIMIT = 1 << 30 if SANITIZED else 4 << 30  # bytes of address space that the child may add
FORMATS = ("npy", "npz", "safetensors", "gguf")
WORDS = (
    '-1 0 1 2 3 255 65536 4294967296 9223372036854775807 18446744073709551616 1e3 1.5 NaN true null'
    ' [] [[ {} {{ "" "a" ] } , : (1,) None True \'<f8\' \'>c16\' "F64" "F8_E5M2" "BOOL" "F4" "C64"'
).split()
NUMBERS = [0, 1, 2, 3, 8, 9, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


# ---- valid files ---------------------------------------------------------------------------------


def _numpy(save, *args, **named):
    out = io.BytesIO()
    save(out, *args, **named)
    return out.getvalue()


def _ours(save, *args, **named):
    return _numpy(save, *args, **named)


def _blocks():
    """A gguf file with tensors of blocks."""

    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    tensors, body = b"", b""
    kinds = {2: 18, 8: 34, 12: 144, 14: 210, 20: 18, 30: 2}
    for k, (kind, size) in enumerate(kinds.items()):
        columns = 256 if kind in (12, 14) else 32
        tensors += text(f"t{k}.weight") + struct.pack("<IQQIQ", 2, columns, 2, kind, len(body))
        data = bytes(range(1, 1 + size)) * (2 if kind != 30 else 64) if size < 250 else b""
        body += data + bytes(-len(data) % 32)
    pairs = text("a") + struct.pack("<I", 8) + text("some text")
    pairs += text("b") + struct.pack("<IIQ", 9, 8, 2) + text("x") + text("yz")
    pairs += text("c") + struct.pack("<IIQ4B", 9, 0, 4, 1, 2, 3, 4)
    pairs += text("d") + struct.pack("<IIQIQ2H", 9, 9, 1, 2, 2, 5, 6)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(kinds), 4) + pairs + tensors
    return head + bytes(-len(head) % 32) + body


N = np.arange(12, dtype=np.float32).reshape(3, 4)
A = {"a": mx.arange(6).reshape(2, 3), "b": mx.ones(2, mx.bfloat16), "c": mx.array(True)}
BASES = {
    "npy": [
        lambda: _numpy(np.save, N),
        lambda: _numpy(np.save, np.asfortranarray(N.astype(">c16"))),
        lambda: _ours(mx.save, mx.ones((0, 3), mx.bfloat16)),
        lambda: _numpy(np.lib.format.write_array, np.arange(3000) > 7, (2, 0)),
    ],
    "npz": [
        lambda: _numpy(np.savez, a=N, b=N.astype(">i2")),
        lambda: _numpy(np.savez_compressed, x=np.zeros((50, 60)), y=N),
        lambda: _ours(mx.savez, **A),
    ],
    "safetensors": [
        lambda: _ours(mx.save_safetensors, A, {"k": "v"}),
        lambda: _ours(mx.save_safetensors, {"x": mx.arange(3000.0), "y": mx.zeros((3, 0))}),
    ],
    "gguf": [
        lambda: _ours(mx.save_gguf, {"x": mx.arange(3000.0), "y": mx.ones((2, 3), mx.bfloat16)}),
        lambda: _ours(
            mx.save_gguf,
            {"x": mx.ones(3)},
            {"n": 3, "t": "text", "l": ["a", "b"], "m": mx.arange(4)},
        ),
        _blocks,
    ],
}


# ---- what is done to them ------------------------------------------------------------------------

DATA = bytearray()


def base(format, which):
    DATA[:] = BASES[format][which]()


def put(at, byte):
    if DATA:
        DATA[at % len(DATA)] = byte


def number(at, width, value):
    if len(DATA) > width:
        at %= len(DATA) - width
        DATA[at : at + width] = (value % 256**width).to_bytes(width, "little")


def keep(n):
    del DATA[n % (len(DATA) + 1) :]


def grow(n):
    DATA.extend(bytes(n))


def copy(at, n, to):
    if DATA:
        at, to = at % len(DATA), to % len(DATA)
        DATA[to : to + n] = DATA[at : at + n]


def insert(at, n):
    at %= len(DATA) + 1
    DATA[at:at] = b"0" * n


def remove(at, n):
    at %= len(DATA) + 1
    del DATA[at : at + n]


def word(which, new):
    """Another word for one of those in the header; the header's length follows where it begins the
    file."""
    found = list(re.finditer(rb"\d+|'[^']*'|\"[^\"]*\"|True|False|[\[\](){}:,]", DATA[:2000]))
    if not found:
        return
    at = found[which % len(found)]
    had = len(DATA)
    DATA[at.start() : at.end()] = new.encode()
    if DATA[8:9] == b"{":
        length = int.from_bytes(DATA[:8], "little") + len(DATA) - had
        DATA[:8] = (length % 2**64).to_bytes(8, "little")


SCOPE = {
    f.__name__: f for f in (base, put, number, keep, grow, copy, insert, remove, word)
}


def place(rng):
    """Headers are at the ends."""
    kind = rng.random()
    if kind < 0.6:
        return rng.randrange(200)
    return -rng.randrange(1, 300) if kind < 0.85 else rng.randrange(5000)


def generate(rng):
    format = rng.choice(FORMATS)
    lines = [f"base({format!r}, {rng.randrange(len(BASES[format]))})"]
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5])):
        kind = rng.random()
        if kind < 0.25:
            lines.append(f"put({place(rng)}, {rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])})")
        elif kind < 0.5:
            value = rng.choice([*NUMBERS, rng.randrange(1 << rng.randrange(1, 64))])
            lines.append(f"number({place(rng)}, {rng.choice([2, 4, 8])}, {value})")
        elif kind < 0.75 and format != "gguf":
            lines.append(f"word({rng.randrange(60)}, {rng.choice(WORDS)!r})")
        elif kind < 0.8:
            lines.append(f"keep({rng.randrange(5000)})")
        elif kind < 0.85:
            lines.append(f"grow({rng.choice([1, 8, 31, 1000])})")
        elif kind < 0.9:
            lines.append(f"copy({place(rng)}, {rng.randrange(1, 40)}, {place(rng)})")
        elif kind < 0.95:
            lines.append(f"insert({place(rng)}, {rng.randrange(1, 40)})")
        else:
            lines.append(f"remove({place(rng)}, {rng.randrange(1, 40)})")
    return lines


# ---- what is asked of them -----------------------------------------------------------------------


def named(found):
    return found if isinstance(found, dict) else {"": found}


def bits(a):
    return str(a.dtype), a.shape, bytes(a)


def attempt(file, format):
    """({name: bits}, what was said): one of them is None."""
    try:
        found = named(mx.load(file, format=format, return_metadata=True)[0])
        mx.eval(found)
        return {name: bits(a) for name, a in found.items()}, None
    except mx.FormatError as error:
        return None, str(error)


def cast_on_the_way(path, format, expected):
    for name in expected:
        if expected[name][0].endswith("complex64") or expected[name][0].endswith("complex128"):
            continue
        whole = named(mx.load(path, format=format))[name]
        mx.eval(whole)
        for dtype in (mx.float16, mx.float32, mx.int64):
            there = whole.astype(dtype)
            on_the_way = named(mx.load(path, format=format))[name].astype(dtype)
            if bits(there) != bits(on_the_way):
                return common.Failure(
                    "another value when it is cast on the way", f"{name}, {dtype}"
                )
    return None


def saved_again(found, folder):
    for save, name, path in (
        (lambda p, d: mx.savez(p, **d), "npz", "again.npz"),
        (mx.save_safetensors, "safetensors", "again.safetensors"),
    ):
        arrays = {f"k{i}": a for i, a in enumerate(found.values())}
        if name == "safetensors" and any(a.dtype == mx.complex128 for a in arrays.values()):
            continue
        save(os.path.join(folder, path), arrays)
        back = mx.load(os.path.join(folder, path))
        for key, a in arrays.items():
            if bits(back[key]) != bits(a):
                return common.Failure(f"saved as {name}, another array comes back", key)
    return None


FOLDER = None


def prepare():
    global FOLDER
    if FOLDER is None:
        FOLDER = tempfile.mkdtemp(prefix="damaged")
        with open("/proc/self/statm") as file:  # a sanitizer holds much itself
            limit = int(file.read().split()[0]) * 4096 + LIMIT
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        mx.set_memory_limit(1 << 30)


def build(lines):
    for line in lines:
        eval(line, dict(SCOPE))
    return bytes(DATA)


def check(lines):
    prepare()
    format = re.match(r"base\('(\w+)'", lines[0]) if lines else None
    if format is None:
        return None
    format = format[1]
    data = build(lines)
    path = os.path.join(FOLDER, "a." + format)
    with open(path, "wb") as file:
        file.write(data)
    before = mx.get_peak_memory()
    began = time.thread_time()
    try:
        found, said = attempt(path, format)
        if attempt(data, format)[0] != found:
            return common.Failure("another result from bytes")
        if found is not None:
            failure = cast_on_the_way(path, format, found)
            failure = failure or saved_again(named(mx.load(path, format=format)), FOLDER)
            if failure:
                return failure
    except Exception as error:
        return common.raised(error, "a damaged file")
    if said is not None and not said.startswith("[load] "):
        return common.Failure("an error that does not say whose it is", said)
    if time.thread_time() - began > (20 if SANITIZED else 1):
        return common.Failure("slow", f"{time.thread_time() - began:.1f} s")
    if mx.get_peak_memory() - before > 1 << 28:
        return common.Failure("a huge block")
    return None


def outcome(lines):
    """What is said of the file, without what is particular to it."""
    said = attempt(build(lines), lines[0].split("'")[1])[1]
    if said is None:
        return "loads"
    if " codec " in said:
        return "no text"
    said = re.sub(r"got .*|: [^ ]* begins at.*", "", said[len("[load] ") :])
    said = re.sub(r": (bytes:)?[^ ]{0,8}(?=:|$)", ":", said)
    return " ".join(re.findall(r"[a-zA-Z]{3,}", re.sub(r"['\"].*?['\"]", "", said)))[:60]


def collect(seconds):
    import random

    prepare()
    found, seed, end = {}, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        lines = generate(random.Random(seed))
        seed += 1
        key = lines[0].split("'")[1] + ": " + outcome(lines)
        if key not in found or len(str(lines)) < len(str(found[key])):
            found[key] = lines
    print(json.dumps([["; ".join(found[key])] for key in sorted(found)], indent=0))


def show(lines, kind):
    """The damaged file itself."""
    format = lines[0].split("'")[1]
    return (
        common.HEADER
        + "\n\ndef attempt(call):\n    try:\n        found = call()\n        mx.eval(found)\n"
        "        print(found)\n    except Exception as error:\n        print(repr(error))\n\n\n# "
        + "; ".join(lines)
        + f"\nattempt(lambda: mx.load(bytes.fromhex({build(lines).hex()!r}), format={format!r}))\n"
    )


if __name__ == "__main__":
    if "--collect" in sys.argv:
        collect(float(sys.argv[-1]))
    else:
        common.main(generate, check, show=show, timeout=60.0)
