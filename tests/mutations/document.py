"""docs/security.md: which tests name each row, and what they say without their guards."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from pathlib import Path

from tests.mutations import guards
from tests.stateful.success import RECORDS

DOCUMENT = guards.PROJECT / "docs" / "security.md"
_BEGIN, _END = "<!-- made by `make mutants`: do not edit below -->", "<!-- end -->"
_NUMBER = r"A?\d+"
_NAMED = re.compile(rf"\b(?:[Ii]nvariant|[Aa]ttack)s? ({_NUMBER}(?:(?:, | and | or |, and | to ){_NUMBER})*)")
_RANGE = re.compile(rf"({_NUMBER}) to ({_NUMBER})")


def write() -> None:
    """Put what is true now between the marks."""
    DOCUMENT.write_text(_with(tables()))


def is_up_to_date() -> bool:
    return DOCUMENT.read_text() == _with(tables())


def _with(text: str) -> str:
    before, _, rest = DOCUMENT.read_text().partition(_BEGIN)
    return f"{before}{_BEGIN}\n\n{text}\n{_END}{rest.partition(_END)[2]}"


def rows_in(text: str) -> set[str]:
    """The numbers that a docstring names: "Invariants 1, 19 and 47.", "Rows 1 to 11", "Attack A6."."""
    found: set[str] = set()
    for listed in _NAMED.findall(text):
        for first, last in _RANGE.findall(listed):
            letter = "A" if first.startswith("A") else ""
            found |= {f"{letter}{n}" for n in range(int(first.lstrip("A")), int(last.lstrip("A")) + 1)}
        found |= set(re.findall(_NUMBER, listed))
    return found


def naming_tests() -> dict[str, set[str]]:
    """Files of tests by the rows that a docstring in them names."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in sorted((guards.PROJECT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                for row in rows_in(ast.get_docstring(node) or ""):
                    found[row].add(str(file.relative_to(guards.PROJECT)))
    return found


def tables() -> str:
    naming, every = naming_tests(), [guard for name in guards.lists() for guard in guards.read(name)]
    lines = []
    for title, is_attack in (("Invariants", False), ("Attacks", True)):
        lines += [f"## {title}", "", "| no. | what holds | tests |" if not is_attack else "| no. | attack | tests |"]
        lines += ["|---|---|---|"]
        for row, statement in guards.statements().items():
            if row.startswith("A") == is_attack:
                tests = "<br>".join(_link(file) for file in sorted(naming[row]))
                lines.append(f"| {row} | {statement} | {tests} |")
        lines.append("")
    lines += ["## Guards", "", "| rows | guard | test | what it said without the guard |", "|---|---|---|---|"]
    for guard in sorted(every, key=lambda g: (g.contract, g.text)):
        file, _, name = guard.test.partition("::")
        rows = ", ".join(guard.rows)
        where = f"{guard.contract}: {_code(guard.text)}"
        instead = "" if guard.without.strip() in ("", "pass") else f" → {_code(guard.without)}"
        said = _code(guard.said) if guard.said else "*not run yet*"
        lines.append(f"| {rows} | {where}{instead} | [{name}](../{file}) | {said} |")
    return "\n".join([*lines, "", *_success_rates()]) + "\n"


def _success_rates() -> list[str]:
    """What the suites of tests/stateful did in the last `make stress`."""
    lines = ["## How often each rule succeeded", ""]
    for suite, found in json.loads(RECORDS.read_text()).items():
        lines += [f"{suite[0].upper()}{suite[1:]}: {found['calls']:,} calls, every invariant checked after each.", ""]
        lines += ["| rule | succeeded | of | |", "|---|---:|---:|---:|"]
        lines += [f"| {rule} | {n:,} | {of:,} | {n / of:.0%} |" for rule, (n, of) in found["rules"].items()]
        lines.append("")
    return lines[:-1]


def _link(file: str) -> str:
    return f"[{Path(file).relative_to('tests')}](../{file})"


def _code(text: str) -> str:
    """Text of any kind in one cell of a table."""
    flat = " ".join(text.split()).replace("|", "\\|")
    return f"`` {flat} ``" if "`" in flat else f"`{flat}`"
