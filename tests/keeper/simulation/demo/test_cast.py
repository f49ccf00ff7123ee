"""What takers buy in the demo: all of it where the vault's vega budget allows, else the same part of each."""

import pytest

from keeper.domain.units import DAY
from keeper.operations.parameters import Parameters
from keeper.simulation.demo.cast import PURCHASES, affordable
from keeper.simulation.demo.path import START_VOLS


def to_expiries(first):
    return [(first + 7 * number) * DAY for number in range(3)]


def test_before_the_built_in_crash_everything_is_bought():
    assert affordable(START_VOLS, to_expiries(2)) == 1


@pytest.mark.parametrize("first", [9, 16, 40])
def test_longer_options_are_bought_in_part_and_stay_within_the_vega_budget(first):
    seconds = to_expiries(first)

    part = affordable(START_VOLS, seconds)

    bought = part * sum(each.vega(START_VOLS[each.underlying], seconds[each.expiry]) for each in PURCHASES)
    assert part < 1
    assert bought == pytest.approx(0.95 * Parameters().vega_capacity)
