"""A recorded option chain: the quotes of one moment, as exchanges give them, for `calibrate`.

A file holds the columns time (of the snapshot, the same in all of its rows), type (call or put), strike, expiry,
forward, index, bid and ask, as parquet or csv, times in UTC. Bid and ask are in the underlying, worth one forward each,
as Deribit quotes them; a missing one is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from keeper.domain.units import YEAR
from keeper.market.recordings import RecordingError, numbers, table_of, times_of
from keeper.pricing.calibration import Quotes

_COLUMNS: Final = ("time", "type", "strike", "expiry", "forward", "index", "bid", "ask")


@dataclass(frozen=True, slots=True, eq=False)
class OptionChain:
    """Quotes in USDC, when they were (seconds), and the spot price then."""

    quoted_at: int
    spot: float
    quotes: Quotes


def read_chain(path: Path) -> OptionChain:
    """The last snapshot of a file.

    Raises:
        RecordingError: the file cannot be read, lacks a column, or has no row.
    """
    table = table_of(path, _COLUMNS)
    times = times_of(table, "time", path)
    if not times.size:
        raise RecordingError(f"{path} has no quotes.", "It needs a snapshot of the whole chain.")
    newest = times == times.max()
    strike, forward, index, bid, ask = (
        numbers(table, name, path)[newest] for name in ("strike", "forward", "index", "bid", "ask")
    )
    expiry, quoted_at = times_of(table, "expiry", path)[newest], int(times.max())
    return OptionChain(
        quoted_at=quoted_at,
        spot=float(np.median(index)),
        quotes=Quotes(
            expiry=expiry,
            years=(expiry - quoted_at) / YEAR,
            forward=forward,
            strike=strike,
            is_call=np.array(table["type"].to_pylist(), dtype=object)[newest] == "call",
            bid=bid * forward,
            ask=ask * forward,
        ),
    )
