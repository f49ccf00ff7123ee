"""What differs between the underlyings that one vault trades."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.contracts.chain import WAD
from tests.contracts.protocol import BTC, BTC_SHORT, BTC_SPOT, ETH, SHORT, SPOT, Protocol


@dataclass(frozen=True, eq=False)
class Underlying:
    """``spot`` and ``short`` are the venues, ``spot_index`` and ``short_index`` their indices in the vault."""

    index: int
    token: str  # as the books name it
    coin: Any  # its contract
    mint: Callable[[str, int], None]  # for an account, so many base units
    piece: int  # base units, some 3,000 USD
    feed: Any
    pool: Any
    spot: Any
    short: Any
    spot_index: int
    short_index: int
    step: int  # USD between two strikes
    floor: float  # USD; between the two lies liquidity
    ceiling: float
    min_fill: int  # WAD, some 300 to 450 USD: what people trade are multiples of it

    @property
    def price(self) -> float:
        """USD, as the feed says."""
        return float(self.feed.latestAnswer()) / 10**8

    def moved(self, part: float) -> float:
        """The price after it has moved by this part, within the bounds."""
        return min(max(self.price * (1 + part), self.floor), self.ceiling)

    def held(self) -> int:
        """Units in the spot venue, WAD."""
        return int(self.spot.state(WAD).exposure)

    def owed(self) -> int:
        """Units that the short venue owes, WAD."""
        return -int(self.short.state(WAD).exposure)


def underlyings_of(p: Protocol) -> tuple[Underlying, Underlying]:
    """In the order of their indices."""
    m = p.market
    eth = Underlying(
        index=ETH,
        token="weth",
        coin=m.weth,
        mint=m.wrap,
        piece=WAD,
        feed=m.feed,
        pool=m.pool,
        spot=p.spot,
        short=p.short,
        spot_index=SPOT,
        short_index=SHORT,
        step=50,
        floor=2_000.0,
        ceiling=4_500.0,
        min_fill=WAD // 10,
    )
    btc = Underlying(
        index=BTC,
        token="wbtc",
        coin=m.wbtc,
        mint=m.mint_wbtc,
        piece=3 * 10**6,
        feed=m.btc_feed,
        pool=m.btc_pool,
        spot=p.btc_spot,
        short=p.btc_short,
        spot_index=BTC_SPOT,
        short_index=BTC_SHORT,
        step=1_000,
        floor=60_000.0,
        ceiling=135_000.0,
        min_fill=WAD // 200,
    )
    return eth, btc
