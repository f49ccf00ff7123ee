"""A small exchange over HTTP that speaks Binance's public REST interface, and can be made to misbehave.

It serves what a real one serves (`exchangeInfo`, `klines` with `startTime` and `limit`), so that ccxt and everything of
Keel above it run as they are; ccxt only finds it at another address.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import ccxt

PAGE = 1_000  # the most that Binance answers
Answer = tuple[int, dict[str, str], bytes]  # status, headers, body


@dataclass
class Exchange:
    """Candles by opening time in seconds; ``faults`` are used up first, one per request for candles."""

    spacing: int
    candles: dict[int, tuple[float, float, float, float]]
    faults: list[Callable[[bytes], Answer]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    url: str = ""

    def klines(self, since: int, limit: int) -> bytes:
        """As Binance answers: arrays with strings, rising, from ``since`` (milliseconds) on."""
        times = sorted(time for time in self.candles if time * 1_000 >= since)[: min(limit, PAGE)]
        return json.dumps([self._kline(time) for time in times]).encode()

    def _kline(self, time: int) -> list:
        prices = [f"{price:.2f}" for price in self.candles[time]]
        return [time * 1_000, *prices, "12.5", (time + self.spacing) * 1_000 - 1, "0", 7, "0", "0", "0"]

    def answer(self, path: str, query: dict[str, list[str]]) -> Answer:
        if path.endswith("/exchangeInfo"):
            return 200, {}, json.dumps({"symbols": [_symbol("ETH"), _symbol("BTC")]}).encode()
        self.asked.append(int(query["startTime"][0]) // 1_000)
        good = self.klines(int(query["startTime"][0]), int(query["limit"][0]))
        return self.faults.pop(0)(good) if self.faults else (200, {}, good)


def _symbol(base: str) -> dict:
    return {
        "symbol": f"{base}USDT",
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "orderTypes": ["LIMIT"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": ["SPOT"],
        "filters": [],
    }


def busy(seconds: int = 0) -> Callable[[bytes], Answer]:
    """HTTP 429 with Retry-After."""
    return lambda _: (429, {"Retry-After": str(seconds)}, b'{"code":-1003,"msg":"Too much request weight used."}')


def down(_: bytes) -> Answer:
    """HTTP 503 with a page for people."""
    return 503, {}, b"<html>503 Service Unavailable</html>"


def cut_short(good: bytes) -> Answer:
    """The connection ends in the middle of the answer."""
    return 200, {"Content-Length": str(len(good))}, good[: len(good) // 2]


def half_of_it(good: bytes) -> Answer:
    """A whole HTTP answer whose JSON ends in the middle."""
    return 200, {}, good[: len(good) // 2]


def sign_in_page(_: bytes) -> Answer:
    """What a hotel's network answers to everything."""
    return 200, {"Content-Type": "text/html"}, b"<html>Please sign in</html>"


def silent(_: bytes) -> Answer:
    """Nothing, with status 200."""
    return 200, {}, b""


@contextmanager
def serving(exchange: Exchange) -> Iterator[Exchange]:
    """The exchange at a free local port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            status, headers, body = exchange.answer(url.path, parse_qs(url.query))
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Connection": "close",
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    exchange.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield exchange
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ccxt_at(url: str) -> type[ccxt.binance]:
    """ccxt's own class for Binance, which finds it at ``url``."""

    class binance(ccxt.binance):
        def describe(self) -> dict:
            described = super().describe()
            described["urls"]["api"]["public"] = f"{url}/api/v3"
            described["rateLimit"] = 1
            return described

    return binance
