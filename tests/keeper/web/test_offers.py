"""Makers' offers over HTTP, on a vault on a fork: what is worth taking becomes a quote that the maker fills."""

import httpx
import pytest

from keeper.chain.maker_offers import MakerOffer, offer_to_json, sign_offer
from keeper.domain.decision import Action
from keeper.domain.offer import Fill
from keeper.domain.safety import DeskLimits, Order
from keeper.domain.units import WAD
from keeper.operations.options import write
from keeper.operations.replay import replay
from keeper.quoting.terms import LIFE
from keeper.runtime.offer_book import LONGEST
from tests.keeper.vault_on_fork import account_of
from tests.keeper.web.rig import MAKER, STRANGER, series_of, signed_of

ETH = 0


def offer_of(vault, *, is_call=True, at="bid", **changes):
    """Ten units of a series of the vault's at one of the contracts' marks, for half an hour."""
    series = series_of(vault, is_call=is_call)
    bid, mid, ask, *_ = vault.read("OptionPricer", "marks", series.id)
    terms = {
        "series": series.id, "vault_sells": False, "price": {"bid": bid, "mid": mid, "ask": ask}[at], "size": 10 * WAD,
        "min_fill": WAD, "maker": MAKER, "deadline": vault.now() + 1_800, "nonce": 1,
    }  # fmt: skip
    return MakerOffer(**(terms | changes))


def post(rig, offer, *, by="maker", **changes):
    """As the maker's program does."""
    signature = sign_offer(offer, rig.vault.deployment, account_of(by))
    body = {"offer": offer_to_json(offer) | changes, "signature": "0x" + signature.hex()}
    return httpx.post(f"{rig.server.url}/offers", json=body, timeout=30)


def next_block(rig):
    rig.vault.market.step(3_000)
    return rig.tick()


def state_of(rig, answer):
    return rig.get(f"/offers/{answer.json()['offer_digest']}").json()


def test_a_maker_offers_and_writes_what_the_hedge_wants_of_it(rig, vault, tmp_path):
    """The decision counts on nothing of it, is made again to the last bit, and the vault's gamma and vega fall."""
    vault.market.fund_eth(MAKER, WAD)
    vault.market.fund_weth(MAKER, 10 * WAD)

    posted = post(rig, offer_of(vault))
    before = rig.snapshot().assessment
    record = next_block(rig)
    taken = state_of(rig, posted)
    receipt = write(vault.sender("maker"), vault.deployment, signed_of(vault, taken, tmp_path))
    after = rig.snapshot().assessment

    assert (posted.status_code, posted.json()["state"]) == (200, "open")
    [fill] = record.decision.fills
    assert fill.offer.digest == posted.json()["offer_digest"]
    assert record.brief.offers == (fill.offer,)
    assert record.brief.vega_budget_wad > 0
    assert record.decision.action is Action.HOLD  # nothing is hedged before it is there
    assert (taken["state"], taken["quote"]["taker"]) == ("taken", MAKER)
    assert int(taken["quote"]["size"]) == fill.size_wad
    assert receipt["status"] == 1
    assert abs(after.gamma[ETH]) < 0.9 * abs(before.gamma[ETH])
    assert abs(after.vega[ETH]) < 0.9 * abs(before.vega[ETH])
    again = replay(rig.journal.decision_at(record.block_number))
    assert (again.holds, again.off_by) == (True, 0.0)


def test_an_offer_that_a_decision_took_becomes_one_quote_and_nothing_else_is_taken_while_that_is_out(rig, vault):
    first = post(rig, offer_of(vault))
    next_block(rig)
    taken = state_of(rig, first)
    second = post(rig, offer_of(vault, is_call=False, at="bid", nonce=2))

    meanwhile = next_block(rig)
    still = state_of(rig, first)
    vault.market.step(3_000, timestamp=vault.now() + LIFE + 1)
    afterwards = rig.tick()

    assert meanwhile.brief.offers == ()
    assert still == taken
    assert [offer.digest for offer in afterwards.brief.offers] == [second.json()["offer_digest"]]
    assert rig.get(f"/offers/{first.json()['offer_digest']}").status_code == 404
    assert rig.get(f"/quotes/{taken['digest']}").json()["state"] == "expired"


def test_an_offer_above_the_middle_mark_reaches_no_decision(rig, vault):
    dear = post(rig, offer_of(vault, at="ask"))

    record = next_block(rig)

    assert record.brief.offers == ()
    assert state_of(rig, dear)["state"] == "open"


def test_without_offers_a_decision_is_made_of_what_it_was_made_of_before(rig):
    record = next_block(rig)

    assert (record.brief.offers, record.brief.vega_budget_wad, record.decision.fills) == ((), 0, ())


@pytest.mark.parametrize(
    ("changes", "by", "status", "reason"),
    [
        ({}, "stranger", 403, "signature"),
        ({"maker": STRANGER}, "stranger", 403, "maker"),
        ({"series": 2**250}, "maker", 409, "series"),
        ({"size": 2 * WAD, "min_fill": 3 * WAD}, "maker", 409, "too_small"),
        ({"size": 10**9}, "maker", 409, "too_small"),
        ({"size": 10**8 * WAD}, "maker", 409, "too_big"),
    ],
)
def test_what_is_not_accepted_has_a_reason(rig, vault, changes, by, status, reason):
    answer = post(rig, offer_of(vault, **changes), by=by)

    assert (answer.status_code, answer.json()["error"], answer.json()["reason"]) == (status, "refused", reason)
    assert answer.json()["detail"]
    assert next_block(rig).brief.offers == ()


def test_a_deadline_leaves_time_for_a_quote_and_is_not_far_away(rig, vault):
    now = vault.now()

    soon = post(rig, offer_of(vault, deadline=now + LIFE - 1))
    late = post(rig, offer_of(vault, deadline=now + LONGEST + 1))
    fine = post(rig, offer_of(vault, deadline=now + LIFE))

    assert [answer.json().get("reason") for answer in (soon, late, fine)] == ["expired", "too_long", None]
    assert next_block(rig).brief.offers == ()  # a quote would outlive it by now


def test_what_was_changed_after_it_was_signed_is_not_the_makers(rig, vault):
    answer = post(rig, offer_of(vault), price=str(WAD))

    assert (answer.status_code, answer.json()["reason"]) == (403, "signature")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"price": "0"}, "offer.price"),
        ({"size": "1"}, "offer.size"),
        ({"maker": "0x" + "0" * 40}, "offer.maker"),
        ({"nonce": -1}, "offer.nonce"),
        ({"more": 1}, "offer.more"),
    ],
)
def test_what_cannot_be_right_is_said_with_its_place(rig, vault, changes, where):
    answer = post(rig, offer_of(vault), **changes)

    assert (answer.status_code, answer.json()["reason"]) == (422, where)


def test_bytes_that_are_no_signature_are_told_from_a_server_that_fails(rig, vault):
    body = {"offer": offer_to_json(offer_of(vault)), "signature": "0x" + "ff" * 65}

    assert httpx.post(f"{rig.server.url}/offers", json=body).json()["reason"] == "signature"


def test_an_older_offer_cannot_be_posted_again_in_the_place_of_a_newer_one(rig, vault):
    old, new = offer_of(vault), offer_of(vault, size=5 * WAD, nonce=2)
    first = post(rig, old)
    again = post(rig, old)
    second = post(rig, new)

    replayed = post(rig, old)

    assert again.json() == first.json()
    assert (replayed.status_code, replayed.json()["reason"]) == (409, "nonce")
    assert [offer.size_wad for offer in next_block(rig).brief.offers] == [5 * WAD]
    assert rig.get(f"/offers/{first.json()['offer_digest']}").status_code == 404
    assert second.status_code == 200


def test_an_offer_is_taken_back_by_one_of_nothing(rig, vault):
    post(rig, offer_of(vault))

    back = post(rig, offer_of(vault, size=0, min_fill=0, nonce=2))

    assert (back.status_code, back.json()["state"]) == (200, "withdrawn")
    assert next_block(rig).brief.offers == ()
    assert post(rig, offer_of(vault)).json()["reason"] == "nonce"


@pytest.mark.parametrize("order", [Order.STOP_QUOTES, Order.PAUSE])
def test_while_quotes_are_stopped_offers_wait(rig, vault, order):
    posted = post(rig, offer_of(vault))
    rig.orders.give(order, "somebody looks at it")
    stopped = next_block(rig)
    waiting = state_of(rig, posted)
    rig.orders.lift("looked at")

    next_block(rig)  # of a pause the desk learns with the block
    if state_of(rig, posted)["state"] == "open":
        next_block(rig)

    assert stopped.brief.offers == ()
    assert waiting["state"] == "open"
    assert state_of(rig, posted)["state"] == "taken"


def test_nothing_is_signed_for_an_offer_that_was_taken_back_or_stopped_after_the_decision(rig, vault):
    posted = post(rig, offer_of(vault))
    snapshot = rig.snapshot()
    [offer], _ = rig.desk.offers(snapshot)
    fill = Fill(offer, offer.size_wad)

    rig.orders.give(Order.STOP_QUOTES, "somebody looks at it")
    see(rig, snapshot, fill)
    stopped = state_of(rig, posted)["state"]
    rig.orders.lift("looked at")
    see(rig, snapshot, fill, doubt="the chain and the keeper disagree")
    doubtful = state_of(rig, posted)["state"]
    post(rig, offer_of(vault, size=0, min_fill=0, nonce=2))
    see(rig, snapshot, fill)

    assert (stopped, doubtful) == ("open", "open")
    assert rig.counted("keel_quotes_open") == 0
    assert rig.counted("keel_offers_taken_total", answer="signed") == 0


def see(rig, snapshot, fill, doubt=""):
    rig.desk.see(snapshot, [fill], doubt)
    rig.desk.wait_until_ready(60)


def test_quotes_that_somebody_asks_for_in_a_makers_name_leave_his_offers_their_room(rig, vault, limits):
    posted = post(rig, offer_of(vault))
    for _ in range(limits.max_open):
        assert rig.post(size="0.2", taker=MAKER).status_code == 200
    assert rig.post(size="0.2", taker=MAKER).json()["reason"] == "taker"

    next_block(rig)

    assert state_of(rig, posted)["state"] == "taken"


def test_what_the_desk_may_not_sign_is_refused_with_its_reason_and_the_offer_stays(rig, vault):
    posted = post(rig, offer_of(vault))
    snapshot = rig.snapshot()
    [offer], _ = rig.desk.offers(snapshot)

    see(rig, snapshot, Fill(offer, offer.min_fill_wad // 2))

    state = state_of(rig, posted)
    assert (state["state"], state["refused"]) == ("open", "min_fill")
    assert rig.counted("keel_offers_taken_total", answer="refused") == 1


def test_nobody_uses_up_a_makers_pace_in_his_name(rig, vault, limits):
    for _ in range(limits.requests_per_minute + 1):
        post(rig, offer_of(vault), by="stranger")

    assert post(rig, offer_of(vault)).status_code == 200


class TestLimits:
    @pytest.fixture
    def limits(self):
        return DeskLimits(max_offers=1, stale_seconds=1_000.0)

    def test_one_maker_has_no_more_offers_out_than_he_may(self, rig, vault):
        first = post(rig, offer_of(vault))
        second = post(rig, offer_of(vault, is_call=False, nonce=2))
        instead = post(rig, offer_of(vault, size=5 * WAD, nonce=3))

        assert [answer.status_code for answer in (first, second, instead)] == [200, 409, 200]
        assert second.json()["reason"] == "too_many"


def test_an_offer_that_fails_in_the_program_does_not_keep_the_vault_from_being_hedged(rig, vault, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("in a row of the program")

    monkeypatch.setattr("keeper.hedging.decide.fills_of", fails)
    post(rig, offer_of(vault))
    vault.market.step(2_900)  # the delta leaves its band

    record = rig.tick()

    assert record.decision.action is Action.TRADE
    assert "no offer is taken: ZeroDivisionError" in record.decision.reason
