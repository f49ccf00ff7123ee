"""`/health` and `/metrics` over HTTP: 200 while the loop comes round, 503 when it stalls, and never a wait for it."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from keeper.chain.rpc import Connection
from keeper.domain.safety import WatchLevels
from keeper.errors import ConfigError
from keeper.runtime.metrics import Metrics
from keeper.runtime.watch import Watch
from keeper.web.app import make_app
from keeper.web.server import Server, address_of


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    return Watch(Connection("http://127.0.0.1:1"), WatchLevels(stall_seconds=180), Metrics(), clock)


@pytest.fixture
def server(watch):
    with Server(make_app(watch.health, watch.metrics.registry), "127.0.0.1:0") as serving:
        yield serving


def test_health_is_ok_while_the_loop_comes_round_and_503_when_it_stalls(server, watch, clock):
    """Fault 17."""
    watch.came_round()
    clock.now += 179
    assert httpx.get(f"{server.url}/health").status_code == 200

    clock.now += 1
    stalled = httpx.get(f"{server.url}/health")
    assert stalled.status_code == 503
    assert stalled.json()["alive"] is False
    assert stalled.json()["loop_age"] == 180.0

    watch.came_round()
    assert httpx.get(f"{server.url}/health").status_code == 200


def test_the_alerters_thread_says_that_the_loop_has_stalled(watch, clock):
    watch.came_round()
    assert list(watch.stalled()) == []

    clock.now += 180

    [condition] = watch.stalled()
    assert (condition.key, condition.severity) == ("stalled", "critical")


def test_a_loop_that_comes_round_without_a_block_is_told_too(watch, clock):
    clock.now += 120
    watch.came_round()
    watch.node_failed("The node at http://node cannot be reached.")

    [condition] = watch.stalled()

    assert condition.key == "no-blocks"
    assert "cannot be reached" in condition.text
    assert watch.health().alive


def test_metrics_are_prometheus_text(server, watch):
    watch.came_round()

    answer = httpx.get(f"{server.url}/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["keel_polled_timestamp_seconds"].samples[0].value > 1.7e9
    assert {sample.labels["order"] for sample in families["keel_order_stands"].samples} == {
        *("pause", "stop-quotes", "unwind"),
    }


def test_an_address_that_is_taken_is_one_clear_error(server):
    with pytest.raises(ConfigError, match="Nothing can be served at"):
        Server(None, server.url.removeprefix("http://"))


@pytest.mark.parametrize("listen", ["9464", "localhost", "127.0.0.1:port", ":9464", "127.0.0.1:99999"])
def test_what_is_no_address_is_said(listen):
    with pytest.raises(ConfigError, match="not host:port"):
        address_of(listen)
