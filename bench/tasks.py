"""Times the tasks of one framework in this process: `python tasks.py FRAMEWORK [TASK ...]` prints
JSON.

Every task is a function that returns a thunk; the thunk does one unit of work and waits for it.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import ops  # noqa: F401  (registers its tasks)
import transforms  # noqa: F401
from apis import TASKS, framework

MODULES = {
    "lazulite": "lazulite.core",
    "mlx": "mlx.core",
    "torch": "torch",
    "jax": "jax",
    "numpy": "numpy",
}
SCALE = {"ns": 1e9, "us": 1e6, "ms": 1e3}


def measure(thunk, seconds=0.6, least=5):
    thunk()
    times = []
    end = time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < 500):
        start = time.perf_counter()
        thunk()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def import_time(name):
    code = f"import time; t = time.perf_counter(); import {MODULES[name]}; print(time.perf_counter() - t)"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = lambda: float(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
        ).stdout
    )  # noqa: E731
    run()
    return statistics.median(run() for _ in range(5))


def main():
    name, wanted = sys.argv[1], sys.argv[2:]
    api = framework(name)
    out = {"import": [import_time(name) * 1e3, "ms"]}
    for label, (make, unit, count, patience) in TASKS.items():
        if wanted and not any(w in label for w in wanted):
            continue
        made = make(api)
        if made is not None:
            out[label] = [
                measure(made, least=patience) * SCALE[unit] / count if count else made,
                unit,
            ]
    if name == "lazulite":
        out["isa"] = [api.mx.device_info()["architecture"], ""]
        out["threads"] = [api.mx.num_threads(), ""]
    print(json.dumps(out))


if __name__ == "__main__":
    main()
