"""What happened to the vault, from its contracts' logs: who came and went, what was sold, settled and claimed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from eth_utils.abi import event_abi_to_log_topic

from keeper.domain.series import UNDERLYINGS, Series
from keeper.domain.units import from_usdc, from_wad
from keeper.operations.contracts import bind
from keeper.simulation.demo.queue_book import QueueBook
from keeper.simulation.demo.record import CashFlow, FillRecord, RedemptionRecord, SettlementRecord

if TYPE_CHECKING:
    from web3 import Web3

    from keeper.chain.deployments import Deployment
    from keeper.domain.valuation import PositionValue, Valuation

QUEUE = "RedemptionQueue"
_CONTRACTS = ("Vault", "OptionBook", "ClearingHouse", QUEUE, "AaveV3Lending")


@dataclass(frozen=True, slots=True)
class Happening:
    """A log, decoded: which contract said what, and when."""

    contract: str
    name: str
    block: int
    block_hash: str
    timestamp: int
    args: Mapping[str, Any]


class Logs:
    """The logs of a deployment's vault, option book, clearing house and redemption queue."""

    def __init__(self, w3: Web3, deployment: Deployment) -> None:
        self._w3 = w3
        contracts = {name: bind(w3, deployment, name) for name in _CONTRACTS if name in deployment.contracts}
        self._addresses = [contract.address for contract in contracts.values()]
        self._events = {
            (contract.address, bytes(event_abi_to_log_topic(entry))): (name, contract.events[entry["name"]]())
            for name, contract in contracts.items()
            for entry in contract.abi
            if entry["type"] == "event"
        }

    def between(self, first: int, last: int) -> list[Happening]:
        """What the contracts logged in these blocks, both included, in order."""
        if last < first:
            return []
        found = []
        for log in self._w3.eth.get_logs({"fromBlock": first, "toBlock": last, "address": self._addresses}):
            contract, event = self._events.get((log["address"], bytes(log["topics"][0])), ("", None))
            if event is not None:
                happened = event.process_log(log)
                block = self._w3.eth.get_block(log["blockHash"])
                found.append(
                    Happening(
                        contract,
                        happened["event"],
                        log["blockNumber"],
                        log["blockHash"].to_0x_hex(),
                        block["timestamp"],
                        happened["args"],
                    )
                )
        return found


@dataclass(slots=True)
class Cash:
    """USDC that has crossed the vault's border so far, smallest units; premiums and payouts per underlying."""

    deposits: int = 0
    redemptions: int = 0  # paid at once or to the queue
    premiums: list[int] = field(default_factory=lambda: [0] * len(UNDERLYINGS))  # received less paid
    payouts: list[int] = field(default_factory=lambda: [0] * len(UNDERLYINGS))  # promised by fixings, paid or not
    lent: int = 0  # less what was recalled: interest makes it negative in the end

    @property
    def deposited(self) -> int:
        """What the depositors have in the vault, had it done nothing."""
        return self.deposits - self.redemptions

    @property
    def without_hedges(self) -> int:
        """What the vault would hold in cash, less what it owes, had it never hedged."""
        return self.deposited + sum(self.premiums) - sum(self.payouts)


@dataclass(slots=True)
class Chronicle:
    """The records made of what happened. Plain data, so that it can be put away and taken up again."""

    cash: Cash = field(default_factory=Cash)
    fills: list[FillRecord] = field(default_factory=list)
    settlements: list[SettlementRecord] = field(default_factory=list)
    flows: list[CashFlow] = field(default_factory=list)
    instant: list[RedemptionRecord] = field(default_factory=list)
    queue: QueueBook = field(default_factory=QueueBook)
    claimed: int = 0  # USDC that holders of settled options took, smallest units
    _settled: dict[int, int] = field(default_factory=dict)  # index in ``settlements`` by series

    @property
    def redemptions(self) -> tuple[RedemptionRecord, ...]:
        """All of them, in the order of the wishes."""
        return tuple(sorted((*self.instant, *self.queue.requests), key=lambda one: one.requested_at))

    def take(
        self, one: Happening, before: Valuation, after: Valuation, called: Callable[[str], str], note: str = ""
    ) -> None:
        """Make it part of the records.

        Args:
            before, after: The book on either side of it.
            called: Name of an address.
            note: What is odd about who came or went.
        """
        args = one.args
        match one.contract, one.name:
            case "Vault", "Deposit":
                self.cash.deposits += args["assets"]
                self._flow(one, called(args["owner"]), args["assets"], args["shares"], note)
            case "Vault", "Withdraw":
                self._withdraw(one, called(args["owner"]), note)
            case "AaveV3Lending", "Lent":
                self.cash.lent += args["amount"]
            case "AaveV3Lending", "Recalled":
                self.cash.lent -= args["amount"]
            case "OptionBook", "Filled":
                self._fill(one, before, after, called(args["taker"]))
            case "ClearingHouse", "Settled":
                self._settle(one)
            case "ClearingHouse", "Claimed":
                self.claimed += args["amount"]
                i = self._settled[args["series"]]
                row = self.settlements[i]
                self.settlements[i] = replace(row, paid=row.paid + from_usdc(args["amount"]))
            case "RedemptionQueue", name:
                self.queue.take(name, one.timestamp, args, called)
            case _:
                pass

    def _flow(self, one: Happening, who: str, usdc: int, shares: int, note: str) -> None:
        self.flows.append(CashFlow(one.timestamp, who, from_usdc(usdc), from_wad(shares), note))

    def _withdraw(self, one: Happening, who: str, note: str) -> None:
        assets, shares = one.args["assets"], one.args["shares"]
        self.cash.redemptions += assets
        self._flow(one, who, -assets, -shares, note)
        if who == QUEUE:
            return
        self.instant.append(
            RedemptionRecord(
                who=who,
                kind="instant",
                requested_at=one.timestamp,
                shares=from_wad(shares),
                claimed_at=one.timestamp,
                claimed_shares=from_wad(shares),
                usdc=from_usdc(assets),
                note=note,
            )
        )

    def _fill(self, one: Happening, before: Valuation, after: Valuation, taker: str) -> None:
        args = one.args
        series = Series.from_slot(args["series"])
        sells, premium = args["vault_sells"], args["premium"]
        self.cash.premiums[series.underlying] += premium if sells else -premium
        line = _line(series, after) or _line(series, before)
        if line is None:
            raise AssertionError(f"{series.label} was traded and is in neither book")
        self.fills.append(
            FillRecord(
                timestamp=one.timestamp,
                symbol=UNDERLYINGS[series.underlying],
                series=series.label,
                taker=taker,
                vault_sells=sells,
                size=from_wad(args["size"]),
                price=from_usdc(premium) / from_wad(args["size"]),
                mid=line.mid,
                premium=from_usdc(premium),
                vol=line.vol,
            )
        )

    def _settle(self, one: Happening) -> None:
        args = one.args
        series = Series.from_slot(args["series"])
        self.cash.payouts[series.underlying] += args["owed"]
        self._settled[args["series"]] = len(self.settlements)
        label = series.label
        sold = sum(fill.size if fill.vault_sells else -fill.size for fill in self.fills if fill.series == label)
        self.settlements.append(
            SettlementRecord(
                timestamp=one.timestamp,
                symbol=UNDERLYINGS[series.underlying],
                series=label,
                fixing=from_wad(args["fixing"]),
                payout=from_wad(args["payout"]),
                size=sold,
                owed=from_usdc(args["owed"]),
            )
        )


def _line(series: Series, valuation: Valuation) -> PositionValue | None:
    return next((line for line in valuation.positions if line.series == series), None)
