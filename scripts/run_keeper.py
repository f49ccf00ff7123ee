"""`ape run run_keeper --network ...`: `keel run` on a network of ape's."""

from keeper.cli import run
from scripts._network import on_network

cli = on_network(run, "run_keeper")
