"""`make coverage`: what the tests have reached of contracts/, by file. Fails below FLOOR of branches or statements."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import types
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

# A dependency installs a package called `tests`; ours has none of the __init__.py that would go before it.
_TESTS = types.ModuleType("tests")
_TESTS.__path__ = [str(Path(__file__).resolve().parents[1])]
sys.modules["tests"] = _TESTS
sys.path[0] = str(Path(__file__).resolve().parents[2])

_CONTRACTS = Path(sys.path[0]) / "contracts"
FLOOR = 97  # per cent
_WIDTH = 28


def main() -> None:
    parser = argparse.ArgumentParser(prog="make coverage", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the tests have written what they reached")
    found = _read(parser.parse_args().folder)
    everything = _everything()
    files: dict[str, set[tuple[str, int, int, str]]] = defaultdict(set)
    for fact in everything:
        files[fact[0]].add(fact)
    print(f"{'':{_WIDTH}}{'statements':>12}{'missed':>8}{'branches':>10}{'missed':>8}{'':6}missing")
    for file, facts in sorted(files.items()):
        _show(file, facts, found)
    shares = _show("all", everything, found, places=False)
    print("A branch is one way of an if, a conditional expression or an assert, constructors included.", flush=True)
    if min(shares) < FLOOR:
        sys.exit(f"below {FLOOR} %")


def _everything() -> set[tuple[str, int, int, str]]:
    load = importlib.import_module("tests.contracts.protocol").load
    compiled = importlib.import_module("tests.coverage.search").compiled
    deployables = [path for path in sorted(_CONTRACTS.rglob("*.vy")) if path.parent.name != "modules"]
    names = [str(path.relative_to(_CONTRACTS).with_suffix("")) for path in deployables]
    return {tuple(fact) for name in names for fact in compiled(load(name).compiler_data).facts}


def _read(folder: Path) -> set[tuple[str, int, int, str]]:
    return {tuple(fact) for path in folder.glob("*.json") for fact in json.loads(path.read_text())}


def _show(
    name: str, facts: set[tuple[str, int, int, str]], found: set[tuple[str, int, int, str]], places: bool = True
) -> tuple[float, float]:
    """One row of the table. Returns the shares of statements and of branches reached, in per cent."""
    statements = {fact for fact in facts if fact[3] == "runs"}
    branches = facts - statements
    row, shares = f"{name:{_WIDTH}}", []
    for kind, width in ((statements, 12), (branches, 10)):
        missed = len(kind - found)
        shares.append(100 * (1 - missed / len(kind)) if kind else 100.0)
        row += f"{len(kind):{width}}{missed:8}"
    missing = _places(facts - found) if places else f"{shares[0]:.1f} % and {shares[1]:.1f} %"
    print(f"{row}      {missing}".rstrip())
    return shares[0], shares[1]


def _places(missed: Iterable[tuple[str, int, int, str]]) -> str:
    """Lines, those of branches with the way that none has gone."""
    return ", ".join(
        str(line) if what == "runs" else f"{line} {what}"
        for _, line, _, what in sorted(missed, key=lambda fact: fact[1:])
    )


main()
