"""OptionBook.write and buy_back: options that makers write to the vault, and what the auction takes off its short."""

import boa
import pytest

from tests.contracts.chain import USDC, WAD, account, events, reverts
from tests.contracts.protocol import BTC, replace_code


@pytest.fixture
def rich(funded):
    """No bands, and a taker who can pay any premium."""
    funded.loosen()
    funded.fund(funded.taker, 10_000_000 * USDC, funded.book)
    return funded


@pytest.fixture
def auctioned(funded, series):
    """A book whose auction is an account, with ten calls sold by the vault."""
    slot = funded.book.compiler_data.storage_layout["storage_layout"]["auction"]["slot"]
    boa.env.set_storage(funded.book.address, slot, int(account("auction"), 16))
    funded.sell(series, 10 * WAD)
    return funded


# ---------------------------------------------------------------- write


def test_a_call_is_backed_by_units_of_the_underlying(rich, series):
    quote = rich.quote(series, vault_sells=False, size=4 * WAD)
    rich.give_collateral(series, 4 * WAD)
    idle = rich.vault.idle()

    rich.book.write(quote, 4 * WAD, rich.quoter.address, rich.sign(quote), sender=rich.maker)

    premium = quote.price * 4 * WAD // 10**30
    (event,) = events(rich.book, "Filled")
    assert (event.vault_sells, event.written, event.size, event.premium) == (False, True, 4 * WAD, premium)
    assert rich.market.usdc.balanceOf(rich.maker) == premium == idle - rich.vault.idle()
    assert rich.market.weth.balanceOf(rich.clearing) == rich.clearing.escrow(rich.market.weth) == 4 * WAD
    assert rich.clearing.written(series, rich.maker) == (4 * WAD, 4 * WAD)
    assert rich.book.written(series) == (0, 4 * WAD)
    assert rich.token.total_supply(series) == 0


def test_a_put_is_backed_by_its_strike_in_usdc_rounded_up(rich):
    series = rich.open_series(2_950, is_call=False)
    size = 2 * WAD + 10**9  # 1e-9 of a put at 2,950 is 2.95 units of USDC

    rich.write(series, size)

    assert rich.clearing.escrow(rich.market.usdc) == 5_900 * USDC + 3
    assert rich.clearing.written(series, rich.maker) == (size, 5_900 * USDC + 3)


def test_a_call_on_btc_is_backed_by_wbtc_in_its_decimals_rounded_up(both):
    both.loosen()
    expiry = both.expiry()
    both.post_slice(expiry, underlying=BTC)
    series = both.list_series(90_000, expiry=expiry, underlying=BTC)

    both.write(series, WAD + 10**9)  # less than a unit of WBTC above one

    assert both.clearing.escrow(both.market.wbtc) == 10**8 + 1


def test_the_vaults_position_is_what_makers_wrote_less_what_it_wrote(rich, series):
    """Slot B: vault_written and maker_written; supply of the token is the former, whatever makers write."""
    rich.fill(rich.quote(series, size=10 * WAD))
    rich.write(series, 6 * WAD)

    (slot,) = rich.book.live_book()
    assert rich.book.written(series) == (10 * WAD, 6 * WAD)
    assert slot % 2**87 == 2**87 - 4 * 10**9  # 4 short, in 1e-9 units, two's complement of 87 bits
    assert rich.token.total_supply(series) == 10 * WAD


def test_what_makers_wrote_offsets_the_vaults_short_in_margin(rich, series):
    rich.fill(rich.quote(series, size=10 * WAD))
    short = rich.vault.assessment()

    rich.write(series, 10 * WAD)

    flat = rich.vault.assessment()
    assert short.maintenance > 0 == flat.maintenance
    assert flat.short_notional == 0
    assert (flat.delta[0], flat.gamma[0], flat.vega[0]) == (0, 0, 0)


def test_fills_and_writes_share_the_size_of_a_quote(rich, sold):
    """Invariant 35."""
    quote = rich.quote(sold, vault_sells=False, size=3 * WAD)
    rich.fill(quote, 2 * WAD)
    rich.give_collateral(sold, 2 * WAD)
    write = rich.book.write

    with reverts("quote: size exceeded"):
        write(quote, 2 * WAD, rich.quoter.address, rich.sign(quote), sender=rich.maker)
    write(quote, WAD, rich.quoter.address, rich.sign(quote), sender=rich.maker)

    assert rich.book.filled(rich.book.hash_quote(quote)) == 3 * WAD


def test_a_quote_by_which_the_vault_sells_cannot_be_written(rich, series):
    quote = rich.quote(series)

    with reverts("write: the vault sells"):
        rich.book.write(quote, WAD, rich.quoter.address, rich.sign(quote), sender=rich.maker)


def test_a_maker_without_the_collateral_is_refused(rich, series):
    quote = rich.quote(series, vault_sells=False)

    with reverts(None):
        rich.book.write(quote, WAD, rich.quoter.address, rich.sign(quote), sender=rich.maker)


def test_a_collateral_token_that_returns_false_is_refused(rich):
    series = rich.open_series(2_950, is_call=False)
    quote = rich.quote(series, vault_sells=False)
    rich.give_collateral(series, WAD)
    replace_code(rich.market.usdc.address, "RefusingToken", rich.maker)

    with reverts("collateral: transfer"):
        rich.book.write(quote, WAD, rich.quoter.address, rich.sign(quote), sender=rich.maker)


def test_a_collateral_token_that_keeps_a_part_is_refused(rich):
    series = rich.open_series(2_950, is_call=False)
    quote = rich.quote(series, vault_sells=False)
    rich.give_collateral(series, WAD)
    replace_code(rich.market.usdc.address, "RefusingToken", rich.stranger)  # to him it says no; of others it takes all

    with reverts("collateral: transfer"):
        rich.book.write(quote, WAD, rich.quoter.address, rich.sign(quote), sender=rich.maker)


def test_an_option_that_reduces_no_risk_is_not_bought_while_reduce_only(rich, series):
    """The vault is flat: buying makes it long, and gamma and vega larger."""
    rich.breaker.set_reduce_only(True, sender=rich.guardian)

    with reverts("book: vault is reduce-only"):
        rich.write(series)


def test_a_series_that_makers_wrote_cannot_be_delisted(rich, series):
    """Even where the vault has written as much: the net position is zero, and both sides have money in it."""
    rich.fill(rich.quote(series))
    rich.write(series)

    with reverts("book: series has a position"):
        rich.book.delist_series(series, sender=rich.governor)


def test_nobody_but_the_book_locks_collateral_or_settles(funded, series):
    p = funded
    for call in (
        lambda: p.clearing.lock(series, p.stranger, WAD, sender=p.governor),
        lambda: p.clearing.settle(series, WAD, 0, 0, sender=p.governor),
        lambda: p.clearing.pay_vault(1, sender=p.governor),
        lambda: p.clearing.deliver_to(p.spot, 0, 1, sender=p.governor),
    ):
        with reverts("clearing: only option book"):
            call()


def test_only_the_clearing_house_draws(funded):
    with reverts("book: only clearing house"):
        funded.book.draw(sender=funded.governor)


# ---------------------------------------------------------------- buy_back


def test_the_auction_takes_tokens_of_a_seller(auctioned, series):
    auctioned.book.buy_back(series, 4 * WAD, auctioned.taker, False, sender=account("auction"))

    (event,) = events(auctioned.book, "BoughtBack")
    assert (event.series, event.seller, event.written, event.size) == (series, auctioned.taker, False, 4 * WAD)
    assert auctioned.book.written(series) == (6 * WAD, 0)
    assert auctioned.token.total_supply(series) == 6 * WAD
    assert auctioned.vault.assessment().short_notional == 6 * 3_000 * WAD


def test_the_auction_takes_options_written_anew(auctioned, series):
    auctioned.give_collateral(series, 4 * WAD)

    auctioned.book.buy_back(series, 4 * WAD, auctioned.maker, True, sender=account("auction"))

    assert auctioned.book.written(series) == (10 * WAD, 4 * WAD)
    assert auctioned.clearing.escrow(auctioned.market.weth) == 4 * WAD
    assert auctioned.vault.assessment().short_notional == 6 * 3_000 * WAD


def test_the_auction_cannot_make_the_vault_long(auctioned, series):
    with reverts("book: more than short"):
        auctioned.book.buy_back(series, 10 * WAD + 10**9, auctioned.taker, False, sender=account("auction"))


def test_the_auction_cannot_buy_what_has_expired(auctioned, series):
    auctioned.reach_expiry(auctioned.expiry(), 3_100)

    with reverts("book: expired"):
        auctioned.book.buy_back(series, WAD, auctioned.taker, False, sender=account("auction"))


@pytest.mark.parametrize("role", ["governor", "keeper", "taker"])
def test_nobody_but_the_auction_buys_back(auctioned, series, role):
    with reverts("book: only auction"):
        auctioned.book.buy_back(series, WAD, auctioned.taker, False, sender=getattr(auctioned, role))
