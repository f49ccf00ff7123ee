"""`keel doctor`: everything that must be right before the keeper runs, one line each: it passes, or says what to do."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from keeper.chain import accounts, deployments
from keeper.chain.deployments import Deployment
from keeper.chain.gas import bids
from keeper.chain.rpc import Connection
from keeper.chain.signer import RemoteSigner, remote_address
from keeper.config import Settings
from keeper.domain.policy import Policy
from keeper.domain.times import utc_second
from keeper.domain.units import WAD
from keeper.errors import KeelError
from keeper.execution.database import parse_url
from keeper.execution.journal import Journal
from keeper.execution.lease import holder_of
from keeper.execution.migrate import exists
from keeper.execution.orders import Orders
from keeper.operations import doctor_chain
from keeper.operations.session import Session, connect, manifest_of
from keeper.operations.standing import in_words

AHEAD: Final = 5  # seconds that a block may be ahead of this machine's clock: proposers' clocks differ, too
BEHIND: Final = 90  # seconds without a block: seven slots of mainnet's
HEADS_APART: Final = 3  # blocks: nodes hear of a block at different times
RUNWAY: Final = 100  # rebalances that the keeper's ether should pay for
_AGAIN: Final = "Mend what it says and examine it again; if nothing is wrong with it, report it."


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. ``todo`` is for one that did not pass."""

    name: str
    passed: bool
    what: str
    todo: str = ""


Check = Callable[[], Finding]


def examine(settings: Settings, compare: Sequence[str] = (), clock: Callable[[], float] = time.time) -> list[Finding]:
    """All findings. What needs a node or a manifest is left out where there is none: its own line says so.

    Args:
        compare: URLs of other nodes, which should agree with those that are configured.
        clock: This machine's, seconds since 1970.
    """
    found = [_checked("journal", lambda: journal_finding(settings.journal_url))]
    found.append(_checked("orders", lambda: orders_finding(settings.journal_url)))
    found.append(_checked("key file", lambda: key_file_finding(settings)))
    try:
        connection = connect(settings)
        head = connection.header()
    except KeelError as error:
        return [*found, Finding("node", False, error.what, error.todo or _AGAIN)]
    found.append(
        Finding(
            "node", True, f"chain {connection.chain_id}, block {head.number}, {connection.client}, {connection.label}"
        )
    )
    found.append(_checked("clock", lambda: clock_finding(clock() - head.timestamp, connection.has_own_time)))
    urls = [*settings.rpc_url.split(), *compare]
    first, *others = (Connection(url, timeout=settings.rpc_timeout_seconds) for url in urls)
    found.append(_checked("other nodes", lambda: agreement_finding(first, others)))
    path = manifest_of(settings, connection.chain_id)
    try:
        deployment = deployments.load(path, connection.chain_id)
    except KeelError as error:
        return [*found, Finding("manifest", False, error.what, error.todo or _AGAIN)]
    found.append(Finding("manifest", True, f"vault {deployment.address('Vault')}, {path}"))
    session = Session(settings, connection, deployment)
    found.append(_checked("lease", lambda: lease_finding(settings, deployment)))
    found.append(_checked("gas", lambda: gas_finding(session, settings.policy)))
    for name, check in doctor_chain.CHECKS:
        found.append(_checked(name, _on_chain(name, check, session)))
    return found


def _on_chain(name: str, check: doctor_chain.Check, session: Session) -> Check:
    def run() -> Finding:
        wrong, what, todo = check(session)
        return Finding(name, not wrong, wrong or what, todo if wrong else "")

    return run


def _checked(name: str, check: Check) -> Finding:
    """What stands in the way of a check is its finding, and keeps none of the others from being made."""
    try:
        return check()
    except KeelError as error:
        return Finding(name, False, error.what, error.todo or _AGAIN)
    except Exception as error:  # as of a manifest that lacks a role
        return Finding(name, False, f"it cannot be examined: {type(error).__name__}: {error}", _AGAIN)


# ---------------------------------------------------------------- this machine


def journal_finding(url: str) -> Finding:
    """Whether the journal opens and is of this version, or can be made; it is not made here."""
    if not exists(url):
        parsed = parse_url(url)
        folder = Path(parsed.database or "").resolve().parent
        if parsed.get_backend_name() == "sqlite" and not folder.is_dir():
            return Finding("journal", False, f"there is no folder {folder}", "Make it, or change `journal_url`.")
        where = parsed.render_as_string(hide_password=True)
        return Finding("journal", True, f"none yet: `keel run` makes it at {where}")
    journal = Journal(url)
    try:
        last = journal.last_block()
        return Finding("journal", True, f"{journal.label}, " + ("empty" if last is None else f"up to block {last}"))
    finally:
        journal.close()


def orders_finding(url: str) -> Finding:
    """Whether an order stands, so that the keeper would start and do nothing, or not all."""
    if not exists(url):
        return Finding("orders", True, "none stands")
    orders = Orders(url)
    try:
        stands = "; ".join(in_words(entry) for entry in orders.standing())
    finally:
        orders.close()
    return Finding("orders", not stands, stands or "none stands", "Lift it with `keel resume`." if stands else "")


def lease_finding(settings: Settings, deployment: Deployment) -> Finding:
    """Which machine keeps the vault, of those that share the journal."""
    url = settings.journal_url
    holder = holder_of(url, deployment.chain_id, deployment.address("Vault")) if exists(url) else None
    if holder is None:
        return Finding("lease", True, "no machine has kept the vault yet")
    left = f"keeps the vault, {holder.seconds:.0f} s left" if holder.seconds > 0 else "was the last to keep the vault"
    return Finding("lease", True, f"{holder.machine} {left}")


def key_file_finding(settings: Settings) -> Finding:
    """Whether the keeper's key is there, nobody else may read it, and a passphrase file, if there is one, opens it."""
    remote = remote_address(settings.keystore)
    if remote is not None:
        RemoteSigner(settings.signer_url, remote).require()
        return Finding("key file", True, f"{remote}, of the remote signer, which answers")
    path = accounts.keystore_path(settings.keystore)
    address = accounts.keystore_address(path)
    secrets = [path, *([Path(settings.passphrase_file).expanduser()] if settings.passphrase_file else [])]
    readable = [str(secret) for secret in secrets if secret.exists() and _others_may_read(secret)]
    if readable:
        names = " ".join(readable)
        return Finding("key file", False, f"others may read {names}", f"chmod 600 {names}")
    if not settings.passphrase_file:
        return Finding("key file", True, f"{address}, {path}; its passphrase is not in a file and was not tried")
    accounts.unlock(path, settings.passphrase_file)
    return Finding("key file", True, f"{address}, {path}; the passphrase file opens it")


def _others_may_read(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def clock_finding(behind: float, has_own_time: bool) -> Finding:
    """Whether this machine's clock and the chain's agree.

    Args:
        behind: Seconds from the newest block to this machine's now.
        has_own_time: Of the chain: it is a local one.
    """
    if has_own_time:
        return Finding("clock", True, f"a local chain has its own time: its newest block is {behind:.0f} s old")
    if behind < -AHEAD:
        what = f"the newest block is {-behind:.0f} s ahead of this machine's clock"
        return Finding("clock", False, what, "Let the clock be set: timedatectl set-ntp true.")
    if behind > BEHIND:
        todo = "Does the node still follow the chain (eth_syncing)? Is this machine's clock right (timedatectl)?"
        return Finding("clock", False, f"the newest block is {behind:.0f} s old", todo)
    return Finding("clock", True, f"the newest block is {behind:.0f} s old")


# ---------------------------------------------------------------- nodes


def agreement_finding(first: Connection, others: Sequence[Connection]) -> Finding:
    """Whether other nodes serve the same chain, are as far, and have the same block where the slowest of them is."""
    if not others:
        return Finding("other nodes", True, "none to compare with: name them with --compare URL")
    nodes = [first, *others]
    # One host may serve several nodes, by the part of the URL that is not shown.
    names = [f"node {position}, {node.label}," for position, node in enumerate(nodes, 1)]
    chains = [node.chain_id for node in nodes]
    if len(set(chains)) > 1:
        what = "; ".join(f"{name} serves chain {chain}" for name, chain in zip(names, chains, strict=True))
        return Finding("other nodes", False, what, "Leave out the one of the other chain.")
    heads = [node.header().number for node in nodes]
    if max(heads) - min(heads) > HEADS_APART:
        what = "; ".join(f"{name} is at block {number}" for name, number in zip(names, heads, strict=True))
        return Finding("other nodes", False, what, "Let the slow one catch up, or leave it out.")
    common = hex(min(heads))
    hashes = [node.request("eth_getBlockByNumber", common, False)["hash"] for node in nodes]
    if len(set(hashes)) > 1:
        what = "; ".join(
            f"{name} has {digest} at {int(common, 16)}" for name, digest in zip(names, hashes, strict=True)
        )
        return Finding("other nodes", False, what, "One is on a fork, or a block was replaced: ask again in a minute.")
    return Finding("other nodes", True, f"{len(others)} agree with {first.label} on block {int(common, 16)}")


def gas_finding(session: Session, policy: Policy) -> Finding:
    """Whether the keeper's ether pays for a hundred rebalances at what is bid now."""
    address, head = session.keeper_address(), session.connection.header()
    ether = int(session.connection.request("eth_getBalance", address, "latest"), 16)
    each = policy.rebalance_gas * bids(head.base_fee)[0]
    count = ether // each
    what = f"{address} has {ether / WAD:.4f} ether, {count:,} rebalances at what is bid at {utc_second(head.timestamp)}"
    todo = f"Send {(RUNWAY * each - ether) / WAD:.3f} ether or more to {address}." if count < RUNWAY else ""
    return Finding("gas", count >= RUNWAY, what, todo)


# ---------------------------------------------------------------- for people and programs


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Plain values."""
    return {"passed": all(one.passed for one in findings), "findings": [asdict(one) for one in findings]}


def render(findings: Sequence[Finding]) -> Table:
    """For a terminal."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for one in findings:
        mark = "[green]ok[/]" if one.passed else "[red]no[/]"
        table.add_row(mark, one.name, one.what + (f"\n→ {one.todo}" if one.todo else ""))
    return table
