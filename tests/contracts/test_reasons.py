"""Every reason that a contract can revert with is reached by a test that names it."""

import ast
import re
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
_REASON = re.compile(r'"([a-z]+: [^"]+)"')
_RAISES = re.compile(r'^\s*(assert .*"|raise "|return "(?:margin|risk): )')


def _reasons_in_contracts() -> dict[str, str]:
    """Each reason and where it is first given."""
    found: dict[str, str] = {}
    for source in sorted((_PROJECT / "contracts").rglob("*.vy")):
        for number, line in enumerate(source.read_text().splitlines(), start=1):
            if _RAISES.match(line):
                for reason in _REASON.findall(line):
                    found.setdefault(reason, f"{source.relative_to(_PROJECT)}:{number}")
    return found


def _strings_in_tests() -> set[str]:
    """Every string literal of the unit tests, docstrings left out."""
    strings = set()
    for source in (_PROJECT / "tests" / "contracts").rglob("test_*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.add(node.value)
    return strings


def test_every_assert_gives_a_reason():
    for source in (_PROJECT / "contracts").rglob("*.vy"):
        for number, line in enumerate(source.read_text().splitlines(), start=1):
            is_bare = re.match(r"^\s*assert ", line) and not _REASON.search(line)
            # check_fill and check_rebalance revert with reasons of their own; _reason(i) returns them
            delegated = "RISK.check_" in line or "self._reason(" in line
            assert not is_bare or delegated, f"{source.relative_to(_PROJECT)}:{number} has no reason"


def test_every_reason_is_named_by_a_unit_test():
    named = _strings_in_tests()
    missing = {reason: where for reason, where in _reasons_in_contracts().items() if reason not in named}
    assert not missing, "\n".join(f"{where}: {reason!r}" for reason, where in missing.items())


def test_reasons_are_found_at_all():
    reasons = _reasons_in_contracts()
    assert len(reasons) > 90
    assert "margin: gap insolvent" in reasons
    assert "fixing: no previous round" in reasons
