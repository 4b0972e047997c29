"""Fails when an object compiled for one instruction-set level holds what it must not. Usage:
check_kernels.py OBJECT...

Weak symbols: the linker keeps one copy of a weak function for everybody, and an AVX-512 one would
then run on machines
without AVX-512. Fused multiply-add-subtract instructions: nobody writes them, but g++ 12 before
12.3 makes them of complex
products whatever -ffp-contract says, and the bits then depend on the level.
"""

import re
import subprocess
import sys


def printed(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def weak_symbols(path):
    for line in printed("nm", "-C", path):
        fields = line.split(maxsplit=2)
        if len(fields) == 3 and fields[1] in "WVu":
            yield f"weak symbol {fields[2]}"


def fused(path):
    function = ""
    for line in printed("objdump", "-dC", "--no-show-raw-insn", path):
        if line.endswith(">:"):
            function = line[line.find("<") + 1 : -2]
        elif re.search(r"\tvfm(addsub|subadd)", line):
            yield f"{line.split(chr(9))[-1].split()[0]} in {function}"


def main(paths):
    found = [
        (path, what) for path in paths for check in (weak_symbols, fused) for what in check(path)
    ]
    for path, what in found:
        print(f"{path}: {what}")
    print(f"{len(paths)} objects, {len(found)} faults")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
