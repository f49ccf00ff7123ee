"""What an operator orders a running keeper: stop, go on, come to rest. Orders and reasons are kept."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from keeper.cli.common import answer, asking, config_option, json_option, say, settings_of, show
from keeper.errors import ConfigError

if TYPE_CHECKING:
    from keeper.config import Settings

F = TypeVar("F", bound=Callable[..., Any])

_ON_CHAIN: Final = (
    "With --account, a guardian's key, it stops new business on chain as well: nobody deposits and no option is sold,"
    " whoever holds the keeper's keys. Only the governor can end that."
)


def _confirmed(function: F) -> F:
    """`--reason`, which is kept, and `--yes` for who cannot be asked."""

    @click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept with the order.")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    @functools.wraps(function)
    def command(*args: Any, yes: bool, **kwargs: Any) -> Any:
        return function(*args, is_sure=functools.partial(_sure, yes), **kwargs)

    return command  # type: ignore[return-value]


def _sure(yes: bool, what: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("Nobody can be asked here.", kept="Nothing was changed.", todo="Give --yes.")
    click.confirm(f"{what}. Do it?", abort=True, err=True)


def _account(function: F) -> F:
    return click.option("--account", default="", metavar="ALIAS|FILE", help="A guardian's key: stop on chain as well.")(
        function
    )


def _give(settings: Settings, order: str, reason: str) -> None:
    from keeper.domain.safety import Order
    from keeper.operations import standing

    for entry in standing.give(settings, Order(order), reason):
        answer(standing.in_words(entry))


def _on_chain(config: Path | None, account: str, *, revoke_keeper: bool = False) -> None:
    if not account:
        return
    from keeper.operations import standing

    for line in standing.stop_on_chain(settings_of(config, account), revoke_keeper=revoke_keeper, ask=asking()):
        answer(line)


@click.command("stop-quotes", epilog=_ON_CHAIN)
@_account
@_confirmed
@config_option
def stop_quotes(reason: str, is_sure: Callable[[str], None], account: str, config: Path | None) -> None:
    """Sign no more quotes; hedging, settlement and everything else go on.

    \b
    Examples:
      keel stop-quotes --reason "the surface looks wrong"
      keel stop-quotes --reason "quoter's key may be stolen" --account guardian
    """
    settings = settings_of(config)
    is_sure("The keeper signs no more quotes")
    _give(settings, "stop-quotes", reason)
    _on_chain(config, account)


@click.command(epilog=_ON_CHAIN)
@click.option("--revoke-keeper", is_flag=True, help="Take the keeper's roles on chain, too: its key may be stolen.")
@_account
@_confirmed
@config_option
def pause(reason: str, is_sure: Callable[[str], None], account: str, revoke_keeper: bool, config: Path | None) -> None:
    """Send and sign nothing more, from the next block on. The vault is not hedged meanwhile.

    The keeper goes on to read, decide and record. It gives no sign of life on chain: when a limit is broken for half an
    hour, anyone may reduce risk in its place (`keel derisk`).

    \b
    Examples:
      keel pause --reason "moving to another machine"
      keel pause --reason "keeper's key is stolen" --account guardian --revoke-keeper
    """
    if revoke_keeper and not account:
        raise ConfigError(
            "--revoke-keeper needs a guardian's key.", kept="Nothing was changed.", todo="Give --account."
        )
    settings = settings_of(config)
    taken = (
        ", and its roles on chain are taken: the governor needs 48 hours to grant them again" if revoke_keeper else ""
    )
    is_sure(f"The keeper sends nothing more and the vault is not hedged{taken}")
    _give(settings, "pause", reason)
    _on_chain(config, account, revoke_keeper=revoke_keeper)


@click.command()
@_confirmed
@config_option
def unwind(reason: str, is_sure: Callable[[str], None], config: Path | None) -> None:
    """Bring the vault to rest: no more quotes, what is lent is recalled, hedges are closed when no option is left.

    Until the last option is settled the keeper hedges as before.

    \b
    Examples:
      keel unwind --reason "the vault is retired"
    """
    settings = settings_of(config)
    is_sure("The keeper signs no more quotes, recalls what is lent, and closes the hedges when no option is left")
    _give(settings, "unwind", reason)


@click.command()
@click.option("--only", type=click.Choice(["pause", "stop-quotes", "unwind"]), help="Lift this kind of order only.")
@_confirmed
@config_option
def resume(reason: str, is_sure: Callable[[str], None], only: str | None, config: Path | None) -> None:
    """Lift what stands, the kill switch's stops too. A level that is still crossed trips again at the next block.

    What a guardian has stopped on chain only the governor lifts: `keel governance submit CircuitBreaker set_reduce_only
    false`.

    \b
    Examples:
      keel resume --reason "the feed is back"
      keel resume --only stop-quotes --reason "surface posted anew"
    """
    settings = settings_of(config)
    from keeper.domain.safety import Order
    from keeper.operations import standing

    kind = None if only is None else Order(only)
    stands = [entry for entry in standing.read(settings)[0] if kind in (None, entry.order)]
    if not stands:
        answer("No such order stands.")
        return
    say(*(standing.in_words(entry) for entry in stands))
    is_sure("These are lifted")
    for entry in standing.lift(settings, reason, kind):
        answer(f"Lifted: {standing.in_words(entry)}")


@click.command()
@json_option
@config_option
def orders(as_json: bool, config: Path | None) -> None:
    """The orders that stand, and those of before with their reasons.

    \b
    Examples:
      keel orders --json
    """
    settings = settings_of(config)
    from keeper.operations import standing

    found = standing.read(settings)
    show(standing.to_json(*found) if as_json else standing.render(*found))
