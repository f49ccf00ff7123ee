"""Who takes part in the demo, what they bring and what they buy."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eth_account import Account

from keeper.chain.sender import Sender
from keeper.domain.units import YEAR
from keeper.operations.parameters import Parameters
from keeper.simulation.demo.path import START_VOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eth_account.signers.local import LocalAccount
    from web3 import Web3

    from keeper.simulation.driver import MarketDriver

STAYS: Final = "first depositor"
REDEEMS: Final = "second depositor"
QUEUES: Final = "third depositor"
DEPOSITS: Final = {STAYS: 500_000, REDEEMS: 300_000, QUEUES: 200_000}  # USDC
TAKER_USDC: Final = 200_000
_GAS_MONEY: Final = 100 * 10**18
_DIGITS: Final = (1, 3)  # decimals of a size
_ATM_VEGA: Final = 0.4  # of spot and sqrt(T)
_OF_BUDGET: Final = 0.95  # room for rounding


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a taker buys from the vault.

    ``expiry`` counts from the first one; the strike is so many standard deviations from spot, so that gamma fits its
    band whatever the time to expiry; ``notional`` is a share of all deposits.
    """

    underlying: int
    is_call: bool
    expiry: int
    deviations: float
    notional: float
    taker: str

    def strike(self, price: float, vol: float, seconds: int) -> float:
        """USDC, on the listing grid."""
        step = Parameters().strike_step[self.underlying]
        return round(price * math.exp(self.deviations * vol * math.sqrt(seconds / YEAR)) / step) * step

    def size(self, price: float, vol: float, part: float) -> float:
        """Units of the `part` bought: fewer in a market that is calmer than the built-in one, where gamma is larger."""
        notional = part * self._calm_notional(vol) * sum(DEPOSITS.values())
        return round(notional / price, _DIGITS[self.underlying])

    def vega(self, vol: float, seconds: int) -> float:
        """Share of deposits, as the OptionBook counts what its vega budget lets through."""
        return self._calm_notional(vol) * _ATM_VEGA * math.sqrt(seconds / YEAR)

    def _calm_notional(self, vol: float) -> float:
        return self.notional * min(vol / START_VOLS[self.underlying], 1.0)


# Calls and puts over three expiries, 95 % of NAV in all: of the crash that follows, unhedged, a fifth of NAV is lost.
PURCHASES: Final = (
    Purchase(0, True, 0, 1.5, 0.07, "first taker"),
    Purchase(0, False, 0, -1.6, 0.08, "second taker"),
    Purchase(0, False, 0, -3.2, 0.10, "first taker"),
    Purchase(0, True, 1, 1.2, 0.07, "second taker"),
    Purchase(0, False, 1, -1.3, 0.11, "first taker"),
    Purchase(0, False, 1, -2.0, 0.11, "second taker"),
    Purchase(0, False, 2, -1.2, 0.08, "first taker"),
    Purchase(1, True, 0, 1.5, 0.05, "second taker"),
    Purchase(1, False, 0, -1.6, 0.05, "first taker"),
    Purchase(1, True, 1, 1.2, 0.05, "first taker"),
    Purchase(1, False, 1, -1.3, 0.07, "second taker"),
    Purchase(1, True, 2, 1.2, 0.05, "second taker"),
    Purchase(1, False, 2, -1.2, 0.06, "first taker"),
)

EXPIRIES: Final = 1 + max(purchase.expiry for purchase in PURCHASES)
TAKERS: Final = tuple(dict.fromkeys(purchase.taker for purchase in PURCHASES))


def affordable(vols: Sequence[float], seconds: Sequence[int]) -> float:
    """The part of all purchases that the vault's vega budget lets through at once; `seconds` to each expiry."""
    wanted = sum(purchase.vega(vols[purchase.underlying], seconds[purchase.expiry]) for purchase in PURCHASES)
    return min(1.0, _OF_BUDGET * Parameters().vega_capacity / wanted)


class Cast:
    """The accounts of a demo: the same one for a name in every run, with money for gas."""

    def __init__(self, w3: Web3, market: MarketDriver) -> None:
        self._w3, self._market = w3, market
        self._accounts: dict[str, LocalAccount] = {}
        self.names: dict[str, str] = {}  # by address

    def account(self, who: str) -> LocalAccount:
        """Of a role or a person."""
        if who not in self._accounts:
            account: LocalAccount = Account.from_key(hashlib.sha256(f"keel demo: {who}".encode()).digest())
            self._market.fund_eth(account.address, _GAS_MONEY)
            self._accounts[who], self.names[account.address] = account, who
        return self._accounts[who]

    def address(self, who: str) -> str:
        """Of a role or a person."""
        return str(self.account(who).address)

    def sender(self, who: str) -> Sender:
        """Signs and sends for them."""
        return Sender(self._w3, self.account(who))
