"""Makers' offers over HTTP, on a vault on a fork: what is worth taking becomes a quote that the maker fills."""

import httpx

from keeper.chain.maker_offers import MakerOffer, offer_to_json, sign_offer
from keeper.domain.decision import Action
from keeper.domain.units import WAD
from keeper.operations.options import write
from keeper.operations.replay import replay
from tests.keeper.vault_on_fork import account_of
from tests.keeper.web.rig import MAKER, series_of, signed_of

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
