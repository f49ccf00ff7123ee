"""One eSSVI slice in floats."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.domain.snapshot import VolSlice
from keeper.domain.units import WAD
from keeper.pricing import fixed_point
from keeper.pricing.errors import PricingError
from keeper.pricing.essvi import is_free_of_butterflies, total_variance, vol

POSTED_AT = 1_770_000_000
EXPIRY = POSTED_AT + 30 * 86400


def make_slice(atm_vol: float, rho: float, phi: float) -> VolSlice:
    theta = atm_vol**2 * 30 / 365
    return VolSlice(int(theta * WAD), int(rho * WAD), int(phi * WAD), 0, 2 * 10**16, POSTED_AT)


def test_at_the_money_the_variance_is_theta() -> None:
    assert total_variance(0.04, -0.6, 1.5, 0.0) == pytest.approx(0.04)


def test_a_negative_correlation_makes_low_strikes_dearer() -> None:
    low, high = vol(make_slice(0.6, -0.5, 2.0), EXPIRY, np.array([-0.2, 0.2]))

    assert low > 0.6 > high


@given(st.floats(0.2, 3.0), st.floats(-0.95, 0.95), st.floats(0.0, 2.0), st.floats(-1.5, 1.5))
def test_volatility_equals_the_contracts(atm_vol: float, rho: float, phi: float, k: float) -> None:
    posted = make_slice(atm_vol, rho, phi)

    onchain = fixed_point.essvi_vol(posted, EXPIRY, int(k * WAD)) / WAD

    assert vol(posted, EXPIRY, int(k * WAD) / WAD) == pytest.approx(onchain, abs=1e-9)


@given(st.floats(0.001, 1.0), st.floats(-0.95, 0.95), st.floats(0.0, 1.0), st.floats(-2.0, 2.0))
def test_a_slice_within_the_conditions_has_no_butterfly(theta: float, rho: float, use: float, k: float) -> None:
    limit = 4.0 / (theta * (1.0 + abs(rho)))
    phi = 0.999 * use * min(limit, math.sqrt(limit))
    h = 1e-4
    below, at, above = (float(total_variance(theta, rho, phi, k + d)) for d in (-h, 0.0, h))
    slope, curvature = (above - below) / (2 * h), (above - 2 * at + below) / h**2

    density = (1 - k * slope / (2 * at)) ** 2 - slope**2 / 4 * (1 / at + 0.25) + curvature / 2

    assert is_free_of_butterflies(theta, rho, phi)
    assert density >= -1e-5


@pytest.mark.parametrize(("theta", "rho", "phi"), [(4.0, 0.0, 1.0), (0.04, 0.0, 10.1), (0.04, 1.0, 0.1)])
def test_a_slice_outside_the_conditions_is_reported(theta: float, rho: float, phi: float) -> None:
    assert not is_free_of_butterflies(theta, rho, phi)


def test_a_slice_posted_at_its_expiry_is_refused() -> None:
    with pytest.raises(PricingError, match="not before its expiry"):
        vol(make_slice(0.6, 0.0, 1.0), POSTED_AT, 0.0)
