"""The keeper's key: encrypted key files and ape's accounts. No raw key in settings or in the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keeper.errors import AccountError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

PASSPHRASE_VARIABLE: Final = "KEEL_PASSPHRASE"
APE_ACCOUNTS: Final = Path(".ape") / "accounts"  # in the home directory; ape's own format is the key file's


@dataclass(frozen=True, slots=True)
class WatchOnly:
    """An account without its key, for dry runs."""

    address: str

    def sign_transaction(self, transaction_dict: Any) -> Any:
        """
        Raises:
            AccountError: always.
        """
        raise AccountError(f"There is no key for {self.address} here.", kept="Nothing was sent.")


def keystore_path(keystore: str, home: Path | None = None) -> Path:
    """The key file meant by a path, or by the alias of an ape account.

    Raises:
        AccountError: not set, or there is none.
    """
    if not keystore:
        raise AccountError(
            "No key is configured: `keystore` is not set in keel.toml.",
            kept="Nothing was sent.",
            todo='Make one with `ape accounts generate keeper`, and set keystore = "keeper".',
        )
    path = _expanded(keystore)
    alias = (home or Path.home()) / APE_ACCOUNTS / f"{keystore}.json"
    for candidate in (path, alias):
        if candidate.is_file():
            return candidate
    raise AccountError(
        f"There is no key file {path}, and no ape account {keystore!r}.",
        kept="Nothing was sent.",
        todo="Check the name, --account or `keystore` in keel.toml; `ape accounts list` shows the accounts.",
    )


def keystore_address(path: Path) -> str:
    """The account of a key file, without its passphrase.

    Raises:
        AccountError: not a key file.
    """
    from eth_utils.address import is_address, to_checksum_address

    address = _read(path).get("address", "")
    if not is_address(address):
        raise AccountError(
            f"{path} is not a key file: it names no address.", todo="Check --account, or `keystore` in keel.toml."
        )
    return str(to_checksum_address(address))


def unlock(
    path: Path,
    passphrase_file: str = "",
    environment: Mapping[str, str] = os.environ,
    ask: Callable[[str], str] | None = None,
) -> LocalAccount:
    """Decrypt a key file with the passphrase from the file, from KEEL_PASSPHRASE, or as `ask(prompt)` returns it.

    Raises:
        AccountError: not a key file, no passphrase to be had, or the wrong one.
    """
    from eth_account import Account

    contents = _read(path)
    passphrase = _passphrase(path, passphrase_file, environment, ask)
    try:
        key = Account.decrypt(contents, passphrase)
    except (ValueError, KeyError, TypeError):
        # Not chained: what is wrong may quote parts of the file.
        raise AccountError(
            f"The passphrase does not open {path}, or it is not a key file.",
            kept="Nothing was sent.",
            todo=f"Check `passphrase_file` or {PASSPHRASE_VARIABLE}, and --account or `keystore`.",
        ) from None
    account: LocalAccount = Account.from_key(key)
    return account


def _passphrase(
    path: Path, passphrase_file: str, environment: Mapping[str, str], ask: Callable[[str], str] | None
) -> str:
    if passphrase_file:
        try:
            return _expanded(passphrase_file).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise AccountError(f"The passphrase file cannot be read: {error}.") from None
    if PASSPHRASE_VARIABLE in environment:
        return environment[PASSPHRASE_VARIABLE]
    if ask is not None:
        return ask(f"Passphrase of {path}")
    raise AccountError(
        f"There is no passphrase for {path}.", todo=f"Set `passphrase_file` in keel.toml, or {PASSPHRASE_VARIABLE}."
    )


def _expanded(path: str) -> Path:
    """With the home directory for ~, or as it is when nobody has that one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        contents = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise AccountError(f"The key file {path} cannot be read: {error}.") from None
    if not isinstance(contents, dict):
        raise AccountError(f"{path} is not a key file.", todo="Check `keystore` in keel.toml.")
    return contents
