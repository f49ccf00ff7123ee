"""`ape run redeem --network ...`: `keel redeem` on a network of ape's."""

from keeper.cli import redeem
from scripts._network import on_network

cli = on_network(redeem, "redeem")
