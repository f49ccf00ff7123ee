"""A Uniswap v3 pool of a deployment's own, for a lending market whose test tokens are traded nowhere.

It is created at Chainlink's price, filled from the faucet with a position over the full range and one near the price,
and keeps observations for the five-minute TWAP. A pool that somebody has made before is traded to the price and filled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from eth_utils.address import to_checksum_address

from keeper.errors import KeelError
from keeper.operations.contracts import ERC20_ABI

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress
    from web3 import Web3
    from web3.contract import Contract
    from web3.types import TxReceipt

    from keeper.chain.address_book import AddressBook, MarketAddresses

OBSERVATIONS: Final = 50  # ten minutes of 12 s blocks with a trade in each

_FULL_RANGE_USDC: Final = 10_000
_NEAR_USDC: Final = 40_000
_NEAR_WIDTH: Final = 0.10  # price factor either way
_PRICE_TOLERANCE: Final = 0.005  # of a pool that is there already, before it is traded to the price
_USDC: Final = 10**6
_Q96: Final = 2**96
_MAX_TICK: Final = 887_272
_NO_DEADLINE: Final = 2**40


class Steps(Protocol):
    """What a deployment does once, however often it is interrupted."""

    @property
    def account(self) -> str:
        """Whose transactions they are."""

    def done(self, step: str) -> bool:
        """Whether an earlier run, or this one, has come to a step."""

    def do(self, step: str, call: Any) -> TxReceipt:
        """Send a bound web3 call as a step, unless that has been done. Its receipt."""


def make_pool(w3: Web3, book: AddressBook, market: MarketAddresses, steps: Steps) -> None:
    """Create and fill the market's first pool.

    Raises:
        KeelError: a transaction was refused, the pool is not where the address book has it, or it holds so much at
            another price that the faucet's tokens cannot move it.
    """
    _Maker(w3, book, market, steps).make()


def mint_usdc(w3: Web3, book: AddressBook, amount: int, steps: Steps) -> None:
    """Have the faucet mint ``amount`` of USDC for the account."""
    assert book.own_pool is not None
    faucet = w3.eth.contract(address=to_checksum_address(book.own_pool.faucet), abi=_FAUCET)
    steps.do("faucet, USDC of the first deposit", faucet.functions.mint(book.usdc, steps.account, amount))


class _Maker:
    def __init__(self, w3: Web3, book: AddressBook, market: MarketAddresses, steps: Steps) -> None:
        assert book.own_pool is not None
        self.w3, self.book, self.own, self.market, self.steps = w3, book, book.own_pool, market, steps
        self.usdc_first = int(book.usdc, 16) < int(market.token, 16)
        self.pair = (book.usdc, market.token) if self.usdc_first else (market.token, book.usdc)
        self.positions = self._at(self.own.position_manager, _POSITION_MANAGER)
        self.router = self._at(self.own.router, _ROUTER)
        self.faucet = self._at(self.own.faucet, _FAUCET)
        self.pool = self._at(market.pools[0], _POOL)

    def make(self) -> None:
        create = self.positions.functions.createAndInitializePoolIfNecessary
        self._do("create", create(*self.pair, self.own.fee, _root(self._ratio(self._price()))))
        made = self._at(self.book.uniswap_factory, _FACTORY).functions.getPool(*self.pair, self.own.fee).call()
        if made != self.pool.address:
            raise KeelError(
                f"Uniswap's pool of {self.market.symbol} is {made}, the address book has {self.pool.address}.",
                kept="The pool stays.",
                todo="Correct keeper/chain/address_book.py.",
            )
        self._do("observations", self.pool.functions.increaseObservationCardinalityNext(OBSERVATIONS))
        self._fill("full range", _FULL_RANGE_USDC, None)
        if not self.steps.done(self._step("near the price")):
            self._trade_to_price()
        self._fill("near the price", _NEAR_USDC, _NEAR_WIDTH)

    def _trade_to_price(self) -> None:
        target = self._ratio(self._price())
        if self._is_near(target):
            return
        sell_first = target < self._pool_ratio()
        sold, bought = self.pair if sell_first else reversed(self.pair)
        worth = self._worth(_FULL_RANGE_USDC + _NEAR_USDC)
        self._provide("trade", {sold: worth[sold]}, self.router.address)
        order = (sold, bought, self.own.fee, self.steps.account, worth[sold], 0, _root(target))
        self._do("trade", self.router.functions.exactInputSingle(order))
        if not self._is_near(target):
            raise KeelError(
                f"The pool {self.pool.address} holds too much at another price than Chainlink's {self._price():,.2f}.",
                kept="What was deployed stays, and is in the log.",
                todo=f"Trade in it until its price is within {_PRICE_TOLERANCE:.1%}, then deploy again to go on.",
            )

    def _fill(self, name: str, usd: int, width: float | None) -> None:
        """Mint a position of `usd` USDC and as much of the token. Without least amounts: these tokens are free."""
        amounts = self._worth(usd)
        if not self.steps.done(self._step(name)):
            self._provide(name, amounts, self.positions.address)
        lower, upper = self._range(width)
        wanted = [amounts[token] for token in self.pair]
        mint = (*self.pair, self.own.fee, lower, upper, *wanted, 0, 0, self.steps.account, _NO_DEADLINE)
        self._do(name, self.positions.functions.mint(mint))

    def _provide(self, name: str, amounts: Mapping[str, int], spender: ChecksumAddress) -> None:
        """Have the faucet mint what the account lacks, and let `spender` take it."""
        most: int = self.faucet.functions.getMaximumMintAmount().call()  # whole tokens in one call
        for token, amount in amounts.items():
            erc20, symbol = self._at(token, ERC20_ABI), "USDC" if token == self.book.usdc else self.market.symbol
            limit = most * 10 ** (6 if token == self.book.usdc else self.market.decimals)
            for part in range(math.ceil(amount / limit)):
                step = f"{name}: faucet, {symbol} {part + 1}"
                missing = amount - erc20.functions.balanceOf(self.steps.account).call()
                if missing > 0 or self.steps.done(self._step(step)):
                    self._do(step, self.faucet.functions.mint(token, self.steps.account, min(amount, limit)))
            self._do(f"{name}: approve {symbol}", erc20.functions.approve(spender, amount))

    # ------------------------------------------------------------------ prices

    def _price(self) -> float:
        """Chainlink's, in USDC."""
        usd, usdc = (
            self._at(feed, _FEED).functions.latestRoundData().call()[1]
            for feed in (self.market.feed, self.book.usdc_feed)
        )
        return float(usd / usdc)

    def _ratio(self, price: float) -> float:
        """Token 1 for token 0 in smallest units, at a price in USDC."""
        per_unit = price * 10.0 ** (6 - self.market.decimals)
        return 1 / per_unit if self.usdc_first else per_unit

    def _pool_ratio(self) -> float:
        return float((self.pool.functions.slot0().call()[0] / _Q96) ** 2)

    def _is_near(self, ratio: float) -> bool:
        return abs(self._pool_ratio() / ratio - 1) <= _PRICE_TOLERANCE

    def _worth(self, usd: int) -> dict[str, int]:
        """`usd` USDC, and as much of the token, in smallest units."""
        token = int(usd / self._price() * 10**self.market.decimals)
        return {self.book.usdc: usd * _USDC, self.market.token: token}

    def _range(self, width: float | None) -> tuple[int, int]:
        """Ticks of a position; `width` None is the full range."""
        spacing: int = self.pool.functions.tickSpacing().call()
        most = _MAX_TICK // spacing * spacing
        if width is None:
            return -most, most
        middle = math.log(self._pool_ratio(), 1.0001)
        reach = math.log(1 + width, 1.0001)
        return round((middle - reach) / spacing) * spacing, round((middle + reach) / spacing) * spacing

    # ------------------------------------------------------------------ calls

    def _step(self, name: str) -> str:
        return f"pool of {self.market.symbol}, {name}"

    def _do(self, name: str, call: Any) -> None:
        self.steps.do(self._step(name), call)

    def _at(self, address: str, abi: Sequence[Mapping[str, Any]]) -> Contract:
        return self.w3.eth.contract(address=to_checksum_address(address), abi=abi)


def _root(ratio: float) -> int:
    return int(math.sqrt(ratio) * _Q96)


def _abi(*functions: tuple[str, str, tuple[Any, ...], tuple[str, ...]]) -> list[dict[str, Any]]:
    """An ABI of (name, mutability, inputs, outputs); an input that is a tuple of types is a struct."""
    return [
        {
            "type": "function",
            "name": name,
            "stateMutability": mutability,
            "inputs": _parameters(inputs),
            "outputs": _parameters(outputs),
        }
        for name, mutability, inputs, outputs in functions
    ]


def _parameters(kinds: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {"name": f"arg{i}", "type": "tuple", "components": _parameters(kind)}
        if isinstance(kind, tuple)
        else {"name": f"arg{i}", "type": kind}
        for i, kind in enumerate(kinds)
    ]


_A, _U, _T = "address", "uint256", "int24"
_FEED: Final = _abi(("latestRoundData", "view", (), ("uint80", "int256", _U, _U, "uint80")))
_FACTORY: Final = _abi(("getPool", "view", (_A, _A, "uint24"), (_A,)))
_FAUCET: Final = _abi(("mint", "nonpayable", (_A, _A, _U), (_U,)), ("getMaximumMintAmount", "view", (), (_U,)))
_POOL: Final = _abi(
    ("increaseObservationCardinalityNext", "nonpayable", ("uint16",), ()),
    ("slot0", "view", (), ("uint160", _T, "uint16", "uint16", "uint16", "uint8", "bool")),
    ("tickSpacing", "view", (), (_T,)),
)
_POSITION_MANAGER: Final = _abi(
    ("createAndInitializePoolIfNecessary", "payable", (_A, _A, "uint24", "uint160"), (_A,)),
    ("mint", "payable", ((_A, _A, "uint24", _T, _T, _U, _U, _U, _U, _A, _U),), (_U, "uint128", _U, _U)),
)
_ROUTER: Final = _abi(("exactInputSingle", "payable", ((_A, _A, "uint24", _A, _U, _U, "uint160"),), (_U,)))
