"""RiskEngine: whatever a venue does instead of answering, it counts nothing, is flagged, and stops nobody."""

import boa
import pytest

from tests.contracts.chain import USDC, WAD
from tests.contracts.protocol import ETH, SPOT, fault

HUGE = 100_000  # bytes
MIN, MAX = -(2**255), 2**255 - 1


def babbler(length: int, is_revert: bool) -> bytes:
    """Code that returns, or reverts with, so many bytes, of which the first six words have all bits set."""
    words = b"".join(bytes([0x60, 0, 0x19, 0x60, 32 * i, 0x52]) for i in range(6))
    return words + b"\x62" + length.to_bytes(3) + bytes([0x60, 0, 0xFD if is_revert else 0xF3])


def holds(exposure, equity):
    return lambda venue: venue.hold(exposure, equity)


def becomes(code):
    return lambda venue: boa.env.set_code(venue.address, code)


FAULTS = {
    "reverts": lambda venue: venue.break_down(),
    "reverts with a huge reason": becomes(babbler(HUGE, True)),
    "returns a huge answer": becomes(babbler(HUGE, False)),
    "returns all ones": becomes(babbler(192, False)),
    "returns too little": becomes(babbler(160, False)),
    "returns nothing": becomes(b"\x00"),
    "has no code any more": becomes(b""),
    "is an invalid instruction": becomes(b"\xfe"),
    "is worth less than nothing": holds(3 * WAD, -1),
    "is worth the least there is": holds(3 * WAD, MIN),
    "is worth the most there is": holds(3 * WAD, MAX),
    "owes the most there is": holds(MIN, 10_000 * WAD),
    "holds the most there is": holds(MAX, 10_000 * WAD),
}


@pytest.fixture(params=FAULTS)
def faulty(request, hedged):
    """A vault whose third venue was worth 10,000 USDC until it failed, and its assessment before."""
    venue = fault("LyingVenue")
    venue.hold(3 * WAD, 10_000 * WAD)
    hedged.vault.list_venue(venue, ETH, sender=hedged.governor)
    before = hedged.vault.assessment()
    FAULTS[request.param](venue)
    return hedged, before


def test_it_counts_nothing_and_is_flagged(faulty):
    """Whatever it says, or does not."""
    p, before = faulty

    after = p.vault.assessment()

    assert before.nav_bid - after.nav_bid == 10_000 * WAD
    assert before.delta[ETH] - after.delta[ETH] == 3 * WAD
    assert after.venue_failed


def test_it_blocks_no_exit_no_queue_no_settlement_and_no_other_venue(faulty):
    """Invariant 42."""
    p, _ = faulty
    who, vault = p.depositor, p.vault
    series = p.book.live_book()[0] >> 87 << 87

    vault.redeem(10_000 * WAD, who, who, sender=who)
    p.request(10_000 * WAD)
    p.rebalance(p.leg(SPOT, -0.1))
    p.close_epoch()
    shares, assets = p.settle_epoch()
    p.settle(series >> 215 & 2**32 - 1, 3_500)
    p.clearing.fund(sender=p.stranger)
    p.clearing.claim(series, sender=p.taker)

    assert shares == 10_000 * WAD
    assert assets > 0
    assert p.market.usdc.balanceOf(p.taker) == 5_000 * USDC
    assert p.ledger_problems([who, p.queue.address]) == []


def test_one_that_comes_back_counts_again(hedged):
    venue = fault("LyingVenue")
    venue.hold(3 * WAD, 10_000 * WAD)
    hedged.vault.list_venue(venue, ETH, sender=hedged.governor)
    before = hedged.vault.assessment()
    code = boa.env.get_code(venue.address)
    boa.env.set_code(venue.address, babbler(HUGE, True))
    assert hedged.vault.assessment().venue_failed

    boa.env.set_code(venue.address, code)

    assert hedged.vault.assessment() == before
