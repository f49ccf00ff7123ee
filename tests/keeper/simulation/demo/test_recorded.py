"""Recorded candles as a market path: returns and time of day are kept; what is wrong with a file is said."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from keeper.errors import ConfigError
from keeper.simulation.demo.recorded import by_underlying, recorded
from keeper.simulation.paths import data_dir

DATA = data_dir()
BEGIN = int(datetime(2024, 8, 5, 0, 0, tzinfo=UTC).timestamp())
HOUR = 3600
needs_recordings = pytest.mark.skipif(DATA is None, reason="no recorded data (KEEL_DATA)")


def candles(closes, *, begin=BEGIN, spacing=HOUR):
    """Rows that open where the one before closed."""
    rows, last = [], closes[0]
    for i, close in enumerate(closes):
        low, high = min(last, close), max(last, close)
        when = datetime.fromtimestamp(begin + i * spacing, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.append({"time": when, "open": last, "high": high, "low": low, "close": close, "volume": 1.0})
        last = close
    return rows


ROWS = candles([3000.0, 2990.0, 2980.0, 2970.0, 2960.0])


@pytest.fixture
def csv(tmp_path):
    def write(rows, name="eth.csv"):
        names = list(rows[0])
        lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return tmp_path / name

    return write


def eth(prices, start=None, end=None, vol=None):
    """The path of ETH's candles."""
    return recorded({"ETH": prices}, start, end, {"ETH": vol} if vol else None)


def prices_of(path, underlying=0):
    return [step.prices[underlying] for step in path.steps]


def vols_of(path, underlying=0):
    return [step.vols[underlying] for step in path.steps]


def refusal(*args, **kwargs):
    return refused(eth, *args, **kwargs)


def refused(call, *args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        call(*args, **kwargs)
    assert caught.value.kept == "Nothing was started."
    assert caught.value.todo
    return caught.value.what


# ---------------------------------------------------------------- the path


def test_each_candle_is_a_step_at_its_close_relative_to_the_first_open(csv):
    path = eth(csv(candles([3000.0, 2700.0, 2850.0])))

    assert prices_of(path) == pytest.approx([1.0, 0.9, 0.95])
    assert (path.spacing, path.hours) == (HOUR, 3)


def test_parquet_and_csv_and_time_zones_say_the_same(csv, tmp_path):
    rows = candles([3000.0, 2700.0, 2850.0])
    table = {name: [row[name] for row in rows] for name in rows[0]}
    table["time"] = pyarrow.array(
        [datetime.fromisoformat(when).replace(tzinfo=UTC) for when in table["time"]], pyarrow.timestamp("ms", "UTC")
    )
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "eth.parquet")
    zoned = [{**row, "time": row["time"].replace(" ", "T") + "Z"} for row in rows]

    paths = [eth(tmp_path / "eth.parquet"), eth(csv(rows)), eth(csv(zoned, "zoned.csv"))]

    assert paths[0].steps == paths[1].steps == paths[2].steps
    assert {path.first_expiry for path in paths} == {paths[0].first_expiry}


@pytest.mark.parametrize(
    ("start", "hours", "expiry_after"),
    [
        ("2024-08-05T00:00", 72, 56),  # the third day's, nearest to 54 h
        ("2024-08-05T07:30", 2, 0.5),  # the only one
        ("2024-08-05T08:00", 30, 24),  # its own start is none
        ("2024-08-05T10:00", 12, 22),  # the one after the end
        ("2024-08-05T07:00", 1, 25),  # the end is too late for the fixing's round
        ("2024-08-05T06:00", 1, 26),  # an hour after the end is too close to it
    ],
)
def test_the_first_expiry_is_the_eight_o_clock_nearest_to_three_quarters(csv, start, hours, expiry_after):
    begin = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp())
    rows = candles([3000.0] * hours * 2, begin=begin, spacing=HOUR // 2)

    path = eth(csv(rows))

    assert path.first_expiry == expiry_after * HOUR
    assert (begin + path.first_expiry) % 86400 == 8 * HOUR


def test_from_and_to_choose_the_candles_that_close_within(csv):
    file = csv(candles([3000.0 + i for i in range(48)]))

    path = eth(file, "2024-08-05T06:00", "2024-08-05 08:30")
    zoned = eth(file, "2024-08-05T08:00+02:00", "2024-08-05T08:30Z")

    assert [price * 3005 for price in prices_of(path)] == pytest.approx([3006, 3007])
    assert path.steps == zoned.steps
    assert path.title == "ETH eth.csv, BTC at 0.8 of ETH's returns, 2024-08-05 06:00 to 2024-08-05 08:00 UTC"


# ---------------------------------------------------------------- two underlyings


def test_wider_candles_are_interpolated_between_their_closes(csv):
    narrow = csv(candles([3000.0, 2990.0, 2980.0, 2970.0], spacing=HOUR // 2))
    wide = csv(candles([90_000.0, 81_000.0]), "btc.csv")

    path = recorded({"ETH": narrow, "BTC": wide})

    half = 81_000 / 90_000
    assert path.spacing == HOUR // 2
    assert prices_of(path, 1) == pytest.approx([1.0, 1.0, half**0.5, half])
    assert path.title.startswith("ETH eth.csv, BTC btc.csv (interpolated), 2024-08-05 00:00 to 2024-08-05 02:00")


def test_the_narrowest_candles_set_the_steps_whosever_they_are(csv):
    wide = csv(candles([3000.0, 2700.0]))
    narrow = csv(candles([90_000.0] * 4, spacing=HOUR // 2), "btc.csv")

    path = recorded({"ETH": wide, "BTC": narrow})

    assert prices_of(path) == pytest.approx([1.0, 1.0, 0.9**0.5, 0.9])


def test_the_window_is_what_all_files_have(csv):
    early = csv(candles([3000.0 + i for i in range(10)]))
    late = csv(candles([90_000.0] * 10, begin=BEGIN + 4 * HOUR), "btc.csv")

    path = recorded({"ETH": early, "BTC": late})

    assert [price * 3003 for price in prices_of(path)] == pytest.approx([3004, 3005, 3006, 3007, 3008, 3009])


def test_a_window_within_wide_candles_begins_at_their_interpolated_price(csv):
    narrow = csv(candles([3000.0] * 8, spacing=HOUR // 4))
    wide = csv(candles([90_000.0, 81_000.0]), "btc.csv")

    path = recorded({"ETH": narrow, "BTC": wide}, "2024-08-05T01:30", "2024-08-05T02:00")

    assert prices_of(path, 1)[-1] == pytest.approx((81_000 / 90_000) ** 0.5)


def test_an_underlying_without_a_file_follows_the_other_one_and_the_title_says_so(csv):
    file = csv(candles([3000.0, 2700.0, 2850.0]))

    eth_led, btc_led = recorded({"ETH": file}), recorded({"BTC": file})

    assert prices_of(eth_led, 1) == pytest.approx([1.0, 0.9**0.8, 0.95**0.8])
    assert prices_of(btc_led, 0) == pytest.approx([1.0, 0.9**1.25, 0.95**1.25])
    assert eth_led.vols[1] == pytest.approx(0.8 * eth_led.vols[0])
    assert "BTC at 0.8 of ETH's returns" in eth_led.title
    assert "ETH at 1.25 of BTC's returns" in btc_led.title


def test_the_volatility_of_wide_candles_is_not_known_before_they_close(csv):
    narrow = csv(candles([3000.0] * 4, spacing=HOUR // 2))
    wide = csv(candles([90_000.0, 60_000.0]), "btc.csv")

    vols = vols_of(recorded({"ETH": narrow, "BTC": wide}), 1)

    assert vols[2] == vols[1] < vols[3]


def test_each_underlying_has_its_own_index_or_its_own_candles(csv):
    prices = {"ETH": csv(candles([3000.0] * 4)), "BTC": csv(candles([90_000.0] * 4), "btc.csv")}
    index = csv(candles([80.0] * 6, begin=BEGIN - 2 * HOUR), "dvol.csv")

    path = recorded(prices, vols={"ETH": index})
    follower = recorded({"ETH": prices["ETH"]}, vols={"ETH": index})

    assert path.vols == pytest.approx((0.80, 0.45))
    assert follower.vols == pytest.approx((0.80, 0.64))


def test_a_file_that_ends_within_the_window_is_refused(csv):
    short = csv(candles([90_000.0] * 2), "btc.csv")

    what = refused(recorded, {"ETH": csv(ROWS), "BTC": short}, "2024-08-05T00:00", "2024-08-05T05:00")
    apart = refused(recorded, {"ETH": csv(ROWS), "BTC": csv(candles([9.0] * 3, begin=BEGIN - 9 * HOUR), "btc.csv")})

    assert "btc.csv has a gap: no candle opens between 2024-08-05 01:00 and 2024-08-05 05:00" in what
    assert "no time in common" in apart


def test_the_underlying_of_a_file_is_said_or_in_its_name_or_eth(tmp_path):
    odd = tmp_path / "x=y.csv"
    odd.touch()

    assert by_underlying(("btc=a/eth.csv", "b.csv"), "--prices") == {"BTC": Path("a/eth.csv"), "ETH": Path("b.csv")}
    assert by_underlying(("a/btc_1h.parquet",), "--prices") == {"BTC": Path("a/btc_1h.parquet")}
    assert by_underlying((str(odd),), "--prices") == {"ETH": odd}


def test_two_files_for_one_underlying_or_an_unknown_one_are_refused():
    twice = refused(by_underlying, ("eth_5m.csv", "candles.csv"), "--prices")
    unknown = refused(by_underlying, ("SOL=sol.csv",), "--vol")

    assert "--prices has two files for ETH: eth_5m.csv and candles.csv" in twice
    assert "'SOL' in SOL=sol.csv is not an underlying" in unknown


# ---------------------------------------------------------------- volatility


def test_without_an_index_volatility_is_the_moving_average_of_squared_returns(csv):
    path = eth(csv(candles([3000.0, 3000.0, 2700.0])))

    # σ² ← λσ² + (1 − λ)r², from the built-in path's 55 %
    calm = 0.94**2 * 0.55**2
    wild = 0.94 * calm + 0.06 * math.log(0.9) ** 2 * 365 * 24
    assert path.vols[0] == pytest.approx(0.55)
    assert vols_of(path)[1:] == pytest.approx([math.sqrt(calm), math.sqrt(wild)])


def test_volatility_learns_from_the_days_before_the_window(csv):
    shaken = [3000.0 * (1.02 if i % 2 else 1.0) for i in range(72)]
    file = csv(candles(shaken))

    path = eth(file, "2024-08-07")

    hourly = math.log(1.02) * math.sqrt(365 * 24)
    assert path.vols[0] == pytest.approx(hourly, rel=0.05)


def test_memory_is_in_hours_whatever_the_width_of_the_candles(csv):
    zigzag = [3000.0 * math.exp(0.002 * (-1) ** i) for i in range(96)]

    hourly = eth(csv(candles(zigzag), "wide.csv"), "2024-08-08")
    quarter = eth(csv(candles(zigzag * 4, spacing=HOUR // 4), "narrow.csv"), "2024-08-08")

    assert quarter.vols[0] == pytest.approx(2 * hourly.vols[0], rel=0.02)  # four times the variance a second


def test_volatility_stays_within_what_an_oracle_takes(csv):
    still = eth(csv(candles([3000.0] * 96), "still.csv"))
    wild = eth(csv(candles([3000.0 * (1.4 if i % 2 else 1.0) for i in range(48)]), "wild.csv"))

    assert still.steps[-1].vols[0] == 0.30
    assert wild.steps[-1].vols[0] == 3.00


def test_an_index_is_read_at_the_close_of_its_newest_candle(csv):
    prices = csv(candles([3000.0] * 4, spacing=HOUR // 2))
    index = csv(candles([50.0, 60.0, 90.0, 120.0], begin=BEGIN - 2 * HOUR), "dvol.csv")

    path = eth(prices, vol=index)

    assert path.vols[0] == pytest.approx(0.60)
    assert vols_of(path) == pytest.approx([0.60, 0.90, 0.90, 1.20])


def test_an_index_that_is_not_there_or_not_in_points_is_refused(csv):
    prices = csv(candles([3000.0] * 4))
    late = csv(candles([50.0] * 4, begin=BEGIN + HOUR), "late.csv")
    early = csv(candles([50.0] * 4, begin=BEGIN - 40 * HOUR), "early.csv")
    shares = csv(candles([0.5] * 8, begin=BEGIN - 2 * HOUR), "shares.csv")

    assert "late.csv has no volatility at 2024-08-05 00:00 UTC" in refusal(prices, vol=late)
    assert "early.csv has no volatility at 2024-08-05 00:00 UTC" in refusal(prices, vol=early)
    assert "does not look like points" in refusal(prices, vol=shares)


# ---------------------------------------------------------------- what can be wrong


def changed(rows, row, **values):
    return [{**each, **values} if i == row else each for i, each in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([{k: v for k, v in row.items() if k not in ("low", "close")} for row in ROWS], "has no column low, close"),
        ([ROWS[1], ROWS[0], *ROWS[2:]], "is not sorted: 2024-08-05 00:00"),
        ([ROWS[0], *ROWS], "is not sorted: 2024-08-05 00:00"),
        ([*ROWS[:2], *ROWS[3:]], "no candle opens between 2024-08-05 01:00 and 2024-08-05 03:00"),
        (changed(ROWS, 2, close=-5.0), "close is -5 at 2024-08-05 02:00"),
        (changed(ROWS, 2, open=0), "open is 0 at 2024-08-05 02:00"),
        (changed(ROWS, 3, high=""), "high is nan at 2024-08-05 03:00"),
        (changed(ROWS, 3, high="inf"), "high is inf at 2024-08-05 03:00"),
        (changed(ROWS, 3, low="low"), "column low"),
        (changed(ROWS, 3, low=2999.0), "outside of low to high at 2024-08-05 03:00"),
        (changed(ROWS, 3, time="noon"), "The column time"),
        (changed(ROWS, 3, time=""), "The column time"),
        ([{**row, "time": 1722816000 + i} for i, row in enumerate(ROWS)], "The column time"),
        (ROWS[:1], "has 1 candles"),
        (candles([3000.0, 2990.0], spacing=4 * HOUR), "14400 s apart"),
        (candles([3000.0, 2990.0], spacing=30), "30 s apart"),
        ([*ROWS[:3], *candles([2980.0], begin=BEGIN + 2 * HOUR + 1800), *ROWS[3:]], "not evenly spaced"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_refused_with_the_reason(csv, rows, what):
    assert what in refusal(csv(rows))


@pytest.mark.parametrize(
    ("start", "end", "what"),
    [
        ("2024-08-05T03:00", "2024-08-05T01:00", "ends at 2024-08-05 01:00, before it begins"),
        ("2024-08-06", "2024-08-07", "no two candles between 2024-08-06 00:00 and 2024-08-07 00:00"),
        ("2024-08-05T00:30", "2024-08-05T01:30", "no two candles"),
        ("2024-08-04T22:00", None, "no candle opens between 2024-08-04 21:59 and 2024-08-05 00:00"),
        (None, "2024-08-05T06:00", "no candle opens between 2024-08-05 04:00 and 2024-08-05 05:00"),
        ("yesterday", None, "--from 'yesterday' is neither a date nor a date-time"),
        (None, "2024-13-01", "--to '2024-13-01' is neither a date nor a date-time"),
        ("2024-08-01", "2024-08-16", "15.0 days long; 14 is the most"),
    ],
)
def test_a_window_that_the_file_does_not_have_is_refused(csv, start, end, what):
    assert what in refusal(csv(ROWS), start, end)


def test_a_whole_file_of_more_than_fourteen_days_needs_a_window(csv):
    file = csv(candles([3000.0] * (14 * 24 + 1)))

    assert "14.0 days long; 14 is the most" in refusal(file)
    assert eth(file, end="2024-08-19").hours == 14 * 24


def test_what_is_wrong_outside_of_the_window_does_no_harm(csv):
    file = csv([*changed(ROWS, 0, close="nan"), *candles([2980.0] * 4, begin=BEGIN + 8 * 24 * HOUR)])

    assert len(eth(file, "2024-08-13").steps) == 4


def test_what_is_wrong_in_the_week_before_the_window_would_be_in_its_volatility(csv):
    file = csv([*changed(ROWS, 0, close="nan"), *candles([2980.0] * 4, begin=BEGIN + 24 * HOUR)])

    assert "close is nan at 2024-08-05 00:00" in refusal(file, "2024-08-06")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "eth.xlsx").write_bytes(b"")

    assert "none.csv cannot be read: No such file or directory" in refusal(tmp_path / "none.csv")
    assert "folder.csv cannot be read" in refusal(tmp_path / "folder.csv")
    assert "empty.csv is not a .csv file" in refusal(tmp_path / "empty.csv")
    assert "torn.parquet is not a .parquet file" in refusal(tmp_path / "torn.parquet")
    assert "eth.xlsx is neither .parquet nor .csv" in refusal(tmp_path / "eth.xlsx")


# ---------------------------------------------------------------- real recordings


@needs_recordings
def test_the_crash_of_august_2024_is_as_deep_and_as_long_as_it_was():
    path = eth(DATA / "prices/eth_5m.parquet", "2024-08-03", "2024-08-06", DATA / "vol/eth_dvol_1h.parquet")

    assert len(path.steps) == 3 * 288
    assert min(prices_of(path)) == pytest.approx(0.728, abs=0.001)
    assert max(vols_of(path)) > 1.5 * path.vols[0]


@needs_recordings
def test_june_2022_has_no_recorded_volatility_and_says_so():
    prices, index = DATA / "prices/eth_5m.parquet", DATA / "vol/eth_dvol_1h.parquet"

    path = eth(prices, "2022-06-10", "2022-06-19")

    assert min(prices_of(path)) < 0.5
    assert max(vols_of(path)) > 1.5 * path.vols[0]
    assert "has no volatility at 2022-06-10 00:00" in refusal(prices, "2022-06-10", "2022-06-19", index)
