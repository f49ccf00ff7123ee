"""`make bench`: measure, print the tables, write out/bench.json. `make gas` only compares with .gas-snapshot."""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from pathlib import Path

# A dependency installs a package called `tests`; ours has none of the __init__.py that would go before it.
_TESTS = types.ModuleType("tests")
_TESTS.__path__ = [str(Path(__file__).resolve().parents[1])]
sys.modules["tests"] = _TESTS
sys.path[0] = str(Path(__file__).resolve().parents[2])  # instead of this folder, whose keeper.py is not the package

GROUPS = {"gas": ("gas",), "keeper": ("keeper", "quotes_server"), "quant": ("quant",)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=GROUPS, help="one group instead of all")
    parser.add_argument("--gas-diff", action="store_true", help="compare with .gas-snapshot, and nothing else")
    parser.add_argument("--gas-update", action="store_true", help="write .gas-snapshot anew")
    arguments = parser.parse_args()
    if arguments.gas_diff or arguments.gas_update:
        gas = importlib.import_module("tests.bench.gas")
        gas.compare(gas.measure(), update=arguments.gas_update)
        return
    results = importlib.import_module("tests.bench.results")
    rows = []
    for group in [arguments.only] if arguments.only else GROUPS:
        found = [one for name in GROUPS[group] for one in importlib.import_module(f"tests.bench.{name}").run()]
        results.show(group, found)
        rows += found
    results.write(rows)


main()
