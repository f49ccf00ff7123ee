"""Two machines, each with a desk: once one has taken over, the other hands nothing out, however fresh its block is."""

import pytest
import sqlalchemy as sa

from keeper.domain.policy import Policy
from keeper.domain.safety import DeskLimits, KillLevels
from keeper.domain.units import WAD
from keeper.execution.database import make_engine, parse_url
from keeper.execution.lease import Lease
from keeper.execution.quote_log import QuoteLog
from keeper.execution.schema import LeaseRow
from keeper.runtime.answers import Denial, Denied, Signed, Wish
from keeper.runtime.guard import Guard
from tests.keeper.web.rig import TAKER, series_of


@pytest.fixture
def desk_of(rig, vault, tmp_path):
    """A machine's desk, its lease beside it."""
    url, opened = f"sqlite:///{tmp_path / 'keel.sqlite'}", []
    guard = Guard(vault.connection, vault.deployment, rig.orders, KillLevels(), Policy().margin_tolerance)

    def make(machine):
        lease = Lease(url, vault.deployment.chain_id, vault.deployment.address("Vault"), machine, 30.0)
        log = QuoteLog(url, lease)
        desk = rig.make_desk(guard, DeskLimits(), Policy(), log)
        desk.__enter__()
        opened.append((desk, log, lease))
        return desk, lease

    yield make
    for desk, log, lease in opened:
        desk.__exit__(None, None, None)
        log.close()
        lease.close()


def test_a_desk_that_has_lost_the_vault_hands_nothing_out_and_the_new_one_knows_what_it_had(
    rig, vault, tmp_path, desk_of
):
    series = series_of(vault, is_call=True)
    wish = Wish((series.underlying, True, series.expiry, series.strike_wad), True, WAD, TAKER)
    alpha, its_lease = desk_of("alpha")
    beta, lease = desk_of("beta")
    assert its_lease.acquire()
    alpha.see(rig.snapshot())
    alpha.wait_until_ready(60)
    before = alpha.ask(wish)
    with make_engine(parse_url(f"sqlite:///{tmp_path / 'keel.sqlite'}")).begin() as connection:
        connection.execute(sa.update(LeaseRow).values(expires_ms=1))
    assert lease.acquire()

    after = alpha.ask(wish)
    again = alpha.ask(wish)
    beta.see(rig.snapshot())
    beta.wait_until_ready(60)

    assert isinstance(before, Signed)
    assert after == again == Denied(Denial.STALE, "another machine keeps the vault, and quotes for it")
    assert rig.counted("keel_quotes_open") == 1  # alpha's, in the room of what beta signs
    assert isinstance(beta.ask(wish), Signed)
