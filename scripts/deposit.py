"""`ape run deposit --network ...`: `keel deposit` on a network of ape's."""

from keeper.cli import deposit
from scripts._network import on_network

cli = on_network(deposit, "deposit")
