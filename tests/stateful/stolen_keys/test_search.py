"""Attack A29: nobody finds a day that costs more than the published bound, nor more than its part in any channel.

By greed, by cross-entropy and by any sequence of plays. `make stress` looks for longer.
"""

import contextlib
import re
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.stateful.stolen_keys.bound import bound, excess, published
from tests.stateful.stolen_keys.heist import Heist
from tests.stateful.stolen_keys.plays import PLAYS, Play
from tests.stateful.stolen_keys.search import cross_entropy, greedy, tried
from tests.stateful.success import SuccessRates

_LONG = settings.default.max_examples > 100
pytestmark = pytest.mark.timeout(4 * 3600)  # the long run
# A play that a budget has ended has not failed, nor one of which too little is left for a fill, nor one that waits
# until a breach is mended.
_ENDS = {
    "budget: exhausted",
    "rebalance: turnover",
    "fill: vega traded",
    "quote: below minimum fill",
    "breaker: deposits of a day",
    "breaker: exits of a day",
    "vol: too fast",
    "vol: carry too fast",
    "risk: no breach improves",
}
_PUBLISHED = Path(__file__).parents[3] / "docs" / "stolen_keys.md"
_LONG_DAYS = settings(stateful_step_count=60)
_SHORT_DAYS = settings(stateful_step_count=30, max_examples=8)


def test_the_deployed_parameters_give_what_is_published(new_vault):
    most = bound(new_vault, underlyings=2)

    table = re.findall(r"^\|.*\| \**([\d.]+)\** \|[^|]*\|$", _PUBLISHED.read_text(), re.MULTILINE)

    per_cent = [100 * share for share in (*most.values(), sum(most.values()))]
    assert [float(entry) for entry in table] == pytest.approx(per_cent, abs=0.002)
    assert sum(most.values()) <= 0.0190


def _within(heist: Heist) -> None:
    assert excess(heist) == {}, heist.by_channel


@pytest.mark.parametrize("vault", ["new", "busy"] if _LONG else ["new"])
def test_a_greedy_thief_stays_within_the_bound(vaults, vault):
    heist = Heist(vaults[vault])

    story = greedy(heist, stops=5 if _LONG else 1, looks=150 if _LONG else 48, deep=_LONG, check=_within)

    print("\n".join([*story, f"{heist.lost:.3%} of NAV lost, {published(heist.protocol):.3%} published"]))
    assert heist.lost <= published(heist.protocol)
    assert heist.lost >= published(heist.protocol) * 0.3


@pytest.mark.parametrize("vault", ["new", "busy"] if _LONG else ["busy"])
def test_cross_entropy_finds_no_day_beyond_the_bound(vaults, vault):
    heist = Heist(vaults[vault])
    generations, population = (25, 40) if _LONG else (2, 6)

    lost, schedule = cross_entropy(heist, 24 if _LONG else 10, generations, population, seed=29, check=_within)

    print(f"{lost:.3%} of NAV lost, {published(heist.protocol):.3%} published: {schedule}")
    assert 0 < lost <= published(heist.protocol)


class Day(RuleBasedStateMachine):
    """Any sequence of plays and pauses; ``heist`` is set by the test."""

    heist: Heist
    rates: ClassVar[SuccessRates]

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.now = self.stack.enter_context(tried(self.heist))

    def teardown(self) -> None:
        self.stack.close()

    @rule(play=st.sampled_from(PLAYS), size=st.floats(0.05, 1.0))
    def play(self, play: Play, size: float) -> None:
        if self.now.is_over:
            return
        worked = play(self.now, size)
        if worked or (worked is not None and self.now.last_refusal not in _ENDS):
            self.rates.count(play.__name__, worked)

    @rule(minutes=st.integers(1, 300))
    def wait(self, minutes: int) -> None:
        self.now.wait(minutes * 60)

    @invariant()
    def stays_within_the_bound(self) -> None:
        _within(self.now)


def test_no_sequence_of_plays_costs_more_than_the_bound(vaults, record_property):
    Day.heist, Day.rates = Heist(vaults["busy"]), SuccessRates()

    run_state_machine_as_test(Day, settings=_LONG_DAYS if _LONG else _SHORT_DAYS)

    Day.rates.record(record_property, "stolen keys")
    assert Day.rates.too_low() == []
