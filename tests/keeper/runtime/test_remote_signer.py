"""A keeper whose key a signer holds: while that is down nothing is sent and no nonce is used, and then it hedges."""

from keeper.chain.signer import RemoteSigner
from keeper.domain.policy import Policy
from keeper.domain.safety import WatchLevels
from keeper.execution.records import Result
from keeper.runtime.loop import Keeper
from keeper.runtime.metrics import Metrics
from keeper.runtime.watch import Watch
from tests.keeper.remote_signer import remote_signer


def test_a_signer_that_is_down_costs_a_hedge_and_no_nonce_and_is_told(vault, journal):
    nonce = vault.w3.eth.get_transaction_count(vault.keeper.address)
    watch = Watch(vault.connection, WatchLevels(), Metrics())
    with remote_signer(vault.keeper) as (process, url):
        signer = RemoteSigner(url, vault.keeper.address)
        signer.tell(watch.signer_failed)
        keeper = Keeper(
            vault.connection, vault.deployment, signer, Policy(), journal, poll_seconds=0.01, watch=watch, services=()
        )
        process.kill()
        process.wait()

        down = keeper.tick()
    [(_, outcome)] = journal.transactions_of(down.id)
    told = watch.health().conditions
    after_down = vault.w3.eth.get_transaction_count(vault.keeper.address, "pending")

    vault.market.step(3_000)
    with remote_signer(vault.keeper, port=int(url.split(":")[2].split("/")[0])):
        up = keeper.tick()
    [(_, mined)] = journal.transactions_of(up.id)

    assert down.decision.action == up.decision.action == "trade"
    assert outcome.result is Result.UNSIGNED
    assert "does not answer" in outcome.detail
    assert "signer-down" in told
    assert after_down == nonce
    assert mined.result is Result.CONFIRMED
    assert journal.transactions_of(up.id)[0][0].nonce == nonce
