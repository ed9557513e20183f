"""The report as a picture: a bar of CPU per request for every lane, one panel for each workload.

An SVG by hand, with colours for light and for dark pages on a background of its own, since an image on a page
does not know the page's. The part of a bar that Envoy costs without any filter is pale (a refusal can cost
less than that); the dashed line is the cost of five empty Wasm filters.
"""

from xml.sax.saxutils import escape

from lanes import EMPTY, FIVE_EMPTY, PLAIN

NAMES, PANEL, GAP, ROW, TOP, BOTTOM = 220, 200, 24, 20, 64, 34

STYLE = """
svg { font: 12px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
.page { fill: #ffffff; } .text { fill: #1f2328; }
.value { fill: #1f2328; stroke: #ffffff; stroke-width: 3; paint-order: stroke; } .faint { fill: #59636e; }
.envoy { fill: #d1d9e0; } .native { fill: #818b98; } .empty { fill: #bf8700; } .ours { fill: #0969da; }
.line { stroke: #bf8700; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; } .text { fill: #f0f6fc; } .value { fill: #f0f6fc; stroke: #0d1117; } .faint { fill: #9198a1; }
.envoy { fill: #3d444d; } .native { fill: #9198a1; } .empty { fill: #d29922; } .ours { fill: #4493f8; }
.line { stroke: #d29922; }
}
"""

NATIVE = ("local_ratelimit", "buffer", "lua")


def draw(document: dict) -> str:
    workloads = [workload for workload in document["workloads"].values() if workload["lanes"][0]["cpu_us"]]
    names = [row["lane"] for row in workloads[0]["lanes"]] if workloads else []
    width = NAMES + len(workloads) * (PANEL + GAP) + GAP
    height = TOP + ROW * len(names) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="6"/>',
        text(GAP / 2, 22, "CPU of Envoy per request, in µs, by filter", "text", bold=True),
    ]
    for number, name in enumerate(names):
        parts.append(text(NAMES - 8, TOP + ROW * number + 14, name, "text", anchor="end"))
    for number, workload in enumerate(workloads):
        parts += panel(workload, NAMES + number * (PANEL + GAP), len(names))
    note = "pale: Envoy without a filter · dashed: five empty Wasm filters · each panel has its own scale"
    parts += [text(GAP / 2, height - 12, note, "faint"), "</svg>"]
    return "\n".join(parts) + "\n"


def panel(workload: dict, left: float, rows: int) -> list[str]:
    costs = {row["lane"]: row["cpu_us"]["median"] for row in workload["lanes"]}
    scale = (PANEL - 48) / max(costs.values())
    plain = costs.get(PLAIN, 0)
    parts = [text(left, TOP - 12, workload["title"], "faint")]
    if FIVE_EMPTY in costs:
        at = left + costs[FIVE_EMPTY] * scale
        parts.append(f'<line class="line" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 4}" y2="{TOP + ROW * rows}"/>')
    for number, (lane, cost) in enumerate(costs.items()):
        top = TOP + ROW * number
        parts.append(bar(left, top, cost * scale, kind(lane)))
        if cost > plain:
            parts.append(bar(left, top, plain * scale, "envoy"))
        parts.append(
            text(left + cost * scale + 5, top + 14, f"{cost:,.1f}" if cost < 1000 else f"{cost:,.0f}", "value")
        )
    return parts


def kind(lane: str) -> str:
    if lane == PLAIN:
        return "envoy"
    if lane.startswith(NATIVE):
        return "native"
    return "empty" if lane in (EMPTY, FIVE_EMPTY) else "ours"


def bar(left: float, top: float, length: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{left:.1f}" y="{top + 3}" width="{length:.1f}" height="{ROW - 6}" rx="2"/>'


def text(left: float, base: float, words: str, kind: str, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text class="{kind}" x="{left:.1f}" y="{base:.1f}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'
