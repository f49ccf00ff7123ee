"""The books of a demo: each rebalance by cost, and the identities that must hold to the unit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import Web3
from web3.logs import DISCARD

from keeper.chain.artifacts import artifact
from keeper.domain.decision import Action
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Assessment, PoolState, Snapshot, VenueKind
from keeper.domain.units import WAD, WAD_PER_USDC_UNIT, from_usdc, from_wad
from keeper.errors import JournalError
from keeper.execution.records import Kind, Outcome, Record, Result
from keeper.market.reader import CONTRACTS
from keeper.operations.contracts import ERC20_ABI, bind, usdc_of
from keeper.risk.mirror import option_risk
from keeper.simulation.demo.chronicle import QUEUE
from keeper.simulation.demo.record import BookCheck, DeltaMove, LegMove, PoolCost, TradeRecord
from keeper.venues.uniswap_v3 import pool_price

if TYPE_CHECKING:
    from keeper.chain.deployments import Deployment
    from keeper.execution.journal import Journal
    from keeper.simulation.demo.chronicle import Chronicle

_ETHER = 0  # gas is paid in ether, priced as the first underlying
_USDC_UNIT = "1e-6 USDC"
_SWAP_TOPIC = keccak(text="Swap(address,address,int256,int256,uint160,uint128,int24)")


@dataclass(slots=True)
class Ledger:
    """Rebalances as they are mined; ``trades`` is all there is to keep of it."""

    w3: Web3
    deployment: Deployment
    trades: list[TradeRecord] = field(default_factory=list)
    _next_record: int = 0

    @property
    def leg_usdc(self) -> int:
        """What all legs brought into idle cash (paid: negative), smallest units."""
        return sum(move.usdc for trade in self.trades for move in trade.moves)

    def bought(self, venue: int) -> int:
        """Units that the legs in a venue bought less what they sold, WAD."""
        return sum(move.units for trade in self.trades for move in trade.moves if move.venue == venue)

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
        vault, hedger = (bind(self.w3, self.deployment, name) for name in ("Vault", "Hedger"))
        rebalanced = hedger.events.Rebalanced().process_receipt(receipt, DISCARD)[0]["args"]
        legs = [event["args"] for event in hedger.events.LegTraded().process_receipt(receipt, DISCARD)]
        prices = [from_wad(reading.price_wad) for reading in snapshot.readings]
        moves = tuple(LegMove(leg["venue"], leg["units"], leg["usdc"] // WAD_PER_USDC_UNIT) for leg in legs)
        underlying = {venue.index: venue.state.underlying for venue in snapshot.venues}
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
            hedge_usdc=tuple(
                from_usdc(sum(move.usdc for move in moves if underlying[move.venue] == u))
                for u in range(len(UNDERLYINGS))
            ),
            turnover=sum(abs(from_wad(move.units)) * prices[underlying[move.venue]] for move in moves),
            gas=(outcome.gas_used or 0) * (outcome.gas_price or 0) / WAD * prices[_ETHER],
            gas_used=outcome.gas_used or 0,
            recorded_loss=from_wad(rebalanced["loss"]),
            binding=decision.binding,
            moves=moves,
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
    venue = snapshot.venue(leg["venue"])
    return f"{venue.kind.value}: {units:+.4f} {UNDERLYINGS[venue.state.underlying]}, {usdc:+,.2f} USDC of idle cash"


def checks(
    w3: Web3,
    deployment: Deployment,
    snapshot: Snapshot,
    chronicle: Chronicle,
    ledger: Ledger,
    depositors: Iterable[str],
    holders: Iterable[str],
) -> tuple[BookCheck, ...]:
    """The identities of the books, each to the smallest unit.

    Args:
        snapshot: Of the last block.
        depositors, holders: Every address that may have shares, and every one that may have options.
    """
    risks = option_risk(snapshot.book, snapshot.readings, snapshot.surface, snapshot.timestamp)
    options_mid = sum(risk.mid for risk in risks)
    return (
        *_cash_checks(w3, deployment, snapshot, chronicle, ledger.leg_usdc, options_mid),
        *_share_checks(w3, deployment, snapshot, chronicle, depositors),
        _holders_check(w3, deployment, snapshot, holders),
        *_venue_checks(w3, snapshot, ledger),
    )


def _cash_checks(
    w3: Web3, deployment: Deployment, snapshot: Snapshot, chronicle: Chronicle, leg_usdc: int, options_mid: int
) -> tuple[BookCheck, ...]:
    usdc = usdc_of(w3, deployment).functions
    state, cash = snapshot.vault, chronicle.cash
    funded = sum(cash.payouts) - state.owed
    nav = snapshot.assessment.nav_mid
    equity = sum(venue.state.equity for venue in snapshot.venues)
    return (
        BookCheck(
            "USDC in the vault = idle",
            state.idle,
            usdc.balanceOf(deployment.address("Vault")).call(),
            _USDC_UNIT,
        ),
        BookCheck(
            "idle = deposits - redemptions + premiums - funded payouts + hedges - lent",
            cash.deposited + sum(cash.premiums) - funded + leg_usdc - cash.lent,
            state.idle,
            _USDC_UNIT,
        ),
        BookCheck(
            "USDC in the clearing house = funded - claimed",
            funded - chronicle.claimed,
            usdc.balanceOf(deployment.address("ClearingHouse")).call(),
            _USDC_UNIT,
        ),
        BookCheck(
            "NAV = idle - owed + venues + options",
            (state.idle - state.owed) * WAD_PER_USDC_UNIT + equity + options_mid,
            nav,
            "1e-18 USDC",
        ),
        BookCheck(
            "deposits + profit = redemptions + NAV",
            (cash.without_hedges + leg_usdc - cash.lent) * WAD_PER_USDC_UNIT + equity + options_mid,
            nav,
            "1e-18 USDC",
        ),
    )


def _share_checks(
    w3: Web3, deployment: Deployment, snapshot: Snapshot, chronicle: Chronicle, depositors: Iterable[str]
) -> tuple[BookCheck, ...]:
    """Shares, wherever they are, and the queue's own accounts once there is a queue."""
    vault = bind(w3, deployment, "Vault").functions
    shares = {who: vault.balanceOf(who).call() for who in depositors}
    if QUEUE not in deployment.contracts:
        return (_supply_check("all depositors", snapshot, sum(shares.values())),)
    queue, queue_address = bind(w3, deployment, QUEUE).functions, deployment.address(QUEUE)
    recipient = vault.terms().call()[0]
    shares |= {who: vault.balanceOf(who).call() for who in (queue_address, recipient)}
    asked = chronicle.queue.controllers
    held = usdc_of(w3, deployment).functions.balanceOf(queue_address).call()
    return (
        _supply_check("depositors, queue and fee recipient", snapshot, sum(shares.values())),
        BookCheck(
            "USDC in the queue = paid by epochs - claimed",
            chronicle.queue.paid - chronicle.queue.claimed,
            held,
            _USDC_UNIT,
        ),
        BookCheck(
            "USDC in the queue >= claimable by all requesters",
            sum(queue.maxWithdraw(who).call() for who in asked),
            held,
            _USDC_UNIT,
            at_least=True,
        ),
        BookCheck(
            "shares in the queue >= pending of all requesters",
            sum(queue.pendingRedeemRequest(0, who).call() for who in asked),
            shares[queue_address],
            "1e-18 share",
            at_least=True,
        ),
    )


def _supply_check(whose: str, snapshot: Snapshot, shares: int) -> BookCheck:
    return BookCheck(f"shares of {whose} = total supply", snapshot.vault.total_supply, shares, "1e-18 share")


def _holders_check(w3: Web3, deployment: Deployment, snapshot: Snapshot, holders: Iterable[str]) -> BookCheck:
    token = bind(w3, deployment, "OptionToken").functions
    accounts = tuple(holders)
    return BookCheck(
        "options held by takers = options written by the vault",
        sum(-position.size_wad for position in snapshot.book),
        sum(token.balanceOf(who, position.series.id).call() for who in accounts for position in snapshot.book),
        "1e-18 unit",
    )


def _venue_checks(w3: Web3, snapshot: Snapshot, ledger: Ledger) -> Iterator[BookCheck]:
    """What lies in each venue is what the rebalances put there, in the token's own smallest unit."""
    for venue in snapshot.venues:
        if venue.kind is VenueKind.AAVE_V3_LENDING:
            continue  # what Aave owes is its equity
        symbol = UNDERLYINGS[venue.state.underlying]
        decimals = venue.pools[0].token_decimals
        token = w3.eth.contract(address=to_checksum_address(venue.address), abi=artifact(CONTRACTS[venue.kind]).abi)
        underlying = w3.eth.contract(address=token.functions.TOKEN().call(), abi=ERC20_ABI).functions
        held = underlying.balanceOf(token.address).call()
        if venue.kind is VenueKind.UNISWAP_V3_SPOT:
            name = f"{symbol} in the spot venue = bought - sold"
            bought = ledger.bought(venue.index) * 10**decimals // WAD
        else:
            name, bought = f"{symbol} left in the short's venue: none", 0
        yield BookCheck(name, bought, held, f"1e-{decimals} {symbol}")
