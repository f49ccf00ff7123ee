"""The demo's vol poster: calibrated to the demo's market, posted as the oracle lets."""

import itertools

import numpy as np
import pytest

from keeper.domain.units import DAY, HOUR, WAD
from keeper.pricing.calibration import Outcome, calibrate
from keeper.pricing.posting import half_spreads
from keeper.simulation.demo.poster import Poster, option_chain
from tests.keeper.vault_on_fork import BTC_SPOT, SPOT, VOL

NOW = 1_800_000_000
EXPIRIES = (NOW + 2 * DAY, NOW + 9 * DAY, NOW + 16 * DAY)
PRICES = (SPOT, BTC_SPOT)


@pytest.mark.parametrize("vol", [0.2, 0.55, 1.5])
def test_the_markets_options_give_its_volatility_back(vol: float) -> None:
    found = calibrate(option_chain(3_000.0, vol, EXPIRIES, NOW))

    years = (np.array(EXPIRIES) - NOW) / (365 * DAY)
    assert found.outcome is Outcome.FITTED
    assert found.inside == 1.0
    assert found.surface.atm_vol(years) == pytest.approx(vol, abs=2e-4)
    assert half_spreads(found) == pytest.approx(0.018, abs=1e-3)


def test_an_expiry_whose_options_say_nothing_any_more_has_the_nearest_ones_volatility() -> None:
    soon = (NOW + HOUR + 60, *EXPIRIES[1:])

    found = calibrate(option_chain(3_000.0, 0.55, soon, NOW))

    assert found.left_out == (soon[0],)
    assert float(found.surface.atm_vol((soon[0] - NOW) / (365 * DAY))) == pytest.approx(0.55, abs=1e-3)


@pytest.fixture
def poster(vault):
    return Poster(vault.connection, vault.deployment, vault.sender("vol_poster"))


def expiries_of(vault) -> list[int]:
    return sorted(vault.read("VolOracle", "expiries", 0))


def posted(vault, expiry: int) -> float:
    return vault.read("VolOracle", "vol", 0, expiry, 0) / WAD


def post(vault, poster: Poster, vol: float) -> None:
    """In one block, as in the demo: none comes in while the poster reads."""
    expiries, now = expiries_of(vault), vault.now()
    vault.market.rpc.call("evm_setAutomine", False)
    try:
        poster.post(poster.look(PRICES[:1], (vol,), expiries, now), now + 60)
        vault.market.rpc.call("evm_mine")
    finally:
        vault.market.rpc.call("evm_setAutomine", True)


def test_a_move_within_the_speed_limit_is_posted_at_once(vault, poster) -> None:
    post(vault, poster, VOL + 0.02)

    for expiry in expiries_of(vault):
        assert posted(vault, expiry) == pytest.approx(VOL + 0.02, abs=5e-4)


def test_a_market_that_jumps_is_followed_hour_by_hour(vault, poster) -> None:
    [expiry, *_] = expiries_of(vault)
    levels = []
    for _ in range(4):
        post(vault, poster, VOL + 0.15)
        levels.append(posted(vault, expiry))
        vault.market.step({"ETH": SPOT, "BTC": BTC_SPOT}, timestamp=vault.now() + HOUR)

    assert VOL < levels[0] < VOL + 0.1
    assert all(later > earlier for earlier, later in itertools.pairwise(levels))
    assert levels[-1] <= VOL + 0.15 + 5e-4


def test_noise_is_not_posted(vault, poster) -> None:
    sent = vault.w3.eth.get_transaction_count(poster.sender.address)

    post(vault, poster, VOL + 0.002)

    assert vault.w3.eth.get_transaction_count(poster.sender.address) == sent


def test_quotes_see_the_market_that_was_calibrated(vault, poster) -> None:
    expiries, now = expiries_of(vault), vault.now()

    surfaces = poster.look(PRICES, (0.6, 0.5), expiries, now).surfaces()

    assert sorted(surfaces) == [0, 1]
    assert [one.as_of for one in surfaces.values()] == [now, now]
    assert float(surfaces[1].surface.atm_vol(0.03)) == pytest.approx(0.5, abs=1e-3)
