"""OptionBook.fill: trades against signed quotes, inside price bounds, margin and bands."""

import pytest

from tests.contracts.chain import DAY, HOUR, USDC, WAD, events, reverts
from tests.contracts.protocol import LOOSE, Limits, replace_code, wad



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


def test_a_purchase_above_the_bid_mark_is_refused(rich, sold):
    marks = rich.pricer.marks(sold)

    with reverts("fill: above the bid mark"):
        rich.fill(rich.quote(sold, vault_sells=False, price=marks.bid + 1))
    rich.fill(rich.quote(sold, vault_sells=False, price=marks.bid))


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
