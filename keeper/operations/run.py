"""`keel run`: the keeper as a process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Final

from keeper.chain import accounts
from keeper.chain.accounts import WatchOnly
from keeper.chain.address_book import MULTICALL3
from keeper.chain.rpc import Connection
from keeper.chain.signer import RemoteSigner
from keeper.config import Settings
from keeper.errors import AccountError, ConfigError
from keeper.execution.database import dry_run_url
from keeper.execution.journal import Journal
from keeper.execution.orders import Orders
from keeper.execution.records import Record
from keeper.operations.posting import posting_surface
from keeper.operations.quote_server import serving_quotes
from keeper.operations.roles import NO_GUARDIAN, Role, require_role
from keeper.operations.session import Session, open_session
from keeper.operations.watching import watching
from keeper.runtime.guard import Guard
from keeper.runtime.loop import Keeper
from keeper.runtime.twin import GuardianTwin

_NO_KEEPER: Final = "Set `keystore` to the keeper's key, or let the governor grant it the role; `--dry-run` needs none."
_LOG = logging.getLogger(__name__)


def run_keeper(
    settings: Settings, *, dry_run: bool, once: bool, ask: Callable[[str], str] | None = None
) -> Record | None:
    """Follow the head until stopped, or deal with the newest block only. Returns the last hedging decision.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    session = open_session(settings)
    _require_multicall(session)
    signer = WatchOnly(session.keeper_address()) if dry_run else session.signer(ask)
    if not dry_run:
        require_role(session, signer.address, "Hedger", Role.KEEPER, _NO_KEEPER)
    with ExitStack() as opened:
        journal = opened.enter_context(closing(session.journal(dry_run=dry_run)))
        journal_url = dry_run_url(settings.journal_url) if dry_run else settings.journal_url
        orders = opened.enter_context(closing(Orders(journal_url)))
        guard = Guard(
            session.connection,
            session.deployment,
            orders,
            settings.kill_levels,
            settings.policy.margin_tolerance,
            None if dry_run else _twin(session, journal),
        )
        lease = None if dry_run else opened.enter_context(closing(session.lease()))
        watch = None if once else opened.enter_context(watching(session, settings))
        if isinstance(signer, RemoteSigner) and watch is not None:
            signer.tell(watch.signer_failed)
        desk = None if watch is None or dry_run else opened.enter_context(serving_quotes(session, guard, watch, lease))
        relay = _relay(settings)
        poster = (
            None
            if watch is None
            else opened.enter_context(posting_surface(session, journal, watch, relay, dry_run=dry_run))
        )
        keeper = Keeper(
            session.connection,
            session.deployment,
            signer,
            settings.policy,
            journal,
            dry_run=dry_run,
            poll_seconds=settings.poll_seconds,
            wait_seconds=settings.receipt_timeout_seconds,
            guard=guard,
            watch=watch,
            relay=relay,
            lease=lease,
            desk=desk,
            poster=poster,
        )
        _LOG.info(
            "keeper of vault %s on chain %d, journal %s%s",
            session.deployment.address("Vault"),
            session.connection.chain_id,
            journal.label,
            ", dry run: nothing is sent" if dry_run else "",
        )
        keeper.run(once=once)
        return journal.last_decision()


def _relay(settings: Settings) -> Connection | None:
    return Connection(settings.relay_url, timeout=settings.rpc_timeout_seconds) if settings.relay_url else None


def _twin(session: Session, journal: Journal) -> GuardianTwin | None:
    """With the guardian's key where one is configured: a key that does not open, or is no guardian's, is an error now
    and not when it is needed.

    Raises:
        AccountError
    """
    settings = session.settings
    if not settings.guardian_keystore:
        return None
    path = accounts.keystore_path(settings.guardian_keystore)
    account = accounts.unlock(path, settings.guardian_passphrase_file, environment={})  # which is the keeper's
    if account.address == session.keeper_address():
        raise AccountError(
            "The guardian's key is the keeper's.",
            kept="Nothing was started.",
            todo="Make it a key of its own: who has the keeper's could stop the vault, and their nonces would clash.",
        )
    require_role(session, account.address, "CircuitBreaker", Role.GUARDIAN, NO_GUARDIAN)
    return GuardianTwin(session.connection, session.deployment, account, settings.policy, journal)


def _require_multicall(session: Session) -> None:
    if session.connection.request("eth_getCode", MULTICALL3, "latest") in ("0x", None):
        raise ConfigError(
            f"There is no Multicall3 at {MULTICALL3} on chain {session.connection.chain_id}.",
            kept="Nothing was sent.",
            todo="Deploy it there first (the address is the same on every chain), or connect to another chain.",
        )
