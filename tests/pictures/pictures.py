"""Which pictures there are, and how they look: the report's charts with a style sheet of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keeper.simulation.demo.report.charts import Chart, picture
from tests.pictures import hedging, pricing, risk

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
WIDTH = 760

# Colours with the same meaning everywhere: what is in use, what it is compared with, what was recorded.
STYLE = (
    ":root{--page:#fff;--ink:#1b1f24;--soft:#59636e;--grid:#ece9e4;--ours:#0b5fa5;--second:#c8500a;--third:#00856a;"
    "--fourth:#a855a0;--fifth:#b07a00;--bad:#b3261e;--band:rgba(11,95,165,.14)}"
    "@media(prefers-color-scheme:dark){:root{--page:#0d1117;--ink:#e8e6e1;--soft:#9aa4b0;--grid:#262b33;--ours:#62b0f2;"
    "--second:#f58a4b;--third:#3fc7a4;--fourth:#d58fce;--fifth:#e5b544;--bad:#f2786f;--band:rgba(98,176,242,.18)}}"
    "text{font:12px system-ui,sans-serif;fill:var(--soft)}.title{fill:var(--ink);font-weight:600}"
    ".note{font-size:11.5px}.end{text-anchor:end}.mid{text-anchor:middle}.page{fill:var(--page)}.grid{stroke:var(--grid)}"
    ".zero,.level{stroke:var(--soft);stroke-opacity:.6}.level{stroke-dasharray:4 4}"
    ".line{fill:none;stroke-width:1.6;stroke-linejoin:round}.ours{stroke:var(--ours);stroke-width:2.4}"
    ".second{stroke:var(--second);stroke-dasharray:7 4}.third{stroke:var(--third);stroke-dasharray:2 3}"
    ".fourth{stroke:var(--fourth);stroke-dasharray:9 3 2 3}.fifth{stroke:var(--fifth)}"
    ".optimum{stroke:var(--ink)}.recorded{stroke:var(--soft);stroke-width:1}.band{fill:var(--band)}"
    ".quote line{stroke:var(--soft);stroke-width:2.5;stroke-opacity:.75}.quote circle{display:none}"
    ".bad circle{fill:var(--bad)}.point circle{fill:var(--third)}"
)

ALL: dict[str, Callable[[], Chart | None]] = {
    "implied": pricing.implied,
    "surface": pricing.surface,
    "forecast": risk.forecast,
    "tail": risk.tail,
    "backtest": risk.value_at_risk,
    "region": hedging.region,
    "frontier": hedging.frontier,
}


def drawn(name: str) -> str | None:
    """The picture as SVG; None without the recorded data that it is of."""
    chart = ALL[name]()
    return None if chart is None else picture(chart, WIDTH, STYLE)


def write(name: str) -> str:
    """Draw a picture into its file, and say what became of it."""
    svg, file = drawn(name), FOLDER / f"{name}.svg"
    if svg is None:
        return f"{name}: stays as it is, there are no recorded data (KEEL_DATA)"
    FOLDER.mkdir(exist_ok=True)
    file.write_text(svg)
    return f"{name}: {file.relative_to(FOLDER.parents[1])}, {len(svg) / 1024:.0f} KB"
