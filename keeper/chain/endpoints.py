"""Several nodes as one connection: reads from those that agree on the head, sends to all, no answer without a quorum.

A node that does not answer, lags behind or is on another branch is passed over; one that does so for long is banned for
a while, and one that serves another chain for good.
"""

from __future__ import annotations

import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keeper.chain.rpc import Connection, Header
from keeper.errors import ConfigError, RpcError, RpcUnavailableError, WrongChainError

if TYPE_CHECKING:
    from web3 import Web3

_PATIENCE: Final = 3  # failures or heads on another branch, one after the other, before a ban
_FIRST_BAN: Final = 30.0  # seconds, doubled each time
_LONGEST_BAN: Final = 600.0  # seconds
_THREADS: Final = 8  # for each node
_LACKS: Final = ("not found", "unknown block", "missing trie node", "limit", "too many requests")
_LOG = logging.getLogger(__name__)


def connect_to(urls: str, *, timeout: float = 10.0, quorum: int = 0) -> Connection:
    """The node at a URL, or the nodes at several, separated by spaces.

    Raises:
        ConfigError: one of them is no URL, or the quorum is more than there are.
    """
    each = urls.split()
    return Endpoints(each, timeout=timeout, quorum=quorum) if len(each) > 1 else Connection(urls, timeout=timeout)


@dataclass
class _Node:
    """A node with what is known of its health; times are the clock's."""

    connection: Connection
    failures: int = 0
    strays: int = 0
    bans: int = 0
    banned_until: float = 0.0
    why: str = ""
    asked: Future[Header] | None = None
    head: Header | None = None

    @property
    def label(self) -> str:
        """As it may be shown."""
        return self.connection.label


class Endpoints(Connection):
    """Nodes, of which those that were first to agree on the head are read from, in their order here.

    Args:
        timeout: Seconds for each request.
        quorum: How many must agree on the head; a majority of all by default.
        clock: Monotonic seconds, for the bans.

    Raises:
        ConfigError: one of the URLs is not one, or the quorum is more than there are.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeout: float = 10.0,
        quorum: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes = tuple(_Node(Connection(url, timeout=timeout)) for url in urls)
        self._quorum = quorum or len(urls) // 2 + 1
        if not 0 < self._quorum <= len(urls):
            raise ConfigError(
                f"A quorum of {self._quorum} is more than the {len(urls)} nodes.",
                todo="Change `rpc_quorum` or `rpc_url` in keel.toml.",
            )
        self.label = ", ".join(node.label for node in self._nodes)
        self._timeout, self._clock = timeout, clock
        self._agreeing: tuple[_Node, ...] = self._nodes
        self._agreed_on: Header | None = None
        # More than one for each: what is asked of a node that hangs must not keep the others from being asked.
        self._threads = ThreadPoolExecutor(_THREADS * len(urls), thread_name_prefix="rpc")

    # ------------------------------------------------------------------ as one connection

    @property
    def w3(self) -> Web3:
        """On the first node that is in use."""
        return self._in_use()[0].connection.w3

    @functools.cached_property
    def chain_id(self) -> int:
        """That of a quorum, asked once.

        Raises:
            WrongChainError: the nodes serve different chains.
            RpcUnavailableError: too few answer.
        """
        seen: Counter[int] = Counter()
        asked = {self._threads.submit(getattr, node.connection, "chain_id"): node for node in self._nodes}
        for answer in as_completed(asked):
            try:
                chain_id: int = answer.result()
            except RpcUnavailableError as error:
                asked[answer].why = error.what
                continue
            seen[chain_id] += 1
            if seen[chain_id] >= self._quorum:
                return chain_id
        if len(seen) > 1:
            raise WrongChainError(
                f"The nodes {self.label} serve different chains: {', '.join(map(str, sorted(seen)))}.",
                kept="Nothing was sent.",
                todo="Change `rpc_url` in keel.toml.",
            )
        raise self._no_quorum()

    def header(self, block_hash: str | None = None) -> Header:
        """The newest block that a quorum has, or the one with this hash.

        Raises:
            RpcUnavailableError: no quorum agrees.
            RpcError: the node does not know it.
        """
        return self._agree() if block_hash is None else super().header(block_hash)

    def knows(self, tx_hash: str) -> bool:
        """Whether any of the nodes that have the head has a transaction, mined or not. One that hangs is not asked.

        Should another have it: the same bytes sent again cannot act twice.
        """
        told = False
        for node in self._in_use():
            try:
                if node.connection.knows(tx_hash):
                    return True
                told = True
            except RpcUnavailableError as error:
                self._failed(node, error)
        if not told:
            raise self._no_quorum()
        return False

    def send_raw(self, transaction: bytes) -> str:
        """Hand a signed transaction to every node, once. Returns its hash as soon as one has it: from here, or from
        another node before.

        Raises:
            RpcUnavailableError: none has said that it took it, and not all have refused it.
            RpcError: all have refused it.
        """
        sends = {self._threads.submit(node.connection.send_raw, transaction): node for node in self._not_banned()}
        refusals: list[RpcError] = []
        unclear: RpcUnavailableError | None = None if sends else self._no_quorum()
        waiting = set(sends)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for each in done:
                try:
                    return each.result()
                except RpcUnavailableError as error:
                    unclear = error
                except RpcError as error:
                    refusals.append(error)
        raise unclear or refusals[0]

    def _once(self, method: str, params: tuple[Any, ...]) -> Any:
        last: RpcError | RpcUnavailableError | None = None
        for node in self._in_use():
            try:
                return node.connection._once(method, params)
            except RpcUnavailableError as error:
                self._failed(node, error)
                last = error
            except RpcError as error:
                if not any(phrase in error.message.lower() for phrase in _LACKS):
                    raise
                last = error
        raise last or self._no_quorum()

    # ------------------------------------------------------------------ agreement on the head

    def _agree(self) -> Header:
        """Ask all at once, and go on as soon as a quorum has a block that is not older than the last one agreed on."""
        asked = self._not_banned()
        for node in asked:
            if node.asked is None:
                node.asked = self._threads.submit(self._head_of, node)
        waiting = {node.asked for node in asked if node.asked is not None}
        give_up = self._clock() + self._timeout
        while True:
            left = max(0.0, give_up - self._clock()) if waiting else 0.0
            done, waiting = wait(waiting, timeout=left, return_when=FIRST_COMPLETED)
            for node in asked:
                if node.asked in done:
                    self._take_head(node)
            answered = [node for node in asked if node.asked is None and node.head is not None]
            found = self._best(answered)
            is_over = not waiting or not done
            if found is not None and (is_over or not self._is_older(found[0])):
                return self._settle_on(*found, answered)
            if is_over:
                self._agreeing = ()
                raise self._no_quorum()

    def _head_of(self, node: _Node) -> Header:
        if "chain_id" in vars(self):  # also of a node that did not answer when the others were asked
            node.connection.require_chain(self.chain_id)
        return node.connection.header()

    def _take_head(self, node: _Node) -> None:
        assert node.asked is not None
        asked, node.asked, node.head = node.asked, None, None
        try:
            node.head = asked.result()
        except WrongChainError:
            self._ban(node, f"it serves chain {node.connection.chain_id}", for_good=True)
        except (RpcUnavailableError, RpcError) as error:
            self._failed(node, error)
        else:
            node.failures = 0

    def _best(self, answered: Sequence[_Node]) -> tuple[Header, tuple[_Node, ...]] | None:
        """The newest head that a quorum has, and who has it."""
        heads = {node.head.hash: node.head for node in answered if node.head is not None}
        for head in sorted(heads.values(), key=lambda one: -one.number):
            having = tuple(node for node in answered if self._has(node, head))
            if len(having) >= self._quorum:
                return head, having
        return None

    def _has(self, node: _Node, block: Header) -> bool:
        """Whether a block is in the chain that ends with the node's head."""
        head = node.head
        if head is None or head.number < block.number:
            return False
        if head.number == block.number:
            return head.hash == block.hash
        if head.number == block.number + 1:
            return head.parent_hash == block.hash
        try:
            there = node.connection.request("eth_getBlockByNumber", hex(block.number), False)
        except (RpcUnavailableError, RpcError):
            return False
        return there is not None and there["hash"] == block.hash

    def _is_older(self, head: Header) -> bool:
        return self._agreed_on is not None and head.number < self._agreed_on.number

    def _settle_on(self, head: Header, having: tuple[_Node, ...], answered: Iterable[_Node]) -> Header:
        for node in having:
            node.strays, node.bans, node.why = 0, 0, ""
        for node in answered:
            if node in having or node.head is None:
                continue
            if node.head.number < head.number:
                node.why = f"it is at block {node.head.number}, the others at {head.number}"
                continue
            node.strays += 1
            node.why = f"it has another block {head.number} than the others"
            if node.strays >= _PATIENCE:
                self._ban(node, node.why)
        self._agreeing, self._agreed_on = having, head
        return head

    # ------------------------------------------------------------------ health

    def _not_banned(self) -> tuple[_Node, ...]:
        now = self._clock()
        return tuple(node for node in self._nodes if node.banned_until <= now)

    def _in_use(self) -> tuple[_Node, ...]:
        """Those that have the head agreed on, in order of preference."""
        now = self._clock()
        found = tuple(node for node in self._nodes if node in self._agreeing and node.banned_until <= now)
        if not found:
            raise self._no_quorum()
        return found

    def _failed(self, node: _Node, error: RpcUnavailableError | RpcError) -> None:
        node.failures += 1
        node.why = error.what
        if node.failures >= _PATIENCE:
            self._ban(node, error.what)

    def _ban(self, node: _Node, why: str, *, for_good: bool = False) -> None:
        seconds = min(_FIRST_BAN * 2**node.bans, _LONGEST_BAN)
        node.banned_until = float("inf") if for_good else self._clock() + seconds
        node.bans, node.failures, node.strays, node.why = node.bans + 1, 0, 0, why
        _LOG.warning("%s is not asked %s: %s", node.label, "any more" if for_good else f"for {seconds:g} s", why)

    def _no_quorum(self) -> RpcUnavailableError:
        what = "; ".join(f"{node.label}: {node.why.rstrip('.') or 'alone'}" for node in self._nodes)
        return RpcUnavailableError(
            f"No {self._quorum} of {len(self._nodes)} nodes agree on the newest block. {what}.",
            kept="Nothing was decided or sent.",
            todo="Check that they run and that `rpc_url` is right.",
        )
