"""Watches the vault during a demo: one row per step, with the profit and loss since the row before by source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keeper.chain.rpc import Connection
from keeper.domain.decision import Action, Decision
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot, VenueKind
from keeper.domain.units import WAD, YEAR, from_usdc, from_wad
from keeper.market.reader import read_snapshot
from keeper.operations.contracts import bind
from keeper.risk.attribution import Attribution, CashMoved, HedgingError, explain, hedging_error
from keeper.risk.valuation import value
from keeper.simulation.demo.chronicle import Cash, Chronicle, Happening, Logs
from keeper.simulation.demo.record import CashFlow, StepRecord, UnderlyingStep
from keeper.venues.uniswap_v3 import pool_price

if TYPE_CHECKING:
    from keeper.chain.deployments import Deployment
    from keeper.domain.valuation import Valuation
    from keeper.simulation.demo.accounting import Ledger

GAP_DEVIATIONS = 3.0  # a move within a step that is larger than these at the posted volatility is a gap
_LIMITS = {"loss bucket": "loss budget", "free cash": "cash", "initial margin": "margin", "gap solvency": "margin"}


@dataclass(slots=True)
class Watched:
    """What an observer has seen. Plain data, so that another observer can go on with it.

    ``snapshot`` is the last one it took in, ``trades`` how many of the ledger's; ``pnl`` and ``error`` are per
    underlying, since the last row.
    """

    snapshot: Snapshot
    chronicle: Chronicle = field(default_factory=Chronicle)
    steps: list[StepRecord] = field(default_factory=list)
    trades: int = 0
    pnl: list[Attribution] = field(default_factory=lambda: [Attribution() for _ in UNDERLYINGS])
    error: list[HedgingError] = field(default_factory=lambda: [HedgingError() for _ in UNDERLYINGS])


def _begun(snapshot: Snapshot) -> Watched:
    """What a new vault has is its first deposit, whose shares are nobody's."""
    usdc, shares = snapshot.vault.idle, snapshot.vault.total_supply
    first = CashFlow(snapshot.timestamp, "nobody", from_usdc(usdc), from_wad(shares), "seeded when it was deployed")
    return Watched(snapshot, Chronicle(cash=Cash(deposits=usdc), flows=[first]))


class Observer:
    """Reads the vault before and after the keeper acts on a step.

    Deposits, redemptions, fills and settlements are read from the chain: nobody has to tell it. ``ledger`` knows the
    rebalances, ``names`` what people are called, by address; both may grow. To go on with what another observer saw,
    give it that one's ``watched``.
    """

    def __init__(
        self,
        connection: Connection,
        deployment: Deployment,
        keeper_address: str,
        ledger: Ledger,
        names: Mapping[str, str],
        watched: Watched | None = None,
    ) -> None:
        self._connection, self._deployment, self._keeper = connection, deployment, keeper_address
        self._ledger, self._names = ledger, names
        self._logs = Logs(connection.w3, deployment)
        self._contracts: dict[str, str] = {contract.address: name for name, contract in deployment.contracts.items()}
        self._vault = bind(connection.w3, deployment, "Vault").functions
        self.watched = watched or _begun(self.read())
        self._valuation = value(self.watched.snapshot)

    @property
    def chronicle(self) -> Chronicle:
        """What happened so far."""
        return self.watched.chronicle

    @property
    def steps(self) -> list[StepRecord]:
        """The rows so far."""
        return self.watched.steps

    def read(self, block_hash: str | None = None) -> Snapshot:
        """The vault now, or after a block."""
        return read_snapshot(self._connection, self._deployment, self._keeper, block_hash)

    def look(self, block_hash: str | None = None, note: str = "") -> Snapshot:
        """Take in everything up to a block, or up to now. ``note`` goes to who came or went meanwhile.

        To be called whenever prices are about to move or have moved: between two calls they move once at most.
        """
        newest = block_hash or self._connection.header().hash
        # Where the keeper only held there is no new block: nothing to read again.
        last = self.watched.snapshot
        snapshot = last if newest == last.block_hash else self.read(newest)
        happened = self._logs.between(self.watched.snapshot.block_number + 1, snapshot.block_number)
        for block in dict.fromkeys(one.block_hash for one in happened if one.name == "Filled"):
            # A fill's edge is measured against the marks of its own block.
            at = self.read(block)
            self._advance(at, [one for one in happened if one.block <= at.block_number], note)
            happened = [one for one in happened if one.block > at.block_number]
        self._advance(snapshot, happened, note)
        return snapshot

    def market_moved(self, block_hash: str) -> None:
        """The market's block, before the keeper's answer."""
        self.look(block_hash)

    def keeper_acted(self, vols: Sequence[float], decision: Decision) -> Snapshot:
        """After the keeper's answer: one row of the record. ``vols`` are the market's, per underlying."""
        snapshot = self.look()
        watched = self.watched
        watched.steps.append(self._row(snapshot, vols, decision))
        watched.pnl = [Attribution() for _ in UNDERLYINGS]
        watched.error = [HedgingError() for _ in UNDERLYINGS]
        return snapshot

    def _advance(self, snapshot: Snapshot, happened: Sequence[Happening], note: str) -> None:
        watched = self.watched
        was, before, valuation = watched.snapshot, self._valuation, value(snapshot)
        cash = watched.chronicle.cash
        premiums, payouts, lent = list(cash.premiums), list(cash.payouts), cash.lent
        for one in happened:
            watched.chronicle.take(one, before, valuation, self._called, note)
        trades = [trade for trade in self._ledger.trades[watched.trades :] if trade.block <= snapshot.block_number]
        watched.trades += len(trades)
        moved = [
            CashMoved(
                premiums=from_usdc(cash.premiums[u] - premiums[u]),
                payouts=-from_usdc(cash.payouts[u] - payouts[u]),
                # The lending venue counts with the first underlying's: its interest is carry there.
                hedges=sum(trade.hedge_usdc[u] for trade in trades) + (from_usdc(lent - cash.lent) if u == 0 else 0.0),
                costs=-sum(pool.total for t in trades for pool in t.pools if pool.symbol == UNDERLYINGS[u]),
            )
            for u in range(len(snapshot.readings))
        ]
        for u, part in enumerate(explain(before, valuation, moved)):
            watched.pnl[u] += part
            gap = _gap(was, u, snapshot.timestamp)
            watched.error[u] += hedging_error(before, valuation, u, part, _band(was, u), gap)
        watched.snapshot, self._valuation = snapshot, valuation

    def _called(self, address: str) -> str:
        """A person's name, a contract's, or the address."""
        return self._names.get(address) or self._contracts.get(address) or address

    def _share_price(self, snapshot: Snapshot) -> float:
        """What a share would be paid now, fees owed deducted, USDC."""
        many = 10**24
        paid: int = self._vault.previewRedeem(many).call(block_identifier=snapshot.block_number)
        return from_usdc(paid) * WAD / many

    def _row(self, snapshot: Snapshot, vols: Sequence[float], decision: Decision) -> StepRecord:
        chain, valuation = snapshot.assessment, value(snapshot)
        nav_bid = from_wad(chain.nav_bid)
        cash = self.chronicle.cash
        return StepRecord(
            block=snapshot.block_number,
            timestamp=snapshot.timestamp,
            base_fee_gwei=snapshot.base_fee_wei / 1e9,
            nav_bid=nav_bid,
            nav_mid=from_wad(chain.nav_mid),
            nav_unhedged=from_usdc(cash.without_hedges) + sum(options.mid for options in valuation.options),
            deposited=from_usdc(cash.deposited),
            share_price=self._share_price(snapshot),
            initial_margin=from_wad(chain.initial),
            maintenance_margin=from_wad(chain.maintenance),
            gap_headroom=from_wad(chain.gap_headroom),
            idle=from_usdc(snapshot.vault.idle),
            owed=from_usdc(snapshot.vault.owed),
            mode=snapshot.vault.mode.value,
            doubt=chain.doubt,
            action=decision.action.value,
            reason=decision.reason,
            underlyings=tuple(
                self._underlying(snapshot, valuation, u, vols[u], decision) for u in range(len(snapshot.readings))
            ),
        )

    def _underlying(
        self, snapshot: Snapshot, valuation: Valuation, u: int, vol: float, decision: Decision
    ) -> UnderlyingStep:
        nav_bid, limits = from_wad(snapshot.assessment.nav_bid), snapshot.limits
        options, spot = valuation.options[u], valuation.options[u].spot
        venues = [venue for venue in snapshot.venues if venue.state.underlying == u]
        units = {venue.kind: from_wad(venue.state.exposure) for venue in venues}
        pools = [pool for venue in venues for pool in venue.pools]
        delta, band = from_wad(snapshot.assessment.delta[u]), _band(snapshot, u)
        return UnderlyingStep(
            symbol=UNDERLYINGS[u],
            price=spot,
            pool_price=pool_price(pools[0]) if pools else spot,
            market_vol=vol,
            posted_vol=_posted_vol(snapshot, u) or vol,
            options=options.mid,
            option_delta=options.delta,
            option_gamma=options.gamma,
            option_vega=options.vega,
            option_theta=options.theta,
            spot_units=units.get(VenueKind.UNISWAP_V3_SPOT, 0.0),
            short_units=units.get(VenueKind.AAVE_V3_SHORT, 0.0),
            delta=delta,
            band=band,
            gamma_use=abs(options.gamma) * spot * spot / 100 / (from_wad(limits.gamma_band) * nav_bid),
            vega_use=abs(options.vega) / (from_wad(limits.vega_band) * nav_bid),
            pnl=self.watched.pnl[u],
            error=self.watched.error[u],
            outside_because="" if abs(delta) <= band * (1 + 1e-9) else why_outside(snapshot, decision),
        )


def why_outside(snapshot: Snapshot, decision: Decision) -> str:
    """What kept net delta outside its band after a decision: loss budget, cash, margin, another limit, or none."""
    chain, vault = snapshot.assessment, snapshot.vault
    if decision.action is Action.REFUSE:
        return "keeper refused"
    if decision.action is Action.TRADE:
        for name, _ in sorted(decision.binding, key=lambda bound: -bound[1]):
            if name in _LIMITS:
                return _LIMITS[name]
            if name in ("gross leverage", "position", "turnover"):
                return "other limits"
        return "moved after the rebalance"
    if vault.loss_budget * 10 < vault.budgets.loss_capacity:
        return "loss budget"
    if chain.nav_bid < chain.initial or chain.gap_headroom < 0:
        return "margin"
    return "no trade worth its cost"


def _band(snapshot: Snapshot, u: int) -> float:
    """Target band of net delta, units."""
    chain = snapshot.assessment
    return snapshot.limits.delta_target * max(chain.nav_bid, 0) / chain.spot[u] / WAD


def _gap(snapshot: Snapshot, u: int, until: int) -> float:
    """Relative move that is a gap for the time from a snapshot to another's."""
    vol = _posted_vol(snapshot, u)
    return GAP_DEVIATIONS * vol * math.sqrt((until - snapshot.timestamp) / YEAR) if vol else math.inf


def _posted_vol(snapshot: Snapshot, u: int) -> float | None:
    """At the money, the mean over the live expiries; None without one."""
    live = {position.series.expiry for position in snapshot.book if position.series.underlying == u}
    posted = [
        math.sqrt(from_wad(each.theta) * YEAR / (expiry - each.posted_at))
        for underlying, expiry, each in snapshot.surface.slices
        if underlying == u and expiry in live
    ]
    return sum(posted) / len(posted) if posted else None
