"""What whoever deployed a vault should know before it is used: odd prices, and a governor of one key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from eth_utils.address import to_checksum_address

from keeper.domain.units import WAD
from keeper.operations.contracts import bind

if TYPE_CHECKING:
    from web3 import Web3

    from keeper.chain.address_book import AddressBook, MarketAddresses
    from keeper.chain.deployments import Deployment

_TWAP_WINDOW: Final = 300  # seconds; PriceOracle's
_AAVE_TOLERANCE: Final = 0.03
_AAVE_UNIT: Final = 10**8


def remarks(w3: Web3, deployment: Deployment, book: AddressBook) -> list[str]:
    """A sentence for a governor of one key, each underlying without a TWAP yet, each that Aave prices otherwise."""
    oracle = bind(w3, deployment, "PriceOracle").functions
    found = []
    governor = deployment.roles["governor"]
    if not w3.eth.get_code(governor):
        found.append(f"The governor {governor} is one key. Where there is money, hand its Governance to a Safe.")
    for underlying, market in enumerate(book.markets):
        price, twap, _, _ = oracle.read(underlying).call()
        if twap == 0:
            found.append(_without_twap(w3, market))
        aave = _view(w3, book.aave_oracle, "getAssetPrice", [market.token], ["address"], "uint256")[0] / _AAVE_UNIT
        if abs(aave / (price / WAD) - 1) > _AAVE_TOLERANCE:
            found.append(
                f"Aave's oracle says {aave:,.2f} USD for {market.symbol}, Chainlink {price / WAD:,.2f} USDC: shorts are"
                " marked at Chainlink's price, and post collateral at Aave's."
            )
    return found


def _without_twap(w3: Web3, market: MarketAddresses) -> str:
    """An oldest observation younger than the window is all that a new pool has."""
    since = _view(w3, market.pools[0], "observations", [0], ["uint256"], "uint32", "int56", "uint160", "bool")[0]
    ready = datetime.fromtimestamp(since + _TWAP_WINDOW, UTC)
    return (
        f"{market.symbol}: the pool {market.pools[0]} has no five-minute TWAP yet, so that its price is in doubt and"
        f" margin is half as high again. If the pool is new, wait until {ready:%H:%M:%S} UTC before you use the vault."
    )


def _view(w3: Web3, address: str, name: str, args: list[Any], inputs: list[str], *outputs: str) -> tuple[Any, ...]:
    entry = {
        "type": "function",
        "name": name,
        "stateMutability": "view",
        "inputs": [{"name": f"in{i}", "type": kind} for i, kind in enumerate(inputs)],
        "outputs": [{"name": f"out{i}", "type": kind} for i, kind in enumerate(outputs)],
    }
    answer = w3.eth.contract(address=to_checksum_address(address), abi=[entry]).functions[name](*args).call()
    return tuple(answer) if len(outputs) > 1 else (answer,)
