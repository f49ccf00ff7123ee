"""Random books in random markets, for hypothesis, and a short way to write a given one."""

from collections.abc import Sequence

from hypothesis import strategies as st

from keeper.domain.series import Position, Series
from keeper.domain.snapshot import (
    Budgets,
    Limits,
    Mode,
    Reading,
    Snapshot,
    Surface,
    VaultState,
    Venue,
    VenueKind,
    VenueState,
    VolSlice,
    Window,
)
from keeper.domain.units import MAX_UINT256, SIZE_UNIT, USDC, WAD, YEAR
from keeper.operations.parameters import Parameters
from keeper.pricing.fixed_point import wad_ln
from keeper.risk import mirror

NOW = 1_770_000_000
DAY = 86400
STRIKE_UNIT = 10**12
LIMITS = Limits(*Parameters().limits())


def option(underlying: int, is_call: bool, expiry: int, strike: float, size: float) -> Position:
    """A position; strike in USDC, size in units."""
    strike_wad = round(strike * 10**6) * STRIKE_UNIT
    return Position(
        Series(underlying, is_call, expiry, strike_wad, wad_ln(strike_wad)), round(size * 10**9) * SIZE_UNIT
    )


def flat_slice(vol: float, expiry: int, carry: float = 0.0, half_spread: float = 0.02) -> VolSlice:
    """A slice without a smile, posted NOW."""
    theta = int(vol * vol * (expiry - NOW) / YEAR * WAD)
    return VolSlice(theta, 0, 0, int(carry * WAD), int(half_spread * WAD), NOW)


def smile(theta: float, rho: float = -0.3, curvature: float = 0.7, carry: float = 0.04, at: int = NOW) -> VolSlice:
    """A slice of at-the-money total variance ``theta`` with ψ = curvature·√θ, posted ``at`` that time."""
    return VolSlice(*(int(x * WAD) for x in (theta, rho, curvature / theta**0.5, carry, 0.02)), at)


def reading(price: float, doubt: bool = False, updated_at: int = NOW) -> Reading:
    """A price in USDC with a TWAP that agrees."""
    return Reading(int(price * WAD), int(price * WAD), updated_at, doubt)


def hedge(underlying: int, units: float, spot: float) -> VenueState:
    """A venue that holds or owes units: spot bought with the vault's cash, or a short of the same equity."""
    equity = abs(units) * spot
    return VenueState(
        underlying=underlying,
        exposure=int(units * WAD),
        equity=int(equity * WAD),
        stressed_down=int(max(equity - units * spot / 2, 0.0) * WAD),
        stressed_up=int(max(equity + units * spot / 2, 0.0) * WAD),
        health=MAX_UINT256,
    )


def snapshot_of(
    book: Sequence[Position],
    surface: Sequence[tuple[int, int, VolSlice]],
    readings: Sequence[Reading] = (reading(3000.0), reading(90_000.0)),
    venues: Sequence[VenueState] = (),
    idle: int = 1_000_000 * USDC,
    owed: int = 0,
    timestamp: int = NOW,
) -> Snapshot:
    """A snapshot whose assessment is the integer mirror's."""
    slices = Surface(tuple(surface))
    risk = mirror.option_risk(book, readings, slices, timestamp)
    listed = tuple(Venue(i, VenueKind.UNISWAP_V3_SPOT, f"0x{i:040x}", v, ()) for i, v in enumerate(venues))
    return Snapshot(
        chain_id=1,
        block_number=1,
        block_hash="0x00",
        timestamp=timestamp,
        base_fee_wei=10**9,
        keeper_balance_wei=WAD,
        vault=VaultState(idle, owed, 0, 0, 0, Mode.NORMAL, 0, 0, 0, 0, Budgets(*[0] * 10)),
        limits=LIMITS,
        readings=tuple(readings),
        book=tuple(book),
        surface=slices,
        venues=listed,
        assessment=mirror.assess(risk, venues, (idle - owed) * 10**12),
    )


@st.composite
def slices(draw: st.DrawFn, expiry: int) -> VolSlice:
    """A slice that VolOracle would accept, posted before NOW and before its expiry."""
    posted_at = min(NOW, expiry) - draw(st.integers(1, 2 * DAY))
    vol = draw(st.floats(0.2, 3.0))
    theta = vol * vol * (expiry - posted_at) / YEAR
    rho = draw(st.floats(-0.95, 0.95))
    limit = 4.0 / (theta * (1.0 + abs(rho)))
    phi = draw(st.floats(0.0, 0.99)) * min(limit, limit**0.5)
    carry, half_spread = draw(st.floats(-0.5, 0.5)), draw(st.floats(0.02, 0.2))
    moved = st.one_of(st.just(0), st.integers(1, 50_000).map(lambda units: units * 10**13))  # units of the contract's
    window = Window(draw(moved), draw(moved), draw(moved), draw(moved))
    return VolSlice(
        int(theta * WAD), int(rho * WAD), int(phi * WAD), int(carry * WAD), int(half_spread * WAD), posted_at, window
    )


tenors = st.one_of(
    st.integers(-3 * DAY, 0), st.integers(1, 3600), st.integers(3600, 60 * DAY), st.sampled_from([1, DAY, 30 * DAY])
)
spots = st.tuples(st.floats(50.0, 20_000.0), st.floats(2_000.0, 500_000.0))
sizes = st.one_of(
    st.integers(-(10**12), 10**12),  # up to 1,000 units, in 1e-9
    st.sampled_from([-1, 0, 1, -(10**9), 10**9]),
)


@st.composite
def venue_states(draw: st.DrawFn, spot: tuple[float, float]) -> VenueState:
    """A venue of either underlying with any equity, stressed or not."""
    underlying = draw(st.integers(0, 1))
    equity = draw(st.integers(0, 10**7 * WAD))
    exposure = int(draw(st.floats(-(10**7), 10**7)) / spot[underlying] * WAD)
    stressed = st.integers(0, 2 * 10**7 * WAD)
    return VenueState(underlying, exposure, equity, draw(stressed), draw(stressed), draw(st.integers(0, 10**20)))


@st.composite
def snapshots(draw: st.DrawFn, max_series: int = 32) -> Snapshot:
    """Up to 32 series on both underlyings, long, short, empty and expired, with up to four venues."""
    spot = draw(spots)
    expiries = draw(
        st.lists(st.tuples(st.integers(0, 1), tenors.map(NOW.__add__)), min_size=1, max_size=5, unique=True)
    )
    surface = [(u, expiry, draw(slices(expiry))) for u, expiry in expiries]
    row = st.tuples(st.sampled_from(expiries), st.booleans(), st.floats(-1.5, 1.5), sizes)
    count = draw(st.integers(0, max_series))  # or most books would be nearly empty
    rows = draw(st.lists(row, min_size=count, max_size=count))
    book = []
    for (u, expiry), is_call, k, size in rows:
        strike_wad = int(spot[u] * 2.718281828**k * 10**6) * STRIKE_UNIT
        book.append(Position(Series(u, is_call, expiry, strike_wad, wad_ln(strike_wad)), size * SIZE_UNIT))
    readings = [
        Reading(int(s * WAD), int(s * WAD), NOW - draw(st.integers(0, 4000)), draw(st.booleans())) for s in spot
    ]
    venues = draw(st.lists(venue_states(spot), max_size=4))
    needed = {p.series.underlying for p in book if p.size_wad} | {v.underlying for v in venues if v.exposure}
    readings = [r if u in needed or draw(st.booleans()) else Reading(0, 0, 0, False) for u, r in enumerate(readings)]
    idle, owed = draw(st.integers(0, 10**8 * USDC)), draw(st.integers(0, 10**6 * USDC))
    return snapshot_of(book, surface, readings, venues, idle, owed)
