"""`ape run status --network ...`: `keel status` on a network of ape's."""

from keeper.cli import status
from scripts._network import on_network

cli = on_network(status, "status")
