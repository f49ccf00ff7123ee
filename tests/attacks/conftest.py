"""The fixtures of the contract suites: real Uniswap, Aave, Chainlink and USDC of the mainnet snapshot, on revm."""

from tests.contracts.conftest import (
    _two_underlyings,
    both,
    deployed,
    funded,
    hedged,
    market,
    protocol,
    series,
    sold,
    stages,
)

__all__ = [
    "_two_underlyings",
    "both",
    "deployed",
    "funded",
    "hedged",
    "market",
    "protocol",
    "series",
    "sold",
    "stages",
]
