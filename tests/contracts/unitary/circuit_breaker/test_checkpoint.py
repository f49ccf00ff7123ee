"""Vault.checkpoint: the high-water mark, and the drawdown that latches REDUCE_ONLY."""

from tests.contracts.chain import USDC, WAD, events
from tests.contracts.protocol import ETH, SPOT, Thresholds, wad


def test_first_price_is_one_usdc(protocol):
    protocol.vault.checkpoint(sender=protocol.stranger)

    assert protocol.breaker.high_water() == WAD


def test_high_water_only_rises(funded):
    funded.vault.checkpoint()
    funded.overwrite("idle", 1_100_000 * USDC)
    funded.vault.checkpoint()
    funded.overwrite("idle", 1_050_000 * USDC)

    funded.vault.checkpoint()

    assert funded.breaker.high_water() == (1_100_000 * WAD + 10**12) * WAD // (1_000_000 * WAD + 10**12)
    assert not funded.breaker.latched()


def test_drawdown_beyond_the_kill_level_latches_reduce_only(funded):
    funded.vault.checkpoint()
    funded.overwrite("idle", 850_000 * USDC - 1)

    funded.vault.checkpoint(sender=funded.stranger)

    (event,) = events(funded.vault, "ReduceOnlySet")
    assert event.latched
    assert funded.breaker.latched()


def test_drawdown_up_to_the_kill_level_does_not(funded):
    funded.vault.checkpoint()
    funded.overwrite("idle", 850_001 * USDC)

    funded.vault.checkpoint()

    assert not funded.breaker.latched()


def test_latch_stays_when_the_price_comes_back(funded):
    funded.vault.checkpoint()
    funded.overwrite("idle", 800_000 * USDC)
    funded.vault.checkpoint()
    funded.overwrite("idle", 1_000_000 * USDC)

    funded.vault.checkpoint()

    assert funded.breaker.latched()


def test_once_the_governor_has_unlatched_a_new_drawdown_is_needed(funded):
    funded.vault.checkpoint()
    funded.overwrite("idle", 800_000 * USDC)
    funded.vault.checkpoint()

    funded.breaker.set_reduce_only(False, sender=funded.governor)
    funded.vault.checkpoint()

    assert not funded.breaker.latched()
    assert funded.breaker.high_water() == (800_000 * WAD + 10**12) * WAD // (1_000_000 * WAD + 10**12)  # from here on
    funded.overwrite("idle", 680_000 * USDC - 2)
    funded.vault.checkpoint()
    assert funded.breaker.latched()


def test_nothing_is_learned_while_a_priced_expiry_is_not_settled(funded, sold):
    """Calls that expired worthless are marked at a spot that has risen since: a drawdown that never was."""
    funded.breaker.set_thresholds(Thresholds(kill_drawdown=wad(0.01)), sender=funded.governor)
    funded.vault.checkpoint()
    expiry = funded.expiry()
    proof = funded.reach_expiry(expiry, 3_000)
    funded.market.submit_usdc()
    funded.market.submit(4_200)
    marked = funded.vault.assessment().nav_bid

    funded.vault.checkpoint(sender=funded.stranger)

    assert marked < 990_000 * 10**18
    assert not funded.breaker.latched()
    funded.book.settle(ETH, expiry, *proof)
    funded.vault.checkpoint(sender=funded.stranger)
    assert not funded.breaker.latched()


def test_a_real_crash_latches_through_checkpoint_and_rebalance(funded):
    """A vault long ETH with a fifth of its money loses 15 % of it all when ETH falls by four fifths."""
    funded.loosen()
    funded.rebalance(funded.leg(SPOT, 70))
    assert not funded.breaker.latched()
    funded.market.move(750)

    funded.rebalance(funded.leg(SPOT, -1))

    assert funded.breaker.latched()
