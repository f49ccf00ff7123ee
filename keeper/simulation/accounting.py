"""The books of a demo: each rebalance by cost, and the identities that must hold to the unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import Web3
from web3.logs import DISCARD

from keeper.domain.decision import Action
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Assessment, PoolState, Snapshot
from keeper.domain.units import WAD, WAD_PER_USDC_UNIT, from_usdc, from_wad
from keeper.errors import JournalError
from keeper.execution.records import Kind, Outcome, Record, Result
from keeper.operations.contracts import bind, usdc_of
from keeper.simulation.record import BookCheck, DeltaMove, PoolCost, TradeRecord
from keeper.venues.uniswap_v3 import pool_price

if TYPE_CHECKING:
    from keeper.chain.deployments import Deployment
    from keeper.execution.journal import Journal
    from keeper.simulation.chronicle import Chronicle

_ETHER = 0  # gas is paid in ether, priced as the first underlying
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
        prices = [from_wad(reading.price_wad) for reading in snapshot.readings]
        hedge_usdc = [0] * len(UNDERLYINGS)
        turnover = 0.0
        for leg in legs:
            u = snapshot.venues[leg["venue"]].state.underlying
            hedge_usdc[u] += leg["usdc"] // WAD_PER_USDC_UNIT
            turnover += abs(from_wad(leg["units"])) * prices[u]
        self.leg_usdc += sum(hedge_usdc)
        after = Assessment(*vault.functions.assessment().call(block_identifier=receipt["blockNumber"]))
        return TradeRecord(
            sequence=rebalanced["sequence"],
            decided_at=record.block_number,
            block=receipt["blockNumber"],
            timestamp=self.w3.eth.get_block(receipt["blockNumber"])["timestamp"],
            transaction=outcome.tx_hash,
            reason=decision.reason,
            legs=tuple(_describe(leg, snapshot) for leg in legs),
            deltas=tuple(
                DeltaMove(
                    symbol=UNDERLYINGS[change.underlying],
                    price=prices[change.underlying],
                    before=change.before,
                    after=from_wad(after.delta[change.underlying]),
                    band=change.band,
                )
                for change in decision.deltas
            ),
            pools=_pool_costs(receipt["logs"], snapshot),
            hedge_usdc=tuple(from_usdc(usdc) for usdc in hedge_usdc),
            turnover=turnover,
            gas=(outcome.gas_used or 0) * (outcome.gas_price or 0) / WAD * prices[_ETHER],
            gas_used=outcome.gas_used or 0,
            recorded_loss=from_wad(rebalanced["loss"]),
            binding=decision.binding,
        )


def _pool_costs(logs: Sequence[Any], snapshot: Snapshot) -> tuple[PoolCost, ...]:
    """What the swaps of a rebalance cost, one entry per pool."""
    costs: dict[str, PoolCost] = {}
    for log in logs:
        if bytes(log["topics"][0]) != _SWAP_TOPIC:
            continue
        u, pool = next(
            (venue.state.underlying, pool)
            for venue in snapshot.venues
            for pool in venue.pools
            if pool.address.lower() == log["address"].lower()
        )
        data = bytes(log["data"])
        amounts = [int.from_bytes(data[i : i + 32], "big", signed=True) for i in (0, 32)]
        swap = _swap(amounts, pool, from_wad(snapshot.readings[u].price_wad), UNDERLYINGS[u])
        was = costs.get(pool.address, PoolCost(swap.symbol, swap.pool, 0.0, 0.0, 0.0))
        costs[pool.address] = PoolCost(
            swap.symbol, swap.pool, was.fees + swap.fees, was.impact + swap.impact, was.basis + swap.basis
        )
    return tuple(costs.values())


def _swap(amounts: Sequence[int], pool: PoolState, oracle_price: float, symbol: str) -> PoolCost:
    """One swap against the pool's price before it; ``amounts`` went into the pool (+) or out of it (-).

    What changed hands, beyond the token's worth at the pool's price before and the fee, is impact; the worth of the
    pool's distance from the oracle is basis. Together they are what the swap lost against the oracle.
    """
    usdc_units, token_units = amounts if pool.usdc_is_token0 else reversed(amounts)
    usdc, token = from_usdc(usdc_units), token_units / 10**pool.token_decimals
    mid, rate = pool_price(pool), pool.fee_pips / 1e6
    fee = rate * (usdc if usdc > 0 else token * mid)
    return PoolCost(
        symbol=symbol,
        pool=f"{symbol} {pool.fee_pips / 1e4:g} %",
        fees=fee,
        impact=usdc + token * mid - fee,
        basis=token * (oracle_price - mid),
    )


def _describe(leg: Any, snapshot: Snapshot) -> str:
    units, usdc = from_wad(leg["units"]), from_wad(leg["usdc"])
    venue = snapshot.venues[leg["venue"]]
    return f"{venue.kind.value}: {units:+.4f} {UNDERLYINGS[venue.state.underlying]}, {usdc:+,.2f} USDC of idle cash"


def checks(
    w3: Web3,
    deployment: Deployment,
    snapshot: Snapshot,
    chronicle: Chronicle,
    leg_usdc: int,
    options_mid: int,
    depositors: Iterable[str],
    holders: Iterable[str],
) -> tuple[BookCheck, ...]:
    """The identities of the books, each to the smallest unit."""
    vault = bind(w3, deployment, "Vault")
    book = bind(w3, deployment, "OptionBook")
    token = bind(w3, deployment, "OptionToken")
    usdc = usdc_of(w3, deployment)
    state, cash = snapshot.vault, chronicle.cash
    funded = sum(cash.payouts) - state.owed
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
            cash.deposited + sum(cash.premiums) - funded + leg_usdc,
            state.idle,
            "1e-6 USDC",
        ),
        BookCheck(
            "USDC in the option book = funded - claimed",
            funded - chronicle.claimed,
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
