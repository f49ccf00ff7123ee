"""UniswapV3Spot pays a pool once per swap, what the limit price allows, and believes none that does not pay."""

import pytest

from keeper.simulation.chain import addresses
from tests.contracts.chain import USDC, WAD, reverts
from tests.contracts.protocol import ETH, fault, load

CHEAT = 1  # index of the hostile pool


@pytest.fixture
def cheated(funded):
    """A third venue with a deep pool and a hostile one, which holds 5 WETH and 100,000 USDC; five WETH are held."""
    p, market = funded, funded.market
    pool = fault("HostilePool", addresses.USDC, addresses.WETH)
    pools = [addresses.POOL_USDC_WETH_500, pool.address]
    venue = load("venues/UniswapV3Spot").deploy(p.vault, ETH, addresses.USDC, addresses.WETH, 18, pools)
    p.vault.list_venue(venue, ETH, sender=p.governor)
    p.loosen()
    p.rebalance(p.leg(2, 5))
    market.wrap(p.stranger, 5 * WAD)
    market.weth.transfer(pool, 5 * WAD, sender=p.stranger)
    market.mint(pool.address, 100_000 * USDC)
    p.cheat, p.venue = pool, venue
    return p


def buy(p):
    p.rebalance(p.leg(2, 1, pool=CHEAT))


def sell(p):
    p.rebalance(p.leg(2, -1, pool=CHEAT))


@pytest.fixture
def unharmed(cheated):
    """Whatever was tried, the vault has what it had."""
    before = cheated.vault.assessment()
    yield
    assert cheated.vault.assessment() == before
    assert cheated.market.usdc.balanceOf(cheated.venue) == 0


def test_as_long_as_it_does_not_cheat_it_is_a_pool(cheated):
    buy(cheated)
    sell(cheated)

    assert cheated.venue.held() == cheated.market.weth.balanceOf(cheated.venue) == 5 * WAD


@pytest.mark.parametrize("trade", [buy, sell])
def test_a_pool_that_asks_twice_is_refused(cheated, unharmed, trade):
    """Attack A7: a callback is answered once per swap."""
    cheated.cheat.call_twice()

    with reverts("venue: not the pool"):
        trade(cheated)


@pytest.mark.parametrize("trade", [buy, sell])
def test_a_swap_that_somebody_else_asks_payment_for_is_refused(cheated, unharmed, trade):
    """Attack A7: a second pool in league with the first; both are pools, only one is swapped in."""
    cheated.cheat.have_asked_by(fault("HostilePool", addresses.USDC, addresses.WETH))

    with reverts("venue: not the pool"):
        trade(cheated)


def test_a_pool_that_asks_for_more_than_the_limit_price_is_refused(cheated, unharmed):
    cheated.cheat.ask_more()

    with reverts("venue: limit price"):
        buy(cheated)


def test_a_purchase_that_is_not_delivered_is_refused(cheated, unharmed):
    """The pool says that it has paid: what the venue holds is counted in its token."""
    cheated.cheat.keep()

    with reverts("venue: tokens missing"):
        buy(cheated)


def test_a_sale_that_is_not_paid_is_refused(cheated, unharmed):
    cheated.cheat.keep()

    with reverts("ERC20: transfer amount exceeds balance"):
        sell(cheated)


def test_a_sale_for_which_usdc_are_asked_is_refused(cheated, unharmed):
    """No USDC lies in a venue between calls; what the sale has brought would only go back."""
    cheated.cheat.ask_for_the_other()

    with reverts("ERC20: transfer amount exceeds balance"):
        sell(cheated)


def test_a_purchase_for_which_tokens_are_asked_is_refused(cheated, unharmed):
    """The limit is on what is paid, whatever it is paid in: of five WETH it lets go 0.000000003."""
    cheated.cheat.ask_for_the_other()

    with reverts("venue: limit price"):
        buy(cheated)
