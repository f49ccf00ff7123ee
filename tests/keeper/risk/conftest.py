"""The real OptionPricer and RiskEngine in front of markets that a test chooses."""

from collections.abc import Sequence
from dataclasses import astuple

import pytest

from keeper.domain.option_risk import Marks, OptionRisk
from keeper.domain.series import Position, Series
from keeper.domain.snapshot import Assessment, Snapshot
from keeper.pricing.normal_table import normal_table
from tests.keeper.evm import DEPLOYER, FastEvm
from tests.keeper.risk.books import LIMITS, NOW


class Contracts:
    """Pricer and risk engine; `show` sets what their oracles and venues say. Nothing else of them is replaced."""

    def __init__(self) -> None:
        self._evm = FastEvm()
        self._oracles = self._evm.deploy("tests/keeper/risk/oracles_double.vy")
        self._venues = [self._evm.deploy("tests/keeper/risk/venue_double.vy") for _ in range(4)]
        oracles = self._oracles.address
        self.pricer = self._evm.deploy("contracts/OptionPricer.vy", oracles, oracles, 2, normal_table())
        self.engine = self._evm.deploy("contracts/RiskEngine.vy", DEPLOYER, self.pricer.address, astuple(LIMITS))
        self._cash = 0
        self._listed: list[tuple[str, int]] = []

    def show(self, snapshot: Snapshot) -> None:
        """From now on the contracts see this market, these venues and this time."""
        self._evm.at(snapshot.timestamp)
        slices = [(u, expiry, astuple(v)[:-1], astuple(v.window)) for u, expiry, v in snapshot.surface.slices]
        self._oracles("set", [astuple(r) for r in snapshot.readings], slices)
        self._listed = []
        for double, venue in zip(self._venues, snapshot.venues, strict=False):
            double("set", astuple(venue.state), 0)
            self._listed.append((double.address, venue.state.underlying))
        self._cash = (snapshot.vault.idle - snapshot.vault.owed) * 10**12

    def option_risk(self, book: Sequence[Position]) -> tuple[OptionRisk, ...]:
        """OptionPricer.option_risk."""
        risks = self.pricer("option_risk", [p.slot for p in book])
        return tuple(OptionRisk(*r[:-1], tuple(r[-1])) for r in risks)

    def marks(self, series: Series) -> Marks:
        """OptionPricer.marks."""
        return Marks(*self.pricer("marks", series.id))

    def assess(self, book: Sequence[Position]) -> Assessment:
        """RiskEngine.assess of the shown venues and cash."""
        values = self.engine("assess", [p.slot for p in book], self._listed, self._cash)
        return Assessment(*(tuple(v) if isinstance(v, tuple | list) else v for v in values))

    def check_rebalance(self, before: Assessment, after: Assessment) -> None:
        """RiskEngine.check_rebalance: returns, or raises Reverted."""
        self.engine("check_rebalance", astuple(before), astuple(after))

    def check_fill(
        self,
        before: Assessment,
        after: Assessment,
        book: Sequence[Position],
        series: Series,
        is_sale: bool,
        short_margins: tuple[int, int],
    ) -> None:
        """RiskEngine.check_fill with a venue for each underlying: returns, or raises Reverted."""
        self._evm.at(NOW)
        venues = self._venues[: len(short_margins)]
        for u, (double, margin) in enumerate(zip(venues, short_margins, strict=True)):
            double("set", (u, 0, 0, 0, 0, 0), margin)
        listed = [(double.address, u) for u, double in enumerate(venues)]
        slots = [p.slot for p in book]
        self.engine("check_fill", astuple(before), astuple(after), slots, listed, series.id, is_sale)


@pytest.fixture(scope="session")
def contracts() -> Contracts:
    """Deployed once: every test shows all that the contracts read."""
    return Contracts()
