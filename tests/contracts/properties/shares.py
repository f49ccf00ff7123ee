"""What the properties are stated in: amounts to draw, and the exact price of a share as the Vault's header has it."""

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tests.contracts.protocol import Protocol

OPERATIONS = ("deposit", "mint", "withdraw", "redeem")


def amounts(protocol: Protocol) -> st.SearchStrategy[int]:
    """Assets from the minimum deposit to half of the vault, odd ones included."""
    return st.integers(100 * protocol.unit, 500_000 * protocol.unit)


def sizes() -> st.SearchStrategy[int]:
    """The same in shares; the price is near one."""
    return st.integers(110 * 10**18, 500_000 * 10**18)


def price(protocol: Protocol, side: str) -> Fraction:
    """Assets per share that calls trade at, in base units of both: `bid` and `mid` round NAV down, `ask` up."""
    nav = getattr(protocol.vault.assessment(), f"nav_{side}")
    scale = 10**18 // protocol.unit
    units = -(-nav // scale) if side == "ask" else max(nav, 0) // scale
    return Fraction(units + 1, protocol.vault.effective_supply() + scale)


def act(protocol: Protocol, operation: str, amount: int, who: str) -> int:
    """Deposit, mint, withdraw or redeem for oneself. Returns what the call returns."""
    call: Any = getattr(protocol.vault, operation)
    if operation in ("deposit", "mint"):
        return int(call(amount, who, sender=who))
    return int(call(amount, who, who, sender=who))


def preview(protocol: Protocol, operation: str, amount: int, caller: str) -> int:
    return int(getattr(protocol.vault, f"preview{operation.capitalize()}")(amount, sender=caller))


def holdings(protocol: Protocol, who: str) -> tuple[int, int]:
    """Assets and shares of an account."""
    return int(protocol.asset.balanceOf(who)), int(protocol.vault.balanceOf(who))
