"""The stories as one static SVG: health of each book, minute by minute, and what strangers did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from keeper.simulation.liquidation.story import Story

_WIDTH, _PANEL, _GAP, _LEFT, _RIGHT, _TOP = 760, 170, 46, 52, 20, 34
_LOW, _HIGH = 0.85, 1.40  # of health
_ACTS: Final = {
    "de_risk": ("a step of de_risk", "#1f77b4"),
    "bid": ("a bid of the auction", "#d62728"),
    "open": ("the auction opens", "#7f7f7f"),
}
_STYLE: Final = (
    "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.axis{stroke:#999;fill:none}"
    ".level{stroke:#999;stroke-dasharray:4 3}.health{stroke:#111;stroke-width:2;fill:none}"
)


def draw(stories: Sequence[Story]) -> str:
    """One panel per book over a common axis of minutes."""
    minutes = max(story.moments[-1].minute for story in stories)
    height = _TOP + len(stories) * (_PANEL + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<title>Equity over maintenance margin after a gap, with a dead keeper</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        *_legend(),
    ]
    for number, story in enumerate(stories):
        parts += _panel(story, _TOP + number * (_PANEL + _GAP), minutes)
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> list[str]:
    parts, x = [], float(_LEFT)
    for label, colour in _ACTS.values():
        parts.append(f'<circle cx="{x:.1f}" cy="14" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 9:.1f}" y="18">{escape(label)}</text>')
        x += 30 + 6.6 * len(label)
    return parts


def _panel(story: Story, top: float, minutes: int) -> list[str]:
    def at(minute: float, health: float) -> tuple[float, float]:
        inner = _WIDTH - _LEFT - _RIGHT
        y = top + 18 + (_PANEL - 18) * (_HIGH - min(max(health, _LOW), _HIGH)) / (_HIGH - _LOW)
        return _LEFT + inner * minute / minutes, y

    title = f"short {story.book}: ETH gaps by {story.gap:+.1%}"
    parts = [f'<text class="title" x="{_LEFT}" y="{top + 10}">{escape(title)}</text>']
    for level, label in ((1.0, "maintenance 1.0"), (1.25, "target 1.25")):
        x, y = at(0, level)
        right = _WIDTH - _RIGHT
        parts.append(f'<line class="level" x1="{x:.1f}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{right}" y="{y - 4:.1f}" text-anchor="end">{label}</text>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{level:.2f}</text>')
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(m.minute, m.health) for m in story.moments))
    parts.append(f'<polyline class="health" points="{line}"/>')
    health = {moment.minute: moment.health for moment in story.moments}
    for act in story.acts:
        if act.kind in _ACTS:
            x, y = at(act.minute, health[act.minute])
            label, colour = _ACTS[act.kind]
            told = f"minute {act.minute}: {label}" + (f", {act.paid:,.0f} USDC" if act.paid else "")
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{told}</title></circle>')
    bottom = top + _PANEL
    parts.append(f'<path class="axis" d="M{_LEFT},{top + 18}V{bottom}H{_WIDTH - _RIGHT}"/>')
    for minute in range(0, minutes + 1, 5):
        x, _ = at(minute, 1)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{minute} min</text>')
    return parts
