"""Plain transactions from one account: signed here, waited for, explained when they fail.

For people's one-off actions (deploy, deposit, redeem). The keeper's own transactions go through keeper/execution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eth_typing import HexStr
from web3.exceptions import ContractLogicError, TimeExhausted, TransactionNotFound, Web3RPCError

from keeper.chain.gas import bids, gas_limit
from keeper.chain.rpc import bounded
from keeper.errors import KeelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eth_account.datastructures import SignedTransaction
    from eth_account.signers.local import LocalAccount
    from web3 import Web3
    from web3.types import TxParams, TxReceipt

_POLL_SECONDS = 0.02
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that was signed and may have been sent: its nonce, and its hash as 0x-hex."""

    nonce: int
    digest: HexStr


def _nothing(_: Sent) -> None:
    pass


class Sender:
    """Signs and sends for one account; one transaction at a time."""

    def __init__(self, w3: Web3, account: LocalAccount) -> None:
        self.w3 = w3
        self.account = account

    @property
    def address(self) -> str:
        """Of the account."""
        return str(self.account.address)

    def deploy(
        self, name: str, abi: Any, bytecode: bytes, args: tuple[Any, ...], before: Callable[[Sent], None] = _nothing
    ) -> TxReceipt:
        """Create a contract. Calls ``before`` and raises KeelError as ``send`` does."""
        factory = self.w3.eth.contract(abi=abi, bytecode=bytecode)
        return self._send(factory.constructor(*args), f"deploying {name}", before)

    def send(self, function: Any, action: str, before: Callable[[Sent], None] = _nothing) -> TxReceipt:
        """Call a contract function (a bound web3 function); ``action`` names it in errors.

        ``before`` is called with the signed transaction before it leaves this process: who writes it down there can ask
        ``find`` after a crash.

        Raises:
            KeelError: the call would revert or the node refuses it (nothing is sent), it was mined and failed, or
                it was not mined in time.
        """
        return self._send(function, action, before)

    def submit(self, function: Any, action: str) -> HexStr:
        """Send a call without waiting for its block, behind what the account has pending. Returns its hash.

        Raises:
            KeelError: the call would revert now, or the node refuses it: nothing is sent.
        """
        return self._submit(function, action, _nothing)

    def find(self, sent: Sequence[Sent], action: str) -> TxReceipt | None:
        """What became of one action that was signed once or more: its receipt, waited for while it is pending.

        None when it has not happened, and cannot happen beside a new attempt: what was signed has failed, or its nonce
        is the one that the new attempt takes.

        Raises:
            KeelError: it cannot be told, because the account's nonces have moved without it.
        """
        count = self.w3.eth.get_transaction_count(self.account.address, "pending")  # first: what is mined next is found
        used: set[int] = set()
        for one in sent:
            receipt = self._receipt(one.digest)
            if receipt is not None and receipt["status"] == 1:
                return receipt
            if receipt is not None:
                used.add(one.nonce)
        unclear = [one for one in sent if one.nonce not in used]
        for one in unclear:
            if self._is_known(one.digest):
                return self._mined(one.digest, action)
        if any(one.nonce != count for one in unclear):
            raise KeelError(
                f"{action}: the node does not know transaction {unclear[-1].digest} with nonce {unclear[-1].nonce},"
                f" and the next nonce of {self.account.address} is {count}.",
                kept="Nothing was sent.",
                todo="Is it the node that it was sent to, is it up to date, and is the account used by something else?",
            )
        return None

    def _send(self, call: Any, action: str, before: Callable[[Sent], None]) -> TxReceipt:
        return self._mined(self._submit(call, action, before), action)

    def _submit(self, call: Any, action: str, before: Callable[[Sent], None]) -> HexStr:
        sender = self.account.address
        try:
            nonce, signed = self._signed(call)
            digest = HexStr(signed.hash.to_0x_hex())
            before(Sent(nonce, digest))
            self.w3.eth.send_raw_transaction(signed.raw_transaction)
        except ContractLogicError as error:
            raise KeelError(
                f"{action}: the contract refuses, {bounded(error.message or str(error))}.",
                kept="Nothing was sent.",
                todo="Change what it refuses and try again.",
            ) from error
        except Web3RPCError as error:
            reason = (error.rpc_response or {}).get("error", {}).get("message", "no reason given")
            raise KeelError(
                f"{action}: the node refuses, {bounded(reason)}.",
                kept="Nothing was sent.",
                todo=f"See whether {sender} has ether for gas, and try again.",
            ) from error
        return digest

    def _receipt(self, digest: HexStr) -> TxReceipt | None:
        try:
            return self.w3.eth.get_transaction_receipt(digest)
        except TransactionNotFound:
            return None

    def _is_known(self, digest: HexStr) -> bool:
        try:
            self.w3.eth.get_transaction(digest)
        except TransactionNotFound:
            return False
        return True

    def _mined(self, digest: HexStr, action: str) -> TxReceipt:
        try:
            receipt = self.w3.eth.wait_for_transaction_receipt(digest, _TIMEOUT_SECONDS, _POLL_SECONDS)
        except TimeExhausted as error:
            raise KeelError(
                f"{action}: not mined after {_TIMEOUT_SECONDS} s.",
                kept=f"Transaction {digest} may still be mined.",
                todo="Look it up before you send another one.",
            ) from error
        if receipt["status"] != 1:
            raise KeelError(
                f"{action}: mined in block {receipt['blockNumber']} and failed.",
                kept=f"Only gas was spent, by {digest}.",
                todo="Try again: the chain moved between the estimate and the block.",
            )
        return receipt

    def _signed(self, call: Any) -> tuple[int, SignedTransaction]:
        sender = self.account.address
        estimate = call.estimate_gas({"from": sender})
        max_fee, priority_fee = bids(self.w3.eth.get_block("latest")["baseFeePerGas"])
        nonce = self.w3.eth.get_transaction_count(sender, "pending")
        params: TxParams = {
            "from": sender,
            "nonce": nonce,
            "gas": gas_limit(estimate),
            "maxFeePerGas": self.w3.to_wei(max_fee, "wei"),
            "maxPriorityFeePerGas": self.w3.to_wei(priority_fee, "wei"),
            "chainId": self.w3.eth.chain_id,
        }
        return nonce, self.account.sign_transaction(call.build_transaction(params))
