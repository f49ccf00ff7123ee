"""The snapshot is the chain at one block: equal to direct reads, and of that block whatever happened since."""

import dataclasses

import pytest

from keeper.chain.address_book import MULTICALL3
from keeper.chain.deployments import DeployedVenue
from keeper.chain.rpc import Connection
from keeper.domain.snapshot import Mode, VenueKind
from keeper.domain.units import MAX_UINT256, USDC, WAD
from keeper.errors import RpcError, SnapshotError
from keeper.market.reader import read_snapshot
from keeper.risk.valuation import margin_mismatch, value
from keeper.simulation.chain.addresses import POOL_USDC_WETH_500, POOL_WBTC_USDC_3000, WETH
from keeper.simulation.chain.addresses import USDC as USDC_TOKEN
from keeper.venues.uniswap_v3 import pool_price
from tests.keeper.vault_on_fork import (
    AAVE_BORROW_CAP,
    AAVE_FROZEN,
    AAVE_PAUSED,
    AAVE_SUPPLY_CAP,
    CAP_BITS,
    configure_aave,
)


def snapshot_of(vault, block_hash=None):
    return read_snapshot(vault.connection, vault.deployment, vault.keeper.address, block_hash)


class CountingConnection(Connection):
    requests = 0

    def request(self, method, *params):
        self.requests += 1
        return super().request(method, *params)


def test_the_snapshot_equals_direct_reads(vault):
    snapshot = snapshot_of(vault)

    block = vault.w3.eth.get_block("latest")
    assert (snapshot.chain_id, snapshot.block_number) == (1, block["number"])
    assert snapshot.block_hash == block["hash"].to_0x_hex()
    assert (snapshot.timestamp, snapshot.base_fee_wei) == (block["timestamp"], block["baseFeePerGas"])
    assert snapshot.keeper_balance_wei == vault.w3.eth.get_balance(vault.keeper.address)
    for name in ("idle", "owed"):
        assert getattr(snapshot.vault, name) == vault.read("Vault", name)
    for name in ("sequence", "loss_budget", "turnover_budget", "hedging_budget", "emergency_budget"):
        assert getattr(snapshot.vault, name) == vault.read("Hedger", name)
    assert snapshot.vault.total_supply == vault.read("Vault", "totalSupply")
    assert snapshot.vault.mode is Mode.NORMAL
    assert dataclasses.astuple(snapshot.vault.budgets) == tuple(vault.read("Hedger", "budgets"))
    assert dataclasses.astuple(snapshot.limits) == tuple(vault.read("RiskEngine", "limits"))
    assert [dataclasses.astuple(r) for r in snapshot.readings] == [
        tuple(vault.read("PriceOracle", "read", u)) for u in (0, 1)
    ]
    assert [position.slot for position in snapshot.book] == vault.read("OptionBook", "live_book")
    assert len(snapshot.book) == len(snapshot.surface.slices) == 2
    for underlying, expiry, posted in snapshot.surface.slices:
        *terms, window = dataclasses.astuple(posted)
        assert [tuple(terms), window] == list(vault.read("VolOracle", "posted", underlying, expiry))
    assessment = vault.read("Vault", "assessment")
    assert dataclasses.astuple(snapshot.assessment) == tuple(
        tuple(entry) if isinstance(entry, list) else entry for entry in assessment
    )


@pytest.mark.parametrize(
    ("underlying", "address", "pool_terms", "price"),
    [(0, POOL_USDC_WETH_500, (500, True, 18), 3_000), (1, POOL_WBTC_USDC_3000, (3_000, False, 8), 90_000)],
)
def test_venues_come_with_their_pools_and_the_lending_market(vault, underlying, address, pool_terms, price):
    venues = [venue for venue in snapshot_of(vault).venues if venue.pools]
    spot, short = [venue for venue in venues if venue.state.underlying == underlying]

    assert (spot.kind, short.kind) == (VenueKind.UNISWAP_V3_SPOT, VenueKind.AAVE_V3_SHORT)
    assert spot.state.health == MAX_UINT256
    assert spot.lending is None
    assert [pool.address for pool in spot.pools] == [address]
    pool = spot.pools[0]
    assert (pool.fee_pips, pool.usdc_is_token0, pool.token_decimals) == pool_terms
    assert pool_price(pool) == pytest.approx(price, rel=1e-4)
    assert pool.liquidity > 0
    assert (short.lending.health_floor, short.lending.health_target) == (1.5, 1.8)
    assert short.lending.liquidation_threshold == pytest.approx(0.78, abs=0.05)
    assert 0 < short.lending.supply_rate < short.lending.borrow_rate < 0.2
    assert (short.lending.collateral_usdc, short.lending.debt_wad) == (0, 0)


def test_what_aave_lets_a_short_do_is_read_with_it(vault):
    """At the same block: caps, a frozen and a paused reserve."""
    open_ = short_of(vault).lending
    assert open_.borrow_room_wad > 100 * WAD
    assert open_.supply_room_usdc > 10**6 * USDC
    assert open_.payable_usdc > 10**6 * USDC
    assert open_.is_repayable

    configure_aave(vault, WETH, AAVE_BORROW_CAP, 1, CAP_BITS)
    configure_aave(vault, USDC_TOKEN, AAVE_SUPPLY_CAP, 1, CAP_BITS)
    capped = short_of(vault).lending
    assert (capped.borrow_room_wad, capped.supply_room_usdc) == (0, 0)
    assert capped.payable_usdc > 0

    configure_aave(vault, WETH, AAVE_BORROW_CAP, 0, CAP_BITS)
    configure_aave(vault, WETH, AAVE_FROZEN, 1)
    frozen = short_of(vault).lending
    assert (frozen.borrow_room_wad, frozen.is_repayable) == (0, True)

    configure_aave(vault, WETH, AAVE_PAUSED, 1)
    configure_aave(vault, USDC_TOKEN, AAVE_PAUSED, 1)
    paused = short_of(vault).lending
    assert (paused.is_repayable, paused.payable_usdc) == (False, 0)


def short_of(vault):
    return next(venue for venue in snapshot_of(vault).venues if venue.lending is not None)


def test_the_snapshot_stays_with_its_block_while_the_chain_moves_on(vault):
    """Fault 9: every read is pinned to one block hash."""
    before = snapshot_of(vault)
    vault.market.step(2_700)
    vault.deposit("depositor", 5_000 * 10**6)

    again = snapshot_of(vault, before.block_hash)

    assert again == before
    assert snapshot_of(vault).readings[0].price_wad == 2_700 * 10**18


class MixingConnection(Connection):
    """A node where a block comes in before the first of some `calls`, which it answers from its newest state."""

    def __init__(self, url, come_in, calls):
        super().__init__(url)
        self.come_in, self.mixed, self.calls = come_in, calls, 0

    def call_at(self, block_hash, to, data):
        self.calls += 1
        if self.calls == self.mixed[0]:
            self.come_in()
        return super().call_at(self.header().hash if self.calls in self.mixed else block_hash, to, data)


def test_what_a_node_mixed_from_two_blocks_is_read_again(vault):
    """Fault 9."""
    before = snapshot_of(vault)
    connection = MixingConnection(vault.url, lambda: vault.market.step(2_700), calls=(2, 3))

    snapshot = read_snapshot(connection, vault.deployment, vault.keeper.address)

    assert snapshot == before
    assert connection.calls == 6


def test_what_it_refused_while_a_block_came_in_is_asked_again(vault):
    """Fault 9. In the new block the oracle is stale."""
    before = snapshot_of(vault)
    connection = MixingConnection(vault.url, lambda: vault.market.warp(4_000), calls=(1,))

    assert read_snapshot(connection, vault.deployment, vault.keeper.address) == before
    with pytest.raises(SnapshotError):
        snapshot_of(vault)


def test_everything_is_read_in_five_requests(vault):
    """A block, three batches, and whether it is still the newest."""
    connection = CountingConnection(vault.url)

    read_snapshot(connection, vault.deployment, vault.keeper.address)

    assert connection.requests == 5


@pytest.mark.parametrize("price", [3_000, 2_200, 3_900])
def test_the_keepers_valuation_of_the_snapshot_is_the_chains(vault, price):
    vault.market.step(price, timestamp=vault.now() + 1_234)

    snapshot = snapshot_of(vault)

    assert margin_mismatch(value(snapshot), snapshot) < 1e-6


def test_a_dead_oracle_is_named(vault):
    vault.market.warp(4_000)

    with pytest.raises(
        SnapshotError, match=r"PriceOracle\.read\(0\): oracle: stale; .*Vault\.assessment\(\): oracle: stale"
    ):
        snapshot_of(vault)


def test_a_venue_that_the_manifest_does_not_know_is_refused(vault):
    other = dataclasses.replace(vault.deployment, venues=vault.deployment.venues[:1])

    with pytest.raises(SnapshotError, match="lists other venues than the deployment manifest"):
        read_snapshot(vault.connection, other, vault.keeper.address)


def test_a_chain_without_multicall_is_told_so(vault):
    vault.market.rpc.call("anvil_setCode", MULTICALL3, "0x")

    with pytest.raises(SnapshotError, match="there is no Multicall3 at"):
        read_snapshot(vault.connection, vault.deployment, vault.keeper.address)


def test_a_manifest_with_a_wrong_address_is_named(vault):
    contracts = dict(vault.deployment.contracts)
    contracts["RiskEngine"] = dataclasses.replace(contracts["RiskEngine"], address=vault.keeper.address)
    venue = DeployedVenue(0, VenueKind.UNISWAP_V3_SPOT, vault.keeper.address, 0)
    wrong = dataclasses.replace(vault.deployment, contracts=contracts, venues=(venue, vault.deployment.venues[1]))

    with pytest.raises(
        SnapshotError, match=r"RiskEngine\.limits\(\): no such function, or no contract.*UniswapV3Spot 0"
    ):
        read_snapshot(vault.connection, wrong, vault.keeper.address)


def test_a_block_that_is_not_there_any_more_is_refused(vault):
    with pytest.raises(RpcError, match="is unknown to"):
        snapshot_of(vault, "0x" + "11" * 32)
