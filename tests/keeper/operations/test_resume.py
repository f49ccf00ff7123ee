"""A deployment that is interrupted goes on: nothing is sent twice, and what comes out is what would have come out."""

import threading
from dataclasses import replace

import pytest
from web3 import Web3

from keeper.chain.address_book import MAINNET
from keeper.chain.deployments import load
from keeper.chain.sender import Sender
from keeper.domain.units import WAD
from keeper.errors import KeelError, ManifestError
from keeper.operations.deploy import deploy, verify
from keeper.operations.deployment_log import log_path
from keeper.operations.parameters import Parameters
from keeper.operations.roles import Keys
from keeper.operations.seed import SEED
from tests.keeper.interruption import (
    AFTER_BROADCAST,
    AFTER_RECEIPT,
    BEFORE_BROADCAST,
    crash,
    interrupted_at_every_transaction,
)
from tests.keeper.vault_on_fork import account_of

TRANSACTIONS = 56
KEYS = Keys(*(account_of(role).address for role in ("guardian", "keeper", "quoter", "vol_poster")))
DEPLOYER = account_of("deployer")


@pytest.fixture
def manifest(tmp_path):
    return tmp_path / "deployments" / "1.json"


@pytest.fixture
def begin(vault, manifest):
    """Deploy to the manifest, over a connection of choice; from an account that has sent nothing yet."""
    vault.market.fund_eth(DEPLOYER.address, 100 * WAD)
    vault.market.fund_usdc(DEPLOYER.address, SEED)

    def run(node=None, **changes):
        w3 = Web3(node) if node else vault.w3
        given = {"addresses": MAINNET, "keys": KEYS, "parameters": Parameters()} | changes
        return deploy(Sender(w3, DEPLOYER), manifest=manifest, **given)

    return run


def sent_by_deployer(vault):
    return vault.w3.eth.get_transaction_count(DEPLOYER.address, "pending")


def crash_at(begin, vault, n, moment):
    crash(begin, vault.url, n, moment)


@pytest.mark.parametrize("moment", [BEFORE_BROADCAST, AFTER_BROADCAST, AFTER_RECEIPT])
def test_interrupted_at_every_transaction_it_ends_in_the_same_wiring(vault, begin, manifest, moment):
    state = vault.market.rpc.call("evm_snapshot")
    undisturbed = begin()
    vault.market.rpc.call("evm_revert", state)
    manifest.unlink()

    resumed = interrupted_at_every_transaction(begin, vault.url, lambda: sent_by_deployer(vault), TRANSACTIONS, moment)

    assert sent_by_deployer(vault) == TRANSACTIONS
    assert replace(resumed, block=undisturbed.block) == undisturbed
    verify(vault.sender("stranger"), load(manifest, 1))


def test_a_finished_deployment_leaves_no_log_and_is_not_deployed_again(vault, begin, manifest):
    begin()

    assert not log_path(manifest).exists()
    with pytest.raises(ManifestError, match=r"There is a deployment already: .*1\.json\. Nothing was sent"):
        begin()
    assert sent_by_deployer(vault) == TRANSACTIONS


def test_interrupted_between_manifest_and_the_end_of_the_log_it_sends_nothing_more(vault, begin, manifest):
    crash_at(begin, vault, TRANSACTIONS, AFTER_RECEIPT)
    log = log_path(manifest).read_bytes()
    begin()
    log_path(manifest).write_bytes(log)

    begin()

    assert sent_by_deployer(vault) == TRANSACTIONS
    assert not log_path(manifest).exists()


def test_a_transaction_that_is_still_pending_is_waited_for(vault, begin):
    vault.market.rpc.call("evm_setAutomine", False)
    crash_at(begin, vault, 1, AFTER_BROADCAST)

    def mine():
        vault.market.rpc.call("evm_setAutomine", True)
        vault.market.rpc.call("evm_mine")

    assert vault.w3.eth.get_transaction_count(DEPLOYER.address) == 0
    later = threading.Timer(0.3, mine)
    later.start()
    begin()
    later.join()

    assert sent_by_deployer(vault) == TRANSACTIONS


def test_a_transaction_that_the_node_has_lost_is_sent_with_the_same_nonce(vault, begin):
    vault.market.rpc.call("evm_setAutomine", False)
    crash_at(begin, vault, 1, AFTER_BROADCAST)
    vault.market.rpc.call("anvil_dropAllTransactions")
    vault.market.rpc.call("evm_setAutomine", True)

    begin()

    assert sent_by_deployer(vault) == TRANSACTIONS


def test_a_transaction_that_was_mined_and_failed_is_sent_anew(vault, begin):
    feed = vault.w3.eth.get_code(MAINNET.usdc_feed).to_0x_hex()
    vault.market.rpc.call("evm_setAutomine", False)
    crash_at(begin, vault, 1, AFTER_BROADCAST)
    vault.market.rpc.call("anvil_setCode", MAINNET.usdc_feed, "0xfe")  # PriceOracle's constructor asks it
    vault.market.rpc.call("evm_mine")
    vault.market.rpc.call("anvil_setCode", MAINNET.usdc_feed, feed)
    vault.market.rpc.call("evm_setAutomine", True)

    begin()

    assert sent_by_deployer(vault) == TRANSACTIONS + 1


def test_a_nonce_that_something_else_used_stops_it(vault, begin):
    crash_at(begin, vault, 3, BEFORE_BROADCAST)
    vault.market.rpc.call("anvil_setNonce", DEPLOYER.address, hex(3))

    with pytest.raises(KeelError, match=r"OptionPricer: the node does not know transaction 0x\w+ with nonce 2,"):
        begin()
    assert sent_by_deployer(vault) == 3


def test_other_inputs_than_it_was_begun_with_are_refused(vault, begin, manifest):
    crash_at(begin, vault, 3, AFTER_RECEIPT)
    other = {"parameters": Parameters(min_vol=0.3), "keys": replace(KEYS, guardian=DEPLOYER.address)}

    with pytest.raises(
        ManifestError, match=r"1\.partial\.json was begun with other parameters, roles\. Nothing was sent"
    ):
        begin(**other)
    assert sent_by_deployer(vault) == 3


@pytest.mark.parametrize(
    "text", ["{", '{"inputs": {}}', '{"inputs": {}, "steps": {"Vault": [{"nonce": "four"}]}}', "[]"]
)
def test_a_log_that_is_not_one_is_refused(vault, begin, manifest, text):
    manifest.parent.mkdir()
    log_path(manifest).write_text(text)

    with pytest.raises(ManifestError, match=r"1\.partial\.json (is malformed: |was begun with other)"):
        begin()
    assert sent_by_deployer(vault) == 0


def test_a_log_that_cannot_be_written_sends_nothing(vault, begin, manifest):
    manifest.parent.write_text("a file where the folder should be")

    with pytest.raises(ManifestError, match="cannot be written"):
        begin()
    assert sent_by_deployer(vault) == 0
