"""Which delta hedges best: on the recorded option chains, learnt from the past alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from keeper.forecast.delta import Moves, fit_minimum_variance
from keeper.forecast.evaluation import diebold_mariano
from keeper.pricing.black76 import greeks
from keeper.pricing.calibration import calibrate
from tests.bench.results import Row, row
from tests.keeper.pricing.chains import SECONDS_PER_YEAR, Recorded, recordings, snapshots

Array = npt.NDArray[np.float64]

_DAY = 86_400
_LONGEST = 60 / 365  # years: what OptionBook lists
_SHORTEST = 1 / 365
_MEMORY = 30 * _DAY  # of moves that a fit learns from, and that the first waits for
_BUMP = 1e-3
_APART = {"6 hours": 1, "a day": 4}  # snapshots
_KEY = ["expiry", "strike", "is_call"]


@dataclass(frozen=True)
class _Step:
    """Options over one pair of snapshots, and what other deltas than Black and Scholes's miss."""

    begin: float
    end: float
    moves: Moves
    others: Mapping[str, Array]


def run() -> list[Row]:
    """All rows; the table is printed."""
    if not recordings():
        return []
    chains = [_chain(snapshot) for path in recordings() for snapshot in snapshots(path)]
    rows = []
    for name, apart in _APART.items():
        steps = [_step(a, b) for a, b in zip(chains, chains[apart:], strict=False)]
        rows += _compare(name, apart, [step for step in steps if len(step.moves.spot)])
    return rows


def _chain(snapshot: Recorded) -> pd.DataFrame:
    """Options with a mark, and Greeks at its volatility; the smile's slope is the fitted surface's."""
    q, vol = snapshot.quotes, snapshot.mark_vol
    fine = (q.years > _SHORTEST) & (q.years <= _LONGEST) & (vol > 0.0)
    k, years = np.log(q.strike / q.forward)[fine], q.years[fine]
    surface = calibrate(q).surface
    skew = (surface.vol(k + _BUMP, years) - surface.vol(k - _BUMP, years)) / (2.0 * _BUMP)
    contract = (q.forward[fine], q.strike[fine])
    own = greeks(*contract, vol[fine], years, q.is_call[fine])
    money = greeks(*contract, surface.vol(np.zeros(len(k)), years), years, q.is_call[fine])
    return pd.DataFrame(
        {
            "time": snapshot.time.timestamp(),
            "expiry": q.expiry[fine],
            "strike": q.strike[fine],
            "is_call": q.is_call[fine],
            "forward": q.forward[fine],
            "years": years,
            "is_liquid": snapshot.liquid[fine],
            "value": own.price,
            "delta": own.delta,
            "vega": own.vega,
            "theta": own.theta,
            "delta_at_money": money.delta,
            "slope": skew / q.forward[fine],  # of volatility by the price, were the smile fixed in moneyness: minus it
        }
    )


def _step(before: pd.DataFrame, after: pd.DataFrame) -> _Step:
    both = before[before.is_liquid].merge(after[[*_KEY, "forward", "value"]], on=_KEY, suffixes=("", "_after"))
    begin, end = float(before.time.iloc[0]), float(after.time.iloc[0])
    change = (both.forward_after - both.forward).to_numpy()
    passed = both.theta * (end - begin) / SECONDS_PER_YEAR
    missed = (both.value_after - both.value - both.delta * change - passed).to_numpy()
    vega, slope = both.vega.to_numpy(), both.slope.to_numpy()
    moves = Moves(both.forward.to_numpy(), both.years.to_numpy(), both.delta.to_numpy(), vega, change, missed)
    others = {
        "Black-Scholes at the money": missed - (both.delta_at_money - both.delta).to_numpy() * change,
        "smile moves with the price": missed + vega * slope * change,
        "smile moves against the price": missed - vega * slope * change,
    }
    return _Step(begin, end, moves, others)


def _compare(name: str, apart: int, steps: list[_Step]) -> list[Row]:
    losses: list[dict[str, float]] = []
    for now, step in enumerate(steps):
        past = [a.moves for a in steps[:now] if a.end <= step.begin and a.begin >= step.begin - _MEMORY]
        if step.begin - steps[0].begin < _MEMORY:
            continue
        model = fit_minimum_variance(_joined(past))
        m = step.moves
        extra = model.delta(m.delta, m.vega, m.spot, m.years) - m.delta
        missed = {"sticky strike": m.missed, **step.others, "minimum variance": m.missed - extra * m.change}
        sums = {each: float(np.square(values / m.spot).sum()) for each, values in missed.items()}
        losses.append({"time": step.begin, "count": len(m.spot), **sums})
    table = pd.DataFrame(losses)
    month = pd.to_datetime(table.time, unit="s").dt.strftime("%Y-%m")
    base = table["sticky strike"]
    print(f"\n| variance against sticky strike, {name} | all | t | {' | '.join(sorted(month.unique()))} |")
    print("|---|---|---|" + "---|" * month.nunique())
    for each in (*steps[0].others, "minimum variance"):
        by_month = [f"{_gain(table[each][month == m], base[month == m])}" for m in sorted(month.unique())]
        t = diebold_mariano(table[each].to_numpy(), base.to_numpy(), apart)
        print(f"| {each} | {_gain(table[each], base)} | {t:.1f} | {' | '.join(by_month)} |")
    label = f"hedges over {name}, {int(table['count'].sum())} moves: root mean square missed"
    scale = 1e4 / np.sqrt(table["count"].sum())
    ours = float(scale * np.sqrt(base.sum()))
    theirs = float(scale * np.sqrt(table["minimum variance"].sum()))
    return [row(f"{label}, sticky strike (peer: minimum variance)", ours, "bp of spot", peer=theirs)]


def _gain(loss: pd.Series, base: pd.Series) -> str:
    return f"{100.0 * (float(loss.sum()) / float(base.sum()) - 1.0):+.0f} %"


def _joined(moves: list[Moves]) -> Moves:
    names = ("spot", "years", "delta", "vega", "change", "missed")
    return Moves(*(np.concatenate([getattr(a, name) for a in moves]) for name in names))
