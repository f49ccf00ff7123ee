"""`keel demo`."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import click
from click.core import ParameterSource

_MARKET = ("hours", "seed", "prices", "start", "end", "vol")


@click.command()
@click.option("--hours", type=click.FloatRange(0.25, 72), default=36.0, show_default=True, help="Length of the crash.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the market's path.")
@click.option(
    "--prices",
    multiple=True,
    metavar="[SYMBOL=]FILE",
    help="Replay these recorded candles (.parquet or .csv: time in UTC, open, high, low, close; a minute to an hour"
    " apart) instead of the built-in crash; once per underlying. A file without SYMBOL= is of the underlying that its"
    " name begins with, else of ETH. The narrowest candles set the steps, wider ones are interpolated; an underlying"
    " without a file follows the other one's returns (BTC 0.8 of ETH's). --hours and --seed do not matter then.",
)
@click.option("--from", "start", metavar="DATE[TIME]", help="Begin of the replay, UTC; by default the file's.")
@click.option("--to", "end", metavar="DATE[TIME]", help="Its end, UTC: 14 days later at most. A date means its 00:00.")
@click.option(
    "--vol",
    multiple=True,
    metavar="[SYMBOL=]FILE",
    help="Recorded volatility index for the replay, in points, same columns, once per underlying; else volatility"
    " follows from the candles.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/demo"),
    show_default=True,
    help="Folder for report, summary and the keeper's journal.",
)
@click.option("--resume", is_flag=True, help="Go on with the demo that was interrupted in the folder of --out.")
@click.pass_context
def demo(
    context: click.Context,
    hours: float,
    seed: int,
    prices: tuple[str, ...],
    start: str | None,
    end: str | None,
    vol: tuple[str, ...],
    out: Path,
    resume: bool,
) -> None:
    """Keel's story once, on a local fork of mainnet: deposit, sell options, hedge through a crash, settle, redeem.

    Everything is real but the market's path: the contracts, the venues' bytecode, the keeper (a `keel run` of its own).
    Three depositors bring 1,000,000 USDC, takers buy thirteen options on ETH and BTC over three expiries, a quiet day
    passes, then the market crashes. Ends with exit code 1 when the books do not balance.

    An interrupted demo (Ctrl-C, a power cut, kill -9) goes on with --resume from its last checkpoint, some seconds
    before. A keeper that is killed in the middle is started again at once: try it.

    \b
    Examples:
      keel demo
      keel demo --hours 2 --seed 7 --out out/short
      keel demo --resume --out out/short
      keel demo --prices eth_5m.parquet --from 2024-08-03 --to 2024-08-06 --vol eth_dvol_1h.parquet
      keel demo --prices ETH=eth_5m.parquet --prices BTC=btc_1h.parquet --from 2022-06-10 --to 2022-06-19
    """
    if not math.isfinite(hours):  # NaN is in no range, and out of none
        raise click.BadParameter(f"{hours} is not a number of hours.", param_hint="'--hours'")
    if not prices and (start or end or vol):
        raise click.UsageError("--from, --to and --vol belong to a replay: name its candles with --prices.")
    if resume:
        _require_alone(context)
        from keeper.simulation.demo.command import resume as go_on

        if not go_on(out):
            sys.exit(1)
        return
    from keeper.simulation.demo.command import run
    from keeper.simulation.demo.path import built_in

    if not prices:
        path = built_in(hours, seed)
    else:
        from keeper.simulation.demo.recorded import by_underlying, recorded

        path = recorded(by_underlying(prices, "--prices"), start, end, by_underlying(vol, "--vol"))
    if not run(path, out):
        sys.exit(1)


def _require_alone(context: click.Context) -> None:
    """A resumed demo keeps the market that it began with."""
    given = [name for name in _MARKET if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if given:
        names = ", ".join(f"--{'from' if name == 'start' else 'to' if name == 'end' else name}" for name in given)
        raise click.UsageError(f"--resume goes on in the market that the demo began with: leave out {names}.")
