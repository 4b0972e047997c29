"""A thousand wide arrays, each made narrow: what memory an order of evaluation takes at its peak.

    python examples/width_limit.py [--graph FOLDER]

LAZULITE_BFS_MAX_WIDTH=n (or MLX_BFS_MAX_WIDTH=n) takes MLX's order, breadth first up to a width of
n, in the place of our own: the example runs itself with some. A wide array is formed piece by piece
where it is cast, in any order, so that narrow ones are all that is ever there. `--graph` writes a
small graph whose names are numbered in the order of evaluation, for Graphviz.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import lazulite.core as mx


def peak(count, rows):
    arrs = [mx.zeros((rows, 128), mx.int64) for _ in range(count)]
    arrs = [x.astype(mx.int8) for x in arrs]
    mx.eval(arrs)
    return mx.get_peak_memory()


def graph(folder):
    a, b = mx.array([1.0, 2.0]), mx.array([3.0, 4.0])
    outputs = [mx.exp(a) @ mx.sin(b), mx.tanh(a + b)]
    path = Path(folder) / "graph.dot"
    mx.export_to_dot(str(path), *outputs)
    with open(path.with_suffix(".again.dot"), "w") as file:
        mx.export_to_dot(file, *outputs)
    mx.print_graph(*outputs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many arrays")
    parser.add_argument("--rows", type=int, default=4096, help="of each")
    parser.add_argument("--widths", type=int, nargs="*", default=[20, 1000], help="that are tried")
    parser.add_argument("--graph", help="a folder for graph.dot")
    parser.add_argument("--once", action="store_true", help="print the bytes of the peak alone")
    args = parser.parse_args()
    if args.once:
        print(peak(args.count, args.rows))
        return
    narrow = args.count * args.rows * 128
    print(f"{args.count} arrays of {args.rows} x 128, {narrow / 1e6:.1f} MB when narrow")
    me = [sys.executable, __file__, "--once"]
    sizes = ["--count", str(args.count), "--rows", str(args.rows)]
    for width in (None, *args.widths):
        given = {} if width is None else {"LAZULITE_BFS_MAX_WIDTH": str(width)}
        out = subprocess.run(
            [*me, *sizes], capture_output=True, text=True, env={**os.environ, **given}, check=True
        )
        order = "our own order" if width is None else f"a width of {width}"
        print(f"{order}: peak {int(out.stdout) / 1e6:.1f} MB")
    if args.graph:
        graph(args.graph)


if __name__ == "__main__":
    main()
