"""Results of run.py: ratios, means, the table as text and in docs/performance.md, the plot."""

import json
import math
import sys
from pathlib import Path

from plot import svg

OURS = "lazulite"
APART = ("compile",)  # rooms whose ratios are of another kind: not in the mean of all
MARKS = {  # where on the page results stand
    "times": ("<!-- times: begin -->", "<!-- times: end -->"),
    "peaks": ("<!-- peaks: begin -->", "<!-- peaks: end -->"),
}
# What a row of a room runs into, where it is neither arithmetic nor memory.
LIMITS = {
    "dispatch": "Python and the call",
    "start": "reading files",
    "compile": "tracing, and the call",
    "draws": "the generator's arithmetic",
    "training": "products, and calls between them",
}


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"


def duration(seconds):
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        if seconds * scale >= 1 or unit == "ns":
            return f"{seconds * scale:.3g} {unit}"
    raise AssertionError


def amount(bytes_):
    return f"{bytes_ / 1e6:.3g} MB"


def geometric(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


class Results:
    """`unit` is what rows are compared by: the median of rounds, the least time, or the peak."""

    def __init__(self, date, cpu, isa, threads, versions, unit, rounds, roof=None, cases=None):
        self.date, self.cpu, self.isa, self.threads = date, cpu, isa, threads
        self.versions, self.unit, self.rounds, self.roof = versions, unit, rounds, roof
        self.cases = cases or []

    def plain(self):
        return dict(self.__dict__)

    @property
    def memory(self):
        return self.unit == "peak"

    def summed_up(self):
        """How the numbers came about, in words."""
        if self.memory:
            return "peaks of one run each"
        return f"{'medians' if self.unit == 'median' else 'least times'} of {self.rounds} rounds"

    def add(self, case):
        self.cases.append(case)

    # -- one case

    def value(self, case, who):
        """None where there is none, or where the clock saw nothing of a short run."""
        value = case["frameworks"].get(who, {}).get(self.unit)
        return value if value or self.memory else None

    def best(self, case):
        """(time, name) of the best peer whose result was right."""
        found = [
            (entry[self.unit], who)
            for who, entry in case["frameworks"].items()
            if who != OURS and self.value(case, who) is not None and entry.get("error", 0) <= 1
        ]
        return min(found, default=None)

    def ratio(self, case):
        """Best peer / ours: above 1 is ahead."""
        ours, best = self.value(case, OURS), self.best(case)
        if ours is None or best is None:
            return None
        return (best[0] + 1e4) / (ours + 1e4) if self.memory else best[0] / ours

    def shown(self, case, who):
        entry = case["frameworks"].get(who, {})
        if self.unit not in entry:
            return "-"
        text = (amount if self.memory else duration)(entry[self.unit])
        return text + ("!" if entry.get("error", 0) > 1 else "")

    def reaches(self, case):
        """What the case does in a second, and what it runs into."""
        ours = self.value(case, OURS)
        if ours is None or self.memory:
            return ""
        if case.get("flops"):
            return f"{case['flops'] / ours / 1e9:.3g} GFLOP/s" + self.of_roof("flops", case, ours)
        if case["room"] in LIMITS or not case.get("bytes") or case["bytes"] < 1e5:
            return LIMITS.get(case["room"], LIMITS["dispatch"])
        return f"{case['bytes'] / ours / 1e9:.3g} GB/s" + self.of_roof("bytes", case, ours)

    def of_roof(self, kind, case, ours):
        """ " of R (where)" when the machine's roof was measured."""
        if not self.roof:
            return ""
        if kind == "flops":
            for dtype, roof in self.roof["fma"].items():
                if dtype in case["name"]:
                    return f" of {roof:.3g}"
            return ""
        level = next((l for l in self.roof["levels"] if case["bytes"] <= l["bytes"]), None)
        level = level or self.roof["levels"][-1]
        return f" of {level['copy']:.3g} ({level['name']})"

    # -- text

    def heading(self):
        names = ", ".join(f"{n} {v}" for n, v in self.versions.items())
        told = f"{self.date}, {self.cpu}, {self.isa}, {self.threads} threads; {names}; {self.summed_up()}"
        columns = "".join(f"{n:>11}" for n in self.versions)
        return f"{told}\n\n{'':<62}{columns}   best peer / {OURS}"

    def line(self, case):
        label = f"{case['room']}: {case['name']}"
        if case.get("view"):
            return f"{label:<62} (a view)"
        cells = "".join(f"{self.shown(case, n):>11}" for n in self.versions)
        ratio = self.ratio(case)
        mark = "" if case.get("checked") or self.memory else "  (values not compared)"
        return f"{label:<62}{cells}   {'' if ratio is None else f'{ratio:.2f}'}{mark}"

    def judged(self):
        """(room, ratio, case) of what counts, worst first."""
        found = [(c["room"], self.ratio(c), c) for c in self.cases if c["judged"]]
        return sorted((f for f in found if f[1] is not None), key=lambda f: f[1])

    def means(self):
        """[(room, geometric mean, number, number below 0.9)], and of all but those APART."""
        judged = self.judged()
        rooms = list(dict.fromkeys(c["room"] for c in self.cases))
        out = []
        for room in rooms + ["all but " + " and ".join(APART)]:
            some = [r for n, r, _ in judged if n == room or (room not in rooms and n not in APART)]
            if some:
                out.append((room, geometric(some), len(some), sum(r < 0.9 for r in some)))
        return out

    def ending(self, worst=40):
        lines = ["", f"geometric means of (best peer / {OURS}), rows, rows below 0.9:"]
        lines += [
            f"  {room:<28}{mean:6.2f}{count:5d}{low:5d}" for room, mean, count, low in self.means()
        ]
        lines += ["", "worst rows:"]
        for _, ratio, case in self.judged()[:worst]:
            if ratio >= 1:
                break
            best = self.best(case)
            ours = self.shown(case, OURS)
            lines.append(
                f"  {ratio:5.2f}  {case['room']}: {case['name']}  ({ours}; {best[1]} "
                f"{self.shown(case, best[1])})"
            )
        others = [
            f"  {who}: {case['room']}: {case['name']}"
            for case in self.cases
            for who, entry in case["frameworks"].items()
            if who != OURS and entry.get("error", 0) > 1 and case["judged"]
        ]
        if others:
            lines += ["", "results of peers that are not those of float64 (marked !, not counted):"]
            lines += others
        return "\n".join(lines)

    def wrong(self, who):
        """What must not be: our exceptions, our results far from float64, nothing to compare
        with."""
        out = []
        for case in self.cases:
            label = f"{case['room']}: {case['name']}"
            error = case["frameworks"].get(who, {}).get("error", 0)
            if case.get("failed"):
                out.append(f"{label}: {case['failed']}")
            elif error > 1:
                out.append(f"{label}: {error:.3g} times as far from float64 as allowed")
            elif case.get("unchecked") and case["room"] != "functions":
                out.append(f"{label}: no value to compare with: {case['unchecked']}")
        return out

    # -- the page

    def table(self):
        """Markdown, a table for each room."""
        names = list(self.versions)
        lines = []
        for room in dict.fromkeys(c["room"] for c in self.cases):
            lines += ["", f"### {room}", ""]
            lines += ["| | " + " | ".join(names) + " | ratio | reaches, or its limit |"]
            lines += ["|---|" + "---:|" * (len(names) + 1) + "---|"]
            for case in self.cases:
                if case["room"] == room and not case.get("view") and self.value(case, OURS):
                    ratio = self.ratio(case)
                    cells = [case["name"], *(self.shown(case, n) for n in names)]
                    cells += ["" if ratio is None else f"{ratio:.2f}", self.reaches(case)]
                    lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def summary(self):
        lines = [
            f"Measured {self.date[:10]} on {self.cpu}, {self.threads} threads, {self.isa}; "
            + ", ".join(f"{n} {v}" for n, v in self.versions.items())
            + f"; {self.summed_up()}.",
            "",
        ]
        if self.roof:
            fma = ", ".join(f"{t} {v:.3g}" for t, v in self.roof["fma"].items())
            lines += [
                f"The machine's roof (`bench/cpp/roof`), all threads: {fma} GFLOP/s; "
                + "; ".join(
                    f"{l['name']} read {l['read']:.3g}, write {l['write']:.3g}, "
                    f"copy {l['copy']:.3g} GB/s"
                    for l in self.roof["levels"]
                )
                + ".",
                "",
            ]
        if self.memory:
            return "\n".join(lines[:-1])
        lines += ["| room | geometric mean | rows | below 0.9 |", "|---|---:|---:|---:|"]
        lines += [f"| {r} | {mean:.2f} | {n} | {low} |" for r, mean, n, low in self.means()]
        return "\n".join(lines)

    def write(self, page):
        """Rewrites what stands between the marks of the page: times and their plot, or peaks."""
        begin, end = MARKS["peaks" if self.memory else "times"]
        parts = [self.summary()]
        if not self.memory:
            plot = page.with_suffix(".svg")
            self.plot(plot)
            parts.append(f"\n![Ratios by room]({plot.name})")
        text = page.read_text()
        head, rest = text.split(begin)
        made = "\n".join([begin, *parts, self.table(), end])
        page.write_text(head + made + rest.split(end)[1])

    def plot(self, path):
        """A row of dots for each room, as SVG."""
        judged = self.judged()
        rooms = [
            (room, mean, [(r, c["name"]) for name, r, c in judged if name == room])
            for room, mean, _, _ in self.means()
            if not room.startswith("all")
        ]
        what = "peak" if self.memory else "time"
        label = f"{what} of the best peer / {what} of Lazulite (right of 1: ahead; bar: mean)"
        title = f"{self.cpu}, {self.threads} threads, {self.date[:10]}"
        Path(path).write_text(svg(title, label, rooms))


def read(path):
    return Results(**json.loads(Path(path).read_text()))


if __name__ == "__main__":  # python bench/report.py RESULTS.json: the page anew
    made = read(sys.argv[1])
    made.write(Path(__file__).resolve().parent.parent / "docs" / "performance.md")
    print(made.ending())
