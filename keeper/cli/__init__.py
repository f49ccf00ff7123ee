"""The `keel` command: one function per command, each a thin layer over keeper.operations.

Imports are inside the functions: `keel --help` must not wait for web3 and numpy.
"""

from __future__ import annotations

from typing import Any, Final

import click

from keeper.cli.common import log_to_terminal, told
from keeper.cli.data import data
from keeper.cli.demo import demo
from keeper.cli.depositor import deposit, queue, redeem, status
from keeper.cli.governor import governance
from keeper.cli.liquidator import auction, derisk
from keeper.cli.operator import deploy, doctor, explain, replay, run, upgrade
from keeper.cli.orders import orders, pause, resume, stop_quotes, unwind
from keeper.cli.surface import surface
from keeper.cli.trader import options

_EPILOG: Final = """\b
Exit codes: 0 done, 1 other errors, 2 settings or usage, 3 the node or the exchange, 4 the chain cannot be read or the
keeper refuses to act, 5 the key, 6 the journal."""


class _Keel(click.Group):
    """Ends with one message for an error, unless --debug asks for the traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params["debug"]:
            return super().invoke(ctx)
        with told():
            return super().invoke(ctx)


@click.group(cls=_Keel, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks and more of the log.")
@click.version_option(package_name="keel", prog_name="keel")
def cli(debug: bool) -> None:
    """Keel: an on-chain options vault that keeps itself upright.

    \b
    keel run --dry-run     decide at every block and record why; send nothing
    keel doctor            is everything right for it to run?
    keel status            the vault now: NAV, margin, delta, hedges, options
    keel explain now       what the keeper would do at this block, and why

    Settings are in keel.toml; keel.toml.example explains each.
    """
    log_to_terminal(debug)


_PEOPLE: Final = (deposit, redeem, queue, status, options, governance, derisk, auction)
_OPERATOR: Final = (
    run,
    explain,
    replay,
    doctor,
    pause,
    resume,
    stop_quotes,
    unwind,
    orders,
    surface,
    deploy,
    upgrade,
    demo,
    data,
)
for _command in (*_OPERATOR, *_PEOPLE):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the `keel` command."""
    cli(prog_name="keel")
