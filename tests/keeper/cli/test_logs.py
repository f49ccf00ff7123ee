"""The log as JSON: a line each, with the block that it is about, and no keys in URLs."""

import json
import logging

import pytest
import structlog

from keeper.chain.rpc import Connection
from keeper.cli.common import hush_libraries
from keeper.cli.logs import formatter
from keeper.errors import RpcUnavailableError


def line(text, *args, **extra):
    record = logging.LogRecord("keeper.runtime.loop", logging.WARNING, "loop.py", 1, text, args, **extra)
    return json.loads(formatter().format(record))


def test_a_line_is_an_object_with_time_level_logger_and_event():
    found = line("block %d: %s", 7, "hold", exc_info=None)

    assert (found["event"], found["level"], found["logger"]) == ("block 7: hold", "warning", "keeper.runtime.loop")
    assert found["timestamp"].endswith("Z")


def test_a_line_says_which_block_it_is_about():
    with structlog.contextvars.bound_contextvars(block=26_450_001):
        assert line("a service failed", exc_info=None)["block"] == 26_450_001


def test_a_traceback_stays_on_its_line():
    try:
        raise ZeroDivisionError("no vol")
    except ZeroDivisionError as error:
        found = line("no decision", exc_info=(type(error), error, error.__traceback__))

    assert "ZeroDivisionError: no vol" in found["exception"]


def test_what_may_be_a_key_in_a_url_is_left_out():
    found = line("failed at https://mainnet.node/v3/SECRET?key=SECRET and http://127.0.0.1:8545", exc_info=None)

    assert found["event"] == "failed at https://mainnet.node/... and http://127.0.0.1:8545"


def test_requests_to_a_node_are_not_logged_even_for_who_wants_everything(caplog):
    caplog.set_level(logging.DEBUG)
    hush_libraries()

    with pytest.raises(RpcUnavailableError):
        Connection("http://127.0.0.1:1/v3/SECRET", timeout=1.0).header()

    assert "SECRET" not in caplog.text
