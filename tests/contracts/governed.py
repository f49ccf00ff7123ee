"""A vault after its hand-over: the Governance is the governor of every contract, and its owner decides."""

from dataclasses import dataclass, field
from typing import Any

import boa
from eth_utils.crypto import keccak

from tests.contracts.chain import account
from tests.contracts.protocol import GUARDIAN, Protocol, load

Call = tuple[str, bytes]  # target and data


def selector(signature: str) -> bytes:
    """The first four bytes of every call of a function, as in `set_owner(address)`."""
    return keccak(text=signature)[:4]


def call(contract: Any, function: str, *args: Any) -> Call:
    """A call of a deployed contract's function."""
    return contract.address, getattr(contract, function).prepare_calldata(*args)


@dataclass
class Governed:
    """A protocol handed over to a Governance, whose owner is a guardian of every contract too."""

    protocol: Protocol
    owner: str = field(default_factory=lambda: account("owner"))
    guardian: str = field(default_factory=lambda: account("guardian of the governance"))
    governance: Any = None

    def __post_init__(self) -> None:
        self.governance = load("Governance").deploy(self.owner, [self.guardian])
        for contract in self.protocol.governed:
            contract.grant_role(self.owner, GUARDIAN, sender=self.protocol.governor)
            contract.hand_over(self.governance, sender=self.protocol.governor)

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
