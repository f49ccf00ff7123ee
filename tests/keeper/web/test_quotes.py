"""The quote server over HTTP, on a vault on a fork: a taker asks, he fills it, and the keeper hedges it."""

import json

import httpx
import pytest

from keeper.domain.policy import Policy
from keeper.domain.safety import DeskLimits, KillLevels, Order
from keeper.domain.units import USDC, WAD
from keeper.operations.options import fill, write
from keeper.quoting.terms import LIFE
from keeper.runtime.guard import Guard
from keeper.web.quotes import MAX_BODY
from tests.keeper.vault_on_fork import account_of
from tests.keeper.web.rig import STRANGER, TAKER, signed_of

PATHS = {"/quotes", "/quotes/{digest}", "/offers", "/offers/{digest}", "/series"}


def test_a_taker_asks_and_fills_and_the_keeper_hedges_what_that_leaves(rig, vault, tmp_path):
    vault.market.fund_usdc(TAKER, 1_000_000 * USDC)

    answer = rig.post(size="20")
    receipt = fill(vault.sender("taker"), vault.deployment, signed_of(vault, answer.json(), tmp_path))
    vault.market.step(3_000)
    record = rig.tick()

    assert answer.status_code == 200
    assert receipt["status"] == 1
    assert record.decision.action == "trade"
    [change] = [one for one in record.decision.deltas if one.underlying == 0]
    assert change.before < -change.band  # short calls more than the band
    assert abs(change.after) <= change.band
    assert rig.get(f"/quotes/{answer.json()['digest']}").json()["state"] == "filled"
    assert rig.counted("keel_quotes_open") == 0


def test_a_quote_has_the_digest_that_the_contract_counts_its_fills_by(rig, vault, tmp_path):
    answer = rig.post(size="0.5").json()

    quote = signed_of(vault, answer, tmp_path).quote
    values = tuple(getattr(quote, name) for name in quote.__dataclass_fields__)
    assert answer["digest"] == "0x" + vault.read("OptionBook", "hash_quote", values).hex()
    assert answer["signer"] == account_of("quoter").address
    assert quote.taker == TAKER
    assert quote.deadline == vault.now() + LIFE
    assert quote.nonce >= vault.now()


def test_a_maker_sells_to_the_vault_by_a_quote_of_the_server(rig, vault, tmp_path):
    vault.market.fund_weth(TAKER, WAD)

    answer = rig.post(side="sell")

    assert write(vault.sender("taker"), vault.deployment, signed_of(vault, answer.json(), tmp_path))["status"] == 1


def test_quotes_that_are_out_hold_their_room_until_they_are_over(rig, vault):
    whole = rig.post(size="100000", taker=STRANGER).json()
    second = rig.post(size="100000")

    vault.market.step(3_000, timestamp=vault.now() + LIFE + 1)
    rig.tick()
    third = rig.post(size="100000").json()

    assert whole["limit"] is not None
    assert second.status_code == 409 or int(second.json()["quote"]["size"]) < int(whole["quote"]["size"])
    assert int(third["quote"]["size"]) == pytest.approx(int(whole["quote"]["size"]), rel=0.05)
    assert rig.get(f"/quotes/{whole['digest']}").json()["state"] == "expired"


def test_all_quotes_that_are_out_can_be_filled_one_after_the_other(rig, vault, tmp_path):
    vault.market.fund_usdc(TAKER, 10_000_000 * USDC)
    answers = [rig.post(size=size) for size in ("3", "2", "1")]

    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text for answer in answers]
    assert all(answer.json()["limit"] is None for answer in answers)
    for answer in answers:
        signed = signed_of(vault, answer.json(), tmp_path)
        assert fill(vault.sender("taker"), vault.deployment, signed)["status"] == 1


def test_a_desk_that_starts_anew_knows_of_the_quotes_that_are_out(rig, vault, limits):
    rig.post(size="5")
    rig.post(size="5", taker=STRANGER)
    guard = Guard(vault.connection, vault.deployment, rig.orders, KillLevels(), Policy().margin_tolerance)

    rig.metrics.quotes_open.set(0)
    with rig.make_desk(guard, limits, Policy()) as second:
        second.see(rig.snapshot())
        second.wait_until_ready(60)

        assert rig.counted("keel_quotes_open") == 2


@pytest.mark.parametrize("order", [Order.STOP_QUOTES, Order.PAUSE, Order.UNWIND])
def test_an_order_stops_quotes_at_once_with_its_reason(rig, order):
    assert rig.post().status_code == 200
    rig.orders.give(order, "somebody looks at it")

    stopped = rig.post()

    assert stopped.status_code == 503
    assert stopped.json()["reason"] == "stopped"
    assert "somebody looks at it" in stopped.json()["detail"]

    rig.orders.lift("looked at")
    assert rig.post().status_code == 200


def test_nothing_is_signed_without_a_recent_block(rig, vault, limits):
    rig.clock.now += limits.stale_seconds + 1

    stale = rig.post()

    assert (stale.status_code, stale.json()["reason"]) == (503, "stale")
    vault.market.step(3_000)
    rig.tick()
    assert rig.post().status_code == 200


def test_nothing_is_signed_while_the_keeper_itself_would_not_act(rig):
    rig.desk.unseen("the newest block cannot be read")

    answer = rig.post()

    assert (answer.status_code, answer.json()["reason"]) == (503, "stale")
    assert answer.json()["detail"] == "the newest block cannot be read"


def test_a_refusal_has_the_contracts_reason(rig, vault):
    small, unknown = rig.post(size="0.000000001"), rig.post(strike="3001")
    vault.market.step(3_000, timestamp=vault.now() + 3 * 3_600)
    rig.tick()
    old = rig.post()

    assert (small.status_code, small.json()["reason"]) == (409, "min_fill")
    assert unknown.json() == {"error": "refused", "reason": "not_listed", "detail": "book: series not listed"}
    assert old.json()["reason"] == "old_surface"
    assert rig.counted("keel_quote_refusals_total", reason="old_surface") == 1


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"size": "-1"}, "size"),
        ({"size": "NaN"}, "size"),
        ({"size": "1e-12"}, "size"),
        ({"strike": 10**12}, "strike"),
        ({"underlying": "DOGE"}, "underlying"),
        ({"taker": "0x" + "0" * 40}, "taker"),
        ({"taker": TAKER[:-1] + ("0" if TAKER[-1] != "0" else "1")}, "taker"),
        ({"side": "hold"}, "side"),
        ({"expiry": "Friday"}, "expiry"),
        ({"more": 1}, "more"),
    ],
)
def test_what_cannot_be_right_is_said_with_its_place(rig, changes, where):
    answer = rig.post(**changes)

    assert (answer.status_code, answer.json()["error"], answer.json()["reason"]) == (422, "mistake", where)
    assert answer.json()["detail"]


def test_a_body_that_is_too_large_is_not_read(rig):
    answer = httpx.post(f"{rig.server.url}/quotes", content=b"{" + b" " * MAX_BODY)

    assert answer.status_code == 413


class TestLimits:
    @pytest.fixture
    def limits(self):
        return DeskLimits(requests_per_minute=3, max_open=2, stale_seconds=1_000.0)

    def test_one_taker_asks_no_oftener_than_he_may_and_another_is_not_held_up(self, rig):
        answers = [rig.post(size="0.000000001") for _ in range(4)]

        assert [answer.status_code for answer in answers] == [409, 409, 409, 429]
        assert answers[-1].headers["retry-after"]
        assert rig.post(taker=STRANGER).status_code == 200
        rig.clock.now += 60
        assert rig.post(size="0.000000001").status_code == 409

    def test_one_taker_holds_no_more_open_quotes_than_he_may(self, rig):
        answers = [rig.post(size="0.2") for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 409]
        assert answers[-1].json()["reason"] == "taker"


def test_everything_that_was_priced_is_in_the_log(rig, vault):
    answer = rig.post(size="0.5").json()
    rig.post(strike="3001")

    asked, answered = rig.log.find(answer["digest"])

    assert (asked.at, asked.taker, asked.vault_sells, asked.size) == (vault.now(), TAKER, True, WAD // 2)
    assert json.loads(answered.answer) == answer
    assert answered.nonce == int(answer["quote"]["nonce"])


def test_series_say_what_can_be_asked_for_and_the_schema_says_how(rig, vault):
    lines = rig.get("/series").json()

    call = next(line for line in lines if line["kind"] == "call")
    bid, _, ask, *_ = vault.read("OptionPricer", "marks", int(call["series"]))
    assert call["strike"] == "3000"
    assert (call["marks"]["bid"], call["marks"]["ask"]) == (bid / WAD, ask / WAD)
    assert set(rig.get("/openapi.json").json()["paths"]) == PATHS


def test_under_a_pause_what_is_listed_is_told_and_nothing_is_signed(rig, vault):
    rig.orders.give(Order.PAUSE, "somebody looks at it")
    vault.market.step(3_000)
    rig.tick()
    rig.clock.now += 1

    assert rig.get("/series").status_code == 200
    assert len(rig.get("/series").json()) == 2
    assert (rig.post().status_code, rig.post().json()["reason"]) == (503, "stopped")


def test_series_of_long_ago_are_not_told(rig, limits):
    rig.clock.now += limits.stale_seconds + 1

    assert (rig.get("/series").status_code, rig.get("/series").json()["reason"]) == (503, "stale")


def test_a_quote_of_nobody_is_unknown(rig):
    assert rig.get("/quotes/0x" + "ab" * 32).status_code == 404
    assert rig.get("/quotes/nonsense").status_code == 422
