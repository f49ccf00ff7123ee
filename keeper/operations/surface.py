"""`keel surface post`: a surface calibrated to an option chain's file, posted as far as VolOracle takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from keeper.chain.sender import Sender
from keeper.domain.series import UNDERLYINGS, Position
from keeper.domain.times import utc_minute, utc_second
from keeper.domain.units import MINUTE, WAD, YEAR
from keeper.errors import ConfigError, KeelError
from keeper.market.option_chain import OptionChain, read_chain
from keeper.market.vol_oracle import read_oracle
from keeper.operations.contracts import bind
from keeper.operations.people import Ask, node_may_go
from keeper.operations.session import Session, open_session
from keeper.pricing.calibration import Calibration, calibrate
from keeper.pricing.errors import PricingError
from keeper.pricing.posting import Planned, half_spreads, plan, targets, threshold

if TYPE_CHECKING:
    from pathlib import Path

    from keeper.chain.deployments import Deployment
    from keeper.chain.rpc import Connection
    from keeper.config import Settings
    from keeper.domain.snapshot import VolSlice

_NOTHING: Final = "Nothing was sent."
_OLDEST: Final = 10 * MINUTE  # of quotes
_PATIENCE: Final = 2 * MINUTE  # from the newest block until a post is mined
_GAS: Final = 160_000  # of a post of a newer slice


@dataclass(frozen=True, slots=True)
class Row:
    """One expiry: what was planned and the transaction that posted it, if one did."""

    planned: Planned
    held: VolSlice | None
    transaction: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What was posted, or would be, of one underlying, and how well the surface fits its quotes."""

    underlying: int
    quoted_at: int
    calibration: Calibration
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; volatilities as numbers (0.6)."""
        return {
            "underlying": UNDERLYINGS[self.underlying],
            "quoted_at": self.quoted_at,
            "fit": {
                "outcome": self.calibration.outcome.value,
                "inside": self.calibration.inside,
                "rmse": self.calibration.rmse,
            },
            "expiries": [_row_to_json(row) for row in self.rows],
        }


def post_surface(
    settings: Settings, path: Path, symbol: str, also: Iterable[int], *, dry_run: bool, ask: Ask = None
) -> Report:
    """Calibrate to the chain in a file and post what is worth it, as the configured key; a dry run sends nothing.

    Args:
        also: Expiries (seconds) beside those that have a slice and those of listed series.

    Raises:
        KeelError: of the kind of whatever stands in the way; what was posted before is posted.
    """
    underlying = UNDERLYINGS.index(symbol)
    session = open_session(settings)
    chain, calibration = calibrated(path, session.connection.header().timestamp)
    sender = None if dry_run else Sender(session.connection.w3, session.account(ask))
    with node_may_go():
        rows = _post(session, sender, underlying, chain, calibration, also)
    return Report(underlying, chain.quoted_at, calibration, rows)


def calibrated(path: Path, now: int) -> tuple[OptionChain, Calibration]:
    """The quotes in a file, and the surface that fits them.

    Raises:
        KeelError: they are too old at the newest block's time ``now``, or no surface; or the file cannot be read.
    """
    chain = read_chain(path)
    if abs(now - chain.quoted_at) > _OLDEST:
        raise KeelError(
            f"The quotes of {path} are of {utc_minute(chain.quoted_at)} UTC, the newest block of {utc_minute(now)}.",
            kept=_NOTHING,
            todo=f"Record them again: they may be {_OLDEST // MINUTE} minutes old.",
        )
    try:
        return chain, calibrate(chain.quotes)
    except PricingError as error:
        raise ConfigError(f"{path} makes no surface: {error}.", kept=_NOTHING) from None


def _post(
    session: Session,
    sender: Sender | None,
    underlying: int,
    chain: OptionChain,
    calibration: Calibration,
    also: Iterable[int],
) -> tuple[Row, ...]:
    """Slices in force first: a new one is measured from them."""
    connection, deployment = session.connection, session.deployment
    block = connection.header()
    known = {held.expiry for held in read_oracle(connection, deployment, underlying, block).held}
    book = bind(connection.w3, deployment, "OptionBook").functions.live_book().call()
    listed = {s.expiry for s in (Position.from_slot(slot).series for slot in book) if s.underlying == underlying}
    earliest = max(block.timestamp, chain.quoted_at) + _PATIENCE
    expiries = sorted(expiry for expiry in known | listed | set(also) if expiry > earliest)
    expiries.sort(key=lambda expiry: expiry not in known)
    wanted = targets(calibration.surface, half_spreads(calibration), chain.spot, chain.quoted_at, expiries)
    stake, gas_price = _vega_at_stake(session), _usdc_per_gas(session)

    def send(call: Any, action: str) -> str | None:
        return sender.send(call, action)["transactionHash"].to_0x_hex() if sender is not None else None

    def worth(target: VolSlice) -> int:
        return threshold(target.half_spread, _GAS * gas_price, stake)

    return post_slices(connection, deployment, underlying, wanted, _PATIENCE, worth, send)


def post_slices(
    connection: Connection,
    deployment: Deployment,
    underlying: int,
    wanted: Mapping[int, VolSlice],
    patience: int,
    worth: Callable[[VolSlice], int],
    send: Callable[[Any, str], str | None],
) -> tuple[Row, ...]:
    """Move slices towards the wanted ones, by expiry and in this order, each planned on what the chain then says.

    Args:
        patience: Seconds from the newest block in which a post must be accepted.
        worth: The smallest change of volatility (WAD) to post of a slice.
        send: Is given calls and what they are for, and returns the hash of the transaction if there is one.
    """
    rows = []
    for expiry, target in wanted.items():
        block = connection.header()
        oracle = read_oracle(connection, deployment, underlying, block)
        held = oracle.held_at(expiry)
        planned = plan(oracle, expiry, target, block.timestamp, block.timestamp + patience, worth(target))
        transaction = None
        if (one := planned.post) is not None:
            call = bind(connection.w3, deployment, "VolOracle").functions.post(
                underlying, expiry, one.theta, one.rho, one.phi, one.carry, one.half_spread
            )
            transaction = send(call, f"post the slice of {utc_second(expiry)}")
        rows.append(Row(planned, held.posted if held else None, transaction))
    return tuple(rows)


def _vega_at_stake(session: Session) -> float:
    """What quotes may trade at once, USDC per 1.0 of volatility; 0 without a NAV, as while prices are stale: a surface
    is posted all the same."""
    from web3.exceptions import ContractLogicError

    w3, deployment = session.connection.w3, session.deployment
    capacity = bind(w3, deployment, "OptionBook").functions.budgets().call()[0] / WAD
    try:
        nav = bind(w3, deployment, "Vault").functions.assessment().call()[1] / WAD
    except ContractLogicError:
        return 0.0
    return float(capacity * nav)


def _usdc_per_gas(session: Session) -> float:
    from web3.exceptions import ContractLogicError

    oracle = bind(session.connection.w3, session.deployment, "PriceOracle").functions
    try:
        ether = oracle.read(UNDERLYINGS.index("ETH")).call()[0] / WAD
    except ContractLogicError:
        return 0.0
    return float(session.connection.header().base_fee / WAD * ether)


# ---------------------------------------------------------------- for people and programs


def render(report: Report, *, dry_run: bool) -> Table:
    """For a terminal."""
    fit = report.calibration
    quality = f"{fit.inside:.0%} of quotes inside bid and ask, error {100 * fit.rmse:.2f} points; {fit.outcome.value}"
    title = f"{UNDERLYINGS[report.underlying]}, quotes of {utc_minute(report.quoted_at)} UTC: {quality}"
    table = Table(title=title, title_justify="left")
    columns = ("expiry", "posted", "market", "to post" if dry_run else "now", "half-spread", "carry", "why")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in report.rows:
        one, held = row.planned, row.held
        new = one.post
        table.add_row(
            utc_minute(one.expiry),
            f"{_vol(held, one.expiry):.2%}" if held else "none",
            f"{_vol(one.target, one.expiry):.2%}",
            f"{_vol(new, one.expiry):.2%}" if new else "as it is",
            f"{(new or one.target).half_spread / WAD:.2%}",
            f"{(new or one.target).carry / WAD:.2%}",
            one.reason,
        )
    return table


def _row_to_json(row: Row) -> dict[str, Any]:
    one, new = row.planned, row.planned.post
    return {
        "expiry": one.expiry,
        "posted": _vol(row.held, one.expiry) if row.held else None,
        "market": _vol(one.target, one.expiry),
        "new": _vol(new, one.expiry) if new else None,
        "half_spread": (new or one.target).half_spread / WAD,
        "carry": (new or one.target).carry / WAD,
        "distance": one.distance / WAD,
        "step": one.step / WAD,
        "reason": one.reason,
        "transaction": row.transaction,
    }


def _vol(posted: VolSlice, expiry: int) -> float:
    """At the money."""
    return float((posted.theta / WAD / ((expiry - posted.posted_at) / YEAR)) ** 0.5)
