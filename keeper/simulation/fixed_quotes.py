"""Quotes a fixed share off the contracts' marks: for stories and tests in which the vault's own price is no matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper.chain.option_quotes import SignedQuote
from keeper.domain.series import Series
from keeper.domain.units import WAD, to_wad
from keeper.operations.contracts import bind
from keeper.operations.quotes import sign

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

    from keeper.chain.deployments import Deployment


def quote_off_the_mark(
    w3: Web3,
    deployment: Deployment,
    quoter: LocalAccount,
    series: Series,
    size: float,
    *,
    edge: float,
    vault_sells: bool = True,
    nonce: int = 0,
) -> SignedQuote:
    """Signed, of ``size`` units, better for the vault by the share ``edge`` than the mark that bounds it."""
    bid, _, ask, spot, *_ = bind(w3, deployment, "OptionPricer").functions.marks(series.id).call()
    price = ask * to_wad(1 + edge) // WAD + 1 if vault_sells else bid * to_wad(1 - edge) // WAD
    return sign(w3, deployment, quoter, series, to_wad(size), price, spot, vault_sells=vault_sells, nonce=nonce)
