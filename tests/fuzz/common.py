"""What the fuzzers share: seeds in turn, children that may die, shrinking, printing.

A fuzzer is a script beside this file that gives two functions and calls `main`:

    def generate(rng): ...   # a list of lines of Python, made with a random.Random alone
    def check(lines): ...    # None, or a Failure: what is wrong with the program that the lines are

    if __name__ == "__main__":
        common.main(generate, check)

`python tests/fuzz/NAME.py --seed 7` runs one seed, `--seconds 60` runs seeds from 0 (or from
--seed) on until the time is over. Both functions run in a child process, so that a crash or a hang
is a failure like any other; the child serves many seeds and is exchanged when it dies. A generator
that calls the library itself says before each call what the program is so far (`trying`), so that a
crash there has a program as well. A failing program is shrunk: lines are dropped, numbers made
smaller, and what the fuzzer's own
`simplify(lines)` (an iterable of candidates) proposes is tried, as long as the failure stays of its
kind. What is left is printed as a program that runs, and the exit code is 1.

Children have arrays beside pages without access (LAZULITE_GUARD: end, start or none), but for
one of those whose results are compared: what reads or writes beyond an array dies.
"""

import argparse
import contextlib
import json
import os
import random
import re
import selectors
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "ops")]

HEADER = "import numpy as np\n\nimport lazulite.core as mx\n"


class Failure:
    """What is wrong: `kind` stays the same while a program is shrunk, `text` is for the reader."""

    def __init__(self, kind, text=""):
        self.kind, self.text = kind, text

    def __repr__(self):
        return f"{self.kind}: {self.text}" if self.text else self.kind


def raised(error, where):
    """The failure that an exception is."""
    line = str(error).split("\n")[0]
    return Failure(
        f"{where} raises {type(error).__name__}: {re.split('[:0-9]', line)[0][:60]}", line
    )


# ---- children ------------------------------------------------------------------------------------


class Died(Exception):
    """The child ended or was too slow: the text says which."""


class Child:
    """This script again as `--serve`, with more environment: calls functions of the fuzzer by
    name."""

    def __init__(self, environment=None):
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.trying = []  # what its generator was at

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", sys.argv[0], "--serve"],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.reader = selectors.DefaultSelector()
        self.reader.register(self.process.stdout, selectors.EVENT_READ)
        self.held = b""

    def call(self, name, *args, timeout):
        """The answer of function `name`; Died when there is none in time."""
        if self.process is None:
            self.start()
            self._receive(120.0, None)  # ready: imports are not counted
        try:
            self.process.stdin.write(json.dumps([name, *args]).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        self.trying = []
        answer = self._receive(timeout, name)
        while "trying" in answer:
            self.trying = answer["trying"]
            answer = self._receive(timeout, name)
        if "error" in answer:
            raise RuntimeError(f"the fuzzer's {name} failed:\n{answer['error']}")
        return answer["value"]

    def _used(self):
        """(seconds of processor time, whether a thread would go on if it had a processor)."""
        ticks, waits = 0, False
        for path in Path(f"/proc/{self.process.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rsplit(")", 1)[1].split()
                ticks += int(fields[11]) + int(fields[12])
                waits |= fields[0] == "R"
        return ticks / os.sysconf("SC_CLK_TCK"), waits

    def _receive(self, timeout, name):
        begin, (used, _) = time.monotonic(), self._used()
        end = begin + timeout
        while b"\n" not in self.held:
            left = end - time.monotonic()
            if left <= 0 or not self.reader.select(left):
                # On a machine with much else to do it may have had no time to hang.
                now, waits = self._used()
                if waits and now - used < timeout and time.monotonic() < begin + 10 * timeout:
                    end = time.monotonic() + timeout / 10
                    continue
                self.stop()
                raise Died(f"hangs for {timeout:g} s")
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            if not data:
                code = self.process.wait()
                self.stop()
                raise Died(
                    f"dies with signal {-code}" if code < 0 else f"ends the process with {code}"
                )
            self.held += data
        line, self.held = self.held.split(b"\n", 1)
        return json.loads(line)

    def stop(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process = None


answers = None  # where a child writes them


def trying(lines):
    """What a generator is about to find out by a call: should it die there, this is the program."""
    if answers is not None:
        answers.write(json.dumps({"trying": lines}).encode() + b"\n")


def serve(functions):
    """What a child does: a line of JSON in, a line out. What the library prints goes elsewhere."""
    global answers
    out = answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    out.write(b'{"ready": true}\n')
    for line in sys.stdin.buffer:
        name, *args = json.loads(line)
        try:
            answer = {"value": functions[name](*args)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        out.write(json.dumps(answer).encode() + b"\n")


# ---- one seed ------------------------------------------------------------------------------------


class Fuzzer:
    """`variants` are environments in which `results(lines)` (anything that JSON can hold) must be
    what it is without them;
    a variant (environment, other) is content with the results under the environment `other` as
    well.
    """

    def __init__(
        self, generate, check, *, results=None, variants=(), simplify=None, show=None, timeout=20.0
    ):
        self.generate, self.check, self.results, self.variants = generate, check, results, variants
        self.simplify, self.show, self.timeout = simplify, show, timeout
        self.children = {}

    def served(self):
        def program(seed):
            return self.generate(random.Random(seed))

        def checked(lines):
            failure = self.check(lines)
            return failure and [failure.kind, failure.text]

        def simplified(lines):
            return [list(c) for c in self.simplify(lines)] if self.simplify else []

        def results(lines):
            try:
                return self.results(lines)
            except Exception:
                return "raises"  # which one of several is a matter of order

        return {"program": program, "check": checked, "simplify": simplified, "results": results}

    def child(self, environment):
        """Where results are compared, those of one side come from guarded memory."""
        if environment or not self.variants:
            environment = {"LAZULITE_GUARD": "end", **environment}
        key = json.dumps(environment, sort_keys=True)
        return self.children.setdefault(key, Child(environment))

    def fresh(self):
        for child in self.children.values():
            child.stop()

    def run(self, lines):
        """The failure of a program, or None."""
        try:
            found = self.child({}).call("check", lines, timeout=self.timeout)
        except Died as error:
            return Failure(str(error))
        if found:
            return Failure(*found)
        if not self.variants:
            return None
        try:
            wanted = self.child({}).call("results", lines, timeout=self.timeout)
        except Died as error:
            return Failure(str(error))
        for variant in self.variants:
            environment, other = variant if isinstance(variant, tuple) else (variant, None)
            try:
                got = self.child(environment).call("results", lines, timeout=self.timeout)
                if got != wanted and (
                    other is None
                    or got != self.child(other).call("results", lines, timeout=self.timeout)
                ):
                    return Failure(f"differs under {environment}", different(wanted, got))
            except Died as error:
                return Failure(f"under {environment}: {error}")
        return None

    def seed(self, seed):
        """(lines, failure) of a seed."""
        try:
            lines = self.child({}).call("program", seed, timeout=self.timeout)
        except Died as error:
            lines = self.child({}).trying
            failure = self.run(lines) if lines else None
            return lines, failure or Failure(f"while the program of seed {seed} is made: {error}")
        return lines, self.run(lines)

    # ---- shrinking

    def shrink(self, lines, failure, seconds=60.0):
        end = time.monotonic() + seconds
        best = [lines, failure]

        def better(candidate):
            if candidate == best[0] or time.monotonic() > end:
                return False
            found = self.run(candidate)
            if found is None or found.kind != failure.kind:
                return False
            best[:] = [candidate, found]
            return True

        while time.monotonic() < end:
            before = best[0]
            self._drop_lines(best, better)
            self._propose(best, better)
            self._smaller_numbers(best, better)
            if best[0] == before:
                break
        return best

    @staticmethod
    def _drop_lines(best, better):
        width = max(len(best[0]) // 2, 1)
        while True:
            at = len(best[0]) - width
            while at > -width:
                from_ = max(at, 0)
                better(best[0][:from_] + best[0][at + width :])
                at -= width
            if width == 1:
                return
            width //= 2

    def _propose(self, best, better):
        taken = True
        while taken and self.simplify:
            taken = False
            try:
                candidates = self.child({}).call("simplify", best[0], timeout=self.timeout)
            except (Died, RuntimeError):
                return
            taken = any(better(c) for c in candidates)

    @staticmethod
    def _smaller_numbers(best, better):
        tried = set()
        while True:
            text = "\n".join(best[0])
            numbers = sorted(
                {n for n in re.findall(r"(?<![\w.])\d+(?![\w.])", text) if int(n) > 1} - tried,
                key=int,
                reverse=True,
            )
            if not numbers:
                return
            n = numbers[0]
            tried.add(n)
            for smaller in sorted({1, 2, 3, int(n) // 2, int(n) - 1}):
                if smaller < int(n) and better(
                    re.sub(rf"(?<![\w.]){n}(?![\w.])", str(smaller), text).split("\n")
                ):
                    break

    def report(self, name, seed, lines, failure):
        print(f"{name}: seed {seed} fails: {failure}", flush=True)
        first = Fuzzer.run(self, lines) if lines else failure
        self.fresh()
        again = self.run(lines) if lines else failure
        if again is None:
            print(
                f"# not alone, but after the seeds before it; the program of seed {seed}:"
                if first is None
                else "# only in a process that ran others before:"
            )
        else:
            lines, failure = self.shrink(lines, again)
        shown = (
            self.show(lines, failure.kind) if self.show else HEADER + "\n" + "\n".join(lines) + "\n"
        )
        print(
            f"# ---- {failure}\n{shown}# ---- again: python tests/fuzz/{name}.py --seed {seed}",
            flush=True,
        )


def different(wanted, got):
    """Where two results differ first, as far as lists tell."""
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        for k, (a, b) in enumerate(zip(wanted, got)):
            if a != b:
                return f"result {k}: " + different(a, b)
    if isinstance(wanted, dict) and isinstance(got, dict):
        for k in wanted:
            if wanted[k] != got.get(k):
                return f"{k}: " + different(wanted[k], got.get(k))
    return f"got {str(got)[:200]}, expected {str(wanted)[:200]}"


def main(generate, check, **options):
    """The command line; see the top of this file. `options` are those of Fuzzer."""
    fuzzer = Fuzzer(generate, check, **options)
    if "--serve" in sys.argv:
        serve(fuzzer.served())
        return
    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--seed", type=int, help="the first seed (0); alone: this seed only")
    parser.add_argument("--seconds", type=float, help="how long to go on")
    parser.add_argument("--go-on", action="store_true", help="report failures in a line and go on")
    parser.add_argument(
        "--print", action="store_true", help="print the program of the seed and do not run it"
    )
    given = parser.parse_args()
    first = given.seed or 0
    end = None if given.seconds is None else time.monotonic() + given.seconds
    seed, began, failures = first, time.monotonic(), 0
    try:
        if given.print:
            lines = fuzzer.child({}).call("program", first, timeout=fuzzer.timeout)
            print(fuzzer.show(lines, "") if fuzzer.show else HEADER + "\n" + "\n".join(lines))
            return
        while True:
            lines, failure = fuzzer.seed(seed)
            if failure is not None and given.go_on:
                print(f"{name}: seed {seed} fails: {failure}", flush=True)
                failures += 1
            elif failure is not None:
                fuzzer.report(name, seed, lines, failure)
                sys.exit(1)
            seed += 1
            if end is None and given.seed is None:
                continue
            if end is None or time.monotonic() >= end:
                break
    except KeyboardInterrupt:
        pass
    finally:
        fuzzer.fresh()
    print(
        f"{name}: seeds {first} to {seed - 1}: {failures or 'no'} failures "
        f"({time.monotonic() - began:.0f} s)"
    )
