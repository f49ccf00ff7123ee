"""When the keeper stops by itself: how far things may go, and what is stopped when they go farther."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Order(StrEnum):
    """What stands until it is lifted.

    STOP_QUOTES: no quote is signed; hedging and everything else goes on. PAUSE: nothing is signed or sent.
    UNWIND: no quote is signed, what is lent is recalled, and hedges are closed once no option is left.
    """

    STOP_QUOTES = "stop-quotes"
    PAUSE = "pause"
    UNWIND = "unwind"


class Cause(StrEnum):
    """Why the kill switch trips; what each stops is in keeper/risk/kill_switch.py."""

    DRAWDOWN = "drawdown"
    MARGIN = "margin"
    ORACLE = "oracle"
    VALUATION = "valuation"
    LOSSES = "losses"
    GAS = "gas"
    ERRORS = "errors"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class KillLevels:
    """The levels of the kill switch. One that is crossed stays tripped until `keel resume`.

    Attributes:
        max_drawdown: Fall of the share price at bid from its highest; the contracts stop new business at 15 %.
        max_margin_use: Initial margin as a share of NAV at bid.
        max_doubt_seconds: For which an oracle may be in doubt before no quote is signed, chain time.
        max_mismatch_seconds: For which keeper and chain may disagree on the vault before the keeper stays paused,
            chain time. While they do, nothing is sent in any case.
        min_loss_budget: What must be left of the contracts' loss bucket, a share of its capacity.
        max_gas_a_day: Ether that may leave the keeper's account in 24 hours of chain time, for gas or otherwise.
        max_errors: Unexpected errors and failed transactions in an hour of chain time.
    """

    max_drawdown: float = 0.1
    max_margin_use: float = 0.9
    max_doubt_seconds: int = 900
    max_mismatch_seconds: int = 60
    min_loss_budget: float = 0.2
    max_gas_a_day: float = 5.0
    max_errors: int = 10


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the kill switch looks at, after one block.

    Attributes:
        drawdown: None while the contracts do not learn a share price either: an expiry waits, or a venue is silent.
        margin_use: Infinite without NAV.
        doubt_seconds, mismatch_seconds: For how long it has been so; 0 while it is not.
        loss_budget: Left of the bucket, a share of its capacity.
        gas_a_day: Ether that has left the keeper's account in the last 24 hours.
        errors: In the last hour.
    """

    drawdown: float | None
    margin_use: float
    doubt_seconds: int
    mismatch: float
    mismatch_seconds: int
    loss_budget: float
    gas_a_day: float
    errors: int


@dataclass(frozen=True, slots=True)
class Trip:
    """The kill switch says stop. One that does not last is in force for this block only."""

    cause: Cause
    order: Order
    reason: str
    lasts: bool = True


@dataclass(frozen=True)
class WatchLevels:
    """From when somebody is told.

    Attributes:
        low_gas: Ether of the keeper.
        margin_use: Initial margin as a share of NAV at bid: below the kill switch's level, so that there is time.
        missed_hedge_seconds: For which a delta may be outside its band, chain time.
        refused_seconds: For which the keeper may refuse to act without an order: a block or two is nothing.
        stuck_seconds: For which a transaction may be without an end.
        node_seconds: Without a block that could be dealt with.
        head_seconds: That the newest block may be old by this machine's clock; decisions know chain time only.
        stall_seconds: Without a round of the loop: `/health` says 503.
    """

    low_gas: float = 0.2
    margin_use: float = 0.75
    missed_hedge_seconds: int = 600
    refused_seconds: int = 60
    stuck_seconds: int = 180
    node_seconds: int = 120
    head_seconds: int = 300
    stall_seconds: int = 180


@dataclass(frozen=True)
class DeskLimits:
    """How much the quote desk takes on.

    Attributes:
        requests_per_minute: Of one taker.
        requests_per_second: Of all together.
        max_open: Quotes that one taker may hold unfilled.
        max_share: Of the vega that may be traded, what those of one taker may take, and what one maker may offer.
        max_offers: That one maker may have out.
        stale_seconds: For which a block may be quoted on.
    """

    requests_per_minute: int = 60
    requests_per_second: int = 100
    max_open: int = 8
    max_share: float = 0.5
    max_offers: int = 8
    stale_seconds: float = 30.0
