"""The oracle rounds that prove a fixing: found by walking Chainlink's proxies back from their latest round.

The rules are PriceOracle.fix's: of the underlying's feed the first round at or after the expiry, of the USDC feed the
last one at or before it. The round before the first of a phase is the last of the nearest earlier phase with rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keeper.chain.abi import function, signature
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.units import HOUR

_LATEST = signature("latestRoundData()(uint80,int256,uint256,uint256,uint80)")
_ROUND = signature("getRoundData(uint80)(uint80,int256,uint256,uint256,uint80)")
_PHASE_AGGREGATOR = signature("phaseAggregators(uint16)(address)")
_LATEST_ROUND = signature("latestRound()(uint256)")
_NOWHERE: Final = "0x" + "00" * 20
_IN_TIME: Final = 2 * HOUR
_CHUNK: Final = 64  # rounds per request: more than a day of most feeds
_MAX_ROUNDS: Final = 64 * _CHUNK


@dataclass(frozen=True, slots=True)
class FixingProof:
    """Arguments of OptionBook.settle; zeros when the fixing is recorded already."""

    round_id: int
    usdc_round_id: int
    in_time: bool = True  # within PriceOracle's two hours; later ones fix an expiry after three days only


@dataclass(frozen=True, slots=True)
class _Round:
    id: int
    updated_at: int


def find_proof(
    connection: Connection, deployment: Deployment, block: Header, underlying: int, expiry: int
) -> FixingProof | None:
    """The rounds that fix an expiry in the state after `block`; None when there are none (yet).

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    oracle = deployment.address("PriceOracle")
    batch = Batch()
    fixing = batch.add("PriceOracle", oracle, function("PriceOracle", "fixing"), underlying, expiry)
    market = batch.add("PriceOracle", oracle, function("PriceOracle", "markets"), underlying)
    usdc_feed = batch.add("PriceOracle", oracle, function("PriceOracle", "USDC_FEED"))
    batch.run(connection, block)
    if fixing.value > 0:
        return FixingProof(0, 0)

    following: _Round | None = None
    for found in _back_from_latest(connection, block, market.value[0]):
        if found.updated_at < expiry:
            break
        following = found
    else:
        return None  # without a predecessor the round proves nothing
    if following is None:
        return None
    for found in _back_from_latest(connection, block, usdc_feed.value):
        if found.updated_at <= expiry:
            return FixingProof(following.id, found.id, following.updated_at <= expiry + _IN_TIME)
    return None


def _back_from_latest(connection: Connection, block: Header, feed: str) -> Iterator[_Round]:
    """Rounds from the latest to the oldest, in chunks, at most _MAX_ROUNDS of them."""
    batch = Batch()
    latest = batch.add("feed", feed, _LATEST)
    batch.run(connection, block)
    yield _Round(latest.value[0], latest.value[3])
    last = latest.value[0] - 1
    for _ in range(_MAX_ROUNDS // _CHUNK):
        if last & (2**64 - 1) == 0:
            previous = last_of_earlier_phase(connection, block, feed, last >> 64)
            if previous is None:
                return
            last = previous
        first = max(last - _CHUNK + 1, last & ~(2**64 - 1) | 1)
        batch = Batch()
        # Optional: some aggregators revert for rounds that they skipped.
        answers = [batch.add("feed", feed, _ROUND, r, optional=True) for r in range(last, first - 1, -1)]
        batch.run(connection, block)
        for answer in answers:
            if answer.value is None or answer.value[3] == 0:
                return
            yield _Round(answer.value[0], answer.value[3])
        last = first - 1


def last_of_earlier_phase(connection: Connection, block: Header, feed: str, phase: int) -> int | None:
    """Proxy round id of the last round of the nearest earlier phase that has one."""
    for earlier in range(phase - 1, 0, -1):
        batch = Batch()
        aggregator = batch.add("feed", feed, _PHASE_AGGREGATOR, earlier)
        batch.run(connection, block)
        if aggregator.value == _NOWHERE:
            continue
        # Not by multicall: aggregators answer no contract but their proxies.
        last = _LATEST_ROUND.decode(connection.call_at(block.hash, aggregator.value, _LATEST_ROUND.encode()))
        if last > 0:
            return earlier << 64 | int(last)
    return None
