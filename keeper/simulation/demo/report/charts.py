"""Charts as static SVG: no script is needed to see them, colours come from the page's style sheet.

A chart is a stack of panels over one axis, of time or of any number. It is drawn once per width of screen, so that
text keeps its size.
What came before ``squeeze_until`` gets at most a sixth of the width: quiet hours that would otherwise fill the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup, escape

from keeper.domain.units import HOUR

WIDTHS = (1040, 640, 350)  # pixels: desktop, tablet, phone

_LEFT, _TOP, _GAP, _BOTTOM = 62.0, 26.0, 38.0, 26.0
_RIGHT_AXIS = 46.0
_SQUEEZED = 1 / 6
_LANE = 16.0  # height
_CHARACTER = 6.3  # pixels, of the axis font
_TIME_STEPS = tuple(60 * m for m in (5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080))


@dataclass(frozen=True, slots=True)
class Line:
    """A series over the chart's times; ``role`` is its class in the style sheet, which gives colour and dashes."""

    name: str
    values: Sequence[float]
    role: str
    stepped: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The area between two series."""

    name: str
    lower: Sequence[float]
    upper: Sequence[float]
    role: str


@dataclass(frozen=True, slots=True)
class Move:
    """A marker at ``after``; with ``before``, also a hollow one there and a line between them."""

    time: float
    after: float
    role: str
    title: str
    before: float | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line with a label at its right end. It widens the axis only if ``kept``."""

    value: float
    label: str
    role: str
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """One axis: ``title`` names quantity and unit, ``tick`` writes a value on it, ``read`` in the legend.

    With ``share_of`` a second axis at the right shows the same values as changes from that value, in per cent.
    """

    title: str
    tick: Callable[[float], str]
    read: Callable[[float], str]
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    moves: tuple[Move, ...] = ()
    levels: tuple[Level, ...] = ()
    height: float = 200.0
    share_of: float | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A state over time as a coloured strip: one of ``states`` per time of the chart, in force until the next.

    ``roles`` names the class of each state in the style sheet; what is not in it is drawn as nothing.
    """

    name: str
    states: Sequence[str]
    roles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Event:
    """A vertical line through all panels."""

    time: int
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``times`` in seconds, rising, one per value of every line; with ``axis`` any numbers, of which it writes one, and
    which ``unit`` names."""

    label: str
    times: Sequence[float]
    panels: tuple[Panel, ...]
    events: tuple[Event, ...] = ()
    squeeze_until: int | None = None
    lanes: tuple[Lane, ...] = ()
    axis: Callable[[float], str] | None = None
    unit: str = ""

    @property
    def squeezed(self) -> float | None:
        """How many times narrower the time before ``squeeze_until`` is drawn; None where it is not."""
        knots = _time_scale(self, 0.0, 1.0).knots
        if len(knots) < 3:
            return None
        (begin, _), (bend, share), (end, _) = knots
        narrower = (bend - begin) / share / ((end - bend) / (1 - share))
        return narrower if narrower > 1.05 else None


@dataclass(frozen=True, slots=True)
class _Scale:
    """Piecewise linear between (input, pixel) knots."""

    knots: tuple[tuple[float, float], ...]

    def __call__(self, value: float) -> float:
        for (a, x), (b, y) in zip(self.knots, self.knots[1:], strict=False):
            if value <= b or b == self.knots[-1][0]:
                return x + (value - a) / (b - a) * (y - x)
        raise AssertionError("a scale has at least two knots")


def draw(chart: Chart, width: int) -> Markup:
    """The chart as an `<svg>` of ``width`` pixels; it scales with its container."""
    parts, x, first_top, floor = _drawn(chart, width)
    positions = ",".join(f"{x(t):.1f}" for t in chart.times)
    return Markup(
        f'<svg class="w{width}" viewBox="0 0 {width} {floor + _BOTTOM:.0f}" role="img" '
        f'aria-label="{escape(chart.label)}" data-x="{positions}">'
        f"{''.join(parts)}"
        f'<line class="cursor" y1="{first_top:.0f}" y2="{floor:.0f}" x1="0" x2="0" visibility="hidden"/></svg>'
    )


def picture(chart: Chart, width: int, style: str) -> str:
    """The chart as a file of its own, with its style sheet and a legend of its lines."""
    parts, _, _, floor = _drawn(chart, width)
    roles = {line.name: line.role for panel in chart.panels for line in panel.lines}
    at, below = _LEFT, floor + _BOTTOM + 20.0
    for name, role in roles.items():
        if at + 24 + _CHARACTER * len(name) > width:
            at, below = _LEFT, below + 18.0
        parts.append(f'<line class="line {role}" x1="{at:.0f}" x2="{at + 18:.0f}" y1="{below:.0f}" y2="{below:.0f}"/>')
        parts.append(f'<text x="{at + 24:.0f}" y="{below + 4:.0f}">{escape(name)}</text>')
        at += 46 + _CHARACTER * len(name)
    height = f"{below + 12:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">\n'
        f"<title>{escape(chart.label)}</title>\n<style>{style}</style>\n"
        f'<rect class="page" width="{width}" height="{height}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _drawn(chart: Chart, width: int) -> tuple[list[str], _Scale, float, float]:
    """Panels, lanes, axis and events, the axis' scale, and where the panels begin and end."""
    narrow = width < 500
    left = 52.0 if narrow else _LEFT
    right = _RIGHT_AXIS if any(p.share_of for p in chart.panels) else 20.0
    x = _time_scale(chart, left, width - right)
    parts: list[str] = []
    top = _TOP + (16.0 if chart.events else 0.0)
    first_top = top
    for panel in chart.panels:
        height = panel.height * (0.85 if narrow else 1.0)
        parts.extend(_panel(chart, panel, x, left, width - right, top, height))
        top += height + _GAP
    for lane in chart.lanes:
        parts.extend(_lane(chart.times, lane, x, top))
        top += _LANE + _GAP
    floor = top - _GAP
    if chart.axis is None:
        parts.extend(_time_axis(x, first_top, floor))
    else:
        parts.extend(_number_axis(x, chart.axis, chart.unit, floor))
    parts.extend(_events(chart.events, x, first_top, floor, left, width - right))
    return parts, x, first_top, floor


def readings(chart: Chart) -> dict[str, list[object]]:
    """What the legend shows while the pointer is on the chart: times, and each line's values as text."""
    lines = [(panel, line) for panel in chart.panels for line in panel.lines]
    shown = [[panel.read(v) if math.isfinite(v) else "" for v in line.values] for panel, line in lines]
    return {
        "times": [datetime.fromtimestamp(t, UTC).strftime("%d %b %H:%M UTC").lstrip("0") for t in chart.times],
        "values": [*shown, *(list(lane.states) for lane in chart.lanes)],
    }


def ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """About ``count`` round numbers between ``low`` and ``high``, both included if round."""
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= raw * 0.75)
    first = math.ceil(low / step - 1e-9)
    return tuple(i * step for i in range(first, math.floor(high / step + 1e-9) + 1))


def _time_scale(chart: Chart, left: float, right: float) -> _Scale:
    begin, end = chart.times[0], chart.times[-1]
    if end == begin:
        end = begin + 1
    bend = chart.squeeze_until
    if bend is None or not begin < bend < end:
        return _Scale(((begin, left), (end, right)))
    share = min((bend - begin) / (end - begin), _SQUEEZED)
    return _Scale(((begin, left), (bend, left + share * (right - left)), (end, right)))


def _range(panel: Panel) -> tuple[float, float]:
    values = [v for line in panel.lines for v in line.values]
    values += [v for band in panel.bands for v in (*band.lower, *band.upper)]
    values += [v for move in panel.moves for v in (move.after, move.before) if v is not None]
    values += [level.value for level in panel.levels if level.kept]
    values = [v for v in values if math.isfinite(v)] or [0.0]
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - (0.0 if low == 0 else margin), high + margin


def _panel(
    chart: Chart, panel: Panel, x: _Scale, left: float, right: float, top: float, height: float
) -> Iterable[str]:
    low, high = _range(panel)
    y = _Scale(((low, top + height), (high, top)))
    yield f'<text class="title" x="4" y="{top - 10:.0f}">{escape(panel.title)}</text>'
    for value in ticks(low, high, max(3, int(height // 45))):
        role = "zero" if value == 0 else "grid"
        yield f'<line class="{role}" x1="{left:.1f}" x2="{right:.1f}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        yield f'<text class="tick end" x="{left - 7:.1f}" y="{y(value) + 4:.1f}">{escape(panel.tick(value))}</text>'
    if panel.share_of:
        yield f'<text class="title end" x="{right + _RIGHT_AXIS:.0f}" y="{top - 10:.0f}">change, %</text>'
        for share in ticks(100 * (low / panel.share_of - 1), 100 * (high / panel.share_of - 1), int(height // 45)):
            at = y(panel.share_of * (1 + share / 100))
            yield f'<text class="tick" x="{right + 7:.1f}" y="{at + 4:.1f}">{_signed(share)}</text>'
    yield from _levels(panel.levels, y, left, right, low, high)
    for band in panel.bands:
        yield f'<path class="band {band.role}" d="{_area(chart.times, band, x, y)}"/>'
    for line in panel.lines:
        yield f'<path class="line {line.role}" d="{_path(chart.times, line, x, y)}"/>'
    for move in panel.moves:
        yield from _move(move, x(move.time), y)


def _lane(times: Sequence[float], lane: Lane, x: _Scale, top: float) -> Iterable[str]:
    yield f'<text class="title" x="4" y="{top - 8:.0f}">{escape(lane.name)}</text>'
    begin = 0
    for i in range(1, len(times) + 1):
        if i < len(times) and lane.states[i] == lane.states[begin]:
            continue
        role = lane.roles.get(lane.states[begin])
        if role is not None:
            left, right = x(times[begin]), x(times[min(i, len(times) - 1)])
            yield (
                f'<rect class="state {role}" x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 1.2):.1f}" '
                f'height="{_LANE:.0f}"><title>{escape(lane.states[begin])}</title></rect>'
            )
        begin = i


def _levels(levels: tuple[Level, ...], y: _Scale, left: float, right: float, low: float, high: float) -> Iterable[str]:
    labelled = -math.inf
    for level in sorted(levels, key=lambda one: one.value, reverse=True):
        if not low <= level.value <= high:
            continue
        at = y(level.value)
        yield f'<line class="level {level.role}" x1="{left:.1f}" x2="{right:.1f}" y1="{at:.1f}" y2="{at:.1f}"/>'
        if at - labelled >= 12:
            labelled = at
            yield f'<text class="note end" x="{right - 3:.1f}" y="{at - 3:.1f}">{escape(level.label)}</text>'


def _move(move: Move, at: float, y: _Scale) -> Iterable[str]:
    yield f'<g class="move {move.role}"><title>{escape(move.title)}</title>'
    if move.before is not None:
        yield f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y(move.before):.1f}" y2="{y(move.after):.1f}"/>'
        yield f'<circle class="before" cx="{at:.1f}" cy="{y(move.before):.1f}" r="3"/>'
    yield f'<circle cx="{at:.1f}" cy="{y(move.after):.1f}" r="3.2"/></g>'


def _path(times: Sequence[float], line: Line, x: _Scale, y: _Scale) -> str:
    words: list[str] = []
    drawing = False
    for time, value in zip(times, line.values, strict=True):
        if not math.isfinite(value):
            drawing = False
            continue
        at, to = f"{x(time):.1f}", f"{y(value):.1f}"
        if not drawing:
            words.append(f"M{at} {to}")
        elif line.stepped:
            words.append(f"H{at}V{to}")
        else:
            words.append(f"L{at} {to}")
        drawing = True
    return "".join(words)


def _area(times: Sequence[float], band: Band, x: _Scale, y: _Scale) -> str:
    there = [f"{x(t):.1f} {y(v):.1f}" for t, v in zip(times, band.upper, strict=True)]
    back = [f"{x(t):.1f} {y(v):.1f}" for t, v in zip(times, band.lower, strict=True)]
    return f"M{'L'.join([*there, *reversed(back)])}Z"


def _time_axis(x: _Scale, top: float, floor: float) -> Iterable[str]:
    (begin, left), (end, right) = x.knots[-2], x.knots[-1]
    room = (right - left) / 58
    step = next((s for s in _TIME_STEPS if (end - begin) / s <= room), _TIME_STEPS[-1])
    day = ""
    for stamp in range(math.ceil(begin / step) * step, int(end) + 1, step):
        at, when = x(stamp), datetime.fromtimestamp(stamp, UTC)
        text = when.strftime("%H:%M")
        if day != (day := when.strftime("%d %b").lstrip("0")):
            text = day if when.hour == 0 else text
        yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{floor:.1f}" y2="{floor + 4:.1f}"/>'
        yield f'<text class="tick mid" x="{at:.1f}" y="{floor + 18:.1f}">{text}</text>'
    if len(x.knots) == 3:
        origin = x.knots[0][1]
        hours = (begin - x.knots[0][0]) / HOUR
        yield (
            f'<rect class="before-fall" x="{origin:.1f}" y="{top:.1f}" width="{left - origin:.1f}" '
            f'height="{floor - top:.1f}"><title>{hours:.0f} hours before the fall, drawn narrower</title></rect>'
        )
        if left - origin > 100:
            yield f'<text class="note" x="{origin:.1f}" y="{floor + 18:.1f}">{hours:.0f} h before</text>'


def _number_axis(x: _Scale, write: Callable[[float], str], unit: str, floor: float) -> Iterable[str]:
    (begin, left), (end, right) = x.knots[0], x.knots[-1]
    for value in ticks(begin, end, int((right - left) // 75)):
        at = x(value)
        yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{floor:.1f}" y2="{floor + 4:.1f}"/>'
        yield f'<text class="tick mid" x="{at:.1f}" y="{floor + 18:.1f}">{escape(write(value))}</text>'
    yield f'<text class="note end" x="{right:.1f}" y="{floor + 33:.1f}">{escape(unit)}</text>'


def _events(events: tuple[Event, ...], x: _Scale, top: float, floor: float, left: float, right: float) -> Iterable[str]:
    taken = -math.inf
    for event in sorted(events, key=lambda one: one.time):
        at = x(event.time)
        if not left - 1 <= at <= right + 1:
            continue
        yield f'<line class="event" x1="{at:.1f}" x2="{at:.1f}" y1="{top - 22:.1f}" y2="{floor:.1f}"/>'
        length = len(event.label) * _CHARACTER
        begin = at + 4 if at + 4 + length <= right + 10 else at - 4 - length
        if begin >= taken:
            taken = begin + length + 8
            anchor, edge = ("", at + 4) if begin > at else (" end", at - 4)
            yield f'<text class="note{anchor}" x="{edge:.1f}" y="{top - 28:.1f}">{escape(event.label)}</text>'


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−") if value else "0"
