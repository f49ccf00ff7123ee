"""Decisions of a keeper on a vault, made again from its journal in other processes, with no node to ask."""

import json
import os
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing

import pytest
from click.testing import CliRunner

from keeper.cli import cli
from keeper.domain.decision import Action, Rule
from keeper.execution.journal import Journal
from tests.keeper.cli.test_cli import recorded, set_rpc_url
from tests.keeper.vault_on_fork import SPOT


def keel(*args):
    return CliRunner().invoke(cli, args)


def again(block, **environment):
    """`keel replay` in a process of its own. Returns its exit code and what it found."""
    command = [sys.executable, "-m", "keeper.cli", "replay", str(block), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def records(folder):
    with closing(Journal(f"sqlite:///{folder / 'keel.sqlite'}")) as journal:
        return [record for record in journal.decisions() if record.kind == "hedge"]


@pytest.fixture
def ran(vault, folder):
    """What a keeper recorded that traded, held, traded and was paused; then the node has gone."""
    for price in (SPOT, SPOT + 1, int(SPOT * 1.05)):
        vault.market.step(price)
        keel("run", "--once")
    assert keel("pause", "--yes", "--reason", "for the test").exit_code == 0
    vault.market.step(int(SPOT * 0.95))
    keel("run", "--once")
    set_rpc_url(folder, "http://127.0.0.1:9")
    return records(folder)


def test_every_decision_is_the_same_bit_for_bit_in_another_process_without_a_node(ran):
    assert {record.decision.action for record in ran} == {Action.TRADE, Action.HOLD, Action.REFUSE}

    for record in ran:
        code, found = again(record.decision.block_number)
        assert (code, found["holds"], found["intact"]) == (0, True, True), found
        assert (found["off_by"], found["differences"], found["elsewhere"]) == (0.0, [], [])


def test_what_was_withheld_is_made_again_as_it_was_before_and_the_reason_is_shown(ran):
    paused = ran[-1]
    assert paused.wanted.action is Action.TRADE
    assert paused.wanted.legs

    shown = keel("replay", str(paused.decision.block_number))

    assert shown.exit_code == 0, shown.output
    assert "nothing is sent, pause by the operator: for the test; it would be: trade" in shown.output.replace("\n", " ")
    assert "was not carried out" in shown.output
    assert "the same, bit for bit" in shown.output


def test_on_another_processor_it_is_the_same_to_a_billionth(ran):
    """Without AVX-512, AVX2 and fused multiply-add: other loops of numpy's and numba's, other last bits."""
    other = {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512_SKX AVX2 FMA3", "NUMBA_CPU_NAME": "generic"}

    code, found = again(ran[0].decision.block_number, **other, OPENBLAS_CORETYPE="Nehalem")

    assert (code, found["differences"]) == (0, []), found
    assert any(line.startswith("cpu ") for line in found["elsewhere"])


def test_the_order_of_decisions_changes_nothing(ran):
    """The solver keeps nothing from one decision to the next."""
    blocks = [record.decision.block_number for record in ran]

    for block in (*reversed(blocks), *blocks):
        shown = keel("replay", str(block), "--json")
        assert json.loads(shown.output)["off_by"] == 0.0
        assert shown.exit_code == 0


def test_a_snapshot_that_was_changed_is_found_out(folder, ran):
    record = ran[0]
    with closing(sqlite3.connect(folder / "keel.sqlite")) as rows:
        [[blob]] = rows.execute("SELECT snapshot FROM decisions WHERE id = ?", (record.id,)).fetchall()
        seen = json.loads(zlib.decompress(blob))
        seen["assessment"]["initial"] += 10**18
        text = json.dumps(seen, sort_keys=True, separators=(",", ":"))
        rows.execute("UPDATE decisions SET snapshot = ? WHERE id = ?", (zlib.compress(text.encode()), record.id))
        rows.commit()

    shown = keel("replay", str(record.decision.block_number))

    assert shown.exit_code == 1
    assert "The record was changed after it was written" in shown.output
    assert "DIFFERENT" in shown.output
    assert "keeper and chain disagree" in shown.output.replace("\n", " ")


def test_a_record_whose_hash_was_changed_with_it_is_not_what_the_transaction_says(folder, ran):
    record = ran[0]
    with closing(sqlite3.connect(folder / "keel.sqlite")) as rows:
        rows.execute("UPDATE decisions SET decision_hash = ? WHERE id = ?", ("0x" + "77" * 32, record.id))
        rows.commit()

    code, found = again(record.decision.block_number)

    assert (code, found["intact"], found["differences"]) == (1, False, [])


def test_a_decision_that_its_inputs_do_not_give_is_different(vault, folder):
    decision = recorded(vault)  # by hand

    shown = keel("replay", str(decision.block_number))

    assert shown.exit_code == 1
    assert "deltas.0.before" in shown.output
    assert "-22.5" in shown.output


def test_where_nothing_was_computed_there_is_nothing_to_make_again(vault, folder):
    """Fault 10."""
    vault.market.warp(4_000)
    keel("run", "--once")

    shown = keel("replay", str(vault.w3.eth.get_block_number()))

    assert shown.exit_code == 0
    assert "oracle: stale" in shown.output
    assert "nothing was computed" in shown.output


def test_hedges_that_were_closed_by_order_are_made_again_by_that_rule(vault, folder):
    vault.market.step(SPOT)
    keel("run", "--once")
    keel("unwind", "--yes", "--reason", "for the test")
    expiry = max(slot >> 215 & 0xFFFFFFFF for slot in vault.read("OptionBook", "live_book"))
    vault.market.step(SPOT, timestamp=expiry - 60)
    vault.market.step(SPOT, timestamp=expiry + 60)
    for _ in range(3):  # settle, and hedge what is left of the book
        vault.market.step(SPOT)
        keel("run", "--once")

    closing_down = records(folder)[-1]

    assert closing_down.brief.rule is Rule.CLOSE, closing_down.decision.reason
    assert keel("replay", str(closing_down.decision.block_number)).exit_code == 0


def test_a_transaction_is_explained_by_its_decision(folder, ran):
    with closing(Journal(f"sqlite:///{folder / 'keel.sqlite'}")) as journal:
        [(intent, _)] = journal.transactions_of(ran[0].id)
    tx_hash = intent.attempts[0].tx_hash

    shown = keel("explain", tx_hash).output

    assert f"Block {ran[0].decision.block_number}, " in shown
    assert tx_hash in shown.replace("\n", "")


def test_an_unknown_transaction_is_said_to_be(folder, ran):
    shown = keel("explain", "0x" + "12" * 32)

    assert shown.exit_code == 1
    assert "has no transaction 0x1212" in shown.output


@pytest.mark.parametrize("block", ["now", "1.5", "9" * 30])
def test_replay_takes_a_block(folder, block):
    shown = keel("replay", block)

    assert shown.exit_code == 2
    assert f"'{block}' is no block number." in shown.output


def test_replay_names_the_nearest_blocks_when_there_is_no_decision(folder, ran):
    shown = keel("replay", "7")

    assert shown.exit_code == 1
    assert f"The nearest ones are on {ran[0].decision.block_number}." in shown.output
