"""Ratios by room as an SVG: a dot for each case, a bar for the mean of its room."""

import math
from html import escape

WIDTH, LEFT, RIGHT, TOP, ROW = 820, 110, 20, 40, 44
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def svg(title, label, rooms):
    """`rooms`: [(room, geometric mean, [(ratio, name of the case)])]. The axis is logarithmic; what
    is below 0.9 is red."""
    every = [r for _, _, cases in rooms for r, _ in cases] + [0.5, 2]
    low, high = math.log(min(every) / 1.15), math.log(max(every) * 1.15)
    bottom = TOP + ROW * len(rooms)

    def x(ratio):
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (math.log(ratio) - low) / (high - low), 1)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 50}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{bottom + 50}" fill="white"/>',
        f'<text x="{WIDTH / 2}" y="22" text-anchor="middle" font-size="14">{escape(title)}</text>',
    ]
    for tick in TICKS:
        if low <= math.log(tick) <= high:
            colour = "#888" if tick == 1 else "#e4e4e4"
            out.append(
                f'<path d="M{x(tick)} {TOP}V{bottom}" stroke="{colour}"/>'
                f'<text x="{x(tick)}" y="{bottom + 17}" text-anchor="middle">{tick:g}</text>'
            )
    for k, (room, mean, cases) in enumerate(rooms):
        middle = TOP + ROW * k + ROW // 2
        out.append(f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(room)}</text>')
        for i, (ratio, name) in enumerate(cases):
            colour = "#c62828" if ratio < 0.9 else "#1565c0"
            out.append(
                f'<circle cx="{x(ratio)}" cy="{middle + 9 * (i % 3 - 1)}" r="3" fill="{colour}" '
                f'fill-opacity="0.7"><title>{escape(name)}: {ratio:.2f}</title></circle>'
            )
        out.append(
            f'<path d="M{x(mean)} {middle - 16}v32" stroke="black" stroke-width="2">'
            f"<title>{escape(room)}: {mean:.2f}</title></path>"
        )
    out.append(
        f'<text x="{WIDTH / 2}" y="{bottom + 38}" text-anchor="middle">{escape(label)}</text>'
    )
    return "\n".join([*out, "</svg>", ""])
