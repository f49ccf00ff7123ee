"""A taker with an ERC-1155 hook, which gets control in the middle of a fill."""

from typing import Any

from tests.contracts.chain import WAD
from tests.contracts.protocol import Protocol, fault


def hostile_taker(p: Protocol, usdc: int, deposited: int) -> Any:
    """With so many base units of USDC, of which a part is deposited; the book and the Vault may take the rest."""
    receiver = fault("HostileReceiver")
    for spender in (p.book, p.vault):
        p.market.usdc.approve(spender, 2**256 - 1, sender=receiver.address)
    p.market.mint(receiver.address, usdc)
    p.vault.deposit(deposited, receiver, sender=receiver.address)
    return receiver


def buy(p: Protocol, receiver: Any, series: int, size: int = WAD, target: Any = None, data: bytes = b"") -> None:
    """Fill a quote as the receiver, whose hook then calls `target`."""
    quote = p.quote(series, size=size)
    if target is not None:
        receiver.plan(target, data)
    receiver.perform(p.book, p.book.fill.prepare_calldata(quote, size, p.quoter.address, p.sign(quote)))
