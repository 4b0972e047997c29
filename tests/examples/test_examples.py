"""The programs of examples/ run, in a small size."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(example, *arguments, cwd):
    """Its lines; progress bars go elsewhere. Warnings are errors of ours."""
    out = subprocess.run(
        [sys.executable, str(ROOT / "examples" / example), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert out.returncode == 0, out.stdout + out.stderr
    assert "Warning" not in out.stderr, out.stderr
    return out.stdout.splitlines()


def pictures(folder):
    from PIL import Image

    sizes = {}
    for path in sorted(Path(folder).glob("*.png")):
        with Image.open(path) as picture:
            sizes[path.name] = picture.convert("RGB").getcolors(1 << 24)
    assert all(len(colors) > 20 for colors in sizes.values()), "a picture is empty"
    return list(sizes)


def test_digits_are_learned(tmp_path):
    lines = run("digits.py", "--epochs", 25, "--out", tmp_path / "digits.png", cwd=tmp_path)
    assert lines[0] == "1437 training images, 360 test images" and "test accuracy 9" in lines[-1]
    assert pictures(tmp_path) == ["digits.png"]


def test_digits_are_recognised_in_few_bits(tmp_path):
    lines = run("quantization.py", "--epochs", 8, cwd=tmp_path)
    sizes = {line[:24].strip(): int(line.split()[-2].replace(",", "")) for line in lines[:7]}
    assert sizes["static, 8 bits"] < 0.3 * sizes["floats of 32 bits"]
    assert sizes["trained, 4 bits"] == sizes["weights, 4 bits"] < 0.2 * sizes["floats of 32 bits"]
    assert lines[8].split() == ["layer", "was", "is", "own", "error", "error", "size"]


def test_a_pruned_network_recognises_digits(tmp_path):
    lines = run("sparse.py", "--epochs", 15, cwd=tmp_path)
    rows = {line[:26].strip(): line[26:].replace("%", "").split() for line in lines[1:5]}
    dense = float(rows["dense"][-1])
    assert dense > 94 and float(rows["90 % of the weights"][-1]) > dense - 2
    kept = {name: int(row[0].replace(",", "")) for name, row in rows.items()}
    assert kept["90 % of the weights"] < 0.11 * kept["dense"]
    assert [line.split()[0] for line in lines[7:9]] == ["sparse", "dense"]


@pytest.mark.parametrize("form", ["mnist", "cifar10", "cifar100"])
def test_a_convolutional_network_is_trained_and_compared(form, tmp_path):
    """Without PyTorch, which is another process where it is there."""
    lines = run(
        "cnn/compare.py",
        *("--form", form, "--epochs", 2, "--train", 160, "--test", 40, "--batch", 32),
        *("--torch-python", "no such python", "--out", tmp_path),
        cwd=tmp_path,
    )
    assert lines[-1].startswith("Lazulite: test accuracy ") and "40 images" in lines[-1]
    assert pictures(tmp_path) == ["curves.png", "epochs.png", "inference.png"]


def test_the_files_of_the_forms_are_those_of_the_originals(tmp_path):
    sys.path.insert(0, str(ROOT / "examples" / "cnn"))
    try:
        import forms
    finally:
        sys.path.pop(0)
    from lazulite.data import load_cifar10, load_cifar100, load_mnist

    for form, read, classes in (
        ("mnist", load_mnist, 10),
        ("cifar10", load_cifar10, 10),
        ("cifar100", load_cifar100, 100),
    ):
        forms.write(tmp_path / form, form, 50, 20)
        side, channels = forms.FORMS[form]
        for train, n in ((True, 50), (False, 20)):
            images, labels = read(str(tmp_path / form), train=train).arrays
            assert images.shape == (n, side, side, channels)
            assert labels.min() >= 0 and labels.max() < classes and len(set(labels)) > 5


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_a_transformer_writes_nearly_the_same_before_and_after_it_is_quantized(size, tmp_path):
    ways = ["dynamic", "static", "ptq", "qat"] if size == "tiny" else ["dynamic"]
    count = 8 if size == "tiny" else 2
    lines = run("gpt.py", "--size", size, "--tokens", count, "--ways", *ways, cwd=tmp_path)
    assert lines[0].startswith("float32: ") and len(lines) == 1 + 2 * len(ways)
    whole = float(lines[0].split()[1])
    for i, way in enumerate(ways):
        assert lines[1 + 2 * i].startswith(f"{way}: ")
        megabytes = float(lines[1 + 2 * i].split()[1])
        assert way == "qat" or megabytes < 0.5 * whole
        assert float(lines[2 + 2 * i].split()[4]) < 0.1


def test_the_calls_of_the_introduction(tmp_path):
    lines = run("introduction.py", cwd=tmp_path)
    assert [
        line.partition(":")[0] for line in lines
    ] == "functions transforms shapes devices".split()


def test_the_calls_of_the_speed_guide(tmp_path):
    names = "one_step_ahead evaluated_trees dtypes_of_mixtures fast_functions "
    names += "products_and_indices compiled weights_in_halves gradients_released memory"
    lines = run("speed_guide.py", "--width", 128, cwd=tmp_path)
    assert [line.partition(":")[0] for line in lines] == names.split()


def test_wide_arrays_that_are_made_narrow_take_the_memory_of_narrow_ones(tmp_path):
    sizes = ["--count", 60, "--rows", 256, "--widths", 20, 1000, "--graph", tmp_path]
    lines = run("width_limit.py", *sizes, cwd=tmp_path)
    own, narrow, wide = (float(line.split()[-2]) for line in lines[1:4])
    assert own < 1.3 * 60 * 256 * 128 / 1e6 and own <= narrow <= wide
    text = (tmp_path / "graph.dot").read_text()
    assert text == (tmp_path / "graph.again.dot").read_text() and text.startswith("digraph")


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "c++")) is None, reason="no compiler")
def test_kernels_of_source_text(tmp_path):
    lines = run("custom_kernel.py", "--size", 4096, cwd=tmp_path)
    assert [line.partition(":")[0] for line in lines[:3]] == [
        "gelu by functions",
        "gelu by C++",
        "gelu by Metal's language",
    ]


def test_a_llama_says_the_same_from_both_of_its_files(tmp_path):
    made = run("llama.py", "--make", tmp_path, cwd=tmp_path)
    assert made == ["made config.json model.gguf model.safetensors"]
    asked = ["--prompt", "hello", "--prompt", "and then", "--tokens", 6]
    for bits in (0, 4):
        said = []
        for ending in ("safetensors", "gguf"):
            lines = run("llama.py", f"model.{ending}", "--bits", bits, *asked, cwd=tmp_path)
            assert len([line for line in lines if line.startswith("[")]) == 2
            said.append([line for line in lines if not line.startswith("[")])
        assert said[0] == said[1]


def test_tokens_per_second_are_measured_of_a_file_that_other_programs_read(tmp_path):
    """Of Lazulite alone: bench/decode.py writes blocks, and packs them anew as well."""
    sizes = "--dim 128 --layers 2 --heads 4 --kv 2 --hidden 192 --vocab 64 --prompt 8 --tokens 3"
    bench = ["--rounds", 1, "--json", tmp_path / "found", *sizes.split()]
    run("../bench/decode.py", *bench, cwd=tmp_path)
    found = json.loads((tmp_path / "found").read_text())
    assert list(found) == ["lazulite", "groups of 64"]
    assert all(row["read"] > 0 and row["write"] > 0 for row in found.values())


def test_a_diffusion_network_learns_and_draws_at_batch_1_and_16(tmp_path):
    sizes = ["--side", 16, "--width", 16, "--steps", 40, "--samples", 4]
    lines = run("unet.py", *sizes, "--out", tmp_path / "unet.png", cwd=tmp_path)
    first, last = (float(word) for word in lines[0].split() if word[0] == "0")
    assert last < 0.6 * first and [line[:8] for line in lines[1:]] == ["batch 1:", "batch 16"]
    assert pictures(tmp_path) == ["unet.png"]


def test_a_run_of_the_network_can_be_had_again(tmp_path):
    losses = []
    for name in "ab":
        arguments = ["--form", "mnist", "--epochs", 1, "--json", tmp_path / name]
        if name == "a":
            run("cnn/forms.py", tmp_path, "--train", 96, "--test", 16, cwd=tmp_path)
        run("cnn/train.py", "--data", tmp_path, *arguments, cwd=tmp_path)
        losses.append(json.loads((tmp_path / name).read_text())["history"][0][0])
    assert losses[0] == losses[1]
