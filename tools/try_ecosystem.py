"""Runs mlx-lm, a package written for MLX, with Lazulite in its place.

    python tools/try_ecosystem.py FOLDER

makes an environment of its own in FOLDER, installs mlx-lm there without its dependency on mlx,
makes tiny models with random weights and a tokenizer of their own, and calls every command of
mlx-lm that needs no network: convert, generate, caches, batches, LoRA, fuse, perplexity, the
server. What comes out of a model must agree with what the model gives token by token. Prints a line
for each; fails when one fails.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from pathlib import Path

PACKAGES = ["numpy", "scipy-openblas32", "transformers", "tokenizers", "sentencepiece", "protobuf"]
PACKAGES += ["pyyaml", "jinja2", "safetensors", "tqdm", "datasets"]
PYTHON_TREE = Path(__file__).resolve().parent.parent / "python"
KINDS = {  # what each has beside the others
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 32},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
}

MAKE = """
import importlib, json, sys
import mlx.core as mx
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

path, kind, more = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(
    ["the cat sat on the mat and looked at the dog"] * 20,
    trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    ),
)
tokenizer.save(path + "/tokenizer.json")
template = "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}{% endfor %}"
words = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
json.dump({**words, "chat_template": template}, open(path + "/tokenizer_config.json", "w"))
config = dict(
    model_type=kind, hidden_size=128, num_hidden_layers=2, intermediate_size=256,
    num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=10000.0,
    vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=2048, bos_token_id=0,
    eos_token_id=1, tie_word_embeddings=False, torch_dtype="float32", **more,
)
json.dump(config, open(path + "/config.json", "w"))
module = importlib.import_module("mlx_lm.models." + kind)
mx.random.seed(0)
module.Model(module.ModelArgs.from_dict(config)).save_weights(path + "/model.safetensors")
"""

GENERATE = """
import sys
import mlx.core as mx
from mlx_lm import batch_generate, load, stream_generate
from mlx_lm.models.cache import load_prompt_cache, make_prompt_cache, save_prompt_cache
from mlx_lm.sample_utils import make_logits_processors, make_sampler

model, tokenizer = load(sys.argv[1])
file = sys.argv[1] + "/cache.safetensors"


def tokens(prompt, **options):
    return [r.token for r in stream_generate(model, tokenizer, prompt, max_tokens=12, **options)]


x = mx.array([tokenizer.encode("the cat sat on the mat")])
cache = make_prompt_cache(model)
parts = [model(x[:, i : i + 1], cache=cache) for i in range(x.shape[1])]
assert mx.allclose(mx.concatenate(parts, 1), model(x), rtol=1e-3, atol=1e-3).item()
ids = tokenizer.encode("the cat")
for _ in range(12):
    ids.append(mx.argmax(model(mx.array([ids]))[0, -1, :]).item())
assert tokens("the cat") == ids[-12:], "greedy, with a cache and without"
assert tokens("the cat", draft_model=model, num_draft_tokens=2) == ids[-12:], "with drafts"
texts = batch_generate(model, tokenizer, [tokenizer.encode(p) for p in ("the cat", "a")]).texts
assert len(texts) == 2
cache = make_prompt_cache(model)
tokens("the cat", prompt_cache=cache)
save_prompt_cache(file, cache)
assert tokens("dog", prompt_cache=load_prompt_cache(file)) == tokens("dog", prompt_cache=cache)
tokens("the dog", prompt_cache=make_prompt_cache(model, max_kv_size=8))
tokens("the dog", kv_bits=8, kv_group_size=32, quantized_kv_start=4)
sampler = make_sampler(temp=0.8, top_p=0.9, min_p=0.01, top_k=20)
tokens("the dog", sampler=sampler, logits_processors=make_logits_processors(repetition_penalty=1.1))
"""


class Trial:
    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.python = self.folder / "venv" / "bin" / "python"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(PYTHON_TREE),
            "HF_HUB_OFFLINE": "1",
            "NO_COLOR": "1",
        }
        self.failed = []

    def install(self):
        if not self.python.exists():
            venv.create(self.folder / "venv", with_pip=True)
            pip = [str(self.python), "-m", "pip", "install", "-q"]
            subprocess.run([*pip, *PACKAGES], check=True)
            subprocess.run([*pip, "--no-deps", "mlx-lm"], check=True)
        for name in ("mlx-lm", "transformers", "tokenizers"):
            code = f"import importlib.metadata as m; print('{name}', m.version('{name}'))"
            subprocess.run([str(self.python), "-c", code], check=True)

    def run(self, name, *arguments):
        command = [self.python, "-m", "lazulite.as_mlx", *arguments]
        out = subprocess.run(
            [str(a) for a in command],
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )
        self.say(name, out.returncode == 0, out.stdout + out.stderr)

    def say(self, name, good, text):
        print(f"{'ok    ' if good else 'FAILED'} {name}", flush=True)
        if not good:
            self.failed.append(name)
            print("\n".join(text.splitlines()[-12:]))

    def serve(self, model):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = ["-m", "lazulite.as_mlx", "-m", "mlx_lm", "server", "--port", str(port)]
        server = subprocess.Popen(
            [str(self.python), *command, "--model", str(model)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )
        body = {"messages": [{"role": "user", "content": "the dog"}], "max_tokens": 8}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        text = "no answer"
        try:
            for _ in range(120):
                try:
                    text = urllib.request.urlopen(request, timeout=60).read().decode()
                    break
                except OSError:
                    time.sleep(0.5)
        finally:
            server.terminate()
            server.wait()
        self.say("server, over loopback", '"finish_reason"' in text, text)


def main(folder):
    trial = Trial(folder)
    trial.install()
    at = trial.folder
    (at / "data").mkdir(exist_ok=True)
    for part, n in (("train", 40), ("valid", 8), ("test", 8)):
        lines = [json.dumps({"text": f"the cat sat on the mat {i % 7}"}) for i in range(n)]
        (at / "data" / f"{part}.jsonl").write_text("\n".join(lines))
    for kind, more in KINDS.items():
        (at / kind).mkdir(exist_ok=True)
        trial.run(f"{kind}: made", "-c", MAKE, at / kind, kind, json.dumps(more))
        trial.run(f"{kind}: generate, caches, batches, drafts", "-c", GENERATE, at / kind)
        for bits in (4, 8):
            packed = at / f"{kind}-{bits}"
            if not packed.exists():
                paths = ["--hf-path", at / kind, "--mlx-path", packed]
                command = ["-m", "mlx_lm", "convert", *paths, "-q", "--q-bits", bits]
                trial.run(f"{kind}: convert -q, {bits} bits", *command)
            trial.run(f"{kind}, {bits} bits: generate, caches, ...", "-c", GENERATE, packed)
    for model in ("llama", "llama-4"):
        common = ["--model", at / model, "--adapter-path", at / f"adapters-{model}"]
        training = ["--train", "--data", at / "data", "--iters", 10, "--num-layers", 2]
        for kind in ("lora", "dora"):
            how = ["--fine-tune-type", kind, "--grad-checkpoint", "--max-seq-length", 64]
            trial.run(f"{model}: {kind}", "-m", "mlx_lm", "lora", *common, *training, *how)
        fused = ["--save-path", at / f"fused-{model}"]
        trial.run(f"{model}: fuse", "-m", "mlx_lm", "fuse", *common, *fused)
        sizes = ["--num-samples", 4, "--sequence-length", 32, "--batch-size", 2]
        measure = ["--model", at / model, "--data-path", at / "data", *sizes]
        trial.run(f"{model}: perplexity", "-m", "mlx_lm", "perplexity", *measure)
        trial.serve(at / model)
    sys.exit(f"failed: {', '.join(trial.failed)}" if trial.failed else 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
