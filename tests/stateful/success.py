"""How often each rule of a state machine succeeded: an invariant test that mostly reverts proves nothing."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boa.contracts.base_evm_contract import BoaError

from tests.contracts.chain import reason

RECORDED = "success rates"  # the property of a test's report
RECORDS = Path(__file__).with_name("success_rates.json")  # of the last long run; docs/security.md shows them
WHOLE = "the whole protocol"
LOWEST_RATE = 0.30
FEWEST_TRIES = 5  # a rule tried less often in a short run says nothing


class SuccessRates:
    """Attempts, successes and reasons of refusal per rule, over all examples of one run."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.succeeded: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str | None]] = Counter()
        self.last_reason: str | None = None

    def attempt(self, rule: str, call: Callable[[], Any]) -> bool:
        """Make the call; a revert counts against the rule and is otherwise ignored."""
        try:
            call()
        except BoaError as error:
            self.last_reason = reason(error)
            self.reasons[rule, self.last_reason] += 1
            self.count(rule, False)
            return False
        self.count(rule, True)
        return True

    def count(self, rule: str, succeeded: bool) -> None:
        self.tried[rule] += 1
        self.succeeded[rule] += succeeded

    def record(self, record_property: Callable[[str, Any], None], suite: str, calls: int = 0) -> None:
        """For the sums at the end of the session. ``calls``: those after which every invariant was checked."""
        sums = {"tried": dict(self.tried), "succeeded": dict(self.succeeded)}
        record_property(RECORDED, {"suite": suite, "calls": calls or self.succeeded.total(), **sums})

    def rate(self, rule: str) -> float:
        return self.succeeded[rule] / self.tried[rule]

    def table(self) -> str:
        lines = [f"{rule:22}{self.succeeded[rule]:7} of {n:6} {self.rate(rule):7.0%}" for rule, n in self.tried.items()]
        lines += [f"  {rule}: {why} ({n})" for (rule, why), n in self.reasons.most_common(12)]
        return "\n".join(lines)

    def too_low(self) -> list[str]:
        """Rules that were tried often enough and mostly failed."""
        return [rule for rule, n in self.tried.items() if n >= FEWEST_TRIES and self.rate(rule) < LOWEST_RATE]
