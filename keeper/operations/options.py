"""What happens to options: listing, quoting, trading, claiming, and posting their surface."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from keeper.domain.series import Series
from keeper.domain.units import SIZE_UNIT, WAD, YEAR, to_wad
from keeper.operations.contracts import bind
from keeper.operations.vault import allow

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3
    from web3.types import TxReceipt

    from keeper.chain.deployments import Deployment
    from keeper.chain.sender import Sender

ANYONE = "0x0000000000000000000000000000000000000000"
_QUOTE_LIFE = 45  # seconds, of the 60 that the contract allows: the taker's clock may be ahead
_SPOT_TOLERANCE = 25 * 10**14


@dataclass(frozen=True, slots=True)
class Quote:
    """OptionBook.Quote; price in USDC per unit and size in units, WAD."""

    series: int
    vault_sells: bool
    price: int
    size: int
    taker: str
    deadline: int
    nonce: int
    reference_spot: int
    spot_tolerance: int


@dataclass(frozen=True, slots=True)
class SignedQuote:
    """A quote with its signer, who must hold QUOTER, and the 65-byte signature of its EIP-712 digest."""

    quote: Quote
    signer: str
    signature: bytes


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


def make_quote(
    w3: Web3,
    deployment: Deployment,
    quoter: LocalAccount,
    series: Series,
    size: float,
    *,
    vault_sells: bool = True,
    edge: float = 0.0,
    taker: str = ANYONE,
    nonce: int = 0,
) -> SignedQuote:
    """Quote a series at the contract's own bound, made better for the vault by the share ``edge``, and sign it."""
    book = bind(w3, deployment, "OptionBook")
    bid, _, ask, spot, *_ = bind(w3, deployment, "OptionPricer").functions.marks(series.id).call()
    price = ask * to_wad(1 + edge) // WAD + 1 if vault_sells else bid * to_wad(1 - edge) // WAD
    quote = Quote(
        series=series.id,
        vault_sells=vault_sells,
        price=price,
        size=to_wad(size) // SIZE_UNIT * SIZE_UNIT,
        taker=taker,
        deadline=w3.eth.get_block("latest")["timestamp"] + _QUOTE_LIFE,
        nonce=nonce,
        reference_spot=spot,
        spot_tolerance=_SPOT_TOLERANCE,
    )
    digest = book.functions.hash_quote(astuple(quote)).call()
    return SignedQuote(quote, quoter.address, bytes(quoter.unsafe_sign_hash(digest).signature))


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
    return poster.send(vol_call(poster.w3, deployment, underlying, expiry, vol, now, smile), "post volatility")


def vol_call(
    w3: Web3,
    deployment: Deployment,
    underlying: int,
    expiry: int,
    vol: float,
    when: int,
    smile: Smile | None = None,
) -> Any:
    """The call that posts a slice in a block with timestamp ``when``."""
    shape = (smile or Smile()).shape(vol, expiry - when)
    return bind(w3, deployment, "VolOracle").functions.post(underlying, expiry, *shape)
