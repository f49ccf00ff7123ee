"""The books of a demo: each rebalance by cost, profit by source, and the identities that must hold to the unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import Web3
from web3.logs import DISCARD

from keeper.domain.decision import Action
from keeper.domain.snapshot import Assessment, PoolState, Snapshot
from keeper.domain.units import WAD, WAD_PER_USDC_UNIT, from_usdc, from_wad
from keeper.errors import JournalError
from keeper.execution.records import Kind, Outcome, Record, Result
from keeper.operations.contracts import bind, usdc_of
from keeper.simulation.record import BookCheck, TradeRecord
from keeper.venues.uniswap_v3 import pool_price

if TYPE_CHECKING:
    from keeper.chain.deployments import Deployment
    from keeper.execution.journal import Journal
    from keeper.simulation.observer import Cash

_ETH = 0
_SWAP_TOPIC = keccak(text="Swap(address,address,int256,int256,uint160,uint128,int24)")


@dataclass(slots=True)
class Ledger:
    """Rebalances as they are mined; ``leg_usdc`` is what all legs brought (paid: negative), smallest units."""

    w3: Web3
    deployment: Deployment
    trades: list[TradeRecord] = field(default_factory=list)
    leg_usdc: int = 0
    _next_record: int = 0

    def collect(self, journal: Journal, from_block: int) -> None:
        """Take in the rebalances decided since the last call; ``from_block`` bounds the search."""
        for record in journal.decisions(from_block):
            if record.id < self._next_record:
                continue
            self._next_record = record.id + 1
            if record.kind is not Kind.HEDGE or record.decision.action is not Action.TRADE:
                continue
            for _, outcome in journal.transactions_of(record.id):
                if outcome is not None and outcome.result is Result.CONFIRMED:
                    self.trades.append(self._trade(record, outcome))

    def _trade(self, record: Record, outcome: Outcome) -> TradeRecord:
        snapshot, decision = record.snapshot, record.decision
        if snapshot is None or outcome.tx_hash is None:
            raise JournalError(f"Trade {record.id} was mined without a snapshot or a transaction.", todo="Report it.")
        receipt = self.w3.eth.get_transaction_receipt(HexBytes(outcome.tx_hash))
        vault = bind(self.w3, self.deployment, "Vault")
        rebalanced = vault.events.Rebalanced().process_receipt(receipt, DISCARD)[0]["args"]
        legs = [event["args"] for event in vault.events.LegTraded().process_receipt(receipt, DISCARD)]
        self.leg_usdc += sum(leg["usdc"] // WAD_PER_USDC_UNIT for leg in legs)
        swaps = [_swap(log, snapshot) for log in receipt["logs"] if bytes(log["topics"][0]) == _SWAP_TOPIC]
        after = vault.functions.assessment().call(block_identifier=receipt["blockNumber"])
        price = from_wad(snapshot.readings[_ETH].price_wad)
        change = decision.deltas[_ETH]
        return TradeRecord(
            sequence=rebalanced["sequence"],
            decided_at=record.block_number,
            timestamp=self.w3.eth.get_block(receipt["blockNumber"])["timestamp"],
            transaction=outcome.tx_hash,
            reason=decision.reason,
            legs=tuple(_describe(leg, snapshot) for leg in legs),
            price=price,
            delta_before=change.before,
            delta_after=from_wad(Assessment(*after).delta[_ETH]),
            band=change.band,
            turnover=sum(abs(from_wad(leg["units"])) for leg in legs) * price,
            fees=sum(swap.fee for swap in swaps),
            impact=sum(swap.impact for swap in swaps),
            basis=sum(swap.basis(price) for swap in swaps),
            gas=(outcome.gas_used or 0) * (outcome.gas_price or 0) / WAD * price,
            gas_used=outcome.gas_used or 0,
            recorded_loss=from_wad(rebalanced["loss"]),
            binding=decision.binding,
        )


@dataclass(frozen=True, slots=True)
class _Swap:
    """A swap against the pool's price before it: units bought (+) or sold (-), costs in USDC."""

    units: float
    mid: float
    fee: float
    impact: float

    def basis(self, oracle_price: float) -> float:
        """Cost of the pool being away from the oracle."""
        return self.units * (self.mid - oracle_price)


def _swap(log: Any, snapshot: Snapshot) -> _Swap:
    pool = next(
        pool for venue in snapshot.venues for pool in venue.pools if pool.address.lower() == log["address"].lower()
    )
    data = bytes(log["data"])
    amounts = [int.from_bytes(data[i : i + 32], "big", signed=True) for i in (0, 32)]
    usdc, token = _oriented(amounts, pool)
    mid, rate = pool_price(pool), pool.fee_pips / 1e6
    fee = rate * (usdc if usdc > 0 else token * mid)
    # What changed hands, beyond the token's worth at the price before and the fee, is impact.
    impact = usdc + token * mid - fee
    return _Swap(units=-token, mid=mid, fee=fee, impact=impact)


def _oriented(amounts: Sequence[int], pool: PoolState) -> tuple[float, float]:
    """USDC and token that went into the pool (+) or out of it (-), in units."""
    usdc, token = amounts if pool.usdc_is_token0 else reversed(amounts)
    return from_usdc(usdc), token / 10**pool.token_decimals


def _describe(leg: Any, snapshot: Snapshot) -> str:
    units, usdc = from_wad(leg["units"]), from_wad(leg["usdc"])
    kind = snapshot.venues[leg["venue"]].kind.value
    return f"{kind}: {units:+.4f} ETH, {usdc:+,.2f} USDC of idle cash"


def profit_by_source(
    snapshot: Snapshot, cash: Cash, leg_usdc: int, options_mid: int, carry: float, costs: float
) -> dict[str, float]:
    """Where the NAV came from, USDC. ``options_mid`` in WAD; ``costs`` are those of trading, gas not among them."""
    hedges = from_wad(sum(venue.state.equity for venue in snapshot.venues)) + from_usdc(leg_usdc)
    return {
        "premiums": from_usdc(cash.premiums),
        "payouts": -from_usdc(cash.payouts),
        "options still open": from_wad(options_mid),
        "hedges: price": hedges - carry + costs,
        "hedges: trading costs": -costs,
        "hedges: interest": carry,
    }


def checks(
    w3: Web3,
    deployment: Deployment,
    snapshot: Snapshot,
    cash: Cash,
    leg_usdc: int,
    options_mid: int,
    claimed: int,
    depositors: Iterable[str],
    holders: Iterable[str],
) -> tuple[BookCheck, ...]:
    """The identities of the books, each to the smallest unit."""
    vault = bind(w3, deployment, "Vault")
    book = bind(w3, deployment, "OptionBook")
    token = bind(w3, deployment, "OptionToken")
    usdc = usdc_of(w3, deployment)
    state = snapshot.vault
    funded = cash.payouts - state.owed
    nav = snapshot.assessment.nav_mid
    equity = sum(venue.state.equity for venue in snapshot.venues)
    held = {
        position.series.id: sum(token.functions.balanceOf(holder, position.series.id).call() for holder in holders)
        for position in snapshot.book
    }
    shares = sum(vault.functions.balanceOf(depositor).call() for depositor in depositors)
    return (
        BookCheck("shares of all depositors = total supply", state.total_supply, shares, "1e-18 share"),
        BookCheck("USDC in the vault = idle", state.idle, usdc.functions.balanceOf(vault.address).call(), "1e-6 USDC"),
        BookCheck(
            "idle = deposits - redemptions + premiums - funded payouts + hedges",
            cash.deposits - cash.redemptions + cash.premiums - funded + leg_usdc,
            state.idle,
            "1e-6 USDC",
        ),
        BookCheck(
            "USDC in the option book = funded - claimed",
            funded - claimed,
            usdc.functions.balanceOf(book.address).call(),
            "1e-6 USDC",
        ),
        BookCheck(
            "NAV = idle - owed + venues + options",
            (state.idle - state.owed) * WAD_PER_USDC_UNIT + equity + options_mid,
            nav,
            "1e-18 USDC",
        ),
        BookCheck(
            "deposits + profit = redemptions + NAV",
            cash.without_hedges * WAD_PER_USDC_UNIT + leg_usdc * WAD_PER_USDC_UNIT + equity + options_mid,
            nav,
            "1e-18 USDC",
        ),
        BookCheck(
            "options held by takers = options written by the vault",
            sum(-position.size_wad for position in snapshot.book),
            sum(held.values()),
            "1e-18 unit",
        ),
    )
