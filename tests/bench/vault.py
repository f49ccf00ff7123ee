"""The vaults that gas and keeper are measured on: six series, or as many as there can be, all else fixed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from keeper.domain.series import WEEK, Series, next_expiry
from keeper.domain.units import DAY, HOUR, to_wad
from keeper.operations.options import fill, post_vol
from keeper.simulation.contract_calls import call_data
from keeper.simulation.driver import MarketDriver
from keeper.simulation.fixed_quotes import quote_off_the_mark
from keeper.simulation.fork import Fork
from keeper.simulation.paths import DATA_VARIABLE
from tests.keeper.vault_on_fork import BTC, BTC_SPOT, DEPOSIT, ETH, SPOT, VOL, VaultOnFork, account_of, vault_on_fork

_MORE = ((True, 3_200, 1), (False, 2_700, 1), (True, 3_300, 2), (False, 2_900, 2))


@contextmanager
def six_series() -> Iterator[VaultOnFork]:
    """A vault of 2,000,000 USDC that is short 68 options and has no hedge yet."""
    _use_the_snapshot()
    with Fork() as fork:
        vault = vault_on_fork(fork.url, fork.w3, 2 * DEPOSIT)  # room in the gamma band for six series
        vault.market.fund_usdc(account_of("taker").address, DEPOSIT)
        for is_call, strike, weeks in _MORE:
            trade(vault, vault.list_series(is_call=is_call, strike=strike, weeks=weeks), 2, vault_sells=True)
        yield vault


@contextmanager
def full_book() -> Iterator[VaultOnFork]:
    """A vault of 4,000,000 USDC with 32 series, which is all that it can have: short ETH and BTC, four expiries, no
    hedge yet. Both feeds have a past of 180 days."""
    _use_the_snapshot()
    with Fork() as fork:
        _live_through(MarketDriver(fork.w3))
        vault = vault_on_fork(fork.url, fork.w3, 4 * DEPOSIT)
        vault.market.fund_usdc(account_of("taker").address, 4 * DEPOSIT)
        for underlying, spot, step, units, room in ((ETH, SPOT, 150, 16, 14), (BTC, BTC_SPOT, 5_000, 0.8, 16)):
            each = itertools.product((1, 2), (1, 2, 3, 4), (True, False))
            for away, week, is_call in itertools.islice(each, room):  # of ETH there are two already
                strike = spot + (away if is_call else -away) * step
                series = _listed(vault, is_call, strike, week, underlying)
                trade(vault, series, units if is_call else units / 2, vault_sells=True)
        yield vault


def _listed(vault: VaultOnFork, is_call: bool, strike: int, weeks: int, underlying: int) -> Series:
    """By the governor: the last four slots are not the keeper's."""
    expiry = next_expiry(vault.now() + DAY) + (weeks - 1) * WEEK
    post_vol(vault.sender("vol_poster"), vault.deployment, underlying, expiry, VOL)
    market, governance = vault.market, vault.deployment.address("Governance")
    market.rpc.call("anvil_impersonateAccount", governance)
    market.fund_eth(governance, 10**18)
    terms = (underlying, is_call, expiry, to_wad(strike))
    data = call_data("list_series(uint256,bool,uint256,uint256)", *terms)
    listing = {"from": governance, "to": vault.deployment.address("OptionBook"), "data": data}
    receipt = vault.w3.eth.wait_for_transaction_receipt(market.rpc.call("eth_sendTransaction", listing))
    assert receipt["status"] == 1, terms
    return Series.from_slot(vault.read("OptionBook", "series_id", *terms))


def _use_the_snapshot() -> None:
    """Always: a true mainnet would give other figures every day."""
    for variable in ("KEEL_MAINNET_RPC", "KEEL_MAINNET_BLOCK", "KEEL_UPSTREAM"):
        os.environ.pop(variable, None)
    os.environ[DATA_VARIABLE] = ""


def _live_through(market: MarketDriver, days: int = 180) -> None:
    """A past that leads to the present prices: two rounds a day."""
    moves = np.random.default_rng(11).standard_t(5, size=(days, 2)) * 0.03
    first = market.timestamp() // DAY * DAY + DAY
    for day, (eth, btc) in enumerate(np.array([SPOT, BTC_SPOT]) * np.exp(-np.cumsum(moves[::-1], axis=0))[::-1]):
        for hour, factor in ((6, 1.01), (20, 1.0)):
            prices = {"ETH": float(eth) * factor, "BTC": float(btc) * factor}
            market.step(prices, timestamp=first + day * DAY + hour * HOUR, pools=False)
    market.warp(8 * HOUR)


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
