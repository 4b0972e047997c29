"""Lazulite beside its peers on this machine, in one run: medians, ratios to the best peer, and each
result beside float64.

    python bench/run.py                          every peer that this Python can import
    python bench/run.py --peers numpy jax torch=/path/to/python
    python bench/run.py --only "reduce|norms"    cases whose "room: name" matches
    python bench/run.py --memory                 peaks, in place of times
    python bench/run.py --least --rounds 20      on a machine that has other things to do
    python bench/run.py --cpu --least --threads 1    ... that has many: time that it was given
    python bench/run.py --write                  docs/performance.md and its plot

Each framework has a process of its own; they take turns, case by case and round by round, so that a
noisy neighbour meets all of them.
"""

import argparse
import base64
import contextlib
import datetime
import json
import math
import os
import random
import re
import select
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cases  # noqa: E402
import report  # noqa: E402

OURS = "lazulite"
PEERS = "numpy torch jax numexpr mlx".split()
THREADS = "OMP MKL OPENBLAS NUMEXPR LAZULITE".split()
# Relative errors, beside the typical size of the result, that pass: chance and roundings.
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-4, "complex64": 1e-4}


class Process:
    """A framework's worker; made anew after it died or hung."""

    def __init__(self, name, python, options, rows):
        self.name, self.python, self.options, self.rows = name, python, options, rows
        self.child = None

    def ask(self, do, **command):
        """The answer, or {"gap": why} where the process died or took too long."""
        if self.child is None:
            self.start()
        try:
            self.child.stdin.write(json.dumps({"do": do, **command}) + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            return self.lost("died")
        return self.answer()

    def start(self):
        environment = dict(os.environ)
        if self.options.threads:
            for prefix in THREADS:
                environment[f"{prefix}_NUM_THREADS"] = str(self.options.threads)
        arguments = [self.python, str(HERE / "worker.py"), self.name]
        self.child = subprocess.Popen(
            arguments + (["small"] if self.options.check else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if self.options.verbose else subprocess.DEVNULL,
            text=True,
            env=environment,
            preexec_fn=self.limit if self.options.threads else None,
        )
        ready = self.answer()
        if "gap" in ready:
            raise ImportError(f"{self.name}: {ready['gap']}")
        self.ask("load", rows=self.rows)

    def limit(self):
        """As many processors as threads: JAX asks for no variable, and time that a thread took on
        another processor may be counted late."""
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-self.options.threads :])

    def answer(self):
        if not select.select([self.child.stdout], [], [], self.options.patience)[0]:
            return self.lost(f"took more than {self.options.patience} s")
        line = self.child.stdout.readline()
        return json.loads(line) if line else self.lost("died")

    def lost(self, why):
        self.child.kill()
        code = self.child.wait()
        self.close()
        return {"gap": f"{why} ({code})", "raised": True}

    def close(self):
        for pipe in (self.child.stdin, self.child.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self.child.wait()
        self.child = None

    def stop(self):
        if self.child is not None:
            self.close()


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", nargs="*", metavar="NAME[=PYTHON]", help=" ".join(PEERS))
    parser.add_argument("--python", default=sys.executable, help="the interpreter of peers")
    parser.add_argument("--only", default="", metavar="PATTERN", help="a regular expression")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="ratios by room, as SVG")
    parser.add_argument("--write", action="store_true", help="docs/performance.md and its plot")
    parser.add_argument("--least", action="store_true", help="compare least times, not medians")
    parser.add_argument("--cpu", action="store_true", help="time of processors; with --threads 1")
    parser.add_argument("--roof", metavar="PROGRAM", help="bench/cpp's, for what rows could reach")
    parser.add_argument("--memory", action="store_true", help="peaks of memory, not times")
    parser.add_argument("--check", action="store_true", help="small sizes, values alone")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.04, help="of each turn")
    parser.add_argument(
        "--threads", type=int, default=0, help="of all frameworks, and processors; 0: their own"
    )
    parser.add_argument("--patience", type=float, default=120, help="seconds, before it is a gap")
    parser.add_argument("--verbose", action="store_true", help="what workers write to stderr")
    return parser.parse_args()


def table_rows():
    """What the table of functions has to offer; nothing where an older core shows none."""
    from lazulite.core import _core

    from cases.rows import from_table

    return from_table(_core._table(), _core._limits(), np)


def processes(options, rows):
    """Ours, the reference, and the peers that can be started."""
    asked = PEERS if options.peers is None else options.peers
    pairs = [(OURS, sys.executable), ("reference", sys.executable)]
    for text in asked:
        name, _, python = text.partition("=")
        if name not in PEERS:
            sys.exit(f"unknown peer {name}: expected some of {', '.join(PEERS)}")
        pairs.append((name, python or options.python))
    started, about = {}, {}
    for name, python in pairs:
        process = Process(name, python, options, rows)
        try:
            process.start()
        except (ImportError, OSError) as why:
            if name in (OURS, "reference"):
                raise
            print(f"without {why}", file=sys.stderr)
            continue
        started[name] = process
        about[name] = process.ask("about")
    return started, about


def decoded(sample):
    values = np.frombuffer(base64.b64decode(sample["data"]), sample["kind"])
    return tuple(sample["shape"]), values


def error_of(name, made, exact, got):
    """How far results are from float64, in units of what is allowed; inf where shapes differ."""
    worst = 0.0
    if len(exact) != len(got):
        return math.inf
    for wanted, found in zip(exact, got):
        shape, w = decoded(wanted)
        other, g = decoded(found)
        if shape != other:
            return math.inf
        if not w.size:
            continue
        allowed = made.tolerance or dtype_tolerance(name, found["dtype"])
        with np.errstate(all="ignore"):
            same = (w == g) | (np.isnan(w) & np.isnan(g))
            typical = np.sqrt(np.nanmean(np.abs(w[np.isfinite(w)]) ** 2)) if w.size else 0
            far = np.abs(w - g) / (np.abs(w) + typical + 1e-300) / allowed
            far = np.where(same, 0, np.where(np.isnan(far), math.inf, far))
        worst = max(worst, float(far.max()))
    return worst


def dtype_tolerance(name, dtype):
    for half in ("bfloat16", "float16"):  # shown as float32: bfloat16 has no name in NumPy
        if half in name:
            return TOLERANCE[half]
    return TOLERANCE.get(dtype, 1e-9)


def measure_case(name, made, running, options):
    """Facts of one case, and each framework's times, peak or gap."""
    exact = running["reference"].ask("prepare", name=name)
    result: dict = {"room": made.room, "name": made.name, "judged": made.judged, "frameworks": {}}
    ready = []
    for who, process in running.items():
        if who == "reference":
            continue
        told = process.ask("prepare", name=name)
        entry: dict = {}
        if "gap" in told:
            entry["gap"] = told["gap"]
            if who == OURS and told.get("raised"):
                result["failed"] = told["gap"]
        else:
            ready.append(who)
            if "samples" in exact:
                entry["error"] = error_of(name, made, exact["samples"], told["samples"])
            if who == OURS:
                result["bytes"], result["flops"] = told["bytes"], told["flops"]
        result["frameworks"][who] = entry
    result["checked"] = "samples" in exact
    if "gap" in exact and exact.get("raised"):
        result["unchecked"] = exact["gap"]
    if exact.get("alias") and made.room == "functions":
        ready = []  # a view costs nothing
        result["view"] = True
    if options.memory and not options.check:
        for who in ready:
            result["frameworks"][who].update(running[who].ask("peak"))
    elif ready and not options.check:
        take_turns(ready, running, result["frameworks"], options)
        if OURS in ready and "gap" in result["frameworks"][OURS]:
            result["failed"] = result["frameworks"][OURS]["gap"]
    for who in running:
        running[who].ask("drop")
    return result


def take_turns(ready, running, entries, options):
    for k in range(options.rounds):
        # Drawn, since in an order that rotates each would always follow the same other.
        for who in random.Random(k).sample(ready, len(ready)):
            if "gap" in entries[who]:
                continue
            told = running[who].ask("time", seconds=options.seconds, cpu=options.cpu)
            if "gap" in told:
                entries[who] = {"gap": told["gap"]}
                continue
            entries[who].setdefault("rounds", []).append(statistics.median(told["times"]))
            least = entries[who].get("least", math.inf)
            entries[who]["least"] = min([least, *told["times"]])
    for entry in entries.values():
        if "rounds" in entry:
            entry["median"] = statistics.median(entry["rounds"])


def main():
    options = arguments()
    rows = table_rows()
    known = cases.load(rows)
    pattern = re.compile(options.only)
    chosen = {n: c for n, c in known.items() if c.memory == options.memory or options.check}
    chosen = {n: c for n, c in chosen.items() if pattern.search(n)}
    if not chosen:
        sys.exit(f"no case matches {options.only!r}")
    running, about = processes(options, rows)
    results = report.Results(
        date=datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        cpu=report.cpu_name(),
        isa=about[OURS]["isa"],
        threads=about[OURS]["threads"],
        versions={n: a["version"] for n, a in about.items() if n != "reference"},
        unit="peak" if options.memory else "least" if options.least else "median",
        rounds=options.rounds,
    )
    if options.roof:
        told = subprocess.run([options.roof, "--json"], capture_output=True, text=True, check=True)
        results.roof = json.loads(told.stdout)
    if not options.check:
        print(results.heading())
    for name, made in chosen.items():
        result = measure_case(name, made, running, options)
        results.add(result)
        if not options.check:
            print(results.line(result), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results.plain(), indent=1))
    for process in running.values():
        process.stop()
    if not options.check:
        print(results.ending())
    if options.plot:
        results.plot(options.plot)
    if options.write:
        results.write(HERE.parent / "docs" / "performance.md")
    wrong = results.wrong(OURS)
    for line in wrong:
        print(line, file=sys.stderr)
    if options.check:
        print(f"{len(results.cases)} cases checked")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
