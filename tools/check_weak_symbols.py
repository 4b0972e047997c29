"""Fails when an object compiled for one instruction-set level defines a weak symbol.

The linker keeps one copy of a weak function for everybody: an AVX-512 one would then run on machines
without AVX-512. Usage: check_weak_symbols.py OBJECT...
"""

import subprocess
import sys


def weak_symbols(path):
    listing = subprocess.run(["nm", "-C", path], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        fields = line.split(maxsplit=2)
        if len(fields) == 3 and fields[1] in "WVu":
            yield fields[2]


def main(paths):
    found = [(path, name) for path in paths for name in weak_symbols(path)]
    for path, name in found:
        print(f"weak symbol in {path}: {name}")
    print(f"{len(paths)} objects, {len(found)} weak symbols")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
