"""All accounts of the protocol at one moment, and the identities that must hold between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import boa

from tests.contracts.chain import DAY, HOUR, WAD
from tests.contracts.protocol import BTC, ETH, Protocol

SIDES = ("bid", "mid", "ask")
TOKENS = ("usdc", "weth", "wbtc")
OVERDUE = 48 * HOUR  # since when nothing new is sold while shares wait
HOMES = {"weth": "UniswapV3Spot", "wbtc": "UniswapV3Spot of BTC"}  # where a hedge is held
_UNIT = 10**12  # WAD per unit of USDC
_YEAR = 365 * DAY


@dataclass(frozen=True)
class Books:
    """``assessment`` is None while it cannot be made. ``balances`` are by token and by the contract's name."""

    accounts: Any
    balances: dict[str, dict[str, int]]
    holders: dict[str, Any]
    series: dict[int, Any]
    settled: dict[int, Any]
    assessment: Any
    value: int  # venues and options at mid, WAD
    lent: int  # scaled, as AaveV3Lending records it
    time: int

    def nav(self, side: str) -> int:
        return int(getattr(self.assessment, f"nav_{side}"))

    def price(self, side: str, slack: int = 0) -> Fraction:
        """What a share is worth, with the virtual shares and unit, and the fees that are owed (modules/fees.vy).

        ``slack``: USDC units to add to NAV.
        """
        return Fraction(max(self.nav(side) + slack * _UNIT, 0) + _UNIT, self.effective_shares)

    @cached_property
    def effective_shares(self) -> int:
        a, nav = self.accounts, max(self.nav("bid"), 0) + _UNIT
        management = a.supply * a.terms.management // WAD * (self.time - a.accrual.accrued_at) // _YEAR
        shares = int(a.supply + _UNIT + a.accrual.owed + management)
        base = -(-a.accrual.mark * shares // WAD)
        if a.supply == 0 or nav <= base:
            return shares
        fee = (nav - base) * a.terms.performance // WAD
        return int(shares + shares * fee // (nav - fee))

    @property
    def is_calm(self) -> bool:
        """Nothing is latched, overdue, in breach or without a price: new business is possible."""
        a = self.assessment
        if a is None or not self.accounts.accepts_risk:
            return False
        return bool(a.nav_bid >= a.initial and not a.venue_failed and not a.unfixed and not a.stale)

    def is_healthy(self, slack: int = 0) -> bool:
        """By initial margin. Gap solvency is a condition of trades, not of exits. ``slack``: as for `price`."""
        return bool(self.assessment.nav_bid + slack * _UNIT >= self.assessment.initial)


@dataclass
class Ghost:
    """What the suite itself knows of the past."""

    gifts: Counter[tuple[str, str]] = field(default_factory=Counter)  # units by contract and token
    requested: Counter[str] = field(default_factory=Counter)  # shares by controller, less those cancelled
    claimed: Counter[str] = field(default_factory=Counter)
    roundings: int = 0  # settlements, each of which can leave a unit per holder to nobody
    payouts: dict[int, int] = field(default_factory=dict)  # by settled series, WAD per unit
    lacking: dict[int, Fraction] = field(default_factory=dict)  # by settled series, what part of its debt has no cash
    claims: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)  # by holder and series: due, and paid
    lost: int = 0  # USDC units, to be recovered

    def funded(self, owed: int, amount: int) -> None:
        """``amount`` of what was ``owed`` was paid: it is shared by all debts alike."""
        rest = Fraction(owed - amount, owed)
        self.lacking = {id: part * rest for id, part in self.lacking.items() if part * rest > 0}


class Auditor:
    """Reads the books of one protocol in one call."""

    def __init__(self, protocol: Protocol, holders: list[str]) -> None:
        self.p, self.owners = protocol, holders
        approvals = [
            (token.address, str(owner.address), spender) for owner, token, spender in protocol.possible_approvals()
        ]
        load = boa.load_partial("tests/stateful/protocol/Auditor.vy")
        shares = (protocol.vault, protocol.breaker, protocol.queue)
        options = (protocol.book, protocol.clearing, protocol.token, protocol.pricer)
        self.contract = load.deploy(*shares, *options, approvals)
        self.holding = {
            name: str(contract.address)
            for name, contract in protocol.contracts.items()
            if name not in ("PriceOracle", "VolOracle", "RiskEngine", "OptionPricer", "OptionToken")
        }
        self.holding["UniswapV3Spot of BTC"] = str(protocol.btc_spot.address)
        self.holding["AaveV3Short of BTC"] = str(protocol.btc_short.address)
        self.holding["AaveV3Lending"] = str(protocol.lending.address)
        self.tokens = [protocol.asset.address, protocol.market.weth.address, protocol.market.wbtc.address]
        self.venues = {ETH: [protocol.spot, protocol.short, protocol.lending]}
        self.venues[BTC] = [protocol.btc_spot, protocol.btc_short]

    def read(self, settled: list[int]) -> Books:
        """The books now."""
        venues = [(venue, underlying) for underlying, each in self.venues.items() for venue in each]
        seen = self.contract.everything(
            self.tokens,
            list(self.holding.values()),
            self.owners,
            settled,
            [venue for venue, _ in venues],
            [underlying for _, underlying in venues],
            self.p.lending,
        )
        return Books(
            accounts=seen.accounts,
            balances={
                token: dict(zip(self.holding, seen.balances[i :: len(TOKENS)], strict=True))
                for i, token in enumerate(TOKENS)
            },
            holders=dict(zip(self.owners, seen.holders, strict=True)),
            series={each.id: each for each in seen.series},
            settled={each.id: each for each in seen.settled},
            assessment=seen.assessment if seen.is_known else None,
            value=seen.value,
            lent=seen.lent,
            time=self.p.market.now,
        )


def problems(b: Books, ghost: Ghost, queue: str) -> list[str]:
    """The identities that do not hold, each with its number; empty when all is well."""
    found = []

    def must(holds: bool, what: str, *seen: Any) -> None:
        if not holds:
            found.append(f"{what}: {', '.join(map(str, seen))}")

    a, gifts, holders, usdc = b.accounts, ghost.gifts, b.holders, b.balances["usdc"]
    shares = sum(holder.shares for holder in holders.values())
    must(shares == a.supply, "invariant 1: balances of shares and the supply", shares, a.supply)

    for contract, account in (
        ("Vault", a.idle),
        ("ClearingHouse", a.funded + a.escrow_usdc),
        ("RedemptionQueue", a.reserved),
    ):
        own = usdc[contract] - gifts[contract, "usdc"]
        must(own == account, f"invariants 19 and 47: USDC of {contract} and its accounts", own, account)
    for contract in usdc.keys() - {"Vault", "ClearingHouse", "RedemptionQueue"}:
        own = usdc[contract] - gifts[contract, "usdc"]
        must(own == 0, f"invariant 47: USDC left in {contract}", own)
    for token, escrow in (("weth", a.escrow_weth), ("wbtc", a.escrow_wbtc)):
        for contract in b.balances[token].keys() - {HOMES[token], "ClearingHouse"}:
            own = b.balances[token][contract] - gifts[contract, token]
            must(own == 0, f"invariant 47: {token} left in {contract}", own)
        own = b.balances[token]["ClearingHouse"] - gifts["ClearingHouse", token]
        must(own == escrow, f"invariants 19 and 47: {token} of the ClearingHouse and its escrow", own, escrow)
    must(a.approved == 0, "invariant 22: an approval is left", a.approved)

    waiting = holders[queue].shares - gifts["RedemptionQueue", "shares"]
    must(waiting == a.pending, "invariant 13: shares in the queue and those that wait", waiting, a.pending)
    has_waited = b.time - a.due_since if a.due_since else 0
    must(has_waited <= OVERDUE or not a.accepts_risk, "the 48 hours: risk is taken while the queue waits", has_waited)
    claimable = 0
    for who, holder in holders.items():
        total = holder.pending + holder.claimable + ghost.claimed[who]
        must(total == ghost.requested[who], "invariant 13: requests of a controller", total, ghost.requested[who])
        claimable += holder.claimable_assets
    unclaimed = a.reserved - claimable
    must(
        0 <= unclaimed <= ghost.roundings * len(holders), "invariant 14: reserved and claimable", a.reserved, claimable
    )

    for each in b.series.values():
        must(each.supply == each.by_vault, "invariant 47: tokens and what was written", each.supply, each.by_vault)
        net = each.by_makers - each.by_vault
        must(net == each.position, "invariant 47: position and what was written", net, each.position)
    promised = 0
    for id, each in b.settled.items():
        must(each.payout == ghost.payouts[id], "invariant 25: a payout changed", id, each.payout)
        promised += each.supply * each.payout // WAD // _UNIT
    promised += sum(due - paid for due, paid in ghost.claims.values())
    covered = a.owed + a.funded
    must(promised <= covered, "invariant 34: payouts and what is owed and funded", promised, covered)

    if b.assessment is not None:
        nav = (a.idle - a.owed) * _UNIT + b.value
        most = 2 * len(b.series) + 2  # each valuation rounds
        must(abs(nav - b.nav("mid")) <= most, "invariants 20 and 47: NAV and its parts", b.nav("mid"), nav)
        sides = [b.nav(side) for side in SIDES]
        must(sides == sorted(sides), "invariant 20: bid, mid, ask", *sides)
        margins = (b.assessment.maintenance, b.assessment.initial)
        must(0 <= margins[0] <= margins[1], "invariant 29: maintenance and initial margin", *margins)
    return found
