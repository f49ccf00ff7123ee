"""Daily closes of the underlyings from Chainlink's own rounds: the last round of each feed at or before midnight, UTC.

They are on chain, so that nothing has to be kept between runs: at the start they are found by bisection, a batch for
all days at a time; after that once a day for one day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keeper.chain.abi import signature
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.series import UNDERLYINGS
from keeper.domain.units import DAY
from keeper.errors import RpcError, SnapshotError
from keeper.market.rounds import last_of_earlier_phase

DAYS: Final = 180

_LATEST = signature("latestRoundData()(uint80,int256,uint256,uint256,uint80)")
_ROUND = signature("getRoundData(uint80)(uint80,int256,uint256,uint256,uint80)")
_IN_PHASE: Final = 2**64 - 1


class History:
    """Closes as they were found, for a keeper to go on with from block to block."""

    def __init__(self, deployment: Deployment) -> None:
        self._feeds = [deployment.feeds.get(symbol) for symbol in UNDERLYINGS]
        self._known: dict[tuple[int, int], int] = {}  # by underlying and midnight

    def closes(self, connection: Connection, block: Header, now: int) -> tuple[tuple[int, ...], ...]:
        """As `Snapshot.closes`: of the last midnights before ``now``; 0 where a feed had no round yet, or is not there.

        A midnight is read once: should its block be replaced by another, the price stays the one of the first.

        Raises:
            SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
        """
        last = now - now % DAY
        midnights = [last - back * DAY for back in range(DAYS, -1, -1)]
        for u, feed in enumerate(self._feeds):
            missing = [midnight for midnight in midnights if (u, midnight) not in self._known]
            if feed is not None and missing:
                found = _closes(connection, block, feed, missing)
                self._known |= {(u, midnight): price for midnight, price in zip(missing, found, strict=True)}
        return tuple(
            tuple(self._known.get((u, midnight), 0) for u in range(len(self._feeds))) for midnight in midnights
        )


def _closes(connection: Connection, block: Header, feed: str, midnights: Sequence[int]) -> list[int]:
    """Answers of the last rounds at or before each time, 0 where there is none; phase by phase from the newest."""
    batch = Batch()
    latest = batch.add("feed", feed, _LATEST, optional=True)
    batch.run(connection, block)
    last = latest.value[0] if latest.value is not None else None
    prices = dict.fromkeys(midnights, 0)
    while last is not None:
        wanted = [midnight for midnight, price in prices.items() if price == 0]
        prices |= zip(wanted, _of_phase(connection, block, feed, last, wanted), strict=True)
        if all(prices.values()):
            break
        try:
            last = last_of_earlier_phase(connection, block, feed, last >> 64)
        except (SnapshotError, RpcError):
            break  # an aggregator of the past that does not answer: less history, but the keeper goes on
    return list(prices.values())


def _of_phase(connection: Connection, block: Header, feed: str, last: int, midnights: Sequence[int]) -> list[int]:
    """Bisection for all times at once: `low` is a round at or before the time, or none; `high` one after it."""
    bounds = [(last & ~_IN_PHASE, last + 1) for _ in midnights]
    prices = [0] * len(midnights)
    while middles := {i: (low + high) // 2 for i, (low, high) in enumerate(bounds) if high - low > 1}:
        batch = Batch()
        # Optional: some aggregators revert for rounds that they skipped. Before those there is nothing to look for.
        answers = {r: batch.add("feed", feed, _ROUND, r, optional=True) for r in set(middles.values())}
        batch.run(connection, block)
        for i, middle in middles.items():
            _, price, _, updated_at, _ = answers[middle].value or (0, 0, 0, 0, 0)
            low, high = bounds[i]
            if updated_at > midnights[i]:
                bounds[i] = low, middle
            else:
                bounds[i], prices[i] = (middle, high), max(price, 0)
    return prices
