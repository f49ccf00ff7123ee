"""The quote server of a running keeper, as the settings have it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from keeper.chain import accounts
from keeper.chain.signer import RemoteSigner, open_key
from keeper.errors import AccountError
from keeper.execution.quote_log import QuoteLog
from keeper.operations.roles import Role, require_role
from keeper.operations.session import connect
from keeper.runtime.desk import Desk

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from keeper.execution.lease import Lease
    from keeper.operations.session import Session
    from keeper.runtime.guard import Guard
    from keeper.runtime.watch import Watch

_LOG = logging.getLogger(__name__)


@contextmanager
def serving_quotes(session: Session, guard: Guard, watch: Watch, lease: Lease | None) -> Iterator[Desk | None]:
    """A desk that takers reach while the block lasts; None where `quotes.listen` is empty.

    Raises:
        AccountError: the quoter's key does not open, is the keeper's, or is no quoter's.
        ConfigError: nothing can be served there.
        JournalError: there is no journal of this version.
    """
    settings = session.settings
    if not settings.quotes.listen:
        yield None
        return
    from keeper.web.quotes import make_quote_app  # FastAPI is loaded only where it serves
    from keeper.web.server import Server

    account = quoter_of(session)
    if isinstance(account, RemoteSigner):
        account.tell(watch.signer_failed)
    with closing(QuoteLog(settings.journal_url, lease)) as log:
        desk = Desk(
            connect(settings),  # its own: it asks from threads of its own
            session.deployment,
            account,
            settings.policy,
            log,
            stopped=guard.quotes_stopped,
            limits=settings.quotes.limits,
            makers=settings.quotes.makers,
            metrics=watch.metrics,
        )
        with desk, Server(make_quote_app(desk), settings.quotes.listen, "quotes.listen") as server:
            _LOG.info("%s signs quotes at %s", account.address, server.url)
            yield desk


def quoter_of(session: Session) -> LocalAccount | RemoteSigner:
    """The quoter's key: one that does not open, or is no quoter's, is an error now and not at the first quote.

    Raises:
        AccountError
    """
    settings = session.settings
    if not settings.quoter_keystore:
        raise AccountError(
            "No quoter's key is configured: `quotes.listen` is set in keel.toml, `quoter_keystore` is not.",
            kept="Nothing was started.",
            todo='Make one with `ape accounts generate quoter`, and set quoter_keystore = "quoter".',
        )
    account = open_key(
        settings.quoter_keystore,
        settings.signer_url,
        lambda name: accounts.unlock(
            accounts.keystore_path(name), settings.quoter_passphrase_file, environment={}
        ),  # the environment's is the keeper's
    )
    if account.address == session.keeper_address():
        raise AccountError(
            "The quoter's key is the keeper's.",
            kept="Nothing was started.",
            todo="Make it a key of its own: who breaks into the server then has one role, and not both.",
        )
    todo = "Set `quoter_keystore` to the quoter's key, or let the governor grant it the role."
    require_role(session, account.address, "OptionBook", Role.QUOTER, todo)
    return account
