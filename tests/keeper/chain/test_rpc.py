"""The connection: reads are tried again, sends are not, and no error contains the node's URL."""

import http.server
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from keeper.chain.rpc import Connection, mask_url
from keeper.errors import ConfigError, RpcError, RpcUnavailableError, WrongChainError


@contextmanager
def a_node(*answers):
    """A node that gives these answers in turn, the last one for ever: (HTTP status, JSON or text)."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = answers[min(len(requests), len(answers)) - 1]
            text = body if isinstance(body, str) else json.dumps({"jsonrpc": "2.0", "id": 1, **body})
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v3/SECRET?key=SECRET", requests
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://user:SECRET@node.example:8545/v3/SECRET?x=SECRET", "https://node.example:8545/..."),
        ("https://node.example/SECRET", "https://node.example/..."),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
        ("SECRET", "(not a URL)"),
        ("http://node:SECRET", "(not a URL)"),
    ],
)
def test_a_masked_url_shows_the_host_only(url, masked):
    assert mask_url(url) == masked


def test_a_read_is_tried_again_when_the_node_is_busy():
    with a_node((503, "busy"), (200, {"result": "0x1"})) as (url, requests):
        assert Connection(url).chain_id == 1

    assert len(requests) == 2


@pytest.mark.parametrize(
    ("answer", "client", "has_own_time"),
    [
        ({"result": "anvil/v1.4.4"}, "anvil/v1.4.4", True),
        ({"result": "HardhatNetwork/2.26.0"}, "HardhatNetwork/2.26.0", True),
        ({"result": "Geth/v1.16.7-stable"}, "Geth/v1.16.7-stable", False),
        ({"result": "x\n" * 100}, "x " * 30 + "...", False),
        ({"error": {"code": -32601, "message": "the method does not exist"}}, "", False),
    ],
)
def test_a_local_chain_is_known_by_what_its_node_calls_itself(answer, client, has_own_time):
    with a_node((200, answer)) as (url, _):
        connection = Connection(url)

        assert (connection.client, connection.has_own_time) == (client, has_own_time)


def test_a_send_is_not_tried_again():
    """Fault 2: a reply that was lost says nothing about the transaction."""
    with a_node((503, "busy")) as (url, requests), pytest.raises(RpcUnavailableError):
        Connection(url).send_raw(b"\x02")

    assert [request["method"] for request in requests] == ["eth_sendRawTransaction"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((429, "SECRET quota"), "HTTP status 429"),
        ((200, "<html>SECRET</html>"), "that is not JSON-RPC"),
        ((200, '["SECRET"]'), "that is not JSON-RPC"),
        ((200, "null"), "that is not JSON-RPC"),
    ],
)
def test_an_answer_that_is_none_is_explained_without_the_url(answer, message):
    with a_node(answer) as (url, _), pytest.raises(RpcUnavailableError, match=message) as raised:
        Connection(url).request("eth_blockNumber")

    assert "SECRET" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("block", [{}, {"number": None}, "0x1", {"number": "0x1", "hash": "0x2", "timestamp": "soon"}])
def test_a_block_that_is_none_is_the_nodes_failure(block):
    with a_node((200, {"result": block})) as (url, _), pytest.raises(RpcUnavailableError, match="that is no block"):
        Connection(url).header()


def test_a_node_without_a_block_is_told_so():
    with a_node((200, {"result": None})) as (url, _), pytest.raises(RpcError, match="block latest is unknown"):
        Connection(url).header()


@pytest.mark.parametrize("data", [None, "0xzz", {}])
def test_a_call_without_data_is_the_nodes_failure(data):
    with a_node((200, {"result": data})) as (url, _), pytest.raises(RpcUnavailableError, match="that is no data"):
        Connection(url).call_at("0x1", "0x2", b"")


def test_trying_again_is_not_told(caplog, capfd):
    with a_node((503, "busy")) as (url, _), pytest.raises(RpcUnavailableError):
        Connection(url).request("eth_blockNumber")

    assert (caplog.text, *capfd.readouterr()) == ("", "", "")


def test_a_node_that_cannot_be_reached_is_named_by_its_host():
    with pytest.raises(RpcUnavailableError, match=r"node at http://127\.0\.0\.1:9/\.\.\. cannot be reached") as raised:
        Connection("http://127.0.0.1:9/v3/SECRET").request("eth_blockNumber")

    assert "SECRET" not in str(raised.value)


def test_a_node_that_hangs_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = Connection(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)

        with pytest.raises(RpcUnavailableError, match=r"did not answer eth_blockNumber within 0\.05 s"):
            connection.request("eth_blockNumber")


def test_the_nodes_own_error_comes_with_code_and_data_bounded_and_printable():
    error = {"code": 3, "message": "execution reverted\x1b[31m" + "!" * 10_000, "data": "0x1234"}
    with a_node((200, {"error": error})) as (url, requests), pytest.raises(RpcError) as raised:
        Connection(url).request("eth_call", {}, "latest")

    assert (raised.value.code, raised.value.data) == (3, "0x1234")
    assert len(raised.value.message) < 320
    assert raised.value.message.isprintable()
    assert len(requests) == 1


def test_another_chain_is_refused():
    with a_node((200, {"result": "0xa"})) as (url, _), pytest.raises(WrongChainError, match="serves chain 10"):
        Connection(url).require_chain(1)


@pytest.mark.parametrize("url", ["", "node", "ftp://node", "file:///etc/passwd"])
def test_what_is_no_url_of_a_node_is_refused(url):
    with pytest.raises(ConfigError, match="not an http or https URL"):
        Connection(url)
