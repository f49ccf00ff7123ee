"""What is due besides hedging: settle what has expired, fund what is owed. Anyone may; the keeper does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action
from keeper.domain.series import UNDERLYINGS, Position
from keeper.domain.times import utc_minute
from keeper.domain.units import DAY, USDC
from keeper.execution.records import Call, Kind
from keeper.market.rounds import find_proof

_ANY_ROUND_AFTER: Final = 3 * DAY  # as in PriceOracle


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do, or to wait for: `call` is None while it waits. `subject` says what about, for people."""

    kind: Kind
    subject: str
    action: Action
    reason: str
    call: Call | None = None


def settlement(connection: Connection, deployment: Deployment, block: Header) -> Iterator[Duty]:
    """The duties in the state after `block`: one per expiry that has passed and is not settled, and one to fund.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    batch = Batch()
    book_address, vault = deployment.address("OptionBook"), deployment.address("Vault")
    book = batch.add("OptionBook", book_address, function("OptionBook", "live_book"))
    owed = batch.add("Vault", vault, function("Vault", "owed"))
    idle = batch.add("Vault", vault, function("Vault", "idle"))
    batch.run(connection, block)

    series = [Position.from_slot(slot).series for slot in book.value]
    expired = sorted({(s.underlying, s.expiry) for s in series if s.expiry <= block.timestamp})
    for underlying, expiry in expired:
        yield _settle(connection, deployment, block, underlying, expiry)
    payable = min(owed.value, idle.value)
    if payable > 0:
        yield Duty(
            Kind.FUND,
            "owed to option holders",
            Action.TRADE,
            f"fund {payable / USDC:,.2f} of {owed.value / USDC:,.2f} USDC owed to option holders",
            Call("fund payouts", deployment.address("ClearingHouse"), function("ClearingHouse", "fund").encode()),
        )


def _settle(connection: Connection, deployment: Deployment, block: Header, underlying: int, expiry: int) -> Duty:
    subject = f"{UNDERLYINGS[underlying]} {utc_minute(expiry)} UTC"
    proof = find_proof(connection, deployment, block, underlying, expiry)
    if proof is None:
        return Duty(
            Kind.SETTLE, subject, Action.HOLD, f"{subject} has expired and waits for the oracle round that fixes it"
        )
    if not proof.in_time and block.timestamp < expiry + _ANY_ROUND_AFTER:
        return Duty(
            Kind.SETTLE,
            subject,
            Action.HOLD,
            f"{subject} had no oracle round within two hours: the governor may fix it a day after it expired, and any"
            f" round does from {utc_minute(expiry + _ANY_ROUND_AFTER)} UTC",
        )
    settle = function("OptionBook", "settle").encode(underlying, expiry, proof.round_id, proof.usdc_round_id)
    return Duty(
        Kind.SETTLE,
        subject,
        Action.TRADE,
        f"settle {subject}, fixed by round {proof.round_id} and USDC round {proof.usdc_round_id}",
        Call(f"settle {subject}", deployment.address("OptionBook"), settle),
    )
