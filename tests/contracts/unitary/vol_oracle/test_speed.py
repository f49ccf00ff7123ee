"""VolOracle.post, room: how fast a slice can be moved, for any sequence of posts."""

import itertools

import boa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.chain import DAY, HOUR, WAD, reason, reverts
from tests.contracts.protocol import BTC, ETH, wad

LONGEST_HOUR, LONGEST_DAY = 70 * 60, 28 * HOUR  # what the clock's spans make of them


def level(protocol, expiry, underlying=ETH):
    return protocol.vol_oracle.vol(underlying, expiry, 0) / WAD


@pytest.mark.parametrize("direction", [1, -1])
def test_volatility_moves_five_points_at_once_and_no_more(protocol, direction):
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, vol=0.6)

    with reverts("vol: too fast"):
        protocol.post_slice(expiry, vol=0.6 + direction * 0.0501)
    protocol.post_slice(expiry, vol=0.6 + direction * 0.0499)


def test_five_points_are_all_that_any_hour_has(protocol):
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, vol=0.6)
    protocol.post_slice(expiry, vol=0.649)
    protocol.market.pass_time(HOUR - 60)

    with reverts("vol: too fast"):
        protocol.post_slice(expiry, vol=0.66)
    protocol.market.pass_time(LONGEST_HOUR - HOUR + 60)

    protocol.post_slice(expiry, vol=0.698)


def test_ten_points_are_all_that_any_24_hours_have(protocol):
    """A bucket that refills would let through as much again within the same day."""
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, vol=0.6)
    protocol.post_slice(expiry, vol=0.649)
    protocol.market.pass_time(LONGEST_HOUR)
    protocol.post_slice(expiry, vol=0.698)
    protocol.market.pass_time(DAY - LONGEST_HOUR - 60)

    with reverts("vol: too fast"):
        protocol.post_slice(expiry, vol=0.72)
    protocol.market.pass_time(LONGEST_DAY - DAY + 60)

    protocol.post_slice(expiry, vol=0.74)


def test_going_there_and_back_counts_twice(protocol):
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, vol=0.6)
    protocol.post_slice(expiry, vol=0.63)

    with reverts("vol: too fast"):
        protocol.post_slice(expiry, vol=0.6)


def test_the_wings_are_limited_too(protocol):
    """At-the-money volatility stays; at k = -2 σ√T it would move by more than five points."""
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, vol=0.6)

    with reverts("vol: too fast"):
        protocol.post_slice(expiry, vol=0.6, rho=-0.9, phi=2)


# At-the-money volatility, rho and phi * sigma * sqrt(T): smiles whose largest change lies between whole deviations
BENT = [
    ((0.9, -0.9, 1.20), (0.85, -0.9, 1.45)),
    ((1.4, 0.8, 1.20), (1.35, 0.8, 1.49)),
    ((0.5, -0.9, 0.60), (0.46, -0.9, 1.10)),
    ((0.7, 0.62, 1.57), (0.69, 0.62, 1.40)),
    ((0.4, -0.3, 0.00), (0.40, 0.9, 1.30)),
    ((0.4, -0.3, 1.30), (0.44, 0.9, 0.20)),
]


@pytest.mark.parametrize(("first", "second"), BENT + [(b, a) for a, b in BENT])
def test_no_volatility_between_the_points_moves_more_than_is_charged(protocol, first, second):
    """As far towards the second smile as one post may go: what the window and the speed have seen is the largest change
    of any strike within two deviations.
    """
    expiry = protocol.expiry(28)
    strikes = [round(n / 16 * first[0] * _root(protocol, expiry) * WAD) for n in range(-32, 33)]
    _post_smile(protocol, expiry, first)
    before = [protocol.vol_oracle.vol(ETH, expiry, k) for k in strikes]

    part = 1.0
    while not _post_smile(protocol, expiry, tuple(a + part * (b - a) for a, b in zip(first, second, strict=True))):
        part *= 0.8

    changes = [protocol.vol_oracle.vol(ETH, expiry, k) - was for k, was in zip(strikes, before, strict=True)]
    _, window = protocol.vol_oracle.posted(ETH, expiry)
    left, _ = protocol.vol_oracle.room(ETH, expiry)
    assert part > 0.01
    assert window.up >= max(changes)
    assert window.down >= -min(changes)
    assert wad(0.05) - left >= max(map(abs, changes))


def test_the_same_smile_again_moves_nothing(protocol):
    expiry = protocol.expiry(28)
    for _ in range(20):
        assert _post_smile(protocol, expiry, (0.6, -0.4, 0.8))
        protocol.market.pass_time(60)

    _, window = protocol.vol_oracle.posted(ETH, expiry)
    assert max(window) <= wad(0.0004)


def _root(protocol, expiry):
    return ((expiry - protocol.market.now) / (365 * DAY)) ** 0.5


def _post_smile(protocol, expiry, smile):
    vol, rho, bend = smile
    try:
        protocol.post_slice(expiry, vol=vol, rho=rho, phi=bend / (vol * _root(protocol, expiry)))
    except boa.BoaError as error:
        if reason(error) != "vol: too fast":
            raise
        return False
    return True


@pytest.mark.parametrize(("first", "second"), [(0.02, 0.0701), (0.08, 0.0299)])
def test_a_move_of_the_half_spread_counts(protocol, first, second):
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, half_spread=first)

    with reverts("vol: too fast"):
        protocol.post_slice(expiry, half_spread=second)


def test_moves_of_volatility_and_half_spread_add_up(protocol):
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, vol=0.6, half_spread=0.02)

    with reverts("vol: too fast"):
        protocol.post_slice(expiry, vol=0.57, half_spread=0.041)
    protocol.post_slice(expiry, vol=0.57, half_spread=0.0399)


def test_carry_moves_five_points_in_any_24_hours(protocol):
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, carry=0)
    protocol.post_slice(expiry, carry=0.03)
    protocol.post_slice(expiry, carry=0.01)
    protocol.market.pass_time(DAY - 60)

    with reverts("vol: carry too fast"):
        protocol.post_slice(expiry, carry=0.02)
    protocol.market.pass_time(LONGEST_DAY - DAY + 60)

    protocol.post_slice(expiry, carry=0.06)


def test_each_expiry_and_underlying_has_its_own_speed(both):
    expiry = both.expiry(14)
    for underlying in (ETH, BTC):
        both.post_slice(expiry, vol=0.6, underlying=underlying)
        both.post_slice(expiry + 7 * DAY, vol=0.6, underlying=underlying)
    for underlying in (ETH, BTC):
        both.post_slice(expiry, vol=0.649, underlying=underlying)
        both.post_slice(expiry + 7 * DAY, vol=0.649, underlying=underlying)
        assert level(both, expiry, underlying) == pytest.approx(0.649)


def test_room_says_what_is_left(protocol):
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, vol=0.6)
    protocol.post_slice(expiry, vol=0.62, carry=-0.01)

    vol, carry = protocol.vol_oracle.room(ETH, expiry)

    assert vol / WAD == pytest.approx(0.03, abs=2e-5)
    assert carry / WAD == pytest.approx(0.04, abs=2e-5)


posts = st.lists(
    st.tuples(
        st.sampled_from([60, 601, 1_800, HOUR, 3 * HOUR, 8 * HOUR, DAY]),  # seconds before it
        st.floats(-0.06, 0.06),  # the move asked for, of the volatility
        st.sampled_from([0.02, 0.02, 0.03, 0.05]),  # half-spread
        st.sampled_from([0.0, 0.02, -0.02]),  # carry
    ),
    min_size=5,
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posts)
def test_no_sequence_of_posts_moves_more_than_is_published(protocol, sequence):
    """5 points in any hour, 10 in any 24 hours, half-spread included; 5 points of carry a day.

    And the window holds it all: no bid volatility of the last 24 hours was lower, and no ask volatility higher,
    than the present one shifted by it.
    """
    with boa.env.anchor():
        expiry = protocol.expiry(60)
        protocol.post_slice(expiry, vol=0.6)
        history = [(protocol.market.now, 0.6, 0.02, 0.0)]
        for seconds, move, half, carry in sequence:
            protocol.market.pass_time(seconds)
            vol = max(level(protocol, expiry) + move, 0.25)
            try:
                protocol.post_slice(expiry, vol=vol, half_spread=half, carry=carry)
            except boa.BoaError:
                continue
            history.append((protocol.market.now, level(protocol, expiry), half, carry))

        _, window = protocol.vol_oracle.posted(ETH, expiry)
        now = protocol.market.now

    steps = list(itertools.pairwise(history))
    for end, _, _, _ in history:

        def moved(within, size, end=end):
            return sum(size(a, b) for a, b in steps if end - within < b[0] <= end)

        assert moved(HOUR, lambda a, b: abs(b[1] - a[1]) + abs(b[2] - a[2])) <= 0.05 + 1e-6
        assert moved(DAY, lambda a, b: abs(b[1] - a[1]) + abs(b[2] - a[2])) <= 0.10 + 1e-6
        assert moved(DAY, lambda a, b: abs(b[3] - a[3])) <= 0.05 + 1e-6
    # What was in force at any time of the last 24 hours.
    lately = [a for a, b in steps if b[0] > now - DAY] + [history[-1]]
    _, vol, half, carry = history[-1]
    assert vol - half - window.up / WAD <= min(v - h for _, v, h, _ in lately) + 1e-6
    assert vol + half + window.down / WAD >= max(v + h for _, v, h, _ in lately) - 1e-6
    assert carry - window.carry_up / WAD <= min(c for *_, c in lately) + 1e-9
    assert carry + window.carry_down / WAD >= max(c for *_, c in lately) - 1e-9
