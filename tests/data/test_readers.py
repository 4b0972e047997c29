"""Readers of files: good ones, missing ones, and ones that are cut short or forged."""

import gzip
import os
import struct
import threading

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.data import (
    BytePairTokenizer,
    DataLoader,
    ImageFolder,
    TokenDataset,
    load_cifar10,
    load_cifar100,
    load_csv,
    load_digits,
    load_idx,
    load_mnist,
    load_text,
    load_tokens,
    save_tokens,
)

RNG = np.random.default_rng(0)


def idx(a):
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[a.dtype.str[1:]]
    head = bytes([0, 0, code, a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape)
    return head + a.astype(a.dtype.newbyteorder(">")).tobytes()


def write_mnist(root, n=5, packed=False):
    for part in ("train", "t10k"):
        for what, a in (
            ("images-idx3", RNG.integers(0, 256, (n, 28, 28)).astype(np.uint8)),
            ("labels-idx1", np.arange(n, dtype=np.uint8)),
        ):
            data = idx(a)
            path = os.path.join(root, f"{part}-{what}-ubyte" + (".gz" if packed else ""))
            with open(path, "wb") as file:
                file.write(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_idx_files_of_every_type_are_read(kind, tmp_path):
    a = RNG.integers(0, 100, (3, 4, 5)).astype(kind)
    (tmp_path / "a").write_bytes(idx(a))
    found = load_idx(str(tmp_path / "a"))
    assert found.dtype == a.dtype and (found == a).all()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_mnist_is_read_from_where_others_put_it(packed, below, tmp_path):
    folder = tmp_path / below
    os.makedirs(folder, exist_ok=True)
    write_mnist(folder, packed=packed)
    for train in (True, False):
        images, labels = load_mnist(str(tmp_path), train=train).arrays
        assert images.shape == (5, 28, 28, 1) and images.dtype == np.uint8
        assert labels.tolist() == [0, 1, 2, 3, 4]


def test_cifar_is_read_with_channels_last(tmp_path):
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        rows = RNG.integers(0, 10, (4, 3073)).astype(np.uint8)
        (tmp_path / f"{name}.bin").write_bytes(rows.tobytes())
    images, labels = load_cifar10(str(tmp_path), train=False).arrays
    assert images.shape == (4, 32, 32, 3) and (labels == rows[:, 0]).all()
    assert (images[1, 2, 3] == rows[1, 1:].reshape(3, 32, 32)[:, 2, 3]).all()
    assert len(load_cifar10(str(tmp_path))) == 20

    os.mkdir(tmp_path / "cifar-100-binary")
    rows = RNG.integers(0, 20, (4, 3074)).astype(np.uint8)
    (tmp_path / "cifar-100-binary" / "test.bin").write_bytes(rows.tobytes())
    for coarse in (True, False):
        data = load_cifar100(str(tmp_path), train=False, coarse=coarse)
        assert (data.arrays[1] == rows[:, 0 if coarse else 1]).all()


@pytest.mark.parametrize(
    "read, words",
    [
        (load_mnist, ["train-images-idx3-ubyte", "https://", "28x28"]),
        (load_cifar10, ["data_batch_1.bin", "https://", "3,072 bytes"]),
        (load_cifar100, ["train.bin", "https://", "3,072 bytes"]),
        (load_idx, ["IDX", "axes"]),
        (load_csv, ["UTF-8", "fields"]),
        (load_tokens, [".npy", "integers"]),
        (ImageFolder, ["folder", ".png"]),
        (BytePairTokenizer.load, ["tokenizer.json"]),
    ],
)
def test_a_missing_file_says_where_it_is_to_be_had_and_what_it_looks_like(read, words, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        read(str(tmp_path / "nowhere"))
    assert all(word in str(error.value) for word in words)
    assert isinstance(error.value, mx.FileError)


def test_every_cut_of_an_idx_file_is_refused(tmp_path):
    data = idx(np.arange(6, dtype=np.int32).reshape(2, 3))
    path = tmp_path / "a"
    for n in range(len(data)):
        path.write_bytes(data[:n])
        with pytest.raises(mx.FormatError):
            load_idx(str(path))
    path.write_bytes(data + b"\0")
    with pytest.raises(mx.FormatError, match="longer"):
        load_idx(str(path))
    for sizes in ((2**32 - 1,) * 5, (0,) * 5):
        path.write_bytes(bytes([0, 0, 14, 5]) + struct.pack(">5I", *sizes) + b"123")
        with pytest.raises(mx.FormatError):
            load_idx(str(path))


def test_damaged_and_foreign_files_are_format_errors(tmp_path):
    packed = gzip.compress(idx(np.arange(99, dtype=np.uint8)))
    bad = tmp_path / "a.gz"
    for data in (packed[:-9], packed[:20], b"no gzip", packed[:30] + b"xx" + packed[32:]):
        bad.write_bytes(data)
        with pytest.raises(mx.FormatError):
            load_idx(str(bad))
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(4, dtype=np.uint8)))
    with pytest.raises(mx.FormatError, match="labels"):
        load_mnist(str(tmp_path))
    for size in (0, 3072, 3074):
        (tmp_path / "test_batch.bin").write_bytes(b"\0" * size)
        with pytest.raises(mx.FormatError, match="3073"):
            load_cifar10(str(tmp_path), train=False)
    (tmp_path / "test_batch.bin").write_bytes(b"\x0b" + b"\0" * 3072)
    with pytest.raises(mx.FormatError, match="class"):
        load_cifar10(str(tmp_path), train=False)
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(mx.FormatError, match="tokenizer"):
        BytePairTokenizer.load(str(tmp_path / "t.json"))
    with pytest.raises(mx.FormatError, match="folder"):
        load_idx(str(tmp_path))


def test_columns_of_a_csv_file_have_their_types(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('\ufeffn,x,"a, b"\n1,2.5,"one\ntwo"\n-3,,three\n\n')
    data = load_csv(str(path))
    assert data.arrays["n"].dtype == np.int64 and data.arrays["x"].dtype == np.float32
    assert data.arrays["a, b"].tolist() == ["one\ntwo", "three"] and np.isnan(data.arrays["x"][1])
    batch = next(iter(DataLoader(load_csv(str(path), columns=["n", "x"]), 2)))
    assert batch["n"].tolist() == [1, -3]
    path.write_text("1;2\n3;4\n")
    assert load_csv(str(path), header=False, delimiter=";").arrays["1"].tolist() == [2, 4]
    regression = load_csv(str(path), header=False, delimiter=";", target="1")
    assert regression[1][0].tolist() == [3] and regression[1][1] == 4


def test_tables_that_are_none_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    for text in (b"", b"a,b\n", b"a,b\n1\n", b"a,a\n1,2\n", b"\xff\xfe\0", b'a\n"' + b"x" * 200000):
        path.write_bytes(text)
        with pytest.raises(mx.FormatError):
            load_csv(str(path))
    path.write_text("a,b\nx,1\n")
    with pytest.raises(mx.FormatError, match="no numbers"):
        load_csv(str(path), target="b")
    for options in ({"target": "c"}, {"columns": ["c"]}):
        with pytest.raises(ValueError, match="no column"):
            load_csv(str(path), **options)


def test_pictures_in_folders(tmp_path):
    from PIL import Image

    for label, name in enumerate(["b", "a"]):
        os.makedirs(tmp_path / name / "deeper")
        for i in range(3):
            picture = Image.new("RGB", (6, 4), (label * 100, i, 0))
            picture.save(tmp_path / name / "deeper" / f"{i}.png")
        (tmp_path / name / "notes.txt").write_text("no picture")
    pictures = ImageFolder(str(tmp_path), size=(8, 8))
    assert len(pictures) == 6 and pictures.classes == ["a", "b"]
    images, labels = next(iter(DataLoader(pictures, 6, num_workers=2)))
    assert images.shape == (6, 8, 8, 3) and labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.dtype == mx.uint8 and images[0, 0, 0].tolist() == [100, 0, 0]
    assert ImageFolder(str(tmp_path), mode="L", transform=lambda x: x / 255)[0][0].shape == (
        4,
        6,
        1,
    )

    whole = (tmp_path / "a" / "deeper" / "0.png").read_bytes()
    for data in (whole[:40], b"", b"\x89PNG\r\n\x1a\n" + b"\xff" * 50):
        (tmp_path / "a" / "deeper" / "0.png").write_bytes(data)
        with pytest.raises(mx.FormatError, match="0.png"):
            pictures[0]
    os.mkdir(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        ImageFolder(str(tmp_path / "empty"))


def test_tokens_are_mapped_and_come_in_windows(tmp_path):
    path = str(tmp_path / "tokens.bin")
    save_tokens(path, [np.arange(50), [], [7, 8]])
    tokens = load_tokens(path)
    assert isinstance(tokens, np.memmap) and len(tokens) == 52
    np.save(tmp_path / "tokens.npy", np.arange(52, dtype=np.uint32))
    for source in (path, str(tmp_path / "tokens.npy")):
        data = TokenDataset(source, 8, stride=4)
        assert len(data) == 11
        x, y = next(iter(DataLoader(data, 11)))
        assert x.dtype == mx.int32 and x[2].tolist() == list(range(8, 16))
        assert (x[:, 1:] == y[:, :-1]).all().item()
        assert data[-1][0].tolist() == x[10].tolist()
        with pytest.raises(IndexError):
            data[11]


def test_files_of_tokens_that_are_none_are_refused(tmp_path):
    path = tmp_path / "a.bin"
    for data in (b"", b"123"):
        path.write_bytes(data)
        with pytest.raises(mx.FormatError):
            load_tokens(str(path))
    path.write_bytes(b"1234")
    with pytest.raises(ValueError, match="too few"):
        TokenDataset(str(path), 8)
    with pytest.raises(mx.FormatError, match="less than 100"):
        TokenDataset(str(path), 1, vocabulary_size=100)[0]
    for a in (np.zeros(3), np.zeros((2, 2), int), np.array([object()])):
        np.save(tmp_path / "a.npy", a)
        with pytest.raises(mx.FormatError):
            load_tokens(str(tmp_path / "a.npy"))
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(mx.FormatError):
        load_tokens(str(tmp_path / "a.npy"))
    with pytest.raises(ValueError):
        save_tokens(str(path), [[70000]])
    assert path.read_bytes() == b"1234", "the file is as it was"
    with pytest.raises(ValueError):
        TokenDataset(np.arange(9), 0)


def test_text_is_encoded_by_pieces_and_comes_back(tmp_path):
    text = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n" * 20
    for name in "ab":
        (tmp_path / name).write_text(text, encoding="utf-8")
    tokenizer = BytePairTokenizer.train([tmp_path / "a"], 300)
    assert tokenizer.vocabulary_size <= 300 and tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(mx.array(tokenizer.encode("Deich"))) == "Deich"
    tokenizer.save(tmp_path / "t.json")
    again = BytePairTokenizer.load(tmp_path / "t.json")
    assert again.encode(text) == tokenizer.encode(text) and again.end == tokenizer.end == 0
    windows = load_text([tmp_path / "a", str(tmp_path / "b")], again, 16)
    assert sum(int(t == again.end) for t in windows.tokens) == 2
    (tmp_path / "a").write_bytes(b"\xff\xff")
    with pytest.raises(mx.FormatError):
        load_text(str(tmp_path / "a"), again, 16)
    with pytest.raises(ValueError, match="vocabulary_size"):
        BytePairTokenizer.train(["a"], 10)


def test_digits_need_no_file():
    train, test = load_digits()
    assert (len(train), len(test)) == (1437, 360) and train.arrays[0].shape == (1437, 64)
    assert load_digits(flat=False)[1][0][0].shape == (8, 8, 1)
    assert train.arrays[0].min() == -1 and train.arrays[0].max() == 1


def test_files_are_read_by_several_threads_at_once(tmp_path):
    save_tokens(str(tmp_path / "t"), [np.arange(4001)])
    data = TokenDataset(str(tmp_path / "t"), 10)
    found = [None] * 4

    def read(i):
        found[i] = [x.tolist() for x, _ in DataLoader(data, 7, num_workers=2)]

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(f == found[0] for f in found) and len(found[0]) == 58
