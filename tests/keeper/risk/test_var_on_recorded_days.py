"""Value at risk of the demo's hedged book, forecast day by day on the recorded market with nothing of the future."""

import numpy as np
import pytest

from keeper.risk.backtest import backtest
from keeper.risk.scenarios import Scenarios, filtered_historical
from tests.keeper.risk.recorded import A_YEAR, ONE_DAY, Days, recorded_days, walk_forward

DAYS = recorded_days()
IN_USE = {"filtered history": filtered_historical}
pytestmark = pytest.mark.skipif(DAYS is None, reason="no recorded data: KEEL_DATA has no prices")


@pytest.mark.slow
def test_99_percent_of_filtered_history_is_exceeded_on_one_day_in_a_hundred_and_not_in_a_row():
    found = walk_forward(DAYS, IN_USE, 0.99)

    result = backtest(found.pnl, found.var["filtered history"], 0.99)
    assert result.days > 900
    assert result.passes(0.05), result


def test_a_forecast_knows_only_the_days_before():
    changed = A_YEAR + 5
    recorded = first(DAYS, A_YEAR + 10)

    both = [walk_forward(d, IN_USE, 0.99).var for d in (recorded, wilder_from(recorded, changed))]
    one, other = (var["filtered history"] for var in both)

    assert np.array_equal(one[:6], other[:6]), "the forecast for the first changed day was made before it"
    assert (one[6:] != other[6:]).all()


def test_recorded_days_have_no_holes():
    assert len(DAYS.begins) > 1_200
    assert np.abs(DAYS.moves.log_return).max() < 0.3, "a move over a hole of several days is none of a day"
    assert DAYS.begins[int(DAYS.moves.log_return[:, 0].argmin())] == 1_743_926_400, "the worst began on 2025-04-06"


def first(days: Days, count: int) -> Days:
    """The first days alone."""
    return Days(days.begins[:count], days.prices[:count], days.index[:count], days.before(count))


def wilder_from(days: Days, day: int) -> Days:
    """The same with triple moves from a day on; books are still made at the recorded prices."""
    factor = np.where(np.arange(len(days.begins)) >= day, 3.0, 1.0)[:, None]
    moves = Scenarios(ONE_DAY, days.moves.log_return * factor, days.moves.log_vol * factor)
    return Days(days.begins, days.prices, days.index, moves)
