"""Draws the dashboard: its own panels where they stand in it, with what a real Prometheus answers to their expressions
after two and a half minutes of a crowd at the reference configuration. An SVG by hand, for light and dark pages; no Grafana,
which this machine may not have.

    tests/deploy/run.sh picture        (`make dashboard`) leaves envoy/grafana/tidegate.svg
"""

import json
import math
import re
import time
from xml.sax.saxutils import escape

from crowd import Crowd
from envoy import poll
from prometheus import Prometheus
from running import gateway
from shipped import SHIPPED

COLUMN, LINE, ROW, WIDTH, STEP = 50, 24, 26, 1200, 2
COLOURS = ("#3274d9", "#e0752d", "#37872d", "#a352cc", "#e02f44", "#0f8f8f", "#b8860b", "#7a7f87")
STYLE = """
svg { font: 11px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
.page { fill: #f4f5f5; } .panel { fill: #ffffff; stroke: #dcdee1; } .text { fill: #1f2328; } .faint { fill: #6a7078; }
.grid { stroke: #e4e6e8; } polyline { fill: none; stroke-width: 1.3; stroke-linejoin: round; }
@media (prefers-color-scheme: dark) {
.page { fill: #111217; } .panel { fill: #181b1f; stroke: #2c3035; } .text { fill: #d8d9da; } .faint { fill: #9198a1; }
.grid { stroke: #2a2e33; }
}
"""
UNITS = {"reqps": "/s", "ms": " ms", "percent": " %"}


def measure():
    """What each panel shows: pairs of a name and its points, by the panel's number; and from when to when."""
    with gateway() as (envoy, models), Prometheus(envoy.admin) as prometheus:
        poll("first scrape", lambda: prometheus.query("tidegate_rate_limit_admitted"))
        begun = time.time()
        with Crowd(envoy.front) as crowd:
            time.sleep(40)
            models[1].cut()
            time.sleep(25)
            models[1].restart()
            crowd.impatient.set()
            models[0].status = 429
            time.sleep(15)
            for model in models:
                model.status = 500
            time.sleep(25)
            for model in models:
                model.status = 200
            time.sleep(45)
            return (
                begun,
                time.time(),
                {panel["id"]: shown(prometheus, panel, begun) for panel in dashboard() if "targets" in panel},
            )


def dashboard():
    return json.loads((SHIPPED / "grafana/tidegate.json").read_text())["panels"]


def shown(prometheus, panel, begun):
    lines = []
    for target in panel["targets"]:
        for series in prometheus.over_time(target["expr"], begun, STEP):
            name = re.sub(r"{{(\w+)}}", lambda label, s=series: s["metric"].get(label[1], ""), target["legendFormat"])
            points = [(float(at), float(value)) for at, value in series["values"] if not math.isnan(float(value))]
            if any(value for _, value in points):
                lines.append((name, points))
    return lines


def draw(begun, ended, shown_in):
    parts, top, row_top = [], 0, 0
    for panel in dashboard():
        at = panel["gridPos"]
        if panel["type"] == "row":
            row_top = top
            parts.append(text(10, row_top + 18, panel["title"], "text", weight=600))
            top += ROW + 7 * LINE
            continue
        left, width = at["x"] * COLUMN, at["w"] * COLUMN
        parts += box(panel, left, row_top + ROW, width, 7 * LINE, begun, ended, shown_in[panel["id"]])
    note = f"{ended - begun:.0f} s; the second server dies at 40 s and is back at 65 s, all fail from 80 s to 105 s"
    parts.append(text(10, top + 20, note, "faint"))
    height = top + 32
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    page = f'<rect class="page" width="{WIDTH}" height="{height}"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", page, *parts, "</svg>"]) + "\n"


def box(panel, left, top, width, height, begun, ended, lines):
    unit = panel["fieldConfig"]["defaults"]["unit"]
    highest = ceiling(max((value for _, points in lines for _, value in points), default=1), unit)
    x0, x1, y0, y1 = left + 56, left + width - 14, top + height - 34, top + 28
    parts = [
        f'<rect class="panel" x="{left + 3}" y="{top + 2}" width="{width - 6}" height="{height - 4}" rx="3"/>',
        text(left + 12, top + 18, panel["title"], "text"),
    ]
    for part in (0, 0.5, 1):
        y = y0 + (y1 - y0) * part
        parts.append(f'<line class="grid" x1="{x0}" x2="{x1}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(x0 - 6, y + 4, written(highest * part, unit), "faint", anchor="end"))
    legend = left + 12
    for number, (name, points) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        places = " ".join(
            f"{x0 + (x1 - x0) * (at - begun) / (ended - begun):.0f},{y0 + (y1 - y0) * value / highest:.0f}"
            for at, value in points
        )
        parts.append(f'<polyline points="{places}" stroke="{colour}"/>')
        space = 22 + 6.4 * len(name)
        if legend + space < left + width:
            parts.append(f'<rect x="{legend}" y="{top + height - 20}" width="9" height="3" fill="{colour}"/>')
            parts.append(text(legend + 12, top + height - 15, name, "faint"))
            legend += space
    if not lines:
        parts.append(text((x0 + x1) / 2, (y0 + y1) / 2 - 4, "all 0", "faint", anchor="middle"))
    return parts


def ceiling(value, unit):
    """The next round number of the unit."""
    base, steps = (2, (1, 1.5, 2)) if unit == "bytes" else (10, (1, 2, 2.5, 5, 10))
    power = base ** math.floor(math.log(value, base))
    return next(step * power for step in steps if step * power >= value * 0.999)


def written(value, unit):
    if unit == "percentunit":
        return f"{value * 100:g} %"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB" if value >= 2**19 else f"{value / 2**10:.3g} KiB"
    return f"{value:g}{UNITS.get(unit, '')}"


def text(left, base, words, kind, anchor="start", weight=400):
    return (
        f'<text class="{kind}" x="{left:.0f}" y="{base:.0f}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


if __name__ == "__main__":
    (SHIPPED / "grafana/tidegate.svg").write_text(draw(*measure()))
