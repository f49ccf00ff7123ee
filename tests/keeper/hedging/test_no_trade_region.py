"""The no-trade region of the vault's own hedge program, for one book and one pool: as the literature's bands have it.

What is asked is `decide`, on snapshots whose limits and budgets are out of the way and whose pool has no end.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import DAY, WAD, YEAR
from keeper.hedging.bands import fixed_and_proportional, fixed_cost, whalley_wilmott, zakamouline
from keeper.hedging.decide import decide
from keeper.hedging.horizon import gas_price
from keeper.hedging.indifference import Market, region
from keeper.pricing.black76 import greeks
from keeper.risk.valuation import value
from tests.keeper.hedging.conftest import EXPIRY, NOW, make_snapshot, option

SPOT, NAV = 3_000.0, 1_000_000.0
PLAIN = replace(Policy(), tail_aversion=0.0, capital_charge=0.0, band_use=1.0, min_trade=0.0, max_loss_use=1.0)


@dataclass(frozen=True)
class Book:
    """Short calls at the money and what they are at neutral delta: units, gamma, volatility and aversion per USDC."""

    size: float
    expiry: int
    fee: float = 0.0005
    base_fee_gwei: float = 0.0
    policy: Policy = PLAIN

    def snapshot(self, delta: float) -> Snapshot:
        """Hedged by spot up to a net delta."""
        bare = value(self._holding(0.0))
        return self._holding(delta - bare.deltas[0])

    def _holding(self, units: float) -> Snapshot:
        book = (option(True, SPOT, -self.size, self.expiry),) if self.size else ()
        worth = value(make_snapshot(book)).options[0].bid
        made = make_snapshot(
            book,
            idle=NAV - worth - units * SPOT,
            held=units,
            loss_budget=0.5,
            turnover_budget=10.0,
            hedging_budget=10.0,
            base_fee_gwei=self.base_fee_gwei,
            depth=1e15,
        )
        far = 100 * WAD
        wide = replace(made.limits, delta_target=far, gamma_band=far, vega_band=far, gross_leverage=far)
        [spot, _] = made.venues
        pools = tuple(replace(pool, fee_pips=round(1e6 * self.fee)) for pool in spot.pools)
        return replace(made, limits=wide, venues=(replace(spot, pools=pools),))

    @property
    def gamma(self) -> float:
        return abs(value(self._holding(0.0)).options[0].gamma)

    @property
    def aversion(self) -> float:
        return self.policy.risk_aversion / value(self._holding(0.0)).margins.nav_bid

    @property
    def gas(self) -> float:
        return self.policy.rebalance_gas * gas_price(self._holding(0.0))

    def after(self, delta: float) -> float:
        """Delta after the trade from there."""
        decision = decide(self.snapshot(delta), self.policy)
        assert decision.action is not Action.REFUSE, decision.reason
        return decision.deltas[0].after

    def inner(self) -> float:
        """Where trades end: of a delta that is too high, by selling."""
        return self.after(60.0)

    def outer(self) -> float:
        """From where on there is a trade."""
        inside, outside = 0.0, 60.0
        for _ in range(16):
            middle = (inside + outside) / 2
            holds = decide(self.snapshot(middle), self.policy).action is Action.HOLD
            inside, outside = (middle, outside) if holds else (inside, middle)
        return outside


WEEK = 7 * DAY
BOOKS = [Book(20, EXPIRY + WEEK), Book(20, EXPIRY + 4 * WEEK), Book(60, EXPIRY), Book(60, EXPIRY + WEEK)]
NAMES = ["20 calls of a week", "20 calls of a month", "60 calls of a day", "60 calls of a week"]


def long_run_cost(book: Book, low: float, high: float) -> float:
    """USDC a year of trading from ±high to ±low: risk, fees and gas, delta moving by Γ dS and the book as it is."""
    diffusion = (book.gamma * 0.6 * SPOT) ** 2
    trades = (book.gas + book.fee * SPOT * (high - low)) * diffusion / (high**2 - low**2)
    return book.aversion * (0.6 * SPOT) ** 2 * (high**2 + low**2) / 12 + trades


@pytest.mark.parametrize("book", BOOKS, ids=NAMES)
def test_without_gas_it_is_whalley_and_wilmotts_band(book: Book) -> None:
    assert book.inner() == pytest.approx(float(whalley_wilmott(book.gamma, SPOT, book.fee, book.aversion)), rel=0.01)
    assert book.outer() == pytest.approx(book.inner(), rel=0.01, abs=0.05)


@pytest.mark.parametrize("book", BOOKS, ids=NAMES)
def test_it_reaches_as_far_to_either_side(book: Book) -> None:
    unhedged = value(book.snapshot(0.0)).options[0].delta

    assert book.after(unhedged) == pytest.approx(-book.inner(), rel=0.01)


@pytest.mark.parametrize("fee", [0.0001, 0.003])
def test_dearer_pools_widen_it_by_the_third_root(fee: float) -> None:
    book = replace(BOOKS[1], fee=fee)

    assert book.inner() == pytest.approx(BOOKS[1].inner() * math.cbrt(fee / BOOKS[1].fee), rel=0.01)


@pytest.mark.parametrize("book", BOOKS, ids=NAMES)
def test_it_is_the_region_of_the_dynamic_program(book: Book) -> None:
    """Who looks in steps gets out by 0.5826 standard deviations of a step before trading (Broadie, Glasserman and Kou
    1997): the program's region is narrower by that."""
    steps, years = 250, (book.expiry - NOW) / YEAR
    market = Market(spot=SPOT, vol=0.6, rate=0.0, drift=0.0, cost=book.fee, years=years)
    holdings = np.linspace(-0.2 * book.size, 1.2 * book.size, 701)

    found = region(market, lambda spot: book.size * np.maximum(spot - SPOT, 0.0), book.aversion, holdings, steps)

    low, high = found.at(0.0, SPOT)
    overshoot = 0.5826 * book.gamma * SPOT * 0.6 * math.sqrt(years / steps)
    assert book.inner() == pytest.approx(float(high - low) / 2 + overshoot, rel=0.08)
    assert float(high + low) / 2 == pytest.approx(-value(book.snapshot(0.0)).options[0].delta, abs=0.02 * book.size)


@pytest.mark.parametrize("fee", [0.0005, 0.003])
def test_hedging_by_it_costs_within_two_per_cent_of_the_dynamic_program(fee: float) -> None:
    """Certainty equivalent beyond the premium of a week's calls held to their expiry, both along the same paths, and
    beside a hedge at every step without costs, which takes out of both what the paths' chance brought. Its half-widths
    are Whalley and Wilmott's, or where that is more H0 of a delta that stays to expiry: the tests above and below."""
    book, steps, count = replace(BOOKS[3], fee=fee), 250, 10_000
    years = (book.expiry - NOW) / YEAR
    dt = years / steps
    market = Market(spot=SPOT, vol=0.6, rate=0.0, drift=0.0, cost=fee, years=years)
    holdings = np.linspace(-0.6 * book.size, 1.6 * book.size, 801)
    found = region(market, lambda spot: book.size * np.maximum(spot - SPOT, 0.0), book.aversion, holdings, steps)
    ups = np.sign(np.random.default_rng(3).standard_normal((steps, count // 2)))

    spot, held, lost = np.full(count, SPOT), np.zeros((2, count)), np.zeros((2, count))
    for step, up in enumerate(np.hstack([ups, -ups])):
        now = greeks(spot, SPOT, 0.6, years - step * dt, True)
        delta, stays = book.size * now.delta, fee / (book.aversion * spot * 0.36 * (years - step * dt))
        half = np.maximum(whalley_wilmott(book.size * now.gamma, spot, fee, book.aversion), stays)
        low, high = found.at(step * dt, spot)
        target = np.clip(held, [delta - half, low], [delta + half, high])
        lost += fee * spot * np.abs(target - held)
        held = target
        after = spot * np.exp(-0.18 * dt + 0.6 * np.sqrt(dt) * up)
        lost += (delta - held) * (after - spot)
        spot = after

    ours, best = (np.log(np.mean(np.exp(book.aversion * one))) / book.aversion for one in lost)
    assert 0.98 <= ours / best <= 1.02


@pytest.mark.parametrize("book", BOOKS[:2], ids=NAMES[:2])
def test_it_is_zakamoulines_band_where_that_is_the_dynamic_programs(book: Book) -> None:
    band = zakamouline(-book.gamma, SPOT, 0.6, book.fee, book.aversion, 0.0, (book.expiry - NOW) / YEAR)

    assert book.inner() == pytest.approx(float(band.without_options + band.of_options), rel=0.06)
    assert float(band.vol) == pytest.approx(0.6, rel=0.02)  # its centre is Black and Scholes's delta, as ours


def test_without_options_it_is_zakamoulines_band_for_the_policys_horizon() -> None:
    """H0 = λ/(γSσ²τ): nothing moves delta, so that what is left stays."""
    book = Book(0.0, EXPIRY)
    years = book.policy.risk_horizon_days / 365

    band = zakamouline(0.0, SPOT, book.policy.default_vol, book.fee, book.aversion, 0.0, years)

    assert book.inner() == pytest.approx(float(band.without_options), rel=0.01)


@pytest.mark.parametrize("gwei", [0.1, 1.0, 10.0])
def test_where_gas_is_all_that_a_trade_costs_it_is_the_band_of_the_fixed_cost(gwei: float) -> None:
    book = replace(BOOKS[3], fee=1e-6, base_fee_gwei=gwei)

    assert book.outer() == pytest.approx(float(fixed_cost(book.gamma, book.gas, book.aversion)), rel=0.02)
    assert book.inner() < 0.02 * book.outer()  # trades end in the middle


@pytest.mark.parametrize("fee", [0.0005, 0.003])
@pytest.mark.parametrize("gwei", [0.2, 1.0, 5.0, 20.0])
def test_with_both_costs_it_costs_within_four_per_cent_of_the_best_band(fee: float, gwei: float) -> None:
    book = replace(BOOKS[3], fee=fee, base_fee_gwei=gwei)
    best = (float(x) for x in fixed_and_proportional(book.gamma, SPOT, fee, book.gas, book.aversion))

    assert long_run_cost(book, book.inner(), book.outer()) <= 1.04 * long_run_cost(book, *best)


def test_what_stays_until_the_end_counts_no_longer_than_that() -> None:
    """Calls that lost their gamma: the region is that of a delta that stays to their expiry."""
    book = Book(20, EXPIRY)
    far = replace(book.snapshot(0.0), book=(option(True, 2.0 * SPOT, -20, EXPIRY),))

    snapshot = make_snapshot(far.book, held=30.0, idle=900_000, base_fee_gwei=0.0, depth=1e15)
    snapshot = replace(snapshot, limits=far.limits, venues=snapshot.venues[:1])
    [change] = decide(snapshot, PLAIN).deltas

    years, nav = (EXPIRY - NOW) / YEAR, value(snapshot).margins.nav_bid
    vol = value(snapshot).positions[0].vol
    assert change.after == pytest.approx(0.0005 / (30.0 / nav * SPOT * vol**2 * years), rel=0.02)
