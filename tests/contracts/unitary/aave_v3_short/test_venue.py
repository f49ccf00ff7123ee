"""AaveV3Short: borrows and sells WETH against USDC on the real Aave, and obeys the Vault alone."""

import pytest

from keeper.simulation.chain import addresses
from tests.contracts.aave import approve_weth, configure, give_atokens, liquidate
from tests.contracts.chain import DAY, USDC, WAD, reverts
from tests.contracts.protocol import ETH, HEALTH_FLOOR, HEALTH_TARGET, SHORT, load, replace_code

POOLS = (addresses.POOL_USDC_WETH_500,)
THRESHOLD = 0.78  # of USDC on the snapshot's Aave


def deploy(protocol, pools=POOLS, a_token=addresses.AAVE_USDC, debt=addresses.AAVE_WETH_DEBT, **changes):
    aave = changes.get("aave", addresses.AAVE_POOL)
    floor, target = changes.get("floor", HEALTH_FLOOR), changes.get("target", HEALTH_TARGET)
    common = (protocol.vault, ETH, addresses.USDC, addresses.WETH, 18, list(pools))
    return load("venues/AaveV3Short").deploy(*common, aave, addresses.AAVE_ORACLE, a_token, debt, floor, target)


@pytest.fixture
def short(funded):
    """Four WETH short, no bands."""
    funded.loosen()
    funded.rebalance(funded.leg(SHORT, -4))
    return funded


def state(protocol, price=3_000):
    return protocol.short.state(price * WAD)


def test_a_short_is_collateral_less_debt(short):
    now = state(short)

    assert now.underlying == ETH
    assert abs(now.exposure + 4 * WAD) <= 1
    assert now.equity == pytest.approx(12_000 * (1.8 / THRESHOLD - 1) * WAD, rel=1e-9)
    assert now.health == pytest.approx(1.8 * WAD, rel=1e-9)


def test_equity_falls_as_the_price_rises_and_is_never_negative(short):
    at = {price: state(short, price).equity for price in (3_000, 3_100, 10_000)}

    assert at[3_000] - at[3_100] == pytest.approx(400 * WAD, rel=1e-9)
    assert at[10_000] == 0


def test_stressed_equity_includes_its_own_liquidation(short):
    """At 4,500 health is 1.2, nothing is liquidated. At 8,998.50 it is 0.6: the bonus on the debt is lost."""
    now, far = state(short), state(short, 5_999)

    assert now.stressed_up == state(short, 4_500).equity
    assert now.stressed_down == state(short, 1_500).equity
    assert far.stressed_up == 0


def test_without_debt_health_is_unlimited(protocol):
    assert state(protocol).health == 2**256 - 1
    assert (state(protocol).equity, state(protocol).exposure) == (0, 0)


def test_funding_of_an_opening_is_what_the_target_misses(protocol):
    collateral = 4 * 3_000 * 1.8 / THRESHOLD

    assert protocol.short.funding(-4 * WAD, 2_990 * WAD) == pytest.approx((collateral - 4 * 2_990) * USDC, abs=2)


def test_closing_needs_no_cash(short):
    assert short.short.funding(4 * WAD, 3_015 * WAD) == 0


def test_debt_interest_lowers_equity_and_collateral_interest_raises_it(short):
    before = short.short.state(3_000 * WAD)
    short.market.wait(30 * DAY)

    after = short.short.state(3_000 * WAD)

    assert after.exposure < before.exposure
    supply_interest = after.equity - before.equity + (before.exposure - after.exposure) * 3_000
    assert supply_interest > 0


@pytest.mark.parametrize("role", ["governor", "keeper", "stranger"])
def test_trading_refuses_others(protocol, role):
    with reverts("venue: only vault"):
        protocol.short.trade(0, -WAD, 3_000 * WAD, sender=getattr(protocol, role))


@pytest.mark.parametrize("role", ["governor", "stranger"])
def test_the_swap_callback_refuses_everybody_but_the_pool_of_the_swap(short, role):
    """Attack: making the venue borrow, or withdraw its collateral, for a swap that it did not make."""
    for amounts in ((-3_000 * USDC, WAD), (3_000 * USDC, -WAD)):
        with reverts("venue: not the pool"):
            short.short.uniswapV3SwapCallback(*amounts, b"", sender=getattr(short, role))
        with reverts("venue: not the pool"):
            short.short.uniswapV3SwapCallback(*amounts, b"", sender=addresses.POOL_USDC_WETH_500)


def test_a_gift_of_atokens_counts_for_nothing(short):
    before = state(short)

    give_atokens(short.market, short.short, 50_000 * USDC, short.stranger)

    after = state(short)
    assert after.exposure == before.exposure
    assert 0 <= before.equity - after.equity <= 10**12  # one unit of rounding, against the vault


def test_a_gift_of_atokens_does_not_come_out_with_the_collateral(short):
    """Beside a gift the Vault's part of the aTokens is rounded down: one scaled unit may stay, until the next trade."""
    idle, equity = short.vault.idle(), state(short).equity // 10**12
    give_atokens(short.market, short.short, 50_000 * USDC, short.stranger)

    short.rebalance(short.leg(SHORT, 4.1))

    assert idle + equity - 20 * USDC < short.vault.idle() <= idle + equity
    assert short.short.supplied() <= 1
    short.rebalance(short.leg(SHORT, 0))
    assert short.short.supplied() == 0


def test_a_gift_after_a_liquidation_does_not_replace_what_was_lost(short):
    """Attack A22: Aave liquidates the vault's own position. The next trade notes that less is there than supplied."""
    market, liquidator = short.market, short.stranger
    market.move(5_600)
    liquidate(market, short.short, 2 * WAD, liquidator)
    short.rebalance(short.leg(SHORT, 0))
    before = state(short, 5_600)

    give_atokens(market, short.short, 5_000 * USDC, liquidator)

    assert 0 <= before.equity - state(short, 5_600).equity <= 10**12


@pytest.fixture
def worthless_gift(short):
    """A stranger has given the venue aTokens that Aave has since stopped lending against."""
    market = short.market
    approve_weth(market, short.stranger, WAD // 100)
    market.aave.supply(market.weth, WAD // 100, short.short, 0, sender=short.stranger)
    configure(market, market.weth, 0, 0, bits=16)  # loan to value
    return short


def test_a_worthless_gift_blocks_the_collateral_until_it_is_disowned(worthless_gift):
    """Aave lets no other collateral out while one with a loan-to-value of zero is there."""
    with reverts():  # Aave's LtvValidationFailed
        worthless_gift.rebalance(worthless_gift.leg(SHORT, 1))

    worthless_gift.short.disown(worthless_gift.market.weth, sender=worthless_gift.stranger)
    worthless_gift.rebalance(worthless_gift.leg(SHORT, 1))

    assert abs(state(worthless_gift).exposure + 3 * WAD) <= 10


def test_its_own_collateral_cannot_be_disowned(short):
    with reverts("venue: own collateral"):
        short.short.disown(addresses.USDC, sender=short.stranger)


def test_repaying_its_debt_for_it_enriches_the_shareholders_and_nobody_else(short):
    """Aave lets anyone repay any debt. Debt counts as it is, so this gift alone moves NAV: up, and delta with it."""
    market, giver = short.market, short.stranger
    approve_weth(market, giver, WAD)
    before = short.vault.assessment()

    market.aave.repay(market.weth, WAD, 2, short.short, sender=giver)

    after = short.vault.assessment()
    assert abs(after.nav_bid - before.nav_bid - 3_000 * WAD) < WAD
    assert abs(after.delta[ETH] - before.delta[ETH] - WAD) <= 1


def test_health_below_the_floor_is_refused(funded):
    """With floor and target equal the rounding of Aave's own balances already ends below."""
    venue = deploy(funded, floor=HEALTH_TARGET, target=HEALTH_TARGET)
    funded.vault.list_venue(venue, ETH, sender=funded.governor)
    funded.loosen()

    with reverts("venue: health below floor"):
        funded.rebalance(funded.leg(2, -3))


def test_health_that_fell_below_the_floor_is_restored(short):
    short.market.move(3_700)
    fallen = state(short, 3_700).health

    short.rebalance(short.leg(SHORT, 0))

    assert fallen < HEALTH_FLOOR
    assert state(short, 3_700).health == pytest.approx(HEALTH_TARGET, rel=1e-7)


def test_without_cash_a_fallen_short_can_still_be_bought_back(short):
    short.market.move(3_700)
    short.overwrite("idle", 0)

    with reverts("vault: not enough idle cash"):
        short.rebalance(short.leg(SHORT, 0))
    short.rebalance(short.leg(SHORT, 4.1))

    assert state(short, 3_700).exposure == 0


def test_a_token_that_returns_false_is_refused(short):
    replace_code(addresses.WETH, "RefusingToken", short.short)

    with reverts("venue: transfer"):
        short.rebalance(short.leg(SHORT, -1))


def test_an_aave_that_does_not_repay_is_refused(short):
    replace_code(addresses.AAVE_POOL, "LyingAave")

    with reverts("venue: repay"):
        short.rebalance(short.leg(SHORT, 1))


def test_an_aave_that_does_not_pay_out_is_refused(short):
    short.market.move(2_700)
    replace_code(addresses.AAVE_POOL, "LyingAave")

    with reverts("venue: withdraw"):
        short.rebalance(short.leg(SHORT, 0))


def test_needs_a_pool(protocol):
    with reverts("venue: no pool"):
        deploy(protocol, pools=())


@pytest.mark.parametrize(
    "changes", [{"a_token": addresses.AAVE_WETH}, {"a_token": addresses.AAVE_USDC, "aave": addresses.AAVE_ORACLE}]
)
def test_another_atoken_is_refused(protocol, changes):
    with reverts("venue: wrong aToken"):
        deploy(protocol, **changes)


def test_another_debt_token_is_refused(protocol):
    with reverts("venue: wrong debt token"):
        deploy(protocol, debt=addresses.AAVE_USDC_DEBT)


@pytest.mark.parametrize("health", [{"floor": WAD}, {"floor": 19 * WAD // 10}])
def test_a_floor_of_one_or_above_the_target_is_refused(protocol, health):
    with reverts("venue: health"):
        deploy(protocol, **health)
