"""The whole protocol deployed in titanoboa with its default parameters, and the things that people do with it."""

from tests.contracts.protocol.compiled import fault, load, replace_code
from tests.contracts.protocol.hedges import DECISION, Hedges, Leg
from tests.contracts.protocol.ledger import Ledger
from tests.contracts.protocol.options import WEEK, Options, Quote
from tests.contracts.protocol.parameters import (
    BTC,
    BTC_SHORT,
    BTC_SPOT,
    ETH,
    GOVERNOR,
    GUARDIAN,
    HEALTH_FLOOR,
    HEALTH_TARGET,
    KEEPER,
    LOOSE,
    MIN_FILL,
    QUOTER,
    SHORT,
    SPOT,
    STRIKE_STEP,
    VOL_POSTER,
    ZERO,
    Bounds,
    Budgets,
    Limits,
    Thresholds,
    VegaBudgets,
    wad,
)


class Protocol(Options, Hedges, Ledger):
    """One protocol, and what everybody does with it."""


__all__ = [
    "BTC",
    "BTC_SHORT",
    "BTC_SPOT",
    "DECISION",
    "ETH",
    "GOVERNOR",
    "GUARDIAN",
    "HEALTH_FLOOR",
    "HEALTH_TARGET",
    "KEEPER",
    "LOOSE",
    "MIN_FILL",
    "QUOTER",
    "SHORT",
    "SPOT",
    "STRIKE_STEP",
    "VOL_POSTER",
    "WEEK",
    "ZERO",
    "Bounds",
    "Budgets",
    "Leg",
    "Limits",
    "Protocol",
    "Quote",
    "Thresholds",
    "VegaBudgets",
    "fault",
    "load",
    "replace_code",
    "wad",
]
