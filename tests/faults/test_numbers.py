"""Every fault of the keeper in RELIABILITY has its test, found by its number."""

import ast
import re
from pathlib import Path

from keeper.simulation.paths import PROJECT

_NUMBERS = re.compile(r"[Ff]aults? (\d+(?:(?:,| and| to|, and) \d+)*)")


def numbers_of(tree: ast.Module) -> set[int]:
    """The faults that the docstrings of a file's tests name."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for said in _NUMBERS.findall(ast.get_docstring(node) or ""):
                found.update(map(int, re.findall(r"\d+", said)))
    return found


def test_every_fault_of_the_keeper_has_a_test_with_its_number() -> None:
    files: list[Path] = [*(PROJECT / "tests/faults").rglob("test_*.py"), *(PROJECT / "tests/keeper").rglob("test_*.py")]

    covered = set().union(*(numbers_of(ast.parse(file.read_text())) for file in files))

    assert covered >= set(range(1, 23))
