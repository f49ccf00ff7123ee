"""What depositors run: deposit, redeem, and what the vault is worth."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click

from keeper.cli.common import Amount, account_option, answer, asking, config_option, json_option, settings_of, show


@click.command()
@click.argument("usdc", type=Amount())
@account_option
@config_option
def deposit(usdc: Decimal, account: str, config: Path | None) -> None:
    """Deposit USDC into the vault, for shares at their ask value.

    \b
    Examples:
      keel deposit 1000 --account me
    """
    settings = settings_of(config, account)
    from keeper.operations import people

    flow = people.deposit(settings, usdc, asking())
    answer(f"{flow.assets:,.6f} USDC for {flow.shares:,.6f} shares in block {flow.block}: {flow.transaction}")


@click.command()
@click.argument("shares", metavar="SHARES|all")
@account_option
@config_option
def redeem(shares: str, account: str, config: Path | None) -> None:
    """Redeem shares of the vault for USDC at their bid value; `all` of the account's.

    \b
    Examples:
      keel redeem 250.5 --account me
      keel redeem all --account me
    """
    amount = None if shares == "all" else Amount().convert(shares, None, None)
    settings = settings_of(config, account)
    from keeper.operations import people

    flow = people.redeem(settings, amount, asking())
    answer(f"{flow.shares:,.6f} shares for {flow.assets:,.6f} USDC in block {flow.block}: {flow.transaction}")


@click.command()
@json_option
@config_option
def status(as_json: bool, config: Path | None) -> None:
    """The vault at the newest block: NAV, margin, exposure against its bands, hedges, options, last decision.

    \b
    Examples:
      keel status
      keel status --json | jq .nav_bid
    """
    settings = settings_of(config)
    from keeper.operations.status import read_status, render

    found = read_status(settings)
    show(found.to_json() if as_json else render(found))
