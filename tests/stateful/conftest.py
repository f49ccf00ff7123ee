"""The fixtures of the contract suites: real protocols in titanoboa on revm. At the end, the sums over all shards."""

import os
from collections import Counter

import pytest

from tests.contracts.conftest import market
from tests.contracts.properties.conftest import empty_vaults
from tests.stateful.success import SuccessRates

__all__ = ["empty_vaults", "market"]

LEAST = 1_000_000  # invariant calls of the whole protocol in `make stress`
_totals: Counter[str] = Counter()
_rates = SuccessRates()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a shard of tests/stateful/protocol has recorded; with -n it comes here from the workers."""
    for name, value in report.user_properties if report.when == "call" else []:
        if name == "invariant calls":
            _totals["calls"] += value["calls"]
            _totals["shards"] += 1
            _rates.tried.update(value["tried"])
            _rates.succeeded.update(value["succeeded"])


def pytest_sessionfinish(session: pytest.Session) -> None:
    is_controller = not hasattr(session.config, "workerinput")
    if is_controller and os.environ.get("HYPOTHESIS_PROFILE") == "stress" and 0 < _totals["calls"] < LEAST:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _totals["calls"]:
        tried, done = sum(_rates.tried.values()), sum(_rates.succeeded.values())
        terminalreporter.section("the whole protocol")
        terminalreporter.line(_rates.table())
        terminalreporter.line(f"{done:,} of {tried:,} steps succeeded, refusals that had to be among them")
        terminalreporter.line(f"{_totals['calls']:,} invariant calls in {_totals['shards']} shards")
