"""Compiled contracts: found by name, refused when missing or older than the sources."""

import json
import os

import pytest

from keeper.chain import artifacts
from keeper.chain.artifacts import ArtifactError, artifact


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one compiled contract."""
    (tmp_path / "contracts").mkdir()
    source = tmp_path / "contracts" / "Vault.vy"
    source.write_text("# pragma version 0.4.3\n")
    build = tmp_path / ".build"
    build.mkdir()
    entry = {
        "abi": [{"type": "function", "name": "asset"}],
        "deploymentBytecode": {"bytecode": "0x6001"},
        "runtimeBytecode": {"bytecode": "0x02"},
    }
    (build / "__local__.json").write_text(json.dumps({"contractTypes": {"Vault": entry}}))
    (build / ".compiled").touch()
    compiled_at = (build / ".compiled").stat().st_mtime
    os.utime(source, (compiled_at - 10, compiled_at - 10))
    monkeypatch.setattr(artifacts, "PROJECT", tmp_path)
    monkeypatch.setattr(artifacts, "_BUILD", build / "__local__.json")
    monkeypatch.setattr(artifacts, "_STAMP", build / ".compiled")
    monkeypatch.setattr(artifacts, "_CONTRACTS", tmp_path / "contracts")
    return tmp_path


def test_it_has_abi_creation_code_and_runtime_code(project):
    vault = artifact("Vault")

    assert vault.name == "Vault"
    assert vault.abi[0]["name"] == "asset"
    assert vault.bytecode == b"\x60\x01"
    assert vault.runtime == b"\x02"


def test_an_unknown_name_is_refused_with_those_that_exist(project):
    with pytest.raises(ArtifactError, match=r"no compiled contract 'Volt' \(there are: Vault\)"):
        artifact("Volt")


def test_contracts_that_were_never_compiled_are_refused(project):
    (project / ".build" / ".compiled").unlink()

    with pytest.raises(ArtifactError, match=r"not compiled\. Run `make setup`"):
        artifact("Vault")


@pytest.mark.parametrize("changed", ["contracts/Vault.vy", "contracts/interfaces/IVault.vyi"])
def test_sources_newer_than_the_compilation_are_refused(project, changed):
    source = project / changed
    source.parent.mkdir(exist_ok=True)
    source.write_text("# changed\n")
    later = (project / ".build" / ".compiled").stat().st_mtime + 10
    os.utime(source, (later, later))

    with pytest.raises(ArtifactError, match=f"{changed} has changed since"):
        artifact("Vault")
