"""Margin of options and venues together, in floats: ``RiskEngine._assess`` on a valuation's options.

Per underlying the maintenance margin is the worst over 33 cells of a function linear in the venues' units x,

    damping_j · (pnl[v, j] + x · spot · (multiplier_j - 1)),

and a contingency for short options; so it is a maximum of linear rows, which ``margin_rows`` gives to an optimiser.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keeper.domain.valuation import FloatArray, Margins, OptionTotals, VenueTotals
from keeper.risk.grid import DAMPING_FACTORS, HALF, MULTIPLIERS, ONE_AND_A_HALF, SPOT_SHOCKS, VOLS

CONTINGENCY = 0.02
INITIAL = 1.25
DOUBT = 1.5


def initial_factor(doubt: bool) -> float:
    """An underlying's initial margin as a multiple of its maintenance margin."""
    return INITIAL * (DOUBT if doubt else 1.0)


def margin_rows(options: OptionTotals) -> tuple[FloatArray, FloatArray]:
    """Losses of one underlying as rows: maintenance margin >= a + b · x for all 33 rows, x the venues' units.

    Returns:
        ``a`` and ``b``, each of shape (33,): USDC and USDC per unit, the contingency included in ``a``. The row of no
        shock has a = contingency and b = 0, so the maximum of the rows is the margin itself.
    """
    cells = options.pnl.reshape(VOLS, SPOT_SHOCKS)[:, :ONE_AND_A_HALF]
    damping = DAMPING_FACTORS[:ONE_AND_A_HALF]
    moves = options.spot * (MULTIPLIERS[:ONE_AND_A_HALF] - 1.0)
    a = CONTINGENCY * options.short_notional - damping * cells
    b = np.broadcast_to(-damping * moves, cells.shape)
    return a.ravel(), b.ravel()


def gap_rows(options: OptionTotals) -> tuple[float, float]:
    """The options' worst undamped P&L over volatilities at spot -50 % and +50 %, USDC."""
    cells = options.pnl.reshape(VOLS, SPOT_SHOCKS)
    return float(cells[:, HALF].min()), float(cells[:, ONE_AND_A_HALF].min())


def margins(options: Sequence[OptionTotals], venues: Sequence[VenueTotals], cash: float) -> Margins:
    """Equity, margins and gap headroom for any venues: the valuation's own, or those after a candidate trade.

    Args:
        options: One entry per underlying, as `value` gives them.
        venues: One entry per underlying.
        cash: USDC, liabilities deducted, after what the candidate trade costs.
    """
    equity = cash + sum(v.equity for v in venues)
    maintenance = initial = gap_loss = 0.0
    for o, v in zip(options, venues, strict=True):
        a, b = margin_rows(o)
        own = float((a + b * v.units).max())
        maintenance += own
        initial += initial_factor(o.doubt) * own
        down, up = gap_rows(o)
        gap_loss -= min(0.0, down + v.stressed_down - v.equity, up + v.stressed_up - v.equity)
    nav_bid = equity + sum(o.bid for o in options)
    return Margins(
        nav_bid=nav_bid,
        nav_mid=equity + sum(o.mid for o in options),
        nav_ask=equity + sum(o.ask for o in options),
        maintenance=maintenance,
        initial=initial,
        gap_headroom=nav_bid - gap_loss,
        gross=sum(v.gross_units * o.spot for o, v in zip(options, venues, strict=True)),
    )
