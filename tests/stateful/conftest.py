"""The fixtures of the contract suites: real protocols in titanoboa on revm. At the end, success rates."""

import json
import os
from collections import Counter, defaultdict

import pytest

from tests.contracts.conftest import market
from tests.contracts.properties.conftest import empty_vaults
from tests.stateful.success import RECORDED, RECORDS, WHOLE, SuccessRates

__all__ = ["empty_vaults", "market"]

LEAST = 1_000_000  # invariant calls of the whole protocol in `make stress`
IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "stress"
_calls: Counter[str] = Counter()
_rates: defaultdict[str, SuccessRates] = defaultdict(SuccessRates)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what the tests of a suite have recorded; with -n it comes here from the workers."""
    for name, value in report.user_properties if report.when == "call" else []:
        if name == RECORDED:
            suite = value["suite"]
            _calls[suite] += value["calls"]
            _rates[suite].tried.update(value["tried"])
            _rates[suite].succeeded.update(value["succeeded"])


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or not IS_LONG or session.exitstatus != pytest.ExitCode.OK:
        return
    if 0 < _calls[WHOLE] < LEAST:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return
    known = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    for suite, rates in _rates.items():
        rules = {rule: [rates.succeeded[rule], n] for rule, n in sorted(rates.tried.items())}
        known[suite] = {"calls": _calls[suite], "rules": rules}
    RECORDS.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for suite, rates in _rates.items():
        terminalreporter.section(suite)
        terminalreporter.line(rates.table())
        terminalreporter.line(f"{rates.succeeded.total():,} of {rates.tried.total():,} steps succeeded")
        terminalreporter.line(f"{_calls[suite]:,} invariant calls")
