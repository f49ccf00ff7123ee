"""modules/series: terms and position in one slot."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper.domain.series import Position
from tests.contracts import harness
from tests.contracts.chain import WAD, reverts

MOST = (2**86 - 1) * 10**9


@pytest.fixture
def packed(market):
    return harness.series()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    underlying=st.integers(0, 2**8 - 1),
    is_call=st.booleans(),
    expiry=st.integers(0, 2**32 - 1),
    strike=st.integers(0, 2**64 - 1),
    ln_strike=st.integers(0, 2**64 - 1),
    position=st.integers(-MOST // 10**9, MOST // 10**9),
)
def test_what_is_packed_comes_back(packed, underlying, is_call, expiry, strike, ln_strike, position):
    series = packed.pack(underlying, is_call, expiry, strike * 10**12, ln_strike)

    slot = packed.with_position(series, position * 10**9)

    terms = (series, underlying, is_call, expiry, strike * 10**12, ln_strike)
    assert packed.unpack(slot) == (*terms, position * 10**9)


def test_a_new_position_replaces_the_old_one(packed):
    series = packed.pack(0, True, 10**9, 3_000 * WAD, 8 * WAD)

    slot = packed.with_position(packed.with_position(series, -5 * WAD), 3 * WAD)

    assert packed.unpack(slot)[-1] == 3 * WAD
    assert packed.with_position(slot, 0) == series


@pytest.mark.parametrize("position", [1, -1, WAD + 1])
def test_positions_are_multiples_of_1e_9(packed, position):
    with reverts("series: size not a multiple of 1e-9"):
        packed.with_position(0, position)


@pytest.mark.parametrize("position", [MOST + 10**9, -MOST - 10**9])
def test_positions_have_a_largest_size(packed, position):
    with reverts("series: position too large"):
        packed.with_position(0, position)


def test_the_keeper_packs_the_same_way(packed):
    """keeper/domain reads slots as the contracts write them."""
    slot = packed.with_position(packed.pack(1, False, 1_795_161_600, 3_050 * WAD, 8 * WAD), -7 * WAD)

    position = Position.from_slot(slot)

    assert (position.series.underlying, position.series.is_call) == (1, False)
    assert (position.series.expiry, position.series.strike) == (1_795_161_600, 3_050)
    assert (position.series.ln_strike_wad, position.size_wad) == (8 * WAD, -7 * WAD)
    assert position.slot == slot
