"""Keys that a signer of its own process holds: what it signs is what the key itself would sign, or it is not used."""

import pytest
from eth_account import Account
from web3 import Web3

from keeper.chain.option_quotes import ANYONE, Quote, sign_quote
from keeper.chain.rpc import Connection
from keeper.chain.signer import RemoteSigner, open_key, remote_address
from keeper.errors import ConfigError, RpcUnavailableError, SignerError
from tests.keeper.remote_signer import remote_signer
from tests.keeper.vault_on_fork import account_of

ACCOUNT = account_of("keeper")
TRANSACTION = {
    "type": 2,
    "chainId": 1,
    "nonce": 7,
    "to": Web3.to_checksum_address("0x" + "ab" * 20),
    "data": b"\x12\x34",
    "value": 0,
    "gas": 150_000,
    "maxFeePerGas": 30 * 10**9,
    "maxPriorityFeePerGas": 10**9,
}
QUOTE = Quote(2**250 + 7, True, 10**20, 10**18, ANYONE, 1_800_000_000, 2**40, 3_000 * 10**18, 25 * 10**14)


class Book:
    """What of a deployment a quote is signed for."""

    chain_id = 1

    def address(self, _):
        return Web3.to_checksum_address("0x" + "22" * 20)


@pytest.fixture(scope="module")
def url():
    with remote_signer(ACCOUNT) as (_, served):
        yield served


@pytest.fixture
def told():
    return []


@pytest.fixture
def signer(url, told):
    made = RemoteSigner(url, ACCOUNT.address)
    made.tell(told.append)
    yield made
    Connection(url).request("mischief", "")


def test_a_transaction_is_signed_as_the_key_itself_would(signer, told):
    signed = signer.sign_transaction(TRANSACTION)

    assert signed.raw_transaction == ACCOUNT.sign_transaction(TRANSACTION).raw_transaction
    assert told == []


def test_a_quote_is_signed_as_the_key_itself_would(signer):
    assert sign_quote(QUOTE, Book(), signer) == sign_quote(QUOTE, Book(), ACCOUNT)


@pytest.mark.parametrize("mischief", ["gas", "key"])
def test_a_transaction_that_was_not_asked_for_is_not_used(url, signer, told, mischief):
    Connection(url).request("mischief", mischief)

    with pytest.raises(SignerError, match="signed another transaction, or with another key"):
        signer.sign_transaction(TRANSACTION)

    assert len(told) == 1


@pytest.mark.parametrize("mischief", ["price", "key"])
def test_a_quote_that_was_not_asked_for_is_not_used(url, signer, mischief):
    Connection(url).request("mischief", mischief)

    with pytest.raises(SignerError, match="signed something else, or with another key"):
        sign_quote(QUOTE, Book(), signer)


def test_a_signer_without_the_key_says_so_at_the_start(url):
    other = Account.create().address

    with pytest.raises(SignerError, match=f"holds no key of {other}"):
        open_key(other, url, lambda name: pytest.fail(f"{name} is no key file"))


def test_a_signer_that_is_down_is_named_without_what_is_secret_in_its_url():
    signer = RemoteSigner("http://127.0.0.1:9/token-of-the-tests", ACCOUNT.address)

    with pytest.raises(SignerError, match="does not answer") as failed:
        signer.sign_transaction(TRANSACTION)

    assert "token" not in str(failed.value)
    assert failed.value.exit_code == RpcUnavailableError.exit_code  # systemd starts the keeper again


def test_an_address_needs_a_signer_and_a_name_a_key_file():
    assert remote_address(ACCOUNT.address.lower()) == ACCOUNT.address
    assert remote_address("keeper") is None
    with pytest.raises(ConfigError, match="No signer is configured"):
        open_key(ACCOUNT.address, "", lambda name: pytest.fail(f"{name} is no key file"))
