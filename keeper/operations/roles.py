"""Who holds which role of a deployment: granted when it is deployed, checked when it is verified."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Any, Final

from eth_utils.address import to_checksum_address

from keeper.chain.abi import function
from keeper.chain.artifacts import artifact
from keeper.chain.deployments import CORE
from keeper.chain.multicall import Batch
from keeper.errors import AccountError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keeper.chain.deployments import Deployment
    from keeper.operations.session import Session


class Role(IntFlag):
    """Flag of ``contracts/modules/roles.vy``."""

    GOVERNOR = 1
    GUARDIAN = 2
    KEEPER = 4
    QUOTER = 8
    VOL_POSTER = 16


# Which key has which role of which contract; guardians are the same everywhere.
_KEYS: Final = (
    ("Hedger", "keeper", Role.KEEPER),
    ("OptionBook", "keeper", Role.KEEPER),
    ("OptionBook", "quoter", Role.QUOTER),
    ("VolOracle", "vol_poster", Role.VOL_POSTER),
)

NO_GUARDIAN: Final = "Set `guardian_keystore` to a guardian's key, or leave it empty."


@dataclass(frozen=True, slots=True)
class Keys:
    """Who holds which role. ``governor`` owns the Governance: a Safe where there is money, empty for the deployer."""

    guardian: str
    keeper: str
    quoter: str
    vol_poster: str
    governor: str = ""


def governed() -> list[str]:
    """The contracts that have a governor."""
    return [name for name in CORE if any(entry.get("name") == "hand_over" for entry in artifact(name).abi)]


def grants(keys: Keys, governor: str) -> list[tuple[str, str, Role]]:
    """Contract, account and role of everyone but the governor, who is a guardian beside it."""
    return [
        *((contract, account, Role.GUARDIAN) for contract in governed() for account in (keys.guardian, governor)),
        *((contract, getattr(keys, name), role) for contract, name, role in _KEYS),
    ]


def require_role(session: Session, address: str, contract: str, role: Role, todo: str) -> None:
    """A key that may do nothing would be refused whenever it is used: it is an error when the keeper starts.

    Raises:
        AccountError
    """
    batch, at = Batch(), session.deployment.address(contract)
    held = batch.add(contract, at, function(contract, "roles_of"), address)
    batch.run(session.connection, session.connection.header())
    if not held.value & role:
        raise AccountError(
            f"{address} has not the {role.name} role of the vault's {contract} {at}.",
            kept="Nothing was sent.",
            todo=todo,
        )


def wrong_roles(read: Callable[..., Any], deployment: Deployment, deployer: str) -> list[str]:
    """Where an account does not have exactly the roles that it should have; the deployer should have none of its own.

    A contract has one governor for as long as it lives: where it is the Governance, it is nobody else.

    Args:
        read: A view of a contract: its name, the function's, arguments.
    """
    accounts, governance = deployment.roles, deployment.address("Governance")
    everybody = {to_checksum_address(deployer), *accounts.values()}
    expected = {(contract, account): Role(0) for contract in governed() for account in everybody}
    for contract, account, role in grants(Keys(**accounts), accounts["governor"]):
        expected[contract, to_checksum_address(account)] |= role
    expected |= {(contract, governance): Role.GOVERNOR for contract in governed()}
    names = {address: name for name, address in accounts.items()} | {governance: "the Governance"}
    wrong = [
        f"{contract}: roles of {names.get(account, 'the deployer')}"
        for (contract, account), roles in expected.items()
        if read(contract, "roles_of", account) != roles
    ]
    if read("Governance", "owner") != accounts["governor"]:
        wrong.append("Governance.owner")
    if not read("Governance", "is_guardian", accounts["guardian"]):
        wrong.append("Governance: guardian")
    return wrong
