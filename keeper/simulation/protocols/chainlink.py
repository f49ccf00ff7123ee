"""Chainlink feeds: proxies at their addresses, and behind them published aggregators with one operator."""

from web3.contract import Contract

from keeper.simulation.addresses import FEED_OWNER, LINK, USDC_USD_FEED
from keeper.simulation.markets import MARKETS, USDC_USD
from keeper.simulation.placement import LocalChain, published

PACKAGE = "@chainlink/contracts@0.1.9"
AGGREGATOR = "abi/v0.6/AccessControlledAggregator.json"
ANSWER_DECIMALS = 8
NO_VALIDATOR = "0x0000000000000000000000000000000000000000"
ANSWER_LIMITS = (10**6, 10**15)  # 0.01 to 10,000,000 USD

_PROXY = "abi/v0.6/EACAggregatorProxy.json"
_OPERATOR = "0x1589d072aC911a55c2010D97839a1f61b1e3323A"


class Feeds:
    """The snapshot's aggregators, by description: "ETH / USD", "USDC / USD"."""

    def __init__(self, chain: LocalChain) -> None:
        self._chain = chain
        self._aggregators: dict[str, Contract] = {}
        for market in MARKETS:
            self._install(f"{market.symbol} / USD", market.feeds, market.price_usd)
        self._install("USDC / USD", (USDC_USD_FEED,), USDC_USD)

    def _install(self, description: str, proxies: tuple[str, ...], price: float) -> None:
        chain = self._chain
        args = [LINK, 0, 0, NO_VALIDATOR, *ANSWER_LIMITS, ANSWER_DECIMALS, description]
        aggregator = chain.deploy(published(PACKAGE, AGGREGATOR), args, sender=FEED_OWNER)
        functions = aggregator.functions
        chain.transact(functions.changeOracles([], [_OPERATOR], [_OPERATOR], 1, 1, 0), FEED_OWNER)
        for proxy in proxies:
            chain.transact(functions.addAccess(proxy), FEED_OWNER)  # as on mainnet, contracts read through proxies only
            args = [aggregator.address, NO_VALIDATOR]
            chain.place(published(PACKAGE, _PROXY), proxy, args, sender=FEED_OWNER)
        self._aggregators[description] = aggregator
        self._submit(aggregator, price)

    def _submit(self, aggregator: Contract, price: float) -> None:
        functions = aggregator.functions
        round_id = functions.latestRound().call() + 1
        self._chain.transact(functions.submit(round_id, round(price * 10**ANSWER_DECIMALS)), _OPERATOR)

    def refresh(self) -> None:
        """A new round with the snapshot's prices in every feed."""
        for market in MARKETS:
            self._submit(self._aggregators[f"{market.symbol} / USD"], market.price_usd)
        self._submit(self._aggregators["USDC / USD"], USDC_USD)
