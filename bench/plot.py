"""Line plots as one SVG. Standard library only: a GPU node need not have a plotting library."""
import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 330, 70, 220, 36, 44
# Okabe and Ito's colours, told apart with colour-blind eyes; dashes beyond them.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]


@dataclass
class Panel:
    """Series of (x, y) by name; x on a binary logarithm; `line` is a level to be reached, or None."""

    title: str
    x: str
    series: dict
    line: float | None


def _points(panel):
    series = {name: sorted((x, y) for x, y in points if y is not None) for name, points in panel.series.items()}
    return {name: points for name, points in series.items() if points}


def _ticks(top):
    """About five round numbers from 0 to `top`."""
    step = 10 ** math.floor(math.log10(top / 5))
    step *= next(f for f in (1, 2, 5, 10) if top / (step * f) <= 6)
    return [i * step for i in range(int(top / step) + 1)]


def _panel(panel, y0):
    series = _points(panel)
    xs = [math.log2(x) for points in series.values() for x, _ in points]
    top = 1.08 * max([y for points in series.values() for _, y in points] + ([panel.line] if panel.line else []))
    low, high = min(xs), max(max(xs), min(xs) + 1)
    at_x = lambda x: LEFT + (math.log2(x) - low) / (high - low) * (WIDTH - LEFT - RIGHT)
    at_y = lambda y: y0 + HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)
    right = WIDTH - RIGHT
    out = [f'<text x="{LEFT}" y="{y0 + 22}" font-size="15" font-weight="bold">{escape(panel.title)}</text>']
    for tick in _ticks(top):
        out.append(f'<line x1="{LEFT}" x2="{right}" y1="{at_y(tick):.1f}" y2="{at_y(tick):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{at_y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for power in range(math.ceil(low), math.floor(high) + 1):
        out.append(f'<text x="{at_x(2**power):.1f}" y="{y0 + HEIGHT - BOTTOM + 18}" text-anchor="middle">{2**power}</text>')
    out.append(f'<text x="{(LEFT + right) / 2}" y="{y0 + HEIGHT - 8}" text-anchor="middle">{escape(panel.x)}</text>')
    if panel.line:
        y = at_y(panel.line)
        out.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#555" stroke-dasharray="6 4"/>')
    for index, (name, points) in enumerate(series.items()):
        colour, dash = COLOURS[index % len(COLOURS)], "" if index < len(COLOURS) else ' stroke-dasharray="3 3"'
        line = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        # Single points would not be seen in a line.
        out += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="2.5" fill="{colour}"/>' for x, y in points]
        y = y0 + TOP + 16 * index + 8
        out.append(f'<line x1="{right + 14}" x2="{right + 38}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="2"{dash}/>')
        out.append(f'<text x="{right + 44}" y="{y}">{escape(name)}</text>')
    return "\n".join(out)


def svg(panels):
    """The panels that have points, one under the other; nothing where none has."""
    panels = [panel for panel in panels if _points(panel)]
    if not panels:
        return None
    height = HEIGHT * len(panels)
    body = "\n".join(_panel(panel, HEIGHT * index) for index, panel in enumerate(panels))
    style = 'font-family="sans-serif" font-size="12"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" {style}>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
    )
