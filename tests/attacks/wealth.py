"""What somebody owns, by the prices at which the vault would pay him."""

from __future__ import annotations

from tests.contracts.chain import WAD
from tests.contracts.protocol import Protocol


def wealth(p: Protocol, who: str) -> int:
    """USDC, shares at bid with those in the queue, claims, and options at their bid marks: USDC, 6 decimals."""
    shares = p.vault.balanceOf(who) + p.queue.pendingRedeemRequest(0, who)
    options = 0
    for slot in p.book.live_book():
        held = p.token.balanceOf(who, slot >> 87 << 87)
        options += held * p.pricer.marks(slot).bid // WAD // 10**12 if held else 0
    return int(p.asset.balanceOf(who) + p.vault.previewRedeem(shares) + p.queue.maxWithdraw(who) + options)
