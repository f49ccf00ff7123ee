"""Watches the vault during a demo and keeps what its record is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keeper.chain.rpc import Connection
from keeper.domain.snapshot import Snapshot, VenueKind
from keeper.domain.units import WAD, YEAR, from_usdc, from_wad
from keeper.market.reader import read_snapshot
from keeper.risk.valuation import value
from keeper.simulation.record import StepRecord
from keeper.venues.uniswap_v3 import pool_price

if TYPE_CHECKING:
    from keeper.chain.deployments import Deployment
    from keeper.domain.decision import Decision
    from keeper.simulation.path import MarketStep

_ETH = 0


@dataclass(slots=True)
class Cash:
    """USDC that has crossed the vault's border so far, smallest units."""

    deposits: int = 0
    redemptions: int = 0
    premiums: int = 0
    payouts: int = 0  # promised by fixings, paid or not

    @property
    def without_hedges(self) -> int:
        """What the vault would hold in cash, less what it owes, had it never hedged."""
        return self.deposits - self.redemptions + self.premiums - self.payouts


class Observer:
    """Reads the vault before and after the keeper acts on a step."""

    def __init__(self, connection: Connection, deployment: Deployment, keeper_address: str) -> None:
        self.cash = Cash()
        self.steps: list[StepRecord] = []
        self.carry = 0.0  # interest that the venues earned less what they paid, USDC
        self._connection, self._deployment, self._keeper = connection, deployment, keeper_address
        self._last: Snapshot | None = None

    def read(self, block_hash: str | None = None) -> Snapshot:
        """The vault now, or after a block."""
        return read_snapshot(self._connection, self._deployment, self._keeper, block_hash)

    def market_moved(self, block_hash: str) -> None:
        """The market's block, before the keeper's answer: what the venues gained beyond the price is interest."""
        now = self.read(block_hash)
        if self._last is not None:
            for was, venue in zip(self._last.venues, now.venues, strict=True):
                before, after = self._last.assessment.spot[_ETH], now.assessment.spot[_ETH]
                moved = was.state.exposure * (after - before) // WAD
                self.carry += from_wad(venue.state.equity - was.state.equity - moved)

    def keeper_acted(self, market: MarketStep, decision: Decision) -> Snapshot:
        """After the keeper's answer: one row of the record."""
        snapshot = self.read()
        self._last = snapshot
        self.steps.append(self._row(snapshot, market, decision))
        return snapshot

    def _row(self, snapshot: Snapshot, market: MarketStep, decision: Decision) -> StepRecord:
        chain, valuation = snapshot.assessment, value(snapshot)
        nav_bid = from_wad(chain.nav_bid)
        spot = from_wad(chain.spot[_ETH])
        units = {
            venue.kind: from_wad(venue.state.exposure) for venue in snapshot.venues if venue.state.underlying == _ETH
        }
        options = valuation.options[_ETH]
        live = {position.series.expiry for position in snapshot.book}
        posted = [
            math.sqrt(from_wad(each.theta) * YEAR / (expiry - each.posted_at))
            for _, expiry, each in snapshot.surface.slices
            if expiry in live
        ]
        limits = snapshot.limits
        supply = snapshot.vault.total_supply
        return StepRecord(
            block=snapshot.block_number,
            timestamp=snapshot.timestamp,
            price=spot,
            pool_price=pool_price(snapshot.venues[0].pools[0]),
            market_vol=market.vols[_ETH],
            posted_vol=sum(posted) / len(posted) if posted else market.vols[_ETH],
            base_fee_gwei=snapshot.base_fee_wei / 1e9,
            nav_bid=nav_bid,
            nav_mid=from_wad(chain.nav_mid),
            nav_unhedged=from_usdc(self.cash.without_hedges) + options.mid,
            share_price=nav_bid / from_wad(supply) if supply else 1.0,
            initial_margin=from_wad(chain.initial),
            maintenance_margin=from_wad(chain.maintenance),
            gap_headroom=from_wad(chain.gap_headroom),
            option_delta=options.delta,
            spot_units=units.get(VenueKind.UNISWAP_V3_SPOT, 0.0),
            short_units=units.get(VenueKind.AAVE_V3_SHORT, 0.0),
            delta=from_wad(chain.delta[_ETH]),
            band=from_wad(limits.delta_target) * nav_bid / spot,
            gamma_use=abs(options.gamma) * spot * spot / 100 / (from_wad(limits.gamma_band) * nav_bid),
            vega_use=abs(options.vega) / (from_wad(limits.vega_band) * nav_bid),
            idle=from_usdc(snapshot.vault.idle),
            owed=from_usdc(snapshot.vault.owed),
            mode=snapshot.vault.mode.value,
            action=decision.action.value,
            reason=decision.reason,
        )
