"""The rig: nodes that fail as told or by a seed, in front of one anvil, with a mempool that has mainnet's rules.

Anvil mines what it is given at once, forgets what a reorganisation takes away, and takes a replacement for a wei more.
So transactions wait here: a replacement must pay a tenth more, what pays less than the base fee stays until it does
not, and a reorganisation brings back what it took. Anvil gets them when a block is mined.
"""

import contextlib
import http.server
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from keeper.simulation.rpc import AnvilRpcError, Rpc

_BLOCK_PARAMETER = {  # where a method names the block whose state it is about
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getBlockByNumber": 0,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_simulateV1": 1,
}


@dataclass(frozen=True)
class Waiting:
    """A transaction in the mempool; fees in wei per gas."""

    raw: str
    hash: str
    sender: str
    nonce: int
    max_fee: int
    priority_fee: int
    cost: int


def decoded(raw: str) -> Waiting:
    """What a signed transaction of type 2 says."""
    data = HexBytes(raw)
    fields = TypedTransaction.from_bytes(data).as_dict()
    gas, max_fee = fields["gas"], fields["maxFeePerGas"]
    return Waiting(
        raw=raw,
        hash="0x" + keccak(data).hex(),
        sender=Account.recover_transaction(data),
        nonce=fields["nonce"],
        max_fee=max_fee,
        priority_fee=fields["maxPriorityFeePerGas"],
        cost=gas * max_fee + fields["value"],
    )


class Refused(Exception):
    """The node's own error."""


class Chain:
    """An anvil without automine, and the mempool in front of it. Blocks come from `mine`, and no others.

    ``fired`` counts the faults that took effect, of the chain and of its nodes. ``hears(method, is_done)`` is called
    before and after a node does what it was asked for; True says that nobody waits for it any more.
    """

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self.rpc.call("evm_setAutomine", False)
        self.pool: dict[tuple[str, int], Waiting] = {}
        self.seen: dict[str, Waiting] = {}
        self.first = self.head  # of what was before an anvil may know nothing
        self.dropped = 0  # by the rules or by `evict`
        self.fired: Counter[str] = Counter()
        self.hears: Callable[[str, bool], bool] = lambda _method, _is_done: False
        self._late: list[tuple[int, str]] = []  # what arrives with a block that is not there yet
        self._before: dict[int, str] = {}  # block number to the snapshot before it
        self._lock = threading.RLock()
        self.timestamp = int(self.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    @property
    def head(self) -> int:
        return int(self.rpc.call("eth_blockNumber"), 16)

    def take(self, raw: str) -> str:
        """Into the mempool, by mainnet's rules. Returns its hash."""
        with self._lock:
            new = decoded(raw)
            if new.nonce < int(self.rpc.call("eth_getTransactionCount", new.sender, "latest"), 16):
                raise Refused("nonce too low")
            if new.cost > int(self.rpc.call("eth_getBalance", new.sender, "latest"), 16):
                raise Refused("insufficient funds for gas * price + value")
            old = self.pool.get((new.sender, new.nonce))
            if old is not None and old.hash == new.hash:
                raise Refused("already known")
            if old is not None and (
                10 * new.max_fee < 11 * old.max_fee or 10 * new.priority_fee < 11 * old.priority_fee
            ):
                raise Refused("replacement transaction underpriced")
            self.pool[new.sender, new.nonce] = self.seen[new.hash] = new
            return new.hash

    def take_late(self, raw: str, blocks: int) -> str:
        """As `take`, but it reaches the mempool only with the block so many further on. Returns its hash."""
        with self._lock:
            new = decoded(raw)
            self._late.append((self.head + blocks, raw))
            self.seen[new.hash] = new
            return new.hash

    def waits(self, tx_hash: str) -> bool:
        """Whether it is in the mempool."""
        with self._lock:
            return any(one.hash == tx_hash for one in self.pool.values())

    def next_nonce(self, sender: str) -> int:
        """Of an account, counting what waits behind what is mined without a gap: a node's `pending`."""
        with self._lock:
            nonce = int(self.rpc.call("eth_getTransactionCount", sender, "latest"), 16)
            waiting = {one.nonce for one in self.pool.values() if one.sender.lower() == sender.lower()}
            while nonce in waiting:
                nonce += 1
            return nonce

    def is_moving(self, sender: str) -> bool:
        """Whether something of an account waits that the next block may have."""
        return self.next_nonce(sender) > int(self.rpc.call("eth_getTransactionCount", sender, "latest"), 16)

    def evict(self) -> None:
        """A full mempool forgets."""
        with self._lock:
            self.dropped += len(self.pool)
            self.fired["eviction from the mempool"] += len(self.pool)
            self.pool.clear()

    def mine(
        self, base_fee: int | None = None, seconds: int = 12, move: Callable[[int, int], Any] | None = None
    ) -> None:
        """One block with all that can be in it. `move(timestamp, base fee)` mines it where the market moves, too."""
        with self._lock:
            if base_fee is not None:
                self.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
            latest = self.rpc.call("eth_getBlockByNumber", "latest", False)
            number = int(latest["number"], 16) + 1
            self._before[number] = self.rpc.call("evm_snapshot")
            fee = base_fee or int(self.rpc.call("eth_getBlockByNumber", "pending", False)["baseFeePerGas"], 16)
            self._let_in(number)
            for key in sorted(self.pool, key=lambda one: one[1]):
                if self.pool[key].max_fee >= fee:
                    self._give(key)
                else:
                    self.fired["base fee above the bid"] += 1
            self.timestamp = int(latest["timestamp"], 16) + seconds
            if move is None:
                self.rpc.call("evm_mine", self.timestamp)
            else:
                move(self.timestamp, fee)
            for one in list(self.pool.values()):
                if self.rpc.call("eth_getTransactionReceipt", one.hash) is not None:
                    del self.pool[one.sender, one.nonce]
            self.rpc.call("anvil_dropAllTransactions")

    def _let_in(self, number: int) -> None:
        """What is late arrives, if the mempool takes it still."""
        due = [raw for at, raw in self._late if at <= number]
        self._late = [(at, raw) for at, raw in self._late if at > number]
        for raw in due:
            self.fired["send that arrived late"] += 1
            with contextlib.suppress(Refused):
                self.take(raw)

    def _give(self, key: tuple[str, int]) -> None:
        try:
            self.rpc.call("eth_sendRawTransaction", self.pool[key].raw)
        except AnvilRpcError:
            self.dropped += 1  # it cannot be mined any more: mainnet's nodes forget it, too
            del self.pool[key]

    def reorganise(self, depth: int, *, requeue: Callable[[], bool] | bool = True) -> None:
        """Other blocks take the place of the newest ones. What was in them waits again, unless it is lost: ``requeue``
        says so for all, or is asked for each.
        """
        with self._lock:
            head = self.head
            gone = [
                self.seen[tx_hash]
                for number in range(head - depth + 1, head + 1)
                for tx_hash in self.rpc.call("eth_getBlockByNumber", hex(number), False)["transactions"]
                if tx_hash in self.seen
            ]
            # Not by `anvil_reorg`: on a fork it leaves the storage of contracts as it was.
            assert self.rpc.call("evm_revert", self._before[head - depth + 1])
            for number in range(head - depth + 1, head + 1):
                self._before[number] = self.rpc.call("evm_snapshot")
                parent = self.rpc.call("eth_getBlockByNumber", "latest", False)
                self.rpc.call("anvil_setNextBlockBaseFeePerGas", parent["baseFeePerGas"])
                self.rpc.call("evm_mine", int(parent["timestamp"], 16) + 11)  # a second less: another block
            self.timestamp = int(self.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
            self.fired[f"reorganisation of {1 + (depth - 1) // 4 * 4} to {4 + (depth - 1) // 4 * 4} blocks"] += 1
            for one in gone:
                if requeue() if callable(requeue) else requeue:
                    self.pool[one.sender, one.nonce] = one


@dataclass
class Faults:
    """What a node does wrong. Shares are of the requests, drawn with the node's seed."""

    is_down: bool = False
    hangs: threading.Event | None = None  # until it is set, no request is answered
    chain_id: int | None = None
    lag: int = 0  # blocks
    is_forked: bool = False  # its newest block is another
    mixes: int = 0  # its newest block is so many older than what its other answers are of: a load balancer's
    lost_requests: float = 0.0
    lost_replies: float = 0.0
    lost_sends: float = 0.0  # replies to sends, which arrive
    late_sends: float = 0.0  # sends that are taken, and reach the mempool a block or more later
    logs: int = 1  # how often each log is in an answer


@dataclass
class Node:
    """A node at `url`, which is `chain` as seen through its faults. Ends with `stop()`."""

    chain: Chain
    seed: int = 0
    faults: Faults = field(default_factory=Faults)
    methods: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._rpc = Rpc(self.chain.rpc.url)
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its headers

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle()

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = node._answer(request)
                if answer is None:
                    self.close_connection = True
                    return
                text = json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}).encode()
                with contextlib.suppress(ConnectionError):  # it may have been killed
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        if self.faults.hangs is not None:
            self.faults.hangs.set()
        self._server.shutdown()
        self._server.server_close()
        self._rpc.close()

    # ------------------------------------------------------------------ requests

    def _answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer, or None: the connection breaks."""
        method, params, faults = request["method"], request.get("params", []), self.faults
        self.methods.append(method)
        if faults.hangs is not None:
            faults.hangs.wait()
        if faults.is_down:
            return self._lost("request to a dead node")
        if self._happens(faults.lost_requests):
            return self._lost("lost request")
        if self.chain.hears(method, False):
            return None
        try:
            result = self._result(method, params)
        except Refused as error:
            answer: dict[str, Any] = {"error": {"code": -32000, "message": str(error)}}
        except AnvilRpcError as error:
            message = str(error).partition(": ")[2]
            answer = {"error": {"code": error.code or -32000, "message": message, "data": error.data}}
        else:
            answer = {"result": result}
        self.chain.hears(method, True)
        is_send = method == "eth_sendRawTransaction"
        if self._happens(faults.lost_sends if is_send else faults.lost_replies):
            return self._lost("lost reply to a send" if is_send else "lost reply")
        return answer

    def _lost(self, fault: str) -> None:
        self.chain.fired[fault] += 1

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def _result(self, method: str, params: list[Any]) -> Any:
        special: dict[str, Callable[..., Any]] = {
            "eth_chainId": self._chain_id,
            "eth_blockNumber": lambda: hex(self._head()),
            "eth_sendRawTransaction": self._send,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
        }
        if (method, *params[1:]) == ("eth_getTransactionCount", "pending") and not self.faults.lag:
            return hex(self.chain.next_nonce(params[0]))
        if method in special:
            return special[method](*params)
        if method == "eth_getBlockByNumber" and params[0] == "latest" and self.faults.mixes:
            self.chain.fired["answers of two blocks"] += 1
            params = [hex(max(self._head() - self.faults.mixes, self.chain.first)), *params[1:]]
        where = _BLOCK_PARAMETER.get(method)
        if where is not None and where < len(params):
            params = [*params[:where], self._block(params[where]), *params[where + 1 :]]
        result = self._rpc.call(method, *params)
        return self._as_seen(result) if method.startswith("eth_getBlockBy") else result

    def _chain_id(self) -> str:
        if self.faults.chain_id is None:
            return str(self._rpc.call("eth_chainId"))
        self.chain.fired["wrong chain"] += 1
        return hex(self.faults.chain_id)

    def _send(self, raw: str) -> str:
        if self._happens(self.faults.late_sends):
            return self.chain.take_late(raw, self._random.randint(2, 5))
        return self.chain.take(raw)

    def _head(self) -> int:
        return max(int(self._rpc.call("eth_blockNumber"), 16) - self.faults.lag, self.chain.first)

    def _block(self, block: Any) -> Any:
        """The parameter that names a block, by what this node has."""
        if block in ("latest", "pending") and not self.faults.lag:
            return block
        if block in ("latest", "pending"):
            self.chain.fired["lagging node"] += 1
            return hex(self._head())
        if isinstance(block, dict) and self.faults.lag:
            found = self._rpc.call("eth_getBlockByHash", block["blockHash"], False)
            if found is None or int(found["number"], 16) > self._head():
                raise Refused("header not found")
        if isinstance(block, str) and int(block, 16) > self._head():
            return hex(2**40)  # a block that there is not
        return block

    def _as_seen(self, block: dict[str, Any] | None) -> dict[str, Any] | None:
        if block is None or not self.faults.is_forked or int(block["number"], 16) < self._head():
            return block
        self.chain.fired["node on another branch"] += 1
        return block | {"hash": _elsewhere(block["hash"])}

    def _transaction(self, tx_hash: str) -> Any:
        if self.chain.waits(tx_hash):
            return {"hash": tx_hash, "blockNumber": None}
        found = self._rpc.call("eth_getTransactionByHash", tx_hash)
        return found if found is not None and int(found["blockNumber"], 16) <= self._head() else None

    def _receipt(self, tx_hash: str) -> Any:
        found = self._rpc.call("eth_getTransactionReceipt", tx_hash)
        if found is None or int(found["blockNumber"], 16) > self._head():
            return None
        if self.faults.is_forked and int(found["blockNumber"], 16) >= self._head():
            found |= {"blockHash": _elsewhere(found["blockHash"])}
        return found | {"logs": self._multiplied(found["logs"])}

    def _logs(self, query: dict[str, Any]) -> Any:
        return self._multiplied(self._rpc.call("eth_getLogs", query))

    def _multiplied(self, logs: list[Any]) -> list[Any]:
        if self.faults.logs != 1 and logs:
            self.chain.fired["doubled logs" if self.faults.logs else "missing logs"] += 1
        return [log for log in logs for _ in range(self.faults.logs)]


def _elsewhere(block_hash: str) -> str:
    """The hash of the block that has another's place on a branch of its own."""
    return "0x" + keccak(text=block_hash).hex()
