"""A22: Aave liquidates the vault's own short before the keeper reacts; real Aave, real pools, the real keeper."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from web3 import Web3

from keeper.chain.address_book import address_book
from keeper.chain.sender import Sender
from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot, VenueKind
from keeper.domain.units import USDC, WAD
from keeper.execution.journal import Journal
from keeper.execution.records import Kind
from keeper.market.reader import read_snapshot
from keeper.operations.contracts import bind, usdc_of
from keeper.operations.deploy import deploy
from keeper.operations.parameters import Parameters
from keeper.operations.roles import Keys
from keeper.operations.seed import SEED
from keeper.risk.valuation import margin_mismatch, value
from keeper.runtime.loop import Keeper
from keeper.simulation.chain import addresses
from keeper.simulation.chain.placement import LocalChain, published
from keeper.simulation.contract_calls import call_data, read
from keeper.simulation.driver import MarketDriver
from keeper.simulation.fork import Fork
from keeper.simulation.paths import DATA_VARIABLE
from tests.keeper.vault_on_fork import VOL, VaultOnFork, account_of

POLICY = Policy()
ETH = 0
BEFORE, JUMP = 3_000, 5_550  # USD: a health of 1.8 becomes 0.97
LOT = 55  # puts
BONUS = 0.045  # of Aave's liquidations of USDC
UNLIMITED = 2**256 - 1


@dataclass
class Scene:
    """A vault that is short some 50 ETH at Aave against the puts that it has sold, and its keeper."""

    vault: VaultOnFork
    keeper: Keeper
    journal: Journal

    def seen(self) -> Snapshot:
        return read_snapshot(self.vault.connection, self.vault.deployment, self.vault.keeper.address)

    def short(self, snapshot: Snapshot):
        return next(v for v in snapshot.venues if v.kind is VenueKind.AAVE_V3_SHORT and v.state.underlying == ETH)

    def step(self, price: float) -> None:
        self.vault.market.step({"ETH": price}, timestamp=self.vault.now() + 150)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setenv(DATA_VARIABLE, "")  # recorded liquidity ends far below the jump
        patch.delenv("KEEL_UPSTREAM", raising=False)
        fork = stack.enter_context(Fork())
        vault = _opened(fork.url, fork.w3)
        journal = Journal(f"sqlite:///{tmp_path_factory.mktemp('keeper') / 'keel.sqlite'}")
        keeper = Keeper(vault.connection, vault.deployment, vault.keeper, POLICY, journal, poll_seconds=0.01)
        scene = Scene(vault, keeper, journal)
        for week in (2, 4):
            vault.sell(vault.list_series(is_call=False, strike=BEFORE, weeks=week), LOT)
            _until_it_holds(scene, BEFORE)
        yield scene
        journal.close()


def _opened(url: str, w3: Web3) -> VaultOnFork:
    market = MarketDriver(w3)
    for role in ("governor", "keeper", "quoter", "vol_poster", "depositor", "taker", "stranger"):
        market.fund_eth(account_of(role).address, 100 * WAD)
    for _ in range(3):
        market.step({"ETH": BEFORE, "BTC": 90_000}, timestamp=market.timestamp() + 150)
    keys = Keys(*(account_of(role).address for role in ("guardian", "keeper", "quoter", "vol_poster")))
    market.fund_usdc(account_of("governor").address, SEED)
    parameters = Parameters(opening_vol=(VOL, VOL))
    vault = VaultOnFork(url, w3, market, deploy(Sender(w3, account_of("governor")), address_book(1), keys, parameters))
    vault.deposit("depositor", 1_000_000 * USDC)
    return vault


def _until_it_holds(scene: Scene, price: float) -> None:
    """The keeper acts on each of the market's steps until it finds nothing to do."""
    for _ in range(8):
        record = scene.keeper.tick()
        if record is not None and record.decision.action is Action.HOLD:
            return
        scene.step(price)
    raise AssertionError([record.decision.reason for record in scene.journal.decisions()][-4:])


def _liquidate(scene: Scene, venue: str) -> None:
    """A stranger repays as much as Aave lets him, and takes its worth in USDC and the bonus."""
    who, market = account_of("stranger").address, scene.vault.market
    market.fund_weth(who, 100 * WAD)
    chain = LocalChain(market.rpc)
    market.rpc.call("anvil_impersonateAccount", who)
    pool = published("@aave/core-v3@1.19.3", "artifacts/contracts/protocol/pool/Pool.sol/Pool.json").abi
    aave = scene.vault.w3.eth.contract(address=Web3.to_checksum_address(addresses.AAVE_POOL), abi=pool).functions
    approve = call_data("approve(address,uint256)", addresses.AAVE_POOL, UNLIMITED)
    market.rpc.call("eth_sendTransaction", {"from": who, "to": addresses.WETH, "data": approve})
    chain.transact(aave.liquidationCall(addresses.USDC, addresses.WETH, venue, UNLIMITED, False), who)


def test_a22_after_aave_liquidated_the_short_the_books_balance_and_the_keeper_restores_them(scene: Scene) -> None:
    """Attack A22: the vault loses Aave's bonus and no more; NAV knows it at once; health and delta come back."""
    vault = scene.vault
    for _ in range(3):  # the keeper sleeps; the TWAP follows
        scene.step(JUMP)
    before = scene.seen()
    short = scene.short(before)
    assert short.state.exposure < -40 * WAD
    assert 0.95 * WAD < short.state.health < WAD

    _liquidate(scene, short.address)

    after = scene.seen()
    hit = scene.short(after)
    repaid = (hit.state.exposure - short.state.exposure) / WAD
    lost = (before.assessment.nav_mid - after.assessment.nav_mid) / WAD
    assert repaid == pytest.approx(-short.state.exposure / WAD / 2, rel=0.01)  # Aave's close factor
    assert lost == pytest.approx(BONUS * repaid * JUMP, rel=0.02)
    _assert_the_books_balance(vault, after)

    _until_it_holds(scene, JUMP)

    ended = scene.seen()
    band = ended.limits.delta_target * ended.assessment.nav_bid // WAD
    assert abs(ended.assessment.delta[ETH]) * ended.assessment.spot[ETH] // WAD <= band
    assert scene.short(ended).state.health >= 15 * WAD // 10
    assert not ended.assessment.venue_failed
    assert ended.assessment.nav_mid > after.assessment.nav_mid * 99 // 100
    _assert_the_books_balance(vault, ended)
    hedges = [r for r in scene.journal.decisions() if r.kind is Kind.HEDGE and r.decision.action is Action.TRADE]
    assert hedges[-1].snapshot is not None
    assert hedges[-1].snapshot.timestamp >= after.timestamp


def _assert_the_books_balance(vault: VaultOnFork, snapshot: Snapshot) -> None:
    """NAV is idle, less what is owed, what Aave says of both its venues, the tokens held, and the options; and the
    keeper computes what the contracts do."""
    state, rpc = snapshot.vault, vault.market.rpc
    usdc = usdc_of(vault.w3, vault.deployment).functions
    price = snapshot.assessment.spot[ETH]
    worth = 0
    for venue in snapshot.venues:
        assert usdc.balanceOf(venue.address).call() == 0
        lent = read(rpc, addresses.AAVE_USDC, "balanceOf(address)", "uint256", venue.address)
        owed = read(rpc, addresses.AAVE_WETH_DEBT, "balanceOf(address)", "uint256", venue.address)
        held = read(rpc, addresses.WETH, "balanceOf(address)", "uint256", venue.address)
        if venue.state.underlying == ETH:
            equity = max(lent * 10**12 + (held - owed) * price // WAD, 0)
            assert abs(venue.state.equity - equity) <= 10**13, venue
            worth += venue.state.equity
    options = sum(risk.mid for risk in value(snapshot).options) * WAD
    assert usdc.balanceOf(vault.deployment.address("Vault")).call() == state.idle
    nav = (state.idle - state.owed) * 10**12 + worth + options
    assert snapshot.assessment.nav_mid == pytest.approx(nav, abs=10**15)
    assert margin_mismatch(value(snapshot), snapshot) < POLICY.margin_tolerance
    shares = bind(vault.w3, vault.deployment, "Vault").functions.totalSupply().call()
    assert shares == state.total_supply
