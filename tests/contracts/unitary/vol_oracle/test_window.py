"""VolOracle.posted: the window says how far the slice was from where it is, either side, in the last 24 to 28 hours."""

import pytest

from tests.contracts.chain import DAY, HOUR, WAD
from tests.contracts.protocol import ETH

LONGEST_DAY = 28 * HOUR


def window(protocol, expiry):
    _, found = protocol.vol_oracle.posted(ETH, expiry)
    return [amount / WAD for amount in found]


@pytest.fixture
def posted(protocol):
    """The expiry of a slice at 60 % with 3 points of half-spread."""
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, vol=0.6, half_spread=0.03)
    return expiry


def test_a_new_underlying_has_no_window(protocol, posted):
    assert window(protocol, posted) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vol": 0.62}, (0.02, 0, 0, 0)),
        ({"vol": 0.57}, (0, 0.03, 0, 0)),
        ({"carry": 0.02}, (0, 0, 0.02, 0)),
        ({"carry": -0.04}, (0, 0, 0, 0.04)),
        ({"half_spread": 0.02}, (0.01, 0.01, 0, 0)),  # a narrower spread: the bid rises and the ask falls
        ({"half_spread": 0.05}, (0, 0, 0, 0)),  # a wider one is worse than what was: nothing to remember
        ({"vol": 0.62, "half_spread": 0.04}, (0.01, 0, 0, 0)),
    ],
    ids=["up", "down", "carry up", "carry down", "narrower", "wider", "up and wider"],
)
def test_it_counts_what_bid_volatilities_rose_and_ask_volatilities_fell(protocol, posted, change, expected):
    protocol.post_slice(posted, **{"vol": 0.6, "half_spread": 0.03, **change})

    assert window(protocol, posted) == pytest.approx(expected, abs=2e-5)


def test_it_counts_the_largest_move_of_the_smile(protocol, posted):
    """At the money nothing moves; with a skew the left wing rises and the right one falls."""
    before = [protocol.vol_oracle.vol(ETH, posted, round(k * WAD)) / WAD for k in (-0.3, 0.3)]
    protocol.post_slice(posted, vol=0.6, rho=-0.4, phi=0.9, half_spread=0.03)
    left, right = (protocol.vol_oracle.vol(ETH, posted, round(k * WAD)) / WAD for k in (-0.3, 0.3))

    up, down, _, _ = window(protocol, posted)

    assert up > left - before[0] > 0.01
    assert down > before[1] - right > 0


def test_moves_add_up(protocol, posted):
    for vol in (0.62, 0.61, 0.625):
        protocol.post_slice(posted, vol=vol, half_spread=0.03)
        protocol.market.pass_time(HOUR)

    assert window(protocol, posted) == pytest.approx([0.035, 0.01, 0, 0], abs=5e-5)


def test_a_move_is_remembered_for_24_hours_and_forgotten_after_28(protocol, posted):
    protocol.post_slice(posted, vol=0.62, half_spread=0.03)
    protocol.market.pass_time(DAY)
    protocol.post_slice(posted, vol=0.62, half_spread=0.03)
    after_a_day = window(protocol, posted)
    protocol.market.pass_time(LONGEST_DAY - DAY)
    protocol.post_slice(posted, vol=0.62, half_spread=0.03)

    assert after_a_day == pytest.approx([0.02, 0, 0, 0], abs=5e-5)
    assert window(protocol, posted) == pytest.approx([0, 0, 0, 0], abs=5e-5)


@pytest.mark.parametrize(
    ("age", "unseen"), [(2 * HOUR, 0), (5 * HOUR, 0.0125), (14 * HOUR, 0.05), (26 * HOUR, 0.1), (9 * DAY, 0.1)]
)
def test_after_two_hours_it_grows_at_the_speed_of_a_day(protocol, posted, age, unseen):
    """Nobody has posted: what the market may have done meanwhile counts, for a day."""
    protocol.market.pass_time(age)

    assert window(protocol, posted) == pytest.approx([unseen, unseen, 0, 0], abs=1e-9)


def test_a_new_post_ends_that(protocol, posted):
    protocol.market.pass_time(14 * HOUR)
    protocol.post_slice(posted, vol=0.6, half_spread=0.03)

    assert window(protocol, posted) == pytest.approx([0, 0, 0, 0], abs=2e-5)


def test_a_later_post_does_not_refresh_what_is_older(protocol, posted):
    protocol.post_slice(posted, vol=0.62, half_spread=0.03)
    protocol.market.pass_time(20 * HOUR)
    protocol.post_slice(posted, vol=0.63, half_spread=0.03)
    protocol.market.pass_time(8 * HOUR)
    protocol.post_slice(posted, vol=0.63, half_spread=0.03)

    assert window(protocol, posted) == pytest.approx([0.01, 0, 0, 0], abs=5e-5)
