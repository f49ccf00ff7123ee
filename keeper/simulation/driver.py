"""The market driver: makes the feeds and pools of a fork follow a price, one block per step.

It uses only what a true mainnet fork has too: owners and minters are impersonated, pools move by swaps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3 import Web3

from keeper.errors import KeelError
from keeper.simulation.chain.addresses import AAVE_ORACLE, LINK, SWAP_ROUTER, USDC, USDC_USD_FEED, WETH
from keeper.simulation.chain.markets import MARKETS
from keeper.simulation.chain.packages import fetch_packages
from keeper.simulation.chain.placement import published
from keeper.simulation.chain.plan import Market, Pool
from keeper.simulation.chain.protocols.chainlink import (
    AGGREGATOR,
    ANSWER_DECIMALS,
    ANSWER_LIMITS,
    NO_VALIDATOR,
    PACKAGE,
)
from keeper.simulation.chain.protocols.uniswap import TICK_SPACING
from keeper.simulation.contract_calls import call_data, read
from keeper.simulation.rpc import AnvilRpcError, Rpc

BLOCK_TIME: Final = 12  # seconds
_SPACING = 1  # seconds from a block to one that nobody set a time for
USDC_HEARTBEAT: Final = 82_800  # seconds; an hour before mainnet's

_FIRST_ROUNDS = 3  # rounds of the new phase before anybody steps: enough for a proof with a predecessor
_TIP = 500 * 10**9  # wei: before everybody else in the block
_BALANCE = 10**30  # wei
_PLENTY_USDC = 10**17  # base units
_PLENTY = 10**8  # whole tokens of an underlying: more than any pool can take
_CALL_GAS = 1_000_000
_DEPLOY_GAS = 8_000_000
_SWAP_GAS = 300_000
_GAS_PER_TICK = 130_000  # crossing one for the first time writes four slots
_MAX_TICKS = 110  # crossed in one swap: 14.6M gas, under the cap of 16.7M on a transaction
_NO_LIMIT = 2**127
_NO_DEADLINE = 2**40
_SWAP = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))"


def _account(role: str) -> str:
    return to_checksum_address(keccak(text=f"keel market driver: {role}")[12:])


OPERATOR: Final = _account("feed operator")
ARBITRAGEUR: Final = _account("arbitrageur")
MINTER: Final = _account("minter")


class MarketError(KeelError):
    """A step was not carried out as a whole; the block that was mined stays."""


@dataclass(frozen=True)
class Step:
    """The block that a step mined."""

    block_number: int
    timestamp: int
    base_fee: int


@dataclass(frozen=True)
class _Transaction:
    sender: str
    to: str | None
    data: str
    gas: int = _CALL_GAS
    value: int = 0


@dataclass(frozen=True)
class _Feed:
    """An aggregator with us as its only operator, and the proxies in front of it."""

    aggregator: str
    proxies: tuple[str, ...]


class MarketDriver:
    """Moves the markets of the fork that `w3` is connected to.

    The first driver on a chain takes the feeds over: it deploys aggregators and has each proxy's owner
    confirm them, which opens a new phase. Later drivers find that done. A driver keeps no state of the
    chain, so it stays valid after evm_revert to any point after its creation.

    From then on the chain's clock moves with its blocks alone, a second each where no time is asked for, and not with
    the clock of this machine: what happens does not depend on how fast it is. `evm_increaseTime` does nothing: use
    `warp`.
    """

    def __init__(self, w3: Web3, markets: Sequence[Market] = MARKETS) -> None:
        fetch_packages()
        self.rpc = Rpc(str(w3.provider.endpoint_uri))  # type: ignore[attr-defined]
        self.rpc.call("anvil_setBlockTimestampInterval", _SPACING)
        self.markets = {market.symbol: market for market in markets}
        for account in (OPERATOR, ARBITRAGEUR, MINTER):
            self._impersonate(account)
        self._feeds = {symbol: self._take_over_market(market) for symbol, market in self.markets.items()}
        self._usdc_feed = self._take_over("USDC / USD", (USDC_USD_FEED,))
        self._fund_arbitrageur()

    # ------------------------------------------------------------------ one step of the market

    def step(
        self,
        price: float | Mapping[str, float],
        usdc: float = 1.0,
        *,
        timestamp: int | None = None,
        base_fee: int | None = None,
        feeds: bool = True,
        pools: bool = True,
        quiet: int = 0,
    ) -> Step:
        """Mine one block in which the market moves to `price`; with `quiet`, another that many seconds later.

        `price` is in USD, by symbol: the markets that are not named stay as they are, their feeds grow old. Or
        it is ETH's, and the feeds of all others repeat their price. `usdc` is USDC in USD; the pools, which
        trade against USDC, go to price / usdc. `timestamp` is 12 s after the last block by default and
        `base_fee` (wei) what it was, since on an idle fork it would decay to nothing. `feeds=False`
        leaves the oracles behind, `pools=False` the pools.

        The quiet block is empty. Both are mined in one call: who polls sees the first one alone only by a rare
        chance. It gives the pools' TWAP time to follow the price.

        USDC / USD gets a round when it changes or its heartbeat is due. Pending transactions of others
        come after the move in the same block. Raises MarketError if part of the step failed.
        """
        prices = price if isinstance(price, Mapping) else {s: self.feed_price(s) for s in self.markets} | {"ETH": price}
        latest = self._latest()
        when = latest.timestamp + BLOCK_TIME if timestamp is None else timestamp
        batch: list[_Transaction] = []
        if feeds:
            for symbol, usd in prices.items():
                batch.append(self._round(self._feeds[symbol].aggregator, usd))
            if self._usdc_round_is_due(usdc, when):
                batch.append(self._round(self._usdc_feed.aggregator, usdc))
        if pools:
            for symbol, usd in prices.items():
                market = self.markets[symbol]
                for pool in market.pools:
                    batch += self._arbitrage(market, pool, usd / usdc)
        return self._mine(batch, when, latest.base_fee if base_fee is None else base_fee, quiet)

    def warp(self, seconds: int) -> Step:
        """Let `seconds` pass without a trade or a round, and mine a block."""
        latest = self._latest()
        return self._mine([], latest.timestamp + seconds, latest.base_fee)

    # ------------------------------------------------------------------ accounts

    def fund_eth(self, account: str, amount: int) -> None:
        """Add `amount` wei to the balance of `account`."""
        balance = int(self.rpc.call("eth_getBalance", account, "latest"), 16)
        self.rpc.call("anvil_setBalance", account, hex(balance + amount))

    def fund_usdc(self, account: str, amount: int) -> None:
        """Mint `amount` base units (1e-6 USDC) to `account`, as a minter that the master minter allowed."""
        self._send(_Transaction(MINTER, USDC, call_data("mint(address,uint256)", account, amount)))

    def fund_underlying(self, symbol: str, account: str, amount: int) -> None:
        """Give `account` new tokens of a market, `amount` in base units: WETH is wrapped, others minted."""
        token = self.markets[symbol].token
        if token == WETH:
            self.fund_weth(account, amount)
            return
        owner = read(self.rpc, token, "owner()", "address")
        self._impersonate(owner)
        self._send(_Transaction(owner, token, call_data("mint(address,uint256)", account, amount)))

    def fund_weth(self, account: str, amount: int) -> None:
        """Wrap `amount` wei of new ether for `account`."""
        self.fund_eth(MINTER, amount)
        self._send(
            _Transaction(MINTER, WETH, call_data("deposit()"), value=amount),
            _Transaction(MINTER, WETH, call_data("transfer(address,uint256)", account, amount)),
        )

    # ------------------------------------------------------------------ what the market says

    def feed_price(self, symbol: str) -> float:
        """Latest answer of the market's feed, USD. "USDC" is allowed."""
        feed = self._usdc_feed if symbol == "USDC" else self._feeds[symbol]
        return float(self._latest_round(feed)[1] / 10**ANSWER_DECIMALS)

    def pool_price(self, symbol: str, fee: int | None = None) -> float:
        """Spot price of the market's first pool, or of the one with `fee`, in USDC."""
        market = self.markets[symbol]
        pool = next(pool for pool in market.pools if fee in (None, pool.fee))
        return _price_of_root(market, self._root(pool))

    def timestamp(self) -> int:
        """Of the latest block."""
        return self._latest().timestamp

    # ------------------------------------------------------------------ feeds

    def _take_over_market(self, market: Market) -> _Feed:
        """The market's feeds, and whatever Aave prices the token with when that is a proxy of its own."""
        aave_source = read(self.rpc, AAVE_ORACLE, "getSourceOfAsset(address)", "address", market.token)
        proxies = dict.fromkeys((*market.feeds, to_checksum_address(aave_source)))
        owned = tuple(proxy for proxy in proxies if self._is_proxy(proxy))
        return self._take_over(f"{market.symbol} / USD", owned)

    def _is_proxy(self, feed: str) -> bool:
        """Whether it can be pointed to another aggregator; an adapter follows the feed that it reads."""
        try:
            read(self.rpc, feed, "owner()", "address")
            read(self.rpc, feed, "aggregator()", "address")
        except (AnvilRpcError, DecodingError):
            return False
        return True

    def _take_over(self, description: str, proxies: tuple[str, ...]) -> _Feed:
        current = read(self.rpc, proxies[0], "aggregator()", "address")
        if self._is_ours(current):
            return _Feed(current, proxies)
        answer = read(self.rpc, proxies[0], "latestAnswer()", "int256") / 10**ANSWER_DECIMALS
        feed = _Feed(self._deploy_aggregator(description, proxies), proxies)
        for _ in range(_FIRST_ROUNDS):
            latest = self._latest()
            when = latest.timestamp + BLOCK_TIME
            self._mine([self._round(feed.aggregator, answer)], when, latest.base_fee)
        for proxy in proxies:
            owner = read(self.rpc, proxy, "owner()", "address")
            self._impersonate(owner)
            self._send(
                _Transaction(owner, proxy, call_data("proposeAggregator(address)", feed.aggregator)),
                _Transaction(owner, proxy, call_data("confirmAggregator(address)", feed.aggregator)),
            )
        return feed

    def _is_ours(self, aggregator: str) -> bool:
        try:
            operators = read(self.rpc, aggregator, "getOracles()", "address[]")
        except (AnvilRpcError, DecodingError):  # OCR aggregators have no such function
            return False
        return OPERATOR.lower() in operators

    def _deploy_aggregator(self, description: str, proxies: tuple[str, ...]) -> str:
        args = (LINK, 0, 0, NO_VALIDATOR, *ANSWER_LIMITS, ANSWER_DECIMALS, description)
        code = "0x" + published(PACKAGE, AGGREGATOR).creation_code(args).hex()
        (deployed,) = self._send(_Transaction(OPERATOR, None, code, gas=_DEPLOY_GAS))
        aggregator: str = to_checksum_address(deployed["contractAddress"])
        change = "changeOracles(address[],address[],address[],uint32,uint32,uint32)"
        self._send(
            _Transaction(OPERATOR, aggregator, call_data(change, [], [OPERATOR], [OPERATOR], 1, 1, 0)),
            # As on mainnet, contracts may read it through its proxies only.
            *(_Transaction(OPERATOR, aggregator, call_data("addAccess(address)", proxy)) for proxy in proxies),
        )
        return aggregator

    def _round(self, aggregator: str, usd: float) -> _Transaction:
        round_id = read(self.rpc, aggregator, "latestRound()", "uint256") + 1
        answer = round(usd * 10**ANSWER_DECIMALS)
        return _Transaction(OPERATOR, aggregator, call_data("submit(uint256,int256)", round_id, answer))

    def _latest_round(self, feed: _Feed) -> tuple[int, int, int, int, int]:
        types = "(uint80,int256,uint256,uint256,uint80)"
        found: tuple[int, int, int, int, int] = read(self.rpc, feed.proxies[0], "latestRoundData()", types)
        return found

    def _usdc_round_is_due(self, usdc: float, when: int) -> bool:
        _, answer, _, updated_at, _ = self._latest_round(self._usdc_feed)
        return answer != round(usdc * 10**ANSWER_DECIMALS) or when - updated_at >= USDC_HEARTBEAT

    # ------------------------------------------------------------------ pools

    def _root(self, pool: Pool) -> int:
        types = "(uint160,int24,uint16,uint16,uint16,uint8,bool)"
        root: int = read(self.rpc, pool.address, "slot0()", types)[0]
        return root

    def _arbitrage(self, market: Market, pool: Pool, price: float) -> list[_Transaction]:
        """Swaps that end exactly at `price` (USDC): more than one when many ticks may be crossed."""
        root, target = self._root(pool), _root_of_price(market, price)
        if root == target:
            return []
        spacing = TICK_SPACING[pool.fee]
        ticks = abs(2 * math.log(target / root, 1.0001)) / spacing
        swaps = math.ceil(ticks / _MAX_TICKS) or 1
        gas = _SWAP_GAS + math.ceil(ticks / swaps + 2) * _GAS_PER_TICK
        token_0, token_1 = _pair(market)
        sold, bought = (token_0, token_1) if target < root else (token_1, token_0)
        limits = [int(root * (target / root) ** (part / swaps)) for part in range(1, swaps)] + [target]
        return [
            _Transaction(
                ARBITRAGEUR,
                SWAP_ROUTER,
                call_data(_SWAP, (sold, bought, pool.fee, ARBITRAGEUR, _NO_DEADLINE, _NO_LIMIT, 0, limit)),
                gas=gas,
            )
            for limit in limits
        ]

    def _fund_arbitrageur(self) -> None:
        """Allow the minter, and give the arbitrageur more than it can ever use."""
        if read(self.rpc, USDC, "allowance(address,address)", "uint256", ARBITRAGEUR, SWAP_ROUTER):
            return
        master = read(self.rpc, USDC, "masterMinter()", "address")
        self._impersonate(master)
        self._send(_Transaction(master, USDC, call_data("configureMinter(address,uint256)", MINTER, 2**200)))
        self.fund_usdc(ARBITRAGEUR, _PLENTY_USDC)
        approve = call_data("approve(address,uint256)", SWAP_ROUTER, 2**255)
        self._send(_Transaction(ARBITRAGEUR, USDC, approve))
        for market in self.markets.values():
            self.fund_underlying(market.symbol, ARBITRAGEUR, _PLENTY * 10**market.decimals)
            self._send(_Transaction(ARBITRAGEUR, market.token, approve))

    # ------------------------------------------------------------------ blocks

    def _latest(self) -> Step:
        return self._block("latest")

    def _block(self, number: str) -> Step:
        block = self.rpc.call("eth_getBlockByNumber", number, False)
        return Step(int(block["number"], 16), int(block["timestamp"], 16), int(block["baseFeePerGas"], 16))

    def _impersonate(self, account: str) -> None:
        self.rpc.call("anvil_impersonateAccount", account)
        self.rpc.call("anvil_setBalance", account, hex(_BALANCE))

    def _send(self, *batch: _Transaction) -> list[dict[str, Any]]:
        """Mine a batch in a block of its own, without moving the clock more than a block does."""
        latest = self._latest()
        return self._mine_batch(batch, None, latest.base_fee)

    def _mine(self, batch: Sequence[_Transaction], timestamp: int, base_fee: int, quiet: int = 0) -> Step:
        newest = self._latest().block_number + (2 if quiet else 1)
        self._mine_batch(batch, timestamp, base_fee, quiet)
        return self._block(hex(newest))  # not the latest: somebody may have been quick to answer

    def _mine_batch(
        self, batch: Sequence[_Transaction], timestamp: int | None, base_fee: int, quiet: int = 0
    ) -> list[dict[str, Any]]:
        """One block with the whole batch in it, whatever the mining mode is. Returns the receipts."""
        rpc = self.rpc
        automine = rpc.call("anvil_getAutomine")
        if automine:
            rpc.call("evm_setAutomine", False)  # first: nobody else's block may take the time and the fee
        try:
            if timestamp is not None:
                rpc.call("evm_setNextBlockTimestamp", timestamp)
            rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
            hashes = [rpc.call("eth_sendTransaction", _request(entry, base_fee)) for entry in batch]
            if quiet:
                self._mine_two(quiet)
            else:
                rpc.call("evm_mine")
        finally:
            if automine:
                rpc.call("evm_setAutomine", True)
        receipts = [rpc.call("eth_getTransactionReceipt", entry) for entry in hashes]
        for entry, receipt in zip(batch, receipts, strict=True):
            if receipt is None or receipt["status"] != "0x1":
                raise MarketError(self._explain(entry, receipt))
        return receipts

    def _mine_two(self, interval: int) -> None:
        """Two blocks, exactly `interval` seconds apart. (The interval of `anvil_mine` drifts with the wall clock.)"""
        self.rpc.call("anvil_setBlockTimestampInterval", interval)
        try:
            self.rpc.call("anvil_mine", hex(2))
        finally:
            self.rpc.call("anvil_setBlockTimestampInterval", _SPACING)

    def _explain(self, entry: _Transaction, receipt: dict[str, Any] | None) -> str:
        name = f"the driver's transaction to {entry.to or 'a new contract'}"
        if receipt is None:
            return f"{name} did not fit in the block and is pending; mine another block, or make a smaller step"
        return (
            f"{name} reverted after {int(receipt['gasUsed'], 16)} of {entry.gas} gas; "
            f"the rest of block {int(receipt['blockNumber'], 16)} stays. "
            f"See debug_traceTransaction {receipt['transactionHash']}"
        )


def _request(entry: _Transaction, base_fee: int) -> dict[str, str]:
    request = {
        "from": entry.sender,
        "data": entry.data,
        "gas": hex(entry.gas),
        "value": hex(entry.value),
        "maxFeePerGas": hex(2 * base_fee + _TIP),
        "maxPriorityFeePerGas": hex(_TIP),
    }
    return request if entry.to is None else {**request, "to": entry.to}


def _pair(market: Market) -> tuple[str, str]:
    first, second = sorted((USDC, market.token), key=lambda token: int(token, 16))
    return first, second


def _root_of_price(market: Market, price: float) -> int:
    """sqrtPriceX96 of a price in USDC for one whole token."""
    raw = price * 10.0 ** (6 - market.decimals)
    return int(math.sqrt(1 / raw if _pair(market)[0] == USDC else raw) * 2**96)


def _price_of_root(market: Market, root: int) -> float:
    ratio = (root / 2**96) ** 2
    return (1 / ratio if _pair(market)[0] == USDC else ratio) * 10.0 ** (market.decimals - 6)
