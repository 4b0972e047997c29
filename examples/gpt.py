"""Greedy text of a Transformer, before and after it is quantized.

    python examples/gpt.py --size gpt        12 layers, 768 wide, 50,257 tokens, 1,024 places
    python examples/gpt.py --size small      6 layers, 512 wide, 10,000 tokens, 128 places

The weights are random, so the text says nothing; times and sizes are those of real ones. The model
is written as in a lecture: each step builds an array of all tokens so far.
"""

import argparse
import tempfile
import time
from pathlib import Path

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.utils import tree_flatten

SIZES = {  # layers, width, heads, vocabulary, places
    "gpt": (12, 768, 12, 50257, 1024),
    "small": (6, 512, 8, 10000, 128),
    "tiny": (2, 64, 4, 100, 16),
}


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.attention = nn.MultiHeadAttention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.MLP(dim, [dim * 4, dim], activation=nn.gelu)

    def __call__(self, x, mask):
        y = self.norm1(x)
        x = x + self.attention(y, y, y, mask=mask)
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self, layers, dim, heads, vocabulary, places):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, dim)
        self.places = nn.Embedding(places, dim)
        self.blocks = [Block(dim, heads) for _ in range(layers)]
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, vocabulary, bias=False)

    def __call__(self, ids):
        n = ids.shape[1]
        mask = nn.MultiHeadAttention.create_additive_causal_mask(n)
        x = self.tokens(ids) + self.places(mx.arange(n))
        for block in self.blocks:
            x = block(x, mask)
        return self.out(self.norm(x))


def generate(model, ids, count, n):
    """count more tokens, each the most likely one after the last n."""
    ids = list(ids)
    for _ in range(count):
        logits = model(mx.array([ids[-n:]]))
        ids.append(mx.argmax(logits[0, -1, :]).item())
    return ids


# As in a lecture: what is given for "calibration_data" is what the model is called with.
WAYS = {
    "dynamic": {"weight_bits": 8, "activation_bits": 8, "method": "dynamic"},
    "static": {"weight_bits": 8, "activation_bits": 8, "method": "static"},
    "ptq": {"weight_bits": 8, "method": "ptq"},
    "qat": {"weight_bits": 8, "activation_bits": 8, "method": "qat"},
}


def measured(name, model, prompt, count, places):
    size = sum(a.nbytes for _, a in tree_flatten(model.parameters()))
    begin = time.perf_counter()
    ids = generate(model, prompt, count, places)
    seconds = time.perf_counter() - begin
    print(f"{name}: {size / 1e6:.1f} MB, {count / seconds:.1f} tokens/s, begins {ids[:8]}")
    return ids


def weights(model, path, seed):
    """Loads the weights of a file into the model; without one, of a file that is made."""
    if path is not None:
        mx.load(path, model)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.safetensors")
        mx.random.seed(seed)
        model.save_weights(path)
        mx.load(path, model)
        mx.eval(model)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--tokens", type=int, default=50)
    parser.add_argument("--weights", help="a file of the model's weights; else they are random")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=["dynamic", "static", "ptq"])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    mx.random.seed(args.seed)
    layers, dim, heads, vocabulary, places = SIZES[args.size]
    model = Transformer(layers, dim, heads, vocabulary, places)
    model.eval()
    weights(model, args.weights, args.seed)
    prompt = [i % vocabulary for i in (11, 7, 5, 3)]
    before = measured("float32", model, prompt, args.tokens, places)
    assert len(before) == len(prompt) + args.tokens
    batches = [mx.random.randint(0, vocabulary, (2, places // 8)) for _ in range(4)]
    ids = mx.array([before[-places:]])
    wanted = model(ids)
    for name in args.ways:
        quantized = mx.quantize(model, {**WAYS[name], "calibration_data": batches})
        quantized.eval()
        measured(name, quantized, prompt, args.tokens, places)
        error = mx.linalg.norm(quantized(ids) - wanted) / mx.linalg.norm(wanted)
        print(f"{name}: logits differ by {error.item():.4f} of their norm")
    assert mx.array_equal(model(ids), wanted), "the given model stays as it was"


if __name__ == "__main__":
    main()
