"""Market paths: seeded, as deep as asked, and a crash in which everything falls together."""

import numpy as np
import pytest

from keeper.simulation.demo.path import FALLS, START_VOLS, built_in, crash, quiet

SEEDS = range(8)
UNDERLYINGS = range(2)


def prices_of(steps, underlying):
    return np.array([step.prices[underlying] for step in steps])


def returns_of(steps, underlying):
    return np.diff(np.log(prices_of(steps, underlying)))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_path_and_another_seed_another(seed):
    fall, calm = crash(36, seed), quiet(24, START_VOLS, seed)

    assert fall == crash(36, seed)
    assert calm == quiet(24, START_VOLS, seed)
    assert fall != crash(36, seed + 1)
    assert calm != quiet(24, START_VOLS, seed + 1)


@pytest.mark.parametrize("underlying", UNDERLYINGS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("hours", "falls"), [(0.25, FALLS), (1, FALLS), (36, FALLS), (12, (0.5, 0.3))])
def test_the_lowest_price_of_a_crash_is_exactly_the_fall_below_its_start(seed, hours, falls, underlying):
    lowest = prices_of(crash(hours, seed, falls), underlying).min()

    assert lowest == pytest.approx(1 - falls[underlying], rel=1e-9)
    assert lowest <= 0.65 or falls is not FALLS


@pytest.mark.parametrize("underlying", UNDERLYINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_has_a_step_for_each_five_minutes_and_its_low_before_the_expiry(seed, underlying):
    path = built_in(36, seed)

    prices = prices_of(path.steps, underlying)

    assert len(prices) == 432
    assert 0.4 < prices.argmin() / len(prices) < path.first_expiry / (36 * 3600)


@pytest.mark.parametrize("underlying", UNDERLYINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_third_of_the_fall_is_won_back(seed, underlying):
    prices = prices_of(crash(36, seed), underlying)

    assert np.log(prices[-1] / prices.min()) >= -np.log(prices.min()) / 3


@pytest.mark.parametrize("underlying", UNDERLYINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_market_moves_in_steps_of_a_few_percent_at_most(seed, underlying):
    assert np.abs(returns_of(crash(36, seed), underlying)).max() < 0.12


@pytest.mark.parametrize("seed", SEEDS)
def test_underlyings_fall_together_each_with_noise_of_its_own(seed):
    steps = crash(36, seed)

    correlation = np.corrcoef(returns_of(steps, 0), returns_of(steps, 1))[0, 1]

    assert 0.75 < correlation < 0.99


@pytest.mark.parametrize("underlying", UNDERLYINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_volatility_rises_by_half_at_least_and_never_falls_in_a_crash(seed, underlying):
    vols = [step.vols[underlying] for step in crash(36, seed)]

    assert max(vols) >= 1.5 * START_VOLS[underlying]
    assert vols == sorted(vols)


@pytest.mark.parametrize("hours", [0.25, 1, 1.6, 12, 36])
def test_the_first_expiry_is_on_a_step_of_the_path(hours):
    path = built_in(hours, 1)

    assert path.first_expiry % path.spacing == 0
    assert 0 < path.first_expiry < path.hours * 3600


@pytest.mark.parametrize("seed", SEEDS)
def test_gas_gets_dearer_the_deeper_the_fall(seed):
    assert crash(36, seed)[-1].base_fee > 10 * quiet(1, START_VOLS, seed)[0].base_fee


@pytest.mark.parametrize("underlying", UNDERLYINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_quiet_hours_move_but_end_at_the_price_and_volatility_they_began_with(seed, underlying):
    steps = quiet(24, START_VOLS, seed)

    prices = prices_of(steps, underlying)

    assert prices[-1] == pytest.approx(1)
    assert np.abs(prices - 1).max() > 0.002
    assert {step.vols for step in steps} == {START_VOLS}


def test_no_quiet_hours_are_no_steps():
    assert quiet(0, START_VOLS, seed=1) == ()
