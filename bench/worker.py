"""One framework in a process of its own: reads commands of run.py as lines of JSON, answers
likewise.

`python worker.py FRAMEWORK [small]`; "reference" is NumPy in float64.
"""

import base64
import ctypes
import gc
import json
import os
import sys
import time
import warnings

import numpy as np

import cases
from frameworks import Missing, framework

SAMPLES = 4096  # elements of a result that are compared: first, last and evenly between
LEAST = 5e-5  # seconds of one sample


class Worker:
    def __init__(self, name, small):
        self.api = framework(name, small)
        self.api.name = name
        self.api.lib.api = self.api
        self.work = None

    def load(self, rows):
        cases.load(rows)
        return {}

    def about(self):
        told = {"version": str(self.api.versions())}
        if self.api.name == "lazulite":
            told["isa"] = self.api.mx.device_info()["architecture"]
            told["threads"] = self.api.mx.num_threads()
        return told

    def prepare(self, name):
        """Makes the case; answers with samples of its results, or why there is none."""
        self.drop()
        made = cases.CASES[name]
        if made.room in self.api.borrowed:
            return {"gap": "no such thing"}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.work = made.make(self.api)
                if self.work is None:
                    return {"gap": "no such thing"}
                results = flat(self.work.outputs())
        except Missing as what:
            return {"gap": f"no {what}"}
        except Exception as error:  # whatever a framework refuses is a gap; run.py judges ours
            self.work = None
            return {"gap": f"{type(error).__name__}: {str(error)[:300]}", "raised": True}
        values = [self.api.to_numpy(r) for r in results]
        reads = sum(nbytes(a) for a in self.work.inputs)
        flops = made.flops(self.api) if callable(made.flops) else made.flops
        alias = any(
            np.shares_memory(v, a)
            for v in values
            for a in self.work.inputs
            if isinstance(a, np.ndarray)
        )
        return {
            "samples": [sample(v) for v in values],
            "bytes": reads + sum(nbytes(r) for r in results),
            "flops": flops,
            "alias": alias,
        }

    def time(self, seconds, cpu=False):
        """Times of one unit of work each, for about so many seconds; `cpu`: of the processors, in
        all threads. Garbage is collected before."""
        run, count = self.work.run, self.work.count
        gc.collect()
        clock = time.process_time if cpu else time.perf_counter
        start = clock()
        run()
        once = clock() - start
        if once > seconds:
            return {"times": [once / count]}
        number = max(1, int(LEAST / max(once, 1e-9)))
        times, end = [], clock() + seconds
        while True:
            start = clock()
            for _ in range(number):
                run()
            stop = clock()
            times.append((stop - start) / (number * count))
            if stop > end:
                return {"times": times}

    def peak(self):
        """Bytes beyond what there is before, of one run in an unhurried process."""
        run = self.work.run
        run()
        gc.collect()
        if self.api.lazy:
            mx = self.api.mx
            mx.clear_cache()
            mx.reset_peak_memory()
            before = mx.get_active_memory()
            run()
            return {"peak": mx.get_peak_memory() - before}
        ctypes.CDLL(None).malloc_trim(0)
        before = status("VmRSS")
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
        run()
        return {"peak": max(0, status("VmHWM") - before)}

    def drop(self):
        self.work = None
        if not self.api.small:
            gc.collect()
            if self.api.lazy:
                self.api.mx.clear_cache()
        return {}


def status(field):
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise OSError(field)


def flat(tree):
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in flat(part)]
    return [] if tree is None else [tree]


def nbytes(a):
    return int(getattr(a, "nbytes", 0) or 0)


def sample(v):
    """Shape and evenly chosen elements, as float64 or complex128."""
    v = np.asarray(v)
    wide = v.ravel()
    if v.size > SAMPLES:
        wide = wide[np.linspace(0, v.size - 1, SAMPLES).astype(np.int64)]
    kind = "complex128" if v.dtype.kind == "c" else "float64"
    data = base64.b64encode(wide.astype(kind).tobytes()).decode()
    return {"shape": list(v.shape), "kind": kind, "data": data, "dtype": v.dtype.name}


def main():
    # What frameworks print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1], "small" in sys.argv[2:])
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(worker, command.pop("do"))(**command)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
