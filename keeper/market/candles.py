"""Recorded candles from an exchange's public interface, by ccxt: page after page, tried again, checked.

A row is (time, open, high, low, close, volume): time in seconds UTC of the candle's open, prices in the market's quote
currency, volume in its base currency.
"""

from __future__ import annotations

import difflib
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import stamina

from keeper.domain.times import utc_minute
from keeper.errors import ConfigError, KeelError

Row = tuple[int, float, float, float, float, float]
T = TypeVar("T")

COLUMNS: Final = ("time", "open", "high", "low", "close", "volume")
SPACINGS: Final = {"1m": 60, "5m": 300, "15m": 900, "30m": 1_800, "1h": 3_600}  # what a replay can use
_QUOTES: Final = ("USD", "USDT", "USDC")
_PAGE: Final = 300  # candles, where ccxt does not know an exchange's limit
_ATTEMPTS: Final = 7
_FIRST_ATTEMPTS: Final = 3  # who cannot be reached at all should not be waited for
_FIRST_WAIT: Final = 1.0  # seconds, doubled each time
_LONGEST_WAIT: Final = 60.0
_LOG = logging.getLogger(__name__)

stamina.instrumentation.set_on_retry_hooks(())  # told below, in words


class ExchangeError(KeelError):
    """The exchange cannot be reached, refuses, or says what cannot be."""

    exit_code = 3


class _AgainError(ExchangeError):
    """Worth another attempt."""


@dataclass(frozen=True, slots=True)
class Market:
    """A spot market, as ETH/USDT on binance, and the distance of its candles (a key of SPACINGS)."""

    exchange: Any
    symbol: str
    spacing: str

    @property
    def seconds(self) -> int:
        """Between two candles."""
        return SPACINGS[self.spacing]

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.symbol} of {self.exchange.id}, {self.spacing} apart"


def open_market(name: str, underlying: str, spacing: str, symbol: str | None = None) -> Market:
    """The market of an exchange that ccxt knows; ``symbol`` is the underlying's against USD, USDT or USDC by default.

    Raises:
        ConfigError: there is no such exchange, market or spacing.
        ExchangeError: the exchange does not answer.
    """
    import ccxt  # 3 s

    if name not in ccxt.exchanges:
        near = ", ".join(difflib.get_close_matches(name, ccxt.exchanges, n=3)) or "binance, coinbase, bitstamp"
        raise ConfigError(f"There is no exchange {name!r} in ccxt.", kept="Nothing was fetched.", todo=f"Try {near}.")
    # Spot markets alone, where an exchange asks: its other hosts are blocked in more places. The proxy is the user's.
    options = {"fetchMarkets": {"types": ["spot"]}, "warnOnFetchOHLCVLimitArgument": False}
    exchange = getattr(ccxt, name)({"requests_trust_env": True, "enableLastJsonResponse": True, "options": options})
    offered = [key for key in SPACINGS if key in (exchange.timeframes or {})]
    if exchange.has.get("fetchOHLCV") is not True or spacing not in offered:
        raise ConfigError(
            f"{name} has no candles {spacing} apart.",
            kept="Nothing was fetched.",
            todo=f"It has {', '.join(offered)}." if offered else "Choose another exchange.",
        )
    markets = _asked(exchange, "its markets", exchange.load_markets, attempts=_FIRST_ATTEMPTS)
    symbols = [symbol] if symbol else [f"{underlying}/{quote}" for quote in _QUOTES]
    for one in symbols:
        if one in markets and markets[one].get("spot"):
            return Market(exchange, one, spacing)
    raise ConfigError(
        f"{name} has no spot market {' or '.join(symbols)}.",
        kept="Nothing was fetched.",
        todo="Name one with --symbol, or choose another exchange.",
    )


def pages(market: Market, begin: int, end: int) -> Iterator[tuple[int, list[Row]]]:
    """Rows that open from ``begin`` (inclusive) to ``end`` (exclusive), in order, page by page.

    Yields the time up to which everything is known now, and the page's rows; a page may be empty where the exchange
    has none.

    Raises:
        ExchangeError: no answer after some attempts, or a row cannot be right. What was yielded before is good.
    """
    exchange, seconds = market.exchange, market.seconds
    limit = int(exchange.feature_value(market.symbol, "fetchOHLCV", "limit", None) or _PAGE)
    since = begin
    while since < end:
        ask = _page_call(market, since, min(limit, (end - since) // seconds))
        answer = _asked(exchange, f"candles from {utc_minute(since)} on", ask)
        rows = sorted({row[0]: row for row in (_row(market, raw) for raw in answer) if since <= row[0] < end}.values())
        # An exchange that has none there may have some later: the page's width was looked at in any case.
        since = rows[-1][0] + seconds if rows else min(since + limit * seconds, end)
        yield since, rows


def _page_call(market: Market, since: int, limit: int) -> Callable[[], list[Any]]:
    def call() -> list[Any]:
        answer: list[Any] = market.exchange.fetch_ohlcv(market.symbol, market.spacing, since * 1_000, limit)
        return answer

    return call


def _row(market: Market, raw: Any) -> Row:
    """
    Raises:
        ExchangeError: it is no candle of this spacing.
    """
    try:
        milliseconds, volume = int(raw[0]), float(raw[5] or 0)
        open_, high, low, close = (float(price) for price in raw[1:5])
        when = utc_minute(milliseconds // 1_000)
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        raise ExchangeError(f"{market.exchange.id} gave {str(raw)[:80]} as a candle of {market.symbol}.") from None
    good = all(math.isfinite(price) and price > 0 for price in (open_, high, low, close))
    if not good or low > min(open_, close) or high < max(open_, close) or milliseconds % (market.seconds * 1_000):
        raise ExchangeError(
            f"{market.exchange.id} gave a candle of {market.symbol} that cannot be: open {open_:g}, high {high:g}, low"
            f" {low:g}, close {close:g} at {when} UTC.",
            todo="Choose another exchange, or a time without it.",
        )
    return milliseconds // 1_000, open_, high, low, close, volume


# ---------------------------------------------------------------- asking


def _asked(exchange: Any, what: str, call: Callable[[], T], *, attempts: int = _ATTEMPTS) -> T:
    """The result of a call of ccxt, tried again while the exchange is busy or away.

    Raises:
        ExchangeError
    """
    for attempt in stamina.retry_context(
        _AgainError, attempts=attempts, wait_initial=_FIRST_WAIT, wait_max=_LONGEST_WAIT, timeout=None
    ):
        with attempt:
            try:
                return _once(exchange, what, call)
            except _AgainError as error:
                if attempt.num < attempts:
                    _LOG.warning("%s Trying again in %.0f s.", error.what, attempt.next_wait)
                raise
    raise AssertionError("unreachable: the last attempt raises")


def _once(exchange: Any, what: str, call: Callable[[], T]) -> T:
    import ccxt

    reasons = {
        ccxt.RequestTimeout: "does not answer in time",
        ccxt.DDoSProtection: "is asked too often",
        ccxt.OnMaintenance: "is in maintenance",
        ccxt.ExchangeNotAvailable: "is not available, or not from here",
        ccxt.NetworkError: "cannot be reached",
    }
    exchange.last_json_response = None
    try:
        answer = call()
    except ccxt.NetworkError as error:
        if isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
            time.sleep(_retry_after(exchange))
        reason = next(words for kind, words in reasons.items() if isinstance(error, kind))
        raise _AgainError(
            f"{exchange.id} {reason}, asked for {what}.",
            kept="Nothing was fetched.",
            todo="Check the connection (HTTPS_PROXY is used), or choose another exchange.",
        ) from None
    except ccxt.BaseError as error:
        words = " ".join(str(error).split())[:200]
        raise ExchangeError(
            f"{exchange.id} refuses {what}: {words}.", kept="Nothing was fetched.", todo="Choose another exchange."
        ) from None
    except (TypeError, ValueError, KeyError, AttributeError, IndexError):
        raise _garbled(exchange, what) from None  # ccxt takes what it got apart without looking
    if exchange.last_json_response is None:
        raise _garbled(exchange, what)
    return answer


def _garbled(exchange: Any, what: str) -> ExchangeError:
    return _AgainError(
        f"{exchange.id} gave an answer that is cut short or not its own, asked for {what}.",
        kept="Nothing was fetched.",
        todo="Is there a proxy or a sign-in page between? Try again, or choose another exchange.",
    )


def _retry_after(exchange: Any) -> float:
    """Seconds that the exchange wants to be left alone, as far as it says so."""
    wanted = (exchange.last_response_headers or {}).get("Retry-After", "0")
    return min(float(wanted), _LONGEST_WAIT) if wanted.isdecimal() else 0.0
