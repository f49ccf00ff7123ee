"""The vol poster of a running keeper, as the settings have it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from keeper.chain import accounts
from keeper.chain.signer import RemoteSigner, open_key
from keeper.domain.series import UNDERLYINGS
from keeper.errors import AccountError
from keeper.market.quote_source import QuoteSource
from keeper.operations.roles import Role, require_role
from keeper.operations.session import connect
from keeper.runtime.lookout import Lookout
from keeper.runtime.poster import Poster

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from keeper.chain.rpc import Connection
    from keeper.execution.journal import Journal
    from keeper.operations.session import Session
    from keeper.runtime.watch import Watch

_LOG = logging.getLogger(__name__)


@contextmanager
def posting_surface(
    session: Session, journal: Journal, watch: Watch, relay: Connection | None, *, dry_run: bool
) -> Iterator[Poster | None]:
    """A poster while the block lasts; None where no source of quotes is configured.

    Raises:
        AccountError: its key does not open, is the keeper's, or is no vol poster's.
    """
    settings = session.settings
    if not settings.surface.sources:
        yield None
        return
    account = None if dry_run else poster_of(session)
    if isinstance(account, RemoteSigner):
        account.tell(watch.signer_failed)
    seconds = settings.surface.timeout_seconds
    sources = {UNDERLYINGS.index(one): QuoteSource(at, seconds=seconds) for one, at in settings.surface.sources.items()}
    # A connection of its own: it asks from a thread of its own.
    with Lookout(connect(settings), session.deployment, sources, fetch_every=settings.surface.fetch_seconds) as lookout:
        who = "nobody: a dry run" if account is None else account.address
        _LOG.info("%s posts the surface of %s", who, " and ".join(settings.surface.sources))
        yield Poster(session.connection, account, settings.policy, journal, lookout, relay=relay)


def poster_of(session: Session) -> LocalAccount | RemoteSigner:
    """The vol poster's key: one that does not open, or is no vol poster's, is an error now and not at the first post.

    Raises:
        AccountError
    """
    settings = session.settings
    if not settings.poster_keystore:
        raise AccountError(
            "No vol poster's key is configured: `[surface]` has a source in keel.toml, `poster_keystore` is not set.",
            kept="Nothing was started.",
            todo='Make one with `ape accounts generate vol_poster`, and set poster_keystore = "vol_poster".',
        )
    account = open_key(
        settings.poster_keystore,
        settings.signer_url,
        lambda name: accounts.unlock(
            accounts.keystore_path(name), settings.poster_passphrase_file, environment={}
        ),  # the environment's is the keeper's
    )
    if account.address == session.keeper_address():
        raise AccountError(
            "The vol poster's key is the keeper's.",
            kept="Nothing was started.",
            todo="Make it a key of its own: with one key a post that waits would hold up the hedge.",
        )
    todo = "Set `poster_keystore` to the vol poster's key, or let the governor grant it the role."
    require_role(session, account.address, "VolOracle", Role.VOL_POSTER, todo)
    return account
