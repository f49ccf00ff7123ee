"""Where profit and loss came from: a step between two valuations explained by the Greeks at its beginning.

A Taylor expansion of the book's value (Greeks-based P&L explain, as in J. Hull, *Options, Futures, and Other
Derivatives*, chapter "The Greek Letters", and N. Taleb, *Dynamic Hedging*): for a position of value V(S, σ, t), with
delta, gamma, vega and theta of the whole position before the step,

    ΔV = delta·ΔS + ½·gamma·ΔS² + vega·Δσ + theta·Δt + residual.

ΔS is the move of the oracle price and Δσ that of the position's own posted volatility at its strike, whatever moved
it: a new slice or the smile under a moving price. What was traded within the step is marked at mid: the distance of
its premium from that mid is the vault's edge. The residual is everything of higher order (speed, volga), the cross
terms (vanna, charm) and carry of the forward; it is what the parts lack to the change in value, so that they always
sum to it, and it vanishes as steps get shorter. Step by step these sums need no further assumption.

Per underlying; USDC throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from keeper.domain.series import Series
from keeper.domain.units import YEAR
from keeper.domain.valuation import PositionValue, Valuation


@dataclass(frozen=True, slots=True)
class CashMoved:
    """USDC that moved between two valuations because of one underlying; + came into the vault's cash.

    Attributes:
        premiums: Received for options sold, less paid for options bought.
        payouts: Promised to holders by fixings, negative.
        hedges: Between venues and cash.
        costs: What the hedge trades lost against the oracle price, negative: pool fees, impact, basis.
    """

    premiums: float = 0.0
    payouts: float = 0.0
    hedges: float = 0.0
    costs: float = 0.0


@dataclass(frozen=True, slots=True)
class Attribution:
    """The change in value of one underlying's options and hedges by source, USDC.

    ``premium`` to ``option_residual`` are the options': together what the book would have earned without a hedge.
    ``hedge_delta``, ``carry``, ``costs`` and ``hedge_residual`` are the venues': price, interest, trading, rounding.
    """

    premium: float = 0.0
    option_delta: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0
    option_residual: float = 0.0
    hedge_delta: float = 0.0
    carry: float = 0.0
    costs: float = 0.0
    hedge_residual: float = 0.0

    @property
    def unhedged(self) -> float:
        """Of the options alone."""
        return self.premium + self.option_delta + self.gamma + self.vega + self.theta + self.option_residual

    @property
    def total(self) -> float:
        """Of options and hedges."""
        return self.unhedged + self.hedge_delta + self.carry + self.costs + self.hedge_residual

    @property
    def delta(self) -> float:
        """Of net delta."""
        return self.option_delta + self.hedge_delta

    @property
    def residual(self) -> float:
        """What the expansion leaves unexplained."""
        return self.option_residual + self.hedge_residual

    def __add__(self, other: Attribution) -> Attribution:
        return Attribution(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class HedgingError:
    """A step's P&L of net delta, gamma and residual by why it was not hedged away, USDC.

    Attributes:
        delta_inside: Of the part of net delta that its target band allows.
        delta_outside: Of the part beyond the band.
        gamma: Of moves of ordinary size: a book that is neutral at every step has this too.
        gaps: Gamma and everything of higher order in moves above the gap threshold, which no rebalance comes between.
        residual: Everything of higher order in ordinary moves.
    """

    delta_inside: float = 0.0
    delta_outside: float = 0.0
    gamma: float = 0.0
    gaps: float = 0.0
    residual: float = 0.0

    def __add__(self, other: HedgingError) -> HedgingError:
        return HedgingError(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def explain(before: Valuation, after: Valuation, moved: Sequence[CashMoved]) -> tuple[Attribution, ...]:
    """The step from one valuation to a later one, per underlying.

    ``moved`` has an entry per underlying. For the edge of a trade to be that and nothing else, ``after`` should be
    right after it. The totals sum to the change in NAV less deposits plus redemptions, to the rounding of floats.
    """
    return tuple(_explain(before, after, u, cash) for u, cash in enumerate(moved))


def hedging_error(
    before: Valuation, after: Valuation, underlying: int, attribution: Attribution, band: float, gap: float
) -> HedgingError:
    """How one underlying's P&L of net delta, gamma and residual in a step divides.

    ``band`` is the target band before the step, ± units of net delta; ``gap`` the relative price move above which a
    move is a gap. The parts sum to the attribution's delta, gamma and residual.
    """
    delta = before.deltas[underlying]
    spot, then = before.options[underlying].spot, after.options[underlying].spot
    inside = max(-band, min(band, delta)) * (then - spot)
    is_gap = abs(then / spot - 1.0) > gap
    return HedgingError(
        delta_inside=inside,
        delta_outside=attribution.delta - inside,
        gamma=0.0 if is_gap else attribution.gamma,
        gaps=attribution.gamma + attribution.residual if is_gap else 0.0,
        residual=0.0 if is_gap else attribution.residual,
    )


def _explain(before: Valuation, after: Valuation, underlying: int, cash: CashMoved) -> Attribution:
    was, now = before.options[underlying], after.options[underlying]
    move = now.spot - was.spot
    held = [line for line in before.positions if line.series.underlying == underlying]
    later = {line.series: line for line in after.positions if line.series.underlying == underlying}
    vega = sum(line.vega * (later[line.series].vol - line.vol) for line in held if line.series in later)
    theta = sum(line.theta * _years(line, before.timestamp, after.timestamp) for line in held)
    gamma = was.gamma * move * move / 2.0
    premium = cash.premiums + _marked(held, later, move, before.timestamp, after.timestamp)
    gained = now.mid - was.mid + cash.premiums + cash.payouts
    venues_were, venues_are = before.venues[underlying], after.venues[underlying]
    hedge_delta = venues_were.units * move
    left = venues_are.equity - venues_were.equity + cash.hedges - hedge_delta - cash.costs
    # Interest accrues with time. Beside a trade it cannot be told from the trade's rounding and is not claimed.
    traded = cash.hedges != 0.0 or cash.costs != 0.0
    return Attribution(
        premium=premium,
        option_delta=was.delta * move,
        gamma=gamma,
        vega=vega,
        theta=theta,
        option_residual=gained - (premium + was.delta * move + gamma + vega + theta),
        hedge_delta=hedge_delta,
        carry=0.0 if traded else left,
        costs=cash.costs,
        hedge_residual=left if traded else 0.0,
    )


def _years(line: PositionValue, begin: int, end: int) -> float:
    """Time that the position lived in the step, years."""
    return max(min(end, line.series.expiry) - begin, 0) / YEAR


def _marked(
    held: Sequence[PositionValue], later: dict[Series, PositionValue], move: float, begin: int, end: int
) -> float:
    """Mid of what the vault bought less that of what it sold within the step, USDC.

    A live series that is gone was bought back or sold in full: its mid is what the Greeks expect.
    """
    sizes = {line.series: line.size for line in held}
    value = sum((line.size - sizes.get(series, 0.0)) * line.mid for series, line in later.items())
    for line in held:
        if line.series not in later and line.series.expiry > end:
            greeks = line.delta * move + line.gamma * move * move / 2.0 + line.theta * (end - begin) / YEAR
            value -= line.value + greeks
    return value
