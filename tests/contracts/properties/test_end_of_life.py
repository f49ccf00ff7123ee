"""Retire, fix, fund, redeem, kill: a vault that ends leaves nobody and nothing behind.

retire   the guardian latches REDUCE_ONLY and revokes QUOTER: no sales, no deposits, no listings; hedging goes on
fix      every series expires and is settled, at the latest after its tenor
fund     what is owed to option holders is moved out of the Vault's reach, and waits for them for ever
redeem   the keeper sells the hedges; depositors leave at once or through the queue; fees are minted and leave too
kill     KEEPER and VOL_POSTER are revoked, and the governor gives up what could bring the vault back
"""

import pytest

from tests.contracts.chain import DAY, HOUR, USDC, WAD, account, reverts
from tests.contracts.governed import Governed, call
from tests.contracts.protocol import KEEPER, QUOTER, SHORT, SPOT, VOL_POSTER, load, wad

TREASURY = account("treasury")
MONTH = 30 * DAY


@pytest.fixture
def vault(hedged, sold):
    """Ten calls sold and hedged, fees, two depositors, under a Governance."""
    hedged.vault.set_fees((TREASURY, wad(0.01), wad(0.10)), sender=hedged.governor)
    hedged.deposit(50_000 * USDC, hedged.stranger)
    return Governed(hedged)


def retire(p):
    p.breaker.set_reduce_only(True, sender=p.guardian)
    p.book.revoke_role(p.quoter.address, QUOTER, sender=p.guardian)


def sell_hedges(p):
    """Both venues to zero, in as many steps as the ration of turnover takes."""
    for _ in range(10):
        spot, short = (venue.state(p.price_oracle.read(0).price) for venue in (p.spot, p.short))
        legs = [p.leg(SPOT, -spot.exposure / WAD)] if spot.exposure else []
        legs += [p.leg(SHORT, -short.exposure / WAD + 0.01)] if short.exposure else []
        if not legs:
            return
        p.rebalance(*legs)
        p.market.wait(HOUR)
    raise AssertionError("the hedges are not sold")


def leave(p, who):
    """Redeem everything. Returns the USDC."""
    return p.vault.redeem(p.vault.balanceOf(who), who, who, sender=who)


def test_everybody_leaves_and_nothing_is_stranded(vault, sold):
    """Invariant 9."""
    p = vault.protocol
    expiry = sold >> 215 & 2**32 - 1
    usdc = p.market.usdc

    retire(p)
    assert p.vault.maxDeposit(p.stranger) == 0
    assert not p.vault.accepts_new_risk()
    p.market.move(3_100.0)
    p.settle(expiry, 3_100.0)
    p.clearing.fund(sender=p.stranger)
    payout = usdc.balanceOf(p.clearing)
    assert (p.vault.owed(), payout) == (0, 1_000 * USDC)  # ten calls, 100 each

    sell_hedges(p)
    p.request(p.vault.balanceOf(p.depositor))
    p.close_epoch()
    p.settle_epoch()
    p.queue.redeem(p.queue.maxRedeem(p.depositor), p.depositor, p.depositor, sender=p.depositor)
    leave(p, p.stranger)
    p.market.wait(MONTH)
    p.vault.crystallise()
    leave(p, TREASURY)

    p.hedger.revoke_role(p.keeper, KEEPER, sender=p.guardian)
    p.vol_oracle.revoke_role(p.vol_poster, VOL_POSTER, sender=p.guardian)
    assert p.vault.totalSupply() == 0
    assert p.vault.idle() <= 2  # units of USDC: rounding
    assert usdc.balanceOf(p.vault) == p.vault.idle()
    assert usdc.balanceOf(p.queue) == p.queue.reserved() <= 2
    for venue in p.venues:
        assert venue.state(3_100 * WAD).exposure == 0
        assert venue.state(3_100 * WAD).equity < WAD // 100  # less than a cent
        assert usdc.balanceOf(venue) == p.market.weth.balanceOf(venue) == 0

    # A holder who was away finds his payout a year later: nobody's role is needed for it.
    p.market.wait(365 * DAY)
    p.clearing.claim(sold, sender=p.taker)
    assert usdc.balanceOf(p.clearing) == 0


def test_a_killed_vault_cannot_be_brought_back(vault):
    """Invariant 41: without set_reduce_only and hand_over nobody unlatches it, however long he waits."""
    p = vault.protocol
    retire(p)
    vault.pass_time(1)
    unlatching = call(p.breaker, "set_reduce_only", False)

    vault.do(vault.governance, "abdicate", *_selector(unlatching))

    for way in (unlatching, call(p.breaker, "hand_over", vault.owner)):
        with reverts("timelock: abdicated"):
            vault.submit(way)
    assert p.breaker.latched()


def test_depositors_leave_before_a_hostile_governor_can_hurt_them(vault):
    """Invariants 41 and 42: all that he can do within 48 hours closes no exit, and the queue pays within that time."""
    p = vault.protocol
    hostile = [
        call(p.hedger, "grant_role", vault.owner, KEEPER),
        call(p.vol_oracle, "grant_role", vault.owner, VOL_POSTER),
        call(p.vault, "set_fees", (vault.owner, wad(0.02), wad(0.20))),
        call(p.vault, "list_venue", load("venues/UniswapV3Spot").deploy(*_own_venue(p)), 0),
        call(p.vault, "hand_over", vault.owner),
    ]
    began = p.market.now
    for one in hostile:
        vault.submit(one)
    vault.governance.drop_guardian(vault.guardian, sender=vault.owner)
    p.breaker.set_reduce_only(True, sender=vault.owner)

    worth = p.vault.previewRedeem(p.vault.balanceOf(p.depositor))
    instant = p.vault.maxRedeem(p.depositor) // 2
    got = p.vault.redeem(instant, p.depositor, p.depositor, sender=p.depositor)
    p.request(p.vault.balanceOf(p.depositor))
    p.close_epoch()
    p.settle_epoch()
    got += p.queue.redeem(p.queue.maxRedeem(p.depositor), p.depositor, p.depositor, sender=p.depositor)

    assert p.market.now - began < 48 * HOUR
    assert got > worth * 0.6  # the rest is margin of the ten calls until they expire
    for one in hostile:
        with reverts("timelock: too early"):
            vault.accept(one)


def _selector(what):
    target, data = what
    return target, data[:4]


def _own_venue(p):
    return (p.vault, 0, p.market.usdc, p.market.weth, 18, [p.market.pool])
