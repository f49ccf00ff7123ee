"""What the owner of the Governance does: announce a call, make it, drop it, give a function up; what anyone may see."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from keeper.cli.common import answer, asking, config_option, json_option, settings_of, show
from keeper.errors import ConfigError

if TYPE_CHECKING:
    from keeper.config import Settings
    from keeper.operations.governors import Done

_ARGUMENTS: Final = (
    "ARGUMENTS are texts as the contract has them: numbers may be written 0.12e18, addresses as names of contracts or"
    " roles, a struct as a JSON list."
)


@click.group()
def governance() -> None:
    """The Governance: calls of the vault's contracts that are announced, wait, and are made.

    Its owner is the governor of the manifest, who may be a Safe: with --for-safe a command prints the transaction that
    the Safe's owners sign, and sends nothing.
    """


def _signed(function: Callable[..., Done]) -> Callable[..., None]:
    """A command by `--account` or `--for-safe`, one of them: `function` is given the settings and whether it is for a
    Safe, and what it has done is told.
    """

    @click.option("--account", default="", metavar="ALIAS|FILE", help="Key of the Governance's owner.")
    @click.option("--for-safe", is_flag=True, help="Print the transaction for a Safe; send nothing.")
    @config_option
    @functools.wraps(function)
    def command(account: str, for_safe: bool, config: Path | None, **arguments: Any) -> None:
        if bool(account.strip()) == for_safe:
            raise ConfigError("Who signs?", kept="Nothing was sent.", todo="Give either --account or --for-safe.")
        done = function(settings_of(config, account), for_safe, **arguments)
        if done.transaction is None:
            show(done.call.to_json())
        else:
            answer(f"{done.said} {done.transaction}")

    return command


@governance.command("pending")
@json_option
@config_option
def pending_calls(as_json: bool, config: Path | None) -> None:
    """What has been announced and is neither made nor dropped, in words, and when it can be made.

    \b
    Examples:
      keel governance pending --json
    """
    settings = settings_of(config)
    from keeper.operations.governors import read_pending, render

    found = read_pending(settings)
    show({"pending": [one.to_json() for one in found]} if as_json else render(found))


@governance.command(epilog=_ARGUMENTS)
@click.argument("contract")
@click.argument("function")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@_signed
def submit(settings: Settings, for_safe: bool, contract: str, function: str, arguments: tuple[str, ...]) -> Done:
    """Announce a call of FUNCTION of CONTRACT. It can be made after 48 hours or 7 days, for two weeks.

    \b
    Examples:
      keel governance submit Hedger grant_role 0x... KEEPER --account governor
      keel governance submit RiskEngine grant_role 0x... GUARDIAN --for-safe
      keel governance submit Hedger set_budgets '[0.2e16, ...]' --account governor
    """
    from keeper.operations import governors

    return governors.submit(settings, contract, function, arguments, for_safe, asking())


@governance.command()
@click.argument("identifier", metavar="ID")
@_signed
def accept(settings: Settings, for_safe: bool, identifier: str) -> Done:
    """Make the pending call whose id begins with ID.

    \b
    Examples:
      keel governance accept 0x1f2e3d --account governor
    """
    from keeper.operations import governors

    return governors.accept(settings, identifier, for_safe, asking())


@governance.command()
@click.argument("identifier", metavar="ID")
@_signed
def revoke(settings: Settings, for_safe: bool, identifier: str) -> Done:
    """Drop the pending call whose id begins with ID, at once. Its owner may, and each guardian.

    \b
    Examples:
      keel governance revoke 0x1f2e3d --account guardian
    """
    from keeper.operations import governors

    return governors.revoke(settings, identifier, for_safe, asking())


@governance.command()
@click.argument("contract")
@click.argument("function")
@_signed
def abdicate(settings: Settings, for_safe: bool, contract: str, function: str) -> Done:
    """Announce that FUNCTION of CONTRACT is given up for good. After 7 days `keel governance accept` does it.

    With it goes handing CONTRACT over to another governor. It cannot be undone.

    \b
    Examples:
      keel governance abdicate Vault list_venue --account governor
    """
    from keeper.operations import governors

    return governors.abdicate(settings, contract, function, for_safe, asking())
