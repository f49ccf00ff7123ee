"""The keeper's key comes from an encrypted file, and its passphrase from a file, the environment or a prompt."""

import json

import pytest
from eth_account import Account

from keeper.chain.accounts import keystore_address, keystore_path, unlock
from keeper.errors import AccountError

ACCOUNT = Account.from_key("0x" + "11" * 32)
SECRET = "a passphrase of the tests"


@pytest.fixture(scope="module")
def encrypted():
    return json.dumps(Account.encrypt(ACCOUNT.key, SECRET, kdf="pbkdf2", iterations=1))


@pytest.fixture
def keystore(tmp_path, encrypted):
    path = tmp_path / "keeper.json"
    path.write_text(encrypted)
    return path


def test_the_passphrase_may_come_from_a_file(tmp_path, keystore):
    (tmp_path / "passphrase").write_text(SECRET + "\n")

    assert unlock(keystore, str(tmp_path / "passphrase"), {}).address == ACCOUNT.address


def test_the_passphrase_may_come_from_the_environment(keystore):
    assert unlock(keystore, environment={"KEEL_PASSPHRASE": SECRET}).address == ACCOUNT.address


def test_the_passphrase_may_be_asked_for(keystore):
    assert unlock(keystore, environment={}, ask=lambda prompt: SECRET).address == ACCOUNT.address


def test_without_a_passphrase_it_says_where_to_put_it(keystore):
    with pytest.raises(AccountError, match=r"Set `passphrase_file` in keel\.toml, or KEEL_PASSPHRASE"):
        unlock(keystore, environment={})


def test_a_wrong_passphrase_is_not_repeated_in_the_error(keystore):
    with pytest.raises(AccountError, match="does not open") as raised:
        unlock(keystore, environment={"KEEL_PASSPHRASE": "wrong secret"})

    assert "wrong secret" not in str(raised.value)


def test_the_address_needs_no_passphrase(keystore):
    assert keystore_address(keystore) == ACCOUNT.address


def test_an_ape_account_is_found_by_its_alias(tmp_path, encrypted):
    folder = tmp_path / ".ape" / "accounts"
    folder.mkdir(parents=True)
    (folder / "keeper.json").write_text(encrypted)

    assert keystore_path("keeper", home=tmp_path) == folder / "keeper.json"


def test_no_key_and_a_missing_key_are_told_apart(tmp_path):
    with pytest.raises(AccountError, match="`keystore` is not set"):
        keystore_path("")
    with pytest.raises(AccountError, match="no ape account 'keeper'"):
        keystore_path("keeper", home=tmp_path)


@pytest.mark.parametrize("contents", ["not json", "[]", "{}", '{"address": "0x12"}'])
def test_a_file_that_is_no_key_file_is_refused(tmp_path, contents):
    path = tmp_path / "keeper.json"
    path.write_text(contents)

    with pytest.raises(AccountError, match="key file"):
        keystore_address(path)


def test_the_home_of_nobody_is_a_file_that_is_not_there(tmp_path):
    with pytest.raises(AccountError, match=r"There is no key file ~nobody-of-this-name/keeper\.json"):
        keystore_path("~nobody-of-this-name/keeper.json", tmp_path)
