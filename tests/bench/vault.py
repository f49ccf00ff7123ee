"""The vault that gas and keeper are measured on: six series, accounts, prices and block times fixed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from keeper.domain.series import Series
from keeper.operations.options import fill
from keeper.simulation.fixed_quotes import quote_off_the_mark
from keeper.simulation.fork import Fork
from keeper.simulation.paths import DATA_VARIABLE
from tests.keeper.vault_on_fork import BTC, DEPOSIT, VaultOnFork, account_of, vault_on_fork

_MORE = ((True, 3_200, 1), (False, 2_700, 1), (True, 3_300, 2), (False, 2_900, 2))


@contextmanager
def six_series() -> Iterator[VaultOnFork]:
    """A vault of 2,000,000 USDC that is short 68 options and has no hedge yet."""
    # Always the snapshot: a true mainnet would give other figures every day.
    for variable in ("KEEL_MAINNET_RPC", "KEEL_MAINNET_BLOCK", "KEEL_UPSTREAM"):
        os.environ.pop(variable, None)
    os.environ[DATA_VARIABLE] = ""
    with Fork() as fork:
        vault = vault_on_fork(fork.url, fork.w3, 2 * DEPOSIT)  # room in the gamma band for six series
        vault.market.fund_usdc(account_of("taker").address, DEPOSIT)
        for is_call, strike, weeks in _MORE:
            trade(vault, vault.list_series(is_call=is_call, strike=strike, weeks=weeks), 2, vault_sells=True)
        yield vault


def sell_btc(vault: VaultOnFork) -> None:
    """Two series more: the vault is short a BTC call and put."""
    for is_call, strike in ((True, 95_000), (False, 85_000)):
        series = vault.list_series(is_call=is_call, strike=strike, underlying=BTC)
        trade(vault, series, 0.5, vault_sells=True)


def trade(vault: VaultOnFork, series: Series, units: float, *, vault_sells: bool) -> int:
    """The taker fills a quote 1 % better for the vault than its bound. Returns the gas."""
    quote = quote_off_the_mark(
        vault.w3, vault.deployment, account_of("quoter"), series, units, vault_sells=vault_sells, edge=0.01
    )
    return int(fill(vault.sender("taker"), vault.deployment, quote)["gasUsed"])
