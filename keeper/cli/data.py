"""`keel data`: recorded market data."""

import sys
import time
from pathlib import Path

import click

from keeper.cli.common import answer, say


@click.group()
def data() -> None:
    """Recorded market data, for `keel demo --prices`."""


@data.command()
@click.argument("underlying", type=click.Choice(["ETH", "BTC"], case_sensitive=False))
@click.option("--exchange", default="binance", show_default=True, help="As ccxt calls it: binance, coinbase, ...")
@click.option("--symbol", help="The exchange's spot market; by default the underlying against USD, USDT or USDC.")
@click.option(
    "--spacing",
    type=click.Choice(["1m", "5m", "15m", "30m", "1h"]),
    default="5m",
    show_default=True,
    help="Of candles.",
)
@click.option("--from", "start", required=True, metavar="DATE[TIME]", help="Begin, UTC. A date means its 00:00.")
@click.option("--to", "end", metavar="DATE[TIME]", help="End, UTC; now by default.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write, .parquet or .csv; UNDERLYING_SPACING.parquet by default.",
)
@click.option("--replace", is_flag=True, help="Write over a file that is there.")
def fetch(
    underlying: str,
    exchange: str,
    symbol: str | None,
    spacing: str,
    start: str,
    end: str | None,
    out: Path | None,
    replace: bool,
) -> None:
    """Download candles of ETH or BTC from an exchange into a file that `keel demo --prices` reads.

    What has been fetched is kept beside the file until it is whole: when it was interrupted, the same command goes on.
    Candles that the exchange does not have are reported; a replay needs a time without such gaps.

    \b
    Examples:
      keel data fetch ETH --from 2022-06-10 --to 2022-06-19
      keel data fetch BTC --exchange coinbase --spacing 1h --from 2024-08-01 --to 2024-08-08 --out btc.csv
    """
    from keeper.market.candles import SPACINGS, open_market
    from keeper.operations.data import check_target, window
    from keeper.operations.data import fetch as fetch_candles

    underlying = underlying.upper()
    path = out or Path(f"{underlying.lower()}_{spacing}.parquet")
    check_target(path, replace=replace)
    begin, finish = window(start, end, SPACINGS[spacing], int(time.time()))
    market = open_market(exchange, underlying, spacing, symbol)
    with click.progressbar(range(finish - begin), label=market.label, file=sys.stderr) as bar:
        found = fetch_candles(market, begin, finish, path, lambda known, _: bar.update(known - bar.pos))
    for gap in found.gaps:
        say(f"Gap: {market.exchange.id} has no candles from {gap} UTC.")
    kept = f", {found.kept:,} of them from before" if found.kept else ""
    answer(f"{found.path}: {found.rows:,} candles of {market.label}{kept}.")
