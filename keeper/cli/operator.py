"""What operators run: the keeper, why it did what it did, a deployment."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import click

from keeper.cli.common import account_option, answer, asking, config_option, json_option, say, settings_of, show

REFUSED: Final = 4
_TRANSACTION: Final = re.compile("0x[0-9a-fA-F]{64}")
_LONGEST_BLOCK: Final = 19  # digits that the journal's integers have room for


@click.command()
@click.option(
    "--dry-run",
    is_flag=True,
    help="Decide and record, but send nothing: needs no passphrase, and uses a journal of its own.",
)
@click.option("--once", is_flag=True, help="Deal with the newest block and end.")
@click.option(
    "--log", "log_format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the log."
)
@config_option
@click.pass_context
def run(context: click.Context, dry_run: bool, once: bool, log_format: str, config: Path | None) -> None:
    """Keep the vault hedged: decide at every block, record why, act.

    It follows the chain until SIGTERM or Ctrl-C, which end it after the current block. Besides hedging it settles
    expired series, funds what is owed to option holders, settles the redemption queue's epochs, shows that it lives,
    and lends idle USDC. With `[quotes]` it signs quotes, with `[surface]` it posts the surface.

    \b
    Examples:
      keel run --dry-run --once     what would it do now? (exit code 4 if it refuses)
      keel run --config mainnet.toml --log json
    """
    if log_format == "json":
        from keeper.cli.logs import log_as_json

        log_as_json(debug=context.find_root().params["debug"])
    settings = settings_of(config)
    from keeper.domain.decision import Action
    from keeper.operations.run import run_keeper

    record = run_keeper(settings, dry_run=dry_run, once=once, ask=asking())
    if once and record is not None and record.decision.action is Action.REFUSE:
        sys.exit(REFUSED)


@click.command()
@click.argument("which", metavar="BLOCK|TX|now")
@click.option("--dry-run", is_flag=True, help="Look into the journal of dry runs.")
@json_option
@config_option
def explain(which: str, dry_run: bool, as_json: bool, config: Path | None) -> None:
    """Why the keeper traded at BLOCK, or did not; why it sent TX; with `now`, what it would do at the newest block.

    The past comes from the journal, so the node need not remember it.

    \b
    Examples:
      keel explain 26450123
      keel explain now --json
    """
    is_transaction = _TRANSACTION.fullmatch(which) is not None
    if which != "now" and not is_transaction and not _is_block(which):
        what = f"{which!r} is neither a block number, nor a transaction's hash, nor `now`."
        raise click.BadParameter(what, param_hint="BLOCK|TX|now")
    settings = settings_of(config)
    from keeper.operations.explain import explain_block, explain_now, explain_transaction, render

    if which == "now":
        found = explain_now(settings)
    elif is_transaction:
        found = explain_transaction(settings, which, dry_run=dry_run)
    else:
        found = explain_block(settings, int(which), dry_run=dry_run)
    show(found.to_json() if as_json else render(found))


@click.command()
@click.argument("block", metavar="BLOCK")
@click.option("--dry-run", is_flag=True, help="Look into the journal of dry runs.")
@json_option
@config_option
def replay(block: str, dry_run: bool, as_json: bool, config: Path | None) -> None:
    """Make the decision at BLOCK again, from what the journal has of it alone, and compare.

    With the same versions on the same kind of processor every bit must be the same; else numbers may differ by 1e-9.
    What was withheld by an order or the kill switch is compared as it was before that; a duty (settling, funding, the
    queue) is what the chain asks for, and is not made again. Needs no node. Exit code 1 when something differs.

    \b
    Examples:
      keel replay 26450123
      keel replay 26450123 --json
    """
    if not _is_block(block):
        raise click.BadParameter(f"{block!r} is no block number.", param_hint="BLOCK")
    settings = settings_of(config)
    from keeper.operations.replay import render, replay_block

    found = replay_block(settings, int(block), dry_run=dry_run)
    show(found.to_json() if as_json else render(found))
    if not found.holds:
        sys.exit(1)


def _is_block(text: str) -> bool:
    return text.isdecimal() and len(text) < _LONGEST_BLOCK


@click.command()
@click.option("--compare", multiple=True, metavar="URL", help="Another node that should agree; may be given again.")
@json_option
@config_option
def doctor(compare: tuple[str, ...], as_json: bool, config: Path | None) -> None:
    """Is everything right for the keeper to run? A line for each check: it passes, or says what to do.

    Journal and key file, node, clock, other nodes; gas, the contracts' code, roles, approvals, feeds, surface, mode,
    and whether keeper and chain agree on the vault's margin. It sends nothing. Exit code 1 when a line does not pass.

    \b
    Examples:
      keel doctor
      keel doctor --json --compare https://another.node/...
    """
    settings = settings_of(config)
    from keeper.operations.doctor import examine, render, to_json

    findings = examine(settings, compare)
    show(to_json(findings) if as_json else render(findings))
    if not all(one.passed for one in findings):
        sys.exit(1)


@click.command()
@click.option("--dry-run", is_flag=True, help="Upgrade the journal of dry runs.")
@config_option
def upgrade(dry_run: bool, config: Path | None) -> None:
    """Bring a journal that an earlier version of Keel wrote to this version's schema.

    Stop every keeper that uses it first. It is done as a whole or not at all; transactions that are open stay open, and
    `keel run` finds out what became of them.

    \b
    Examples:
      keel upgrade
    """
    settings = settings_of(config)
    from keeper.execution.database import dry_run_url
    from keeper.execution.migrate import upgrade as upgrade_journal

    url = settings.journal_url
    before, after = upgrade_journal(dry_run_url(url) if dry_run else url)
    answer(f"The journal has schema {after}" + (f", it had {before}." if before != after else " already."))


@click.command()
@click.option(
    "--governor", default="", metavar="ADDRESS", help="Owns the Governance: a Safe. The deploying account by default."
)
@click.option("--guardian", required=True, metavar="ADDRESS", help="May stop the vault, tighten limits, revoke calls.")
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
@account_option
@config_option
def deploy(
    governor: str,
    guardian: str,
    keeper: str,
    quoter: str,
    vol_poster: str,
    parameters: Path,
    account: str,
    config: Path | None,
) -> None:
    """Deploy a vault on the node's chain, wire and verify it, hand it over to its Governance, and write its manifest.

    When it was interrupted, the same command goes on where it stopped: what was sent is in a log beside the manifest,
    deployments/CHAIN.partial.json.

    \b
    Examples:
      keel deploy --account deployer --governor 0x... --guardian 0x... --keeper 0x... --quoter 0x... --vol-poster 0x...
    """
    settings = settings_of(config, account)
    from keeper.operations.people import deploy_vault
    from keeper.operations.roles import Keys

    keys = Keys(guardian, keeper, quoter, vol_poster, governor)
    deployment, path = deploy_vault(settings, keys, parameters, lambda line: say(line), asking())
    answer(f"Vault {deployment.address('Vault')} on chain {deployment.chain_id}, verified. Manifest: {path}")
