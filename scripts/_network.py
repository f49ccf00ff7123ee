"""A `keel` command as an ape script: the same, on the node that ape's --network names instead of `rpc_url`."""

import os
from typing import Any

import click
from ape.api.providers import ProviderAPI
from ape.cli import ConnectedProviderCommand

from keeper.cli import log_to_terminal, told
from keeper.config import RPC_URL_VARIABLE


def on_network(command: click.Command, name: str) -> click.Command:
    """`command` for `ape run NAME --network ...`.

    A node that runs already is named by its URL, as in `--network ethereum:mainnet:https://...`. Networks that ape
    starts itself, as `mainnet-fork` and `local`, end with the command.
    """

    def run(provider: ProviderAPI | None, **options: Any) -> None:
        log_to_terminal()
        with told():
            if provider is None:  # as of a variable that is not set
                raise click.UsageError("--network is empty: name a network, or the URL of a node.")
            url = provider.http_uri
            if url is None:
                raise click.UsageError(f"The network's provider {provider.name!r} has no http URL.")
            os.environ[RPC_URL_VARIABLE] = url
            assert command.callback is not None
            command.callback(**options)

    text = (command.help or "").replace(f"keel {command.name}", f"ape run {name} --network URL")
    return ConnectedProviderCommand(name, callback=run, params=list(command.params), help=text)
