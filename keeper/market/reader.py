"""Chain to Snapshot: everything a decision depends on, in five requests, pinned to one block hash."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from eth_utils.address import to_checksum_address

from keeper.chain.abi import function, signature
from keeper.chain.address_book import MULTICALL3
from keeper.chain.deployments import DeployedVenue, Deployment
from keeper.chain.multicall import Answer, Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.series import UNDERLYINGS, Position
from keeper.domain.snapshot import (
    Assessment,
    Budgets,
    Lending,
    Limits,
    Mode,
    Reading,
    Snapshot,
    Surface,
    VaultState,
    VenueKind,
    VenueState,
    VolSlice,
    Window,
)
from keeper.domain.snapshot import Venue as VenueSeen
from keeper.domain.units import MAX_UINT256, USDC, WAD
from keeper.errors import SnapshotError
from keeper.market.depth import PoolNow, Ticks, ask_pool, ask_ticks
from keeper.market.history import History
from keeper.venues.aave_v3 import borrow_room, is_moving, supply_room

_RAY: Final = 10**27
_MAX_POOLS: Final = 4
_VAULT: Final = ("idle", "owed", "totalSupply", "effective_supply", "mode")
_HEDGER: Final = ("sequence", "loss_budget", "turnover_budget", "hedging_budget", "emergency_budget", "budgets")
MODES: Final = {1: Mode.NORMAL, 2: Mode.REDUCE_ONLY, 4: Mode.FROZEN}  # a Vyper flag

_TIMESTAMP = signature("getCurrentBlockTimestamp()(uint256)")
_ETH_BALANCE = signature("getEthBalance(address)(uint256)")
_DECIMALS = signature("decimals()(uint8)")
_BALANCE = signature("balanceOf(address)(uint256)")
_SCALED_BALANCE = signature("scaledBalanceOf(address)(uint256)")
# Aave v3.0 to v3.6 agree on the first five words: configuration, liquidity index, liquidity rate, borrow index,
# variable borrow rate; rates are annual, in ray.
_RESERVE_DATA = signature("getReserveData(address)(uint256,uint128,uint128,uint128,uint128)")
_CONFIGURATION = signature("getConfiguration(address)(uint256)")
_AVAILABLE = signature("getVirtualUnderlyingBalance(address)(uint128)")
_TOTAL_SUPPLY = signature("totalSupply()(uint256)")


def read_snapshot(
    connection: Connection,
    deployment: Deployment,
    keeper_address: str,
    block_hash: str | None = None,
    history: History | None = None,
) -> Snapshot:
    """The chain after one block: the newest, or the one with `block_hash`.

    `Snapshot.timestamp` is the time that the contracts saw. Daily closes are read where a `history` is given.

    Raises:
        SnapshotError: names what did not answer: a dead oracle, a contract that is not there, an unknown venue.
        RpcError: the block is unknown or not canonical any more.
        RpcUnavailableError: no answer from the node.
    """
    newest = connection.header()
    block = newest if block_hash in (None, newest.hash) else connection.header(block_hash)

    def mixed() -> bool:
        """Whether a block came in meanwhile: a node may answer for its newest block from what is its newest state."""
        return block is newest and connection.header().hash != block.hash

    try:
        snapshot = _read(connection, deployment, keeper_address, block, history)
    except SnapshotError:
        if not mixed():
            raise
    else:
        if not mixed():
            return snapshot
    return _read(connection, deployment, keeper_address, block, history)


def _read(
    connection: Connection, deployment: Deployment, keeper_address: str, block: Header, history: History | None
) -> Snapshot:
    first = _FirstBatch(deployment, keeper_address)
    first.batch.run(connection, block)
    _require_known_venues(deployment, first.all_venues.value, block)

    book = tuple(Position.from_slot(slot) for slot in first.live_book.value)
    readings = tuple(Reading(*(a.value or (0, 0, 0, False))) for a in first.readings[: first.count.value])
    second = Batch()
    slices = _ask_slices(second, deployment, book)
    venues = [_ask_venue(second, venue, readings[venue.deployed.underlying].price_wad) for venue in first.venues]
    second.run(connection, block)
    slippage = first.slippage()
    third = Batch()
    ticks: dict[str, Ticks] = {}
    for immutables, state in zip(first.venues, venues, strict=True):
        spot = readings[immutables.deployed.underlying].price_wad / WAD
        for pool in state.pools:
            if pool.address not in ticks:
                asked = pool.at(immutables.usdc.value, state.decimals.value)
                ticks[pool.address] = ask_ticks(third, asked, pool.spacing.value, spot, slippage)
    third.run(connection, block)

    return Snapshot(
        chain_id=deployment.chain_id,
        block_number=block.number,
        block_hash=block.hash,
        timestamp=first.timestamp.value,
        base_fee_wei=block.base_fee,
        keeper_balance_wei=first.keeper_balance.value,
        vault=first.vault_state(),
        limits=Limits(*first.limits.value),
        readings=readings,
        book=book,
        surface=Surface(tuple((u, e, _slice(*a.value)) for u, e, a in slices if a.value is not None)),
        venues=tuple(_venue(*both, ticks) for both in zip(first.venues, venues, strict=True)),
        assessment=Assessment(*first.assessment.value),
        closes=() if history is None else history.closes(connection, block, first.timestamp.value),
    )


@dataclass(frozen=True, slots=True)
class _VenueImmutables:
    """What a venue says of itself; what only some have is None for others."""

    deployed: DeployedVenue
    pools: tuple[Answer, ...]
    usdc: Answer
    token: Answer
    aave: Answer | None = None
    collateral_token: Answer | None = None
    debt_token: Answer | None = None
    supplied: Answer | None = None
    health_floor: Answer | None = None
    health_target: Answer | None = None
    withdrawable: Answer | None = None


class _FirstBatch:
    """Everything that depends on nothing but addresses."""

    def __init__(self, deployment: Deployment, keeper_address: str) -> None:
        self.batch = Batch()
        self._deployment = deployment
        self.timestamp = self.batch.add("Multicall3", MULTICALL3, _TIMESTAMP)
        self.keeper_balance = self.batch.add("Multicall3", MULTICALL3, _ETH_BALANCE, keeper_address)
        self.count = self._ask("PriceOracle", "count")
        # As many as there can be: how many there are comes with them. Whether one that has no price is needed, the
        # assessment says.
        self.readings = [self._ask_price(u, symbol) for u, symbol in enumerate(UNDERLYINGS)]
        self._vault = [self._ask("Vault", name) for name in _VAULT]
        self._hedger = [self._ask("Hedger", name) for name in _HEDGER]
        self.all_venues = self._ask("Vault", "all_venues")
        self.assessment = self._ask("Vault", "assessment")
        self.limits = self._ask("RiskEngine", "limits")
        self.live_book = self._ask("OptionBook", "live_book")
        self.venues = [self._ask_immutables(venue) for venue in deployment.venues]

    def vault_state(self) -> VaultState:
        idle, owed, total_supply, effective_supply, mode = (answer.value for answer in self._vault)
        sequence, loss, turnover, hedging, emergency, budgets = (answer.value for answer in self._hedger)
        return VaultState(
            idle=idle,
            owed=owed,
            total_supply=total_supply,
            effective_supply=effective_supply,
            sequence=sequence,
            mode=MODES[mode],
            loss_budget=loss,
            turnover_budget=turnover,
            hedging_budget=hedging,
            emergency_budget=emergency,
            budgets=Budgets(*budgets),
            # As the Vault does: a lending venue that does not answer has nothing.
            withdrawable=sum(v.withdrawable.value or 0 for v in self.venues if v.withdrawable is not None),
        )

    def slippage(self) -> float:
        """Of a leg against the oracle price, a share."""
        return Budgets(*self._hedger[-1].value).leg_slippage / WAD

    def _ask(self, contract: str, name: str, *args: Any, optional: bool = False) -> Answer:
        address = self._deployment.address(contract)
        return self.batch.add(contract, address, function(contract, name), *args, optional=optional)

    def _ask_price(self, underlying: int, symbol: str) -> Answer:
        address = self._deployment.address("PriceOracle")
        view = function("PriceOracle", "read")
        listed = underlying == 0 or symbol in self._deployment.feeds
        return self.batch.add(f"{symbol} price, PriceOracle", address, view, underlying, optional=True, explains=listed)

    def _ask_immutables(self, venue: DeployedVenue) -> _VenueImmutables:
        contract = CONTRACTS[venue.kind]

        def ask(name: str, *args: Any, optional: bool = False) -> Answer:
            label = f"{contract} {venue.index}"
            return self.batch.add(label, venue.address, function(contract, name), *args, optional=optional)

        if venue.kind is VenueKind.AAVE_V3_LENDING:
            return _VenueImmutables(
                venue, (), ask("USDC"), ask("USDC"), withdrawable=ask("withdrawable", optional=True)
            )
        pools = tuple(ask("pools", index, optional=index > 0) for index in range(_MAX_POOLS))
        if venue.kind is VenueKind.UNISWAP_V3_SPOT:
            return _VenueImmutables(venue, pools, ask("USDC"), ask("TOKEN"))
        return _VenueImmutables(
            venue,
            pools,
            usdc=ask("USDC"),
            token=ask("TOKEN"),
            aave=ask("AAVE"),
            collateral_token=ask("COLLATERAL_TOKEN"),
            debt_token=ask("DEBT_TOKEN"),
            supplied=ask("supplied"),
            health_floor=ask("HEALTH_FLOOR"),
            health_target=ask("HEALTH_TARGET"),
        )


CONTRACTS: Final = {
    VenueKind.UNISWAP_V3_SPOT: "UniswapV3Spot",
    VenueKind.AAVE_V3_SHORT: "AaveV3Short",
    VenueKind.AAVE_V3_LENDING: "AaveV3Lending",
}


def _require_known_venues(deployment: Deployment, listed: Sequence[tuple[str, int]], block: Header) -> None:
    """A position in a venue that the keeper does not see would be hedged twice."""
    seen = [(venue.index, venue.address, venue.underlying) for venue in deployment.venues]
    found = [
        (index, to_checksum_address(address), underlying)
        for index, (address, underlying) in enumerate(listed)
        if int(address, 16) != 0  # else its index was vacated
    ]
    if seen != found:
        raise SnapshotError(
            f"At block {block.number} the Vault lists other venues than the deployment manifest: {found}, not {seen}.",
            kept="Nothing was decided or sent.",
            todo="Bring the manifest up to date.",
        )


def _ask_slices(batch: Batch, deployment: Deployment, book: Sequence[Position]) -> list[tuple[int, int, Answer]]:
    """Optional, since a series without position needs no slice; one with a position has passed the assessment."""
    address = deployment.address("VolOracle")
    posted = function("VolOracle", "posted")
    expiries = dict.fromkeys((position.series.underlying, position.series.expiry) for position in book)
    return [(u, e, batch.add("VolOracle", address, posted, u, e, optional=True)) for u, e in expiries]


def _slice(posted: Any, window: Any) -> VolSlice:
    return replace(VolSlice(*posted), window=Window(*window))


@dataclass(frozen=True, slots=True)
class _VenueNow:
    """The second batch's part of one venue; `lending` is both reserves, USDC's configuration, two balances, and of both
    reserves what there is and what of it is used."""

    state: Answer
    decimals: Answer
    pools: tuple[PoolNow, ...]
    lending: tuple[Answer, ...]


def _ask_venue(batch: Batch, venue: _VenueImmutables, spot_wad: int) -> _VenueNow:
    contract = CONTRACTS[venue.deployed.kind]
    label = f"{contract} {venue.deployed.index}"
    address = venue.deployed.address
    state = batch.add(label, address, function(contract, "state"), spot_wad or WAD)  # as RiskEngine asks
    decimals = batch.add("token", venue.token.value, _DECIMALS)
    # The list of pools ends where the first one fails.
    addresses = [to_checksum_address(a.value) for a in itertools.takewhile(lambda a: a.value is not None, venue.pools)]
    pools = tuple(ask_pool(batch, pool) for pool in addresses)
    lending: tuple[Answer, ...] = ()
    if venue.aave is not None and venue.collateral_token is not None and venue.debt_token is not None:
        aave, collateral = venue.aave.value, venue.collateral_token.value
        lending = (
            batch.add("Aave pool", aave, _RESERVE_DATA, venue.token.value),
            batch.add("Aave pool", aave, _RESERVE_DATA, venue.usdc.value),
            batch.add("Aave pool", aave, _CONFIGURATION, venue.usdc.value),
            batch.add("aToken", collateral, _BALANCE, address),
            batch.add("aToken", collateral, _SCALED_BALANCE, address),
            batch.add("Aave pool", aave, _AVAILABLE, venue.token.value),
            batch.add("Aave pool", aave, _AVAILABLE, venue.usdc.value),
            batch.add("debt token", venue.debt_token.value, _TOTAL_SUPPLY),
            batch.add("aToken", collateral, _TOTAL_SUPPLY),
        )
    return _VenueNow(state, decimals, pools, lending)


def _venue(immutables: _VenueImmutables, now: _VenueNow, ticks: Mapping[str, Ticks]) -> VenueSeen:
    usdc, decimals = immutables.usdc.value, now.decimals.value
    state = VenueState(*now.state.value)
    pools = tuple(replace(pool.at(usdc, decimals), ticks=ticks[pool.address].value()) for pool in now.pools)
    deployed = immutables.deployed
    lending = _lending(immutables, now, debt_wad=-state.exposure)
    return VenueSeen(deployed.index, deployed.kind, deployed.address, state, pools, lending)


def _lending(immutables: _VenueImmutables, now: _VenueNow, debt_wad: int) -> Lending | None:
    if immutables.supplied is None or immutables.health_floor is None or immutables.health_target is None:
        return None
    token_reserve, usdc_reserve, configuration, balance, scaled_balance, *reserves = (a.value for a in now.lending)
    tokens, dollars, borrowed, lent = reserves
    unit = 10**now.decimals.value
    supplied = immutables.supplied.value
    # As AaveV3Short._collateral: what others sent to the venue does not count.
    is_gifted = scaled_balance > supplied
    return Lending(
        borrow_rate=token_reserve[4] / _RAY,
        supply_rate=usdc_reserve[2] / _RAY,
        liquidation_threshold=(configuration >> 16 & 0xFFFF) / 10_000,
        health_floor=immutables.health_floor.value / WAD,
        health_target=immutables.health_target.value / WAD,
        collateral_usdc=balance * supplied // scaled_balance if is_gifted else balance,
        debt_wad=debt_wad,
        borrow_room_wad=min(borrow_room(token_reserve[0], borrowed, tokens, unit) * WAD // unit, MAX_UINT256),
        supply_room_usdc=supply_room(configuration, lent, USDC),
        payable_usdc=dollars if is_moving(configuration) else 0,
        is_repayable=is_moving(token_reserve[0]),
    )
