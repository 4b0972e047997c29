"""A chat with a Llama on the CPU: weights of a file, packed into four bits, keys and values kept.

    python examples/llama.py --make FOLDER              a small model of random weights, in two
    files python examples/llama.py FOLDER/model.safetensors   asks for lines; an empty one ends the
    chat python examples/llama.py FOLDER/model.gguf --bits 8 --prompt "Good morning" --tokens 40

Beside a .safetensors file stand `config.json` and, if there is one, `tokenizer.json` (read by the
package `tokenizers`; without it a token is a byte); a .gguf file says itself what it holds. Layers
that the file has packed already (Q4_0, Q4_1, Q8_0) are used as they are, or with `--again` packed
anew, as groups of 64 are read faster than blocks of 32.
"""

import argparse
import json
import time
from pathlib import Path

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.utils import tree_flatten

SMALL = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "intermediate_size": 704,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "vocab_size": 256,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}


class Attention(nn.Module):
    """Queries of several heads share keys and values; places are turned in."""

    def __init__(self, config, pairs_are_neighbours):
        super().__init__()
        dim, self.heads = config["hidden_size"], config["num_attention_heads"]
        self.kv_heads, self.size = config["num_key_value_heads"], dim // self.heads
        self.q_proj = nn.Linear(dim, dim, bias=False)
        self.k_proj = nn.Linear(dim, self.kv_heads * self.size, bias=False)
        self.v_proj = nn.Linear(dim, self.kv_heads * self.size, bias=False)
        self.o_proj = nn.Linear(dim, dim, bias=False)
        self.rope = nn.RoPE(self.size, pairs_are_neighbours, config["rope_theta"])

    def __call__(self, x, cache):
        batch, length, _ = x.shape

        def heads(y, count):
            return y.reshape(batch, length, count, self.size).transpose(0, 2, 1, 3)

        q = self.rope(heads(self.q_proj(x), self.heads), offset=cache.offset)
        k = self.rope(heads(self.k_proj(x), self.kv_heads), offset=cache.offset)
        k, v = cache.update_and_fetch(k, heads(self.v_proj(x), self.kv_heads))
        mask = "causal" if length > 1 else None
        y = mx.fast.scaled_dot_product_attention(q, k, v, scale=self.size**-0.5, mask=mask)
        return self.o_proj(y.transpose(0, 2, 1, 3).reshape(batch, length, -1))


class Gated(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.gate_proj = nn.Linear(dim, hidden, bias=False)
        self.up_proj = nn.Linear(dim, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, dim, bias=False)

    def __call__(self, x):
        return self.down_proj(nn.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config, pairs_are_neighbours):
        super().__init__()
        dim, eps = config["hidden_size"], config["rms_norm_eps"]
        self.self_attn = Attention(config, pairs_are_neighbours)
        self.mlp = Gated(dim, config["intermediate_size"])
        self.input_layernorm = nn.RMSNorm(dim, eps)
        self.post_attention_layernorm = nn.RMSNorm(dim, eps)

    def __call__(self, x, cache):
        x = x + self.self_attn(self.input_layernorm(x), cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, config, pairs_are_neighbours):
        super().__init__()
        dim = config["hidden_size"]
        self.embed_tokens = nn.Embedding(config["vocab_size"], dim)
        layers = range(config["num_hidden_layers"])
        self.layers = [Block(config, pairs_are_neighbours) for _ in layers]
        self.norm = nn.RMSNorm(dim, config["rms_norm_eps"])

    def __call__(self, ids, caches):
        x = self.embed_tokens(ids)
        for layer, cache in zip(self.layers, caches):
            x = layer(x, cache)
        return self.norm(x)


class Llama(nn.Module):
    """Named as in files of transformers. `pairs_are_neighbours`: what a position turns are elements
    2i and 2i + 1 of a head, as in gguf files, else i and i + size / 2."""

    def __init__(self, config, pairs_are_neighbours=False):
        super().__init__()
        self.config = dict(config)
        self.model = Body(config, pairs_are_neighbours)
        if not config.get("tie_word_embeddings"):
            self.lm_head = nn.Linear(config["hidden_size"], config["vocab_size"], bias=False)

    def __call__(self, ids, caches):
        """Logits of what comes after the last of ids, (batch, vocabulary)."""
        x = self.model(ids, caches)[:, -1]
        return self.lm_head(x) if "lm_head" in self else self.model.embed_tokens.as_linear(x)

    def new_caches(self):
        return [nn.KVCache() for _ in self.model.layers]


# Files

NAMES = {  # in gguf files, and here
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def renamed(name):
    """blk.3.attn_q.weight is model.layers.3.self_attn.q_proj.weight."""
    *where, kind, what = name.split(".")
    prefix = f"model.layers.{where[1]}." if where else ""
    return f"{prefix}{NAMES[kind]}.{what}"


def of_gguf(path):
    """Configuration and arrays."""
    arrays, about = mx.load(path, return_metadata=True)

    def number(key, default=None):
        value = about.get(f"llama.{key}", default)
        return value.item() if isinstance(value, mx.array) else value

    config = {
        "hidden_size": number("embedding_length"),
        "num_hidden_layers": number("block_count"),
        "intermediate_size": number("feed_forward_length"),
        "num_attention_heads": number("attention.head_count"),
        "num_key_value_heads": number("attention.head_count_kv"),
        "rms_norm_eps": number("attention.layer_norm_rms_epsilon"),
        "rope_theta": number("rope.freq_base", 10000.0),
        "vocab_size": arrays["token_embd.weight"].shape[0],
        "max_position_embeddings": number("context_length"),
        "tie_word_embeddings": "output.weight" not in arrays,
    }
    return config, {renamed(k): v for k, v in arrays.items() if not k.startswith("rope_")}


def unpacked(arrays):
    """Floats in the place of blocks."""
    out = {}
    for name, value in arrays.items():
        layer, _, what = name.rpartition(".")
        scales = arrays.get(f"{layer}.scales")
        if scales is None:
            out[name] = value
        elif what == "weight":
            bits = value.shape[1] // scales.shape[1]
            out[name] = mx.dequantize(value, scales, arrays[f"{layer}.biases"], 32, bits)
    return out


def load(path, bits=4, group_size=64, dtype=mx.float16, again=False):
    """The model of a file; linear layers that are not packed in it are packed in so many bits,
    `again`: those that are, too."""
    path = Path(path)
    gguf = path.suffix == ".gguf"
    if gguf:
        config, arrays = of_gguf(str(path))
    else:
        config = json.loads((path.parent / "config.json").read_text())
        arrays = mx.load(str(path))
    if again:
        arrays = unpacked(arrays)
    model = Llama(config, pairs_are_neighbours=gguf)
    for name, layer in model.named_modules():
        if f"{name}.scales" in arrays:  # blocks of 32
            width = 32 * arrays[f"{name}.scales"].shape[1]
            packed_bits = 32 * arrays[f"{name}.weight"].shape[1] // width
            layer_bits = {"group_size": 32, "bits": packed_bits}
            nn.quantize(model, class_predicate=lambda at, _: layer_bits if at == name else False)
    floats = {
        k: v.astype(dtype) if mx.issubdtype(v.dtype, mx.floating) else v for k, v in arrays.items()
    }
    model.load_weights(list(floats.items()))
    if bits:
        nn.quantize(
            model,
            group_size,
            bits,
            class_predicate=lambda name, layer: (
                isinstance(layer, (nn.Linear, nn.Embedding))
                and layer.weight.shape[1] % group_size == 0
            ),
        )
    mx.eval(model)
    return model.eval()


def make(folder, config=SMALL, seed=0):
    """Random weights, as transformers would keep them and as llama.cpp would."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mx.random.seed(seed)
    model = Llama(config).set_dtype(mx.float16)
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2))

    def interleaved(w, heads):
        return w.reshape(heads, 2, -1, w.shape[1]).swapaxes(1, 2).reshape(w.shape)

    here = {new: old for old, new in NAMES.items()}
    arrays = {}
    for name, w in weights.items():
        kind = name.rpartition(".")[0].split(".", 3)
        inside = kind[:2] == ["model", "layers"]
        if kind[-1].endswith("q_proj"):
            w = interleaved(w, config["num_attention_heads"])
        if kind[-1].endswith("k_proj"):
            w = interleaved(w, config["num_key_value_heads"])
        old = f"blk.{kind[2]}.{here[kind[3]]}" if inside else here[".".join(kind)]
        arrays[f"{old}.weight"] = w.astype(mx.float32) if w.ndim == 1 else w
    about = {
        "general.architecture": "llama",
        "llama.embedding_length": mx.array(config["hidden_size"], mx.uint32),
        "llama.block_count": mx.array(config["num_hidden_layers"], mx.uint32),
        "llama.feed_forward_length": mx.array(config["intermediate_size"], mx.uint32),
        "llama.attention.head_count": mx.array(config["num_attention_heads"], mx.uint32),
        "llama.attention.head_count_kv": mx.array(config["num_key_value_heads"], mx.uint32),
        "llama.attention.layer_norm_rms_epsilon": mx.array(config["rms_norm_eps"], mx.float32),
        "llama.rope.freq_base": mx.array(config["rope_theta"], mx.float32),
        "llama.context_length": mx.array(config["max_position_embeddings"], mx.uint32),
    }
    mx.save_gguf(str(folder / "model.gguf"), arrays, about)


class Bytes:
    """A token is a byte."""

    def encode(self, text):
        return list(text.encode())

    def decode(self, ids):
        return bytes(i % 256 for i in ids).decode(errors="replace")


def tokenizer_beside(path):
    file = Path(path).parent / "tokenizer.json"
    if not file.exists():
        return Bytes()
    from tokenizers import Tokenizer

    kept = Tokenizer.from_file(str(file))

    class Kept:
        def encode(self, text):
            return kept.encode(text).ids

        def decode(self, ids):
            return kept.decode(ids)

    return Kept()


# Text


def chosen(logits, temperature):
    if temperature == 0:
        return mx.argmax(logits, axis=-1)
    return mx.random.categorical(logits.astype(mx.float32) / temperature)


def generate(model, caches, ids, count, temperature=0.0):
    """Gives one token while the next one is computed. What was said stays in the caches."""
    token = chosen(model(mx.array([ids]), caches), temperature)
    mx.async_eval(token)
    for n in range(count):
        if n + 1 < count:
            ahead = chosen(model(token[:, None], caches), temperature)
            mx.async_eval(ahead)
        yield token.item()
        token = ahead if n + 1 < count else None


def answer(model, caches, tokenizer, text, count, temperature):
    begin = time.perf_counter()
    ids, said, first = tokenizer.encode(text), [], None
    for token in generate(model, caches, ids, count, temperature):
        first = first or time.perf_counter() - begin
        said.append(token)
    rest = time.perf_counter() - begin - first
    print(tokenizer.decode(said))
    speed = (count - 1) / rest if count > 1 else float("nan")
    print(f"[{len(ids)} tokens read in {first:.2f} s, then {speed:.1f} tokens/s]")
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help=".safetensors or .gguf")
    parser.add_argument("--make", metavar="FOLDER", help="makes a small model of random weights")
    parser.add_argument("--bits", type=int, default=4, help="0: as the file has them")
    parser.add_argument("--group", type=int, default=64)
    parser.add_argument("--again", action="store_true", help="pack what the file has packed anew")
    parser.add_argument(
        "--prompt", action="append", help="a line of the chat; asked for if missing"
    )
    parser.add_argument("--tokens", type=int, default=50, help="of an answer")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.make:
        make(args.make, seed=args.seed)
        print("made", *sorted(p.name for p in Path(args.make).iterdir()))
    if args.file is None:
        return
    mx.random.seed(args.seed)
    model = load(args.file, args.bits, args.group, again=args.again)
    tokenizer = tokenizer_beside(args.file)
    size = sum(a.nbytes for _, a in tree_flatten(model.parameters()))
    print(f"{size / 1e6:.1f} MB of weights")
    caches = model.new_caches()
    lines = iter(args.prompt) if args.prompt else iter(lambda: input("> "), "")
    for line in lines:
        answer(model, caches, tokenizer, line, args.tokens, args.temperature)


if __name__ == "__main__":
    main()
