"""Damaged files, as the fuzzer of files (tests/fuzz/files.py) found them: one for each thing that
is ever said of a file, and some by their seeds."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parent.parent / "fuzz"


def fuzzer():
    sys.path[:0] = [str(FUZZ), str(FUZZ.parent / "ops")]
    try:
        spec = importlib.util.spec_from_file_location("fuzz_files", FUZZ / "files.py")
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
    finally:
        del sys.path[:2]
    return made


FILES = fuzzer()
CORPUS = [
    "base('gguf', 0); put(66, 0)",
    "base('gguf', 2); number(189, 4, 3)",
    "base('gguf', 0); put(90, 0)",
    "base('gguf', 2); grow(8)",
    "base('gguf', 1); put(24, 127)",
    "base('gguf', 1); keep(225)",
    "base('gguf', 1); put(32, 255)",
    "base('gguf', 0); put(57, 0)",
    "base('gguf', 2); keep(3437); copy(181, 10, -73); put(111, 1)",
    "base('gguf', 2); insert(182, 30)",
    "base('gguf', 2); insert(183, 7)",
    "base('gguf', 2); keep(867); insert(184, 19)",
    "base('gguf', 2); put(187, 1)",
    "base('gguf', 0); keep(98)",
    "base('gguf', 2); keep(2931); number(4455, 2, 9223372036854775808)",
    "base('gguf', 2); keep(487)",
    "base('gguf', 0); keep(5)",
    "base('gguf', 0); put(46, 1)",
    "base('gguf', 2); put(452, 34)",
    "base('gguf', 2); put(69, 1)",
    "base('gguf', 1); put(66, 0)",
    "base('gguf', 0); put(77, 255)",
    "base('gguf', 2); copy(179, 14, 194)",
    "base('gguf', 1); put(7, 1)",
    "base('npy', 2); put(23, 1)",
    "base('npy', 3); grow(8)",
    "base('npy', 0); keep(2)",
    "base('npy', 3); keep(829)",
    "base('npy', 0); keep(81)",
    "base('npy', 3); put(6, 1)",
    "base('npy', 2); word(31, '9223372036854775807')",
    "base('npy', 0); put(6, 0)",
    "base('npz', 2); put(76, 1)",
    "base('npz', 0); grow(1)",
    "base('npz', 1); copy(90, 38, 1716)",
    "base('npz', 2); put(59, 0)",
    "base('npz', 2); number(-79, 4, 1)",
    "base('npz', 0); put(63, 255)",
    "base('npz', 2); put(29, 54)",
    "base('npz', 1); copy(1254, 17, -108)",
    "base('npz', 2); put(68, 1)",
    "base('npz', 0); number(146, 4, 2147483648); number(-91, 4, 9)",
    "base('npz', 2); put(591, 128)",
    "base('npz', 1); put(97, 0)",
    "base('npz', 2); put(-73, 0)",
    "base('npz', 1); put(-8, 1)",
    "base('npz', 1); put(823, 1)",
    "base('npz', 1); put(64, 0)",
    "base('npz', 1); put(58, 1)",
    "base('npz', 1); put(95, 0)",
    "base('npz', 1); put(78, 1)",
    "base('npz', 1); number(28, 2, 9)",
    "base('npz', 0); put(1059, 29)",
    "base('npz', 1); put(30, 0)",
    "base('npz', 1); put(26, 132)",
    "base('npz', 1); number(-92, 4, 4294967295); word(25, '1')",
    "base('npz', 1); keep(23)",
    "base('npz', 1); put(-114, 1)",
    "base('npz', 2); number(-84, 8, 9)",
    "base('npz', 2); put(2691, 127)",
    "base('npz', 0); copy(36, 24, -52)",
    "base('npz', 1); copy(-185, 26, -51)",
    (
        "base('npz', 2); put(-125, 72); put(-199, 127); put(-140, 128); "
        "word(41, 'true'); insert(-289, 2)"
    ),
    "base('npz', 2); put(3, 1)",
    "base('npz', 2); copy(12, 20, -99)",
    (
        "base('npz', 2); copy(94, 17, -141); number(128, 4, 2); "
        "number(60, 8, 9223372036854775807); word(19, '[['); number(195, 4, 3)"
    ),
    "base('npz', 0); copy(91, 36, 4386); grow(1); put(-115, 133)",
    "base('npz', 0); number(-92, 8, 9223372036854775807)",
    "base('npz', 2); put(-67, 236)",
    "base('npz', 0); put(61, 128)",
    "base('safetensors', 0); grow(1)",
    "base('safetensors', 1); put(4, 0)",
    "base('safetensors', 1); put(1, 1)",
    "base('safetensors', 1); put(7, 1)",
    "base('safetensors', 1); keep(335)",
    "base('safetensors', 0); keep(1434)",
    "base('safetensors', 0); keep(22)",
    "base('safetensors', 0); put(97, 35)",
    "base('safetensors', 0); put(81, 1)",
    "base('safetensors', 0); put(0, 1)",
    "base('safetensors', 1); put(8, 0)",
    "base('safetensors', 1); put(134, 1)",
    "base('safetensors', 0); put(40, 0)",
    "base('safetensors', 0); put(15, 92); put(133, 42)",
    "base('safetensors', 0); put(190, 123)",
    "base('safetensors', 0); word(20, '2')",
    "base('safetensors', 1); put(84, 43)",
    "base('safetensors', 0); word(6, '1')",
    "base('safetensors', 0); remove(-103, 17)",
    "base('safetensors', 0); word(50, '255')",
    "base('safetensors', 1); insert(64, 25)",
    "base('safetensors', 0); put(193, 45)",
    "base('safetensors', 1); word(6, '{}')",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(FILES, "FOLDER", str(tmp_path))


@pytest.mark.parametrize("program", CORPUS)
def test_a_damaged_file_raises_a_format_error_or_loads(program):
    assert FILES.check(program.split("; ")) is None


def test_files_of_random_damage():
    for seed in range(300):
        lines = FILES.generate(random.Random(seed))
        assert FILES.check(lines) is None, lines


@pytest.mark.parametrize("format", FILES.FORMATS)
def test_undamaged_files_load_and_come_back(format):
    for which in range(len(FILES.BASES[format])):
        lines = [f"base({format!r}, {which})"]
        assert FILES.outcome(lines) == "loads" and FILES.check(lines) is None
