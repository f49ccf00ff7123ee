"""The eSSVI surface: no arbitrage at, between, before and after its slices; what the contract stores is the same."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.domain.units import WAD, YEAR
from keeper.pricing import fixed_point
from keeper.pricing.calibration import surface_of
from keeper.pricing.errors import PricingError
from keeper.pricing.essvi import is_free_of_butterflies
from keeper.pricing.posting import targets
from keeper.pricing.surface import EssviSurface, durrleman, essvi_derivatives
from tests.keeper.pricing.chains import ordinary_surface

POSTED_AT = 1_770_000_000
GRID = np.linspace(-6.0, 6.0, 1001)


@st.composite
def surfaces(draw: st.DrawFn) -> EssviSurface:
    """Any surface that the calibration can produce: two to six expiries, every parameter far into its corners."""
    n = draw(st.integers(2, 6))
    years = np.cumsum([draw(st.floats(0.003, 0.5)) for _ in range(n)])
    log_a = [draw(st.floats(-7.0, -0.5)) for _ in range(n)]
    r = [draw(st.floats(-1.5, 1.5)) for _ in range(n)]
    position = [draw(st.floats(-4.0, 8.0)) for _ in range(n)]
    return surface_of(np.array([*log_a, *r, *position]), years, np.full(n, 3000.0))


def vogt(k: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Raw SVI of Gatheral and Jacquier (2014), example 3.1, with slope and curvature."""
    a, b, m, rho, sigma = -0.0410, 0.1331, 0.3586, 0.3060, 0.4153
    root = np.sqrt(np.square(k - m) + sigma**2)
    return a + b * (rho * (k - m) + root), b * (rho + (k - m) / root), b * sigma**2 / root**3


def test_the_butterfly_check_finds_the_arbitrage_of_axel_vogt() -> None:
    """QUANT.md, value 2: smallest g and where it is negative."""
    k = np.linspace(-1.5, 1.5, 300_001)

    g = durrleman(k, *vogt(k))

    assert g.min() == pytest.approx(-0.0328636, abs=5e-8)
    assert k[g.argmin()] == pytest.approx(0.87926, abs=1e-5)
    assert (k[g < 0.0].min(), k[g < 0.0].max()) == pytest.approx((0.6424, 1.2569), abs=1e-4)


@given(st.floats(0.001, 1.0), st.floats(-0.9, 0.9), st.floats(0.01, 1.0), st.floats(-2.0, 2.0))
def test_slope_and_curvature_of_a_slice_equal_finite_differences(
    theta: float, rho: float, use: float, k: float
) -> None:
    psi, h = use * np.sqrt(theta), 1e-4
    _, slope, curvature = essvi_derivatives(theta, rho, psi, np.array(k))

    below, at, above = essvi_derivatives(theta, rho, psi, k + h * np.array([-1.0, 0.0, 1.0]))[0]

    assert slope == pytest.approx((above - below) / (2 * h), rel=1e-3, abs=1e-5)
    assert curvature == pytest.approx((above - 2 * at + below) / h**2, rel=1e-2, abs=1e-4 * psi * psi / theta)


@given(surfaces())
def test_slices_have_no_butterfly_and_do_not_cross(surface: EssviSurface) -> None:
    grid = GRID * np.sqrt(surface.theta[-1])

    assert surface.is_free_of_arbitrage()
    assert surface.worst_density(grid) >= 0.0
    assert surface.worst_crossing(grid) >= -1e-10


@given(surfaces())
def test_between_before_and_after_the_slices_there_is_no_arbitrage(surface: EssviSurface) -> None:
    years = np.concatenate(
        [[surface.years[0] / 10, surface.years[0] / 2], np.linspace(surface.years[0], 3 * surface.years[-1], 23)]
    )
    theta, rho, psi = surface.at(years)
    dense = EssviSurface(years, np.full(len(years), 3000.0), theta, rho, psi)
    grid = GRID * np.sqrt(surface.theta[-1])

    assert dense.worst_density(grid) >= -1e-9
    assert dense.worst_crossing(grid) >= -1e-9


@given(surfaces(), st.floats(0.0005, 5.0), st.floats(-3.0, 3.0))
def test_volatility_is_finite_and_positive_everywhere(surface: EssviSurface, years: float, k: float) -> None:
    vol = surface.vol(k, years)

    assert np.isfinite(vol)
    assert vol > 0.0


def test_at_its_expiries_the_surface_is_its_slices() -> None:
    surface = ordinary_surface()

    theta, rho, psi = surface.at(surface.years)

    np.testing.assert_allclose([theta, rho, psi], [surface.theta, surface.rho, surface.psi], rtol=1e-14)
    np.testing.assert_allclose(surface.atm_vol(surface.years), np.sqrt(surface.theta / surface.years), rtol=1e-14)


def test_before_the_first_expiry_the_smile_stays_and_after_the_last_its_level_does() -> None:
    surface = ordinary_surface()
    k = np.array([-0.1, 0.0, 0.1])

    np.testing.assert_allclose(surface.vol(k, 0.1 / 365), surface.vol(k, 1 / 365), rtol=1e-12)
    assert surface.atm_vol(4.0) == pytest.approx(surface.atm_vol(1.0))


@given(surfaces())
def test_what_the_contract_stores_has_the_same_volatilities_and_keeps_the_conditions(surface: EssviSurface) -> None:
    expiries = [POSTED_AT + round(years * YEAR) for years in surface.years]

    slices = targets(surface, 0.02, 3000.0, POSTED_AT, expiries)

    for (expiry, posted), years in zip(slices.items(), surface.years, strict=True):
        for z in (-2, -1, 0, 1, 2):
            k = z * float(np.sqrt(posted.theta / WAD))
            onchain = fixed_point.essvi_vol(posted, expiry, int(k * WAD)) / WAD
            assert onchain == pytest.approx(float(surface.vol(k, years)), rel=1e-4)
        assert is_free_of_butterflies(posted.theta / WAD, posted.rho / WAD, posted.phi / WAD)
        assert (posted.rho % 10**9, posted.phi % 10**6, posted.carry % 10**9, posted.half_spread % 10**9) == (0,) * 4


def test_the_carry_of_a_slice_gives_its_forward_back() -> None:
    surface = ordinary_surface()

    assert surface.carry(3000.0) == pytest.approx(np.full(10, 0.04))


@pytest.mark.parametrize("years", [0.0, -1.0, np.nan])
def test_a_tenor_that_is_not_positive_is_refused(years: float) -> None:
    with pytest.raises(PricingError, match="years must be positive"):
        ordinary_surface().at(years)


def test_a_surface_with_crossing_slices_is_reported() -> None:
    good = ordinary_surface()
    swapped = EssviSurface(good.years, good.forward, good.theta[::-1], good.rho, good.psi)

    assert not swapped.is_free_of_arbitrage()
    assert swapped.worst_crossing(GRID) < 0.0
