"""Tokens per second of a Llama in four bits, beside llama.cpp and PyTorch, in one run.

    python bench/decode.py --llama /path/to/python --torch /path/to/python
    python bench/decode.py --dim 512 --layers 4 ...        another shape than TinyLlama's (1.1B)
    python bench/decode.py --cpu --threads 1 ...           on a machine that has other things to do

Writes a gguf file of random blocks (Q4_0) of the shape to a folder that goes away, and asks each
framework, in a process of its own, for a prompt and for tokens after it; they take turns, and the
least times count. `--llama` is a Python with llama-cpp-python, which reads the same file; `--torch`
one with PyTorch, whose weights are its own packed int4 of groups of 32. The last row is Lazulite
again, with the weights packed anew in groups of 64 (as many bits). Both frameworks that read
the file must agree on the logits of the prompt, to what llama.cpp's rounding of inputs leaves.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
TINY = {"dim": 2048, "layers": 22, "heads": 32, "kv": 4, "hidden": 5632, "vocab": 32000}


# The file


def shapes(args):
    size = args.dim // args.heads * args.kv
    layer = {
        "attn_q": (args.dim, args.dim),
        "attn_k": (size, args.dim),
        "attn_v": (size, args.dim),
        "attn_output": (args.dim, args.dim),
        "ffn_gate": (args.hidden, args.dim),
        "ffn_up": (args.hidden, args.dim),
        "ffn_down": (args.dim, args.hidden),
    }
    made = {"token_embd": (args.vocab, args.dim), "output": (args.vocab, args.dim)}
    made["output_norm"] = (args.dim,)
    for i in range(args.layers):
        made.update({f"blk.{i}.{name}": shape for name, shape in layer.items()})
        made.update({f"blk.{i}.{name}": (args.dim,) for name in ("attn_norm", "ffn_norm")})
    return {f"{name}.weight": shape for name, shape in made.items()}


def blocks(rng, shape):
    """Random Q4_0: 32 numbers share a float16, and each is one of its multiples by -8 to 7."""
    rows, columns = shape
    out = np.empty((rows * columns // 32, 18), np.uint8)
    # Of columns such numbers the sum is about as large as one of them was.
    scale = np.full(len(out), 1 / (4.6 * columns**0.5), np.float16)
    out[:, :2] = scale.view(np.uint8).reshape(-1, 2)
    out[:, 2:] = rng.integers(0, 256, (len(out), 16), dtype=np.uint8)
    return out


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def write_file(path, args):
    """Version 3 of the format, as ggml's documentation has it."""
    kinds = {"uint32": (4, "<I"), "float32": (6, "<f")}
    about = [
        ("llama.embedding_length", "uint32", args.dim),
        ("llama.block_count", "uint32", args.layers),
        ("llama.feed_forward_length", "uint32", args.hidden),
        ("llama.attention.head_count", "uint32", args.heads),
        ("llama.attention.head_count_kv", "uint32", args.kv),
        ("llama.attention.layer_norm_rms_epsilon", "float32", 1e-5),
        ("llama.rope.dimension_count", "uint32", args.dim // args.heads),
        ("llama.context_length", "uint32", 4096),
        ("llama.vocab_size", "uint32", args.vocab),
    ]
    head = b"".join(
        text(key) + struct.pack("<I", kinds[kind][0]) + struct.pack(kinds[kind][1], value)
        for key, kind, value in about
    )
    words = ["<unk>", "<s>", "</s>"] + [f"w{i}" for i in range(args.vocab - 3)]
    for key, value in (("general.architecture", "llama"), ("tokenizer.ggml.model", "llama")):
        head += text(key) + struct.pack("<I", 8) + text(value)
    head += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(words))
    head += b"".join(map(text, words))
    head += text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, len(words))
    head += np.arange(0, -len(words), -1).astype("<f4").tobytes()
    head += text("tokenizer.ggml.token_type") + struct.pack("<IIQ", 9, 5, len(words))
    head += np.array([2, 3, 3] + [1] * (len(words) - 3), "<i4").tobytes()
    tensors = shapes(args)
    offset, rows = 0, b""
    for name, shape in tensors.items():
        rows += text(name) + struct.pack("<I", len(shape))
        rows += struct.pack(f"<{len(shape)}Q", *reversed(shape))
        rows += struct.pack("<IQ", 2 if len(shape) == 2 else 0, offset)
        offset += -(-size_of(shape) // 32) * 32
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(about) + 5) + head + rows)
        file.write(bytes(-file.tell() % 32))
        for shape in tensors.values():
            data = blocks(rng, shape) if len(shape) == 2 else np.ones(shape, np.float32)
            file.write(data.tobytes())
            file.write(bytes(-file.tell() % 32))


def size_of(shape):
    return shape[0] * shape[1] // 32 * 18 if len(shape) == 2 else 4 * shape[0]


# One framework each. read(ids): keeps them, and gives the logits after the last. write(count): so
# many tokens, each the most likely one after the last.


class Lazulite:
    def __init__(self, args):
        sys.path.insert(0, str(HERE.parent / "examples"))
        import llama

        import lazulite.core as mx

        if args.threads:
            mx.set_num_threads(args.threads)
        self.mx, self.llama = mx, llama
        self.model = self.loaded(args.file, getattr(mx, args.dtype))
        self.token = None

    def loaded(self, path, dtype):
        return self.llama.load(path, bits=0, dtype=dtype)

    def read(self, ids):
        self.caches = self.model.new_caches()
        logits = self.model(self.mx.array([ids]), self.caches)
        self.token = self.mx.argmax(logits, axis=-1)
        self.mx.eval(logits, self.token)
        return np.array(logits.astype(self.mx.float32))[0]

    def write(self, count):
        return list(self.llama.generate(self.model, self.caches, self.token.tolist(), count))

    def version(self):
        return self.mx.__version__


class Groups(Lazulite):
    """The weights of the file, packed anew by `nn.quantize`: as many bits, in groups of 64."""

    def loaded(self, path, dtype):
        return self.llama.load(path, bits=4, group_size=64, dtype=dtype, again=True)


class LlamaCpp:
    def __init__(self, args):
        import llama_cpp

        self.module = llama_cpp
        threads = args.threads or os.cpu_count()
        self.model = llama_cpp.Llama(
            args.file,
            n_ctx=4096,
            n_batch=512,
            n_threads=threads,
            n_threads_batch=threads,
            logits_all=False,
            verbose=False,
        )

    def logits(self):
        found = self.module.llama_get_logits_ith(self.model._ctx.ctx, -1)
        return np.ctypeslib.as_array(found, (self.model.n_vocab(),))

    def read(self, ids):
        self.model.reset()
        self.model.eval(ids)
        self.token = int(self.logits().argmax())
        return self.logits().copy()

    def write(self, count):
        made = []
        for _ in range(count):
            self.model.eval([self.token])
            self.token = int(self.logits().argmax())
            made.append(self.token)
        return made

    def version(self):
        return self.module.__version__


class Torch:
    """Weights of the same shapes, in the packed int4 of PyTorch; inputs are of bfloat16."""

    def __init__(self, args):
        import torch

        torch.set_grad_enabled(False)
        if args.threads:
            torch.set_num_threads(args.threads)
        self.torch, self.args = torch, args
        self.made = {name: self.packed(s) for name, s in shapes(args).items() if len(s) == 2}
        self.norm = torch.ones(args.dim, dtype=torch.bfloat16)
        self.table = torch.randn(args.vocab, args.dim).to(torch.bfloat16)
        size = args.dim // args.heads
        angles = torch.arange(4096)[:, None] * 10000.0 ** (-torch.arange(0, size, 2) / size)
        self.turns = torch.cos(angles).bfloat16(), torch.sin(angles).bfloat16()

    def packed(self, shape):
        torch = self.torch
        codes = torch.randint(0, 16, shape, dtype=torch.int32)
        made = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        scales = torch.full((shape[1] // 32, shape[0], 2), 1 / (4.6 * shape[1] ** 0.5))
        scales[..., 1] = 0
        return made, scales.bfloat16()

    def product(self, x, name):
        weight, scales = self.made[f"{name}.weight"]
        flat = x.reshape(-1, x.shape[-1])
        y = self.torch.ops.aten._weight_int4pack_mm_for_cpu(flat, weight, 32, scales)
        return y.view(*x.shape[:-1], -1)

    def step(self, ids, at):
        torch, args = self.torch, self.args
        F = torch.nn.functional
        x, length = self.table[ids], len(ids)
        cos, sin = (t[at : at + length] for t in self.turns)

        def heads(y, count):
            return y.view(length, count, -1).transpose(0, 1)

        def turned(y):
            a, b = y[..., 0::2], y[..., 1::2]
            return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

        for i in range(args.layers):
            y = F.rms_norm(x, (args.dim,), self.norm, 1e-5)
            q = turned(heads(self.product(y, f"blk.{i}.attn_q"), args.heads))
            k = turned(heads(self.product(y, f"blk.{i}.attn_k"), args.kv))
            v = heads(self.product(y, f"blk.{i}.attn_v"), args.kv)
            keys, values = self.cache[i]
            keys[:, at : at + length], values[:, at : at + length] = k, v
            y = F.scaled_dot_product_attention(
                q[None],
                keys[None, :, : at + length],
                values[None, :, : at + length],
                is_causal=length > 1,
                enable_gqa=True,
            )[0]
            x = x + self.product(y.transpose(0, 1).reshape(length, -1), f"blk.{i}.attn_output")
            y = F.rms_norm(x, (args.dim,), self.norm, 1e-5)
            gate = F.silu(self.product(y, f"blk.{i}.ffn_gate"))
            x = x + self.product(gate * self.product(y, f"blk.{i}.ffn_up"), f"blk.{i}.ffn_down")
        return self.product(F.rms_norm(x[-1:], (args.dim,), self.norm, 1e-5), "output")[0]

    def read(self, ids):
        shape = (self.args.kv, 4096, self.args.dim // self.args.heads)
        zeros = self.torch.zeros
        self.cache = [
            [zeros(shape, dtype=self.torch.bfloat16) for _ in "kv"] for _ in range(self.args.layers)
        ]
        logits = self.step(ids, 0)
        self.at, self.token = len(ids), int(logits.argmax())
        return logits.float().numpy()

    def write(self, count):
        made = []
        for _ in range(count):
            self.token = int(self.step([self.token], self.at).argmax())
            self.at += 1
            made.append(self.token)
        return made

    def version(self):
        return self.torch.__version__


KINDS = {"lazulite": Lazulite, "llama.cpp": LlamaCpp, "torch": Torch, "groups of 64": Groups}


def work(args):
    """Answers on its first stdout, one line for each line that comes in."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    framework = KINDS[args.worker](args)
    clock = time.process_time if args.cpu else time.perf_counter
    print(json.dumps({"version": framework.version()}), file=answers, flush=True)
    for line in sys.stdin:
        ids, count = json.loads(line)
        begin = clock()
        logits = framework.read(ids)
        middle = clock()
        made = framework.write(count)
        end = clock()
        times = {"read": middle - begin, "write": end - middle, "made": made[:8]}
        print(json.dumps({**times, "logits": logits.tolist()}), file=answers, flush=True)


class Process:
    def __init__(self, name, python, args, path):
        given = ["--worker", name, "--file", str(path), "--dtype", args.dtype]
        for key in (*TINY, "threads"):
            given += [f"--{key}", str(getattr(args, key))]
        given += ["--cpu"] * args.cpu
        self.name, self.times, self.last = name, [], None
        self.child = subprocess.Popen(
            [python, __file__, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if args.verbose else subprocess.DEVNULL,
            text=True,
        )
        self.version = self.heard()["version"]

    def heard(self):
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended; --verbose shows why")
        return json.loads(line)

    def ask(self, ids, count):
        self.child.stdin.write(json.dumps([ids, count]) + "\n")
        self.child.stdin.flush()
        self.last = self.heard()
        return self.last

    def stop(self):
        self.child.stdin.close()
        self.child.wait()


def compared(ours, theirs):
    """The relative error of logits."""
    a, b = np.array(ours), np.array(theirs)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for key, value in TINY.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    parser.add_argument("--prompt", type=int, default=128, help="tokens that are read")
    parser.add_argument("--tokens", type=int, default=32, help="that are written")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="of each; by default all cores")
    parser.add_argument("--cpu", action="store_true", help="time of processors; with --threads 1")
    parser.add_argument("--dtype", default="float16", help="of our activations")
    parser.add_argument("--llama", help="a Python with llama-cpp-python")
    parser.add_argument("--torch", help="a Python with PyTorch")
    parser.add_argument("--json", help="where to keep the numbers")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--worker", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write_file(path, args)
        packed = sum(size_of(s) for s in shapes(args).values()) - size_of((args.vocab, args.dim))
        print(f"{path.stat().st_size / 1e6:.0f} MB, of which a token reads {packed / 1e6:.0f}")
        pythons = {"lazulite": sys.executable, "llama.cpp": args.llama, "torch": args.torch}
        pythons["groups of 64"] = sys.executable
        processes = [Process(n, p, args, path) for n, p in pythons.items() if p]
        ids = np.random.default_rng(1).integers(3, args.vocab, args.prompt).tolist()
        for process in processes:
            process.ask(ids, 2)
        if len(processes) > 1 and processes[1].name == "llama.cpp":
            error = compared(processes[0].last["logits"], processes[1].last["logits"])
            print(f"logits differ by {error:.3f} of their norm")
            if not error < 0.1:
                raise SystemExit("that is too much")
        for k in range(args.rounds):
            for process in processes[k % len(processes) :] + processes[: k % len(processes)]:
                process.times.append(process.ask(ids, args.tokens))
        print(f"{'':24}{'read tokens/s':>16}{'write tokens/s':>16}{'packed GB/s':>14}")
        kept = {}
        for process in processes:
            read = args.prompt / min(t["read"] for t in process.times)
            write = args.tokens / min(t["write"] for t in process.times)
            label = f"{process.name} {process.version}"
            print(f"{label:24}{read:16.1f}{write:16.1f}{write * packed / 1e9:14.1f}")
            kept[process.name] = {"version": process.version, "read": read, "write": write}
            process.stop()
        if args.json:
            Path(args.json).write_text(json.dumps(kept))


if __name__ == "__main__":
    main()
