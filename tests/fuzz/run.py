"""Runs every fuzzer beside this file for some seconds each, two at a time: python tests/fuzz/run.py
SECONDS [SEED]."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent


def fuzzers():
    """The scripts that hand themselves to common.main: this one and the common part do not, nor do
    tests."""
    others = ("common.py", Path(__file__).name)
    return sorted(
        p
        for p in HERE.glob("*.py")
        if p.name not in others
        and not p.name.startswith("test_")
        and "common.main(" in p.read_text()
    )


def run(script, seconds, seed=0):
    """(exit code, what it printed)."""
    done = subprocess.run(
        [sys.executable, str(script), "--seconds", str(seconds), "--seed", str(seed)],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + (done.stderr if done.returncode else "")


def run_all(seconds, seed=0, at_once=2):
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda s: (s, *run(s, seconds, seed)), fuzzers()))


if __name__ == "__main__":
    worst = False
    for script, code, text in run_all(
        float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    ):
        print(text, end="" if text.endswith("\n") else "\n")
        worst = worst or code != 0  # below 0: a signal
    sys.exit(worst)
