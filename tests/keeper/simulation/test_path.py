"""Market paths: seeded, and as deep as asked."""

import pytest

from keeper.simulation.path import crash, quiet

SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_path_and_another_seed_another(seed):
    fall = crash(12, price=3000, vol=0.6, seed=seed)
    calm = quiet(24, price=3000, vol=0.6, seed=seed)

    assert fall == crash(12, price=3000, vol=0.6, seed=seed)
    assert calm == quiet(24, price=3000, vol=0.6, seed=seed)
    assert fall != crash(12, price=3000, vol=0.6, seed=seed + 1)
    assert calm != quiet(24, price=3000, vol=0.6, seed=seed + 1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("hours", "fall"), [(0.25, 0.28), (1, 0.25), (12, 0.28), (12, 0.5)])
def test_the_lowest_price_of_a_crash_is_exactly_the_fall_below_its_start(seed, hours, fall):
    steps = crash(hours, price=3000, vol=0.6, seed=seed, fall=fall)

    assert min(step.price for step in steps) == pytest.approx(3000 * (1 - fall), rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_has_a_step_for_each_five_minutes_and_finds_its_low_in_the_last_half(seed):
    prices = [step.price for step in crash(12, price=3000, vol=0.6, seed=seed)]

    assert len(prices) == 144
    assert prices.index(min(prices)) >= 72


@pytest.mark.parametrize("seed", SEEDS)
def test_volatility_rises_by_half_at_least_and_never_falls_in_a_crash(seed):
    vols = [step.vol for step in crash(12, price=3000, vol=0.6, seed=seed)]

    assert max(vols) >= 1.5 * 0.6
    assert vols == sorted(vols)


@pytest.mark.parametrize("seed", SEEDS)
def test_gas_gets_dearer_the_deeper_the_fall(seed):
    steps = crash(12, price=3000, vol=0.6, seed=seed)

    assert steps[-1].base_fee > 10 * quiet(1, price=3000, vol=0.6, seed=seed)[0].base_fee


@pytest.mark.parametrize("seed", SEEDS)
def test_quiet_hours_move_but_end_at_the_price_and_volatility_they_began_with(seed):
    steps = quiet(24, price=3000, vol=0.6, seed=seed)

    assert steps[-1].price == pytest.approx(3000)
    assert max(abs(step.price / 3000 - 1) for step in steps) > 0.002
    assert {step.vol for step in steps} == {0.6}


def test_no_quiet_hours_are_no_steps():
    assert quiet(0, price=3000, vol=0.6, seed=1) == ()
