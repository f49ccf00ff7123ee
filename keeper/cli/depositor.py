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
@click.option(
    "--queue",
    "queued",
    is_flag=True,
    help="Queue all of SHARES, for what cannot be paid at once.",
)
@click.option("--frozen", is_flag=True, help="Leave at a discount while the vault has no price.")
@account_option
@config_option
def redeem(shares: str, queued: bool, frozen: bool, account: str, config: Path | None) -> None:
    """Redeem shares of the vault for USDC at their bid value; `all` of the account's.

    What is in hedges or needed as margin cannot be paid at once. With --queue the shares wait: after the epoch's close,
    at most a day later, they are paid at the price of then, all who wait in proportion, as far as cash allows; the rest
    goes on waiting. See `keel queue`.

    While a price that the vault needs is missing, or an expiry has waited two hours for its fixing, it is frozen:
    --frozen then pays at most 90 % of what a share was last known to be worth, from cash that nobody else has a claim
    to. Waiting may well be better.

    \b
    Examples:
      keel redeem 250.5 --account me
      keel redeem all --account me
      keel redeem all --queue --account me
    """
    if queued and frozen:
        raise click.UsageError("--queue and --frozen are two ways to leave: choose one.")
    amount = None if shares == "all" else Amount().convert(shares, None, None)
    settings = settings_of(config, account)
    from keeper.operations import people

    if queued:
        asked = people.request_redeem(settings, amount, asking())
        answer(
            f"{asked.shares:,.6f} shares queued in block {asked.block}: {asked.transaction}\n"
            f"The epoch closes at {asked.closes_at}; until then `keel queue cancel` takes them back."
        )
        return
    flow = (people.redeem_frozen if frozen else people.redeem)(settings, amount, asking())
    answer(f"{flow.shares:,.6f} shares for {flow.assets:,.6f} USDC in block {flow.block}: {flow.transaction}")


@click.group()
def queue() -> None:
    """Redemptions that wait: their state, cancel, claim, settle. `keel redeem --queue` asks for one."""


@queue.command("status")
@click.argument("address", required=False)
@json_option
@config_option
def queue_status(address: str | None, as_json: bool, config: Path | None) -> None:
    """What waits, when its epoch closes, what is paid; with ADDRESS, also what that account has there.

    \b
    Examples:
      keel queue status
      keel queue status 0x... --json
    """
    settings = settings_of(config)
    from keeper.operations.queue_status import read, render

    found = read(settings, address)
    show(found.to_json() if as_json else render(found))


@queue.command("cancel")
@account_option
@config_option
def queue_cancel(account: str, config: Path | None) -> None:
    """Take back the shares that the account has queued, until their epoch closes; all of them while it is frozen.

    \b
    Examples:
      keel queue cancel --account me
    """
    settings = settings_of(config, account)
    from keeper.operations import people

    back = people.cancel_request(settings, asking())
    answer(f"{back.shares:,.6f} shares are back in block {back.block}: {back.transaction}")


@queue.command("claim")
@account_option
@config_option
def queue_claim(account: str, config: Path | None) -> None:
    """Claim the USDC that the queue has for the account. It waits there as long as you like.

    \b
    Examples:
      keel queue claim --account me
    """
    settings = settings_of(config, account)
    from keeper.operations import people

    flow = people.claim_redemption(settings, asking())
    answer(f"{flow.assets:,.6f} USDC for {flow.shares:,.6f} shares in block {flow.block}: {flow.transaction}")


@queue.command("settle")
@account_option
@config_option
def queue_settle(account: str, config: Path | None) -> None:
    """Settle the epoch that has closed, for all who wait. Anyone may; the keeper does it when it runs.

    \b
    Examples:
      keel queue settle --account me
    """
    settings = settings_of(config, account)
    from keeper.operations import people

    flow = people.settle_queue(settings, asking())
    answer(f"{flow.assets:,.6f} USDC for {flow.shares:,.6f} shares in block {flow.block}: {flow.transaction}")


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
