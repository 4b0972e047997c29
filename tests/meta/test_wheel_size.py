"""The extension stays small enough for a wheel of 10 MB, which `make ci` builds at its very end."""

import zlib
from pathlib import Path

from lazulite.core import _core


def test_extension_fits_a_wheel():
    data = Path(_core.__file__).read_bytes()
    assert len(zlib.compress(data, 6)) <= 9_700_000
