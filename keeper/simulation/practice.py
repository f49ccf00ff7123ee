"""A fork to practise operating on: a vault with options, a market that moves, and a place where alerts arrive.

    python -m keeper.simulation.practice out/practice

It leaves keel.toml, manifest and keys in the folder, and lasts until Ctrl-C; docs/operate.md goes on from there.
"""

from __future__ import annotations

import http.server
import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eth_account import Account

from keeper.chain.address_book import address_book
from keeper.chain.deployments import Deployment, save
from keeper.domain.series import UNDERLYINGS, next_expiry
from keeper.domain.units import DAY, USDC
from keeper.operations.deploy import deploy
from keeper.operations.options import fill, list_series, post_vol
from keeper.operations.parameters import Parameters
from keeper.operations.roles import Keys
from keeper.operations.seed import SEED
from keeper.operations.vault import deposit
from keeper.simulation.demo.cast import Cast
from keeper.simulation.driver import MarketDriver
from keeper.simulation.fixed_quotes import quote_off_the_mark

if TYPE_CHECKING:
    from keeper.simulation.fork import Fork

ALERTS_PORT: Final = 9000
LISTEN: Final = "127.0.0.1:9464"
QUOTES: Final = "127.0.0.1:9465"
PASSPHRASE: Final = "practice"
_DEPOSIT: Final = 1_000_000 * USDC
_VOL: Final = 0.6
_STEP_SECONDS: Final = 3.0  # of this machine's, between blocks 12 s apart
_STEP_SD: Final = 0.002  # of the price, a step
_POST_EVERY: Final = 100  # steps: twenty minutes of chain time


class Practice:
    """The vault of a fork, whose market it moves. The keys are the same in every practice: they are worth nothing."""

    def __init__(self, fork: Fork, folder: Path) -> None:
        self.fork, self.folder = fork, folder
        self.market = MarketDriver(fork.w3)
        self.cast = Cast(fork.w3, self.market)
        self.prices = {symbol: self.market.feed_price(symbol) for symbol in UNDERLYINGS}
        for _ in range(3):  # pools get a five-minute TWAP
            self.market.step(self.prices, timestamp=self.market.timestamp() + 150)
        self.deployment = self._deploy()
        self.expiry = next_expiry(self.market.timestamp() + DAY)
        self._sell()
        self._write()

    def step(self, rng: random.Random, number: int) -> None:
        """The market moves a little; every so often the surface is posted anew."""
        self.prices = {symbol: price * (1 + rng.gauss(0, _STEP_SD)) for symbol, price in self.prices.items()}
        self.market.step(self.prices)
        if number % _POST_EVERY == 0:
            self._post()

    def _deploy(self) -> Deployment:
        keys = Keys(**{role: self.cast.address(role) for role in ("guardian", "keeper", "quoter", "vol_poster")})
        self.market.fund_usdc(self.cast.address("governor"), SEED)
        parameters = Parameters(opening_vol=(_VOL,) * len(UNDERLYINGS))
        deployed = deploy(self.cast.sender("governor"), address_book(1), keys, parameters)
        self.market.fund_usdc(self.cast.address("depositor"), _DEPOSIT)
        deposit(self.cast.sender("depositor"), deployed, _DEPOSIT)
        return deployed

    def _post(self) -> None:
        if self.market.timestamp() >= self.expiry:
            return
        for underlying in range(len(UNDERLYINGS)):
            post_vol(self.cast.sender("vol_poster"), self.deployment, underlying, self.expiry, _VOL)

    def _sell(self) -> None:
        """Calls of 150,000 USDC of notional, at the money: enough that the keeper has to hedge."""
        self._post()
        strike = round(self.prices["ETH"] / 100) * 100
        series = list_series(self.cast.sender("keeper"), self.deployment, 0, True, self.expiry, strike)
        size = round(150_000 / self.prices["ETH"], 1)
        signed = quote_off_the_mark(self.fork.w3, self.deployment, self.cast.account("quoter"), series, size, edge=0.01)
        self.market.fund_usdc(self.cast.address("taker"), _DEPOSIT)
        fill(self.cast.sender("taker"), self.deployment, signed)

    def _write(self) -> None:
        manifest = save(self.deployment, self.folder / "deployment.json")
        for role in ("keeper", "guardian", "quoter"):
            key = Account.encrypt(self.cast.account(role).key, PASSPHRASE, kdf="pbkdf2", iterations=1_000)
            _write_secret(self.folder / f"{role}.json", json.dumps(key))
        _write_secret(self.folder / "passphrase", PASSPHRASE)
        _write_secret(
            self.folder / "keel.toml",
            f'rpc_url = "{self.fork.url}"\n'
            f'deployment = "{manifest}"\n'
            f'journal_url = "sqlite:///{self.folder / "keel.sqlite"}"\n'
            f'keystore = "{self.folder / "keeper.json"}"\n'
            f'passphrase_file = "{self.folder / "passphrase"}"\n'
            f'guardian_keystore = "{self.folder / "guardian.json"}"\n'
            f'guardian_passphrase_file = "{self.folder / "passphrase"}"\n'
            f'quoter_keystore = "{self.folder / "quoter.json"}"\n'
            f'quoter_passphrase_file = "{self.folder / "passphrase"}"\n'
            f'listen = "{LISTEN}"\n'
            f'\n[quotes]\nlisten = "{QUOTES}"\n'
            "\n[alerts]\n"
            f'urls = ["json://127.0.0.1:{ALERTS_PORT}/"]\n'
            "low_gas = 0.2\n",
        )


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


class _Alerts(http.server.BaseHTTPRequestHandler):
    """Prints what apprise posts."""

    def do_POST(self) -> None:
        """One alert."""
        alert = json.loads(self.rfile.read(int(self.headers["content-length"])))
        print(f"ALERT  {alert['title']}\n       {alert['message']}", flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the alert says it all."""


def main(folder: Path) -> None:
    """Practise in a folder until Ctrl-C."""
    from keeper.simulation.fork import Fork

    print("Starting a fork, deploying a vault (a minute) ...", flush=True)
    with http.server.HTTPServer(("127.0.0.1", ALERTS_PORT), _Alerts) as alerts, Fork() as fork:
        threading.Thread(target=alerts.serve_forever, daemon=True).start()
        practice = Practice(fork, folder.resolve())
        print(
            f"A vault on {fork.url}. Settings: {folder / 'keel.toml'}. Alerts arrive here. Ctrl-C ends it.", flush=True
        )
        rng, number = random.Random(1), 0
        try:
            while True:
                number += 1
                practice.step(rng, number)
                time.sleep(_STEP_SECONDS)
        except KeyboardInterrupt:
            alerts.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/practice"))
