"""What is due besides hedging: settle what has expired, fund what is owed. Anyone may; the keeper does.

Where no oracle round has come a quarter of an hour after an expiry, the TWAP of the five minutes before it is recorded
while the pool remembers it: a governor who may have to propose the fixing is held to it.
"""

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

RECORD_AFTER: Final = 900  # seconds; a pool has room for the observations of an hour of blocks, as a rule
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
    """The duties in the state after `block`: for each expiry that has passed and is not settled, and one to fund.

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
        yield from _settle(connection, deployment, block, underlying, expiry)
    payable = min(owed.value, idle.value)
    if payable > 0:
        yield Duty(
            Kind.FUND,
            "owed to option holders",
            Action.TRADE,
            f"fund {payable / USDC:,.2f} of {owed.value / USDC:,.2f} USDC owed to option holders",
            Call("fund payouts", deployment.address("ClearingHouse"), function("ClearingHouse", "fund").encode()),
        )


def _settle(
    connection: Connection, deployment: Deployment, block: Header, underlying: int, expiry: int
) -> Iterator[Duty]:
    subject = f"{UNDERLYINGS[underlying]} {utc_minute(expiry)} UTC"
    proof = find_proof(connection, deployment, block, underlying, expiry)
    if (proof is None or not proof.in_time) and block.timestamp >= expiry + RECORD_AFTER:
        yield from _record_twap(connection, deployment, block, underlying, expiry)
    if proof is None:
        yield Duty(
            Kind.SETTLE, subject, Action.HOLD, f"{subject} has expired and waits for the oracle round that fixes it"
        )
        return
    if not proof.in_time and block.timestamp < expiry + _ANY_ROUND_AFTER:
        yield Duty(
            Kind.SETTLE,
            subject,
            Action.HOLD,
            f"{subject} had no oracle round within two hours: the governor may fix it a day after it expired, and any"
            f" round does from {utc_minute(expiry + _ANY_ROUND_AFTER)} UTC",
        )
        return
    settle = function("OptionBook", "settle").encode(underlying, expiry, proof.round_id, proof.usdc_round_id)
    yield Duty(
        Kind.SETTLE,
        subject,
        Action.TRADE,
        f"settle {subject}, fixed by round {proof.round_id} and USDC round {proof.usdc_round_id}",
        Call(f"settle {subject}", deployment.address("OptionBook"), settle),
    )


def _record_twap(
    connection: Connection, deployment: Deployment, block: Header, underlying: int, expiry: int
) -> Iterator[Duty]:
    """None where it is recorded already, or the pool has forgotten it: the call is tried before it is a duty."""
    subject = f"TWAP of {UNDERLYINGS[underlying]} at {utc_minute(expiry)} UTC"
    record, oracle = function("PriceOracle", "record_twap"), deployment.address("PriceOracle")
    batch = Batch()
    recorded = batch.add("PriceOracle", oracle, record, underlying, expiry, optional=True)
    batch.run(connection, block)
    if recorded.value is not None:
        call = Call(f"record {subject}", oracle, record.encode(underlying, expiry))
        yield Duty(Kind.SETTLE, subject, Action.TRADE, f"record {subject}: there is no oracle round yet", call)
