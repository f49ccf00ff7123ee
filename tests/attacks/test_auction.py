"""A25: whoever holds the vault's options, writes them and bids in its auction, all at once, in a loop, and last.

Takers buy calls until the vault sells no more, nobody hedges, and ETH gaps up until equity is 0.9 of
maintenance margin.
"""

import boa
import pytest

from tests.contracts.chain import WAD, events, reverts
from tests.contracts.protocol import LOOSE, SPOT, wad

MINUTE = 60
LOT = 25 * WAD
COSTS = 0.1  # of maintenance margin: what all bids of an auction may cost together


@pytest.fixture
def gapped(funded):
    """The crashed vault, its auction open and at its highest premium. `taker` holds all that it is short of."""
    p = funded
    p.loosen()
    p.calls = p.open_series(3_100)
    with reverts("margin: below initial"):
        while True:
            p.sell(p.calls, LOT)
    p.rebalance(p.leg(SPOT, 20))
    p.risk.set_limits(LOOSE._replace(delta_target=wad(0.02)), sender=p.governor)
    low, high = 3_000, 4_500
    while high - low > 5:
        middle = (low + high) // 2
        with boa.env.anchor():
            p.market.move(middle)
            low, high = (middle, high) if health(p) > 0.9 else (low, middle)
    p.market.move(high)
    p.last(5 * MINUTE)
    p.auction.open(sender=p.stranger)
    p.market.wait(15 * MINUTE)
    return p


def health(p):
    a = p.vault.assessment()
    return a.nav_mid / a.maintenance


def unwind(p, size):
    """The leg that sells what hedged `size` calls as far as delta is not below zero."""
    unit = p.pricer.option_risk([(p.calls >> 87 << 87) | 10**9])[0].delta
    excess = unit * size // WAD + p.vault.assessment().delta[0]
    return [p.leg(SPOT, -excess / WAD)] if excess > 10**12 else []


def bid(p, size, **how):
    """Returns the USDC paid beyond the price of the lowest surface, and beyond what the options are worth at mid."""
    lowest, mid = p.pricer.lowest(p.calls), p.pricer.marks(p.calls).mid
    paid = p.bid(p.calls, size, *unwind(p, size), **how)
    return paid - lowest * size // WAD // 10**12, paid - mid * size // WAD // 10**12


def largest(p):
    """The largest bid that is taken now, units in WAD."""
    low, high = 0, 64 * WAD
    while high - low > WAD // 8:
        middle = (low + high) // 2
        with boa.env.anchor():
            try:
                bid(p, middle)
                low = middle
            except boa.BoaError:
                high = middle
    return low


def test_a25_who_holds_writes_and_bids_in_a_loop_earns_at_most_two_full_premiums_in_a_block(gapped):
    """Attack A25: sold from his tokens and written anew in turn, until nothing is taken any more."""
    p = gapped
    size, before, equity = largest(p), health(p), p.vault.assessment()
    p.give_collateral(p.calls, 40 * size, p.taker)
    with boa.env.anchor():
        (full, _) = bid(p, size)

    premiums, gained, bids = 0, 0, 0
    while p.auction.is_open() and bids < 12:
        premium, gain = bid(p, largest(p), writes=bool(bids % 2))
        premiums, gained, bids = premiums + premium, gained + gain, bids + 1

    assert bids >= 3
    assert premiums < 2 * full
    assert gained < premiums
    assert equity.nav_mid - p.vault.assessment().nav_mid < COSTS * equity.maintenance
    assert health(p) > before
    assert p.ledger_problems([p.depositor]) == []


def test_a25_what_was_written_is_not_bought_again_to_be_sold_again(gapped):
    """Attack A25: after such a fall the vault sells nothing, and it never sells on what makers have written."""
    p, size = gapped, largest(gapped)
    p.give_collateral(p.calls, size, p.taker)
    bid(p, size, writes=True)

    with reverts("book: vault is reduce-only"):
        p.sell(p.calls, WAD)
    assert p.clearing.escrow(p.market.weth) >= size


def test_a25_the_last_bid_overshoots_by_no_more_than_a_bid_may_take_and_ends_it(gapped):
    """Attack A25: who waits for the last bid cannot sell more by it than by any other, and none comes after."""
    p = gapped
    a = p.vault.assessment()
    missing = (a.maintenance * 5 // 4 - a.nav_mid) * 99 // 100
    p.overwrite("idle", p.vault.idle() + missing // 10**12)  # a hundredth is left
    size = largest(p)

    with reverts("auction: too much at once"):
        bid(p, 2 * size)
    bid(p, size)

    (taken,) = events(p.auction, "BidTaken")
    after = p.vault.assessment()
    assert after.nav_mid - after.maintenance * 5 // 4 <= p.auction.shortfall() // 4
    assert taken.size == size
    with reverts("auction: closed"):
        bid(p, WAD)


def test_a25_nobody_sells_what_makes_the_vault_worse(gapped):
    """Attack A25: a hedge that grows instead of being unwound; and, without equity, a bid that would be paid in
    full at the cost of all who are left.
    """
    p, size = gapped, largest(gapped)
    with reverts("auction: away from neutral"):
        p.bid(p.calls, size, p.leg(SPOT, -15))

    p.market.move(6_000)

    assert p.vault.assessment().nav_mid < 0
    with reverts("auction: no equity"):
        bid(p, WAD)
