"""What liquidators run, and that is anyone: act where a keeper does not, and sell in the buyback auction."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click

from keeper.cli.common import Amount, account_option, answer, asking, config_option, settings_of


@click.command()
@click.option("--record", is_flag=True, help="Record the breach, confirm it, or strike it when it is over.")
@account_option
@config_option
def derisk(record: bool, account: str, config: Path | None) -> None:
    """Bring a vault in breach closer to its limits: the largest step that is allowed now, for a bounty.

    A breach is recorded first, and confirmed at least every ten minutes. Half an hour after the keeper's last
    heartbeat, or after ten minutes below maintenance margin, anyone may take a step a minute: `keel status` says when.

    \b
    Examples:
      keel derisk --record --account me     every nine minutes
      keel derisk --account me              every minute, once it is open
    """
    from keeper.operations import people

    done = people.record_breach if record else people.de_risk
    answer(done(settings_of(config, account), asking()))


@click.group()
def auction() -> None:
    """The buyback auction: the vault buys its options back at a price that rises, to heal or to pay its queue."""


@auction.command("open")
@click.option("--for-queue", is_flag=True, help="Because the redemption queue was not paid for seven days.")
@account_option
@config_option
def auction_open(for_queue: bool, account: str, config: Path | None) -> None:
    """Open it, five minutes after equity below maintenance margin was recorded with `keel derisk --record`.

    Or, with --for-queue, seven days after the close of an epoch of the redemption queue that cannot be paid: what bids
    cost is then borne by the shares that wait there.

    \b
    Examples:
      keel auction open --account me
      keel auction open --for-queue --account me
    """
    from keeper.operations import people

    answer(people.open_auction(settings_of(config, account), for_queue, asking()))


@auction.command("bid")
@click.argument("series")
@click.argument("size", type=Amount())
@click.option("--least", type=Amount(), default=Decimal(0), help="Lowest payment that you accept, USDC.")
@click.option(
    "--write", "writes", is_flag=True, help="Write new options against full collateral instead of selling yours."
)
@account_option
@config_option
def auction_bid(series: str, size: Decimal, least: Decimal, writes: bool, account: str, config: Path | None) -> None:
    """Sell SIZE options of SERIES to the vault; the trades that unwind their hedge are made in the same call.

    The price starts at the lowest surface of the last day and rises for 15 minutes: `keel status` says how far. One bid
    takes at most a quarter of what equity lacks.

    \b
    Examples:
      keel auction bid ETH-27NOV26-3000-C 2.5 --account me
      keel auction bid ETH-27NOV26-3000-P 1 --least 60 --write --account me
    """
    from keeper.operations import people

    answer(people.bid(settings_of(config, account), series, size, least, writes, asking()))
