"""Every refusal has its name, and each rule is one of the contracts' or of what the keeper must know."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from keeper.domain.series import Position
from keeper.domain.snapshot import Mode, Reading, Snapshot, Surface
from keeper.domain.units import DAY, HOUR, USDC, WAD, YEAR
from keeper.errors import KeelError
from keeper.quoting.terms import Reason, Refusal
from keeper.quoting.view import OptionBookState, View
from keeper.risk.scenarios import Scenarios
from tests.keeper.quoting.vaults import FAR, MIN_FILL, NEAR, ROOMY, ask, vault, view_of
from tests.keeper.risk.books import NOW, flat_slice, option, smile, snapshot_of

SHORT = (-40.0, 0.0, -30.0, 0.0)


def with_mode(mode: Mode) -> Snapshot:
    """A vault that is short, in a mode."""
    found = vault(SHORT)
    return replace(found, vault=replace(found.vault, mode=mode))


def expiring(seconds: int, sizes: float = 0.0, posted_ago: int = 0) -> tuple[Snapshot, Position]:
    """One call at the money that expires in so many seconds."""
    position = option(0, True, NOW + seconds, 3_000.0, sizes)
    posted = replace(flat_slice(0.6, NOW + seconds + posted_ago), posted_at=NOW - posted_ago)
    return snapshot_of([position], [(0, NOW + seconds, posted)]), position


def view_until(snapshot: Snapshot, expiry: int, option_book: OptionBookState = ROOMY) -> View:
    """With a forecast for that expiry."""
    return replace(view_of(snapshot, option_book=option_book), forecasts={(0, expiry): 0.55})


@pytest.mark.parametrize(
    ("mode", "vault_sells", "reason"),
    [
        (Mode.FROZEN, False, Reason.FROZEN),
        (Mode.FROZEN, True, Reason.FROZEN),
        (Mode.REDUCE_ONLY, True, Reason.REDUCE_ONLY),
    ],
)
def test_what_the_mode_forbids_is_refused(mode: Mode, vault_sells: bool, reason: Reason) -> None:
    assert ask(with_mode(mode), vault_sells=vault_sells) == Refusal(reason)


def test_a_vault_that_may_only_reduce_buys_what_it_is_short_of_and_nothing_else() -> None:
    short, long = with_mode(Mode.REDUCE_ONLY), vault((5.0, 0.0, 0.0, 0.0))
    long = replace(long, vault=replace(long.vault, mode=Mode.REDUCE_ONLY))

    assert not isinstance(ask(short, vault_sells=False), Refusal)
    assert ask(long, vault_sells=False) == Refusal(Reason.REDUCE_ONLY)


@pytest.mark.parametrize(
    ("seconds", "vault_sells", "reason"),
    [
        (HOUR, True, Reason.LAST_HOUR),
        (HOUR, False, Reason.LAST_HOUR),
        (DAY - 1, True, Reason.TENOR),
    ],
)
def test_what_expires_too_soon_is_refused(seconds: int, vault_sells: bool, reason: Reason) -> None:
    snapshot, position = expiring(seconds)
    view = view_until(snapshot, position.series.expiry)

    assert ask(snapshot, position.series, vault_sells=vault_sells, view=view) == Refusal(reason)


def test_an_expired_series_is_refused_as_in_its_last_hour() -> None:
    posted = replace(flat_slice(0.6, NOW + DAY), posted_at=NOW - 2 * DAY)
    position = option(0, True, NOW - 1, 3_000.0, 0.0)
    snapshot = snapshot_of([position], [(0, NOW - 1, posted)])

    assert ask(snapshot, position.series) == Refusal(Reason.LAST_HOUR)


@pytest.mark.parametrize(("ago", "refused"), [(2 * HOUR, False), (2 * HOUR + 1, True)])
def test_a_surface_older_than_two_hours_is_refused(ago: int, refused: bool) -> None:
    snapshot, position = expiring(20 * DAY, posted_ago=ago)

    answer = ask(snapshot, position.series, view=view_until(snapshot, position.series.expiry))

    assert (answer == Refusal(Reason.OLD_SURFACE)) is refused


def test_a_strike_far_from_the_money_is_refused() -> None:
    position = option(0, True, FAR, 4_800.0, 0.0)
    snapshot = snapshot_of([position], [(0, FAR, flat_slice(0.6, FAR))])

    assert ask(snapshot, position.series) == Refusal(Reason.FAR_FROM_MONEY)


def test_what_is_not_listed_or_not_positive_or_too_small_is_refused() -> None:
    snapshot = vault()

    assert ask(snapshot, option(0, True, FAR, 3_250.0, 0.0).series) == Refusal(Reason.NOT_LISTED)
    assert ask(snapshot, size=0.0) == Refusal(Reason.BAD_SIZE)
    assert ask(snapshot, size=-1.0) == Refusal(Reason.BAD_SIZE)
    assert ask(snapshot, size=0.099) == Refusal(Reason.MIN_FILL)


def test_a_series_without_a_slice_is_refused_and_the_others_are_not() -> None:
    snapshot = vault()
    near = Surface(tuple(one for one in snapshot.surface.slices if one[1] == NEAR))
    bare = replace(snapshot, surface=near)

    assert ask(bare) == Refusal(Reason.NO_SURFACE)
    assert not isinstance(ask(bare, bare.book[2].series), Refusal)


def test_what_the_keeper_does_not_know_is_refused() -> None:
    snapshot = vault()
    view = view_of(snapshot)

    assert ask(replace(snapshot, block_hash="0x01"), view=view) == Refusal(Reason.OTHER_BLOCK)
    assert ask(snapshot, view=replace(view, market=(None, None))) == Refusal(Reason.NO_MARKET)
    assert ask(snapshot, view=replace(view, forecasts={})) == Refusal(Reason.NO_FORECAST)
    other = replace(snapshot, assessment=replace(snapshot.assessment, initial=snapshot.assessment.initial + 1))
    assert ask(other) == Refusal(Reason.DIFFERS)


def test_nothing_is_traded_before_an_expired_series_is_settled() -> None:
    expired = option(0, True, NOW - 1, 2_900.0, -1.0)
    posted = replace(flat_slice(0.6, NOW + DAY), posted_at=NOW - 2 * DAY)
    live = option(0, True, FAR, 3_200.0, 0.0)
    snapshot = snapshot_of([expired, live], [(0, NOW - 1, posted), (0, FAR, smile(0.36 * (FAR - NOW) / YEAR))])

    assert ask(snapshot, live.series) == Refusal(Reason.UNFIXED)


def test_a_vault_without_value_trades_nothing() -> None:
    position = option(0, True, FAR, 3_200.0, 0.0)
    snapshot = snapshot_of([position], [(0, FAR, flat_slice(0.6, FAR))], idle=0)

    assert ask(snapshot, position.series) == Refusal(Reason.NO_NAV)


def test_no_more_is_bought_than_there_is_free_cash_for() -> None:
    """All of the vault's means but 5 USDC are collateral of its short."""
    rich = vault(SHORT)
    means = 1_000_000 * WAD
    full = replace(rich.venues[0].state, equity=means, stressed_down=means, stressed_up=means)
    venues = (replace(rich.venues[0], state=full), *rich.venues[1:])
    poor = replace(rich, vault=replace(rich.vault, idle=5 * USDC), venues=venues)
    poor = replace(poor, assessment=view_of(poor).assessment)

    answer = ask(poor, vault_sells=False)

    assert answer == Refusal(Reason.CASH)


@pytest.mark.parametrize(("budget", "size"), [(0, None), (WAD // 100, 28.0)])
def test_the_vega_that_may_be_traded_bounds_the_size(budget: int, size: float | None) -> None:
    """A hundredth of 1,000,000 USDC in vega of 3,000 * √(31/365) * 0.4 = 350 per unit."""
    snapshot = vault()

    answer = ask(snapshot, size=60.0, view=view_of(snapshot, option_book=OptionBookState(MIN_FILL, budget)))

    if size is None:
        assert answer == Refusal(Reason.VEGA_TRADED)
    else:
        assert not isinstance(answer, Refusal)
        assert answer.limit is Reason.VEGA_TRADED
        assert answer.size_wad / WAD == pytest.approx(size, abs=1.0)


def without_a_short(snapshot: Snapshot) -> Snapshot:
    """No venue that could hedge puts."""
    return replace(snapshot, venues=tuple(replace(v, lending=None) for v in snapshot.venues))


def without_notional(snapshot: Snapshot) -> Snapshot:
    """Limits of a vault that may hold nothing short."""
    return replace(snapshot, limits=replace(snapshot.limits, notional_total=0))


@pytest.mark.parametrize(
    ("change", "index", "reason"),
    [(without_a_short, 1, Reason.HEDGE_CAPACITY), (without_notional, 0, Reason.TOTAL_NOTIONAL)],
)
def test_a_sale_that_the_risk_engine_would_refuse_is_refused_in_its_words(
    change: Callable[[Snapshot], Snapshot], index: int, reason: Reason
) -> None:
    snapshot = change(vault())

    assert ask(snapshot, snapshot.book[index].series) == Refusal(reason)


def test_scenarios_of_no_time_and_a_position_without_a_price_are_errors() -> None:
    snapshot = vault()
    moves = view_of(snapshot)
    still = Scenarios(0.0, *(0.01 * moves.pnl[:, None] + [[1.0, 2.0]] for _ in range(2)))

    with pytest.raises(KeelError, match="no measure"):
        view_of(snapshot, at=still)
    with pytest.raises(KeyError, match="no volatility slice"):
        view_of(replace(vault(SHORT), surface=Surface(())))


def test_an_underlying_without_a_price_has_no_quotes() -> None:
    snapshot = vault()
    bare = replace(snapshot, readings=(snapshot.readings[0], Reading(0, 0, 0, False)))

    assert ask(bare, bare.book[3].series) == Refusal(Reason.NO_SURFACE)
