"""The keeper's trades, and what anyone may do in its stead: `de_risk` and the auction."""

from typing import NamedTuple

from tests.contracts.chain import WAD
from tests.contracts.protocol.deployment import Deployment
from tests.contracts.protocol.parameters import BTC, BTC_SHORT, BTC_SPOT, ETH, LOOSE, Budgets, VegaBudgets, wad

DECISION = b"\x11" * 32


class Leg(NamedTuple):
    venue: int
    pool: int
    delta_change: int
    limit_price: int


class Hedges(Deployment):
    """The keeper, and strangers when it fails."""

    def leg(self, venue: int, units: float, limit: float | None = None, pool: int = 0) -> Leg:
        """Buy (+) or sell (-) `units`, by default within 0.5 % of the oracle price."""
        is_btc = self.has_btc and venue in (BTC_SPOT, BTC_SHORT)
        oracle_price = self.price_oracle.read(BTC if is_btc else ETH).price / WAD
        price = limit if limit is not None else oracle_price * (1.005 if units > 0 else 0.995)
        return Leg(venue, pool, wad(units), wad(price))

    def rebalance(self, *legs: Leg, sequence: int | None = None, deadline: int | None = None) -> None:
        """Trade the legs as the keeper."""
        self.hedger.rebalance(
            list(legs),
            self.hedger.sequence() if sequence is None else sequence,
            self.market.now + 60 if deadline is None else deadline,
            DECISION,
            sender=self.keeper,
        )

    def last(self, seconds: int) -> None:
        """Let a breach last: record it, and confirm it every nine minutes until `seconds` have passed."""
        self.hedger.record_breach(sender=self.stranger)
        while seconds > 0:
            step = min(seconds, 540)
            self.market.wait(step)
            self.hedger.record_breach(sender=self.stranger)
            seconds -= step

    def de_risk(self, *legs: Leg, who: str | None = None) -> None:
        """Trade the legs as a stranger."""
        self.hedger.de_risk(list(legs), sender=who or self.stranger)

    def bid(
        self, series: int, size: int, *legs: Leg, writes: bool = False, least: int = 0, who: str | None = None
    ) -> int:
        """Sell `size` back to the vault in the auction as the taker. Returns the USDC paid."""
        return int(self.auction.bid(series, size, writes, list(legs), least, sender=who or self.taker))

    def loosen(self, **budgets: int) -> None:
        """No bands and no ration of turnover and vega, for tests of the trade itself; `budgets` replace others."""
        self.risk.set_limits(LOOSE, sender=self.governor)
        self.book.set_budgets(VegaBudgets(vega_capacity=1_000 * WAD), sender=self.governor)
        ample = Budgets(turnover_capacity=1_000 * WAD, hedging_capacity=1_000 * WAD)
        self.hedger.set_budgets(ample._replace(**budgets), sender=self.governor)
