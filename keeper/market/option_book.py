"""What OptionBook asks of a fill's size, read at one block."""

from __future__ import annotations

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.quoting.view import OptionBookState


def read_option_book(
    connection: Connection, deployment: Deployment, block: Header, underlyings: int
) -> OptionBookState:
    """
    Raises:
        SnapshotError, RpcError, RpcUnavailableError: it cannot be read at that block.
    """
    batch, address = Batch(), deployment.address("OptionBook")
    listings = [batch.add("OptionBook", address, function("OptionBook", "listings"), u) for u in range(underlyings)]
    budget = batch.add("OptionBook", address, function("OptionBook", "vega_budget"))
    batch.run(connection, block)
    return OptionBookState(tuple(min_fill for _, min_fill in (listing.value for listing in listings)), budget.value)
