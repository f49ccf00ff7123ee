"""`keel data fetch` against an exchange over HTTP that misbehaves: what is kept, what goes on, what is said."""

import math
import resource
from pathlib import Path

import ccxt
import numpy as np
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from keeper.cli import cli
from keeper.market import candles
from keeper.simulation.demo.recorded import recorded
from tests.keeper.market.exchange_rig import (
    Exchange,
    busy,
    ccxt_at,
    cut_short,
    down,
    half_of_it,
    serving,
    sign_in_page,
    silent,
)

BEGIN = 1_654_819_200  # 2022-06-10 00:00 UTC
MINUTES = 5 * 60


def walk(times):
    """Prices of a slow wave, every candle with a body and wicks."""
    prices = [1_800 * math.exp(0.05 * math.sin(i / 50)) for i in range(len(times) + 1)]
    return {time: (a, max(a, b) + 1, min(a, b) - 1, b) for time, a, b in zip(times, prices, prices[1:], strict=False)}


@pytest.fixture
def exchange(monkeypatch, tmp_path):
    """Nine days of candles, at the address where ccxt looks for Binance; waits are short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(candles, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(candles, "_LONGEST_WAIT", 0.01)
    with serving(Exchange(MINUTES, walk(range(BEGIN, BEGIN + 9 * 86_400, MINUTES)))) as served:
        monkeypatch.setattr(ccxt, "binance", ccxt_at(served.url))
        yield served


def fetch(*args, underlying="ETH", start="2022-06-10", end="2022-06-19"):
    return CliRunner().invoke(cli, ["data", "fetch", underlying, "--from", start, "--to", end, *args])


def rows(path):
    table = pyarrow.parquet.read_table(path)
    return table["time"].to_numpy().astype("datetime64[s]").astype(np.int64).tolist(), table["close"].to_pylist()


def test_a_window_is_fetched_page_by_page_into_a_file_that_the_demo_replays(exchange, tmp_path):
    shown = fetch()

    assert shown.exit_code == 0, shown.output
    assert "eth_5m.parquet: 2,592 candles of ETH/USDT of binance, 5m apart.\n" in shown.output
    assert exchange.asked == [BEGIN, BEGIN + 1_000 * MINUTES, BEGIN + 2_000 * MINUTES]
    assert rows("eth_5m.parquet")[0] == sorted(exchange.candles)
    assert [path.name for path in tmp_path.iterdir()] == ["eth_5m.parquet"]


@pytest.mark.parametrize("name", ["eth.parquet", "eth.csv"])
def test_both_formats_are_replayed(exchange, name):
    assert fetch("--out", name).exit_code == 0

    path = recorded({"ETH": Path(name)})

    assert len(path.steps) == 2_592
    assert path.spacing == MINUTES


def test_only_closed_candles_of_the_window_are_in_the_file(exchange):
    assert fetch(start="2022-06-10T00:02", end="2022-06-10T01:03").exit_code == 0

    times, closes = rows("eth_5m.parquet")
    assert times == list(range(BEGIN + 300, BEGIN + 3_600, 300))
    assert closes == [round(exchange.candles[time][3], 2) for time in times]


@pytest.mark.parametrize("fault", [busy(), down, cut_short, half_of_it, sign_in_page, silent])
def test_a_fault_of_the_exchange_is_tried_again(exchange, fault, caplog):
    exchange.faults = [fault, fault]

    shown = fetch(end="2022-06-11")

    assert shown.exit_code == 0, shown.output
    assert len(rows("eth_5m.parquet")[0]) == 288
    assert caplog.text.count("Trying again in") == 2


def test_the_exchange_is_left_alone_for_as_long_as_it_wants(exchange, monkeypatch):
    waited = []
    monkeypatch.setattr(candles, "_LONGEST_WAIT", 60.0)
    monkeypatch.setattr("keeper.market.candles.time.sleep", waited.append)
    exchange.faults = [busy(17)]

    assert fetch(end="2022-06-11").exit_code == 0
    assert 17.0 in waited


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (busy(), "is asked too often"),
        (down, "is not available, or not from here"),
        (cut_short, "cannot be reached"),
        (half_of_it, "gave an answer that is cut short or not its own"),
        (sign_in_page, "gave an answer that is cut short or not its own"),
    ],
)
def test_an_exchange_that_stays_away_is_an_error_and_the_next_call_goes_on(exchange, tmp_path, fault, reason):
    exchange.faults = [lambda good: (200, {}, good), *[fault] * candles._ATTEMPTS]

    ended = fetch()

    assert ended.exit_code == 3
    assert f"Error: binance {reason}, asked for candles from 2022-06-13 11:20 on.\n" in ended.output
    assert "1,000 candles are kept in eth_5m.parquet.partial.\n" in ended.output
    assert "Give the same command again: it goes on from there." in ended.output
    assert not (tmp_path / "eth_5m.parquet").exists()

    exchange.asked.clear()
    again = fetch()

    assert again.exit_code == 0, again.output
    assert exchange.asked[0] == BEGIN + 1_000 * MINUTES
    assert "2,592 candles of ETH/USDT of binance, 5m apart, 1,000 of them from before." in again.output
    assert rows("eth_5m.parquet")[0] == sorted(exchange.candles)
    assert not (tmp_path / "eth_5m.parquet.partial").exists()


def interrupted(exchange, pages=1):
    """A fetch that got some pages and then nothing."""
    exchange.faults = [*[lambda good: (200, {}, good)] * pages, *[down] * candles._ATTEMPTS]
    assert fetch().exit_code == 3
    exchange.asked.clear()


def test_a_line_that_a_crash_cut_short_is_fetched_again(exchange, tmp_path):
    interrupted(exchange)
    partial = tmp_path / "eth_5m.parquet.partial"
    partial.write_bytes(partial.read_bytes()[:-20])

    assert fetch().exit_code == 0
    assert exchange.asked[0] == BEGIN + 999 * MINUTES
    assert rows("eth_5m.parquet")[0] == sorted(exchange.candles)


def test_what_is_left_of_another_fetch_is_not_mixed_in(exchange, tmp_path):
    interrupted(exchange)
    before = (tmp_path / "eth_5m.parquet.partial").read_bytes()

    for change in ({"start": "2022-06-11"}, {"underlying": "BTC"}):
        shown = fetch("--out", "eth_5m.parquet", **change)
        assert shown.exit_code == 2
        assert "eth_5m.parquet.partial is what is left of another fetch.\n" in shown.output
    assert (tmp_path / "eth_5m.parquet.partial").read_bytes() == before
    assert exchange.asked == []


@pytest.mark.parametrize("damage", [b"\xff\xfe\x00" * 9, b"1654819200, 1, 2\n"])
def test_a_damaged_partial_file_is_refused(exchange, tmp_path, damage):
    interrupted(exchange)
    with (tmp_path / "eth_5m.parquet.partial").open("ab") as file:
        file.write(damage)

    shown = fetch()

    assert shown.exit_code == 2
    assert "eth_5m.parquet.partial is" in shown.output
    assert "Nothing was fetched" in shown.output


def test_gaps_are_reported_and_not_filled(exchange):
    missing = [BEGIN + i * MINUTES for i in (0, 1, 100, 101, 102)]
    for time in missing:
        del exchange.candles[time]

    shown = fetch(end="2022-06-11")

    assert shown.exit_code == 0
    assert "Gap: binance has no candles from 2022-06-10 00:00 to 2022-06-10 00:10 UTC.\n" in shown.output
    assert "Gap: binance has no candles from 2022-06-10 08:20 to 2022-06-10 08:35 UTC.\n" in shown.output
    assert "eth_5m.parquet: 283 candles" in shown.output


def test_an_exchange_without_candles_is_an_error_and_leaves_no_file(exchange, tmp_path):
    exchange.candles.clear()

    shown = fetch(end="2022-06-11")

    assert shown.exit_code == 2
    assert "binance has no candles of ETH/USDT from 2022-06-10 00:00 to 2022-06-11 00:00 UTC" in shown.output
    assert list(tmp_path.iterdir()) == []


def test_a_candle_that_cannot_be_is_named(exchange):
    exchange.candles[BEGIN + 3_600] = (1_800, 1_700, 1_600, 1_650)

    shown = fetch()

    assert shown.exit_code == 3
    assert "cannot be: open 1800, high 1700, low 1600, close 1650 at 2022-06-10 01:00 UTC" in shown.output


def test_a_file_that_is_there_is_written_over_only_when_told_to(exchange, tmp_path):
    (tmp_path / "eth_5m.parquet").write_text("precious")

    refused = fetch()
    assert refused.exit_code == 2
    assert "eth_5m.parquet is there already.\nNothing was fetched, and it was not changed.\n" in refused.output
    assert (tmp_path / "eth_5m.parquet").read_text() == "precious"

    assert fetch("--replace").exit_code == 0
    assert len(rows("eth_5m.parquet")[0]) == 2_592


def test_ctrl_c_keeps_what_was_fetched(exchange, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    def page_and_interrupt(good):
        monkeypatch.setattr(candles, "_row", interrupt)
        return 200, {}, good

    exchange.faults = [lambda good: (200, {}, good), page_and_interrupt]

    shown = fetch()

    assert shown.exit_code == 1
    assert "Error: Interrupted.\n1,000 candles are kept in eth_5m.parquet.partial.\n" in shown.output


def test_a_disk_that_fills_up_keeps_what_fitted_and_the_next_call_goes_on(exchange):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # bytes of a file: as a full disk, but of ours alone
    try:
        shown = fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert shown.exit_code == 2
    assert "eth_5m.parquet.partial cannot be written: File too large.\n1,000 candles are kept in" in shown.output
    assert fetch().exit_code == 0
    assert rows("eth_5m.parquet")[0] == sorted(exchange.candles)


def test_a_folder_that_cannot_be_written_to_is_refused(exchange):
    shown = fetch("--out", "/proc/1/eth.csv")

    assert shown.exit_code == 2
    assert "/proc/1/eth.csv.partial cannot be written" in shown.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--exchange", "binanse"), "There is no exchange 'binanse' in ccxt.\nNothing was fetched.\nTry binance, "),
        (("--symbol", "ETH/EUR"), "binance has no spot market ETH/EUR.\n"),
        (("--exchange", "hollaex", "--spacing", "30m"), "hollaex has no candles 30m apart.\n"),
        (("--out", "eth.txt"), "eth.txt is neither .parquet nor .csv."),
        (("--out", "."), ". is neither .parquet nor .csv."),
        (("--spacing", "7m"), "'7m' is not one of"),
        (("--from", "lately"), "--from 'lately' is neither a date nor a date-time."),
        (("--to", "2999-01-01"), "--to 2999-01-01 is in the future."),
        (("--from", "2022-06-20"), "There is no candle between 2022-06-20 00:00 and 2022-06-19 00:00 UTC."),
    ],
)
def test_a_mistake_is_one_message_before_anything_is_fetched(exchange, tmp_path, args, message):
    shown = fetch(*args)

    assert shown.exit_code == 2
    assert message in shown.output
    assert exchange.asked == []
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_it_says_so_soon(exchange, monkeypatch):
    monkeypatch.setattr(ccxt, "binance", ccxt_at("http://127.0.0.1:9"))

    shown = fetch()

    assert shown.exit_code == 3
    assert "Error: binance cannot be reached, asked for its markets.\nNothing was fetched.\nCheck the" in shown.output
