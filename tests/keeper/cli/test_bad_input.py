"""Everything that can be given wrongly, to every command: settings, manifests, keys, nodes.

Each is one message that begins with what happened, by the exit code of its kind, without a traceback or a secret, and
nothing that was there is changed.
"""

import http.server
import json
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from keeper.chain import rpc
from keeper.chain.deployments import CORE, DeployedContract, Deployment, save
from keeper.cli import cli
from tests.keeper.vault_on_fork import write_key

PASSPHRASE = "PASSPHRASE-of-the-tests"
ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"  # all capitals: EIP-55's own example
ROLES = [w for role in ("guardian", "keeper", "quoter", "vol-poster") for w in (f"--{role}", ADDRESS)]

SIGNED = {
    "deposit": ("deposit", "200", "--account", "key.json"),
    "redeem": ("redeem", "all", "--account", "key.json"),
    "redeem --queue": ("redeem", "all", "--queue", "--account", "key.json"),
    "queue cancel": ("queue", "cancel", "--account", "key.json"),
    "queue claim": ("queue", "claim", "--account", "key.json"),
    "queue settle": ("queue", "settle", "--account", "key.json"),
    "auction open": ("auction", "open", "--account", "key.json"),
    "auction open --for-queue": ("auction", "open", "--for-queue", "--account", "key.json"),
    "auction bid": ("auction", "bid", "ETH-27NOV26-3000-C", "1", "--account", "key.json"),
}
DEPLOY = {"deploy": ("deploy", *ROLES, "--account", "key.json")}
WATCHING = {
    "status": ("status",),
    "explain now": ("explain", "now"),
    "queue status": ("queue", "status"),
    "run --dry-run": ("run", "--dry-run", "--once"),
}
RUN = {"run": ("run", "--once")}
ON_A_VAULT = SIGNED | WATCHING | RUN
ALL = ON_A_VAULT | DEPLOY | {"explain BLOCK": ("explain", "5"), "replay BLOCK": ("replay", "5")}


def each(commands):
    return pytest.mark.parametrize("command", commands.values(), ids=list(commands))


@contextmanager
def a_node(status, body):
    """Answers everything with ``body``; where it is None, as a node of chain 1 that knows nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            result = "0x1" if asked["method"] == "eth_chainId" else "SECRET garbage"
            answer = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode() if body is None else body
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://user:SECRET@127.0.0.1:{server.server_port}/v3/SECRET?key=SECRET"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def chain_1():
    with a_node(200, None) as url:
        yield url


@pytest.fixture
def folder(chain_1, tmp_path, monkeypatch):
    """Settings, a manifest and a key that are all right, for a node of which only the chain id is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    monkeypatch.setenv("KEEL_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(rpc, "_FIRST_WAIT", 0.0)
    monkeypatch.setattr(rpc, "_JITTER", 0.0)
    contracts = {name: DeployedContract(ADDRESS, "0x") for name in CORE}
    save(Deployment(1, 1, "", contracts, roles={"keeper": ADDRESS}))
    write_key(tmp_path / "key.json", "keeper", PASSPHRASE)
    (tmp_path / "parameters.toml").write_text((Path(__file__).parents[3] / "parameters.toml").read_text())
    set_settings(tmp_path, rpc_url=chain_1)
    return tmp_path


def set_settings(folder, **changes):
    settings = {"rpc_url": "", "keystore": "key.json"} | changes
    (folder / "keel.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))


def told(folder, command, code, message):
    """Run a command that must end with one message."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    shown = CliRunner().invoke(cli, command)

    assert shown.exit_code == code, shown.output
    assert message in shown.output
    for never in ("Traceback", "Unexpected error", "SECRET", PASSPHRASE):
        assert never not in shown.output
    assert shown.output.startswith("Error: ")
    assert shown.output.count("\n") <= 4
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


# ---------------------------------------------------------------- keel.toml


@each(ALL)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff\xfe\x00", "The config file keel.toml cannot be read"),
        (b"rpc_url = http", "The config file keel.toml is not TOML"),
        (b"rpc_ulr = ''", "there is no key `rpc_ulr`"),
        (b"rpc_url = 5", "keel.toml: `rpc_url` should be a valid string"),
        (b"poll_seconds = 'often'", "`poll_seconds` should be a valid number, not 'often'"),
        (b"poll_seconds = nan", "`poll_seconds` should be a finite number"),
        (b"poll_seconds = 0", "`poll_seconds` should be greater than"),
        (b"rpc_timeout_seconds = -1", "`rpc_timeout_seconds` should be greater than 0"),
        (b"policy = 5", "`policy`"),
        (b"[policy]\nband_use = 2.0", "`policy.band_use` should be less than or equal to 1"),
        (b"[policy]\nband_user = 0.5", "there is no key `policy.band_user`"),
        (b"[policy]\nmin_trade = inf", "`policy.min_trade` should be a finite number"),
    ],
)
def test_settings_that_cannot_be_right(folder, command, text, message):
    (folder / "keel.toml").write_bytes(text)

    told(folder, command, 2, message)


@each(ALL)
def test_a_settings_file_that_is_named_and_missing(folder, command):
    told(folder, (*command, "--config", "other.toml"), 2, "There is no config file other.toml.\nCopy keel.toml.example")


# ---------------------------------------------------------------- the node


@each(ON_A_VAULT | DEPLOY)
@pytest.mark.parametrize("settings", [b"", None])
def test_no_node(folder, command, settings):
    if settings is None:
        (folder / "keel.toml").unlink()
    else:
        (folder / "keel.toml").write_bytes(settings)

    told(folder, command, 2, "No node is configured.\nSet `rpc_url`")


@each(ON_A_VAULT | DEPLOY)
@pytest.mark.parametrize("url", ["SECRET", "ws://127.0.0.1/SECRET", "http://", "http://node:SECRET", "file:///SECRET"])
def test_a_url_that_is_none(folder, command, url, monkeypatch):
    monkeypatch.setenv("KEEL_RPC_URL", url)

    told(folder, command, 2, "The RPC URL is not an http or https URL.")


@each(ON_A_VAULT | DEPLOY)
def test_a_node_that_is_not_there(folder, command):
    set_settings(folder, rpc_url="http://127.0.0.1:9/v3/SECRET")

    told(folder, command, 3, "The node at http://127.0.0.1:9/... cannot be reached.\nCheck that it runs")


@pytest.fixture(scope="module")
def strange_nodes():
    """URLs of nodes by what they answer."""
    answers = {
        "a page": (200, b"<html>SECRET</html>"),
        "an empty object": (200, b"{}"),
        "a list": (200, b"[]"),
        "nothing": (200, b""),
        "bytes": (200, b"\xff\xfe\x00"),
        "a null result": (200, b'{"jsonrpc": "2.0", "id": 1, "result": null}'),
        "a garbage result": (200, b'{"jsonrpc": "2.0", "id": 1, "result": "SECRET"}'),
        "an object as result": (200, b'{"jsonrpc": "2.0", "id": 1, "result": {}}'),
        "401": (401, b"no key"),
        "503": (503, b"busy"),
    }
    with contextmanager(_all_of)(answers) as urls:
        yield urls


def _all_of(answers):
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield {name: stack.enter_context(a_node(*answer)) for name, answer in answers.items()}


@each(ON_A_VAULT | DEPLOY)
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("a page", "gave an answer to eth_chainId that is not JSON-RPC"),
        ("an empty object", "gave an answer to eth_chainId that is not JSON-RPC"),
        ("a list", "gave an answer to eth_chainId that is not JSON-RPC"),
        ("nothing", "gave an answer to eth_chainId that is not JSON-RPC"),
        ("bytes", "gave an answer to eth_chainId that is not JSON-RPC"),
        ("a null result", "gave an answer to eth_chainId that is no number"),
        ("a garbage result", "gave an answer to eth_chainId that is no number"),
        ("an object as result", "gave an answer to eth_chainId that is no number"),
        ("401", "answered eth_chainId with HTTP status 401"),
        ("503", "answered eth_chainId with HTTP status 503"),
    ],
)
def test_a_node_that_answers_something_else(folder, strange_nodes, command, kind, message):
    set_settings(folder, rpc_url=strange_nodes[kind])

    told(folder, command, 3, message)


@each(ON_A_VAULT)
def test_a_node_that_answers_garbage_later(folder, command):
    told(folder, command, 3, "The node at http://127.0.0.1:")


# ---------------------------------------------------------------- the manifest


def _without(name):
    def change(manifest):
        del manifest["contracts"][name]

    return change


def _mistyped(manifest):
    manifest["contracts"]["Vault"]["address"] = "0x8ba1f109551bd432803012645ac136ddd64dba72".replace("ba", "bA")


def _other_chain(manifest):
    manifest["chain_id"] = 10


def _unknown_key(manifest):
    manifest["contratcs"] = {}


@each(ON_A_VAULT)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "deployments/1.json is malformed: Invalid JSON"),
        (b"\xff\xfe\x00", "deployments/1.json is malformed: Invalid JSON"),
        (b"{", "deployments/1.json is malformed: Invalid JSON"),
        (b"[]", "deployments/1.json is malformed: "),
        (b"{}", "deployments/1.json is malformed: chain_id: Field required"),
        (_without("Vault"), "deployments/1.json lacks Vault.\nFinish the deployment"),
        (_without("RedemptionQueue"), "deployments/1.json lacks RedemptionQueue."),
        (_mistyped, "is not an address"),
        (_other_chain, "is of chain 10, the node serves chain 1.\nNothing was read or sent."),
        (_unknown_key, "deployments/1.json is malformed: contratcs: Unexpected keyword argument"),
    ],
)
def test_a_manifest_that_cannot_be_right(folder, command, text, message):
    path = folder / "deployments" / "1.json"
    if callable(text):
        manifest = json.loads(path.read_text())
        text(manifest)
        text = json.dumps(manifest).encode()
    path.write_bytes(text)

    told(folder, command, 2, message)


@each(ON_A_VAULT)
def test_a_manifest_that_is_missing(folder, command):
    (folder / "deployments" / "1.json").unlink()

    told(folder, command, 2, "There is no deployment manifest deployments/1.json.\nDeploy first")


@each(ON_A_VAULT)
def test_a_folder_in_place_of_the_manifest(folder, command, chain_1):
    set_settings(folder, rpc_url=chain_1, deployment=".")

    told(folder, command, 2, "The deployment manifest . cannot be read: Is a directory.")


# ---------------------------------------------------------------- the key


@each(SIGNED | DEPLOY)
@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "There is no key file key.json, and no ape account 'key.json'.\nNothing was sent."),
        (b"", "The key file key.json cannot be read"),
        (b"\xff\xfe\x00", "The key file key.json cannot be read"),
        (b"[]", "key.json is not a key file."),
        (b"{}", "The passphrase does not open key.json, or it is not a key file.\nNothing was sent."),
        (b'{"crypto": "SECRET", "version": 3}', "or it is not a key file.\nNothing was sent."),
    ],
)
def test_a_key_that_is_none(folder, command, key, message):
    if key is None:
        (folder / "key.json").unlink()
    else:
        (folder / "key.json").write_bytes(key)

    told(folder, command, 5, message)


@each(SIGNED | DEPLOY)
@pytest.mark.parametrize("passphrase", ["", "wrong", "SECRET"])
def test_a_wrong_passphrase(folder, command, passphrase, monkeypatch):
    monkeypatch.setenv("KEEL_PASSPHRASE", passphrase)

    told(folder, command, 5, "The passphrase does not open key.json")


@each(SIGNED | DEPLOY)
def test_no_passphrase_and_nobody_to_ask(folder, command, monkeypatch):
    """As under a service manager."""
    monkeypatch.delenv("KEEL_PASSPHRASE")

    told(folder, command, 5, "There is no passphrase for key.json.\nSet `passphrase_file` in keel.toml")


@pytest.mark.parametrize("command", [c for c in SIGNED.values() if c[1] != "cancel"], ids=str)
def test_an_empty_account_is_not_the_keepers(folder, command):
    shown = CliRunner().invoke(cli, [*command[:-1], ""])

    assert shown.exit_code == 2
    assert "Invalid value for '--account': It is empty." in shown.output


# ---------------------------------------------------------------- amounts and addresses


@pytest.mark.parametrize("command", [("deposit",), ("redeem",), ("redeem", "--queue")], ids=" ".join)
@pytest.mark.parametrize(
    "amount", ["0", "-0", "nan", "sNaN", "inf", "1e30", "1e-30", "1e999999999", "-1e999999999", "0.0000000000000000001"]
)
def test_an_amount_that_cannot_be(folder, command, amount):
    shown = CliRunner().invoke(cli, [*command, "--account", "key.json", "--", amount])

    assert shown.exit_code == 2
    assert "is not a positive amount below a billion with at most" in shown.output
    assert "Unexpected" not in shown.output


@pytest.mark.parametrize("command", [("deposit",), ("redeem",), ("redeem", "--queue")], ids=" ".join)
@pytest.mark.parametrize("amount", ["", " ", "all of it", "1,000", "0x10", "１０ USDC", "1e"])
def test_an_amount_that_is_no_number(folder, command, amount):
    shown = CliRunner().invoke(cli, [*command, "--account", "key.json", "--", amount])

    assert shown.exit_code == 2
    assert "is not a number." in shown.output


@pytest.mark.parametrize("role", ["guardian", "keeper", "quoter", "vol-poster"])
@pytest.mark.parametrize(
    "address",
    ["", "0x", "me", "0x" + "0" * 40, "0x" + "g" * 40, ADDRESS[:-1], "0x8bA1f109551bd432803012645ac136ddd64dba72"],
)
def test_an_address_that_is_none(folder, role, address):
    command = [*DEPLOY["deploy"], f"--{role}", address]  # the last one counts

    told(folder, command, 2, "not an address.\nNothing was sent.\nCopy it again: its capitals are a checksum.")
