"""`make pictures`: draw the pictures of docs/quant.md anew. What needs recorded data says so without them."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

# As in tests/bench: a dependency installs a package called `tests`.
_TESTS = types.ModuleType("tests")
_TESTS.__path__ = [str(Path(__file__).resolve().parents[1])]
sys.modules["tests"] = _TESTS
sys.path[0] = str(Path(__file__).resolve().parents[2])


def main() -> None:
    """All, or those whose names are given."""
    pictures = importlib.import_module("tests.pictures.pictures")
    for name in sys.argv[1:] or pictures.ALL:
        print(pictures.write(name), flush=True)


main()
