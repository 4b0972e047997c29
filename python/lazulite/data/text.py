"""Text: pieces of bytes that often stand together, learned and numbered by `tokenizers`."""

from __future__ import annotations

import os
from typing import Any, Iterable, Optional, Sequence, Union

import numpy as np

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.data._files import Path_, bad, missing, package, read
from lazulite.data.tokens import TokenDataset

__all__ = ["BytePairTokenizer", "load_text"]

_END = "<|endoftext|>"
_TEXT = "Expected a text file in UTF-8."
_JSON = "Expected a tokenizer.json of the package tokenizers, as BytePairTokenizer.save writes it."


class BytePairTokenizer:
    """A byte-pair tokenizer of bytes: any text can be encoded, and comes back as it was.

    Made by :meth:`train` or :meth:`load`; the package ``tokenizers`` does the work.

    Example:
        >>> from lazulite.data import BytePairTokenizer
        >>> tokenizer = BytePairTokenizer.train(["low lower lowest"] * 4, vocabulary_size=270)
        >>> tokens = tokenizer.encode("lower slow")
        >>> len(tokens) < 10, tokenizer.decode(tokens)
        (True, 'lower slow')
    """

    def __init__(self, tokenizer: Any) -> None:
        """Wraps a ``tokenizers.Tokenizer``, which is ``self.tokenizer``."""
        self.tokenizer = tokenizer

    @classmethod
    @checked
    def train(
        cls, texts: Any, vocabulary_size: int = 8192, special: Sequence[Any] = (_END,)
    ) -> BytePairTokenizer:
        """Learn the pieces of texts.

        Args:
            texts: strings, or the paths of text files in a list of ``os.PathLike``.
            vocabulary_size: how many tokens, 256 for the bytes among them.
            special: tokens that text does not have; the first one marks the end of a document.

        Raises:
            FileError: no such file.
            ValueError: ``vocabulary_size`` below 256.
            ImportError: ``tokenizers`` is not installed.
        """
        if vocabulary_size < 256 + len(special):
            raise ValueError(
                f"[BytePairTokenizer] vocabulary_size: got {vocabulary_size}, expected "
                f"{256 + len(special)} or more: one for each byte and each special token"
            )
        library = package("BytePairTokenizer", "tokenizers", "tokenizers")
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=list(special),
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(_texts_of(texts), trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path_) -> BytePairTokenizer:
        """Read a ``tokenizer.json``.

        Raises:
            FileError: no such file.
            FormatError: not such a file.
        """
        data = read("BytePairTokenizer", path, _JSON, 1 << 30)
        library = package("BytePairTokenizer", "tokenizers", "tokenizers")
        try:
            return cls(library.Tokenizer.from_str(data.decode("utf-8")))
        except Exception as error:  # tokenizers raises Exception itself
            bad("BytePairTokenizer", path, f"no tokenizer ({error})", _JSON)

    def save(self, path: Path_) -> None:
        """Write a ``tokenizer.json``."""
        self.tokenizer.save(os.fspath(path))

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are."""
        return int(self.tokenizer.get_vocab_size())

    @property
    def end(self) -> Optional[int]:
        """The token that ends a document, where there is one."""
        found = self.tokenizer.token_to_id(_END)
        return None if found is None else int(found)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Union[Sequence[int], mx.array]) -> str:
        """The text of tokens."""
        ids = np.asarray(tokens).reshape(-1).tolist()
        return str(self.tokenizer.decode([int(i) for i in ids], skip_special_tokens=False))

    def __repr__(self) -> str:
        return f"BytePairTokenizer(vocabulary_size={self.vocabulary_size})"


@checked
def load_text(
    paths: Any, tokenizer: BytePairTokenizer, length: int, stride: Optional[int] = None
) -> TokenDataset:
    """Windows of the tokens of text files, with the end of a document between them.

    Args:
        paths: a path, or several.
        tokenizer: makes the tokens.
        length: tokens in a window; see :class:`TokenDataset`.
        stride: from a window to the next.

    Raises:
        FileError: no such file.
        FormatError: a file that is not UTF-8.
        ValueError: text that is too short for one window.

    Example:
        >>> import os, tempfile
        >>> from lazulite.data import BytePairTokenizer, load_text
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "a.txt")
        ...     with open(path, "w") as file:
        ...         n = file.write("to be or not to be " * 9)
        ...     tokenizer = BytePairTokenizer.train(["to be or not"], 260)
        ...     windows = load_text(path, tokenizer, length=8)
        >>> windows[0][0].shape, (windows[0][0][1:] == windows[0][1][:-1]).all().item()
        ((8,), True)
    """
    single = isinstance(paths, (str, os.PathLike))
    tokens: list[int] = []
    for path in [paths] if single else paths:
        tokens += tokenizer.encode(_read_text(path))
        if tokenizer.end is not None:
            tokens.append(tokenizer.end)
    return TokenDataset(np.array(tokens, np.int32), length, stride)


def _texts_of(texts: Any) -> Iterable[str]:
    for text in [texts] if isinstance(texts, (str, os.PathLike)) else texts:
        yield _read_text(text) if isinstance(text, os.PathLike) else text


def _read_text(path: Path_) -> str:
    if not os.path.exists(path):
        missing("load_text", path, _TEXT)
    try:
        return read("load_text", path, _TEXT, 1 << 34).decode("utf-8")
    except UnicodeDecodeError as error:
        bad("load_text", path, f"not text ({error})", _TEXT)
