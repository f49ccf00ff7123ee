"""Series, quotes and fills, makers, and what happens at an expiry."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import boa
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from tests.contracts.chain import DAY, HOUR, WAD
from tests.contracts.protocol.parameters import ETH, ZERO, wad
from tests.contracts.protocol.shares import Shares

WEEK = 7 * DAY
_QUOTE_TYPE = [
    {"name": "series", "type": "uint256"},
    {"name": "vaultSells", "type": "bool"},
    {"name": "price", "type": "uint256"},
    {"name": "size", "type": "uint256"},
    {"name": "taker", "type": "address"},
    {"name": "deadline", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "referenceSpot", "type": "uint256"},
    {"name": "spotTolerance", "type": "uint256"},
]
_YEAR = 365 * DAY


class Quote(NamedTuple):
    series: int
    vault_sells: bool
    price: int
    size: int
    taker: str
    deadline: int
    nonce: int
    reference_spot: int
    spot_tolerance: int


class Options(Shares):
    """The quoter, takers and makers."""

    def expiries(self) -> Iterator[int]:
        """The grid's expiries at least a day away, in order."""
        friday = DAY + 8 * HOUR
        first = self.market.now + DAY
        expiry = first + (friday - first) % WEEK
        while True:
            yield expiry
            expiry += WEEK

    def expiry(self, tenor_days: float = 7) -> int:
        """The first expiry of the grid at least `tenor_days` away."""
        return next(expiry for expiry in self.expiries() if expiry >= self.market.now + tenor_days * DAY)

    def list_series(
        self, strike: float = 3000, is_call: bool = True, expiry: int | None = None, underlying: int = ETH
    ) -> int:
        """List a series as the keeper. Returns its id."""
        when = expiry or self.expiry()
        return int(self.book.list_series(underlying, is_call, when, wad(strike), sender=self.keeper))

    def post_slice(
        self,
        expiry: int | None = None,
        vol: float = 0.6,
        rho: float = 0.0,
        phi: float = 0.0,
        carry: float = 0.0,
        half_spread: float = 0.02,
        underlying: int = ETH,
    ) -> None:
        """Post a slice with this at-the-money volatility, the first of an underlying as the governor, as it must be."""
        when = expiry or self.expiry()
        is_first = max(self.vol_oracle.expiries(underlying), default=0) <= self.market.now
        theta = round(vol**2 * (when - self.market.now) / _YEAR * 10**9) * 10**9
        shape = (wad(rho), wad(phi), wad(carry), wad(half_spread))
        self.vol_oracle.post(underlying, when, theta, *shape, sender=self.governor if is_first else self.vol_poster)

    def open_series(
        self, strike: float = 3000, is_call: bool = True, expiry: int | None = None, underlying: int = ETH
    ) -> int:
        """A listed series with a fresh slice."""
        when = expiry or self.expiry()
        self.post_slice(when, underlying=underlying)
        return self.list_series(strike, is_call, when, underlying)

    def quote(self, series: int, vault_sells: bool = True, size: int = WAD, **changes: Any) -> Quote:
        """A quote at the mark that bounds it, valid now; `changes` replace fields."""
        marks = self.pricer.marks(series)
        standard = Quote(
            series=series,
            vault_sells=vault_sells,
            price=marks.ask if vault_sells else marks.bid,
            size=size,
            taker=ZERO,
            deadline=self.market.now + 60,
            nonce=next(self._nonces),
            reference_spot=marks.spot,
            spot_tolerance=25 * 10**14,
        )
        return standard._replace(**changes)

    def sign(self, quote: Quote, signer: LocalAccount | None = None, **domain: Any) -> bytes:
        """The quote signed as EIP-712 by the quoter; `domain` replaces fields of the book's domain."""
        names = [str(entry["name"]) for entry in _QUOTE_TYPE]
        standard = {
            "name": "Keel OptionBook",
            "version": "1",
            "chainId": boa.env.evm.patch.chain_id,
            "verifyingContract": str(self.book.address),
        }
        message = encode_typed_data(
            domain_data={**standard, **domain},
            message_types={"Quote": _QUOTE_TYPE},
            message_data=dict(zip(names, quote, strict=True)),
        )
        return bytes((signer or self.quoter).sign_message(message).signature)

    def fill(self, quote: Quote, size: int | None = None, taker: str | None = None, **changes: Any) -> None:
        """Fill a quote with the quoter's signature as `taker`, who already has what it costs."""
        arguments = {"signer": self.quoter.address, "signature": self.sign(quote), **changes}
        amount = quote.size if size is None else size
        self.book.fill(quote, amount, arguments["signer"], arguments["signature"], sender=taker or self.taker)

    def sell(self, series: int, size: int = WAD, taker: str | None = None) -> int:
        """The vault sells `size` at its ask mark. Returns the premium in base units of the asset."""
        taker = taker or self.taker
        quote = self.quote(series, size=size)
        premium = -(-quote.price * size * self.unit // WAD**2)
        self.fund(taker, premium, self.book)
        self.fill(quote, taker=taker)
        return premium

    def buy_back(self, series: int, size: int = WAD, taker: str | None = None) -> int:
        """The vault buys `size` at its bid mark. Returns the premium in base units of the asset."""
        quote = self.quote(series, vault_sells=False, size=size)
        self.fill(quote, taker=taker or self.taker)
        return quote.price * size * self.unit // WAD**2

    def give_collateral(self, series: int, size: int, maker: str | None = None) -> int:
        """What writing `size` takes, for the maker and approved to the ClearingHouse. Returns units of the token."""
        maker, amount = maker or self.maker, int(self.clearing.collateral_of(series, size))
        is_call, underlying = bool(series >> 247 & 1), series >> 248
        if not is_call:
            self.fund(maker, amount, self.clearing)
        elif underlying == ETH:
            self.market.wrap(maker, amount)
            self.market.weth.approve(self.clearing, 2**256 - 1, sender=maker)
        else:
            self.market.mint_wbtc(maker, amount)
            self.market.wbtc.approve(self.clearing, 2**256 - 1, sender=maker)
        return amount

    def write(self, series: int, size: int = WAD, maker: str | None = None) -> int:
        """A maker writes `size` to the vault at its bid mark. Returns the premium in base units of the asset."""
        maker = maker or self.maker
        self.give_collateral(series, size, maker)
        quote = self.quote(series, vault_sells=False, size=size)
        self.book.write(quote, size, self.quoter.address, self.sign(quote), sender=maker)
        return quote.price * size * self.unit // WAD**2

    def reach_expiry(self, expiry: int, price: float | None = None) -> tuple[int, int]:
        """Go a minute past an expiry whose first round is at `price`. Returns the round ids that prove the fixing."""
        if self.market.now < expiry - HOUR:
            self.market.wait(expiry - HOUR - self.market.now)
        usdc_round = self.market.usdc_feed.latestRound()
        self.market.pass_time(expiry + 60 - self.market.now)
        round_id = self.market.submit(price or self.market.price)
        return round_id, int(usdc_round)

    def settle(self, expiry: int, price: float | None = None) -> None:
        """Reach an expiry and settle it, with a fresh USDC round after it."""
        proof = self.reach_expiry(expiry, price)
        self.market.submit_usdc()
        self.book.settle(ETH, expiry, *proof, sender=self.stranger)
