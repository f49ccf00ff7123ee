"""What happens to options: listing, trading, claiming, and posting their surface."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from keeper.domain.series import EXPIRY_HOUR, UNDERLYINGS, Series
from keeper.domain.units import WAD, YEAR, to_wad
from keeper.errors import ConfigError, KeelError
from keeper.operations.contracts import ERC20_ABI, bind, usdc_of
from keeper.operations.vault import allow

if TYPE_CHECKING:
    from web3 import Web3
    from web3.types import TxReceipt

    from keeper.chain.deployments import Deployment
    from keeper.chain.option_quotes import SignedQuote
    from keeper.chain.sender import Sender

_NOTHING: Final = "Nothing was sent."
_MOST_WORDS: Final = 64  # of 256 nonces, as OptionBook cancels them in a call
_LARGEST_STRIKE: Final = 2**64 * 10**12


def list_series(
    sender: Sender, deployment: Deployment, underlying: int, is_call: bool, expiry: int, strike: float
) -> Series:
    """Open a series; the sender is keeper or governor.

    Raises:
        KeelError: the contract refuses: expiry or strike off the grid, no free slot, reduce-only.
    """
    book = bind(sender.w3, deployment, "OptionBook").functions
    strike_wad = to_wad(strike)
    sender.send(book.list_series(underlying, is_call, expiry, strike_wad), "list series")
    return Series.from_slot(book.series_id(underlying, is_call, expiry, strike_wad).call())


def fill(taker: Sender, deployment: Deployment, signed: SignedQuote) -> TxReceipt:
    """Trade a quote in full; a buyer's USDC is approved for the premium and no more.

    Raises:
        KeelError: the contract refuses.
    """
    book = bind(taker.w3, deployment, "OptionBook")
    quote = signed.quote
    if quote.vault_sells:
        premium = -(-quote.price * quote.size // 10**30)
        allow(taker, deployment, book.address, premium)
    call = book.functions.fill(astuple(quote), quote.size, signed.signer, signed.signature)
    return taker.send(call, "fill quote")


def write(maker: Sender, deployment: Deployment, signed: SignedQuote) -> TxReceipt:
    """Write a quote's options to the vault in full, for its premium, against collateral that is approved for exactly
    that: strike * size USDC for a put, ``size`` units of the underlying for a call.

    Raises:
        KeelError: the maker has not the collateral, or the contract refuses.
    """
    quote = signed.quote
    if quote.vault_sells:
        raise KeelError(
            "The quote is one that the vault sells: nothing is written to it.",
            kept=_NOTHING,
            todo="Fill it with `keel options fill`, or ask for one that the vault buys.",
        )
    give_collateral(maker, deployment, Series.from_slot(quote.series), quote.size)
    book = bind(maker.w3, deployment, "OptionBook").functions
    return maker.send(book.write(astuple(quote), quote.size, signed.signer, signed.signature), "write options")


def give_collateral(maker: Sender, deployment: Deployment, series: Series, size: int) -> None:
    """Approve to the ClearingHouse exactly what writing ``size`` units (WAD) takes.

    Raises:
        KeelError: the maker has less.
    """
    clearing = bind(maker.w3, deployment, "ClearingHouse")
    amount = clearing.functions.collateral_of(series.id, size).call()
    token = usdc_of(maker.w3, deployment)
    if series.is_call:
        token = maker.w3.eth.contract(clearing.functions.tokens(series.underlying).call(), abi=ERC20_ABI)
    if token.functions.balanceOf(maker.address).call() < amount:
        raise KeelError(
            f"Writing takes more collateral than {maker.address} has: {amount} units of {token.address}.",
            kept=_NOTHING,
            todo="Get it, or write less.",
        )
    if token.functions.allowance(maker.address, clearing.address).call() != amount:
        maker.send(token.functions.approve(clearing.address, amount), "approve collateral")


def take_back(maker: Sender, deployment: Deployment, series: Series) -> TxReceipt:
    """Return to the maker what his options of a settled series leave of his collateral.

    Raises:
        KeelError: it is not settled, or he has written nothing in it.
    """
    clearing = bind(maker.w3, deployment, "ClearingHouse").functions
    return maker.send(clearing.take_back(series.id), f"take back collateral of {series.label}")


def fund(sender: Sender, deployment: Deployment) -> TxReceipt:
    """Move idle USDC that is owed to option holders to where they claim it; anyone may.

    Raises:
        KeelError: nothing is owed, or there is nothing to pay it with.
    """
    vault = bind(sender.w3, deployment, "Vault").functions
    if not vault.owed().call():
        raise KeelError("The vault owes nothing to option holders that is not funded.", kept=_NOTHING)
    return sender.send(bind(sender.w3, deployment, "ClearingHouse").functions.fund(), "fund payouts")


def cancel_nonces(quoter: Sender, deployment: Deployment, first: int, last: int) -> TxReceipt:
    """Cancel all quotes that the sender has signed with nonces from ``first`` to ``last``.

    Raises:
        KeelError: they are no range that one call takes.
    """
    if not 0 <= first <= last < 2**256 or (last >> 8) - (first >> 8) >= _MOST_WORDS:
        raise KeelError(
            f"{first} to {last} is no range of nonces, or one of more than {_MOST_WORDS * 256:,}.",
            kept=_NOTHING,
            todo="Give the lower one first; cancel more in several calls.",
        )
    book = bind(quoter.w3, deployment, "OptionBook").functions
    return quoter.send(book.cancel_nonces(first, last), "cancel quotes")


def series_of(w3: Web3, deployment: Deployment, label: str) -> Series:
    """The series of a label such as ETH-27NOV26-3000-C, listed or not.

    Raises:
        KeelError: that is no label of one.
    """
    parts = label.upper().split("-")
    try:
        symbol, day, strike, kind = parts
        expiry = datetime.strptime(f"{day} {EXPIRY_HOUR:02d}+0000", "%d%b%y %H%z")
        strike_wad = int(Decimal(strike) * WAD)
        if kind not in ("C", "P") or not WAD <= strike_wad < _LARGEST_STRIKE or not Decimal(strike).is_finite():
            raise ValueError(label)
        terms = (UNDERLYINGS.index(symbol), kind == "C", int(expiry.timestamp()), strike_wad)
    except (ValueError, ArithmeticError):
        raise ConfigError(
            f"{label!r} is no series.", kept=_NOTHING, todo="Write it as in ETH-27NOV26-3000-C; see `keel status`."
        ) from None
    return Series.from_slot(bind(w3, deployment, "OptionBook").functions.series_id(*terms).call())


def claim(holder: Sender, deployment: Deployment, series: Series) -> TxReceipt:
    """Burn the holder's tokens of a settled series for what of their payout is funded: all, as a rule.

    Raises:
        KeelError: not settled, nothing held, or nothing more is funded yet.
    """
    clearing = bind(holder.w3, deployment, "ClearingHouse").functions
    return holder.send(clearing.claim(series.id), f"claim {series.label}")


@dataclass(frozen=True, slots=True)
class Smile:
    """Shape of a posted slice: rho of eSSVI, curvature as phi * sqrt(theta), carry and half-spread per year and vol."""

    rho: float = -0.2
    curvature: float = 0.6
    carry: float = 0.0
    half_spread: float = 0.02

    def shape(self, vol: float, seconds: int) -> tuple[int, int, int, int, int]:
        """theta, rho, phi, carry and half-spread of VolOracle.post for an at-the-money volatility and a tenor."""
        theta = vol * vol * seconds / YEAR
        phi = self.curvature / math.sqrt(theta)
        return to_wad(theta), to_wad(self.rho), to_wad(phi), to_wad(self.carry), to_wad(self.half_spread)


def post_vol(
    poster: Sender, deployment: Deployment, underlying: int, expiry: int, vol: float, smile: Smile | None = None
) -> TxReceipt:
    """Post the slice of an expiry with at-the-money volatility ``vol``.

    Raises:
        KeelError: out of bounds, faster than the oracle's speed limit, a new expiry too far from its neighbours, or the
            first slice of an underlying, which is the governor's.
    """
    now = poster.w3.eth.get_block("latest")["timestamp"]
    shape = (smile or Smile()).shape(vol, expiry - now)
    call = bind(poster.w3, deployment, "VolOracle").functions.post(underlying, expiry, *shape)
    return poster.send(call, "post volatility")
