"""The whole protocol under any sequence of transactions: depositors, takers, keeper, quoter, vol poster, guardian,
governor and strangers, in a market that moves and a clock that runs.

Invariants 1, 7, 8, 13, 14, 19, 20, 22, 25, 29, 32, 34 and 47 are checked after every successful transaction; those
that are about one kind of transaction after that: invariants 2 to 4, 15, 18, 21, 24, 31, 33, 35 to 37, 39, 40 and 42.
An invariant call is one such transaction followed by all the checks; those that reverted are not counted. `make stress`
makes a million of them, the ordinary run a slice; the sums are printed at the end (conftest.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import boa
import pytest

from tests.contracts.chain import Market
from tests.contracts.protocol import Budgets, Limits, Protocol, wad
from tests.stateful.protocol.books import Auditor
from tests.stateful.protocol.campaign import explore, rules_of
from tests.stateful.protocol.governors import Governors
from tests.stateful.protocol.rescuers import Rescuers
from tests.stateful.protocol.runs import Runs
from tests.stateful.protocol.strangers import Strangers
from tests.stateful.protocol.surroundings import Surroundings
from tests.stateful.protocol.world import DEPOSITORS, RECIPIENT, World, usdc
from tests.stateful.success import WHOLE, SuccessRates

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "stress"
IS_MUTANT = "KEEL_MUTANT" in os.environ  # `make mutants` wants to know that it fails, not how
BANDS = ("delta_target", "delta_hard", "gamma_band", "vega_band")
CAPS = ("notional_total", "notional_expiry", "notional_series")
SHARDS = 40 if IS_LONG else 2
CALLS = 1_000_000 // SHARDS if IS_LONG else 1_000


@dataclass(frozen=True)
class Regime:
    """What is scarce: a vault of so many per cent of the deposits; limits and budgets so many times the default."""

    deposits: int = 100
    limits: float = 1.0
    caps: float = 1.0
    budgets: float = 1.0


# In the default regime hardly anything is; elsewhere bands, margin and gap, the buckets, or the caps bind.
REGIMES = (
    Regime(),
    Regime(deposits=10),
    Regime(deposits=3, limits=10, caps=10),
    Regime(deposits=30, budgets=0.05),
    Regime(caps=0.05),
)


def begin(p: Protocol, regime: Regime) -> None:
    """Bring the protocol into a regime."""
    for who in DEPOSITORS:
        if regime.deposits < 100:
            p.vault.redeem(p.vault.balanceOf(who) * (100 - regime.deposits) // 100, who, who, sender=who)
    scaled = {name: round(getattr(Limits(), name) * regime.limits) for name in BANDS}
    scaled |= {name: round(getattr(Limits(), name) * regime.caps) for name in CAPS}
    p.risk.set_limits(Limits()._replace(**scaled), sender=p.governor)
    narrow = {
        name: round(value * regime.budgets) for name, value in Budgets()._asdict().items() if "slippage" not in name
    }
    p.hedger.set_budgets(Budgets()._replace(**narrow), sender=p.governor)


class Everything(Runs, Rescuers, Governors, Strangers, Surroundings):
    pass


Everything.rules = rules_of(Everything)


@pytest.fixture(scope="session")
def protocol(market: Market) -> Protocol:
    """A vault of a million USDC, with both underlyings and fees; what it trades begins in the world of each episode."""
    p = Protocol(market, has_btc=True)
    p.list_lending()
    p.vault.set_fees((RECIPIENT, wad(0.01), wad(0.10)), sender=p.governor)
    for who in DEPOSITORS:
        p.fund(who, usdc(400_000))
        p.vault.approve(p.queue, 2**256 - 1, sender=who)
        p.vault.deposit(usdc(330_000), who, sender=who)
    return p


@pytest.fixture(scope="session")
def auditor(protocol: Protocol) -> Auditor:
    holders = [*DEPOSITORS, RECIPIENT, str(protocol.queue.address)]
    return Auditor(protocol, holders)


@pytest.mark.timeout(4 * 3600)  # the long run
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_ledger_and_all_limits_hold_after_every_transaction(protocol, auditor, shard, record_property):
    rates = SuccessRates()

    @contextlib.contextmanager
    def start(kind: int) -> Iterator[World]:
        with boa.env.anchor():
            begin(protocol, REGIMES[kind % len(REGIMES)])
            world = Everything(protocol, auditor, rates)
            draw = Random(kind)
            for _ in range(4):
                world.list_series(draw)
            yield world

    done = explore(start, seed=shard, calls=CALLS, shrink=not IS_MUTANT)

    rates.record(record_property, WHOLE, calls=done)
    assert rates.too_low() == []
