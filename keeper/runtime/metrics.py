"""What Prometheus reads from a keeper. deploy/prometheus/alerts.yml and deploy/grafana name these; a test compares."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from keeper.domain.decision import Action
from keeper.domain.safety import Order, Vitals
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Mode, Snapshot
from keeper.domain.units import MAX_UINT256, USDC, WAD
from keeper.execution.records import Result
from keeper.runtime.alerts import Severity


class Metrics:
    """One keeper's, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.block = Gauge("keel_block_number", "Newest block that was dealt with", registry=r)
        self.block_time = Gauge("keel_block_timestamp_seconds", "Its time, chain's", registry=r)
        self.polled = Gauge("keel_polled_timestamp_seconds", "When the loop last came round", registry=r)
        self.seconds = Histogram(
            "keel_block_seconds",
            "From seeing a block to being done with it",
            registry=r,
            buckets=(0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0),
        )
        self.decisions = Counter("keel_decisions", "Hedging decisions", ["action"], registry=r)
        self.transactions = Counter("keel_transactions", "Ends of calls", ["result"], registry=r)
        self.errors = Counter("keel_errors", "Unexpected errors and failed transactions", registry=r)
        self.node_errors = Counter("keel_node_errors", "Blocks or polls that a node did not answer", registry=r)
        self.reorgs = Counter("keel_reorgs", "Blocks that were dealt with and are not canonical any more", registry=r)
        self.head_age = Gauge("keel_head_age_seconds", "Of the newest block, by this machine's clock", registry=r)
        self.leader = Gauge("keel_leader", "1 while this machine acts, 0 while it stands by", registry=r)
        self.in_flight = Gauge("keel_in_flight_seconds", "Age of the oldest transaction without an end", registry=r)

        self.nav = Gauge("keel_nav_usdc", "Net asset value", ["side"], registry=r)
        self.share_price = Gauge("keel_share_price_usdc", "At mid, net of fees that are owed", registry=r)
        self.margin = Gauge("keel_margin_usdc", "Requirement", ["kind"], registry=r)
        self.margin_use = Gauge("keel_margin_use_ratio", "Initial margin by NAV at bid", registry=r)
        self.gap_headroom = Gauge("keel_gap_headroom_usdc", "Equity after the worst move of 50 %", registry=r)
        self.idle = Gauge("keel_idle_usdc", "Idle cash", registry=r)
        self.price = Gauge("keel_price_usdc", "Oracle price", ["underlying"], registry=r)
        self.delta = Gauge("keel_delta_units", "Net delta", ["underlying"], registry=r)
        self.band = Gauge("keel_delta_band_units", "Target band, either way", ["underlying"], registry=r)
        self.gamma = Gauge("keel_gamma", "Units per USDC", ["underlying"], registry=r)
        self.vega = Gauge("keel_vega_usdc", "Per 1.0 of volatility", ["underlying"], registry=r)
        self.exposure = Gauge("keel_venue_exposure_units", "Of a hedge", ["venue", "underlying"], registry=r)
        self.health = Gauge("keel_venue_health_ratio", "Of a levered hedge", ["venue", "underlying"], registry=r)
        self.outside = Gauge("keel_delta_outside_seconds", "Since when a delta is outside its band", registry=r)
        self.budget = Gauge("keel_budget_nav_ratio", "What the contracts still allow", ["budget"], registry=r)
        self.loss_budget = Gauge("keel_loss_budget_ratio", "Left of the loss bucket, of its capacity", registry=r)
        self.reduce_only = Gauge("keel_reduce_only", "1 while the vault takes no new business", registry=r)
        self.doubt = Gauge("keel_oracle_doubt", "1 while an oracle is in doubt", registry=r)
        self.unreadable = Gauge("keel_chain_unreadable", "1 while the vault cannot be read as a whole", registry=r)
        self.blind = Gauge("keel_kill_switch_blind", "1 while the kill switch cannot compute", registry=r)
        self.mismatch = Gauge("keel_valuation_mismatch", "Keeper against chain, per unit of notional", registry=r)
        self.drawdown = Gauge("keel_drawdown_ratio", "Of the share price at bid from its highest", registry=r)
        self.ether = Gauge("keel_keeper_ether", "The keeper's", registry=r)
        self.gas_a_day = Gauge("keel_gas_day_ether", "That left the keeper's account in 24 hours", registry=r)
        self.surface_age = Gauge(
            "keel_surface_age_seconds", "Of the oldest slice of a listed expiry", ["underlying"], registry=r
        )
        self.base_fee = Gauge("keel_base_fee_gwei", "Of the newest block", registry=r)
        self.orders = Gauge("keel_order_stands", "1 while such an order stands", ["order"], registry=r)
        self.alerts = Counter("keel_alerts", "Messages", ["severity"], registry=r)
        self.undelivered = Counter("keel_alerts_undelivered", "Messages that a channel refused", registry=r)
        self.quote_requests = Counter("keel_quote_requests", "Requests for quotes", ["answer"], registry=r)
        self.quote_refusals = Counter("keel_quote_refusals", "Why there was no quote", ["reason"], registry=r)
        self.quote_seconds = Histogram(
            "keel_quote_seconds",
            "From a request to its answer",
            registry=r,
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0),
        )
        self.quotes_open = Gauge("keel_quotes_open", "Signed, and neither filled nor over", registry=r)
        self.offers_open = Gauge("keel_offers_open", "Of makers, neither taken nor over", registry=r)
        self.offers_taken = Counter("keel_offers_taken", "Worth taking: signed or not", ["answer"], registry=r)
        for answer in ("signed", "refused"):
            self.offers_taken.labels(answer)
        # From 0 on: a counter that first shows at 1 has not increased, as Prometheus sees it.
        for counter, labels in ((self.decisions, Action), (self.transactions, Result), (self.alerts, Severity)):
            for label in labels:
                counter.labels(label)
        self.block.set(math.nan)
        self.block_time.set(math.nan)
        self.head_age.set(math.nan)
        self._forget()

    def see_snapshot(self, snapshot: Snapshot) -> None:
        """The vault after a block."""
        chain, vault = snapshot.assessment, snapshot.vault
        for side, wad in (("bid", chain.nav_bid), ("mid", chain.nav_mid), ("ask", chain.nav_ask)):
            self.nav.labels(side).set(wad / WAD)
        self.share_price.set((chain.nav_mid / WAD + 1 / USDC) / (vault.effective_supply + 10**12) * WAD)
        self.margin.labels("maintenance").set(chain.maintenance / WAD)
        self.margin.labels("initial").set(chain.initial / WAD)
        self.margin_use.set(chain.initial / chain.nav_bid if chain.nav_bid > 0 else float("inf"))
        self.gap_headroom.set(chain.gap_headroom / WAD)
        self.idle.set(vault.idle / USDC)
        for u in range(len(snapshot.readings)):
            symbol, price = UNDERLYINGS[u], chain.spot[u] / WAD
            band = max(chain.nav_bid, 0) / WAD * (snapshot.limits.delta_target / WAD) / price if price else 0.0
            self.price.labels(symbol).set(price)
            self.delta.labels(symbol).set(chain.delta[u] / WAD)
            self.band.labels(symbol).set(band)
            self.gamma.labels(symbol).set(chain.gamma[u] / WAD)
            self.vega.labels(symbol).set(chain.vega[u] / WAD)
        listed = {(one.series.underlying, one.series.expiry) for one in snapshot.book}
        ages = dict.fromkeys(range(len(snapshot.readings)), 0)
        for u, expiry, posted in snapshot.surface.slices:
            if (u, expiry) in listed:
                ages[u] = max(ages[u], snapshot.timestamp - posted.posted_at)
        for u, age in ages.items():
            self.surface_age.labels(UNDERLYINGS[u]).set(age)
        for venue in snapshot.venues:
            labels = (str(venue.kind), UNDERLYINGS[venue.state.underlying])
            self.exposure.labels(*labels).set(venue.state.exposure / WAD)
            if venue.state.health != MAX_UINT256:
                self.health.labels(*labels).set(venue.state.health / WAD)
        for name in ("loss", "turnover", "hedging", "emergency"):
            self.budget.labels(name).set(getattr(vault, f"{name}_budget") / WAD)
        self.loss_budget.set(vault.loss_budget / vault.budgets.loss_capacity)
        self.reduce_only.set(vault.mode is not Mode.NORMAL)
        self.doubt.set(chain.doubt)
        self.ether.set(snapshot.keeper_balance_wei / WAD)
        self.base_fee.set(snapshot.base_fee_wei / 1e9)

    def stand_by(self) -> None:
        """What was seen of the vault is out of date from here on."""
        self.leader.set(0)
        self._forget()

    def _forget(self) -> None:
        """No number of the vault rather than a wrong one: 0 ether would be an alert."""
        for labelled in (
            *(self.nav, self.margin, self.price, self.delta, self.band, self.gamma, self.vega),
            *(self.exposure, self.health, self.budget, self.surface_age),
        ):
            labelled.clear()
        for plain in (
            *(self.share_price, self.margin_use, self.gap_headroom, self.idle, self.outside, self.in_flight),
            *(self.loss_budget, self.reduce_only, self.doubt, self.unreadable, self.mismatch, self.drawdown),
            *(self.ether, self.gas_a_day, self.base_fee, self.blind),
        ):
            plain.set(math.nan)
        for order in Order:
            self.orders.labels(order).set(0)

    def see_vitals(self, vitals: Vitals) -> None:
        """What the kill switch looked at."""
        self.mismatch.set(vitals.mismatch)
        self.gas_a_day.set(vitals.gas_a_day)
        if vitals.drawdown is not None:
            self.drawdown.set(vitals.drawdown)
