"""What OptionBook asks of a fill's size, read at one block."""

from __future__ import annotations

from collections.abc import Sequence

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.quoting.view import OptionBookState


def read_option_book(
    connection: Connection, deployment: Deployment, block: Header, underlyings: int, digests: Sequence[bytes] = ()
) -> tuple[OptionBookState, dict[bytes, int]]:
    """What it asks of a fill, and units (WAD) filled of quotes, by digest.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: it cannot be read at that block.
    """
    batch, address = Batch(), deployment.address("OptionBook")
    listings = [batch.add("OptionBook", address, function("OptionBook", "listings"), u) for u in range(underlyings)]
    budget = batch.add("OptionBook", address, function("OptionBook", "vega_budget"))
    fills = {digest: batch.add("OptionBook", address, function("OptionBook", "filled"), digest) for digest in digests}
    batch.run(connection, block)
    min_fill = tuple(listing.value[1] for listing in listings)
    filled = {digest: fill.value for digest, fill in fills.items()}
    return OptionBookState(min_fill, budget.value), filled
