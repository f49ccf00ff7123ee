"""A keeper on a fork whose quote desk is served."""

import json

import httpx

from keeper.domain.policy import Policy
from keeper.domain.safety import KillLevels
from keeper.domain.series import Position
from keeper.execution.orders import Orders
from keeper.execution.quote_log import QuoteLog
from keeper.market.reader import read_snapshot
from keeper.operations.traders import read_quote
from keeper.runtime.desk import Desk
from keeper.runtime.guard import Guard
from keeper.runtime.loop import Keeper
from keeper.runtime.metrics import Metrics
from keeper.web.quotes import make_quote_app
from keeper.web.server import Server
from tests.keeper.vault_on_fork import account_of

TAKER = account_of("taker").address
STRANGER = account_of("stranger").address
MAKER = account_of("maker").address


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


class Rig:
    """A keeper whose desk is served: `tick` deals with a block and waits until the desk is ready for it."""

    def __init__(self, vault, journal, tmp_path, limits, makers=()):
        url = f"sqlite:///{tmp_path / 'keel.sqlite'}"
        self.vault, self.journal, self.clock, self.metrics = vault, journal, Clock(), Metrics()
        self.makers = makers
        self.orders, self.log = Orders(url), QuoteLog(url)
        policy = Policy()
        guard = Guard(vault.connection, vault.deployment, self.orders, KillLevels(), policy.margin_tolerance)
        self.desk = self.make_desk(guard, limits, policy)
        self.keeper = Keeper(
            vault.connection, vault.deployment, vault.keeper, policy, journal, poll_seconds=0.01, guard=guard,
            desk=self.desk,
        )  # fmt: skip
        self.server = Server(make_quote_app(self.desk), "127.0.0.1:0")

    def make_desk(self, guard, limits, policy, log=None):
        return Desk(
            self.vault.connection, self.vault.deployment, account_of("quoter"), policy, log or self.log,
            stopped=guard.quotes_stopped, limits=limits, metrics=self.metrics, makers=self.makers, clock=self.clock,
        )  # fmt: skip

    def snapshot(self):
        return read_snapshot(self.vault.connection, self.vault.deployment, self.vault.keeper.address)

    def tick(self):
        record = self.keeper.tick()
        self.desk.wait_until_ready(60)
        return record

    def post(self, **changes):
        wanted = {"kind": "call", "side": "buy", "size": "1", "taker": TAKER}
        body = {**self.terms(changes.pop("kind", "call")), **wanted, **changes}
        return httpx.post(f"{self.server.url}/quotes", json=body, timeout=30)

    def terms(self, kind):
        series = series_of(self.vault, is_call=kind == "call")
        return {"underlying": "ETH", "kind": kind, "expiry": series.expiry, "strike": f"{series.strike:g}"}

    def get(self, path):
        return httpx.get(f"{self.server.url}{path}", timeout=30)

    def counted(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def series_of(vault, *, is_call):
    book = [Position.from_slot(slot).series for slot in vault.read("OptionBook", "live_book")]
    return next(series for series in book if series.is_call == is_call)


def signed_of(vault, answer, tmp_path):
    """As `keel options fill` reads what curl has written to a file."""
    path = tmp_path / "quote.json"
    path.write_text(json.dumps(answer))
    return read_quote(path, vault.deployment)
