"""Vaults to ask for quotes: a book of two underlyings, and whatever of it a test changes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keeper.domain.policy import Policy
from keeper.domain.series import Position, Series
from keeper.domain.snapshot import Assessment, Lending, Snapshot, Venue, VenueKind, VolSlice
from keeper.domain.units import USDC, WAD, YEAR
from keeper.quoting.quote import quote
from keeper.quoting.terms import Quote, Refusal, Request
from keeper.quoting.view import MarketSurface, OptionBookState, View, prepare
from keeper.risk import mirror
from keeper.risk.limits import Verdict, check_fill
from keeper.risk.scenarios import Scenarios
from tests.keeper.risk.books import DAY, NOW, hedge, option, reading, smile, snapshot_of

POLICY = Policy()
SPOTS = (3_000.0, 90_000.0)
NEAR, FAR = NOW + 10 * DAY, NOW + 31 * DAY
MIN_FILL = (WAD // 10, 5 * WAD // 1000)
ROOMY = OptionBookState(MIN_FILL, WAD)  # a vega budget that stops nothing

CALL = option(0, True, FAR, 3_200.0, 0.0).series
PUT = option(0, False, FAR, 2_800.0, 0.0).series
NEAR_CALL = option(0, True, NEAR, 3_100.0, 0.0).series
BITCOIN = option(1, True, FAR, 95_000.0, 0.0).series
LISTED = (CALL, PUT, NEAR_CALL, BITCOIN)
SHORT = Lending(0.03, 0.02, 0.78, 1.5, 1.8, 100_000 * USDC, 0)


def vault(
    sizes: Sequence[float] = (0.0, 0.0, 0.0, 0.0), posted: Sequence[tuple[int, int, VolSlice]] | None = None
) -> Snapshot:
    """1,000,000 USDC, the positions of LISTED in units, an empty short of ETH and one of BTC, a full loss bucket."""
    book = [Position(series, round(size * 1e9) * 10**9) for series, size in zip(LISTED, sizes, strict=True)]
    slices = posted or [(u, e, smile(0.36 * (e - NOW) / YEAR)) for u in (0, 1) for e in (NEAR, FAR)]
    found = snapshot_of(book, slices, [reading(spot) for spot in SPOTS], [hedge(u, 0.0, SPOTS[u]) for u in (0, 1)])
    venues = tuple(Venue(v.index, VenueKind.AAVE_V3_SHORT, v.address, v.state, (), SHORT) for v in found.venues)
    return replace(found, venues=venues, vault=replace(found.vault, loss_budget=2 * WAD // 1000))


def scenarios(size: int = 400) -> Scenarios:
    """Fat tails, volatility against prices."""
    rng = np.random.default_rng(7)
    moves = rng.standard_t(4, (size, 3)) * [0.025, 0.022, 0.04]
    return Scenarios(1 / 365, moves[:, :2], moves[:, 2:] - 0.8 * moves[:, :1])


def view_of(
    snapshot: Snapshot, *, option_book: OptionBookState = ROOMY, forecast: float = 0.55, at: Scenarios | None = None
) -> View:
    """The market's surface is the posted one, the forecast the same for all expiries."""
    market = [MarketSurface.of_posted(snapshot, u) for u in (0, 1)]
    forecasts = {(u, e): forecast for u in (0, 1) for e in (NEAR, FAR)}
    return prepare(snapshot, market, forecasts, option_book, at or scenarios())


def ask(
    snapshot: Snapshot,
    series: Series = CALL,
    size: float = 1.0,
    *,
    vault_sells: bool = True,
    view: View | None = None,
    policy: Policy = POLICY,
) -> Quote | Refusal:
    """A quote for a size in units."""
    request = Request(series, vault_sells, round(size * 1e9) * 10**9)
    return quote(request, snapshot, view or view_of(snapshot), policy)


def offered(answer: Quote | Refusal) -> Quote:
    """The quote, where one is expected."""
    assert isinstance(answer, Quote), answer
    return answer


def filled(snapshot: Snapshot, series: Series, change: int, price: int) -> tuple[list[Position], Assessment]:
    """The book and the vault after a fill of ``change`` units (WAD, + = the vault bought), by the whole mirror anew."""
    book = [replace(p, size_wad=p.size_wad + change) if p.series == series else p for p in snapshot.book]
    risk = mirror.option_risk(book, snapshot.readings, snapshot.surface, snapshot.timestamp)
    unit = 10**30
    premium = -(price * change // unit)  # a sale's rounded up, a purchase's down
    cash = (snapshot.vault.idle - snapshot.vault.owed + premium) * 10**12
    return book, mirror.assess(risk, [v.state for v in snapshot.venues], cash)


def verdict(snapshot: Snapshot, series: Series, change: int, price: int) -> Verdict:
    """RiskEngine's of that fill."""
    book, after = filled(snapshot, series, change, price)
    margin = 15 * WAD // 10 * 10_000 // 7_800 - WAD
    return check_fill(
        snapshot.assessment,
        after,
        book,
        series,
        change < 0,
        snapshot.limits,
        short_margins=(margin, margin),
        timestamp=snapshot.timestamp,
    )
