"""Chainlink feeds: proxies at their addresses, and behind them published aggregators with one operator."""

from web3.contract import Contract

from keeper.simulation.chain.placement import LocalChain, published
from keeper.simulation.chain.plan import ChainPlan

PACKAGE = "@chainlink/contracts@0.1.9"
AGGREGATOR = "abi/v0.6/AccessControlledAggregator.json"
ANSWER_DECIMALS = 8
NO_VALIDATOR = "0x0000000000000000000000000000000000000000"
ANSWER_LIMITS = (10**6, 10**15)  # 0.01 to 10,000,000 USD

USDC_USD = 1.0

_PROXY = "abi/v0.6/EACAggregatorProxy.json"
_OPERATOR = "0x1589d072aC911a55c2010D97839a1f61b1e3323A"


class Feeds:
    """The snapshot's aggregators, one per description: "ETH / USD", "USDC / USD"."""

    def __init__(self, chain: LocalChain, plan: ChainPlan) -> None:
        self._chain = chain
        self._plan = plan
        self._installed: list[tuple[Contract, float]] = []
        for market in plan.markets:
            self._install(f"{market.symbol} / USD", market.feeds, market.price_usd)
        self._install("USDC / USD", (plan.usdc_feed,), USDC_USD)

    def _install(self, description: str, proxies: tuple[str, ...], price: float) -> None:
        chain, owner = self._chain, self._plan.feed_owner
        args = [self._plan.link, 0, 0, NO_VALIDATOR, *ANSWER_LIMITS, ANSWER_DECIMALS, description]
        aggregator = chain.deploy(published(PACKAGE, AGGREGATOR), args, sender=owner)
        functions = aggregator.functions
        chain.transact(functions.changeOracles([], [_OPERATOR], [_OPERATOR], 1, 1, 0), owner)
        for proxy in proxies:
            chain.transact(functions.addAccess(proxy), owner)  # as on mainnet, contracts read through proxies only
            args = [aggregator.address, NO_VALIDATOR]
            chain.place(published(PACKAGE, _PROXY), proxy, args, sender=owner)
        self._installed.append((aggregator, price))
        self._submit(aggregator, price)

    def _submit(self, aggregator: Contract, price: float) -> None:
        functions = aggregator.functions
        round_id = functions.latestRound().call() + 1
        self._chain.transact(functions.submit(round_id, round(price * 10**ANSWER_DECIMALS)), _OPERATOR)

    def refresh(self) -> None:
        """A new round with the snapshot's prices in every feed."""
        for aggregator, price in self._installed:
            self._submit(aggregator, price)
