"""Plain transactions from one account: signed here, waited for, explained when they fail.

For people's one-off actions (deploy, deposit, redeem). The keeper's own transactions go through keeper/execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from web3.exceptions import ContractLogicError, TimeExhausted, Web3RPCError

from keeper.chain.gas import bids, gas_limit
from keeper.errors import KeelError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3
    from web3.types import TxParams, TxReceipt

_POLL_SECONDS = 0.02
_TIMEOUT_SECONDS = 300


class Sender:
    """Signs and sends for one account; one transaction at a time."""

    def __init__(self, w3: Web3, account: LocalAccount) -> None:
        self.w3 = w3
        self.account = account

    @property
    def address(self) -> str:
        """Of the account."""
        return str(self.account.address)

    def deploy(self, name: str, abi: Any, bytecode: bytes, args: tuple[Any, ...]) -> TxReceipt:
        """Create a contract. Raises KeelError as ``send`` does."""
        factory = self.w3.eth.contract(abi=abi, bytecode=bytecode)
        return self._send(factory.constructor(*args), f"deploying {name}")

    def send(self, function: Any, action: str) -> TxReceipt:
        """Call a contract function (a bound web3 function); ``action`` names it in errors.

        Raises:
            KeelError: the call would revert or the node refuses it (nothing is sent), it was mined and failed, or
                it was not mined in time.
        """
        return self._send(function, action)

    def _send(self, call: Any, action: str) -> TxReceipt:
        sender = self.account.address
        try:
            digest = self.w3.eth.send_raw_transaction(self._signed(call))
        except ContractLogicError as error:
            raise KeelError(
                f"{action}: the contract refuses, {error.message or error}.",
                kept="Nothing was sent.",
                todo="Change what it refuses and try again.",
            ) from error
        except Web3RPCError as error:
            reason = (error.rpc_response or {}).get("error", {}).get("message", "no reason given")
            raise KeelError(
                f"{action}: the node refuses, {reason}.",
                kept="Nothing was sent.",
                todo=f"See whether {sender} has ether for gas, and try again.",
            ) from error
        try:
            receipt = self.w3.eth.wait_for_transaction_receipt(digest, _TIMEOUT_SECONDS, _POLL_SECONDS)
        except TimeExhausted as error:
            raise KeelError(
                f"{action}: not mined after {_TIMEOUT_SECONDS} s.",
                kept=f"Transaction {digest.to_0x_hex()} may still be mined.",
                todo="Look it up before you send another one.",
            ) from error
        if receipt["status"] != 1:
            raise KeelError(
                f"{action}: mined in block {receipt['blockNumber']} and failed.",
                kept=f"Only gas was spent, by {digest.to_0x_hex()}.",
                todo="Try again: the chain moved between the estimate and the block.",
            )
        return receipt

    def _signed(self, call: Any) -> bytes:
        sender = self.account.address
        estimate = call.estimate_gas({"from": sender})
        max_fee, priority_fee = bids(self.w3.eth.get_block("latest")["baseFeePerGas"])
        params: TxParams = {
            "from": sender,
            "nonce": self.w3.eth.get_transaction_count(sender, "pending"),
            "gas": gas_limit(estimate),
            "maxFeePerGas": self.w3.to_wei(max_fee, "wei"),
            "maxPriorityFeePerGas": self.w3.to_wei(priority_fee, "wei"),
            "chainId": self.w3.eth.chain_id,
        }
        return bytes(self.account.sign_transaction(call.build_transaction(params)).raw_transaction)
