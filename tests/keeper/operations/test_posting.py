"""The vol poster as keel.toml has it: a key of its own that may post, and quotes from a file or a URL."""

import http.server
import threading
import time

import pytest

from keeper.chain.deployments import save
from keeper.config import load
from keeper.domain.safety import WatchLevels
from keeper.domain.units import WAD
from keeper.errors import AccountError, ConfigError
from keeper.execution.records import Kind, Result
from keeper.market.quote_source import QuoteSource
from keeper.operations.posting import posting_surface
from keeper.operations.session import open_session
from keeper.runtime.metrics import Metrics
from keeper.runtime.watch import Watch
from tests.keeper.chain_files import synthetic
from tests.keeper.vault_on_fork import ETH, PASSPHRASE, VOL, write_key


@pytest.fixture
def session_of(vault, tmp_path, monkeypatch):
    """A session by a keel.toml with more in it, in a folder with the keys of all roles and a passphrase."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    save(vault.deployment)
    for role in ("keeper", "vol_poster", "stranger"):
        write_key(tmp_path / f"{role}.json", role)
    (tmp_path / "secret").write_text(PASSPHRASE)

    def make(more):
        (tmp_path / "keel.toml").write_text(f'rpc_url = "{vault.url}"\nkeystore = "keeper.json"\n{more}')
        return open_session(load(tmp_path / "keel.toml", {}))

    return make


def posting(session, journal, *, dry_run=False):
    watch = Watch(session.connection, WatchLevels(), Metrics())
    return posting_surface(session, journal, watch, None, dry_run=dry_run)


def keys(keystore):
    return f'poster_keystore = "{keystore}"\nposter_passphrase_file = "secret"\n[surface]\neth = "quotes.csv"\n'


def test_without_a_source_nothing_is_posted(session_of, journal):
    with posting(session_of(""), journal) as poster:
        assert poster is None


def test_what_is_configured_is_posted(vault, session_of, journal, tmp_path):
    synthetic(tmp_path / "quotes.csv", vault.now())

    with posting(session_of(keys("vol_poster.json")), journal) as poster:
        list(poster.follow(vault.connection.header(), sends=True))
        assert poster._lookout.wait(120)
        list(poster.follow(vault.connection.header(), sends=True))
        [record] = journal.decisions()
        give_up = time.monotonic() + 120
        while journal.open_intents() and time.monotonic() < give_up:
            time.sleep(0.05)
            list(poster.follow(vault.connection.header(), sends=True))

    [(_, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.CONFIRMED
    assert record.kind is Kind.POST
    posted = [vault.read("VolOracle", "vol", ETH, e, 0) / WAD for e in vault.read("VolOracle", "expiries", ETH)]
    assert sum(abs(vol - VOL) > 1e-4 for vol in posted) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[surface]\neth = "quotes.csv"\n', "No vol poster's key is configured"),
        (keys("keeper.json"), "The vol poster's key is the keeper's"),
        (keys("stranger.json"), "has not the VOL_POSTER role of the vault's VolOracle"),
    ],
)
def test_a_key_that_may_not_post_is_an_error_at_the_start(session_of, journal, more, words):
    with pytest.raises(AccountError, match=words), posting(session_of(more), journal):
        pass


def test_a_dry_run_needs_no_key(session_of, journal):
    with posting(session_of('[surface]\neth = "quotes.csv"\n'), journal, dry_run=True) as poster:
        assert poster is not None


class Served(http.server.BaseHTTPRequestHandler):
    """What a test puts there: a body, or a status, or a byte now and then for as long as somebody listens."""

    body, status, drips = b"", 200, False

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)
        while self.drips:
            self.wfile.write(b"x")
            self.wfile.flush()
            threading.Event().wait(0.01)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def served():
    """`served(body=..., status=..., drips=...)` returns a URL with a token in it."""
    opened = []

    def serve(name="chain.parquet", **what):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("", (Served,), what))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened.append(server)
        return f"http://127.0.0.1:{server.server_port}/{name}?token=hunter2"

    yield serve
    for server in opened:
        server.shutdown()
        server.server_close()


def test_quotes_by_http_are_those_of_the_file(served, tmp_path):
    synthetic(tmp_path / "quotes.parquet", 1_800_000_000)
    url = served(body=(tmp_path / "quotes.parquet").read_bytes())

    by_http, of_file = (
        QuoteSource(url, seconds=60).read(),
        QuoteSource(str(tmp_path / "quotes.parquet"), seconds=1).read(),
    )

    assert (by_http.quoted_at, by_http.spot) == (of_file.quoted_at, of_file.spot)
    assert (by_http.quotes.bid == of_file.quotes.bid).all()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"status": 503}, "answers 503"),
        ({"body": b"no parquet"}, "is not a .parquet file"),
        ({"drips": True}, "is not there after 0.2 s|cannot be fetched"),
        ({"name": "chain.txt"}, "is neither .parquet nor .csv"),
    ],
)
def test_what_serves_no_quotes_is_refused_in_words_without_its_token(served, what, words):
    with pytest.raises(ConfigError, match=words) as refused:
        QuoteSource(served(**what), seconds=0.2 if "drips" in what else 60).read()

    assert "hunter2" not in str(refused.value)
    assert "http://127.0.0.1" in str(refused.value)


def test_a_server_that_is_not_there_is_told_without_its_token():
    with pytest.raises(ConfigError, match="cannot be fetched") as refused:
        QuoteSource("http://127.0.0.1:1/chain.parquet?token=hunter2", seconds=60).read()

    assert "hunter2" not in str(refused.value)
