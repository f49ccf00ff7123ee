"""Deployment manifests: what is saved is loaded, and every way to be wrong has its own message."""

import json

import pytest

from keeper.chain.deployments import CORE, DeployedContract, DeployedVenue, Deployment, load, manifest_path, save
from keeper.domain.snapshot import VenueKind
from keeper.errors import ManifestError

ACCOUNT = "0x5f4eC3Df9cbd43714FE2740f5E3616155c5b8419"


def a_deployment(**changes):
    contracts = {name: DeployedContract(ACCOUNT, "0x" + "12" * 32, (2**255, [1, "x"], True)) for name in CORE}
    fields = {
        "chain_id": 1,
        "block": 26_450_000,
        "commit": "0a17be3",
        "contracts": contracts,
        "roles": {"keeper": ACCOUNT},
        "venues": (DeployedVenue(0, VenueKind.UNISWAP_V3_SPOT, ACCOUNT, 0),),
        "feeds": {"ETH": ACCOUNT},
    }
    return Deployment(**(fields | changes))


def written(tmp_path, change):
    path = save(a_deployment(), tmp_path / "1.json")
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    return path


def test_what_is_saved_is_loaded_with_integers_of_256_bits(tmp_path):
    deployment = a_deployment()

    path = save(deployment, tmp_path / "new" / "1.json")

    assert load(path, chain_id=1).contracts["Vault"].args == (2**255, [1, "x"], True)
    assert load(path) == deployment


def test_the_default_place_is_named_after_the_chain(tmp_path):
    assert manifest_path(11_155_111, tmp_path) == tmp_path / "11155111.json"


def test_an_address_in_lower_case_becomes_checksummed(tmp_path):
    path = written(tmp_path, lambda manifest: manifest["roles"].update(keeper=ACCOUNT.lower()))

    assert load(path).roles["keeper"] == ACCOUNT


def test_a_contract_is_found_by_name_or_named_as_missing():
    assert a_deployment().address("Vault") == ACCOUNT
    with pytest.raises(ManifestError, match=r"no contract 'Queue' \(it has: BuybackAuction, CircuitBreaker, "):
        a_deployment().address("Queue")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("block"), "block: Field required"),
        (lambda m: m.update(surprise=1), "surprise: Unexpected keyword argument"),
        (
            lambda m: m["contracts"]["Vault"].update(address="0x12"),
            r"contracts.Vault.address: .*'0x12' is not an address",
        ),
        (lambda m: m["venues"][0].update(kind="casino"), r"venues.0.kind: Input should be 'uniswap_v3_spot'"),
        (lambda m: m["contracts"].pop("RiskEngine"), "lacks RiskEngine"),
        (lambda m: m["venues"][0].update(index=-1), "not in index order"),
    ],
)
def test_a_malformed_manifest_says_where(tmp_path, change, message):
    path = written(tmp_path, change)

    with pytest.raises(ManifestError, match=message):
        load(path)


def test_a_file_that_is_not_json_says_so(tmp_path):
    path = tmp_path / "1.json"
    path.write_text("{")

    with pytest.raises(ManifestError, match="malformed: Invalid JSON"):
        load(path)


def test_a_missing_manifest_says_what_to_do(tmp_path):
    with pytest.raises(ManifestError, match=r"no deployment manifest .*1\.json.*Deploy first"):
        load(tmp_path / "1.json")


def test_a_manifest_of_another_chain_is_refused(tmp_path):
    path = save(a_deployment(), tmp_path / "1.json")

    with pytest.raises(ManifestError, match="of chain 1, the node serves chain 10"):
        load(path, chain_id=10)
