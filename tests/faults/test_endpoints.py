"""Several nodes: fail over, agree, ban, and stop without a quorum (fault 7)."""

import threading
import time

import pytest

from keeper.chain.endpoints import Endpoints, connect_to
from keeper.chain.rpc import Connection
from keeper.errors import ConfigError, RpcError, RpcUnavailableError, WrongChainError
from keeper.simulation.anvil import Anvil
from tests.faults.rig import Chain, Faults, Node
from tests.faults.transfers import RICH, a_transfer


@pytest.fixture(scope="module")
def anvil():
    with Anvil("--chain-id", 1) as running:
        yield running


@pytest.fixture
def chain(anvil):
    chain = Chain(anvil.rpc)
    for _ in range(5):
        chain.mine()
    return chain


@pytest.fixture
def nodes(chain):
    three = [Node(chain) for _ in range(3)]
    yield three
    for node in three:
        node.stop()


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def endpoints(nodes, clock):
    return Endpoints([node.url for node in nodes], timeout=5.0, clock=clock)


def reads(node):
    return node.methods.count("eth_getBalance")


def until(holds, act):
    """Act until something holds. How often depends on which node is faster, and is not what is tested."""
    for _ in range(500):
        act()
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("it never does")


def is_banned(endpoints, number):
    return endpoints._nodes[number] not in endpoints._not_banned()


def read(endpoints):
    return endpoints.request("eth_getBalance", RICH.address, "latest")


def test_one_url_is_one_node_and_several_are_asked_together():
    assert type(connect_to("http://127.0.0.1:1")) is Connection
    together = connect_to("http://127.0.0.1:1/SECRET  http://127.0.0.1:2")
    assert together.label == "http://127.0.0.1:1/..., http://127.0.0.1:2"


def test_a_quorum_of_more_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="A quorum of 3 is more than the 2 nodes"):
        connect_to("http://127.0.0.1:1 http://127.0.0.1:2", quorum=3)


def test_the_head_is_what_all_have_and_a_read_goes_to_one_of_them(endpoints, nodes, chain):
    assert endpoints.header().number == chain.head

    read(endpoints)

    assert sum(reads(node) for node in nodes) == 1


def test_a_node_that_does_not_answer_is_passed_over_banned_and_asked_again_later(endpoints, nodes, chain, clock):
    nodes[0].faults.is_down = True

    def look():
        assert endpoints.header().number == chain.head
        read(endpoints)

    until(lambda: is_banned(endpoints, 0), look)

    asked = len(nodes[0].methods)
    look()
    assert len(nodes[0].methods) == asked
    nodes[0].faults.is_down = False
    clock.now = 1_000
    before = reads(nodes[0])
    until(lambda: reads(nodes[0]) > before, look)


def test_a_node_that_hangs_is_not_waited_for(endpoints, nodes, chain):
    nodes[0].faults.hangs = threading.Event()

    head = endpoints.header()
    read(endpoints)

    assert head.number == chain.head
    assert reads(nodes[0]) == 0


def test_a_node_that_lags_is_not_read_from_until_it_has_caught_up(endpoints, nodes, chain):
    nodes[0].faults.lag = 2

    # Two nodes may be asked before the third has answered, and an older block is what both have.
    until(lambda: endpoints.header().number == chain.head, lambda: None)
    read(endpoints)

    assert reads(nodes[0]) == 0
    nodes[0].faults.lag = 0
    until(lambda: reads(nodes[0]) > 0, lambda: (endpoints.header(), read(endpoints)))


def test_the_newest_block_is_the_one_that_a_quorum_has(endpoints, nodes, chain):
    nodes[0].faults.lag = nodes[1].faults.lag = 1

    head = endpoints.header()

    assert head.number == chain.head - 1


def test_a_node_on_another_branch_is_not_believed_and_banned_when_it_stays_there(endpoints, nodes, chain, clock):
    nodes[0].faults.is_forked = True

    true = chain.rpc.call("eth_getBlockByNumber", "latest", False)["hash"]

    def look():
        assert endpoints.header().hash == true

    until(lambda: is_banned(endpoints, 0), look)

    asked = len(nodes[0].methods)
    endpoints.header()
    assert len(nodes[0].methods) == asked


def test_without_a_quorum_there_is_no_head_and_no_read(endpoints, nodes):
    nodes[0].faults.is_forked = True
    nodes[1].faults.is_down = True

    with pytest.raises(RpcUnavailableError, match="No 2 of 3 nodes agree on the newest block") as raised:
        endpoints.header()

    assert "Nothing was decided or sent" in str(raised.value)
    with pytest.raises(RpcUnavailableError):
        read(endpoints)
    assert [reads(node) for node in nodes] == [0, 0, 0]


def test_two_nodes_that_disagree_stop_the_keeper_and_one_of_two_that_died_does_too(nodes):
    pair = Endpoints([nodes[0].url, nodes[1].url])
    nodes[0].faults.is_forked = True
    with pytest.raises(RpcUnavailableError):
        pair.header()

    nodes[0].faults = Faults(is_down=True)

    with pytest.raises(RpcUnavailableError):
        pair.header()
    assert Endpoints([nodes[0].url, nodes[1].url], quorum=1).header().number > 0


def test_a_node_of_another_chain_is_never_asked_again(endpoints, nodes, clock):
    nodes[1].faults.chain_id = 5

    endpoints.require_chain(1)
    until(lambda: is_banned(endpoints, 1), endpoints.header)
    clock.now = 1e9
    asked = len(nodes[1].methods)
    endpoints.header()
    endpoints.send_raw(a_transfer(nodes[0].chain))

    assert len(nodes[1].methods) == asked


def test_a_node_that_comes_back_with_another_chain_is_not_read_from(nodes):
    one_is_enough = Endpoints([node.url for node in nodes], quorum=1)
    nodes[0].faults.is_down = True
    one_is_enough.require_chain(1)
    asked = len(nodes[0].methods)

    nodes[0].faults = Faults(chain_id=5)
    until(lambda: is_banned(one_is_enough, 0), one_is_enough.header)

    assert set(nodes[0].methods[asked:]) <= {"eth_chainId"}


def test_a_node_that_hangs_holds_up_neither_sends_nor_heads_nor_looks_for_a_transaction(nodes, chain):
    nodes[0].faults.hangs = threading.Event()
    endpoints = Endpoints([node.url for node in nodes], timeout=600.0)
    endpoints.header()
    used = endpoints.request("eth_getTransactionCount", RICH.address, "latest")

    def work():
        for ahead in range(4):
            raw = a_transfer(chain, nonce=int(used, 16) + ahead)
            assert endpoints.send_raw(raw) == endpoints.send_raw(raw)
        assert endpoints.header().number == chain.head
        assert not endpoints.knows("0x" + "00" * 32)
        is_done.set()

    is_done = threading.Event()
    threading.Thread(target=work, daemon=True).start()

    assert is_done.wait(60)


def test_nodes_of_different_chains_are_told_apart_from_nodes_that_do_not_answer(nodes):
    nodes[0].faults.chain_id, nodes[1].faults.chain_id = 5, 6

    with pytest.raises(WrongChainError, match=r"serve different chains: 1, 5, 6"):
        _ = Endpoints([node.url for node in nodes]).chain_id


def test_a_transaction_goes_to_every_node_and_one_that_takes_it_is_enough(endpoints, nodes, chain):
    raw = a_transfer(chain)
    nodes[0].faults.is_down = True

    tx_hash = endpoints.send_raw(raw)

    assert chain.waits(tx_hash)
    assert endpoints.knows(tx_hash)


def test_a_send_that_all_refuse_is_refused_and_one_that_nobody_answers_is_not(endpoints, nodes, chain):
    endpoints.send_raw(raw := a_transfer(chain))
    chain.mine()
    with pytest.raises(RpcError, match="nonce too low"):
        endpoints.send_raw(raw)

    nodes[2].faults.is_down = True

    with pytest.raises(RpcUnavailableError):
        endpoints.send_raw(raw)


def test_a_transaction_is_known_when_any_node_has_it_and_unknown_when_those_that_answer_have_not(
    endpoints, nodes, chain
):
    tx_hash = endpoints.send_raw(a_transfer(chain))
    chain.mine()
    nodes[0].faults.lag, nodes[1].faults.is_down = 1, True

    assert endpoints.knows(tx_hash)
    assert not endpoints.knows("0x" + "00" * 32)


def test_a_read_of_a_block_that_the_first_node_lacks_is_answered_by_the_next(endpoints, nodes, chain):
    head = endpoints.header()
    first = nodes[[node.label for node in endpoints._nodes].index(endpoints._in_use()[0].label)]
    first.faults.lag = 1

    assert endpoints.call_at(head.hash, RICH.address, b"") == b""
    assert first.methods.count("eth_call") == 1
    assert sum(node.methods.count("eth_call") for node in nodes) == 2
