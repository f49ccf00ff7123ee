"""What holders of shares do, at once and through the queue."""

from typing import Any

from tests.contracts.chain import WAD
from tests.contracts.protocol.deployment import Deployment
from tests.contracts.protocol.parameters import Thresholds


class Shares(Deployment):
    """Depositors, and whoever settles the queue."""

    def fund(self, who: str, amount: int, spender: Any = None) -> None:
        """The asset for `who`, approved to the Vault or to another spender."""
        if self.asset is self.market.usdc:
            self.market.mint(who, amount)
        else:
            self.asset.mint(who, amount, sender=self.governor)
        self.asset.approve(self.vault if spender is None else spender, 2**256 - 1, sender=who)

    def deposit(self, amount: int, who: str | None = None) -> int:
        """Fund and deposit. Returns the shares."""
        who = who or self.depositor
        self.fund(who, amount)
        return int(self.vault.deposit(amount, who, sender=who))

    def request(self, shares: int, who: str | None = None) -> None:
        """Approve and queue shares for redemption."""
        who = who or self.depositor
        self.vault.approve(self.queue, shares, sender=who)
        self.queue.requestRedeem(shares, who, who, sender=who)

    def close_epoch(self, price: float | None = None) -> int:
        """Go a minute past the close of the present epoch, with new rounds. Returns the epoch."""
        epoch = int(self.queue.epoch())
        self.market.pass_time(self.queue.epoch_closes_at(epoch) + 60 - self.market.now)
        self.market.submit(price or self.market.feed.latestAnswer() / 10**8)
        self.market.submit_usdc()
        return epoch

    def settle_epoch(self) -> tuple[int, int]:
        """Settle as a stranger. Returns the shares paid and the USDC."""
        shares, assets = self.queue.settle_epoch(sender=self.stranger)
        return int(shares), int(assets)

    def open_gates(self, **thresholds: int) -> None:
        """No limits of flows and utilisation, for tests of shares themselves; `thresholds` replace others."""
        ample = dict.fromkeys(("deposit_capacity", "deposit_per_day", "exit_capacity", "exit_per_day"), 1_000 * WAD)
        standard = Thresholds(min_deposit=100 * self.unit, max_utilisation=WAD, **ample)
        self.breaker.set_thresholds(standard._replace(**thresholds), sender=self.governor)
