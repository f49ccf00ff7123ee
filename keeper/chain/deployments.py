"""Deployment manifests: `deployments/<chain_id>.json`, what was deployed where.

{"chain_id": 1, "block": 26450000, "commit": "0a17be3",
 "contracts": {"Vault": {"address": "0x..", "codehash": "0x..", "args": [...]}},
 "roles": {"governor": "0x..", "keeper": "0x.."},
 "venues": [{"index": 0, "kind": "uniswap_v3_spot", "address": "0x..", "underlying": 0}],
 "feeds": {"ETH": "0x..", "USDC": "0x.."}}
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from eth_typing import ChecksumAddress
from eth_utils.address import (
    is_address,
    is_checksum_address,
    is_checksum_formatted_address,
    to_checksum_address,
)
from pydantic import AfterValidator, ConfigDict, JsonValue, TypeAdapter, ValidationError, with_config

from keeper.domain.snapshot import VenueKind
from keeper.errors import ManifestError

DIRECTORY: Final = Path("deployments")
CORE: Final = (
    "PriceOracle",
    "VolOracle",
    "OptionPricer",
    "RiskEngine",
    "Vault",
    "OptionBook",
    "ClearingHouse",
    "OptionToken",
    "RedemptionQueue",
    "Hedger",
    "BuybackAuction",
    "CircuitBreaker",
    "Governance",
)


def checked_address(value: str) -> ChecksumAddress:
    """An address as text, with its checksum (EIP-55) where it has capitals and small letters.

    Raises:
        ValueError: not an address, or mistyped.
    """
    if not is_address(value) or (is_checksum_formatted_address(value) and not is_checksum_address(value)):
        raise ValueError(f"{value!r} is not an address")
    return to_checksum_address(value)


Address = Annotated[ChecksumAddress, AfterValidator(checked_address)]
_STRICT = ConfigDict(extra="forbid")


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class DeployedContract:
    """One contract: `codehash` is keccak256 of its code, `args` its constructor arguments as JSON."""

    address: Address
    codehash: str
    args: tuple[JsonValue, ...] = ()


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class DeployedVenue:
    """A venue: `index` in Vault.venues, `underlying` an index in UNDERLYINGS."""

    index: int
    kind: VenueKind
    address: Address
    underlying: int


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Deployment:
    """A manifest.

    Attributes:
        block: Number of the block that the deployment was complete at.
        commit: Of the sources, empty when unknown.
        contracts: By contract name; the core ones are all there, and any venues under names of the deployer's choice.
        roles: Account by role in lower case: governor (who owns the Governance), guardian, keeper, quoter, vol_poster.
        venues: In index order, without those that were retired.
        feeds: Chainlink proxies by symbol.
    """

    chain_id: int
    block: int
    commit: str
    contracts: Mapping[str, DeployedContract]
    roles: Mapping[str, Address] = field(default_factory=dict)
    venues: tuple[DeployedVenue, ...] = ()
    feeds: Mapping[str, Address] = field(default_factory=dict)

    def address(self, name: str) -> ChecksumAddress:
        """Address of the contract called `name`.

        Raises:
            ManifestError: there is no such contract.
        """
        if name not in self.contracts:
            known = ", ".join(sorted(self.contracts)) or "none"
            raise ManifestError(f"The deployment has no contract {name!r} (it has: {known}).", todo="Deploy it first.")
        return self.contracts[name].address


_MANIFEST: Final = TypeAdapter(Deployment)


def manifest_path(chain_id: int, directory: Path = DIRECTORY) -> Path:
    """Where the manifest of a chain is by default."""
    return directory / f"{chain_id}.json"


def save(deployment: Deployment, path: Path | None = None) -> Path:
    """Write the manifest, whole or not at all. Returns where: `path`, or the chain's default.

    Raises:
        ManifestError: it cannot be written.
    """
    path = path or manifest_path(deployment.chain_id)
    write_whole(path, _MANIFEST.dump_json(deployment, indent=2) + b"\n")
    return path


def write_whole(path: Path, contents: bytes) -> None:
    """Write a file whole or not at all; on disk when this returns.

    Raises:
        ManifestError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise ManifestError(f"{path} cannot be written: {error.strerror}.", todo="Make room for it there.") from error


def load(path: Path, chain_id: int | None = None) -> Deployment:
    """Read a manifest.

    Raises:
        ManifestError: missing, not readable, malformed, incomplete, or of another chain than `chain_id`.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise ManifestError(
            f"There is no deployment manifest {path}.",
            todo="Deploy first, or name the manifest with `deployment` in keel.toml.",
        ) from None
    except OSError as error:
        raise ManifestError(f"The deployment manifest {path} cannot be read: {error.strerror}.") from error
    try:
        deployment = _MANIFEST.validate_json(text)
    except ValidationError as error:
        raise ManifestError(
            f"The deployment manifest {path} is malformed: {first_problem(error)}.",
            todo="Restore it from version control, or deploy again.",
        ) from None
    missing = [name for name in CORE if name not in deployment.contracts]
    if missing:
        raise ManifestError(
            f"The deployment manifest {path} lacks {', '.join(missing)}.",
            todo="Finish the deployment, or deploy again.",
        )
    indices = [venue.index for venue in deployment.venues]
    if indices != sorted(set(indices)) or any(index < 0 for index in indices):
        raise ManifestError(f"The venues in the deployment manifest {path} are not in index order.")
    if chain_id is not None and deployment.chain_id != chain_id:
        raise ManifestError(
            f"The deployment manifest {path} is of chain {deployment.chain_id}, the node serves chain {chain_id}.",
            kept="Nothing was read or sent.",
            todo="Change `rpc_url` or `deployment` in keel.toml.",
        )
    return deployment


def first_problem(error: ValidationError) -> str:
    """Where and what, in one clause."""
    problem: Any = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else str(problem["msg"])
