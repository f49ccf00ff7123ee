"""The redemption queue as its events tell it: who asked when, which epoch filled what share at what price, who claimed.

The contract keeps no list of requests; this does, and shares out each settlement as the contract does: pro rata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keeper.domain.units import from_usdc, from_wad
from keeper.simulation.demo.record import EpochFill, RedemptionRecord


@dataclass(slots=True)
class QueueBook:
    """Requests in the order in which they came; ``waiting`` are the shares of each that are not filled."""

    requests: list[RedemptionRecord] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    controllers: set[str] = field(default_factory=set)  # addresses that ever had a request
    paid: int = 0  # by settled epochs, USDC, smallest units
    claimed: int = 0  # of it

    def take(self, event: str, timestamp: int, args: Mapping[str, Any], called: Callable[[str], str]) -> None:
        """Make an event of the queue's part of the book."""
        match event:
            case "RedeemRequest":
                self.controllers.add(args["controller"])
                shares = from_wad(args["shares"])
                self.requests.append(RedemptionRecord(called(args["controller"]), "queued", timestamp, shares))
                self.waiting.append(shares)
            case "RedeemRequestCancelled":
                self._cancel(called(args["controller"]), from_wad(args["shares"]))
            case "EpochSettled":
                self._settle(timestamp, args)
            case "Withdraw":
                self.claimed += args["assets"]
                self._claim(called(args["owner"]), timestamp, from_wad(args["shares"]), from_usdc(args["assets"]))
            case _:
                pass

    def _cancel(self, who: str, shares: float) -> None:
        """Only what no epoch has taken in can be cancelled: the newest first."""
        for i in reversed(range(len(self.requests))):
            request = self.requests[i]
            if request.who == who and request.epoch is None and shares > 0:
                back = min(shares, self.waiting[i])
                self.waiting[i] -= back
                shares -= back
                self.requests[i] = replace(request, note=f"{back:,.2f} shares taken back")

    def _settle(self, timestamp: int, args: Mapping[str, Any]) -> None:
        self.paid += args["assets"]
        pool = args["shares"] + args["remaining"]
        part = args["shares"] / pool if pool else 0.0
        price = from_usdc(args["assets"]) / from_wad(args["shares"]) if args["shares"] else 0.0
        joining = from_wad(args["joined"])
        for i, request in enumerate(self.requests):
            if self.waiting[i] <= 0 or (request.epoch is None and joining <= 0):
                continue
            if request.epoch is None:
                joining -= self.waiting[i]
                request = replace(request, epoch=args["epoch"])
            paid = EpochFill(args["epoch"], timestamp, self.waiting[i] * part, price, part)
            self.waiting[i] -= paid.shares
            self.requests[i] = replace(request, fills=(*request.fills, paid))

    def _claim(self, who: str, timestamp: int, shares: float, usdc: float) -> None:
        price = usdc / shares if shares else 0.0
        for i, request in enumerate(self.requests):
            filled = sum(fill.shares for fill in request.fills) - request.claimed_shares
            if request.who == who and filled > 0 and shares > 0:
                taken = min(filled, shares)
                shares -= taken
                self.requests[i] = replace(
                    request,
                    claimed_at=timestamp,
                    claimed_shares=request.claimed_shares + taken,
                    usdc=request.usdc + taken * price,
                )
