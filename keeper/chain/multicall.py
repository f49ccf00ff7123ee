"""Many views in one `eth_call`, all in the state after one block."""

from __future__ import annotations

from typing import Any, Final

from eth_abi.exceptions import DecodingError

from keeper.chain.abi import Function, revert_reason, signature
from keeper.chain.address_book import MULTICALL3
from keeper.chain.rpc import Connection, Header
from keeper.errors import SnapshotError

_AGGREGATE: Final = signature("aggregate3((address,bool,bytes)[])((bool,bytes)[])")


class Answer:
    """One view of a batch. After it has run there is a `value`; None if it is optional and failed, for a `reason`."""

    __slots__ = ("address", "data", "explains", "function", "name", "optional", "reason", "value")

    def __init__(
        self, name: str, address: str, function: Function, args: tuple[Any, ...], optional: bool, explains: bool
    ) -> None:
        self.name, self.address, self.function, self.optional = name, address, function, optional
        self.explains = explains
        self.data = function.encode(*args)
        self.value: Any = None
        self.reason = ""


class Batch:
    """Views collected with `add` and read together by `run`."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []

    def add(
        self,
        contract: str,
        address: str,
        function: Function,
        *args: Any,
        optional: bool = False,
        explains: bool = False,
    ) -> Answer:
        """A view to read; `contract` names it in errors. An optional one may fail.

        One that `explains` does so too, but is named when one that may not has failed.
        """
        name = f"{contract}.{function.name}({', '.join(str(arg) for arg in args)})"
        answer = Answer(name, address, function, args, optional or explains, explains)
        self._answers.append(answer)
        return answer

    def run(self, connection: Connection, block: Header) -> None:
        """Read them all in the state after `block`.

        Raises:
            SnapshotError: names each view that is not optional and did not answer, with the reason.
            RpcError, RpcUnavailableError: the node could not say, or the block is not canonical any more.
        """
        data = _AGGREGATE.encode([(answer.address, True, answer.data) for answer in self._answers])
        try:
            results = _AGGREGATE.decode(connection.call_at(block.hash, MULTICALL3, data))
        except DecodingError:
            raise SnapshotError(
                f"At block {block.number} there is no Multicall3 at {MULTICALL3}.",
                kept="Nothing was decided or sent.",
                todo="Connect to a chain that has it, or to a node that has the state of that block.",
            ) from None
        failed: list[str] = []
        is_fatal = False
        for answer, (success, returned) in zip(self._answers, results, strict=True):
            reason = answer.reason = self._take(answer, success, returned)
            if reason and (answer.explains or not answer.optional):
                failed.append(f"{answer.name}: {reason}")
                is_fatal = is_fatal or not answer.optional
        if is_fatal:
            raise SnapshotError(
                f"At block {block.number} the contracts refused to answer: {'; '.join(failed)}.",
                kept="Nothing was decided or sent.",
                todo="A stale oracle has a price again with its feed's next round; else check the manifest.",
            )

    @staticmethod
    def _take(answer: Answer, success: bool, returned: bytes) -> str:
        """Set the value; returns the reason of a failure, or nothing."""
        if not success:
            return revert_reason(returned)
        try:
            answer.value = answer.function.decode(returned)
        except DecodingError:
            return "no such function, or no contract at this address"
        return ""
