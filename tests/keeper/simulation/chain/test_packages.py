"""Published packages: only the pinned content is taken."""

import base64
import hashlib
import tarfile

import pytest

from keeper.simulation.chain.packages import PackageError, package_path, unpack

SPEC = "@example/contracts@1.0.0"


@pytest.fixture
def tarball(tmp_path, monkeypatch):
    monkeypatch.setenv("KEEL_CACHE", str(tmp_path / "cache"))
    content = tmp_path / "Vault.json"
    content.write_text("{}")
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(content, "package/build/Vault.json")
    return path


def integrity_of(path):
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_a_package_with_the_pinned_hash_is_unpacked(tarball):
    unpack(SPEC, tarball, integrity_of(tarball))

    assert (package_path(SPEC) / "build" / "Vault.json").read_text() == "{}"


def test_a_package_with_another_hash_is_refused_and_not_kept(tarball):
    pinned = integrity_of(tarball)
    tarball.write_bytes(tarball.read_bytes() + b"\0")

    with pytest.raises(PackageError, match=r"@example/contracts@1\.0\.0: its content is not what was pinned"):
        unpack(SPEC, tarball, pinned)

    assert not package_path(SPEC).exists()
