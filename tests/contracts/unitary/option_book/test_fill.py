"""OptionBook.fill: trades against signed quotes, inside price bounds, margin and bands."""

import math

import boa
import pytest

from tests.contracts.chain import DAY, HOUR, USDC, WAD, events, reverts
from tests.contracts.protocol import LOOSE, Budgets, Limits, VegaBudgets, replace_code, wad


@pytest.fixture
def rich(funded):
    """The taker can pay any premium."""
    funded.fund(funded.taker, 10_000_000 * USDC, funded.book)
    return funded


# ---------------------------------------------------------------- what a fill does


def test_a_sale_takes_the_premium_and_mints_the_options(rich, series):
    quote = rich.quote(series, size=10 * WAD)
    cash, idle = rich.market.usdc.balanceOf(rich.taker), rich.vault.idle()

    rich.fill(quote, 4 * WAD)

    premium = -(-quote.price * 4 * WAD // 10**30)
    (event,) = events(rich.book, "Filled")
    assert (event.series, event.taker, event.vault_sells) == (series, rich.taker, True)
    assert (event.size, event.premium, event.quote_hash) == (4 * WAD, premium, rich.book.hash_quote(quote))
    assert rich.market.usdc.balanceOf(rich.taker) == cash - premium
    assert rich.vault.idle() == idle + premium
    assert rich.token.balanceOf(rich.taker, series) == rich.token.total_supply(series) == 4 * WAD
    assert rich.book.written(series) == (4 * WAD, 0)


def test_a_purchase_burns_the_options_and_pays_the_premium(rich, sold):
    quote = rich.quote(sold, vault_sells=False, size=4 * WAD)
    cash, idle = rich.market.usdc.balanceOf(rich.taker), rich.vault.idle()

    rich.fill(quote)

    premium = quote.price * 4 * WAD // 10**30
    (event,) = events(rich.book, "Filled")
    assert (event.vault_sells, event.premium) == (False, premium)
    assert rich.market.usdc.balanceOf(rich.taker) == cash + premium
    assert rich.vault.idle() == idle - premium
    assert rich.token.balanceOf(rich.taker, sold) == rich.token.total_supply(sold) == 6 * WAD
    assert rich.book.written(sold) == (6 * WAD, 0)


def test_a_sale_at_the_ask_never_lowers_nav_bid(rich, series):
    before = rich.vault.assessment().nav_bid

    rich.fill(rich.quote(series, size=10 * WAD))

    assert rich.vault.assessment().nav_bid >= before


def test_a_round_trip_of_a_taker_never_gains(rich, series):
    start = rich.market.usdc.balanceOf(rich.taker)

    rich.fill(rich.quote(series, size=10 * WAD))
    rich.fill(rich.quote(series, vault_sells=False, size=10 * WAD))

    assert rich.market.usdc.balanceOf(rich.taker) < start


def test_premiums_round_in_favour_of_the_vault(rich, series):
    size = WAD + 10**9
    rich.fill(rich.quote(series, size=size, price=200 * WAD + 1))
    (sale,) = events(rich.book, "Filled")

    rich.fill(rich.quote(series, vault_sells=False, size=size, price=50 * WAD + 1))
    (purchase,) = events(rich.book, "Filled")

    assert sale.premium == 200 * USDC + 1
    assert purchase.premium == 50 * USDC


def test_keeps_the_ledger(hedged, sold):
    hedged.buy_back(sold, WAD)

    assert hedged.ledger_problems([hedged.depositor]) == []


# ---------------------------------------------------------------- price


def test_a_sale_below_the_ask_mark_is_refused(rich, series):
    marks = rich.pricer.marks(series)

    with reverts("fill: below the ask mark"):
        rich.fill(rich.quote(series, price=marks.ask - 1))
    rich.fill(rich.quote(series, price=marks.ask))


def test_a_purchase_above_the_middle_is_refused(rich, sold):
    marks = rich.pricer.marks(sold)

    with reverts("fill: above the middle"):
        rich.fill(rich.quote(sold, vault_sells=False, price=marks.mid + 1))
    rich.fill(rich.quote(sold, vault_sells=False, price=marks.mid))


@pytest.mark.parametrize(("price", "is_near"), [(3_007.4, True), (3_007.6, False), (2_992.6, True), (2_992.4, False)])
def test_spot_must_be_near_the_quotes_reference(rich, series, price, is_near):
    """0.25 % of 3,000 is 7.50, whatever tolerance the quote claims."""
    quote = rich.quote(series, price=500 * WAD, spot_tolerance=WAD)
    rich.market.submit(price)

    if is_near:
        rich.fill(quote)
    else:
        with reverts("fill: spot moved"):
            rich.fill(quote)


def test_a_quote_can_narrow_the_tolerance(rich, series):
    quote = rich.quote(series, price=500 * WAD, spot_tolerance=WAD // 1000)
    rich.market.submit(3_003.1)

    with reverts("fill: spot moved"):
        rich.fill(quote)


def test_puts_are_sold_while_their_whole_notional_could_be_shorted(rich, series):
    """At a health of 1.5 on a threshold of 78 %, a short ties up 92 % of itself; all but 5 % of NAV is buffer."""
    put = rich.list_series(3_000, is_call=False, expiry=rich.expiry())
    rich.risk.set_limits(LOOSE._replace(liquidity_buffer=wad(0.95)), sender=rich.governor)
    quote, nav = rich.quote(put, size=100 * WAD), rich.vault.assessment().nav_bid
    margin = rich.short.short_margin() / WAD
    most = 0.05 * nav / WAD / (margin * 3_000)
    assert margin == pytest.approx(1.5 / 0.78 - 1)

    with reverts("risk: hedge capacity"):
        rich.fill(quote, wad(most * 1.01))
    rich.fill(quote, wad(most * 0.99))


def test_a_stale_surface_stops_fills(rich, series):
    rich.market.wait(7_200)
    rich.fill(rich.quote(series))
    rich.market.wait(1)

    with reverts("fill: surface too old"):
        rich.fill(rich.quote(series))


def test_a_stale_oracle_stops_fills(rich, series):
    quote = rich.quote(series, deadline=rich.market.now + 3_960)
    rich.market.pass_time(3_910)

    with reverts("oracle: stale"):
        rich.fill(quote)


def test_the_vault_does_not_sell_in_the_last_day(rich, series):
    expiry = rich.expiry()
    rich.market.wait(expiry - DAY - rich.market.now)
    rich.post_slice(expiry)
    rich.fill(rich.quote(series))
    rich.market.wait(1)

    with reverts("fill: tenor too short"):
        rich.fill(rich.quote(series))


def test_the_vault_buys_back_until_the_last_hour(rich, sold):
    expiry = rich.expiry()
    rich.market.wait(expiry - HOUR - 1 - rich.market.now)
    rich.post_slice(expiry)
    rich.fill(rich.quote(sold, vault_sells=False))
    rich.market.wait(1)

    with reverts("fill: last hour"):
        rich.fill(rich.quote(sold, vault_sells=False))


# ---------------------------------------------------------------- series and size


def test_an_unlisted_series_is_refused(rich, series):
    quote = rich.quote(series)
    rich.book.delist_series(series, sender=rich.keeper)

    with reverts("book: series not listed"):
        rich.fill(quote)


def test_fills_add_up_to_the_size_of_the_quote(rich, series):
    """Invariant 35."""
    quote = rich.quote(series, size=3 * WAD)
    rich.fill(quote, WAD)
    rich.fill(quote, 19 * WAD // 10)

    with reverts("quote: size exceeded"):
        rich.fill(quote, 2 * WAD // 10)
    rich.fill(quote, WAD // 10)

    assert rich.book.filled(rich.book.hash_quote(quote)) == 3 * WAD


def test_a_fill_of_nothing_is_refused(rich, series):
    with reverts("quote: size exceeded"):
        rich.fill(rich.quote(series), 0)


def test_below_the_minimum_fill_is_refused(rich, series):
    with reverts("quote: below minimum fill"):
        rich.fill(rich.quote(series), WAD // 10 - 10**9)


def test_a_size_finer_than_1e_9_is_refused(rich, series):
    with reverts("series: size not a multiple of 1e-9"):
        rich.fill(rich.quote(series, size=WAD + 1))


def test_a_size_beyond_the_slot_is_refused(rich, series):
    size = 2**86 * 10**9
    rich.fund(rich.taker, 500 * size // 10**12, rich.book)

    with reverts("series: position too large"):
        rich.fill(rich.quote(series, size=size))


def test_options_one_does_not_have_cannot_be_sold(rich, sold):
    with reverts("erc1155: burn amount exceeds balance"):
        rich.fill(rich.quote(sold, vault_sells=False), taker=rich.stranger)


def test_a_premium_one_does_not_have_cannot_be_paid(funded, series):
    funded.market.usdc.approve(funded.book, 2**256 - 1, sender=funded.taker)

    with reverts("ERC20: transfer amount exceeds balance"):
        funded.fill(funded.quote(series))


def test_token_that_returns_false_is_refused(rich, series):
    quote = rich.quote(series)
    replace_code(rich.market.usdc.address, "RefusingToken", rich.taker)

    with reverts("book: transfer"):
        rich.fill(quote)


def test_a_purchase_needs_free_cash(rich, sold):
    rich.overwrite("idle", 10 * USDC)

    with reverts("vault: not enough idle cash"):
        rich.fill(rich.quote(sold, vault_sells=False))


def test_a_purchase_whose_payment_returns_false_is_refused(rich, sold):
    quote = rich.quote(sold, vault_sells=False)
    replace_code(rich.market.usdc.address, "RefusingToken", rich.vault)

    with reverts("vault: transfer"):
        rich.fill(quote)


# ---------------------------------------------------------------- what it leaves behind


def test_a_sale_beyond_initial_margin_is_refused(rich):
    series = rich.open_series(is_call=False)
    rich.risk.set_limits(LOOSE, sender=rich.governor)

    with reverts("margin: below initial"):
        rich.fill(rich.quote(series, size=2_500 * WAD))


def test_a_sale_that_a_halving_of_spot_would_not_survive_is_refused(rich):
    """Seven hundred and fifty puts: margin holds, but spot -50 % would cost more than there is."""
    series = rich.open_series(is_call=False)
    rich.risk.set_limits(LOOSE, sender=rich.governor)

    with reverts("margin: gap insolvent"):
        rich.fill(rich.quote(series, size=750 * WAD))


def test_no_sale_of_a_gap_insolvent_vault_however_much_it_brings(rich):
    """The premium of a put is a gain where spot rises by half, but what is left there is still less than nothing."""
    calls, puts = rich.open_series(), rich.list_series(2_800, is_call=False)
    rich.loosen()
    rich.fill(rich.quote(calls, size=450 * WAD))
    rich.open_gates(kill_drawdown=WAD)
    rich.overwrite("idle", 660_000 * USDC)
    a = rich.vault.assessment()
    assert a.gap_headroom < 0
    assert a.nav_bid > a.initial

    with reverts("margin: gap insolvent"):
        rich.fill(rich.quote(puts, size=WAD))


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("delta_hard", "risk: delta band"),
        ("gamma_band", "risk: gamma band"),
        ("vega_band", "risk: vega band"),
        ("notional_total", "risk: total notional"),
        ("notional_expiry", "risk: expiry notional"),
        ("notional_series", "risk: series notional"),
    ],
)
def test_each_limit_stops_a_sale(rich, series, limit, reason):
    tight = LOOSE._replace(**{limit: wad(0.0001), **({"delta_target": 1} if limit == "delta_hard" else {})})
    rich.risk.set_limits(tight, sender=rich.governor)

    with reverts(reason):
        rich.fill(rich.quote(series, size=10 * WAD))


def test_notional_of_an_expiry_adds_up_over_its_series(rich, series):
    rich.risk.set_limits(LOOSE._replace(notional_expiry=wad(0.05)), sender=rich.governor)
    other = rich.list_series(3_100)
    rich.fill(rich.quote(series, size=10 * WAD))

    with reverts("risk: expiry notional"):
        rich.fill(rich.quote(other, size=10 * WAD))


def test_notional_in_total_adds_up_over_expiries(rich, series):
    rich.risk.set_limits(LOOSE._replace(notional_total=wad(0.05)), sender=rich.governor)
    later = rich.open_series(expiry=rich.expiry(14))
    rich.fill(rich.quote(series, size=10 * WAD))

    with reverts("risk: total notional"):
        rich.fill(rich.quote(later, size=10 * WAD))


def test_a_purchase_may_not_push_delta_out_of_the_hard_band(rich, series):
    """Thirty calls hedged with spot: buying the calls back would leave the spot alone."""
    rich.loosen()
    rich.fill(rich.quote(series, size=60 * WAD))
    rich.rebalance(rich.leg(0, 34))
    rich.risk.set_limits(Limits(), sender=rich.governor)

    with reverts("risk: delta band"):
        rich.fill(rich.quote(series, vault_sells=False, size=60 * WAD))


def test_no_sale_while_reduce_only_but_purchases_go_on(rich, sold):
    rich.breaker.set_reduce_only(True, sender=rich.guardian)

    with reverts("book: vault is reduce-only"):
        rich.fill(rich.quote(sold))
    rich.fill(rich.quote(sold, vault_sells=False))

    assert rich.book.written(sold) == (9 * WAD, 0)


def test_no_fill_while_another_series_awaits_its_fixing(rich, sold):
    later = rich.expiry(14)
    other = rich.open_series(expiry=later)
    rich.reach_expiry(rich.expiry(), 3_100)
    rich.post_slice(later)

    with reverts("vault: settle the expired series first"):
        rich.fill(rich.quote(other))


# ---------------------------------------------------------------- purchases above the bid mark


def test_what_a_purchase_costs_above_the_bid_drains_the_loss_bucket(rich, sold):
    """Ten calls short: buying four back makes |gamma| and |vega| smaller."""
    marks, nav, before = rich.pricer.marks(sold), rich.vault.assessment().nav_bid, rich.hedger.loss_budget()

    rich.fill(rich.quote(sold, vault_sells=False, price=marks.mid, size=4 * WAD))

    excess = (marks.mid - marks.bid) * 4
    assert before - rich.hedger.loss_budget() == excess * WAD // nav + 1


def test_a_purchase_at_the_bid_drains_nothing(rich, sold):
    before = rich.hedger.loss_budget()

    rich.fill(rich.quote(sold, vault_sells=False))

    assert rich.hedger.loss_budget() == before


def test_a_purchase_that_reduces_no_risk_is_refused_above_the_bid(rich, series):
    """The vault is flat in gamma and vega: what a maker writes makes it long."""
    marks = rich.pricer.marks(series)
    quote = rich.quote(series, vault_sells=False, price=marks.bid + 1)
    rich.give_collateral(series, WAD)

    with reverts("fill: above the bid mark"):
        rich.book.write(quote, WAD, rich.quoter.address, rich.sign(quote), sender=rich.maker)


def test_the_loss_bucket_bounds_what_is_paid_above_the_bid(rich, sold):
    rich.hedger.set_budgets(Budgets()._replace(loss_capacity=1), sender=rich.governor)

    with reverts("budget: exhausted"):
        rich.fill(rich.quote(sold, vault_sells=False, price=rich.pricer.marks(sold).mid, size=4 * WAD))


@pytest.mark.parametrize("role", ["governor", "keeper", "stranger"])
def test_nobody_but_the_book_books_a_loss(rich, role):
    with reverts("hedger: only option book"):
        rich.hedger.book_loss(WAD, WAD, sender=getattr(rich, role))


# ---------------------------------------------------------------- vega traded, moneyness


def test_each_fill_charges_the_vega_it_trades(rich, series):
    """size * spot * sqrt(T) * 0.4, whatever the surface says."""
    nav, tenor = rich.vault.assessment().nav_bid / WAD, (rich.expiry() - rich.market.now) / (365 * DAY)

    rich.fill(rich.quote(series, size=10 * WAD))

    charged = 0.07 - rich.book.vega_budget() / WAD
    assert charged == pytest.approx(10 * 3_000 * tenor**0.5 * 0.4 / nav, rel=1e-9)


def test_buying_back_charges_it_too(rich, sold):
    before = rich.book.vega_budget()

    rich.fill(rich.quote(sold, vault_sells=False, size=4 * WAD))

    assert rich.book.vega_budget() < before


def test_vega_beyond_the_budget_is_refused_and_comes_back(rich, series):
    rich.book.set_budgets(VegaBudgets(vega_capacity=wad(0.002), vega_per_day=wad(0.002)), sender=rich.governor)
    rich.fill(rich.quote(series, size=10 * WAD))

    with reverts("fill: vega traded"):
        rich.fill(rich.quote(series, size=10 * WAD))
    rich.market.wait(DAY)
    rich.post_slice(rich.expiry())
    rich.fill(rich.quote(series, size=10 * WAD))


def test_splitting_a_trade_gains_no_vega(rich, series):
    """Invariant 38. NAV, of which the budget is a share, grows with each premium: by less than a millionth here."""
    before = rich.book.vega_budget()
    with boa.env.anchor():
        rich.fill(rich.quote(series, size=10 * WAD))
        at_once = before - rich.book.vega_budget()
    quote = rich.quote(series, size=10 * WAD)
    for _ in range(10):
        rich.fill(quote, WAD)

    assert before - rich.book.vega_budget() >= at_once * (1 - 1e-4)


def test_only_the_governor_sets_budgets_and_the_guardian_tightens_them(rich):
    """Invariants 40 and 41."""
    for role in ("guardian", "keeper", "stranger"):
        with reverts("roles: not allowed"):
            rich.book.set_budgets(VegaBudgets(), sender=getattr(rich, role))
    for role in ("keeper", "stranger"):
        with reverts("roles: not allowed"):
            rich.book.tighten_budgets(VegaBudgets(), sender=getattr(rich, role))

    rich.book.tighten_budgets(VegaBudgets(wad(0.01), wad(0.01)), sender=rich.guardian)

    assert rich.book.budgets() == (wad(0.01), wad(0.01))


@pytest.mark.parametrize("field", ["vega_capacity", "vega_per_day"])
def test_tightening_loosens_nothing(rich, field):
    """Invariant 40, field by field."""
    with reverts("book: not tighter"):
        rich.book.tighten_budgets(VegaBudgets()._replace(**{field: wad(0.08)}), sender=rich.guardian)


@pytest.mark.parametrize(("strike", "is_near"), [(3_750, True), (3_800, False), (2_400, True), (2_350, False)])
def test_only_strikes_within_two_and_a_half_deviations_are_traded(rich, series, strike, is_near):
    """Forward 3,000, volatility 0.6: a deviation is 0.6 * sqrt(T)."""
    expiry = rich.expiry()
    deviation = 0.6 * ((expiry - rich.market.now) / (365 * DAY)) ** 0.5
    other = rich.list_series(strike, is_call=strike > 3_000)
    distance = abs(math.log(strike / 3_000)) / deviation
    assert (distance <= 2.5) == is_near
    assert rich.pricer.marks(other).deviations / WAD == pytest.approx(distance, rel=1e-6)

    if is_near:
        rich.fill(rich.quote(other))
    else:
        with reverts("fill: too far from the money"):
            rich.fill(rich.quote(other))


def test_a_vault_without_nav_trades_nothing(rich, sold):
    rich.overwrite("owed", 10_000_000 * USDC)

    with reverts("vault: not enough idle cash"):
        rich.fill(rich.quote(sold, vault_sells=False))
    rich.overwrite("idle", 0)
    with reverts("fill: no NAV"):
        rich.fill(rich.quote(sold, vault_sells=False, price=0))
