"""A28: with as many series, venues and legs as there can be, every call fits into a transaction of mainnet."""

import boa
import pytest
from eth_abi import encode

from keeper.simulation.chain import addresses
from tests.contracts.chain import USDC, WAD, reason, reverts
from tests.contracts.protocol import BTC, DECISION, ETH, Leg, Protocol, wad

MOST = 16_777_216  # gas of a transaction, EIP-7825
SERIES, VENUES = 32, 8
FROZEN_GAS = 8_000_000  # CircuitBreaker's floor for frozen exits
FROZEN = 4  # Mode
INVALID = b"\xfe"  # an opcode that takes all gas


@pytest.fixture(scope="module")
def _full(market):
    """Thirty-two series of two underlyings with a position each, and eight venues that hold something each."""
    p = Protocol(market, has_btc=True)
    with boa.env.prank(p.governor):
        p._list_venues(ETH, addresses.WETH, 18, [addresses.POOL_USDC_WETH_500], addresses.AAVE_WETH_DEBT)
        p._list_venues(BTC, addresses.WBTC, 8, [addresses.POOL_WBTC_USDC_3000], addresses.AAVE_WBTC_DEBT)
    p.deposit(3_000_000 * USDC)
    p.loosen(loss_capacity=WAD, loss_per_day=WAD)
    first, second = p.expiry(14), p.expiry(21)
    for expiry in (first, second):
        p.post_slice(expiry)
        p.post_slice(expiry, underlying=BTC)
    for n in range(SERIES):
        underlying = ETH if n < SERIES // 2 else BTC
        step, size = ((50, WAD), (1_000, WAD // 20))[underlying]
        strike = (3_000, 90_000)[underlying] + (n // 4 % 4 - 1) * step
        expiry = (first, second)[n % 2]
        arguments = (underlying, n // 2 % 2 == 0, expiry, wad(strike))
        series = p.book.list_series(*arguments, sender=p.governor)
        p.sell(series, size)
    p.rebalance(*legs(p, 0.02))
    assert len(p.book.live_book()) == SERIES
    assert len(p.vault.all_venues()) == VENUES
    return p


def legs(p, size):
    """One leg per venue: long where it holds, short where it borrows."""
    signs = (1, -1, 1, -1, 1, -1, 1, -1)
    underlyings = (ETH, ETH, BTC, BTC, ETH, ETH, BTC, BTC)
    scale = (size, size / 20)
    prices = (3_000, 90_000)
    return [
        Leg(venue, 0, wad(sign * scale[u]), wad(prices[u] * (1 + 0.02 * sign)))
        for venue, (sign, u) in enumerate(zip(signs, underlyings, strict=True))
    ]


@pytest.fixture
def full(_full):
    """Isolated per test."""
    with boa.env.anchor():
        yield _full


def calls(p):
    """What anybody has to be able to do, by name."""
    who, series = p.depositor, p.book.live_book()[0] >> 87 << 87
    p.fund(who, 10_000 * USDC)
    p.fund(p.taker, 10_000 * USDC, p.book)
    sale, purchase = p.quote(series), p.quote(series, vault_sells=False, size=WAD // 10)
    deadline = p.market.now + 60
    rebalance = (legs(p, 0.01), p.hedger.sequence(), deadline, b"")
    return {
        "deposit": lambda gas: p.vault.deposit(1_000 * USDC, who, sender=who, gas=gas),
        "mint": lambda gas: p.vault.mint(1_000 * WAD, who, sender=who, gas=gas),
        "withdraw": lambda gas: p.vault.withdraw(1_000 * USDC, who, who, sender=who, gas=gas),
        "redeem": lambda gas: p.vault.redeem(1_000 * WAD, who, who, sender=who, gas=gas),
        "checkpoint": lambda gas: p.vault.checkpoint(sender=p.stranger, gas=gas),
        "sale": lambda gas: p.book.fill(sale, WAD, p.quoter.address, p.sign(sale), sender=p.taker, gas=gas),
        "purchase": lambda gas: p.book.fill(
            purchase, WAD // 10, p.quoter.address, p.sign(purchase), sender=p.taker, gas=gas
        ),
        "rebalance with eight legs": lambda gas: p.hedger.rebalance(*rebalance, sender=p.keeper, gas=gas),
        "heartbeat": lambda gas: p.hedger.heartbeat(sender=p.keeper, gas=gas),
    }


def unhedge(p):
    """Long two ETH beyond neutral, whatever the bands say: eight legs can sell some."""
    p.loosen(loss_capacity=WAD, loss_per_day=WAD)
    p.rebalance(Leg(0, 0, 2 * WAD, wad(3_060)))


def sales(size):
    """Eight legs of ETH together, through the venue that needs most gas: each borrows."""
    return [Leg(1 if n % 2 else 5, 0, -wad(size / 8), wad(2_950)) for n in range(8)]


@pytest.fixture
def distressed(full):
    """Equity at 0.9 of maintenance margin by the record for ten minutes: strangers may do everything."""
    unhedge(full)
    full.overwrite("idle", full.vault.idle() - spare(full, 0.9))
    full.last(600)
    return full


@pytest.fixture
def overdue(full):
    """Shares that have waited for seven days: cash is short of them, and so is initial margin."""
    unhedge(full)
    full.request(2_900_000 * WAD)
    full.overwrite("idle", full.vault.idle() - spare(full, 1.3))
    for _ in range(8):
        full.close_epoch()
        full.market.submit_btc(90_000)
        if full.queue.can_settle():
            full.settle_epoch()
    return full


def spare(p, health):
    """USDC beyond `health` times maintenance margin."""
    a = p.vault.assessment()
    return int(a.nav_mid - a.maintenance * health) // 10**12


def liquidation(p):
    """What strangers do in a liquidation."""
    series, who = p.book.live_book()[0] >> 87 << 87, {"sender": p.stranger}
    return {
        "record_breach": lambda gas: p.hedger.record_breach(gas=gas, **who),
        "de_risk with eight legs": lambda gas: p.hedger.de_risk(sales(0.01), gas=gas, **who),
        "open": lambda gas: p.auction.open(gas=gas, **who),
        "bid with eight legs": lambda gas: p.auction.bid(
            series, WAD // 50, False, sales(0.01), 0, sender=p.taker, gas=gas
        ),
    }


def rescue(p):
    """What strangers do for a queue that is not paid."""
    series, who = p.book.live_book()[0] >> 87 << 87, {"sender": p.stranger}
    return {
        "open_rescue": lambda gas: p.auction.open_rescue(gas=gas, **who),
        "rescue bid with eight legs": lambda gas: p.auction.bid(
            series, WAD // 50, False, sales(0.01), 0, sender=p.taker, gas=gas
        ),
        "close": lambda gas: close(p, gas),
    }


def close(p, gas):
    """The queue can be paid after all."""
    p.overwrite("idle", p.vault.idle() + 10**6 * USDC)
    p.auction.close(sender=p.stranger, gas=gas)


def show(used, capsys):
    with capsys.disabled():
        print("\n" + "\n".join(f"{name:28}{gas:11,} gas" for name, gas in used.items()))


def gas_of(steps):
    """Gas of calls that follow one another."""
    used = {}
    for name, call in steps.items():
        call(MOST)
        used[name] = int(boa.env.evm.evm.result.gas_used)
    return used


def test_a28_every_call_fits_into_a_transaction_at_the_largest_book(full, capsys):
    """Attack A28: nobody can fill the book until deposits, exits, hedges or settlement no longer fit into a block."""
    used = {}
    for name, call in calls(full).items():
        with boa.env.anchor():
            call(MOST)
            used[name] = int(boa.env.evm.evm.result.gas_used)
    with boa.env.anchor():
        full.request(1_000 * WAD)
        full.close_epoch()
        full.market.wait(1)
        full.queue.settle_epoch(sender=full.stranger, gas=MOST)
        used["settle_epoch"] = int(boa.env.evm.evm.result.gas_used)

    show(used, capsys)
    assert max(used.values()) < MOST


def test_a28_strangers_can_liquidate_the_largest_book(distressed, capsys):
    """Attack A28: nobody can fill the book until it cannot be mended any more."""
    used = gas_of(liquidation(distressed))

    show(used, capsys)
    assert max(used.values()) < MOST


def test_a28_strangers_can_rescue_the_queue_of_the_largest_book(overdue, capsys):
    """Attack A28: nor until those who wait are never paid."""
    used = gas_of(rescue(overdue))

    show(used, capsys)
    assert max(used.values()) < MOST


def test_a28_an_expiry_of_as_many_series_as_there_can_be_is_settled_in_one_transaction(funded):
    """Attack A28: all thirty-two series in one expiry."""
    expiry = funded.expiry()
    funded.post_slice(expiry)
    listed = []
    for n in range(SERIES):
        strike = 3_000 + (n // 2 - 8) * 50
        listed.append(funded.book.list_series(ETH, n % 2 == 0, expiry, wad(strike), sender=funded.governor))
        if abs(strike - 3_000) <= 300:
            funded.sell(listed[-1], WAD // 10)
    proof = funded.reach_expiry(expiry, 3_050)
    funded.market.submit_usdc()

    funded.book.settle(ETH, expiry, *proof, sender=funded.stranger, gas=MOST)

    assert funded.book.live_book() == []


def test_a28_the_33rd_series_is_refused(full):
    """Attack A28: not even by the governor."""
    with reverts("book: no free slot"):
        full.book.list_series(ETH, True, full.expiry(28), wad(3_000), sender=full.governor)


def test_a28_a_ninth_leg_does_not_exist(full):
    """Attack A28: eight legs go through, the ABI refuses nine."""
    many = [*legs(full, 0.01), Leg(0, 0, wad(0.01), wad(3_060))]
    kinds = ["(uint256,uint256,int256,uint256)[]", "uint256", "uint256", "bytes32"]

    def send(chosen):
        rest = (full.hedger.sequence(), full.market.now + 60, DECISION)
        selector = full.hedger.rebalance.prepare_calldata([], *rest)[:4]
        data = selector + encode(kinds, [[tuple(leg) for leg in chosen], *rest])
        return boa.env.execute_code(to_address=full.hedger.address, sender=full.keeper, data=data)

    with boa.env.anchor():
        assert not send(many[:8]).is_error
    assert send(many).is_error


def test_a28_a_starved_call_changes_nothing(full):
    """Attack A28: with any amount of gas a call does all of it or nothing: too little gas is never a missing venue."""
    for name, call in calls(full).items():
        with boa.env.anchor():
            before = full.vault.assessment()
            call(MOST)
            needed, honest = int(boa.env.evm.evm.result.gas_used), full.vault.assessment()
        for part in (0.3, 0.6, 0.8, 0.9, 0.95, 0.99):
            with boa.env.anchor():
                try:
                    call(round(needed * part))
                except boa.BoaError:
                    assert full.vault.assessment() == before, name
                else:  # what is refunded at the end had to be there in between
                    assert full.vault.assessment() == honest, name


def waste_gas(p):
    """What the venues ask takes all gas that it gets: no assessment that succeeds needs more."""
    p.vault.checkpoint()
    for asked in (addresses.WETH, addresses.WBTC, addresses.AAVE_USDC):
        boa.env.set_code(asked, INVALID)


def frozen_exit(p, gas):
    """Whether the depositor is paid for 1,000 shares as if NAV could not be computed, and the reason if not."""
    try:
        return p.breaker.exit_frozen(1_000 * WAD, p.depositor, sender=p.depositor, gas=gas) > 0
    except boa.BoaError as error:
        return reason(error)


@pytest.mark.parametrize("wasteful", [False, True])
def test_a28_nobody_feigns_a_dead_oracle_by_starving_the_largest_book(full, wasteful):
    """Attack A28: what the assessment needs is asked for first, so that it fails only for the oracles' reasons."""
    full.vault.checkpoint()
    if wasteful:
        waste_gas(full)
    answers = set()

    for gas in [*range(1_000_000, FROZEN_GAS + 400_000, 50_000), MOST - 100_000]:
        with boa.env.anchor():
            answers.add(frozen_exit(full, gas))

    assert answers == {"breaker: too little gas", "breaker: not frozen"}


def test_a28_a_dead_oracle_that_burns_all_gas_does_not_close_frozen_exits(full):
    """Attack A28: of a transaction's gas each call keeps a 64th back, and they pay."""
    waste_gas(full)
    boa.env.set_code(addresses.ETH_USD_FEED, INVALID)
    assert full.vault.mode(gas=MOST) == FROZEN

    assert frozen_exit(full, MOST - 100_000) is True
