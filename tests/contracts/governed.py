"""A vault after its hand-over: the Governance is the governor of every contract, and its owner decides."""

from dataclasses import dataclass
from typing import Any

import boa
from eth_utils.crypto import keccak

from tests.contracts.protocol import Protocol

Call = tuple[str, bytes]  # target and data


def selector(signature: str) -> bytes:
    """The first four bytes of every call of a function, as in `set_owner(address)`."""
    return keccak(text=signature)[:4]


def call(contract: Any, function: str, *args: Any) -> Call:
    """A call of a deployed contract's function."""
    return contract.address, getattr(contract, function).prepare_calldata(*args)


@dataclass
class Governed:
    """A protocol that is handed over, and what its owner does."""

    protocol: Protocol

    def __post_init__(self) -> None:
        self.protocol.hand_over()

    @property
    def governance(self) -> Any:
        return self.protocol.governance

    @property
    def owner(self) -> str:
        """Of the Governance; a guardian of every contract too."""
        return self.protocol.governor

    @property
    def guardian(self) -> str:
        return self.protocol.guardian

    def submit(self, what: Call) -> bytes:
        """Announce a call. Returns its id."""
        return bytes(self.governance.submit(*what, sender=self.owner))

    def accept(self, what: Call) -> None:
        """Make a call."""
        self.governance.accept(*what, sender=self.owner)

    def wait(self, what: Call) -> None:
        """Let the delay of a call pass."""
        self.pass_time(self.governance.delay_of(what[1][:4]))

    def pass_time(self, seconds: int) -> None:
        """Let time pass; nobody submits a round."""
        boa.env.time_travel(seconds=seconds)

    def do(self, contract: Any, function: str, *args: Any) -> None:
        """Announce a call, wait as long as it takes, make it."""
        what = call(contract, function, *args)
        self.submit(what)
        self.wait(what)
        self.accept(what)
