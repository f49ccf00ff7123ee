"""What happened to the vault, from its contracts' logs: who came and went, what was sold, settled and claimed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from eth_utils.abi import event_abi_to_log_topic

from keeper.domain.series import UNDERLYINGS, Series
from keeper.domain.units import from_usdc, from_wad
from keeper.operations.contracts import bind
from keeper.simulation.record import CashFlow, FillRecord, RedemptionRecord, SettlementRecord

if TYPE_CHECKING:
    from web3 import Web3

    from keeper.chain.deployments import Deployment
    from keeper.domain.valuation import PositionValue, Valuation

_CONTRACTS = ("Vault", "OptionBook")


@dataclass(slots=True)
class Cash:
    """USDC that has crossed the vault's border so far, smallest units; premiums and payouts per underlying."""

    deposits: int = 0
    redemptions: int = 0
    premiums: list[int] = field(default_factory=lambda: [0] * len(UNDERLYINGS))  # received less paid
    payouts: list[int] = field(default_factory=lambda: [0] * len(UNDERLYINGS))  # promised by fixings, paid or not

    @property
    def deposited(self) -> int:
        """What the depositors have in the vault, had it done nothing."""
        return self.deposits - self.redemptions

    @property
    def without_hedges(self) -> int:
        """What the vault would hold in cash, less what it owes, had it never hedged."""
        return self.deposited + sum(self.premiums) - sum(self.payouts)


@dataclass(frozen=True, slots=True)
class Happening:
    """A log, decoded. ``block_hash`` is of the block it is in."""

    name: str
    block: int
    block_hash: str
    args: Mapping[str, Any]


class Chronicle:
    """Reads the logs once each, in order, and keeps the records made of them.

    ``names`` says what people are called, by address; it may grow.
    """

    def __init__(self, w3: Web3, deployment: Deployment, names: Mapping[str, str]) -> None:
        self.cash = Cash()
        self.fills: list[FillRecord] = []
        self.settlements: list[SettlementRecord] = []
        self.flows: list[CashFlow] = []
        self.redemptions: list[RedemptionRecord] = []
        self.claimed = 0  # USDC that holders of settled options took, smallest units
        self._w3, self._names = w3, names
        contracts = [bind(w3, deployment, name) for name in _CONTRACTS]
        self._addresses = [contract.address for contract in contracts]
        self._events = {
            (contract.address, bytes(event_abi_to_log_topic(entry))): contract.events[entry["name"]]()
            for contract in contracts
            for entry in contract.abi
            if entry["type"] == "event"
        }
        self._from = deployment.block
        self._settled: dict[int, int] = {}  # index in ``settlements`` by series

    def read(self, until: int) -> list[Happening]:
        """What happened up to the block ``until`` and was not read before."""
        if until < self._from:
            return []
        logs = self._w3.eth.get_logs({"fromBlock": self._from, "toBlock": until, "address": self._addresses})
        self._from = until + 1
        found = []
        for log in logs:
            event = self._events.get((log["address"], bytes(log["topics"][0])))
            if event is not None:
                happened = event.process_log(log)
                found.append(
                    Happening(happened["event"], log["blockNumber"], log["blockHash"].to_0x_hex(), happened["args"])
                )
        return found

    def take(self, happened: Happening, before: Valuation, after: Valuation, note: str = "") -> None:
        """Make it part of the records; the valuations are those of the book on either side of it."""
        args = happened.args
        match happened.name:
            case "Deposit":
                self._flow(happened, args["owner"], args["assets"], args["shares"], note)
            case "Withdraw":
                self._flow(happened, args["owner"], -args["assets"], -args["shares"], note)
            case "Filled":
                self._fill(happened, before, after)
            case "Settled":
                self._settle(happened)
            case "Claimed":
                self.claimed += args["amount"]
                i = self._settled[args["series"]]
                row = self.settlements[i]
                self.settlements[i] = replace(row, paid=row.paid + from_usdc(args["amount"]))
            case _:
                pass

    def _flow(self, happened: Happening, who: str, usdc: int, shares: int, note: str) -> None:
        timestamp = self._time(happened)
        self.flows.append(CashFlow(timestamp, self.name(who), from_usdc(usdc), from_wad(shares), note))
        if usdc > 0:
            self.cash.deposits += usdc
            return
        self.cash.redemptions -= usdc
        self.redemptions.append(
            RedemptionRecord(
                who=self.name(who),
                kind="instant",
                requested_at=timestamp,
                shares=from_wad(-shares),
                claimed_at=timestamp,
                claimed_shares=from_wad(-shares),
                usdc=from_usdc(-usdc),
                note=note,
            )
        )

    def _fill(self, happened: Happening, before: Valuation, after: Valuation) -> None:
        args = happened.args
        series = Series.from_slot(args["series"])
        sells, premium = args["vault_sells"], args["premium"]
        self.cash.premiums[series.underlying] += premium if sells else -premium
        line = _line(series, after) or _line(series, before)
        if line is None:
            raise AssertionError(f"{series.label} was traded and is in neither book")
        self.fills.append(
            FillRecord(
                timestamp=self._time(happened),
                symbol=UNDERLYINGS[series.underlying],
                series=series.label,
                taker=self.name(args["taker"]),
                vault_sells=sells,
                size=from_wad(args["size"]),
                price=from_usdc(premium) / from_wad(args["size"]),
                mid=line.mid,
                premium=from_usdc(premium),
                vol=line.vol,
            )
        )

    def _settle(self, happened: Happening) -> None:
        args = happened.args
        series = Series.from_slot(args["series"])
        self.cash.payouts[series.underlying] += args["owed"]
        self._settled[args["series"]] = len(self.settlements)
        label = series.label
        sold = sum(fill.size if fill.vault_sells else -fill.size for fill in self.fills if fill.series == label)
        self.settlements.append(
            SettlementRecord(
                timestamp=self._time(happened),
                symbol=UNDERLYINGS[series.underlying],
                series=label,
                fixing=from_wad(args["fixing"]),
                payout=from_wad(args["payout"]),
                size=sold,
                owed=from_usdc(args["owed"]),
            )
        )

    def name(self, address: str) -> str:
        """What the account is called, or its address."""
        return self._names.get(address, address)

    def _time(self, happened: Happening) -> int:
        timestamp: int = self._w3.eth.get_block(happened.block)["timestamp"]
        return timestamp


def _line(series: Series, valuation: Valuation) -> PositionValue | None:
    return next((line for line in valuation.positions if line.series == series), None)
