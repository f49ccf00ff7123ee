"""Compiled contracts: what `ape compile` left in `.build`, read once."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keeper.errors import KeelError

PROJECT = Path(__file__).resolve().parents[2]
_BUILD = PROJECT / ".build" / "__local__.json"
_STAMP = PROJECT / ".build" / ".compiled"  # written by `make setup` after a whole compilation
_CONTRACTS = PROJECT / "contracts"


class ArtifactError(KeelError):
    """A contract is not compiled, or its compilation is older than the sources."""


@dataclass(frozen=True)
class Artifact:
    """One compiled contract.

    `bytecode` is the creation code without constructor arguments. `runtime` is the deployed code
    without its immutables, which Vyper appends: the code on chain starts with it.
    """

    name: str
    abi: Sequence[Mapping[str, Any]]
    bytecode: bytes
    runtime: bytes


def artifact(name: str) -> Artifact:
    """The contract called `name`, as in `artifact("Vault")`. Raises ArtifactError, which says what to do."""
    _refuse_stale()
    contracts = _contracts(_BUILD.stat().st_mtime_ns)
    if name not in contracts:
        known = ", ".join(sorted(contracts)) or "none"
        raise ArtifactError(f"There is no compiled contract {name!r} (there are: {known}).", todo="Run `make setup`.")
    entry = contracts[name]
    return Artifact(
        name=name,
        abi=entry.get("abi", []),
        bytecode=_code(entry, "deploymentBytecode"),
        runtime=_code(entry, "runtimeBytecode"),
    )


def _code(entry: Mapping[str, Any], field: str) -> bytes:
    return bytes.fromhex(entry.get(field, {}).get("bytecode", "").removeprefix("0x"))


@functools.lru_cache(maxsize=1)
def _contracts(_built_at: int) -> dict[str, dict[str, Any]]:
    contracts: dict[str, dict[str, Any]] = json.loads(_BUILD.read_text()).get("contractTypes", {})
    return contracts


def _refuse_stale() -> None:
    """Any source newer than the last whole compilation counts: ape itself misses importers of a module."""
    if not (_BUILD.exists() and _STAMP.exists()):
        raise ArtifactError("The contracts are not compiled.", todo="Run `make setup`.")
    compiled_at = _STAMP.stat().st_mtime_ns
    for source in _CONTRACTS.rglob("*.vy*"):
        if source.stat().st_mtime_ns > compiled_at:
            where = source.relative_to(PROJECT)
            raise ArtifactError(f"{where} has changed since the contracts were compiled.", todo="Run `make setup`.")
