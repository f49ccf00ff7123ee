"""`keel surface post`: a surface calibrated to an option chain's file, posted as far as VolOracle takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

from keeper.chain.sender import Sender
from keeper.domain.series import UNDERLYINGS
from keeper.domain.times import utc_minute, utc_second
from keeper.domain.units import WAD, YEAR
from keeper.market.option_chain import OptionChain, read_chain
from keeper.market.posting import PATIENCE, calibration_of, plans, require_young, wanted_slices, worth_at
from keeper.operations.contracts import bind
from keeper.operations.people import Ask, node_may_go
from keeper.operations.session import Session, open_session
from keeper.pricing.calibration import Calibration
from keeper.pricing.posting import Planned

if TYPE_CHECKING:
    from pathlib import Path

    from keeper.chain.deployments import Deployment
    from keeper.chain.rpc import Connection
    from keeper.config import Settings
    from keeper.domain.snapshot import VolSlice


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
    require_young(chain, str(path), now)
    return chain, calibration_of(chain, str(path))


def _post(
    session: Session,
    sender: Sender | None,
    underlying: int,
    chain: OptionChain,
    calibration: Calibration,
    also: Iterable[int],
) -> tuple[Row, ...]:
    connection, deployment = session.connection, session.deployment
    block = connection.header()
    wanted = wanted_slices(connection, deployment, underlying, chain, calibration, block, also)
    worth = worth_at(connection, deployment, block)

    def send(call: Any, action: str) -> str | None:
        return sender.send(call, action)["transactionHash"].to_0x_hex() if sender is not None else None

    return post_slices(connection, deployment, underlying, wanted, PATIENCE, worth, send)


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
        [(planned, held)] = plans(connection, deployment, underlying, {expiry: target}, worth, block, patience)
        transaction = None
        if (one := planned.post) is not None:
            call = bind(connection.w3, deployment, "VolOracle").functions.post(
                underlying, expiry, one.theta, one.rho, one.phi, one.carry, one.half_spread
            )
            transaction = send(call, f"post the slice of {utc_second(expiry)}")
        rows.append(Row(planned, held, transaction))
    return tuple(rows)


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
