"""The `keel` command: one function per command, each a thin layer over keeper.operations.

Imports are inside the functions: `keel --help` must not wait for web3 and numpy.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from keeper.errors import KeelError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from keeper.config import Settings

F = TypeVar("F", bound=Callable[..., Any])

REFUSED: Final = 4
_LONGEST_BLOCK: Final = 19  # digits that the journal's integers have room for
_WIDTH: Final = 110  # of tables where there is no terminal

_EPILOG: Final = """\b
Exit codes: 0 done, 1 other errors, 2 settings or usage, 3 the node, 4 the chain cannot be read or the keeper refuses
to act, 5 the key, 6 the journal."""


class _Keel(click.Group):
    """Ends with one message for an error, unless --debug asks for the traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params["debug"]:
            return super().invoke(ctx)
        with told():
            return super().invoke(ctx)


@contextmanager
def told() -> Iterator[None]:
    """Errors that people can act on are printed as they are, others by name; then the process ends by its exit code."""
    try:
        yield
    except KeelError as error:
        _say(f"Error: {error.what}", error.kept, error.todo)
        sys.exit(error.exit_code)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        # A library's words on a request may hold the node's URL, and with it a key.
        is_network = type(error).__module__.partition(".")[0] in ("requests", "urllib3")
        words = type(error).__name__ + ("" if is_network else f": {error}")
        _say(f"Unexpected error: {words}", "Run `keel --debug ...` for the traceback, and report it.")
        sys.exit(1)


@click.group(cls=_Keel, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks and more of the log.")
@click.version_option(package_name="keel", prog_name="keel")
def cli(debug: bool) -> None:
    """Keel: an on-chain options vault that keeps itself upright.

    \b
    keel run --dry-run     decide at every block and record why; send nothing
    keel status            the vault now: NAV, margin, delta, hedges, options
    keel explain now       what the keeper would do at this block, and why

    Settings are in keel.toml; keel.toml.example explains each.
    """
    log_to_terminal(debug)


def log_to_terminal(debug: bool = False) -> None:
    """What the keeper says while it works, on standard error."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        stream=sys.stderr,
    )
    logging.getLogger("keeper").setLevel(logging.DEBUG if debug else logging.INFO)


def _config(function: F) -> F:
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Settings file; keel.toml in this directory by default.",
    )(function)


def _account(function: F) -> F:
    return click.option(
        "--account",
        required=True,
        metavar="ALIAS|FILE",
        help="Key to sign with: an ape account, or a key file. KEEL_PASSPHRASE opens it, or you are asked.",
    )(function)


class _Amount(click.ParamType):
    """A decimal number; what is right for it is up to the operation."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is not a number.", param, ctx)


def _json(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


@cli.command()
@click.option(
    "--dry-run",
    is_flag=True,
    help="Decide and record, but send nothing: needs no passphrase, and uses a journal of its own.",
)
@click.option("--once", is_flag=True, help="Deal with the newest block and end.")
@_config
def run(dry_run: bool, once: bool, config: Path | None) -> None:
    """Keep the vault hedged: decide at every block, record why, act.

    It follows the chain until SIGTERM or Ctrl-C, which end it after the current block. Besides hedging it settles
    expired series and funds what is owed to option holders.

    \b
    Examples:
      keel run --dry-run --once     what would it do now? (exit code 4 if it refuses)
      KEEL_PASSPHRASE=... keel run --config mainnet.toml
    """
    settings = _settings(config)
    from keeper.domain.decision import Action
    from keeper.operations.run import run_keeper

    record = run_keeper(settings, dry_run=dry_run, once=once, ask=_asking())
    if once and record is not None and record.decision.action is Action.REFUSE:
        sys.exit(REFUSED)


@cli.command()
@click.option("--hours", type=click.FloatRange(0.25, 72), default=12.0, show_default=True, help="Length of the crash.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the market's path.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path),
    help="Replay these recorded ETH candles (.parquet or .csv: time in UTC, open, high, low, close; a minute to an hour"
    " apart) instead of the built-in crash; --hours and --seed do not matter then.",
)
@click.option("--from", "start", metavar="DATE[TIME]", help="Begin of the replay, UTC; by default the file's.")
@click.option("--to", "end", metavar="DATE[TIME]", help="Its end, UTC: 14 days later at most. A date means its 00:00.")
@click.option(
    "--vol",
    type=click.Path(path_type=Path),
    help="Recorded volatility index for the replay, in points, same columns; else it follows from the candles.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/demo"),
    show_default=True,
    help="Folder for report, summary and the keeper's journal.",
)
def demo(
    hours: float, seed: int, prices: Path | None, start: str | None, end: str | None, vol: Path | None, out: Path
) -> None:
    """Keel's story once, on a local fork of mainnet: deposit, sell options, hedge through a crash, settle, redeem.

    Everything is real but the market's path: the contracts, the venues' bytecode, the keeper (a `keel run` of its own).
    Ends with exit code 1 when the books do not balance.

    \b
    Examples:
      keel demo
      keel demo --hours 2 --seed 7 --out out/short
      keel demo --prices eth_5m.parquet --from 2024-08-03 --to 2024-08-06 --vol eth_dvol_1h.parquet
    """
    if not math.isfinite(hours):  # NaN is in no range, and out of none
        raise click.BadParameter(f"{hours} is not a number of hours.", param_hint="'--hours'")
    if prices is None and (start or end or vol):
        raise click.UsageError("--from, --to and --vol belong to a replay: name its candles with --prices.")
    from keeper.simulation.demo_command import run
    from keeper.simulation.path import built_in

    if prices is None:
        path = built_in(hours, seed)
    else:
        from keeper.simulation.recorded import recorded

        path = recorded(prices, start, end, vol)
    if not run(path, out):
        sys.exit(1)


@cli.command()
@click.option("--guardian", required=True, metavar="ADDRESS", help="May make the vault reduce-only.")
@click.option("--keeper", required=True, metavar="ADDRESS", help="May hedge and list series.")
@click.option("--quoter", required=True, metavar="ADDRESS", help="Signs quotes.")
@click.option("--vol-poster", required=True, metavar="ADDRESS", help="Posts the volatility surface.")
@click.option(
    "--parameters",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("parameters.toml"),
    show_default=True,
    help="Reviewed file of the contracts' limits.",
)
@_account
@_config
def deploy(
    guardian: str, keeper: str, quoter: str, vol_poster: str, parameters: Path, account: str, config: Path | None
) -> None:
    """Deploy a vault on the node's chain, wire and verify it, and write its manifest. The account becomes its governor.

    When it was interrupted, the same command goes on where it stopped: what was sent is in a log beside the manifest,
    deployments/CHAIN.partial.json.

    \b
    Examples:
      keel deploy --account governor --guardian 0x... --keeper 0x... --quoter 0x... --vol-poster 0x...
    """
    settings = _settings(config, account)
    from keeper.operations.deploy import Keys
    from keeper.operations.people import deploy_vault

    keys = Keys(guardian, keeper, quoter, vol_poster)
    deployment, path = deploy_vault(settings, keys, parameters, lambda line: _say(line), _asking())
    click.echo(f"Vault {deployment.address('Vault')} on chain {deployment.chain_id}, verified. Manifest: {path}")


@cli.command()
@click.argument("usdc", type=_Amount())
@_account
@_config
def deposit(usdc: Decimal, account: str, config: Path | None) -> None:
    """Deposit USDC into the vault, for shares at their ask value.

    \b
    Examples:
      keel deposit 1000 --account me
    """
    settings = _settings(config, account)
    from keeper.operations import people

    flow = people.deposit(settings, usdc, _asking())
    click.echo(f"{flow.assets:,.6f} USDC for {flow.shares:,.6f} shares in block {flow.block}: {flow.transaction}")


@cli.command()
@click.argument("shares", metavar="SHARES|all")
@_account
@_config
def redeem(shares: str, account: str, config: Path | None) -> None:
    """Redeem shares of the vault for USDC at their bid value; `all` of the account's.

    \b
    Examples:
      keel redeem 250.5 --account me
      keel redeem all --account me
    """
    amount = None if shares == "all" else _Amount().convert(shares, None, None)
    settings = _settings(config, account)
    from keeper.operations import people

    flow = people.redeem(settings, amount, _asking())
    click.echo(f"{flow.shares:,.6f} shares for {flow.assets:,.6f} USDC in block {flow.block}: {flow.transaction}")


@cli.command()
@_json
@_config
def status(as_json: bool, config: Path | None) -> None:
    """The vault at the newest block: NAV, margin, exposure against its bands, hedges, options, last decision.

    \b
    Examples:
      keel status
      keel status --json | jq .nav_bid
    """
    settings = _settings(config)
    from keeper.operations.status import read_status, render

    found = read_status(settings)
    _show(found.to_json() if as_json else render(found))


@cli.command()
@click.argument("block", metavar="BLOCK|now")
@click.option("--dry-run", is_flag=True, help="Look into the journal of dry runs.")
@_json
@_config
def explain(block: str, dry_run: bool, as_json: bool, config: Path | None) -> None:
    """Why the keeper traded at BLOCK, or did not; with `now`, what it would do at the newest block.

    Past blocks come from the journal, so the node need not remember them.

    \b
    Examples:
      keel explain 26450123
      keel explain now --json
    """
    if block != "now" and not (block.isdecimal() and len(block) < _LONGEST_BLOCK):
        raise click.BadParameter(f"{block!r} is neither a block number nor `now`.", param_hint="BLOCK")
    settings = _settings(config)
    from keeper.operations.explain import explain_block, explain_now, render

    found = explain_now(settings) if block == "now" else explain_block(settings, int(block), dry_run=dry_run)
    _show(found.to_json() if as_json else render(found))


def _settings(config: Path | None, account: str = "") -> Settings:
    """With ``account``, its key instead of the keeper's; the passphrase file in the settings is then not its own."""
    from keeper.config import load

    settings = load(config)
    return settings.model_copy(update={"keystore": account, "passphrase_file": ""}) if account else settings


def _asking() -> Callable[[str], str] | None:
    return _ask if sys.stdin.isatty() else None


def _ask(prompt: str) -> str:
    answer: str = click.prompt(prompt, hide_input=True, err=True)
    return answer


def _show(what: dict[str, Any] | RenderableType) -> None:
    if isinstance(what, dict):
        click.echo(json.dumps(what, indent=2))
        return
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else _WIDTH).print(what)


def _say(*lines: str) -> None:
    for line in lines:
        if line:
            click.echo(line, err=True)


def main() -> None:
    """Entry point of the `keel` command."""
    cli(prog_name="keel")


if __name__ == "__main__":
    main()
