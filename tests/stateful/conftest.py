"""The fixtures of the contract suites: real protocols in titanoboa on revm."""

from tests.contracts.conftest import market
from tests.contracts.properties.conftest import empty_vaults

__all__ = ["empty_vaults", "market"]
