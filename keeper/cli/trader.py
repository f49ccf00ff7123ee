"""What takers, makers and quoters run: quote, offer, fill, write, claim, take collateral back, cancel."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click

from keeper.cli.common import Amount, account_option, answer, asking, config_option, settings_of, show

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def options() -> None:
    """The vault's options: sign a quote or an offer, trade, write options to the vault, be paid, get collateral back.

    A SERIES is written as `keel status` shows it: ETH-27NOV26-3000-C.
    """


@options.command()
@click.argument("series")
@click.argument("size", type=Amount())
@click.option("--buy", is_flag=True, help="What the vault would buy; without it what it would sell.")
@click.option("--nonce", type=int, default=0, show_default=True, help="By which it can be cancelled.")
@click.option(
    "--market",
    type=_FILE,
    help="Fresh option chain, as for `keel surface post`, to price by; else the posted surface.",
)
@account_option
@config_option
def quote(
    series: str, size: Decimal, buy: bool, nonce: int, market: Path | None, account: str, config: Path | None
) -> None:
    """Sign a quote as the vault's quoter and print it, for a file that a taker or maker trades within 45 seconds.

    With it comes what the price is made of: its value on the surface, the spread, a lean for the variance premium, what
    the trade costs the book, what the contracts' marks add. It is of less than SIZE where they let no more stand.

    \b
    Examples:
      keel options quote ETH-27NOV26-3000-C 2.5 --account quoter > quote.json
      keel options quote ETH-27NOV26-2800-P 10 --buy --account quoter > quote.json
    """
    from keeper.operations.standing import require_quotes

    require_quotes(settings_of(config))
    from keeper.operations import traders

    settings = settings_of(config, account)
    show(traders.quote(settings, series, size, nonce, vault_sells=not buy, market=market, ask=asking()))


@options.command()
@click.argument("series")
@click.argument("size", type=Amount())
@click.argument("price", type=Amount())
@click.option("--buy", is_flag=True, help="Buy what the vault holds; without it write to the vault.")
@click.option("--least", type=Amount(), default="0", help="Trade no less than this; by default what the contract asks.")
@click.option("--minutes", type=click.IntRange(1, 59), default=30, show_default=True, help="For which it stands.")
@account_option
@config_option
def offer(
    series: str,
    size: Decimal,
    price: Decimal,
    buy: bool,
    least: Decimal,
    minutes: int,
    account: str,
    config: Path | None,
) -> None:
    """Sign an offer to the vault, as a maker that its operator knows, and print it for the keeper's quote server.

    PRICE is in USDC per unit. Where the vault's hedge wants it, GET /offers/DIGEST answers with a quote for you, which
    `keel options write` or `fill` trades within 45 seconds. A new offer stands in the place of your last one for the
    series, and one with a SIZE of 0 takes it back.

    \b
    Examples:
      keel options offer ETH-27NOV26-3000-C 10 118.5 --account maker > offer.json
      curl -s http://127.0.0.1:9465/offers -H 'content-type: application/json' -d @offer.json
    """
    from keeper.operations import traders

    settings = settings_of(config, account)
    show(traders.offer(settings, series, size, price, least, minutes, vault_sells=buy, ask=asking()))


@options.command()
@click.argument("quote_file", metavar="QUOTE", type=_FILE)
@account_option
@config_option
def fill(quote_file: Path, account: str, config: Path | None) -> None:
    """Trade the quote in a file: buy from the vault, or sell back to it what you hold.

    \b
    Examples:
      keel options fill quote.json --account me
    """
    from keeper.operations import traders

    answer(traders.fill(settings_of(config, account), quote_file, asking()))


@options.command()
@click.argument("quote_file", metavar="QUOTE", type=_FILE)
@account_option
@config_option
def write(quote_file: Path, account: str, config: Path | None) -> None:
    """Write the options of a quote to the vault, for its premium, against full collateral.

    That is the strike in USDC for a put, the underlying itself for a call. What the options do not pay is yours again
    once the series is settled: `keel options take-back`.

    \b
    Examples:
      keel options write quote.json --account maker
    """
    from keeper.operations import traders

    answer(traders.write(settings_of(config, account), quote_file, asking()))


@options.command()
@click.argument("series")
@account_option
@config_option
def claim(series: str, account: str, config: Path | None) -> None:
    """Claim what a settled series pays you. What is not funded yet can be claimed later.

    \b
    Examples:
      keel options claim ETH-27NOV26-3000-C --account me
    """
    from keeper.operations import traders

    answer(traders.claim(settings_of(config, account), series, asking()))


@options.command("take-back")
@click.argument("series")
@account_option
@config_option
def take_back(series: str, account: str, config: Path | None) -> None:
    """Take back what the options that you wrote leave of your collateral, once their series is settled.

    \b
    Examples:
      keel options take-back ETH-27NOV26-2800-P --account maker
    """
    from keeper.operations import traders

    answer(traders.take_back(settings_of(config, account), series, asking()))


@options.command()
@account_option
@config_option
def fund(account: str, config: Path | None) -> None:
    """Move the vault's cash that is owed to holders to where they claim it. Anyone may; the keeper does it.

    \b
    Examples:
      keel options fund --account me
    """
    from keeper.operations import traders

    answer(traders.fund(settings_of(config, account), asking()))


@options.command()
@click.argument("first", type=click.IntRange(0))
@click.argument("last", type=click.IntRange(0))
@account_option
@config_option
def cancel(first: int, last: int, account: str, config: Path | None) -> None:
    """Cancel the quotes that the account has signed with nonces from FIRST to LAST, at once.

    \b
    Examples:
      keel options cancel 0 255 --account quoter
    """
    from keeper.operations import traders

    answer(traders.cancel(settings_of(config, account), first, last, asking()))
