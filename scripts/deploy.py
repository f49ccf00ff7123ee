"""`ape run deploy --network ...`: `keel deploy` on a network of ape's."""

from keeper.cli import deploy
from scripts._network import on_network

cli = on_network(deploy, "deploy")
