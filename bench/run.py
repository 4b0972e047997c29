"""Lazulite beside its peers on this machine, in one run: medians, and ratios to the best of the
others.

    python bench/run.py [--with mlx=/path/to/python] [--rounds 3] [TASK ...]

Peers that an interpreter has not installed are left out. Frameworks take turns, so that a noisy
neighbour meets all of them.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FRAMEWORKS = ["lazulite", "mlx", "numpy", "torch", "jax"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", help="parts of task names")
    parser.add_argument(
        "--with", dest="others", action="append", default=[], metavar="FRAMEWORK=PYTHON"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pythons = dict.fromkeys(FRAMEWORKS, sys.executable)
    pythons.update(o.split("=", 1) for o in options.others)
    results: dict = {}
    facts = {}
    for _ in range(options.rounds):
        for name in list(FRAMEWORKS):
            out = subprocess.run(
                [pythons[name], str(HERE / "tasks.py"), name, *options.tasks],
                capture_output=True,
                text=True,
            )
            if out.returncode:
                reason = out.stderr.strip().splitlines()[-1] if out.stderr.strip() else "no output"
                print(f"without {name}: {reason}", file=sys.stderr)
                FRAMEWORKS.remove(name)
                continue
            for label, (value, unit) in json.loads(out.stdout.splitlines()[-1]).items():
                if unit:
                    results.setdefault((label, unit), {}).setdefault(name, []).append(value)
                else:
                    facts[label] = value
    print("medians of", options.rounds, "rounds;", ", ".join(f"{k}: {v}" for k, v in facts.items()))
    width = max(len(label) for label, _ in results) + 5
    print(" " * width + "".join(f"{n:>11}" for n in FRAMEWORKS) + "   best other / lazulite")
    for (label, unit), row in results.items():
        medians = {n: statistics.median(v) for n, v in row.items()}
        others = [v for n, v in medians.items() if n != "lazulite"]
        ratio = (
            f"{min(others) / medians['lazulite']:.2f}" if others and "lazulite" in medians else ""
        )
        cells = "".join(
            f"{medians[n]:>11.2f}" if n in medians else f"{'-':>11}" for n in FRAMEWORKS
        )
        print(f"{label + ' (' + unit + ')':<{width}}{cells}   {ratio}")


if __name__ == "__main__":
    main()
