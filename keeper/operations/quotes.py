"""Quotes that the vault's quoter signs: made of the snapshot by `keeper.quoting`, or of terms that somebody gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keeper.chain.option_quotes import ANYONE, SPOT_TOLERANCE, Quote, Signatory, SignedQuote, sign_quote
from keeper.domain.policy import Policy
from keeper.domain.series import Series
from keeper.domain.units import SIZE_UNIT, to_wad
from keeper.errors import KeelError
from keeper.market.history import History
from keeper.market.option_book import read_option_book
from keeper.market.reader import read_snapshot
from keeper.quoting import terms
from keeper.quoting.past import view_of
from keeper.quoting.quote import inside, quote
from keeper.quoting.terms import Refusal, Request
from keeper.quoting.view import MarketSurface

if TYPE_CHECKING:
    from web3 import Web3

    from keeper.chain.deployments import Deployment
    from keeper.chain.rpc import Connection


@dataclass(frozen=True, slots=True)
class Offer:
    """A signed quote, what its price is made of, and what the view behind it lacked, in words."""

    signed: SignedQuote
    made: terms.Quote
    caveat: str


class Quoter:
    """Makes quotes of a vault: each from a snapshot of the newest block, by one policy.

    Args:
        market: Surfaces by underlying where somebody looks at a market; the posted ones elsewhere.
    """

    def __init__(
        self,
        connection: Connection,
        deployment: Deployment,
        account: Signatory,
        policy: Policy,
        market: Mapping[int, MarketSurface] | None = None,
    ) -> None:
        self._connection, self._deployment, self._account = connection, deployment, account
        self._policy, self._market = policy, market
        self._history = History(deployment)

    def make_quote(
        self, series: Series, size: float, *, vault_sells: bool = True, taker: str = ANYONE, nonce: int = 0
    ) -> Offer:
        """Price ``size`` units, or as many of them as the contracts let stand, and sign that.

        Raises:
            KeelError: the vault makes no quote, and why; or the chain cannot be read.
        """
        connection, deployment = self._connection, self._deployment
        block = connection.header()
        self._history.closes(connection, block, block.timestamp)  # the first time takes seconds of the quote's life
        block = connection.header()
        snapshot = read_snapshot(connection, deployment, self._account.address, block.hash, self._history)
        option_book, _ = read_option_book(connection, deployment, block, len(snapshot.readings))
        view = view_of(snapshot, option_book, self._policy, self._market)
        made = quote(Request(series, vault_sells, to_wad(size)), snapshot, view, self._policy)
        if isinstance(made, Refusal):
            raise KeelError(
                f"The vault makes no quote for {size:.9g} {series.label}: {made.reason}.",
                kept="Nothing was signed.",
                todo="`keel status` shows the book and its limits.",
            )
        made = inside(made, option_book)
        signed = sign(
            connection.w3,
            deployment,
            self._account,
            series,
            made.size_wad,
            made.price_wad,
            view.lines[series].marks.spot,
            vault_sells=vault_sells,
            taker=taker,
            nonce=nonce,
        )
        return Offer(signed, made, view.caveat)


def sign(
    w3: Web3,
    deployment: Deployment,
    account: Signatory,
    series: Series,
    size_wad: int,
    price_wad: int,
    spot_wad: int,
    *,
    vault_sells: bool = True,
    taker: str = ANYONE,
    nonce: int = 0,
) -> SignedQuote:
    """Sign a quote on given terms, good from the newest block for `terms.LIFE` while spot stays near ``spot_wad``."""
    given = Quote(
        series=series.id,
        vault_sells=vault_sells,
        price=price_wad,
        size=size_wad // SIZE_UNIT * SIZE_UNIT,
        taker=taker,
        deadline=w3.eth.get_block("latest")["timestamp"] + terms.LIFE,
        nonce=nonce,
        reference_spot=spot_wad,
        spot_tolerance=SPOT_TOLERANCE,
    )
    return sign_quote(given, deployment, account)
