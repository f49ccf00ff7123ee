"""OptionPricer at the worst surface of the trailing window: what fills and the two sides of NAV are bounded by."""

import pytest

from tests.contracts.chain import DAY, HOUR, USDC, WAD
from tests.contracts.protocol import ETH, Protocol

LONGEST_DAY = 28 * HOUR


def marks(protocol, series, spot_moves=False):
    m = protocol.pricer.marks(series)
    return m.bid, m.ask


def sides(protocol):
    (risk,) = protocol.pricer.option_risk(protocol.book.live_book())
    return risk.bid, risk.mid, risk.ask


@pytest.fixture
def quoted(funded: Protocol):
    """A call and a put at 3,000 in four weeks at 60 %, half-spread three points. Returns protocol, expiry, series."""
    expiry = funded.expiry(28)
    funded.post_slice(expiry, half_spread=0.03)
    return funded, expiry, [funded.list_series(3_000, is_call, expiry) for is_call in (True, False)]


@pytest.mark.parametrize(
    ("change", "dearer", "cheaper"),
    [
        ({"vol": 0.57}, False, True),
        ({"vol": 0.63}, True, False),
        ({"half_spread": 0.02}, False, False),
        ({"vol": 0.59, "half_spread": 0.02}, False, False),
        ({"vol": 0.61, "half_spread": 0.02}, False, False),
    ],
    ids=["lower", "higher", "narrower", "lower and narrower", "higher and narrower"],
)
def test_a_post_never_makes_a_sale_cheaper_or_a_purchase_dearer_within_a_day(quoted, change, dearer, cheaper):
    """Only the other way: what moves up is dearer to buy, what moves down is cheaper to sell."""
    protocol, expiry, both = quoted
    before = [marks(protocol, series) for series in both]

    protocol.post_slice(expiry, **{"half_spread": 0.03, **change})

    for (bid, ask), (old_bid, old_ask) in zip([marks(protocol, series) for series in both], before, strict=True):
        assert ask >= old_ask - 10**12
        assert bid <= old_bid + 10**12
        assert (ask > old_ask + WAD, bid < old_bid - WAD) == (dearer, cheaper)


@pytest.mark.parametrize("carry", [0.05, -0.05])
def test_carry_never_makes_one_either(quoted, carry):
    """A call is worth more on a higher forward and a put less: each is marked at the worse one for the vault."""
    protocol, expiry, both = quoted
    before = [marks(protocol, series) for series in both]

    protocol.post_slice(expiry, half_spread=0.03, carry=carry)

    after = [marks(protocol, series) for series in both]
    for (bid, ask), (old_bid, old_ask) in zip(after, before, strict=True):
        assert ask >= old_ask - 10**14  # a hundredth of a cent on 200 USDC
        assert bid <= old_bid + 10**14
    gained = 0 if carry > 0 else 1  # the call's forward rises, or the put's falls
    assert after[gained][1] > before[gained][1] + WAD
    assert after[1 - gained][0] < before[1 - gained][0] - WAD


@pytest.mark.parametrize(
    ("change", "falls"),
    [
        ({"vol": 0.63}, False),
        ({"vol": 0.62, "half_spread": 0.05}, False),
        ({"half_spread": 0.02}, False),
        ({"vol": 0.57}, True),
    ],
    ids=["higher", "wider about a higher middle", "narrower", "lower"],
)
def test_the_lowest_price_of_a_day_follows_the_surface_downwards_only(quoted, change, falls):
    """What the buyback auction pays. A wider spread about a higher middle leaves the bid volatility where it is."""
    protocol, expiry, both = quoted
    before = [protocol.pricer.lowest(series) for series in both]

    protocol.post_slice(expiry, **{"half_spread": 0.03, **change})

    for series, old in zip(both, before, strict=True):
        lowest = protocol.pricer.lowest(series)
        if falls:
            assert lowest < old - WAD
        else:
            assert 0.9999 * old < lowest <= old + 10**12


@pytest.mark.parametrize("there", [0.64, 0.56])
def test_a_round_trip_of_the_surface_leaves_both_marks_worse_until_a_day_has_passed(quoted, there):
    protocol, expiry, (call, _) = quoted
    old_bid, old_ask = marks(protocol, call)
    for vol in (there, 0.6):
        protocol.post_slice(expiry, vol=vol, half_spread=0.03)
        protocol.market.wait(70 * 60)
    bid, ask = marks(protocol, call)
    assert bid < old_bid - WAD
    assert ask > old_ask + WAD

    protocol.market.wait(LONGEST_DAY)
    protocol.post_slice(expiry, half_spread=0.03)

    bid, ask = marks(protocol, call)
    assert protocol.pricer.marks(call).mid < old_ask
    _, window = protocol.vol_oracle.posted(ETH, expiry)
    assert max(window) <= 10**13  # what a post rounds up to


@pytest.mark.parametrize(("first", "second"), [(0.62, 0.6), (0.58, 0.6), (0.62, 0.64)])
def test_both_sides_of_nav_stay_at_the_worst_of_the_day_and_the_mid_follows(funded, sold, first, second):
    """Row 20, 32: short calls. nav_bid stays as low as at the highest volatility of the day, nav_ask as high as at the
    lowest; the mid, on which liquidation stands, is the present surface alone."""
    expiry = funded.expiry()
    seen = [sides(funded)]
    for vol in (first, second):
        funded.post_slice(expiry, vol=vol)
        seen.append(sides(funded))

    bids, mids, asks = zip(*seen, strict=True)
    assert bids[-1] <= min(bids) + 10**12
    assert asks[-1] >= max(asks) - 10**12
    assert (mids[-1] == pytest.approx(mids[0], rel=1e-9)) == (second == 0.6)
    assert bids[-1] < mids[-1] < asks[-1]


def test_the_window_is_not_in_margin_or_greeks(funded, sold):
    expiry = funded.expiry()
    (calm,) = funded.pricer.option_risk(funded.book.live_book())
    for vol in (0.62, 0.6):
        funded.post_slice(expiry, vol=vol)
    (moved,) = funded.pricer.option_risk(funded.book.live_book())

    assert moved.bid < calm.bid
    for name in ("delta", "gamma", "vega", "short_notional", "pnl"):
        assert getattr(moved, name) == pytest.approx(getattr(calm, name), rel=1e-6)


def test_a_poster_gains_nothing_between_his_posts_and_a_taker(funded, sold):
    """The stolen key of the vol poster: down, buy, up, sell back. The taker pays for it."""
    funded.fund(funded.taker, 1_000_000 * USDC, funded.book)
    expiry, start = funded.expiry(), funded.market.usdc.balanceOf(funded.taker)
    held = funded.token.balanceOf(funded.taker, sold)

    funded.post_slice(expiry, vol=0.56)
    funded.fill(funded.quote(sold, size=5 * WAD))
    funded.market.wait(70 * 60)
    funded.post_slice(expiry, vol=0.60)
    funded.fill(funded.quote(sold, vault_sells=False, size=5 * WAD))

    assert funded.token.balanceOf(funded.taker, sold) == held
    assert start - funded.market.usdc.balanceOf(funded.taker) > 5 * 8 * USDC


def test_shares_gain_nothing_from_a_post(funded, sold):
    """Up, mint, down, redeem: the entry is at nav_ask of the lowest volatility, the exit at nav_bid of the highest."""
    expiry, stranger = funded.expiry(), funded.stranger
    funded.post_slice(expiry, vol=0.64)
    shares = funded.deposit(50_000 * USDC, stranger)
    funded.market.wait(70 * 60)
    funded.post_slice(expiry, vol=0.60)

    out = funded.vault.redeem(shares, stranger, stranger, sender=stranger)

    assert out < 50_000 * USDC


def test_days_later_the_surface_counts_alone_again(funded, sold):
    expiry = funded.expiry()
    funded.post_slice(expiry, vol=0.64)
    funded.market.wait(DAY)
    funded.post_slice(expiry, vol=0.64)
    still = sides(funded)
    funded.market.wait(LONGEST_DAY - DAY)
    funded.post_slice(expiry, vol=0.64)

    bid, mid, ask = sides(funded)

    assert still[2] - still[1] > 2 * (ask - mid)
    assert ask - mid == pytest.approx(mid - bid, rel=0.05)
