"""`keel options`: what takers, makers and quoters do, with settings, a key and a node. Quotes travel as JSON files."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from keeper.chain.maker_offers import MakerOffer, offer_to_json, sign_offer
from keeper.chain.option_quotes import ANYONE, Quote, SignedQuote, to_json
from keeper.domain.times import utc_second
from keeper.domain.units import USDC, WAD, to_wad
from keeper.errors import ConfigError, KeelError
from keeper.operations import options
from keeper.operations.people import Ask, acting, event_of, node_may_go, positive
from keeper.operations.quotes import Quoter
from keeper.operations.session import open_session
from keeper.operations.surface import calibrated
from keeper.quoting.terms import made_of
from keeper.quoting.view import MarketSurface

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from pathlib import Path

    from web3.types import TxReceipt

    from keeper.chain.deployments import Deployment
    from keeper.chain.sender import Sender
    from keeper.config import Settings

_NOTHING: Final = "Nothing was sent."
_LARGEST_FILE: Final = 10_000  # bytes


def quote(
    settings: Settings,
    label: str,
    size: Decimal,
    nonce: int,
    *,
    vault_sells: bool,
    market: Path | None = None,
    ask: Ask = None,
) -> dict[str, Any]:
    """Make a quote by the settings' policy and sign it as the configured key: for a file, with the parts of its price.

    Args:
        market: A fresh option chain of the series' underlying, to price by instead of the posted surface.

    Raises:
        KeelError: there is no such series, or no quote; or of the kind of whatever stands in the way.
    """
    units = float(positive(size, decimals=9))
    if not 0 <= nonce < 2**256:
        raise ConfigError("--nonce is not below zero.", kept=_NOTHING)
    session = open_session(settings)
    with node_may_go():
        series = options.series_of(session.connection.w3, session.deployment, label)
        surfaces = {}
        if market is not None:
            chain, found = calibrated(market, session.connection.header().timestamp)
            surfaces[series.underlying] = MarketSurface.of_calibration(found, chain.quoted_at)
        quoter = Quoter(session.connection, session.deployment, session.account(ask), settings.policy, surfaces)
        offer = quoter.make_quote(series, units, vault_sells=vault_sells, nonce=nonce)
    return to_json(offer.signed, session.deployment) | made_of(offer.made, offer.caveat)


def offer(
    settings: Settings,
    label: str,
    size: Decimal,
    price: Decimal,
    least: Decimal,
    minutes: int,
    *,
    vault_sells: bool,
    ask: Ask = None,
) -> dict[str, Any]:
    """Sign what a maker offers the vault, for `POST /offers` of its keeper; a size of 0 takes it back.

    Args:
        price: USDC per unit.
        minutes: For which it stands.

    Raises:
        KeelError: there is no such series; or of the kind of whatever stands in the way.
    """
    units, fewest = (to_wad(positive(amount, decimals=9)) if amount else 0 for amount in (size, least))
    session = open_session(settings)
    with node_may_go():
        series = options.series_of(session.connection.w3, session.deployment, label)
        account, now = session.account(ask), session.connection.header().timestamp
    made = MakerOffer(
        series=series.id,
        vault_sells=vault_sells,
        price=to_wad(positive(price, decimals=18)),
        size=units,
        min_fill=min(fewest, units),
        maker=str(account.address),
        deadline=now + 60 * minutes,
        nonce=time.time_ns() // 1_000_000,  # rises, whatever machine signs
    )
    return {"offer": offer_to_json(made), "signature": "0x" + sign_offer(made, session.deployment, account).hex()}


def fill(settings: Settings, path: Path, ask: Ask = None) -> str:
    """Trade the quote of a file in full. Returns what to tell. Raises KeelError."""
    return _trade(settings, path, options.fill, ask)


def write(settings: Settings, path: Path, ask: Ask = None) -> str:
    """Write the options of a file's quote to the vault. Returns what to tell. Raises KeelError."""
    return _trade(settings, path, options.write, ask)


def claim(settings: Settings, label: str, ask: Ask = None) -> str:
    """Claim what a settled series pays to the configured key. Returns what to tell. Raises KeelError."""
    with acting(settings, ask) as (sender, deployment):
        receipt = options.claim(sender, deployment, options.series_of(sender.w3, deployment, label))
        args = event_of(sender, deployment, receipt, "ClearingHouse", "Claimed")
    return f"{args['amount'] / USDC:,.6f} USDC for {args['size'] / WAD:,.9g} {label.upper()} in {_where(receipt)}"


def take_back(settings: Settings, label: str, ask: Ask = None) -> str:
    """Return the configured key's collateral of a settled series. Returns what to tell. Raises KeelError."""
    with acting(settings, ask) as (sender, deployment):
        series = options.series_of(sender.w3, deployment, label)
        receipt = options.take_back(sender, deployment, series)
        args = event_of(sender, deployment, receipt, "ClearingHouse", "CollateralReturned")
    token = "the underlying's" if series.is_call else "USDC's"
    return f"{args['amount']:,} of {token} smallest units are back in {_where(receipt)}"


def fund(settings: Settings, ask: Ask = None) -> str:
    """Fund what the vault owes to holders, paid for by the configured key. Returns what to tell. Raises KeelError."""
    with acting(settings, ask) as (sender, deployment):
        receipt = options.fund(sender, deployment)
        args = event_of(sender, deployment, receipt, "ClearingHouse", "Funded")
    left = f"{args['still_owed'] / USDC:,.6f} still owed"
    return f"{args['amount'] / USDC:,.6f} USDC funded, {left}, in {_where(receipt)}"


def cancel(settings: Settings, first: int, last: int, ask: Ask = None) -> str:
    """Cancel the configured key's quotes with nonces in a range. Returns what to tell. Raises KeelError."""
    with acting(settings, ask) as (sender, deployment):
        receipt = options.cancel_nonces(sender, deployment, first, last)
    return f"Quotes of {sender.address} with nonces {first} to {last} are cancelled in {_where(receipt)}"


# ---------------------------------------------------------------- quotes as files


def read_quote(path: Path, deployment: Deployment) -> SignedQuote:
    """The quote of a file.

    Raises:
        ConfigError: there is no such file, it is none, or it is of another deployment.
    """
    try:
        with path.open(encoding="utf-8") as file:
            found = json.loads(file.read(_LARGEST_FILE))
        plain = found["quote"]
        values = {name: _value(plain[name]) for name in Quote.__dataclass_fields__}
        read = SignedQuote(Quote(**values), str(found["signer"]), bytes.fromhex(found["signature"].removeprefix("0x")))
        place = (found["chain_id"], found["option_book"])
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", kept=_NOTHING) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"{path} is no quote.", kept=_NOTHING, todo="It is what `keel options quote` prints, unchanged."
        ) from None
    if place != (deployment.chain_id, deployment.address("OptionBook")):
        raise ConfigError(f"{path} is a quote of another vault, {place[1]} on chain {place[0]}.", kept=_NOTHING)
    return read


def _value(given: Any) -> Any:
    return given if isinstance(given, bool) or str(given).startswith("0x") else int(given)


def _trade(
    settings: Settings, path: Path, how: Callable[[Sender, Deployment, SignedQuote], TxReceipt], ask: Ask
) -> str:
    signed = read_quote(path, open_session(settings).deployment)
    with acting(settings, ask) as (sender, deployment):
        _require_mine(signed, sender)
        receipt = how(sender, deployment, signed)
        args = event_of(sender, deployment, receipt, "OptionBook", "Filled")
    which = "bought for" if args["vault_sells"] else "written for" if args["written"] else "sold for"
    return f"{args['size'] / WAD:,.9g} options {which} {args['premium'] / USDC:,.6f} USDC in {_where(receipt)}"


def _require_mine(signed: SignedQuote, sender: Sender) -> None:
    """Raises KeelError for a quote that is over, or for somebody else: the contract would say so, in fewer words."""
    now = sender.w3.eth.get_block("latest")["timestamp"]
    if signed.quote.deadline < now:
        raise KeelError(
            f"The quote was good until {utc_second(signed.quote.deadline)}.", kept=_NOTHING, todo="Ask for a new one."
        )
    if signed.quote.taker not in (ANYONE, sender.address):
        raise KeelError(f"The quote is for {signed.quote.taker}, not for {sender.address}.", kept=_NOTHING)


def _where(receipt: TxReceipt) -> str:
    return f"block {receipt['blockNumber']}: {receipt['transactionHash'].to_0x_hex()}"
