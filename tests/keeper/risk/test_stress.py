"""The stress library: its recorded moves are those of the recordings, and each is applied whole."""

from math import exp

import numpy as np
import pandas as pd
import pytest

from keeper.risk.revaluation import revalue
from keeper.risk.stress import LIBRARY, stress_scenarios
from keeper.simulation.paths import data_dir
from tests.keeper.risk.books import hedge, snapshot_of

BY_NAME = {stress.name: stress for stress in LIBRARY}
WINDOWS = {  # UTC days of closes, and how many hours apart
    "2021-05-19, China's ban": ("2021-05-18", "2021-05-21", 24),
    "2022-06, Three Arrows": ("2022-06-08", "2022-06-20", 168),
    "2024-08-05, yen carry": ("2024-08-03", "2024-08-07", 24),
}


def closes(file):
    """Hourly closes at the time they are known."""
    candles = pd.read_parquet(data_dir() / f"{file}.parquet", columns=["time", "close"])
    return pd.Series(candles.close.to_numpy(), index=candles.time + pd.Timedelta("1h"))


def deepest(series, first, last, hours, sign):
    """ln of the largest fall (sign -1) or rise between two closes at most so many hours apart."""
    window = series.loc[pd.Timestamp(first, tz="UTC") : pd.Timestamp(last, tz="UTC")]
    logs = sign * np.log(window)
    return sign * max(float(logs[t : t + pd.Timedelta(hours=hours)].max() - x) for t, x in logs.items())


@pytest.mark.skipif(data_dir() is None, reason="no recorded data: KEEL_DATA has no prices")
@pytest.mark.parametrize("name", WINDOWS)
def test_recorded_moves_are_the_recordings(name):
    found = [deepest(closes(f"prices/{coin}_1h"), *WINDOWS[name], -1) for coin in ("eth", "btc")]

    assert BY_NAME[name].returns == pytest.approx(found, abs=1e-4)


@pytest.mark.skipif(data_dir() is None, reason="no recorded data: KEEL_DATA has no volatility index")
def test_volatility_of_august_2024_is_the_recorded_index():
    name = "2024-08-05, yen carry"

    assert BY_NAME[name].vol == pytest.approx(deepest(closes("vol/eth_dvol_1h"), *WINDOWS[name], 1), abs=1e-4)


@pytest.mark.skipif(data_dir() is None, reason="no recorded data: KEEL_DATA has no volatility index")
def test_volatility_of_may_2021_is_what_later_crashes_say_of_such_a_fall():
    both = pd.DataFrame({"price": closes("prices/eth_1h"), "vol": closes("vol/eth_dvol_1h")}).dropna()
    moves = np.log(both / both.reindex(both.index - pd.Timedelta("24h")).to_numpy()).dropna()
    crashes = moves[moves.price < -0.12]

    slope = (crashes.price * crashes.vol).sum() / (crashes.price**2).sum()

    assert BY_NAME["2021-05-19, China's ban"].vol == pytest.approx(slope * -0.4078, abs=0.02)


def test_a_stress_is_applied_to_every_underlying_at_once():
    snapshot = snapshot_of([], [], venues=[hedge(0, 1.0, 3_000.0), hedge(1, 1.0, 90_000.0)])

    found = revalue(snapshot, stress_scenarios()).total

    falls = dict(zip(BY_NAME, found, strict=True))
    assert falls["gap of 60 % down"] == pytest.approx(-0.6 * 93_000.0)
    assert falls["USDC at 0.88"] == pytest.approx((1.0 / 0.88 - 1.0) * 93_000.0)
    assert falls["volatility doubles"] == falls["liquidity gone"] == 0.0
    assert falls["2020-03-12, Covid"] == pytest.approx(-0.55 * 3_000.0 - (1.0 - 3_800 / 7_900) * 90_000.0)


def test_every_stress_says_where_its_numbers_are_from():
    assert all(stress.source and stress.depth > 0.0 and stress.spread >= 1.0 for stress in LIBRARY)
    assert max(exp(stress.vol) for stress in LIBRARY) < 3.0
    assert stress_scenarios(underlyings=1).log_return.shape == (len(LIBRARY), 1)
